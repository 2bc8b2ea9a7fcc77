"""A core's policy: the numbers that people may set, each with its meaning, source and range.

A core's `policy.py` has a frozen dataclass with documented defaults, `DEFAULT_POLICY`, and `TERMS`:
one `Term` for each value, by its path. Another policy is another decider, so that a replay compares
only what the same policy decided::

    decider_under("6c1f", DEFAULT_POLICY, DEFAULT_POLICY)     "6c1f"
    decider_under("6c1f", stricter, DEFAULT_POLICY)           "6c1f+0b9a77e1"
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from libs.events.errors import BadInput

UNCONFIRMED = "UNCONFIRMED"


@dataclass(frozen=True, slots=True)
class Term:
    """One value: what it means (the unit with it), where the default comes from, and the least and
    the most that it, or each number of a list, may be."""

    meaning: str
    source: str
    least: int = 0
    most: int = 0

    @property
    def is_unconfirmed(self) -> bool:
        """Whether the utility must confirm the default before it goes live."""
        return UNCONFIRMED in self.source


def values_of(policy: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """All values of a policy with their paths: `residential.least_s`, 604800."""
    if is_dataclass(policy):
        inner = {field.name: getattr(policy, field.name) for field in fields(policy)}
    elif isinstance(policy, dict):
        inner = policy
    else:
        yield path, policy
        return
    for name, value in inner.items():
        yield from values_of(value, f"{path}.{name}" if path else name)


def check_ranges(policy: Any, terms: Mapping[str, Term]) -> None:
    """BadInput names the first number out of its range."""
    for path, value in values_of(policy):
        numbers = value if isinstance(value, tuple) else (value,)
        for number in numbers:
            if type(number) is not int:
                continue
            term = terms[path]
            if not term.least <= number <= term.most:
                fix = f"give {term.least} to {term.most}"
                raise BadInput(path, f"{number} is out of range", fix)


def digest_of(policy: Any, default: Any) -> str:
    """Eight hex digits that differ when any value differs; "" for the default policy."""
    if policy == default:
        return ""
    return hashlib.sha256(repr(policy).encode()).hexdigest()[:8]


def decider_under(decider: str, policy: Any, default: Any) -> str:
    """The name of what decides by a policy."""
    digest = digest_of(policy, default)
    return f"{decider}+{digest}" if digest else decider
