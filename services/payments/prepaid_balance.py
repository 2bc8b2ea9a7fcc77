"""What an account that pays ahead has left, and what follows from it being low.

A prepayment of 100.00, nothing owed, 45.00 estimated: 55.00 are available. Warned below 60.00, it
is told `warn1` now, and not again before money came.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from services.payments.entries import Account, Clearance, Prepaid
from services.payments.prepaid_events import (
    STAGES,
    AvailableChanged,
    BalanceLow,
    EstimateNoted,
    PrepaidNoted,
    PrepaidTerms,
)

POSTPAID, REMOTE = "postpaid", "prepaid_remote"
PREPAID_CLEARANCE = "prepaid_balance"


def terms_on(account: Account, day_on: str) -> PrepaidTerms | None:
    """How the account pays ahead on a day; None when it pays afterwards."""
    begun = [each for each in account.prepaid.terms if each.from_on <= day_on]
    return begun[-1] if begun and begun[-1].mode != POSTPAID else None


def estimate_fen(account: Account) -> int:
    """What it has used of the months that have no invoice."""
    return sum(each.amount_fen for each in account.prepaid.estimates.values())


def available_fen(account: Account) -> int:
    """What is left; below zero what was used on credit."""
    return account.prepayment_fen - account.receivable_fen - estimate_fen(account)


def open_fen(account: Account, clearance: Clearance, day_on: str) -> int:
    """What a clearance is about: the named debts, or what is used beyond the agreed credit."""
    if clearance.kind != PREPAID_CLEARANCE:
        return account.open_fen(clearance.invoice_nos)
    terms = terms_on(account, day_on)
    if terms is None or terms.mode != REMOTE:
        return 0
    return max(0, -terms.credit_limit_fen - available_fen(account))


def thresholds(terms: PrepaidTerms) -> dict[str, int]:
    """By stage: below what it begins. `zero` begins when nothing is left."""
    limits = (terms.warn1_fen, terms.warn2_fen, 1, -terms.credit_limit_fen)
    return dict(zip(STAGES, limits, strict=True))


def available(
    account: Account, key: str, reason: str, at: str, today_on: str
) -> AvailableChanged | None:
    """How it stands; None for an account that pays afterwards. A meter that holds the balance
    warns by itself."""
    terms = terms_on(account, today_on)
    if terms is None:
        return None
    left_fen = available_fen(account)
    estimates = account.prepaid.estimates.values()
    limits = thresholds(terms) if terms.mode == REMOTE else {}
    low = tuple(stage for stage, limit_fen in limits.items() if left_fen < limit_fen)
    warned = account.prepaid.warned
    # An estimate that falls and rises warns nobody again: only money makes that possible.
    if account.prepayment_fen - account.receivable_fen > account.prepaid.money_fen:
        warned = tuple(stage for stage in warned if stage in low)
    return AvailableChanged(
        account_no=key,
        available_fen=left_fen,
        prepayment_fen=account.prepayment_fen,
        receivable_fen=account.receivable_fen,
        estimate_fen=estimate_fen(account),
        estimate_until_on=max((each.until_on for each in estimates), default=""),
        missing_days=sum(each.missing_days for each in estimates),
        estimated_days=sum(each.estimated_days for each in estimates),
        low=low,
        warned=warned,
        reason=reason,
        as_of=at,
    )


def warnings(account: Account, told: AvailableChanged, today_on: str) -> Iterator[BalanceLow]:
    """The stages that it fell below and was not told yet."""
    terms = terms_on(account, today_on)
    assert terms is not None, told
    limits = thresholds(terms)
    for stage in told.low:
        if stage not in account.prepaid.warned:
            yield BalanceLow(
                account_no=told.account_no,
                stage=stage,
                available_fen=told.available_fen,
                threshold_fen=limits[stage],
                as_of=told.as_of,
            )


# -- the fold --------------------------------------------------------------------------------------


def noted(account: Account, event: PrepaidNoted) -> Account:
    """Other terms."""
    return _with(account, replace(account.prepaid, version=event.version, terms=event.terms))


def estimated(account: Account, event: EstimateNoted) -> Account:
    """The last estimate of a month counts, until its invoice."""
    known = account.prepaid.estimates
    others = {month: each for month, each in known.items() if month != event.month}
    kept = others if event.is_closed else {**others, event.month: event}
    return _with(account, replace(account.prepaid, estimates=kept))


def told(account: Account, event: AvailableChanged) -> Account:
    """What was told stands until it is told again."""
    money_fen = event.prepayment_fen - event.receivable_fen
    return _with(account, replace(account.prepaid, money_fen=money_fen, warned=event.warned))


def warned(account: Account, event: BalanceLow) -> Account:
    """The account was told that it is so low."""
    return _with(account, replace(account.prepaid, warned=(*account.prepaid.warned, event.stage)))


def _with(account: Account, prepaid: Prepaid) -> Account:
    return replace(account, prepaid=prepaid)
