"""Line loss of an area, a feeder and a day: what was supplied minus what was sold.

    supplied = gate meters (import - export, after ratio) + export of members (PV)
    sold     = import of members that belong there on that day
    loss %   = (supplied - sold) / supplied x 100                                 (domain.md 5)

A feeder contains areas. Its own loss is exactly the sum of its areas' losses and the gate
difference, which is what gets lost between the feeder's meter and the gates of its areas:

    feeder loss = sum of area losses + (feeder gate + own export - area gates - own members)

A loss is published only when enough points of that day were read (LossRules); otherwise the day is
`not_comparable` and has no per cent.

    area_losses("2026-01-31", places, points, rules).areas[0].loss_e2_pct     312
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from libs.events.errors import BadInput
from libs.events.quantities import ROUNDING, ceil_div, floor_div
from services.validation.areas.loss_rules import PERCENT_E2, LossRules
from services.validation.areas.membership import (
    GATE,
    MISSING,
    READ,
    Membership,
    Places,
    PointDay,
)

OK = "ok"
HIGH = "high"
NEGATIVE = "negative"
NOT_COMPARABLE = "not_comparable"
ALARMS = (HIGH, NEGATIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A point on a day: its place and what it measured; `read` is made when nothing came."""

    place: Membership
    read: PointDay

    @property
    def import_wh(self) -> int:
        """Import, 0 when there is none."""
        return self.read.import_wh or 0

    @property
    def export_wh(self) -> int:
        """Export, 0 when there is none."""
        return self.read.export_wh or 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """The loss of one area (or of a feeder with everything in it, then `area` is "") on a day.

    loss_wh is supplied minus sold; loss_e2_pct is None unless the day is comparable; excess_wh is
    by how much the loss is outside its limits (0 inside); reason says why it is not comparable.
    gate_difference_wh: of a feeder only, lost between its meter and the gates of its areas.
    """

    day_on: str
    feeder: str
    area: str
    gate_wh: int
    pv_wh: int
    sold_wh: int
    expected_points: int
    read_points: int
    status: str
    loss_e2_pct: int | None = None
    least_wh: int = 0
    most_wh: int = 0
    reason: str = ""
    gate_difference_wh: int | None = None

    @property
    def supplied_wh(self) -> int:
        """Gate meters and what members fed in."""
        return self.gate_wh + self.pv_wh

    @property
    def loss_wh(self) -> int:
        """Supplied minus sold; negative when more was sold than supplied."""
        return self.supplied_wh - self.sold_wh

    @property
    def read_e2_pct(self) -> int:
        """The share of points read, rounded down: 100.00 means every one."""
        return floor_div(self.read_points * PERCENT_E2, self.expected_points)

    @property
    def excess_wh(self) -> int:
        """Above the most (positive) or below the least (negative); 0 within, or not comparable."""
        if self.status == HIGH:
            return self.loss_wh - self.most_wh
        return self.loss_wh - self.least_wh if self.status == NEGATIVE else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LossDay:
    """All losses of one day. `members_of`: what was measured, by (feeder, area)."""

    day_on: str
    areas: tuple[Loss, ...]
    feeders: tuple[Loss, ...]
    members_of: Mapping[tuple[str, str], tuple[Measured, ...]]

    def measured(self, loss: Loss) -> tuple[Measured, ...]:
        """Everything measured in an area, or in a feeder with all its areas."""
        if loss.area:
            return self.members_of[loss.feeder, loss.area]
        return tuple(
            found
            for (feeder, _), members in self.members_of.items()
            if feeder == loss.feeder
            for found in members
        )


def area_losses(
    day_on: str, places: Places, points: Iterable[PointDay], rules: LossRules
) -> LossDay:
    """The loss of every area and feeder that has members or gates on a day.

    BadInput when a point is unknown or comes twice. A point of `places` without a `PointDay` is
    missing; one that belongs nowhere on that day does not count.
    """
    read: dict[str, PointDay] = {}
    for point in points:
        if point.usage_point not in places:
            fix = "add it to the areas, or take its rows out"
            raise BadInput("usage_point", f"{point.usage_point} is in no area", fix)
        if point.usage_point in read:
            fix = "give one row for a point and day"
            raise BadInput("usage_point", f"{point.usage_point} comes twice on {day_on}", fix)
        read[point.usage_point] = point
    members_of: dict[tuple[str, str], list[Measured]] = defaultdict(list)
    for usage_point in sorted(places):
        for place in places[usage_point]:
            if place.holds_on(day_on):
                found = read.get(usage_point) or PointDay(
                    usage_point=usage_point, import_wh=None, quality=MISSING
                )
                members_of[place.feeder, place.area].append(Measured(place=place, read=found))
    ordered = {key: tuple(members_of[key]) for key in sorted(members_of)}
    areas = tuple(
        _judged(_loss(day_on, feeder, area, members), members, rules)
        for (feeder, area), members in ordered.items()
        if area
    )
    feeders = tuple(
        _feeder_loss(day_on, feeder, areas, ordered, rules)
        for feeder in sorted({feeder for feeder, _ in ordered})
    )
    return LossDay(day_on=day_on, areas=areas, feeders=feeders, members_of=ordered)


