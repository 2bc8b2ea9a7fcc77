"""Small builders for the tests: one point, one meter, whole days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from services.validation.estimation import DayUsage
from services.validation.register_usage import Installation, Snapshot

IMPORT = "1-0:1.8.0"
START_AT = "2025-12-31T16:00:00Z"


def at(day: int, hour: int = 0) -> str:
    """The instant so many days and hours after 2026-01-01 00:00 in Shanghai."""
    instant = datetime(2025, 12, 31, 16, tzinfo=UTC) + timedelta(days=day, hours=hour)
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def day_on(index: int) -> str:
    """The day so many days after 2026-01-01, a Thursday."""
    return (date(2026, 1, 1) + timedelta(days=index)).isoformat()


def snapshot(day: int, value: int, meter_no: str = "M1", **others: int) -> Snapshot:
    """A reading at the start of a day: import total, and rates as rate1=..., rate2=..."""
    registers = {IMPORT: value}
    for name, reading in others.items():
        registers[f"1-0:1.8.{name.removeprefix('rate')}"] = reading
    return Snapshot(meter_no=meter_no, taken_at=at(day), registers=registers)


def installed(meter_no: str = "M1", **changes: object) -> Installation:
    """An installation since the start with 10 kW, unless said otherwise."""
    values: dict[str, object] = {"from_at": START_AT, "capacity_w": 10_000, **changes}
    return Installation(meter_no=meter_no, **values)  # type: ignore[arg-type]


def actual_day(index: int, **energy_wh: int) -> DayUsage:
    """An actual day: total=..., rate1=..., rate2=..."""
    energy = {
        f"1-0:1.8.{name.removeprefix('rate') if name != 'total' else 0}": value
        for name, value in energy_wh.items()
    }
    return DayUsage(day_on=day_on(index), energy=energy, quality="actual")
