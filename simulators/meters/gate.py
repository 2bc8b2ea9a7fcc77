"""The load behind a gate meter 台区总表: what its members truly take, less what they feed in, and
what gets lost on the way.

A gate measures what flows into its area, whatever the members' meters show: a member that bypasses
its meter is in the sum, one whose relay is open is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulators.meters.energy import TOTAL, Load

if TYPE_CHECKING:
    from simulators.meters.meter import Meter

LOSS_SCALE = 10_000
"""A loss is given in per cent with two decimals."""


class GateLoad(Load):
    """The net energy of its members with a technical loss, in one rate, before the gate's own
    ratio."""

    members: Sequence[Meter] = ()
    loss_e2_pct: int = 0
    ratio: int = 1

    def energy_wh(self, rate: int, from_s: int, until_s: int) -> int:
        """What flowed in between two instants; rates as those of its own day table."""
        if until_s <= from_s or (rate != TOTAL and rate != self.rates[0]):
            return 0
        return self._since_base(until_s) - self._since_base(from_s)

    def _since_base(self, at_s: int) -> int:
        net_wh = sum(
            (member.true_wh(at_s)) * member.config.ratio for member in self.members
        )
        return net_wh * LOSS_SCALE // ((LOSS_SCALE - self.loss_e2_pct) * self.ratio)
