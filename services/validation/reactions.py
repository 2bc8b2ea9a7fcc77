"""What validation takes from others: readings of ingest, and the supply of its points."""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.events.errors import BadInput
from libs.tou_calendar import TouCalendar
from services.validation.events import (
    HeldReading,
    InstallationNoted,
    PlaceNoted,
    SlotTableNoted,
    SupplyNoted,
    TariffBook,
    TariffNoted,
    UsageDemand,
    catalogue,
)
from services.validation.instant import parse_instant
from services.validation.timeline import add_days, day_of

FIRST_READ_AT, LAST_READ_AT = "1970-01-02T00:00:00Z", "3000-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandPeak:
    """A maximum demand as the meter shows it."""

    register: str
    demand_w: int
    occurred_at: str


@catalogue.reads("ingest.registers_read")
@dataclass(frozen=True, slots=True, kw_only=True)
class RegistersRead:
    """Registers at 24:00 of a day; the raw frames stay with ingest."""

    reading_id: str
    usage_point: str
    meter_no: str
    kind: str
    source: str
    day_on: str
    read_at: str
    registers: dict[str, int]
    flaws: dict[str, str] = field(default_factory=dict)
    demands: tuple[DemandPeak, ...] = ()
    voltages: dict[str, int] = field(default_factory=dict)
    clock_offset_s: int | None = None


@catalogue.reads("ingest.profile_read")
@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRead:
    """97 snapshots of each register."""

    reading_id: str
    usage_point: str
    meter_no: str
    day_on: str
    snapshots: dict[str, tuple[int | None, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuppliedMeter:
    """A meter of the point from an instant to an instant, with what its differences need."""

    meter_no: str
    from_at: str
    to_at: str
    ratio: str
    digits: int
    capacity_w: int
    initial: dict[str, int]
    final: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PointTariff:
    """How the energy of a point is priced from a day on."""

    from_on: str
    region: str
    price_list: str
    rate_periods: dict[str, str]
    tou_basis: str = "rate_registers"


@dataclass(frozen=True, slots=True, kw_only=True)
class SuppliedPlace:
    """A place of the point in an area and feeder; to_on: the first day on which it is elsewhere."""

    area: str
    feeder: str
    role: str
    from_on: str
    to_on: str


@catalogue.reads("customers.supply_published")
@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyPublished:
    """The supply of a usage point as far as validation needs it."""

    usage_point: str
    version: int
    account_no: str
    area: str
    voltage_class: str
    registers: tuple[str, ...]
    rate_periods: dict[str, str]
    supplied_from_on: str
    supplied_to_on: str
    installations: tuple[SuppliedMeter, ...]
    category: str = ""
    tariffs: tuple[PointTariff, ...] = ()
    places: tuple[SuppliedPlace, ...] = ()


@catalogue.reads("ingest.slot_table_read")
@dataclass(frozen=True, slots=True, kw_only=True)
class SlotTableRead:
    """The slot table of a meter, as texts; see ingest."""

    reading_id: str
    usage_point: str
    meter_no: str
    read_at: str
    zones: tuple[str, ...]
    day_tables: dict[str, tuple[str, ...]]
    special_days: tuple[str, ...] = ()
    rest_weekdays: tuple[int, ...] = ()
    rest_table: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedList:
    """A price list, as far as its periods go."""

    calendar: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedBook:
    """A price book, as far as its periods go."""

    id: str
    version: int
    region: str
    from_on: str
    until_on: str
    price_lists: dict[str, PublishedList]
    calendars: dict[str, TouCalendar] = field(default_factory=dict)
    holidays_on: tuple[str, ...] = ()


@catalogue.reads("billing.book_published")
@dataclass(frozen=True, slots=True, kw_only=True)
class BookPublished:
    """A price book, written to every partition of `tariffs` in one transaction."""

    book: PublishedBook
    content_hash: str


def supply_noted(supply: SupplyPublished) -> SupplyNoted:
    """The own event that a published supply becomes."""
    return SupplyNoted(
        usage_point=supply.usage_point,
        version=supply.version,
        account_no=supply.account_no,
        area=supply.area,
        voltage_class=supply.voltage_class,
        category=supply.category,
        registers=supply.registers,
        rate_periods=supply.rate_periods,
        supplied_from_on=supply.supplied_from_on,
        supplied_to_on=supply.supplied_to_on,
        installations=tuple(
            InstallationNoted(
                meter_no=meter.meter_no,
                from_at=meter.from_at,
                to_at=meter.to_at,
                ratio=meter.ratio,
                digits=meter.digits,
                capacity_w=meter.capacity_w,
                initial=meter.initial,
                final=meter.final,
            )
            for meter in supply.installations
        ),
        places=tuple(
            PlaceNoted(
                area=place.area,
                feeder=place.feeder,
                role=place.role,
                from_on=place.from_on,
                to_on=place.to_on,
            )
            for place in supply.places
        ),
        tariffs=tuple(
            TariffNoted(
                from_on=tariff.from_on,
                region=tariff.region,
                price_list=tariff.price_list,
                rate_periods=tariff.rate_periods,
                tou_basis=tariff.tou_basis,
            )
            for tariff in supply.tariffs
        ),
    )


def slot_table_noted(read: SlotTableRead) -> SlotTableNoted:
    """The own event of a slot table; BadInput when nobody can tell when it was read."""
    parse_instant(read.read_at, "read_at")
    if not FIRST_READ_AT <= read.read_at < LAST_READ_AT:
        problem = f"{read.read_at} is no time of a reading"
        raise BadInput("read_at", problem, f"{FIRST_READ_AT} to {LAST_READ_AT}")
    return SlotTableNoted(
        usage_point=read.usage_point,
        meter_no=read.meter_no,
        reading_id=read.reading_id,
        from_on=add_days(day_of(read.read_at), -1),
        read_at=read.read_at,
        zones=read.zones,
        day_tables=read.day_tables,
        special_days=read.special_days,
        rest_weekdays=read.rest_weekdays,
        rest_table=read.rest_table,
    )


def tariff_book(book: PublishedBook) -> TariffBook:
    """A published book in validation's own terms."""
    return TariffBook(
        id=book.id,
        version=book.version,
        region=book.region,
        from_on=book.from_on,
        until_on=book.until_on,
        price_lists={code: each.calendar for code, each in book.price_lists.items()},
        calendars=book.calendars,
        holidays_on=book.holidays_on,
    )


def held_reading(reading: RegistersRead) -> HeldReading:
    """A reading in validation's own terms."""
    return HeldReading(
        reading_id=reading.reading_id,
        meter_no=reading.meter_no,
        kind=reading.kind,
        source=reading.source,
        day_on=reading.day_on,
        read_at=reading.read_at,
        registers=reading.registers,
        flaws=reading.flaws,
        demands=tuple(
            UsageDemand(
                register=peak.register, demand_w=peak.demand_w, occurred_at=peak.occurred_at
            )
            for peak in reading.demands
        ),
        voltages=reading.voltages,
        clock_offset_s=reading.clock_offset_s,
    )


def held_profile(profile: ProfileRead) -> HeldReading:
    """A load profile in validation's own terms."""
    return HeldReading(
        reading_id=profile.reading_id,
        meter_no=profile.meter_no,
        kind="profile",
        source="",
        day_on=profile.day_on,
        read_at="",
        registers={},
        flaws={},
        demands=(),
        voltages={},
        clock_offset_s=None,
        snapshots=profile.snapshots,
    )
