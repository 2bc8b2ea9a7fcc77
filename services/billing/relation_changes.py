"""A relation that begins or ends within the days: they are cut there, and each part has its own.

A month of the services is cut before it gets here, with the usage that was read by day. Usage that
is given whole is shared by days, and its lines say so.

    P2 deducted of P1 from the 16th    ->  the 1st to the 15th without it, the rest with it
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from services.billing.bill import RatingPart
from services.billing.calendar import overlap
from services.billing.point_relations import UNMETERED
from services.billing.usage import split_usage


def at_relation_changes(parts: Iterable[RatingPart]) -> Sequence[RatingPart]:
    """The parts, cut so that every relation holds on all days of a part or on none."""
    found: list[RatingPart] = []
    for part in parts:
        rest = part
        for on in _changes(part):
            before, after = split_usage(rest.usage, on)
            found.append(rest._replace(usage=before))
            rest = rest._replace(usage=after)
        found.append(rest)
    return found


def _changes(part: RatingPart) -> list[str]:
    """The days within a part on which a relation changes, or a point without a meter comes or goes;
    a metered one has the usage of its own days."""
    if not part.terms.relations:
        return []
    start, end = part.usage.from_on, part.usage.until_on
    changing = [(each.from_on, each.until_on) for each in part.terms.relations]
    unmetered = {each.point for each in part.terms.relations if each.kind in UNMETERED}
    points = (each for each in part.terms.points if each.point in unmetered)
    changing += [(each.from_on, each.until_on) for each in points]
    cuts: set[str] = set()
    for from_on, until_on in changing:
        cuts.update(overlap(start, end, from_on, until_on) or ())
    return sorted(cuts - {start, end})
