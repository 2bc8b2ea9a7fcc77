"""What the demo's expectations look at, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulators.city.memory import Memory
    from simulators.city.people import City
    from simulators.city.plan import Plan


@dataclass(frozen=True, slots=True)
class Expectation:
    """One planted case: what was expected, what was found, and whether they agree."""

    name: str
    expected: str
    found: str
    holds: bool


Check = Callable[["Facts"], Expectation]


@dataclass(slots=True)
class Facts:
    """What checks look at."""

    city: City
    memory: Memory
    plan: Plan

    def of(self, name: str, role: str = "", **wanted: Any) -> list[dict[str, Any]]:
        """Own events of a type, of the account that plays a role."""
        found = self.memory.of(name, **wanted)
        if not role:
            return found
        point = self.city.point_of(role)
        keys = {point.account_no, point.usage_point, point.meter_no}
        return [body for body in found if body["_key"] in keys]


def expect(name: str, expected: str, found: object, holds: bool) -> Expectation:
    """A checked case; `found` is shown as text."""
    return Expectation(name, expected, str(found), holds)
