"""A reconnection is carried out before every disconnection that waits, not in order of arrival.

The meters do not answer, so each disconnection takes its time at the wire; the reconnection comes
when fifty of them are polled already, or lies behind them from the start.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from libs.events.record import partition_of
from libs.events.testing.driver import Faults
from libs.events.testing.laws import check
from tests.simulation import relays
from tests.simulation.relays import PARTITIONS, Relay, Wire, check_commands, new_wire, settle

OPENS = 50
CALM = Faults(0, 0, 0, 0, 0, 0, 0, 0, 0)
VALID_S, SENT_MS = 3_600, 900
"""How long a command holds, and how long a silent meter holds the wire."""


def silent_town(monkeypatch: pytest.MonkeyPatch, seed: int) -> tuple[Wire, list[str], str]:
    """Fifty points with silent meters and one whose relay is open, all in one partition."""
    names = (f"S{number}" for number in range(1000))
    points = [name for name in names if partition_of(name, PARTITIONS) == 0][: OPENS + 1]
    monkeypatch.setattr(relays, "POINTS", tuple(points))
    wire = new_wire(seed, CALM)
    *silent, dark = points
    for point in silent:
        wire.relays[point] = Relay(mode="silent")
    wire.relays[dark] = Relay(state="open")
    wire.sim.broker.advance(60_000)  # it is after the first tick
    wire.sim.finish()
    return wire, silent, dark


def sent_before_the_close(
    monkeypatch: pytest.MonkeyPatch, seed: int, *, comes_after: int | None
) -> int:
    """How many disconnections went out before the reconnection, which comes while the one after
    `comes_after` others is at the wire; None: it was written right behind the fifty."""
    wire, silent, dark = silent_town(monkeypatch, seed)
    for point in silent:
        wire.issue(point, "open", valid_s=VALID_S)
    if comes_after is None:
        wire.issue(dark, "close", valid_s=VALID_S)
    take = Relay.take

    def slow(self: Relay, *given: Any) -> bool | None:
        if len(wire.sent) - 1 == comes_after:
            wire.issue(dark, "close", valid_s=VALID_S)
        wire.sim.broker.advance(SENT_MS)
        return take(self, *given)

    monkeypatch.setattr(Relay, "take", slow)
    settle(wire)
    check_commands(wire)
    check(wire.sim, {})
    actions = [frame.command.action for frame in wire.sent]
    assert sorted(actions) == ["close"] + ["open"] * OPENS
    assert wire.relays[dark].state == "closed"
    return actions.index("close")


@pytest.mark.parametrize("seed", range(5))
def test_a_close_overtakes_the_opens_that_wait(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    with monkeypatch.context() as patch:
        # What the first poll gave may be an open alone: that one is at the wire already.
        assert sent_before_the_close(patch, seed, comes_after=None) <= 1
    with monkeypatch.context() as patch:
        assert sent_before_the_close(patch, seed, comes_after=7) == 8


def test_without_precedence_it_waits_in_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests above look at what the precedence does, and at nothing else."""
    make_core = relays.executor.make_core
    monkeypatch.setattr(
        relays.executor,
        "make_core",
        lambda decider="": dataclasses.replace(make_core(decider), precedence=()),
    )
    assert sent_before_the_close(monkeypatch, 0, comes_after=7) == OPENS
