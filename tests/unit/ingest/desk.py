"""One usage point before ingest's core: inputs in, events out, the state folded along the way.

What is told of whether the meter answers is in `contacts`, and in nothing that `take` returns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from libs.events.core import Item, Tick
from services.ingest.decide import decide, due
from services.ingest.events import (
    AttemptEnded,
    CommandRefused,
    ContactChanged,
    ProfileRead,
    ReadFailed,
    ReadingOrdered,
    RegistersRead,
    SwitchingReported,
)
from services.ingest.policy import DEFAULT_POLICY, ReadingPolicy
from services.ingest.reactions import SuppliedMeter, SupplyPublished
from services.ingest.state import Point, evolve

POINT = "P1"
IMPORT = "1-0:1.8.0"


def day_on(index: int) -> str:
    """The day so many days after 2026-01-01."""
    return (date(2026, 1, 1) + timedelta(days=index)).isoformat()


def at(day: int, hour: int = 0, minute: int = 0) -> str:
    """An instant by local time, days after 2026-01-01."""
    moment = datetime(2025, 12, 31, 16, tzinfo=UTC) + timedelta(
        days=day, hours=hour, minutes=minute
    )
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def meter(meter_no: str = "M1", **changes: Any) -> SuppliedMeter:
    """A meter on a line, there from the first of January."""
    values: dict[str, Any] = {
        "from_at": at(0),
        "to_at": "",
        "protocol": "dlt645_2007",
        "line": "tcp:127.0.0.1:6001",
        "address": "000000000001",
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
        "switching_method": "meter_relay",
        "registers": (IMPORT,),
        "intervals": False,
        "supplied_from_on": day_on(0),
        "supplied_to_on": "",
        "agreement_version": 1,
        **changes,
    }
    return SupplyPublished(installations=meters or (meter(),), **values)


def reading(day: int, read_at: str, **changes: Any) -> RegistersRead:
    """The freeze of a day."""
    values: dict[str, Any] = {
        "reading_id": f"r{day}",
        "usage_point": POINT,
        "meter_no": "M1",
        "kind": "daily_freeze",
        "source": "dlt645_2007",
        "day_on": day_on(day),
        "order_id": "",
        "registers": {IMPORT: 1_000},
        **changes,
    }
    return RegistersRead(read_at=read_at, **values)


def manual(day: int, **changes: Any) -> RegistersRead:
    """What a person read."""
    given = {"kind": "manual", "source": "manual", "entered_by": "zhou", "reading_id": f"m{day}"}
    return reading(day, at(day + 1), **{**given, **changes})


def profile(day: int) -> ProfileRead:
    return ProfileRead(
        reading_id=f"p{day}",
        usage_point=POINT,
        meter_no="M1",
        source="dlt645_2007",
        day_on=day_on(day),
        read_at=at(day + 1),
        order_id="",
        snapshots={IMPORT: (0,) * 97},
    )


def failure(order: ReadingOrdered, cause: str = "no_reply") -> ReadFailed:
    """An order that gave no reading."""
    return ReadFailed(
        order_id=order.order_id,
        usage_point=order.usage_point,
        meter_no=order.meter_no,
        day_on=order.day_on,
        attempt=order.attempt,
        cause=cause,
        detail="",
        failed_at="",
    )


def ended(outcome: str, state: str, **changes: Any) -> AttemptEnded:
    """What the executor told of a command."""
    values: dict[str, Any] = {
        "command_id": "C1",
        "seq": 1,
        "account_no": "A1",
        "usage_point": POINT,
        "meter_no": "M1",
        "action": "open",
        "detail": "",
        "final": outcome != "unknown",
        "read_back_at": "",
        **changes,
    }
    return AttemptEnded(outcome=outcome, state=state, **values)


def refused(check: str = "supply") -> CommandRefused:
    return CommandRefused(
        command_id="C1",
        seq=1,
        account_no="A1",
        usage_point=POINT,
        meter_no="M1",
        action="open",
        check=check,
        detail="no",
    )


@dataclass
class Desk:
    """The state of one point, all own events and all that control was told."""

    state: Any = None
    as_of: str = at(0)
    events: list[Any] = field(default_factory=list)
    told: list[SwitchingReported] = field(default_factory=list)
    contacts: list[ContactChanged] = field(default_factory=list)
    shared: Any = None
    policy: ReadingPolicy = DEFAULT_POLICY

    def get(self, key: str) -> Any:
        return self.state

    def keys(self) -> tuple[str, ...]:
        return (POINT,)

    def keys_due(self, until: str) -> tuple[str, ...]:
        moment = due(self.state, self.policy) if self.state is not None else ""
        return (POINT,) if moment and moment <= until else ()

    def take(self, body: Any) -> list[Any]:
        """One input; the own events that follow."""
        emits = list(decide(self, POINT, Item("any", 0, POINT, "", body, self.as_of), self.policy))
        own = [emit.body for emit in emits if not emit.topic]
        for emit in emits:
            if emit.topic:
                assert (emit.topic, emit.key) == ("ingest.switching", emit.body.account_no)
                told = self.contacts if isinstance(emit.body, ContactChanged) else self.told
                told.append(emit.body)
        for event in own:
            self.state = evolve(self.state, event)
        self.events += own
        if len(self.events) < 40:
            self.check()
        return [event for event in own if not isinstance(event, ContactChanged)]

    def check(self) -> None:
        """The state folded along the way is the state rebuilt."""
        rebuilt = None
        for event in self.events:
            rebuilt = evolve(rebuilt, event)
        assert rebuilt == self.state

    def tick(self, moment: str) -> list[Any]:
        """Business time passes, as the loop would tell it: only when the point is due."""
        self.as_of = moment
        if not self.keys_due(moment):
            item = Item("any", 0, POINT, "", Tick(at=moment), moment)
            assert decide(self, POINT, item, self.policy) == []
            return []
        own = self.take(Tick(at=moment))
        assert own, "a point that is due has something to decide"
        return own

    @property
    def point(self) -> Point:
        assert isinstance(self.state, Point)
        return self.state


def opened(*meters: SuppliedMeter, **changes: Any) -> Desk:
    """A desk that knows the supply."""
    desk = Desk()
    desk.take(supply(*meters, **changes))
    return desk


def names(events: list[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


def orders(events: list[Any]) -> list[ReadingOrdered]:
    return [event for event in events if isinstance(event, ReadingOrdered)]


def only(events: list[Any], kind: type) -> Any:
    found = [event for event in events if isinstance(event, kind)]
    assert len(found) == 1, events
    return found[0]
