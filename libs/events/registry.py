"""The catalogue of a service: its own event types, what it reads of others, and upcasters.

Names here are the storage format: never rename a type, never change the meaning of a field. Add
fields with a default; for anything else raise the version and register an upcaster.

A reader declares only the fields it needs of a foreign type (`reads`), so that services share no
code; tests/contract compares every such declaration with the owner's type.

    catalogue = Catalogue("billing")

    @catalogue.event("billing.invoice_issued")
    @dataclass(frozen=True, slots=True, kw_only=True)
    class InvoiceIssued: ...
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")
Document = dict[str, Any]
Upcaster = Callable[[Document], Document]

_NAME = re.compile(r"[a-z]+(\.[a-z]+)?\.[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class EventType:
    """A type of event: dotted name, version, and the class its body is decoded into."""

    name: str
    version: int
    body: type
    foreign: bool

    @property
    def full_name(self) -> str:
        """The `ce_type` on the wire."""
        return f"{self.name}.v{self.version}"


def split_full_name(full_name: str) -> tuple[str, int]:
    """`billing.invoice_issued.v2` -> name and version; ValueError when there is no version."""
    name, _, version = full_name.rpartition(".v")
    if not name or not version.isdigit():
        raise ValueError(f"{full_name!r} has no version; expected NAME.vN")
    return name, int(version)


@dataclass(slots=True)
class Catalogue:
    """All types one core or edge writes and reads."""

    owner: str
    by_name: dict[str, EventType] = field(default_factory=dict)
    by_class: dict[type, EventType] = field(default_factory=dict)
    upcasters: dict[tuple[str, int], Upcaster] = field(default_factory=dict)

    def event(self, name: str, version: int = 1) -> Callable[[type[T]], type[T]]:
        """Register a type that this service writes."""
        return self._register(name, version, foreign=False)

    def reads(self, name: str, version: int = 1) -> Callable[[type[T]], type[T]]:
        """Register the fields this service needs of a type that another one writes."""
        return self._register(name, version, foreign=True)

    def upcast(self, name: str, from_version: int) -> Callable[[Upcaster], Upcaster]:
        """Register the pure step `from_version -> from_version + 1` over the JSON document."""

        def register(step: Upcaster) -> Upcaster:
            assert (name, from_version) not in self.upcasters, f"second upcaster of {name}"
            self.upcasters[(name, from_version)] = step
            return step

        return register

    def _register(self, name: str, version: int, *, foreign: bool) -> Callable[[type[T]], type[T]]:
        assert _NAME.fullmatch(name), f"{name!r} is no type name"

        def register(body: type[T]) -> type[T]:
            assert name not in self.by_name, f"{name} is registered twice in {self.owner}"
            kind = EventType(name, version, body, foreign)
            self.by_name[name] = kind
            self.by_class[body] = kind
            return body

        return register

    def type_of(self, body: object) -> EventType:
        """The registered type of a body; AssertionError for a class nobody registered."""
        kind = self.by_class.get(type(body))
        assert kind is not None, f"{type(body).__name__} is not in the catalogue of {self.owner}"
        return kind

    def merged(self, other: Catalogue) -> Catalogue:
        """A catalogue with the types of both, for a reader of several services."""
        both = Catalogue(f"{self.owner}+{other.owner}")
        for source in (self, other):
            both.by_name.update(source.by_name)
            both.by_class.update(source.by_class)
            both.upcasters.update(source.upcasters)
        return both
