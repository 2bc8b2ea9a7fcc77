"""May this row be taken? Against what is known already: parents, what it states, contradictions.

A row says what it is: new (kind empty), a correction of the row of that day, or a change from a
day on. What is not stated is never guessed: a row that differs from a known one is refused, with
the fix.
A row that says what is known already is nothing new.

    known: agreement from 2026-01-01, postpaid
    "", 2026-01-01, the same                 -> None, nothing new
    "", 2026-01-01, prepaid_remote           -> Refusal("kind", "... state correction or change")
    change, 2026-04-01, prepaid_remote       -> taken: postpaid until 1 April
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from libs.events.errors import BadInput
from services.customers.columns import CHANGE, CORRECTION, FILES, WAS, natural_key, read_row
from services.customers.events import Row
from services.customers.meter_chain import check_meter_once, meter_chain, points_with
from services.customers.rows import (
    AccountRow,
    AgreementRow,
    AnyRow,
    ComponentRow,
    ExchangeRow,
    ExternalLineRow,
    InstallationRow,
    MeterRow,
    PointRow,
    RelationRow,
    TransformerRow,
)
from services.customers.state import (
    Account,
    closed_on,
    row_text,
    supplied_span,
    timeline,
    with_row,
    wrong_day,
)

FILE_ORDER = {name: number for number, name in enumerate(FILES)}


class Refusal(NamedTuple):
    """Why a row is not taken: the column, and the problem with its fix."""

    field: str
    problem: str


class Judged(NamedTuple):
    """What became of some rows, in the order decided; rows that say nothing new are in neither."""

    state: Account
    taken: tuple[Row, ...]
    refused: tuple[tuple[Row, Refusal], ...]


class Placed(NamedTuple):
    """The state with a row in it that may still contradict others."""

    state: Account
    record: AnyRow


def judge_rows(state: Account, account_no: str, rows: Iterable[Row]) -> Judged:
    """Take what can be taken, in an order that does not depend on the order given.

    Rows go by file and day; a refused row is tried again as long as others were taken, because two
    corrections may be possible in one order only. At last the refused rows of a usage point are
    tried together: a wrong ratio stands in its installation and in the exchange that ended it.
    """
    waiting = sorted(
        rows, key=lambda row: (FILE_ORDER.get(row.file, 99), row.valid_from_on, row.line)
    )
    taken: list[Row] = []
    while True:
        count = len(taken)
        refused: list[tuple[Row, Refusal]] = []
        for row in waiting:
            verdict = judge_row(state, account_no, row)
            if isinstance(verdict, Refusal):
                refused.append((row, verdict))
            elif verdict is not None:
                state = verdict
                taken.append(row)
        if len(taken) == count:
            for group in _groups(row for row, _ in refused):
                draft = _together(state, account_no, group)
                if draft is not None:
                    state = draft
                    taken += group
        if len(taken) == count:
            return Judged(state, tuple(taken), tuple(refused))
        waiting = [row for row, _ in refused if row not in taken[count:]]


def judge_row(state: Account, account_no: str, row: Row) -> Account | Refusal | None:
    """The state with the row, the refusal, or None when it says what is known already."""
    placed = _place(state, account_no, row)
    if not isinstance(placed, Placed):
        return placed
    return _contradiction(placed) or placed.state


def _groups(rows: Iterable[Row]) -> list[list[Row]]:
    """Several happenings at one usage point."""
    by_point: dict[str, list[Row]] = {}
    for row in rows:
        if row.file in FILES and FILES[row.file].happens:
            by_point.setdefault(row.values.get("usage_point", ""), []).append(row)
    return [group for group in by_point.values() if len(group) > 1]


def _together(state: Account, account_no: str, rows: Sequence[Row]) -> Account | None:
    """The state with all of some rows, None when they contradict something together as well."""
    records = []
    for row in rows:
        placed = _place(state, account_no, row)
        if not isinstance(placed, Placed):
            return None
        state = placed.state
        records.append(placed.record)
    if any(_contradiction(Placed(state, record)) for record in records):
        return None
    return state


def _place(state: Account, account_no: str, row: Row) -> Placed | Refusal | None:
    """The row in its place by what it states, before it is compared with rows of others."""
    read = read_row(row_text(row))
    if read.record is None:
        return _refusal(read.problems[0])
    record = read.record
    owner = getattr(record, "account_no", account_no)
    if owner != account_no:
        return Refusal("account_no", f"{owner} is not {account_no}, to which the row was sent")
    if row.natural_key != natural_key(row.file, record):
        key = natural_key(row.file, record)
        return Refusal("natural_key", f"is {row.natural_key}, the row's own is {key}")
    known = timeline(getattr(state, row.file), record.entity)
    if _is_known(row, record, known):
        return None
    if (
        row.kind != CORRECTION
        and wrong_day(row.file, record, row.valid_from_on) in state.wrong_days
    ):
        text = f"{row.valid_from_on} was corrected to another day"
        return Refusal("valid_from", f"{text}; if it was right, correct that row back with {WAS}")
    if isinstance(record, MeterRow) and not state.accounts:
        text = f"account {account_no}, to which it belongs, is not known"
        return Refusal("meter_no", f"{text}; give its row in accounts.csv")
    refusal = _not_stated(row, record, known) or _after_end(state, record)
    if refusal is not None:
        return refusal
    was = row.values.get(WAS, row.valid_from_on)
    return Placed(with_row(state, row.file, record, was), record)


def _contradiction(placed: Placed) -> Refusal | None:
    try:
        _CHECKS[type(placed.record)](placed.state, placed.record)
    except BadInput as problem:
        return _refusal(problem)
    return None


def _refusal(problem: BadInput) -> Refusal:
    return Refusal(problem.field, f"{problem.problem}; {problem.fix}")


def _row_from(known: Sequence[AnyRow], day_on: str) -> AnyRow | None:
    return next((row for row in known if row.valid_from_on == day_on), None)


def _is_known(row: Row, record: AnyRow, known: Sequence[AnyRow]) -> bool:
    was = row.values.get(WAS, row.valid_from_on)
    replaced = was != row.valid_from_on and _row_from(known, was) is not None
    return _row_from(known, row.valid_from_on) == record and not replaced


def _not_stated(row: Row, record: AnyRow, known: Sequence[AnyRow]) -> Refusal | None:
    """Whether the kind of the row fits what is known of its entity."""
    days = ", ".join(each.valid_from_on for each in known)
    from_on = row.valid_from_on
    same_day = _row_from(known, from_on)
    if row.kind == CORRECTION:
        was = row.values.get(WAS, from_on)
        if _row_from(known, was) is None:
            text = f"there is no row of {row.natural_key} from {was} to correct"
            return Refusal("kind", f"{text}; its rows are from: {days or 'none'}")
        if same_day is not None and was != from_on:
            return Refusal(WAS, f"there is a row from {from_on} already; correct that one")
        return None
    if row.kind == CHANGE:
        if not known:
            text = f"nothing is known of {row.natural_key}, so nothing changes"
            return Refusal("kind", f"{text}; leave kind empty")
        if from_on < known[0].valid_from_on:
            text = f"{row.natural_key} is known from {known[0].valid_from_on} on"
            return Refusal("valid_from", f"{text}; correct that row, with {WAS} for its day")
    if same_day is not None:
        text = f"{row.natural_key} has other values from {from_on} already"
        return Refusal("kind", f"{text}; state correction, or change from another day")
    if row.kind != CHANGE and known and not FILES[row.file].happens:
        text = f"{row.natural_key} is known from {days}"
        return Refusal("kind", f"{text}; state change from {from_on}, or correction of a known day")
    return None


def _after_end(state: Account, record: AnyRow) -> Refusal | None:
    """Nothing begins after a customer moved out, or after a point went from the account."""
    if isinstance(record, AccountRow):
        return None
    closed = closed_on(state)
    if closed and record.valid_from_on >= closed:
        text = f"the customer moved out on {closed}"
        return Refusal("valid_from", f"{text}; open a new account for who comes next")
    if isinstance(record, InstallationRow | ExchangeRow):
        points = _points(state, record.usage_point)
        end = supplied_span(state, points)[1] if points else ""
        if end and record.valid_from_on >= end:
            text = f"{record.usage_point} went from the account on {end}"
            return Refusal("valid_from", f"{text}; give points.csv who has it then")
    return None


# -- contradictions: each check sees the state with the row already in it --------------------------


def _check_account(state: Account, record: AccountRow) -> None:
    for before, after in pairwise(state.accounts):
        if before.moved_out_on and after.valid_from_on >= before.moved_out_on:
            problem = f"the customer moved out on {before.moved_out_on}"
            raise BadInput("valid_from", problem, "open a new account for who comes next")
    first_on = state.accounts[0].valid_from_on
    dependents: list[AnyRow] = [*state.agreements, *state.transformers, *state.points]
    dependents += [*state.account_components, *state.external_lines]
    for row in dependents:
        if row.valid_from_on < first_on:
            problem = f"{first_on} is after {row.entity}, which is valid from {row.valid_from_on}"
            raise BadInput("valid_from", problem, "correct that row first")


def _check_parent(
    state: Account,
    record: AgreementRow | TransformerRow | PointRow | ComponentRow | ExternalLineRow,
) -> None:
    if not state.accounts:
        problem = f"account {record.account_no} is not known"
        raise BadInput("account_no", problem, "give its row in accounts.csv")
    first_on = state.accounts[0].valid_from_on
    if record.valid_from_on < first_on:
        problem = f"{record.valid_from_on} is before the account, which is known from {first_on} on"
        raise BadInput("valid_from", problem, "correct the day of one of them")


def _check_point(state: Account, record: PointRow) -> None:
    _check_parent(state, record)
    points = _points(state, record.usage_point)
    for before in points[:-1]:
        if before.valid_to_on:
            problem = f"the row from {before.valid_from_on} ends on {before.valid_to_on}"
            raise BadInput("valid_from", problem, "correct that one: only the last row has an end")
    for relation in timeline(state.point_relations, record.entity):
        if relation.valid_from_on < points[0].valid_from_on:
            problem = f"its relation is valid from {relation.valid_from_on} already"
            raise BadInput("valid_from", problem, "correct the relation first")
    meter_chain(state, points)


def _check_relation(state: Account, record: RelationRow) -> None:
    for column, usage_point in _related(record):
        points = _points(state, usage_point)
        if not points:
            problem = f"usage point {usage_point} of account {record.account_no} is not known"
            raise BadInput(column, problem, "give its row in points.csv")
        if record.valid_from_on < points[0].valid_from_on:
            problem = f"{usage_point} is known from {points[0].valid_from_on} on"
            raise BadInput("valid_from", problem, "correct the day of one of them")
    for day_on in sorted({row.valid_from_on for row in state.point_relations}):
        _check_no_circle(state, record.usage_point, day_on)


def _check_component(state: Account, record: ComponentRow) -> None:
    _check_parent(state, record)
    if record.usage_point and not _points(state, record.usage_point):
        problem = f"usage point {record.usage_point} of account {record.account_no} is not known"
        raise BadInput("usage_point", problem, "give its row in points.csv, or leave it empty")


def _related(record: RelationRow) -> Iterator[tuple[str, str]]:
    yield "usage_point", record.usage_point
    if record.parent_point:
        yield "parent_point", record.parent_point


def _check_no_circle(state: Account, usage_point: str, day_on: str) -> None:
    parents: dict[str, str] = {}
    for row in state.point_relations:
        if row.valid_from_on <= day_on:
            parents[row.usage_point] = row.parent_point
    passed = [usage_point]
    while parent := parents.get(passed[-1], ""):
        if parent in passed:
            problem = f"from {day_on} on {' of '.join([*passed, parent])}"
            raise BadInput("parent_point", problem, "a point cannot be part of itself")
        passed.append(parent)


def _check_meter(state: Account, record: MeterRow) -> None:
    for points in points_with(state, record.meter_no):
        meter_chain(state, points)


def _check_happening(state: Account, record: InstallationRow | ExchangeRow) -> None:
    points = _points(state, record.usage_point)
    if not points:
        problem = f"usage point {record.usage_point} is not known"
        raise BadInput("usage_point", problem, "give its row in points.csv")
    meter_chain(state, points)
    if isinstance(record, InstallationRow):
        meters = {"meter_no": record.meter_no}
    else:
        meters = {"old_meter_no": record.old_meter_no, "new_meter_no": record.new_meter_no}
    for column, meter_no in meters.items():
        check_meter_once(state, column, meter_no)


def _points(state: Account, usage_point: str) -> list[PointRow]:
    return [row for row in state.points if row.usage_point == usage_point]


_CHECKS: dict[type[AnyRow], Callable[[Account, Any], None]] = {
    AccountRow: _check_account,
    AgreementRow: _check_parent,
    TransformerRow: _check_parent,
    PointRow: _check_point,
    RelationRow: _check_relation,
    ComponentRow: _check_component,
    ExternalLineRow: _check_parent,
    MeterRow: _check_meter,
    InstallationRow: _check_happening,
    ExchangeRow: _check_happening,
}
