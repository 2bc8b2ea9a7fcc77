"""A day's load profile: 97 register snapshots for 96 intervals, as one columnar block.

    block = session.read_profile("2026-01-31")
    block.registers["1-0:1.8.0"]     # 97 values in Wh, None where the meter has none

Snapshot k is the register at 00:00 + k intervals of that day in the meter's zone; interval k
(1..96) is the difference of snapshots k and k-1, labelled by its end. Differences are validation's:
a power curve (class 2) is another quantity and is never made into energy here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.identifiers import FORMATS
from services.ingest.protocols.dlt645.load_records import (
    AT_TIME,
    CLASSES,
    LoadRecord,
    class_items,
    decode_load_records,
)
from services.ingest.protocols.dlt645.requests import load_record_extra
from services.ingest.protocols.dlt645.values import instant
from services.ingest.protocols.failures import BadReply, Exchange

if TYPE_CHECKING:
    from services.ingest.protocols.session import MeterSession

MINUTES_PER_DAY = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileBlock:
    """One day of snapshots of one meter.

    registers: per OBIS code one value per snapshot, in `units` of 1/`scales`; None is no value.
    bad: per OBIS code the snapshots (by index) that came but are no value, with the reason.
    off_grid: times of records that lie on no snapshot of the day: never silently dropped.
    """

    address: str
    day_on: str
    first_at: str
    interval_s: int
    snapshots: int
    registers: dict[str, tuple[int | None, ...]]
    units: dict[str, str]
    scales: dict[str, int]
    bad: dict[str, dict[str, str]]
    off_grid: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    exchanges: tuple[Exchange, ...] = ()


@dataclass(slots=True)
class _Columns:
    """The block while it is filled."""

    first: datetime
    interval: timedelta
    registers: dict[str, list[int | None]]
    bad: dict[str, dict[str, str]]
    off_grid: list[str]

    def add(self, record: LoadRecord, zone_minutes: int) -> None:
        """Put one record's quantities at their place."""
        place, rest = divmod(record.civil - self.first, self.interval)
        count = len(next(iter(self.registers.values()))) if self.registers else 0
        if rest or not 0 <= place < count:
            self.off_grid.append(instant(record.civil, zone_minutes))
            return
        for quantity in record.quantities:
            column = self.registers[quantity.obis]
            if quantity.bad:
                self.bad.setdefault(quantity.obis, {})[str(place)] = quantity.bad
            elif column[place] not in (None, quantity.value):
                raise BadReply(f"two records of {record.civil:%Y-%m-%d %H:%M} that differ")
            else:
                column[place] = quantity.value


def read_profile(session: MeterSession, day_on: str) -> ProfileBlock:
    """All snapshots of one day, class by class, from the meter's stored records.

    A class the meter refuses leaves its columns empty and its error bits in `refused`. Raises
    NoReply, BadReply or LineDown as `MeterSession.read` does.
    """
    session.take_exchanges()
    profile = session.profile
    first = datetime.combine(_parse_day(day_on), time())
    interval = timedelta(minutes=profile.load_interval_minutes)
    count = MINUTES_PER_DAY // profile.load_interval_minutes + 1
    items = [item for number in profile.load_classes for item in class_items(number, profile)]
    columns = _Columns(first, interval, {item.obis: [None] * count for item in items}, {}, [])
    refused: set[str] = set()
    for number in profile.load_classes:
        assert number in CLASSES, f"{number} is no load-profile class"
        refused.update(_read_class(session, number, columns, count))
    return ProfileBlock(
        address=str(session.address),
        day_on=day_on,
        first_at=instant(first, profile.zone_minutes),
        interval_s=int(interval.total_seconds()),
        snapshots=count,
        registers={obis: tuple(column) for obis, column in columns.registers.items()},
        units={item.obis: item.unit for item in items},
        scales={item.obis: FORMATS[item.format].scale for item in items},
        bad=columns.bad,
        off_grid=tuple(sorted(set(columns.off_grid))),
        refused=tuple(sorted(refused)),
        exchanges=session.take_exchanges(),
    )


def _read_class(
    session: MeterSession, number: int, columns: _Columns, count: int
) -> tuple[str, ...]:
    """Ask for the day's records in portions; the refusal, if any."""
    profile = session.profile
    step = profile.load_records_per_request
    di = f"06{number:02X}{AT_TIME}"
    seen = False
    for place in range(0, count, step):
        civil = columns.first + place * columns.interval
        extra = load_record_extra(min(step, count - place), civil)
        payload, refused = session.read_with_follow_up(di, extra)
        if refused == ("no_such_data",):
            # The meter began later in the day, had no power for a while, or the day is not over.
            continue  # what is not there stays empty
        if refused:
            return refused
        seen = True
        try:
            for record in decode_load_records(payload, number, profile):
                columns.add(record, profile.zone_minutes)
        except BadReply as error:
            raise session.bad_reply(error.problem) from None
    return () if seen else ("no_such_data",)


def _parse_day(day_on: str) -> date:
    try:
        return date.fromisoformat(day_on)
    except ValueError:
        raise BadInput("day_on", f"{day_on!r} is no date", "write it like 2026-01-31") from None
