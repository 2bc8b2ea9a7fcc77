"""The executor under crashes, stalls and takeovers: what it must never do to a relay.

Two executors share two partitions of commands; processes die before and after every call of the
log, before and after the wire, and freeze between the written attempt and the wire to wake up when
another has taken over. The mutants take each answer out in turn and must be noticed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from libs.events import effects as effects_module
from libs.events.effects import EffectLoop, TooLate
from libs.events.errors import Refused
from libs.events.fold import Fold
from libs.events.loop import Loop
from libs.events.testing.driver import Faults
from libs.events.testing.laws import check
from services.ingest.effect import decide as decisions
from services.ingest.effect.decide import ReadBack
from services.ingest.events import AttemptEnded, CommandRefused
from tests.simulation import relays
from tests.simulation.relays import Wire, check_commands, live, new_wire, settle

SEEDS = 200
TURNS = 32
Mutant = Callable[[pytest.MonkeyPatch], None]


def run_history(seed: int, faults: Faults | None = None, turns: int = TURNS) -> Wire:
    wire = new_wire(seed, faults)
    live(wire, turns)
    settle(wire)
    return wire


def check_all(wire: Wire) -> None:
    check_commands(wire)
    check(wire.sim, {})


REACHED: dict[str, int] = {}


def note_reached(wire: Wire) -> None:
    for name, count in wire.sim.counts.items():
        REACHED[name] = REACHED.get(name, 0) + count
    for point in relays.POINTS:
        for event in wire.results(point):
            match event:
                case CommandRefused():
                    name = event.check
                case AttemptEnded():
                    name = event.outcome
                case _:
                    name = type(event).__name__
            REACHED[name] = REACHED.get(name, 0) + 1


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_history_hurts_a_relay(seed: int) -> None:
    wire = run_history(seed)
    check_all(wire)
    note_reached(wire)


def test_the_histories_reach_every_check_and_every_outcome() -> None:
    """Over all seeds: what never happens is not tested."""
    for seed in range(0 if REACHED else SEEDS):
        note_reached(run_history(seed))
    wanted = {
        *(decisions.CHECKS.keys() - {"action", "switching_method"}),
        "cancelled",
        "too_late",
        "confirmed",
        "waiting_for_button",
        "not_confirmed",
        "unknown",
        "AttemptStarted",
        "PlaceNoted",
        "SimCrash",
        "stall",
        "replaced",
        "Fenced",
        "Unknown",
    }
    assert wanted <= REACHED.keys(), wanted - REACHED.keys()


# -- without its answer, each trap must be noticed ------------------------------------------------


def sent_again_after_a_crash(patch: pytest.MonkeyPatch) -> None:
    """A started attempt without an outcome is sent again."""
    original = decisions.action

    def action(view: Any, key: str, item: Any, fresh: bool, policy: Any) -> Any:
        return original(view, key, item, True, policy)

    patch.setattr(decisions, "action", action)


def written_after_the_wire(patch: pytest.MonkeyPatch) -> None:
    """The attempt is written in one transaction with its outcome."""

    def act(
        self: EffectLoop,
        batch: Any,
        fold: Fold,
        reading: Any,
        key: str,
        index: int,
        done_key: str | None,
        *,
        fresh: bool,
    ) -> Any:
        core: Any = self.core
        while (request := core.action(fold, key, reading.item, fresh)) is not None:
            emits = core.conclude(fold, key, reading.item, self.perform(request))
            index = batch.write(fold, reading, key, emits, index)
            fresh = False
        return batch, index

    patch.setattr(EffectLoop, "_act", act)


def never_too_late(patch: pytest.MonkeyPatch) -> None:
    """A frozen process that was not replaced sends, however old its attempt is."""
    original = relays.executor.make_core
    patch.setattr(
        relays.executor,
        "make_core",
        lambda decider="": dataclasses.replace(original(decider), act_within_s=1e9),
    )


def a_look_can_be_too_late(patch: pytest.MonkeyPatch) -> None:
    """A look after a crash that came late is taken for "not sent"."""
    original = relays.Performer.__call__

    def call(self: relays.Performer, request: Any) -> Any:
        waited_ms = self.wire.sim.broker.now_ms - self.wire.committed[id(self.log)]
        if isinstance(request, ReadBack) and waited_ms > 5_000:
            return TooLate(waited_ms / 1000)
        return original(self, request)

    patch.setattr(relays.Performer, "__call__", call)


def group_not_asked(patch: pytest.MonkeyPatch) -> None:
    """Whether the partition is still ours is not asked between the written attempt and the wire."""
    patch.setattr(EffectLoop, "_keep_alive", lambda self: True)


def frame_without_time(patch: pytest.MonkeyPatch) -> None:
    """The frame carries no valid-until: the meter takes it whenever it comes."""
    patch.setattr(relays, "frame_valid_until", lambda request: "9999-12-31T00:00:00Z")


def final_before_its_time(patch: pytest.MonkeyPatch) -> None:
    """A relay that has not moved yet is called not confirmed while the frame may still act."""
    patch.setattr(decisions, "read_back_after", lambda at, margin_min: "1970-01-01T00:00:00Z")


def no_margin_for_clocks(patch: pytest.MonkeyPatch) -> None:
    """The read-back is final at the valid-until itself, by our clock."""
    patch.setattr(decisions, "read_back_after", lambda at, margin_min: at)


def no_last_word(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks at what stands in the topics just before the wire."""
    patch.setattr(relays, "last_word", lambda *given: ("", ""))


