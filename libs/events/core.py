"""What a service gives the runtime: pure functions over plain data, and the names of its topics.

    concerned(view, item) -> keys     which keys an input concerns, in a fixed order
    decide(view, key, item) -> emits  what follows from the input for one key
    evolve(state, event) -> state     what an own event does to the state of its key

The key "" is the partition itself: what is true for all its keys (adopted price books, say).
A decision about one key reads only that key and "", and its own events change only that key;
therefore a decision over many keys can be committed in parts that equal one uninterrupted one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from libs.events.registry import Catalogue
from libs.events.step import STEP, StepTaken

SHARED = ""
"""The key of the partition's own state."""


@dataclass(frozen=True, slots=True)
class Item:
    """One decoded input. `at` is the business time at which it is decided (UTC)."""

    topic: str
    offset: int
    key: str
    type: str
    body: Any
    at: str


@dataclass(frozen=True, slots=True)
class Emit:
    """One event that a decision yields: an own event of the key decided on, or one for others.

    With `topic` empty it goes to the own topic and is folded; else it is written to `topic` under
    `key`.
    """

    body: Any
    topic: str = ""
    key: str = ""


class View(Protocol):
    """What a decision may read of its partition."""

    as_of: str

    @property
    def shared(self) -> Any:
        """The state of the partition itself."""
        ...

    def get(self, key: str) -> Any:
        """The state of a key, None when it has none."""
        ...

    def keys(self) -> Sequence[str]:
        """All keys of the partition, sorted."""
        ...

    def keys_due(self, until: str) -> Sequence[str]:
        """The keys whose deadline is at or before `until`, sorted."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """`clock.ticked`: business time, on every partition of `calendar`."""

    at: str


def own_key(view: View, item: Item) -> Sequence[str]:
    """The usual `concerned`: a tick concerns the keys that are due, any other input its key."""
    if isinstance(item.body, Tick):
        return view.keys_due(item.body.at)
    return (item.key,)


def never_due(state: Any) -> str:
    """The usual `due`: no deadline."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """One core: its topics, its catalogue and its pure functions.

    name: also the source of its events and its consumer group; inputs: keyed topics with the same
    key; initial_shared: the state of "" before any event; state_types: the classes of
    (shared, key) state, for checkpoints; due: the next deadline of a key's state as an instant, ""
    for none; fold_version: raised when `evolve` changes; decider: SHA-256 of the pure modules;
    ignored_types: names that occur on the inputs and mean nothing here; keyed: inputs whose
    records bear a key and lie in its partition (both from topics.yaml).
    """

    name: str
    own_topic: str
    dlq_topic: str
    inputs: tuple[str, ...]
    catalogue: Catalogue
    initial_shared: Any
    state_types: tuple[type, type]
    decide: Callable[[View, str, Item], Sequence[Emit]]
    evolve: Callable[[Any, Any], Any]
    concerned: Callable[[View, Item], Iterable[str]] = own_key
    due: Callable[[Any], str] = never_due
    fold_version: int = 1
    decider: str = ""
    ignored_types: frozenset[str] = field(default_factory=frozenset)
    keyed: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        if f"{self.name}.{STEP}" not in self.catalogue.by_name:
            self.catalogue.event(f"{self.name}.{STEP}")(StepTaken)


def decider_of(sources: Iterable[tuple[str, bytes]]) -> str:
    """SHA-256 over the names and bytes of the pure modules that decide."""
    digest = hashlib.sha256()
    for name, source in sorted(sources):
        digest.update(name.encode() + b"\0" + hashlib.sha256(source).digest())
    return digest.hexdigest()
