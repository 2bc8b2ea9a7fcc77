"""The next numbered round of an account: what the months whose inputs changed come to now.

next_round(account, "1000000001", books, "2026-04-05", "2026-04-20")
    a CorrectionIssued, a CorrectionWithheld, or both when only some of the months can be rated
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from services.billing.bill import Bill
from services.billing.correction import (
    Change,
    CorrectionRound,
    IssuedBill,
    RatingInput,
    Reason,
    correct,
)
from services.billing.events import CorrectionIssued, CorrectionWithheld
from services.billing.month_input import Lacking, NoBook, month_inputs, relation_of
from services.billing.point_relations import MAIN
from services.billing.price_book import PriceBook
from services.billing.state import Account
from services.billing.tiers import TierPosition, position_at, tier_key

Books = Mapping[str, PriceBook]
Positions = dict[str, TierPosition]


def next_round(
    account: Account, key: str, books: Books, issued_on: str, due_on: str
) -> Iterator[CorrectionIssued | CorrectionWithheld]:
    """One round for all months to be corrected; every one of them is answered."""
    changes, lacking = _changes(account, books)
    issued, moved = _with_true_start(account, books)
    changes = {**moved, **changes}
    months = tuple(month for month in sorted(account.to_correct) if month not in lacking)
    changed = [month for month in months if month in changes]
    first = (*changed, *months, *sorted(lacking))[0]
    reason = account.to_correct[first]
    references = tuple(dict.fromkeys(account.to_correct[month].reference for month in changed))
    if lacking:
        reasons = tuple(text for month in sorted(lacking) for text in lacking[month])
        yield _withheld(key, reason, tuple(sorted(lacking)), reasons)
    done = None
    if changes:
        done = correct(
            issued,
            [changes[month] for month in sorted(changes)],
            books,
            number=account.round_no + 1,
            cause=reason.cause,
            references=references,
            opening=_first_tiers(account, books),
            corrected_on=issued_on,
        )
    if done is None:
        if months:
            withheld = _withheld(key, reason, months, ("no difference",))
            yield replace(withheld, is_needless=True)
    elif done.withheld:
        yield _withheld(key, reason, months, reasons_of(done))
    else:
        yield CorrectionIssued(
            correction_no=f"{key}-K{done.number:03d}",
            round_no=done.number,
            account_no=key,
            cause=reason.cause,
            reference=",".join(references),
            correction=done,
            difference_fen=done.total_fen,
            issued_on=issued_on,
            due_on=due_on,
        )


def _withheld(
    key: str, reason: Reason, months: tuple[str, ...], reasons: tuple[str, ...]
) -> CorrectionWithheld:
    return CorrectionWithheld(account_no=key, cause=reason.cause, months=months, reasons=reasons)


def _changes(
    account: Account, books: Books
) -> tuple[dict[str, Change], dict[str, tuple[str, ...]]]:
    """By month: the inputs that an issued bill should have had, or why there are none yet."""
    changes: dict[str, Change] = {}
    lacking: dict[str, tuple[str, ...]] = {}
    for issued in account.issued:
        month = issued.bill.period
        if month not in account.to_correct:
            continue
        inputs = month_inputs(account, month, books)
        if isinstance(inputs, Lacking):
            lacking[month] = inputs.reasons
        elif isinstance(inputs, NoBook):
            lacking[month] = (f"price_awaited {month}: {inputs.price_list}",)
        elif inputs != issued.inputs:
            changes[month] = Change(bill_id=issued.bill_id, inputs=inputs)
    return changes, lacking


def reasons_of(found: Bill | CorrectionRound) -> tuple[str, ...]:
    """Why a bill or a round is withheld, one line each."""
    findings = (
        " ".join(filter(None, (each.rule, each.point))) + f": {each.text}"
        for each in found.findings
    )
    gaps = (f"not_yet_rated {gap.what}: {gap.reason}" for gap in found.not_yet_rated)
    return (*findings, *gaps)


# -- tier positions -------------------------------------------------------------------------------


def tiers_before(
    account: Account, month: str, inputs: Sequence[RatingInput], books: Books
) -> Positions:
    """The tier positions before a month: from the bills before it, or from the opening."""
    positions = opening_tiers(account, inputs, books)
    for issued in account.issued:
        if issued.bill.period < month and not _is_before_opening(account, issued):
            positions |= issued.bill.tiers_after
    return positions


def _is_before_opening(account: Account, issued: IssuedBill) -> bool:
    """Whether the bill has days that were billed elsewhere; its tier position then counts for
    nothing, and the bill is corrected."""
    return account.opening is not None and issued.bill.from_on <= account.opening.billed_to_on


def opening_tiers(account: Account, inputs: Sequence[RatingInput], books: Books) -> Positions:
    """The tier year so far that the account came with: that of its main point with annual tiers.

    It is one figure of the account, so it goes to the first such point by name. Of a tier month
    that was begun elsewhere nothing is known, and it begins anew.
    """
    if account.opening is None or not inputs:
        return {}
    terms, book = inputs[0].terms, books[inputs[0].book]
    for point in sorted(terms.points, key=lambda each: each.point):
        price_list = book.price_lists.get(point.price_list)
        rule = price_list.tiers if price_list is not None else None
        if rule is None or rule.span != "year" or relation_of(terms, point.point) != MAIN.kind:
            continue
        key = tier_key(rule, account.opening.billed_to_on[:7])
        return {point.point: TierPosition(key=key, used_wh=account.opening.tier_year_to_date_wh)}
    return {}


def _first_tiers(account: Account, books: Books) -> Positions:
    """The opening's tier positions, by the first bill that charged anything."""
    inputs = next((each.inputs for each in account.issued if each.inputs), ())
    return opening_tiers(account, inputs, books)


def _with_true_start(account: Account, books: Books) -> tuple[list[IssuedBill], dict[str, Change]]:
    """The issued bills, the first one that began elsewhere in its tier year put right.

    So it is when the opening, or the bill of an earlier month, came after it.
    """
    issued = list(account.issued)
    positions = _first_tiers(account, books)
    is_known = account.billed[0][0] == issued[0].bill.period  # else earlier bills are put away
    for place, each in enumerate(issued):
        bill, true = each.bill, each.bill.tiers_before
        if _is_before_opening(account, each):
            issued[place] = replace(each, bill=replace(bill, tiers_before={}))
        else:
            if is_known:
                true = {name: position_at(positions, name, at.key) for name, at in true.items()}
            if true != bill.tiers_before:
                issued[place] = replace(each, bill=replace(bill, tiers_before=true))
                return issued, {bill.period: Change(bill_id=each.bill_id, inputs=each.inputs)}
            positions |= bill.tiers_after
        is_known = True
    return issued, {}
