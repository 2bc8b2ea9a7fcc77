"""Shares in whole units that add up: over parts of the same time, and over parts that follow.

proportional({"peak": 500, "flat": 300, "valley": 200}, 90, 1)   peak 45, flat 27, valley 18
running = RunningTotal()
running.add(Fraction(1, 3), 1, half_up_div)                      0, then 1, then 0: together 1
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from libs.events.errors import BadInput
from libs.events.quantities import Rounding, parse_scaled

SHARE_SCALE = 10**6
"""Shares and ratios are exact to a millionth."""


@lru_cache(maxsize=1024)
def read_part(text: str) -> Fraction | None:
    """A share above 0 and up to 1; None when the text is none."""
    try:
        scaled = parse_scaled(text, SHARE_SCALE, "share")
    except BadInput:
        return None
    return Fraction(scaled, SHARE_SCALE) if 0 < scaled <= SHARE_SCALE else None


def part_of(text: str) -> Fraction:
    """A share that admission let through."""
    found = read_part(text)
    assert found is not None, f"{text!r} is no share"
    return found


def proportional(weights: Mapping[str, int], amount: int, unit: int) -> dict[str, int]:
    """Shares of an amount in proportion to weights, in whole units (largest remainder).

    The weights are not below zero and not all zero; of equal remainders the first in order wins.
    """
    whole = sum(weights.values())
    units = amount // unit
    shares = {name: divmod(units * weight, whole) for name, weight in weights.items()}
    left = units - sum(share for share, _ in shares.values())
    order = sorted(shares, key=lambda name: -shares[name][1])
    return {name: (shares[name][0] + (place < left)) * unit for place, name in enumerate(order)}


@dataclass(slots=True)
class RunningTotal:
    """A sum that grows by exact amounts and is given out in whole units.

    What was given out so far is always the rounded sum so far, so however often a time is split,
    its parts add up to the whole.
    """

    exact: Fraction = Fraction()
    given: int = 0

    def add(self, exact: Fraction, unit: int, rounding: Rounding) -> int:
        """What is given out for an amount, in the unit's own measure (Wh when it is in Wh)."""
        self.exact += exact
        units = rounding(self.exact.numerator, self.exact.denominator * unit)
        before, self.given = self.given, units * unit
        return self.given - before
