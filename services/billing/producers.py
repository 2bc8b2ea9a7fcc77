"""Who also feeds in, and what of its energies enters the power factor.

Panels push the reactive energy of a customer into other quadrants, so for a producer the book has
quadrants of its own, and says whether what it exported counts as active energy (UNCONFIRMED). An
account is a producer in a cycle in which any of its points exported, or has a point of feed-in.

    exported 1 kWh in the month    ->  quadrants `producer_quadrants`, energy `active_of`
"""

from __future__ import annotations

from collections.abc import Iterable

from libs.events.quantities import ROUNDING
from services.billing.bill import RatingPart
from services.billing.calendar import overlap
from services.billing.point_relations import BilledPoint
from services.billing.price_book import PowerFactorRule, Rounding


def is_producer(parts: Iterable[RatingPart]) -> bool:
    """Whether the account fed in, or could, in the days of the parts."""
    return any(_exports(part) or _has_feed_in(part) for part in parts)


def _exports(part: RatingPart) -> bool:
    return any(each.export_wh for each in part.usage.points)


def _has_feed_in(part: RatingPart) -> bool:
    usage = part.usage
    return any(
        each.kind == "feed_in"
        and overlap(usage.from_on, usage.until_on, each.from_on, each.until_on)
        for each in part.terms.relations
    )


def counted_quadrants(rule: PowerFactorRule, produces: bool) -> tuple[str, ...]:
    """The quadrants whose reactive energy counts."""
    return rule.producer_quadrants if produces else rule.reactive_quadrants


def counted_export_wh(
    rule: PowerFactorRule, produces: bool, point: BilledPoint, rounding: Rounding
) -> int:
    """What an assessed point exported as far as it counts as active energy, rounded."""
    if not produces or rule.active_of == "import":
        return 0
    unit_wh = rounding.energy_unit_wh
    return ROUNDING[rounding.energy](point.usage.export_wh, unit_wh) * unit_wh
