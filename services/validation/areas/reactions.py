"""What the area stage takes from the core of validation: places and energies of points."""

from __future__ import annotations

from dataclasses import dataclass

from services.validation.areas.events import EnergyNoted, PlacesNoted, catalogue
from services.validation.areas.membership import Membership


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaPlace:
    """A stay of a point in an area, up to and with a day."""

    area: str
    feeder: str
    role: str
    from_on: str
    to_on: str
    ratio: str
    has_pv: bool


@catalogue.reads("validation.places_published")
@dataclass(frozen=True, slots=True, kw_only=True)
class PlacesPublished:
    """All places of a point, in order of time."""

    usage_point: str
    places: tuple[AreaPlace, ...]


@catalogue.reads("validation.energy_published")
@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyPublished:
    """What a point measured on a day, as it stands now."""

    usage_point: str
    day_on: str
    quality: str
    import_wh: int
    export_wh: int | None
    ratio: str
    after_exchange: bool
    rolled_over: bool
    clock_offset_s: int | None


def places_noted(unit: str, told: PlacesPublished) -> PlacesNoted:
    """The places in the terms of the calculation."""
    return PlacesNoted(
        unit=unit,
        usage_point=told.usage_point,
        places=tuple(
            Membership(
                usage_point=told.usage_point,
                feeder=place.feeder,
                area=place.area,
                role=place.role,
                from_on=place.from_on,
                to_on=place.to_on,
                ratio=place.ratio,
                has_pv=place.has_pv,
            )
            for place in told.places
        ),
    )


def energy_noted(unit: str, told: EnergyPublished) -> EnergyNoted:
    """The own event that a published energy becomes."""
    return EnergyNoted(
        unit=unit,
        usage_point=told.usage_point,
        day_on=told.day_on,
        quality=told.quality,
        import_wh=told.import_wh,
        export_wh=told.export_wh,
        ratio=told.ratio,
        after_exchange=told.after_exchange,
        rolled_over=told.rolled_over,
        clock_offset_s=told.clock_offset_s,
    )
