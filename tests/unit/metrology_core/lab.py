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
from services.metrology.events import CaseDecided, RunGarbled, RunMeasured
from services.metrology.reactions import MeterPublished, MeterUse
from services.metrology.state import Meter
from tests.unit.metrology.samples import PLAN, bench_run

FAST = tuple(replace(point, error_e4_pct=30_000) for point in PLAN)
SLOW = tuple(replace(point, error_e4_pct=-30_000) for point in PLAN)


def use(
    point: str = "P1", account: str = "A1", from_on: str = "2024-01-01", to_on: str = ""
) -> MeterUse:
    """A use from the beginning of one day to the beginning of another."""
    return MeterUse(
        usage_point=point,
        account_no=account,
        from_at=_begin(from_on),
        to_at=_begin(to_on) if to_on else "",
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
    return RunMeasured(run=bench_run(**changes), lines=(), received_at="2026-03-01T03:00:00Z")


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


class Lab:
    """One partition of the core. `feed` gives the own events, `told` what went to billing."""

    def __init__(self) -> None:
        self.core = make_core("test")
        self.fold = Fold(self.core, 0)
        self.codec = Codec(self.core.catalogue)
        self.log: list[tuple[str, Any]] = []
        self.told: list[tuple[str, Any]] = []

    def feed(self, *bodies: Any, key: str = "M1") -> list[Any]:
        found = []
        for body in bodies:
            kind = self.core.catalogue.type_of(body)
            read = self.codec.decode(kind.full_name, encode(body))
            item = Item("input", len(self.log), key, kind.name, read, "2026-03-01T03:00:00Z")
            for emit in self.core.decide(self.fold, key, item):
                name = self.core.catalogue.type_of(emit.body).full_name
                assert self.codec.decode(name, encode(emit.body)) == emit.body
                if emit.topic:
                    assert emit.topic == "metrology.findings"
                    self.told.append((emit.key, emit.body))
                    continue
                self.log.append((key, emit.body))
                self.fold.apply(key, emit.body)
                found.append(emit.body)
        return found

    @property
    def meter(self) -> Meter:
        state = self.fold.get("M1")
        assert isinstance(state, Meter)
        return state

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
