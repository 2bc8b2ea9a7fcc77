"""What a proposed metrology case would change, for the person who decides it: energy and money.

    a meter at +3.0 % over days on which 120,000 kWh were recorded
        energy_wh   -3,495,146      imported, of the days whose usage is known
        amount_fen  -279,600        on the bills that were issued (here at 0.80 a kWh)

It is the round that an approval would give, calculated on what is known now and recorded nowhere
else: the same functions, so an approved case whose inputs stay comes to exactly this. What else
waits to be corrected in these months is taken off again. Bills that are not issued yet have no part
in the money, days without usage none in the energy (`problem_of` counts them).
"""

from __future__ import annotations

from dataclasses import replace

from services.billing.events import CaseEstimate, CaseNoted, CorrectionIssued, CorrectionWithheld
from services.billing.meter_correction import APPROVED, adjustments, problem_of
from services.billing.rounds import Books, next_round
from services.billing.state import Account, evolve

IMPORT_TOTAL = "1-0:1.8.0"
IMPORT_RATES = "1-0:1.8."


def case_estimate(
    account: Account, case: CaseNoted, key: str, books: Books, on: str
) -> CaseEstimate:
    """What approving the case on a day would change; no money where a bill cannot be rated."""
    approved = replace(case, status=APPROVED)
    changes = list(adjustments(account.months, approved))
    after = evolve(account, approved)
    for change in changes:
        after = evolve(after, change)
    before = replace(account, to_correct=after.to_correct, stuck={})
    with_it, without_it = _difference(after, key, books, on), _difference(before, key, books, on)
    return CaseEstimate(
        energy_wh=sum(_import_wh(change.change) for change in changes),
        amount_fen=None if with_it is None or without_it is None else with_it - without_it,
        months=tuple(sorted(change.month for change in changes)),
        problem=problem_of(account.months, approved),
    )


def _import_wh(change: dict[str, int]) -> int:
    """The imported energy of a change: its total register, or the sum of its rates."""
    if IMPORT_TOTAL in change:
        return change[IMPORT_TOTAL]
    return sum(wh for register, wh in change.items() if register.startswith(IMPORT_RATES))


def _difference(account: Account, key: str, books: Books, on: str) -> int | None:
    """What a round would add to the debt now, in fen; None where one of its bills is withheld."""
    if not account.to_correct:
        return 0
    total_fen = 0
    for found in next_round(account, key, books, on, on):
        match found:
            case CorrectionIssued():
                total_fen += found.difference_fen
            case CorrectionWithheld() if not found.is_needless:
                return None
    return total_fen
