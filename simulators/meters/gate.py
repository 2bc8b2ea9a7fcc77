"""What flows through a gate meter 台区总表: what its members truly take, less what they feed in,
and what gets lost on the way.

A gate measures what goes into its area, whatever the members' meters show: a member that bypasses
its meter is in the sum, one whose relay is open is not. It shows no demand and no power.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from simulators.meters.energy import TOTAL, Load

LOSS_SCALE = 10_000
"""A loss is given in per cent with two decimals; this is all of it."""


class Member(Protocol):
    """A meter as a gate sees it."""

    def true_wh(self, at_s: int) -> int:
        """What was taken through its connection up to a time, after its ratio."""
        ...


class GateLoad(Load):
    """The energy through a gate, in the one rate it has, before its own ratio."""

    def __init__(self, loss_e2_pct: int, ratio: int, zone_minutes: int) -> None:
        super().__init__("H25", 0, (1,) * 96, zone_minutes)
        self.members: Sequence[Member] = ()
        self._supplied = LOSS_SCALE
        self._sold = (LOSS_SCALE - loss_e2_pct) * ratio

    def energy_wh(self, rate: int, from_s: int, until_s: int) -> int:
        """What flowed in between two instants; 0 for a rate that it does not have."""
        if until_s <= from_s or rate not in (TOTAL, *self.rates):
            return 0
        return self._until(until_s) - self._until(from_s)

    def _until(self, at_s: int) -> int:
        sold_wh = sum(member.true_wh(at_s) for member in self.members)
        return sold_wh * self._supplied // self._sold
