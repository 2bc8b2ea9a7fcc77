"""Estimates brought to the register: estimated + known equals what the register says, exactly.

    scale_to(24, (Fraction(3), Fraction(4), Fraction(5)), "last")
    -> Scaled(energies=(6, 8, 10), scale=2, shift=None)

Shapes are scaled by one factor. Where that is impossible (all of them zero, or signs that differ)
every slot is shifted by the same amount instead. What each slot then has is rounded down to the
unit; the units that are left over, fewer than there are slots, go where the plan's `residual` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from services.validation.estimation_plan import LARGEST_REMAINDER


class Scaled(NamedTuple):
    """Whole energies that add up, and the factor or the shift that each exact shape got."""

    energies: tuple[int, ...]
    scale: Fraction | None
    shift: Fraction | None


def scale_to(total: int, shapes: Sequence[Fraction], residual: str) -> Scaled:
    """Energies in proportion to the shapes, with this total. Shapes of zero or more with a total of
    zero or more never give a negative energy."""
    whole = sum(shapes, Fraction(0))
    same_sign = all(shape >= 0 for shape in shapes) or all(shape <= 0 for shape in shapes)
    if whole and same_sign and whole * total >= 0:
        scale = Fraction(total, whole)
        return Scaled(apportion([shape * scale for shape in shapes], residual), scale, None)
    shift = Fraction(total - whole, len(shapes))
    return Scaled(apportion([shape + shift for shape in shapes], residual), None, shift)


def apportion(exact: Sequence[Fraction], residual: str) -> tuple[int, ...]:
    """Exact numbers with a whole sum as whole numbers with the same sum: rounded down, the units
    left over to the largest remainders (of equals the earliest), or all to the last slot that is
    not whole."""
    parts = [number.numerator // number.denominator for number in exact]
    rest = sum(exact, Fraction(0)) - sum(parts)
    assert rest.denominator == 1, f"the sum {rest} is not whole"
    broken = [index for index, number in enumerate(exact) if number.denominator > 1]
    if residual == LARGEST_REMAINDER:
        broken.sort(key=lambda index: parts[index] - exact[index])
        for index in broken[: rest.numerator]:
            parts[index] += 1
    elif broken:
        parts[broken[-1]] += rest.numerator
    return tuple(parts)
