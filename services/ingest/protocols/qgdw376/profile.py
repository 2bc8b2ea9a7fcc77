"""What differs between terminals of the same standard, as data with documented defaults.

Every field is something that no source settles or that makers do differently.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcentratorProfile:
    """How what one type of concentrator sends is read.

    zone_minutes: its clock runs in this zone, minutes east of Greenwich. first_point_offset: how
    many intervals after its tag a curve begins (see `layouts`).
    """

    zone_minutes: int = 480
    first_point_offset: int = 0


STANDARD = ConcentratorProfile()
