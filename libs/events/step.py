"""The step record: the last own event of each transaction in each partition it touched.

It says which inputs were decided, in which order, with what counts, at which business time and by
which code. Silent inputs are thereby recorded too, recovery can tell whether a fold is complete,
and an auditor can decide everything again in the same order (docs/adr/0003).
"""

from __future__ import annotations

from dataclasses import dataclass

STEP = "step_taken"
"""Every core writes `<core>.step_taken`."""

EPOCH = "1970-01-01T00:00:00Z"
"""Business time before the first tick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Consecutive inputs of one topic: offsets from `first` up to `next`, `count` records.

    `next - first` may exceed `count` by the control records in between.
    """

    topic: str
    first: int
    next: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A long decision that is open: its cause, the keys done so far and the next event index."""

    topic: str
    offset: int
    next_index: int
    after_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTaken:
    """What one transaction decided in one partition.

    positions: the next input offset per topic; decided + silent + rejected + dead_lettered is the
    number of inputs closed by this step; as_of: business time after it; decider: SHA-256 of the
    pure modules; pending: set while a long decision is open.
    """

    runs: tuple[Run, ...]
    positions: dict[str, int]
    decided: int
    silent: int
    rejected: int
    dead_lettered: int
    as_of: str
    decider: str
    pending: Pending | None = None


def extend_runs(runs: list[Run], topic: str, offset: int) -> None:
    """Append one input to the runs, in the order decided."""
    if runs and runs[-1].topic == topic:
        last = runs[-1]
        runs[-1] = Run(topic=topic, first=last.first, next=offset + 1, count=last.count + 1)
    else:
        runs.append(Run(topic=topic, first=offset, next=offset + 1, count=1))