def without_check(name: str) -> Mutant:
    """One of the executor's checks is gone."""

    def mutant(patch: pytest.MonkeyPatch) -> None:
        patch.setitem(decisions.CHECKS, name, lambda place, command, now: "")

    mutant.__name__ = f"no_check_of_{name}"
    return mutant


def a_repeated_command_is_decided_again(patch: pytest.MonkeyPatch) -> None:
    """The command that was concluded last is not recognised when it comes once more."""
    from services.ingest.effect import state

    original = state._above
    patch.setattr(
        state,
        "_above",
        lambda place, event: dataclasses.replace(original(place, event), last_command_id=""),
    )


def open_decision_forgotten(patch: pytest.MonkeyPatch) -> None:
    """After a crash the input that was being acted on is forgotten."""

    def finish(self: Loop, fold: Fold) -> bool:
        fold.pending = None
        return True

    patch.setattr(Loop, "_finish_pending", finish)


def keys_done_forgotten(patch: pytest.MonkeyPatch) -> None:
    """The index of a resumed decision restarts, so ids occur twice."""
    original = effects_module.Pending
    patch.setattr(effects_module, "Pending", lambda **given: original(**{**given, "next_index": 0}))


def later_inputs_while_resuming(patch: pytest.MonkeyPatch) -> None:
    """A resumed decision polls on, past inputs that its turn has polled and not decided."""
    patch.setattr(EffectLoop, "_finish_pending", Loop._finish_pending)


def cancellations_of_closes_unread(patch: pytest.MonkeyPatch) -> None:
    """The last look before the wire misses the topic of the reconnections."""
    ahead = EffectLoop.ahead

    def without(self: EffectLoop, fold: Fold, topic: str, key: str | None) -> list[Any]:
        return [] if topic == relays.executor.RECONNECTIONS else ahead(self, fold, topic, key)

    patch.setattr(EffectLoop, "ahead", without)


MUTANTS: tuple[Mutant, ...] = (
    sent_again_after_a_crash,
    written_after_the_wire,
    never_too_late,
    a_look_can_be_too_late,
    group_not_asked,
    frame_without_time,
    final_before_its_time,
    no_margin_for_clocks,
    no_last_word,
    without_check("seq"),
    without_check("attempt_open"),
    without_check("clearance"),
    without_check("expired"),
    without_check("supply"),
    a_repeated_command_is_decided_again,
    open_decision_forgotten,
    keys_done_forgotten,
    later_inputs_while_resuming,
    cancellations_of_closes_unread,
)


def is_noticed(seeds: Sequence[int]) -> bool:
    """Whether a history under the mutant breaks a law, or ends in a refusal to run.

    Nothing else counts: a mutant that the harness stumbles over was not noticed by any law.
    """
    for seed in seeds:
        try:
            check_all(run_history(seed))
        except (AssertionError, Refused):
            return True
    return False


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_without_its_answer_a_trap_is_noticed(
    mutant: Mutant, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    assert is_noticed(range(SEEDS)), f"{mutant.__name__} went unnoticed"