def loss_per_cent(loss_wh: int, supplied_wh: int, rules: LossRules) -> int:
    """(supplied - sold) / supplied in 1/100 per cent by the rules' rounding; supplied above 0."""
    return ROUNDING[rules.rounding](loss_wh * PERCENT_E2, supplied_wh)


def _loss(day_on: str, feeder: str, area: str, members: tuple[Measured, ...]) -> Loss:
    """The sums of one place; its status is not judged yet."""
    gates = [found for found in members if found.place.role == GATE]
    customers = [found for found in members if found.place.role != GATE]
    return Loss(
        day_on=day_on,
        feeder=feeder,
        area=area,
        gate_wh=sum(found.import_wh - found.export_wh for found in gates),
        pv_wh=sum(found.export_wh for found in customers),
        sold_wh=sum(found.import_wh for found in customers),
        expected_points=len(members),
        read_points=sum(found.read.quality in READ for found in members),
        status=NOT_COMPARABLE,
    )


def _feeder_loss(
    day_on: str,
    feeder: str,
    areas: tuple[Loss, ...],
    members_of: Mapping[tuple[str, str], tuple[Measured, ...]],
    rules: LossRules,
) -> Loss:
    """The feeder with everything in it: its own gate, its own members, and all its areas."""
    inner = [loss for loss in areas if loss.feeder == feeder]
    own_members = members_of.get((feeder, ""), ())
    own = _loss(day_on, feeder, "", own_members)
    whole = Loss(
        day_on=day_on,
        feeder=feeder,
        area="",
        gate_wh=own.gate_wh,
        pv_wh=own.pv_wh + sum(loss.pv_wh for loss in inner),
        sold_wh=own.sold_wh + sum(loss.sold_wh for loss in inner),
        expected_points=own.expected_points + sum(loss.expected_points for loss in inner),
        read_points=own.read_points + sum(loss.read_points for loss in inner),
        status=NOT_COMPARABLE,
        gate_difference_wh=own.loss_wh - sum(loss.gate_wh for loss in inner),
    )
    return _judged(whole, own_members, rules)


def _judged(loss: Loss, own_members: tuple[Measured, ...], rules: LossRules) -> Loss:
    """A loss with its status: comparable only with its gates and enough points read."""
    gates = [found for found in own_members if found.place.role == GATE]
    lost = [found.read.usage_point for found in gates if found.read.quality not in READ]
    supplied = loss.supplied_wh
    reason = ""
    if not gates:
        reason = "it has no gate meter"
    elif lost:
        reason = f"gate meter {lost[0]} was not read"
    elif loss.read_points * PERCENT_E2 < rules.complete_least_e2_pct * loss.expected_points:
        reason = f"{loss.read_points} of {loss.expected_points} points read"
    elif supplied <= 0:
        reason = f"supplied is {supplied} Wh"
    if reason:
        return replace(loss, reason=reason)
    least_e2 = rules.area_least_e2_pct if loss.area else rules.feeder_least_e2_pct
    most_e2 = rules.area_most_e2_pct if loss.area else rules.feeder_most_e2_pct
    status = OK
    if loss.loss_wh * PERCENT_E2 > most_e2 * supplied:
        status = HIGH
    elif loss.loss_wh * PERCENT_E2 < least_e2 * supplied:
        status = NEGATIVE
    # The limits in Wh, rounded into the band, so that an alarm's excess is never 0.
    return replace(
        loss,
        status=status,
        loss_e2_pct=loss_per_cent(loss.loss_wh, supplied, rules),
        least_wh=ceil_div(least_e2 * supplied, PERCENT_E2),
        most_wh=floor_div(most_e2 * supplied, PERCENT_E2),
    )
