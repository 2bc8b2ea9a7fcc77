"""What is known of one account: the rows that were taken, and the versions that were published.

What a key costs, as measured: a household (one usage point, one meter) has five rows, 3.4 kB in
memory and 1.3 kB in a checkpoint; an industrial account with two points and two transformers 7.5 kB
and 2.5 kB. 250,000 accounts are 0.9 GB over all partitions. A key grows by the rows of changes:
0.3 a year for a household (0.2 kB), one to four a year for an industrial account, and twelve (3 kB)
where the trading centre settles a line of every month.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from services.customers.columns import FILES, WAS, RowText, read_row
from services.customers.days import day_start_at
from services.customers.events import OpeningTaken, PublicationNoted, Row, RowTaken
from services.customers.openings import fingerprint
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


@dataclass(frozen=True, slots=True)
class Shared:
    """Nothing is shared between accounts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The rows by file, each sorted by entity and day; and what was published, as of `day_on`.

    wrong_days: days that a correction said were wrong, as `file entity day`, so that an old import
    cannot bring them back; opening: the fingerprint of the opening position, "" while none was
    taken.
    """

    accounts: tuple[AccountRow, ...] = ()
    agreements: tuple[AgreementRow, ...] = ()
    transformers: tuple[TransformerRow, ...] = ()
    points: tuple[PointRow, ...] = ()
    point_relations: tuple[RelationRow, ...] = ()
    account_components: tuple[ComponentRow, ...] = ()
    external_lines: tuple[ExternalLineRow, ...] = ()
    meters: tuple[MeterRow, ...] = ()
    installations: tuple[InstallationRow, ...] = ()
    exchanges: tuple[ExchangeRow, ...] = ()
    wrong_days: tuple[str, ...] = ()
    day_on: str = ""
    agreement_version: int = 0
    supply_versions: dict[str, int] = field(default_factory=dict)
    meter_versions: dict[str, int] = field(default_factory=dict)
    opening: str = ""


def evolve(state: Any, event: Any) -> Any:
    """The state after an own event."""
    match event:
        case RowTaken():
            return _with_taken(state or Account(), event.row)
        case PublicationNoted():
            return replace(
                state,
                day_on=event.day_on,
                agreement_version=event.agreement_version,
                supply_versions={**state.supply_versions, **event.supply_versions},
                meter_versions={**state.meter_versions, **event.meter_versions},
            )
        case OpeningTaken():
            return replace(state, opening=fingerprint(event.opening))
        case _:
            return state


def due(state: Account) -> str:
    """When a row comes into force that changes what stands today at a point or meter."""
    rows: list[AnyRow] = [*state.agreements, *state.points, *state.meters]
    rows += [*state.installations, *state.exchanges]
    later = [row.valid_from_on for row in rows if row.valid_from_on > state.day_on]
    return day_start_at(min(later)) if later else ""


def row_text(row: Row) -> RowText:
    """A submitted row as `columns.read_row` takes it."""
    return RowText(row.file, row.valid_from_on, row.kind, row.values)


def with_row(state: Account, file: str, record: AnyRow, replaced_on: str) -> Account:
    """The state with a row in place of the one of its entity that is valid from `replaced_on`."""
    known: tuple[AnyRow, ...] = getattr(state, file)
    kept = [row for row in known if (row.entity, row.valid_from_on) != (record.entity, replaced_on)]
    ordered = sorted([*kept, record], key=lambda row: (row.entity, row.valid_from_on))
    wrong = set(state.wrong_days)
    if replaced_on != record.valid_from_on:
        wrong.add(wrong_day(file, record, replaced_on))
    wrong.discard(wrong_day(file, record, record.valid_from_on))
    changed: dict[str, Any] = {file: tuple(ordered), "wrong_days": tuple(sorted(wrong))}
    return replace(state, **changed)


def wrong_day(file: str, record: AnyRow, day_on: str) -> str:
    """How `wrong_days` names a day of a row's entity."""
    return f"{file} {record.entity} {day_on}"


def timeline(known: Sequence[Any], entity: str) -> list[Any]:
    """The rows of one entity, by day."""
    return [row for row in known if row.entity == entity]


def in_force(rows: Sequence[Any], day_on: str) -> Any:
    """The row that holds on a day: the last that began, before the first one the first."""
    begun = [row for row in rows if row.valid_from_on <= day_on]
    return begun[-1] if begun else rows[0]


def closed_on(state: Account) -> str:
    """The first day on which the customer is gone, "" while there."""
    return state.accounts[-1].moved_out_on if state.accounts else ""


def supplied_span(state: Account, points: Sequence[PointRow]) -> tuple[str, str]:
    """From which day to before which ("" open) the account is supplied at a point."""
    ends = [end for end in (points[-1].valid_to_on, closed_on(state)) if end]
    from_on = points[0].valid_from_on
    return from_on, max(from_on, min(ends)) if ends else ""


def _with_taken(state: Account, row: Row) -> Account:
    assert row.file in FILES, row.file
    read = read_row(row_text(row))
    assert read.record is not None, f"a row was taken that cannot be read: {read.problems}"
    return with_row(state, row.file, read.record, row.values.get(WAS, row.valid_from_on))
