"""One bill on its way through the stages of rating: what they read and what they add.

A stage is a function of a module of its own. It takes the `Rating`, reads what the stages before it
left there and adds its charges to their part, or a finding, which withholds the bill and ends the
sequence. `rating.STAGES` has them in their order; nothing else calls them.

    def energy_stage(rating: Rating) -> None:
        for number, part in enumerate(rating.parts):
            rating.charges[number] += energy_charges(part, rating.points[number], ...)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from services.billing.bill import Charge, Finding, RatingPart
from services.billing.calendar import Share, day_shares
from services.billing.point_relations import BilledPoint, InForce
from services.billing.tiers import TierPosition


@dataclass(slots=True)
class Rating:
    """What is known of a bill between two stages; lists by part are in the order of the parts.

    given: what of each part's agreement is in force; tiers: each point's position at the start;
    points: what is priced, by part (quantities); charges: by part, in the order of the bill's
    lines; tiers_before, tiers_after: the positions that this bill moved; findings: what withholds
    the bill; warnings: what only looks odd.
    """

    given: Sequence[InForce]
    tiers: Mapping[str, TierPosition]
    parts: list[RatingPart] = field(init=False)
    points: list[list[BilledPoint]] = field(init=False, default_factory=list)
    charges: list[list[Charge]] = field(init=False)
    tiers_before: dict[str, TierPosition] = field(init=False, default_factory=dict)
    tiers_after: dict[str, TierPosition] = field(init=False, default_factory=dict)
    findings: list[Finding] = field(init=False, default_factory=list)
    warnings: list[Finding] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.parts = [each.part for each in self.given]
        self.charges = [[] for _ in self.given]


Stage = Callable[[Rating], None]


def part_shares(parts: Sequence[RatingPart]) -> list[Share]:
    """What part of a monthly price each part bears."""
    return shares_of(parts, [(part.usage.from_on, part.usage.until_on) for part in parts])


def shares_of(parts: Sequence[RatingPart], days: Sequence[tuple[str, str]]) -> list[Share]:
    """Day shares of adjoining spans by the basis of the cycle's first book."""
    cycle = parts[0].usage
    return day_shares(days, cycle.cycle_from_on, cycle.cycle_until_on, parts[0].book.day_basis)
