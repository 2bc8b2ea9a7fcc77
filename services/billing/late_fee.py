"""Late fees 电费违约金: permille per day of a debt, with both published readings as named rules.

Days run from the day after the due date to the day of payment. Residential debts bear one rate.
Others bear one rate within the year of the due date and another after it; the published answers
disagree on the days before the year's end of a debt carried over (domain.md 3.6):

    2,000 yuan due 15 December, paid 18 January
    split_at_year_end   16 days at 2 permille + 18 days at 3 permille = 64 + 108 = 172   (b10, b11)
    whole_debt_by_age   34 days at 3 permille                                    = 204   (b09)
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.quantities import ROUNDING
from services.billing.calendar import days_between
from services.billing.price_book import LateFeeRule

LATE_FEE_RULES = ("split_at_year_end", "whole_debt_by_age")


@dataclass(frozen=True, slots=True, kw_only=True)
class LateFeeShare:
    """Days of a debt at one rate, and the fee for them before the minimum."""

    days: int
    permille: int
    amount_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LateFee:
    """The fee on one debt paid on one day; `rule` names the reading that was used."""

    amount_fen: int
    rule: str
    shares: tuple[LateFeeShare, ...]


def late_fee(
    debt_fen: int, due_on: str, paid_on: str, rule: LateFeeRule, *, residential: bool
) -> LateFee:
    """The fee on a debt due on one date and paid on another; nothing when it is paid in time.

    A fee is at least the rule's minimum (1 yuan in the 1996 rules). For a debt paid in pieces, ask
    for each piece.
    """
    assert debt_fen >= 0, "a credit bears no late fee"
    days = max(0, days_between(due_on, paid_on))
    year_end_on = f"{due_on[:4]}-12-31"
    same_year_days = min(days, days_between(due_on, year_end_on))
    if residential:
        rates = [(days, rule.residential_permille)]
    elif rule.name == "split_at_year_end":
        later_days = days - same_year_days
        rates = [
            (same_year_days, rule.same_year_permille),
            (later_days, rule.later_year_permille),
        ]
    else:
        assert rule.name == "whole_debt_by_age", f"{rule.name!r} is no late-fee rule"
        is_carried_over = days > same_year_days
        permille = rule.later_year_permille if is_carried_over else rule.same_year_permille
        rates = [(days, permille)]
    round_fen = ROUNDING[rule.rounding]
    shares = tuple(
        LateFeeShare(
            days=each, permille=permille, amount_fen=round_fen(debt_fen * each * permille, 1000)
        )
        for each, permille in rates
        if each
    )
    fee_fen = sum(share.amount_fen for share in shares)
    if fee_fen:
        fee_fen = max(fee_fen, rule.minimum_fen)
    return LateFee(amount_fen=fee_fen, rule=rule.name, shares=shares)
