"""What the console takes from others: the fields that its views of the field show (ADR 0007)."""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.registry import Catalogue

catalogue = Catalogue("console")


@catalogue.reads("ingest.reading_ordered")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingOrdered:
    """A meter is to be read; the first attempt makes a day's freeze an expected one."""

    usage_point: str
    meter_no: str
    protocol: str
    line: str
    address: str
    kind: str
    day_on: str
    attempt: int


@catalogue.reads("ingest.reading_collected")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingCollected:
    """A reading is there. attempts: 0 when nobody had asked for it; read_at: "" in old events."""

    usage_point: str
    day_on: str
    kind: str
    attempts: int
    read_at: str = ""
    source: str = ""


@catalogue.reads("ingest.reading_missing")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingMissing:
    """A day's freeze is missing; with attempts 0 its meter was not even asked."""

    usage_point: str
    day_on: str
    attempts: int


@catalogue.reads("customers.supply_published")
@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyPublished:
    """The area of a point; the highest version stands."""

    usage_point: str
    version: int
    area: str


@catalogue.reads("customers.meter_published")
@dataclass(frozen=True, slots=True, kw_only=True)
class MeterPublished:
    """The model of a meter; the highest version stands."""

    meter_no: str
    version: int
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What explains a loss, and at which point ("" for all of the area)."""

    name: str
    usage_point: str
    explained_wh: int


@catalogue.reads("validation.loss_calculated")
@dataclass(frozen=True, slots=True, kw_only=True)
class LossCalculated:
    """The loss of an area (or feeder, then `area` is "") on a day; the latest revision stands."""

    day_on: str
    feeder: str
    area: str
    revision: int
    status: str
    loss_wh: int | None
    loss_e2_pct: int | None
    excess_wh: int
    causes: tuple[Cause, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SealBroken:
    """A seal found broken on a device."""

    seal_no: str
    device_no: str
    found_by: str
    found_at: str
    reason: str


@catalogue.reads("metrology.seal_broken_found")
@dataclass(frozen=True, slots=True, kw_only=True)
class SealBrokenFound:
    """A case that somebody must look at; told again when it is known whose meter it was."""

    case_id: str
    broken: SealBroken
    usage_point: str
    account_no: str


@catalogue.reads("metrology.seal_case_closed")
@dataclass(frozen=True, slots=True, kw_only=True)
class SealCaseClosed:
    """A person looked at a broken seal."""

    case_id: str
