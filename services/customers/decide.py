"""What follows from an import, an opening position and a new day, for one account.

rows_submitted      -> row_taken and row_rejected, then what they changed is published
opening_submitted   -> opening_taken and account_opened, or opening_rejected
clock.ticked        -> what a row says that comes into force today is published
"""

from __future__ import annotations

from collections.abc import Sequence

from libs.events.core import Emit, Item, Tick, View
from services.customers.admission import judge_rows
from services.customers.events import (
    AccountOpened,
    OpeningRejected,
    OpeningSubmitted,
    OpeningTaken,
    RowRejected,
    RowsSubmitted,
    RowTaken,
)
from services.customers.openings import fingerprint, problem_of
from services.customers.publication import Publication, publication
from services.customers.reactions import business_day
from services.customers.state import Account

AGREEMENTS = "customers.agreements"
SUPPLY = "customers.supply"
METERS = "customers.meters"


def decide(view: View, key: str, item: Item) -> Sequence[Emit]:
    """The events that follow from an input for the account `key`."""
    state = view.get(key) or Account()
    match item.body:
        case RowsSubmitted():
            return _decide_rows(state, key, item.body, business_day(item.at))
        case OpeningSubmitted():
            return decide_opening(state, key, item.body)
        case Tick():
            return _decide_day(state, key, business_day(item.at))
    raise AssertionError(item)


def _decide_rows(state: Account, account_no: str, body: RowsSubmitted, day_on: str) -> list[Emit]:
    judged = judge_rows(state, account_no, body.rows)
    emits = [Emit(RowTaken(row=row, import_id=body.import_id)) for row in judged.taken]
    for row, refusal in judged.refused:
        rejected = RowRejected(
            row=row, import_id=body.import_id, field=refusal.field, problem=refusal.problem
        )
        emits.append(Emit(rejected))
    if not judged.taken:
        return emits
    news = publication(state, judged.state, account_no, day_on)
    return emits + _published(account_no, news, day_passed=not state.day_on)


def decide_opening(state: Account, account_no: str, opening: OpeningSubmitted) -> list[Emit]:
    """The events that follow from an opening position; none when it is taken already.

    The command asks this before it sends anything (services/customers/takeover.py).
    """
    if state.opening == fingerprint(opening):
        return []
    if not state.accounts:
        problem = f"account_no: {account_no} is not known; import it first"
    elif opening.account_no != account_no:
        problem = f"account_no: {opening.account_no} was sent to {account_no}"
    elif state.opening:
        problem = "account_no: the account is open already; book what changed since as it happened"
    else:
        problem = problem_of(opening, {row.usage_point for row in state.points})
    if problem:
        rejected = OpeningRejected(
            opening_id=opening.opening_id, account_no=account_no, problem=problem
        )
        return [Emit(rejected)]
    return [
        Emit(OpeningTaken(opening=opening)),
        Emit(AccountOpened(opening=opening), topic=AGREEMENTS, key=account_no),
    ]


def _decide_day(state: Account, account_no: str, day_on: str) -> list[Emit]:
    """Days that were passed at once are caught up with: only what stands now is published."""
    return _published(account_no, publication(state, state, account_no, day_on), day_passed=True)


def _published(account_no: str, news: Publication, day_passed: bool = False) -> list[Emit]:
    facts: list[Emit] = []
    if news.agreement is not None:
        facts.append(Emit(news.agreement, topic=AGREEMENTS, key=account_no))
    facts += [Emit(each, topic=SUPPLY, key=each.usage_point) for each in news.supplies]
    facts += [Emit(each, topic=METERS, key=each.meter_no) for each in news.meters]
    return [Emit(news.noted), *facts] if facts or day_passed else []
