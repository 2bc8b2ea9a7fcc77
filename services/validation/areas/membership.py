"""Which points belong to an area or feeder on a day, and what each of them measured that day.

    feeder 10kV-1 ── gate (feeder)            what goes into the feeder
        ├── area A ── gate, members           gate: the meter of the transformer; members: customers
        ├── area B ── gate, members
        └── members without an area           dedicated customers on the feeder itself

A point is in one place at a time; its places follow each other by date (domain.md 5).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from libs.events.errors import BadInput
from services.validation.register_usage import parse_ratio

GATE = "gate"
MEMBER = "member"
ROLES = (GATE, MEMBER)

ACTUAL = "actual"
ESTIMATED = "estimated"
EDITED = "edited"
MISSING = "missing"
QUALITIES = (ACTUAL, ESTIMATED, EDITED, MISSING)
READ = (ACTUAL, EDITED)
"""What counts as read: an edited value is a person's reading."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A point in an area ("" for the feeder itself) from a day to a day ("" while it is there).

    ratio: what the archive says its registers are multiplied by, "" when it does not say;
    has_pv: whether it feeds in, so that its export must be read.
    """

    usage_point: str
    feeder: str
    area: str
    role: str
    from_on: str
    to_on: str = ""
    ratio: str = ""
    has_pv: bool = False

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise BadInput("role", f"{self.role!r} is not known", f"one of {', '.join(ROLES)}")
        if self.to_on and self.to_on < self.from_on:
            fix = "give the last day, or leave it empty"
            raise BadInput("to_on", f"{self.to_on} is before from_on {self.from_on}", fix)
        if self.ratio:
            parse_ratio(self.ratio)

    def holds_on(self, day_on: str) -> bool:
        """Whether the point is there on a day."""
        return self.from_on <= day_on and (not self.to_on or day_on <= self.to_on)


@dataclass(frozen=True, slots=True, kw_only=True)
class PointDay:
    """What a point measured on one day, 00:00 to 24:00 by the same clock, after ratio, in Wh.

    import_wh: None when there is no value at all (quality missing); export_wh: energy fed in, None
    when its register was not read; ratio: what the registers were multiplied by, "" unknown;
    usual_wh and usual_export_wh: a usual day of the point, None unknown; after_exchange: a meter
    exchange lies in the day; rolled_over: a register went over its last digit; clock_offset_s:
    meter time minus ours; current_seen: whether the meter measured a current, None unknown.
    """

    usage_point: str
    import_wh: int | None
    export_wh: int | None = None
    quality: str = ACTUAL
    ratio: str = ""
    usual_wh: int | None = None
    usual_export_wh: int | None = None
    after_exchange: bool = False
    rolled_over: bool = False
    clock_offset_s: int | None = None
    current_seen: bool | None = None

    def __post_init__(self) -> None:
        if self.quality not in QUALITIES:
            fix = f"one of {', '.join(QUALITIES)}"
            raise BadInput("quality", f"{self.quality!r} is not known", fix)
        if (self.import_wh is None) != (self.quality == MISSING):
            fix = "give an energy, or the quality missing"
            raise BadInput("import_wh", f"is {self.import_wh} with {self.quality}", fix)
        for name in ("import_wh", "export_wh", "usual_wh", "usual_export_wh"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise BadInput(name, f"is {value}", "give 0 or more")
        if self.ratio:
            parse_ratio(self.ratio)


Places = dict[str, tuple[Membership, ...]]
"""The places of each usage point, in order of time."""


def places_of(memberships: Iterable[Membership]) -> Places:
    """The places by point; BadInput when a point is in two at once, or an area in two feeders."""
    found: dict[str, list[Membership]] = defaultdict(list)
    feeder_of: dict[str, str] = {}
    for place in memberships:
        found[place.usage_point].append(place)
        if place.area and feeder_of.setdefault(place.area, place.feeder) != place.feeder:
            problem = f"{place.area} is in {feeder_of[place.area]} and in {place.feeder}"
            raise BadInput("area", problem, "give an area one feeder")
    for usage_point, places in found.items():
        places.sort(key=lambda place: place.from_on)
        for earlier, later in pairwise(places):
            if not earlier.to_on or earlier.to_on >= later.from_on:
                problem = f"{usage_point} is in two places on {later.from_on}"
                raise BadInput("from_on", problem, "end the earlier one the day before")
    return {usage_point: tuple(places) for usage_point, places in found.items()}
