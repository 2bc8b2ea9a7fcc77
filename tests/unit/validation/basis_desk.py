"""One usage point with rates before the whole core of validation: books, tables, profiles."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from libs.events.core import SHARED, Item
from libs.tou_calendar import DAY_TYPES, DayPattern, SlotRange, TouCalendar
from services.validation.events import UsageEstablished
from services.validation.reactions import (
    BookPublished,
    PointTariff,
    ProfileRead,
    PublishedBook,
    PublishedList,
    SlotTableRead,
    SupplyPublished,
)
from services.validation.state import Shared
from tests.unit.validation.desk import CORE, POINT, meter, profile, reading, supply
from tests.unit.validation.samples import IMPORT, at

PEAK, VALLEY = "1-0:1.8.1", "1-0:1.8.2"
PERIODS = {"1": "peak", "2": "valley"}
RIGHT = ("00:00=2", "08:00=1", "22:00=2")
WRONG = ("00:00=2", "07:00=1", "22:00=2")
"""An hour of the valley, 07:00 to 08:00, is counted as peak."""

HOUR_WH = 60
"""Every hour takes the same, so that an hour more or less is easily seen."""


@dataclass
class BasisDesk:
    """Everything that the core decided; `told` is what accounts were given."""

    state: Any = None
    shared: Any = field(default_factory=Shared)
    as_of: str = at(400)
    events: list[Any] = field(default_factory=list)
    told: list[UsageEstablished] = field(default_factory=list)

    def get(self, key: str) -> Any:
        return self.state

    def keys(self) -> tuple[str, ...]:
        return (POINT,) if self.state is not None else ()

    def keys_due(self, until: str) -> tuple[str, ...]:
        due = CORE.due(self.state) if self.state is not None else ""
        return (POINT,) if due and due <= until else ()

    def take(self, *bodies: Any) -> list[Any]:
        """Inputs one after the other; the own events that follow."""
        own = []
        for body in bodies:
            item = Item("any", 0, POINT, "", body, self.as_of)
            for key in CORE.concerned(self, item):
                for emit in CORE.decide(self, key, item):
                    if emit.topic == "validation.area_usage":
                        continue
                    if emit.topic:
                        assert (emit.topic, emit.key) == ("validation.usage", emit.body.account_no)
                        assert emit.body == own[-1], "told as established"
                        self.told.append(emit.body)
                        continue
                    own.append(emit.body)
                    if key == SHARED:
                        self.shared = CORE.evolve(self.shared, emit.body)
                    else:
                        self.state = CORE.evolve(self.state, emit.body)
        self.events += own
        return own

    def usage(self) -> dict[str, UsageEstablished]:
        """The latest revision of every day."""
        return {body.day_on: body for body in self.told}

    def standing(self) -> dict[str, Any]:
        """What counts of every day, in whatever order it came to be."""
        return {
            day_on: (
                body.energy,
                body.quality,
                body.basis is not None and body.basis.blocked,
                sorted(fails(body)),
            )
            for day_on, body in self.usage().items()
        }

    def check_sums(self) -> None:
        """Revisions count on by one, and their changes add up to the last one."""
        sums: dict[str, dict[str, int]] = {}
        revisions: dict[str, int] = {}
        for body in self.told:
            assert body.revision == revisions.get(body.day_on, 0) + 1, body
            revisions[body.day_on] = body.revision
            of_day = sums.setdefault(body.day_on, {})
            for name, wh in body.change.items():
                of_day[name] = of_day.get(name, 0) + wh
        for day_on, body in self.usage().items():
            found = {name: wh for name, wh in sums[day_on].items() if wh}
            assert found == {name: wh for name, wh in body.energy.items() if wh}, day_on


def fails(body: UsageEstablished) -> dict[str, str]:
    """What speaks against the basis of a day: rule and text."""
    return {
        each.rule: each.text
        for each in body.findings
        if each.severity == "fail" and each.rule.startswith("tou_")
    }


def calendar(peak_from: str = "08:00") -> TouCalendar:
    """Peak until 22:00, valley else, every day of the year."""
    slots = (
        SlotRange(start=peak_from, end="22:00", period="peak"),
        SlotRange(start="22:00", end=peak_from, period="valley"),
    )
    months = tuple(range(1, 13))
    return TouCalendar(
        patterns=(DayPattern(name="all", months=months, day_types=DAY_TYPES, slots=slots),)
    )


def book(version: int = 1, **changes: Any) -> BookPublished:
    """The book of the region with one list of two periods."""
    values: dict[str, Any] = {
        "id": "b",
        "version": version,
        "region": "R",
        "from_on": "2020-01-01",
        "until_on": "9999-12-31",
        "price_lists": {"tou": PublishedList(calendar="cal"), "plain": PublishedList()},
        "calendars": {"cal": calendar()},
        **changes,
    }
    return BookPublished(book=PublishedBook(**values), content_hash=f"hash {version}")


def tariff(**changes: Any) -> PointTariff:
    values: dict[str, Any] = {
        "from_on": "2026-01-01",
        "region": "R",
        "price_list": "tou",
        "rate_periods": PERIODS,
        **changes,
    }
    return PointTariff(**values)


def rated(*tariffs: PointTariff, **changes: Any) -> SupplyPublished:
    """Account A1 at the point, two rates."""
    values: dict[str, Any] = {
        "registers": (IMPORT, PEAK, VALLEY),
        "rate_periods": PERIODS,
        "tariffs": tariffs or (tariff(),),
        **changes,
    }
    return supply(meter(initial={IMPORT: 0, PEAK: 0, VALLEY: 0}), **values)


def shown(days: int, peak_hours: int = 14) -> dict[str, int]:
    """The registers after so many days of which so many hours counted as peak."""
    return {
        IMPORT: days * 24 * HOUR_WH,
        PEAK: days * peak_hours * HOUR_WH,
        VALLEY: days * (24 - peak_hours) * HOUR_WH,
    }


def rates_of(day: int, peak_hours: int = 14, **changes: Any) -> Any:
    """The reading of a day, with a clock that is right."""
    values: dict[str, Any] = {"registers": shown(day + 1, peak_hours), "clock_offset_s": 0}
    return reading(day, 0, **{**values, **changes})


def even_profile(day: int, **changes: Any) -> ProfileRead:
    """97 snapshots of a day with the same energy in every interval."""
    begin = day * 24 * HOUR_WH
    return profile(day, tuple(begin + number * HOUR_WH // 4 for number in range(97)), **changes)


def table(slots: tuple[str, ...] = RIGHT, day: int = 0, **changes: Any) -> SlotTableRead:
    """A meter's one day table, read just after the end of a day."""
    values: dict[str, Any] = {
        "reading_id": f"t{day}/{'right' if slots == RIGHT else 'wrong'}",
        "usage_point": POINT,
        "meter_no": "M1",
        "read_at": at(day + 1, 1),
        "zones": ("01-01=1",),
        "day_tables": {"1": slots},
        **changes,
    }
    return SlotTableRead(**values)


def desk(*bodies: Any) -> BasisDesk:
    """A desk that took some inputs."""
    made = BasisDesk()
    made.take(*bodies)
    return made
