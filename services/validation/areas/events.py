"""What the area stage of validation knows and finds: places, energies, losses with their causes.

Names here are the storage format; the own topic is `validation.losses`, by loss unit: a feeder with
all its areas, or an area that has no feeder (docs/adr/0012).
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.core import Tick
from libs.events.registry import Catalogue
from services.validation.areas.loss_causes import Cause
from services.validation.areas.membership import Membership

catalogue = Catalogue("validation.areas")
catalogue.reads("clock.ticked")(Tick)


@catalogue.event("validation.places_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class PlacesNoted:
    """All places of a point, of which one is in this unit or was, as far as was known before."""

    unit: str
    usage_point: str
    places: tuple[Membership, ...]


@catalogue.event("validation.energy_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyNoted:
    """What a point measured on a day, as it stands now; Wh after ratio (as energy_published)."""

    unit: str
    usage_point: str
    day_on: str
    quality: str
    import_wh: int
    export_wh: int | None
    ratio: str
    after_exchange: bool
    rolled_over: bool
    clock_offset_s: int | None


@catalogue.event("validation.loss_calculated")
@dataclass(frozen=True, slots=True, kw_only=True)
class LossCalculated:
    """The loss of an area (or of a feeder with everything in it, then `area` is "") on a day.

    status: ok, high, negative, not_comparable (then `reason` says why, and loss_wh and loss_e2_pct
    are None); revision counts from 1, the latest stands; excess_wh: by how much the loss is outside
    its limits least_wh and most_wh; gate_difference_wh: of a feeder only, lost between its meter
    and the gates of its areas; causes: of an alarm, those that explain most energy first.
    """

    unit: str
    day_on: str
    feeder: str
    area: str
    revision: int
    status: str
    reason: str
    gate_wh: int
    pv_wh: int
    sold_wh: int
    loss_wh: int | None
    loss_e2_pct: int | None
    least_wh: int
    most_wh: int
    excess_wh: int
    gate_difference_wh: int | None
    expected_points: int
    read_points: int
    causes: tuple[Cause, ...]


@catalogue.event("validation.day_judged")
@dataclass(frozen=True, slots=True, kw_only=True)
class DayJudged:
    """All losses of a unit on a day stand as they were last calculated, until something of the day
    changes."""

    unit: str
    day_on: str
