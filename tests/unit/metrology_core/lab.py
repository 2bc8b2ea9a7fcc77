"""A metrology core in memory, and small inputs for it.

Meter M1 is of class 1 and was at point P1 of account A1 from 1 January 2024 on. A fast run measures
+3.0 % everywhere; the later half of the 790 days to its measurement on 1 March 2026 is 395 days.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from libs.events.codec import Codec, encode, encode_state, state_decoder
from libs.events.core import SHARED, Item, Tick
from libs.events.fold import Fold
from services.metrology.core import make_core
from services.metrology.device_store import DeviceMove
from services.metrology.events import (
    CaseDecided,
    MoveRequested,
    RunGarbled,
    RunMeasured,
    SealReported,
    StandardRegistered,
)
from services.metrology.policy import DEFAULT_POLICY, Policy
from services.metrology.reactions import MeterPublished, MeterUse
from services.metrology.seal_custody import SealEvent
from services.metrology.standards_register import CertifiedStandard
from services.metrology.state import Entry, Meter
from tests.unit.metrology.samples import PLAN, bench_run

FAST = tuple(replace(point, error_e4_pct=30_000) for point in PLAN)
SLOW = tuple(replace(point, error_e4_pct=-30_000) for point in PLAN)


def use(
    point: str = "P1",
    account: str = "A1",
    from_on: str = "2024-01-01",
    to_on: str = "",
    removed_on: str = "",
) -> MeterUse:
    """A use from the beginning of one day to the beginning of another."""
    return MeterUse(
        usage_point=point,
        account_no=account,
        from_at=_begin(from_on),
        to_at=_begin(to_on) if to_on else "",
        removed_at=_begin(removed_on) if removed_on else "",
    )


def _begin(on: str) -> str:
    return f"{date.fromisoformat(on) - timedelta(days=1)}T16:00:00Z"


def meter(*uses: MeterUse, version: int = 1, account: str = "A1", **changes: Any) -> MeterPublished:
    values: dict[str, Any] = {
        "meter_no": "M1",
        "version": version,
        "account_no": account,
        "accuracy_class": "1",
        "connection": "direct",
        "verified_on": "",
        "uses": uses or (use(account=account),),
        **changes,
    }
    return MeterPublished(**values)


def run(**changes: Any) -> RunMeasured:
    """A run that was received when it was measured."""
    body = bench_run(**changes)
    return RunMeasured(run=body, lines=(), received_at=body.measured_at)


def fast(**changes: Any) -> RunMeasured:
    return run(points=FAST, **changes)


def garbled() -> RunGarbled:
    return RunGarbled(
        run_id="B1-0009",
        meter_no="M1",
        line="{",
        problem="line: is no JSON",
        received_at="2026-03-01T03:00:00Z",
    )


def decision(
    case_id: str = "B1-0001/P1/2024-01-01", word: str = "approved", by: str = "head"
) -> CaseDecided:
    return CaseDecided(
        case_id=case_id, meter_no="M1", decision=word, decided_by=by, reason="certificate"
    )


def standard(
    kind: str = "bench", number: str = "B1", by: str = "li", **changes: Any
) -> StandardRegistered:
    """A certificate of bench B1 or reference R1, as `bench_run` states the latter."""
    values: dict[str, Any] = {
        "kind": kind,
        "standard_no": number,
        "certificate_no": f"Z-{number}",
        "accuracy_class": "0.05",
        "from_on": "2024-01-01",
        "due_on": "2026-12-31",
        **changes,
    }
    return StandardRegistered(
        standard=CertifiedStandard(**values), registered_by=by, registered_at=AT
    )


def move(action: str, on: str = "2026-01-01", **changes: Any) -> MoveRequested:
    """A move of device M1 at 10:00 of a day; the request is named by both."""
    values: dict[str, Any] = {
        "device_no": "M1",
        "action": action,
        "by": "li",
        "at": f"{on}T02:00:00Z",
        "place": "shelf 1",
        "reason": "because",
    }
    rating = {
        name: changes.pop(name) for name in ("accuracy_class", "connection") if name in changes
    }
    request_id = changes.pop("request_id", f"{action}/{on}")
    asked_at = changes.pop("requested_at", "")
    body = DeviceMove(**{**values, **changes})
    at = asked_at or max(AT, body.at)
    return MoveRequested(request_id=request_id, move=body, requested_at=at, **rating)


def seal(action: str, on: str = "2026-01-01", **changes: Any) -> SealReported:
    """An entry of seal S1 at 10:00 of a day; the request is named by both."""
    needed: dict[str, dict[str, Any]] = {
        "issue": {"kind": "verification", "holder": "li"},
        "hand_over": {"holder": "zhou"},
        "apply": {"device_no": "M1", "location": "terminal cover"},
        "break": {"device_no": "M1", "reason": "cut open", "photo": "p.jpg"},
        "remove": {"device_no": "M1", "reason": "exchange"},
    }
    values: dict[str, Any] = {
        "seal_no": "S1",
        "action": action,
        "by": "li",
        "at": f"{on}T02:00:00Z",
        **needed.get(action, {"reason": "because"}),
    }
    request_id = changes.pop("request_id", f"{action}/{on}")
    reported_at = changes.pop("reported_at", "")
    entry = SealEvent(**{**values, **changes})
    at = reported_at or max(AT, entry.at)
    return SealReported(request_id=request_id, entry=entry, reported_at=at)


AT = "2026-03-01T03:00:00Z"
STANDARDS = (standard(), standard("reference_meter", "R1"))


class Lab:
    """One partition of the core. `feed` gives the own events, `told` what went to billing; its
    bench and reference are registered unless it is `bare`."""

    def __init__(self, policy: Policy = DEFAULT_POLICY, *, bare: bool = False) -> None:
        self.core = make_core("test", policy=policy)
        self.fold = Fold(self.core, 0)
        self.codec = Codec(self.core.catalogue)
        self.log: list[tuple[str, Any]] = []
        self.told: list[tuple[str, Any]] = []
        if not bare:
            self.feed(*STANDARDS)

    def feed(self, *bodies: Any, key: str = "M1") -> list[Any]:
        found = []
        for body in bodies:
            kind = self.core.catalogue.type_of(body)
            read = self.codec.decode(kind.full_name, encode(body))
            item = Item("input", len(self.log), key, kind.name, read, AT)
            for concerned in sorted(set(self._concerned(key, item))):
                found += self._decide(concerned, item)
        return found

    def _concerned(self, key: str, item: Item) -> Any:
        """As the loop asks; but a tick is put to the key, due or not."""
        if isinstance(item.body, Tick):
            return (key,)
        return self.core.concerned(self.fold, item)

    def _decide(self, key: str, item: Item) -> list[Any]:
        found = []
        again: list[tuple[str, Any]] = []
        for emit in self.core.decide(self.fold, key, item):
            name = self.core.catalogue.type_of(emit.body).full_name
            assert self.codec.decode(name, encode(emit.body)) == emit.body
            if emit.topic == "metrology.custody":
                again.append((emit.key, emit.body))
            elif emit.topic:
                assert emit.topic == "metrology.findings"
                self.told.append((emit.key, emit.body))
            else:
                self.log.append((key, emit.body))
                self.fold.apply(key, emit.body)
                found.append(emit.body)
        for other, body in again:
            self.feed(body, key=other)
        return found

    def ticks(self, *instants: str) -> list[Any]:
        """What the loop decides at these ticks: only what is due."""
        found = []
        for at in instants:
            item = Item("calendar", 0, "", "clock.ticked", Tick(at=at), at)
            for key in self.core.concerned(self.fold, item):
                found += self._decide(key, item)
        return found

    @property
    def meter(self) -> Meter:
        state = self.fold.get("M1")
        assert isinstance(state, Entry)
        return state.meter

    def of(self, kind: type) -> list[Any]:
        return [body for _, body in self.log if isinstance(body, kind)]

    def check_folds(self) -> None:
        """Live = rebuilt = through the bytes of a checkpoint."""
        again = Fold(self.core, 0)
        for key, body in self.log:
            again.apply(key, body)
        assert again.states == self.fold.states
        for key, state in self.fold.states.items():
            kind = self.core.state_types[0 if key == SHARED else 1]
            assert state_decoder(kind)(encode_state(state)) == state


def a_tick() -> Tick:
    return Tick(at="2026-03-02T00:00:00Z")
