"""One usage point before the core: inputs in, events out, the state folded along the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from libs.events.core import Emit, Item, Tick
from services.validation.area_places import area_places
from services.validation.core import make_core
from services.validation.decide import decide, due
from services.validation.events import (
    Finding,
    QualityFound,
    ReadingAccepted,
    ReadingRejected,
    UsageEstablished,
)
from services.validation.policy import DEFAULT_POLICY, Policy
from services.validation.reactions import (
    DemandPeak,
    ProfileRead,
    RegistersRead,
    SuppliedMeter,
    SupplyPublished,
)
from services.validation.state import Point, evolve
from tests.unit.validation.samples import IMPORT, START_AT, at, day_on

POINT = "P1"
RATES = ("1-0:1.8.1", "1-0:1.8.2")


@dataclass
class Desk:
    """The state of one point, all own events and all usage told to accounts."""

    state: Any = None
    as_of: str = at(400)
    events: list[Any] = field(default_factory=list)
    told: list[tuple[str, UsageEstablished]] = field(default_factory=list)
    areas: list[Emit] = field(default_factory=list)
    shared: Any = None
    policy: Policy = DEFAULT_POLICY

    def get(self, key: str) -> Any:
        return self.state

    def keys(self) -> tuple[str, ...]:
        return (POINT,)

    def keys_due(self, until: str) -> tuple[str, ...]:
        moment = due(self.state, self.policy) if self.state is not None else ""
        return (POINT,) if moment and moment <= until else ()

    def take(self, body: Any) -> list[Any]:
        """One input; the own events that follow."""
        item = Item("any", 0, POINT, "", body, self.as_of)
        emits = list(decide(self, POINT, item, self.policy))
        own = [emit.body for emit in emits if not emit.topic]
        self.areas += [emit for emit in emits if emit.topic == "validation.area_usage"]
        emits = [emit for emit in emits if emit.topic != "validation.area_usage"]
        for emit in emits:
            if emit.topic:
                assert emit.topic == "validation.usage"
                assert emit.key == emit.body.account_no
                self.told.append((emit.key, emit.body))
        for event in own:
            self.state = evolve(self.state, event)
        self.events += own
        usage = [event for event in own if isinstance(event, UsageEstablished)]
        supplies = self.state.supplies if self.state is not None else {}
        if all(place.role != "gate" for place in area_places(supplies)):
            assert usage == [emit.body for emit in emits if emit.topic], "told as established"
        if len(self.events) < 20:
            self.check()
        return own

    def check(self) -> None:
        """The state folded along the way is the state rebuilt."""
        assert self.state == fold(self.events)

    def tick(self, moment: str) -> list[Any]:
        """Business time passes, as the loop would tell it: only when the point is due."""
        self.as_of = moment
        return self.take(Tick(at=moment)) if self.keys_due(moment) else []

    @property
    def point(self) -> Point:
        assert isinstance(self.state, Point)
        return self.state

    def usage(self, account_no: str = "") -> dict[str, UsageEstablished]:
        """The latest revision of every day, by day."""
        return {
            body.day_on: body
            for account, body in self.told
            if not account_no or account == account_no
        }

    def energy(self, account_no: str = "") -> dict[str, int]:
        """Import by day, as it stands."""
        return {day: body.energy[IMPORT] for day, body in sorted(self.usage(account_no).items())}

    def summed(self, account_no: str = "") -> dict[str, int]:
        """Import by day, as a reader sums the changes."""
        sums: dict[str, int] = {}
        for account, body in self.told:
            if not account_no or account == account_no:
                sums[body.day_on] = sums.get(body.day_on, 0) + body.change[IMPORT]
        return dict(sorted(sums.items()))

    def quality(self) -> dict[str, str]:
        return {day: body.quality for day, body in sorted(self.usage().items())}


def fold(events: list[Any]) -> Any:
    """The state of a point from its events."""
    state = None
    for event in events:
        state = evolve(state, event)
    return state


def meter(meter_no: str = "M1", **changes: Any) -> SuppliedMeter:
    """A meter from the first of January, direct, 10 kW."""
    values: dict[str, Any] = {
        "from_at": START_AT,
        "to_at": "",
        "ratio": "1",
        "digits": 6,
        "capacity_w": 10_000,
        "initial": {IMPORT: 0},
        "final": {},
        **changes,
    }
    return SuppliedMeter(meter_no=meter_no, **values)


def supply(*meters: SuppliedMeter, **changes: Any) -> SupplyPublished:
    """Account A1 at the point from the first of January."""
    values: dict[str, Any] = {
        "usage_point": POINT,
        "version": 1,
        "account_no": "A1",
        "area": "T1",
        "voltage_class": "lt1kv",
        "registers": (IMPORT,),
        "rate_periods": {},
        "supplied_from_on": day_on(0),
        "supplied_to_on": "",
        **changes,
    }
    return SupplyPublished(installations=meters or (meter(),), **values)


def reading(day: int, value: int, **changes: Any) -> RegistersRead:
    """The registers at the end of the day so many days after the first of January."""
    values: dict[str, Any] = {
        "reading_id": f"r{day}",
        "usage_point": POINT,
        "meter_no": "M1",
        "kind": "daily_freeze",
        "source": "dlt645_2007",
        "day_on": day_on(day),
        "read_at": at(day + 1, 1),
        "registers": {IMPORT: value},
        **changes,
    }
    return RegistersRead(**values)


def profile(day: int, column: tuple[int | None, ...], **changes: Any) -> ProfileRead:
    """The load profile of a day."""
    values: dict[str, Any] = {
        "reading_id": f"p{day}",
        "usage_point": POINT,
        "meter_no": "M1",
        "day_on": day_on(day),
        "snapshots": {IMPORT: column},
        **changes,
    }
    return ProfileRead(**values)


def peak(demand_w: int, day: int) -> DemandPeak:
    return DemandPeak(register="1-0:1.6.0", demand_w=demand_w, occurred_at=at(day, 10))


def opened(*meters: SuppliedMeter, **changes: Any) -> Desk:
    """A desk that knows the supply."""
    desk = Desk()
    desk.take(supply(*meters, **changes))
    return desk


def names(events: list[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


def only(events: list[Any], kind: type) -> Any:
    """The one event of a kind."""
    found = [event for event in events if isinstance(event, kind)]
    assert len(found) == 1, events
    return found[0]


def rules_of(event: ReadingAccepted | ReadingRejected | QualityFound) -> dict[str, Finding]:
    return {found.rule: found for found in event.findings}


CORE = make_core("test")
