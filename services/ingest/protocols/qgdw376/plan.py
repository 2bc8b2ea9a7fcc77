"""What to ask a concentrator of its frozen days: few requests for many meters.

    plan_freezes(needs, points_per_request=24)

Forwarding costs seconds of power line for each exchange (domain.md 5: 300 meters x 13 exchanges x
4 s are 4.3 hours), what the concentrator froze costs a few frames. So a meter is asked itself only
when the concentrator has answered and had nothing, or its values may not be believed
(`services/ingest/reading_qgdw376.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from services.ingest.protocols.qgdw376.points import GROUP


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """A day's freeze of one kind (Fn) that we lack of one point."""

    day_on: str
    fn: int
    pn: int


@dataclass(frozen=True, slots=True)
class FreezeOrder:
    """One request of class 2: a day, kinds, and points in ascending order."""

    day_on: str
    fns: tuple[int, ...]
    pns: tuple[int, ...]


def plan_freezes(needs: Iterable[Need], points_per_request: int) -> list[FreezeOrder]:
    """The requests to one concentrator. Kinds that the same points lack of the same day go
    together, and are cut between groups of 8 points."""
    asked: dict[tuple[str, int], list[int]] = {}
    for need in sorted(set(needs)):
        asked.setdefault((need.day_on, need.fn), []).append(need.pn)
    together: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for (day_on, fn), pns in asked.items():
        together.setdefault((day_on, tuple(pns)), []).append(fn)
    orders = []
    for (day_on, points), fns in sorted(together.items()):
        room = max(1, points_per_request // len(fns))
        orders += [FreezeOrder(day_on, tuple(fns), part) for part in cut_points(points, room)]
    return orders


def cut_points(pns: Iterable[int], most: int) -> list[tuple[int, ...]]:
    """Points in ascending order in parts of at most `most`, whole groups of 8 where they fit."""
    parts: list[list[int]] = []
    groups: dict[int, list[int]] = {}
    for pn in sorted(set(pns)):
        groups.setdefault((pn - 1) // GROUP, []).append(pn)
    for group in groups.values():
        for place in range(0, len(group), most):
            piece = group[place : place + most]
            if parts and len(parts[-1]) + len(piece) <= most:
                parts[-1] += piece
            else:
                parts.append(piece)
    return [tuple(part) for part in parts]
