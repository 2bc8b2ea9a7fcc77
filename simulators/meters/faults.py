"""Faults a meter can be told to have, and how often still.

`count` exchanges, or until cleared when it is None. A fault that changes the meter itself (its
clock, its registers) happens at once and stays; `clear` does not undo it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.events.errors import BadInput

FAULTS: dict[str, tuple[str, ...]] = {
    "silent": (),
    "slow": ("seconds",),
    "wrong_checksum": (),
    "truncated": ("keep",),
    "echo": (),
    "wrong_address": (),
    "duplicate": (),
    "non_bcd": (),
    "no_value": (),
    "spike": ("wh",),
    "missing_freeze": ("day_on",),
    "relay_stuck": (),
    "bypass": (),
    "voltage": ("volts",),
    "clock_drift": ("seconds",),
    "rollover": ("margin_wh",),
}
"""Every fault and the options it takes."""
AT_ONCE = frozenset({"clock_drift", "rollover"})


@dataclass(slots=True)
class Fault:
    """One fault that is on."""

    kind: str
    count: int | None
    options: dict[str, str | int | float] = field(default_factory=dict)


class FaultSet:
    """The faults of one meter."""

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}

    def add(self, kind: str, count: int | None, options: dict[str, str | int | float]) -> Fault:
        """Turn one on; BadInput names a wrong kind, option or count."""
        known = FAULTS.get(kind)
        if known is None:
            raise BadInput("kind", f"{kind!r} is no fault", f"use one of {', '.join(FAULTS)}")
        for name in options:
            if name not in known:
                takes = ", ".join(known) or "no options"
                raise BadInput(name, f"{kind} does not take it", f"it takes {takes}")
        if count is not None and (not isinstance(count, int) or count < 1):
            raise BadInput("count", f"{count!r}", "give 1 or more, or null for until cleared")
        fault = Fault(kind, count, options)
        if kind not in AT_ONCE:
            self._faults[kind] = fault
        return fault

    def clear(self, kind: str = "") -> None:
        """Turn one off, or all."""
        if kind:
            self._faults.pop(kind, None)
        else:
            self._faults.clear()

    def peek(self, kind: str) -> Fault | None:
        """The fault, if it is on, without using it up."""
        return self._faults.get(kind) if self._faults else None

    def take(self, kind: str) -> Fault | None:
        """The fault, if it is on; counts one use."""
        if not self._faults:
            return None
        fault = self._faults.get(kind)
        if fault is not None and fault.count is not None:
            fault.count -= 1
            if fault.count == 0:
                del self._faults[kind]
        return fault

    def names(self) -> list[str]:
        """What is on."""
        return sorted(self._faults)
