"""The first stage of rating: what is billed of each point, before anything is priced.

Sub-meters are deducted here (point_relations.py); a remainder below zero withholds the bill.
"""

from __future__ import annotations

from services.billing.point_relations import billed_points
from services.billing.stage import Rating


def quantity_stage(rating: Rating) -> None:
    """The priced points of every part with their billed energy."""
    for each in rating.given:
        billed, found = billed_points(each)
        rating.points.append(billed)
        rating.findings += found
