"""The state of one partition: a fold of its own events, with an undo for the open transaction.

States of keys are immutable, so the undo of a transaction is the old state of each key it touched.
The index of deadlines is derived from the states and never stored.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from libs.events.core import SHARED, Core
from libs.events.errors import Refused
from libs.events.step import EPOCH, Pending, StepTaken

_UNSET = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a fold stands: the next own offset, input positions, business time, open decision."""

    own_next: int = 0
    positions: dict[str, int] = field(default_factory=dict)
    as_of: str = EPOCH
    pending: Pending | None = None


class Fold:
    """The folded state of partition `number` of a core."""

    def __init__(self, core: Core, number: int) -> None:
        self.core = core
        self.number = number
        self.states: dict[str, Any] = {SHARED: core.initial_shared}
        self.own_next = 0
        self.positions: dict[str, int] = {}
        self.as_of = EPOCH
        self.pending: Pending | None = None
        self.dirty: set[str] = set()
        self.saved: int | None = None  # the position of the checkpoint that `dirty` counts from
        self._undo: dict[str, Any] = {}
        self._before = self.standing()
        self._due_of: dict[str, str] = {}
        self._due: list[tuple[str, str]] = []
        self._due_unknown: set[str] = set()

    @property
    def shared(self) -> Any:
        """The state of the partition itself."""
        return self.states[SHARED]

    def get(self, key: str) -> Any:
        """The state of a key, None when it has none."""
        return self.states.get(key)

    def keys(self) -> Sequence[str]:
        """All keys but the partition itself, sorted."""
        return sorted(key for key in self.states if key != SHARED)

    def keys_due(self, until: str) -> Sequence[str]:
        """The keys whose deadline is at or before `until`, sorted by key."""
        # A key changes many times between two ticks, and nobody asks for its deadline meanwhile.
        for key in self._due_unknown:
            self._index(key, self.states.get(key))
        self._due_unknown.clear()
        found = set()
        for at, key in self._due:
            if at > until:
                break
            if self._due_of.get(key) == at:
                found.add(key)
        return sorted(found)

    def put(self, key: str, state: Any) -> None:
        """Set the state of a key as loaded from a checkpoint: neither dirty nor undoable."""
        self.states[key] = state
        self._index(key, state)

    def apply(self, key: str, event: Any) -> None:
        """Evolve the state of `key` by one own event."""
        old = self.states.get(key)
        new = self.core.evolve(old, event)
        if new is old:
            return
        if key not in self._undo:
            self._undo[key] = old if key in self.states else _UNSET
        self._set(key, new)
        self.dirty.add(key)

    def apply_step(self, step: StepTaken) -> None:
        """Fold a step record that was read back; Refused when inputs were decided twice."""
        for run in step.runs:
            if run.first < self.positions.get(run.topic, 0):
                raise Refused(
                    f"{self.core.own_topic}[{self.number}]: {run.topic} offset {run.first} was "
                    "decided twice; two members wrote this partition. Stop all members of "
                    f"{self.core.name} and start them with one release."
                )
            self.positions[run.topic] = run.next
        self.positions.update(step.positions)
        self.as_of = step.as_of
        self.pending = step.pending

    def standing(self) -> Standing:
        """Where the fold stands now."""
        return Standing(
            own_next=self.own_next,
            positions=dict(self.positions),
            as_of=self.as_of,
            pending=self.pending,
        )

    def stand(self, standing: Standing) -> None:
        """Take a standing as loaded from a checkpoint."""
        self.own_next = standing.own_next
        self.positions = dict(standing.positions)
        self.as_of = standing.as_of
        self.pending = standing.pending

    def begin(self) -> None:
        """Start to record what an abort must undo."""
        self._undo = {}
        self._before = self.standing()

    def roll_back(self) -> None:
        """Forget everything since `begin`."""
        for key, old in self._undo.items():
            if old is _UNSET:
                self.states.pop(key, None)
                self._due_unknown.add(key)
            else:
                self._set(key, old)
        self._undo = {}
        self.stand(self._before)

    def touch_all(self) -> None:
        """Count every key as changed since the last checkpoint: there is none to build on."""
        self.dirty = set(self.states)

    def _set(self, key: str, state: Any) -> None:
        if state is None and key != SHARED:
            self.states.pop(key, None)
        else:
            self.states[key] = state
        self._due_unknown.add(key)

    def _index(self, key: str, state: Any) -> None:
        if key == SHARED:
            return
        at = self.core.due(state) if state is not None else ""
        if self._due_of.get(key, "") == at:
            return
        if at:
            self._due_of[key] = at
            insort(self._due, (at, key))
            if len(self._due) > 4 * len(self._due_of) + 64:
                self._due = sorted((at, key) for key, at in self._due_of.items())
        else:
            self._due_of.pop(key, None)
