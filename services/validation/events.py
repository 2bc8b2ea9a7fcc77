"""What was made of readings: accepted, rejected, estimated, superseded; and billable usage.

Names here are the storage format. Usage of a day is energy after ratio, in Wh and varh; each new
revision carries the difference to the one before, so that a reader can keep sums only.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.events.core import Tick
from libs.events.registry import Catalogue
from libs.tou_calendar import TouCalendar

catalogue = Catalogue("validation")
catalogue.reads("clock.ticked")(Tick)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a rule found: pass, warn or fail, and the numbers that led to it."""

    rule: str
    severity: str
    text: str
    numbers: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationNoted:
    """A meter at the point, with what differences of its registers need."""

    meter_no: str
    from_at: str
    to_at: str
    ratio: str
    digits: int
    capacity_w: int
    initial: dict[str, int]
    final: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class TariffNoted:
    """By which price list and periods a point is billed from a day on; see customers."""

    from_on: str
    region: str
    price_list: str
    rate_periods: dict[str, str]
    tou_basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceNoted:
    """Where the point counts in line losses, from a day to before a day (as customers says)."""

    area: str
    feeder: str
    role: str
    from_on: str
    to_on: str


@catalogue.event("validation.supply_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyNoted:
    """The supply timeline of a point as validation needs it (content of customers.supply)."""

    usage_point: str
    version: int
    account_no: str
    area: str
    voltage_class: str
    registers: tuple[str, ...]
    rate_periods: dict[str, str]
    supplied_from_on: str
    supplied_to_on: str
    installations: tuple[InstallationNoted, ...]
    category: str = ""
    tariffs: tuple[TariffNoted, ...] = ()
    places: tuple[PlaceNoted, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageDemand:
    """A maximum demand: before the ratio in readings, after it in usage."""

    register: str
    demand_w: int
    occurred_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldReading:
    """A reading as it came, while what it needs is not known yet.

    kind: as in ingest, or profile; then only `snapshots` has values: 97 of each register.
    """

    reading_id: str
    meter_no: str
    kind: str
    source: str
    day_on: str
    read_at: str
    registers: dict[str, int]
    flaws: dict[str, str]
    demands: tuple[UsageDemand, ...]
    voltages: dict[str, int]
    clock_offset_s: int | None
    snapshots: dict[str, tuple[int | None, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class VoltageCounted:
    """On which side of the band a sample lies: inside, over, under or outage. phase: the one that
    is judged, "" for all together; extreme_dv (0.1 V) and its phase: where it is outside."""

    phase: str
    side: str
    extreme_dv: int = 0
    extreme_phase: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoltageNoted:
    """The sample that the voltages of a reading are, of the interval that ends at `at`."""

    at: str
    counted: tuple[VoltageCounted, ...]


@catalogue.event("validation.reading_accepted")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingAccepted:
    """A reading of the end of `day_on` that counts; registers and demands as the meter shows;
    clock_offset_s: meter time minus ours, None when it was not read; voltage: what its voltages
    count as, None without any that are judged."""

    usage_point: str
    meter_no: str
    day_on: str
    reading_id: str
    source: str
    registers: dict[str, int]
    findings: tuple[Finding, ...]
    rule_set: str
    demands: tuple[UsageDemand, ...] = ()
    clock_offset_s: int | None = None
    voltage: VoltageNoted | None = None


@catalogue.event("validation.voltage_found")
@dataclass(frozen=True, slots=True, kw_only=True)
class VoltageFound:
    """Samples in a row outside the voltage band (GB/T 12325), on one side: told when it begins and
    when it ends, and again when a late sample changes that. (phase, side, begun_at) names it.

    side: over, under; phase: which is judged, "" for all together; ended_at: "" while it lasts;
    ended_by: inside, other_side, outage, gap (no sample), month_end, withdrawn (late samples show
    that none began there), "" while it lasts; samples, extreme_dv (0.1 V), its phase and deviation:
    as far as known now.
    """

    usage_point: str
    month: str
    side: str
    phase: str
    begun_at: str
    ended_at: str
    ended_by: str
    samples: int
    extreme_dv: int
    extreme_phase: str
    nominal_dv: int
    extreme_deviation_pct: str


@catalogue.event("validation.voltage_month_closed")
@dataclass(frozen=True, slots=True, kw_only=True)
class VoltageMonthClosed:
    """The voltage quality of a point's month. A late sample makes another revision.

    status: qualified, unqualified, not_comparable (reason says why); rate_e2_pct: qualified rate,
    1/100 %, None when not comparable; samples: of interval_s each; phase: the worst one where each
    is judged by itself, else "".
    """

    usage_point: str
    month: str
    revision: int
    phase: str
    status: str
    reason: str
    rate_e2_pct: int | None
    completeness_e2_pct: int
    interval_s: int
    expected_samples: int
    found_samples: int
    inside_samples: int
    over_samples: int
    under_samples: int
    outage_samples: int


@catalogue.event("validation.reading_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingRejected:
    """A reading that does not count, and why; the raw evidence stays in ingest.readings.

    doubted: the reading itself when all that speaks against it is that it stands out: a later one
    that does not fall back behind it confirms it, and then it is accepted after all.
    """

    usage_point: str
    meter_no: str
    day_on: str
    reading_id: str
    findings: tuple[Finding, ...]
    rule_set: str
    doubted: HeldReading | None = None


@catalogue.event("validation.quality_found")
@dataclass(frozen=True, slots=True, kw_only=True)
class QualityFound:
    """Findings that reject nothing: voltage band, clock drift, duplicate, load profile."""

    usage_point: str
    day_on: str
    reading_id: str
    findings: tuple[Finding, ...]
    rule_set: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageBasis:
    """What the energy by period of a day rests on.

    stated, used: rate_registers or load_profile, used "" for nothing that may be used; blocked:
    the bill must wait for a person; measured: OBIS -> Wh or varh as the registers counted, where
    the profile stands in for the rates, {} elsewhere.
    """

    stated: str
    used: str
    blocked: bool
    measured: dict[str, int] = field(default_factory=dict)


@catalogue.event("validation.usage_established")
@dataclass(frozen=True, slots=True, kw_only=True)
class UsageEstablished:
    """Usage of one point on one day: own event (by point) and, on validation.usage, by account.

    quality: actual, estimated, edited; revision counts from 1; energy: OBIS -> Wh or varh after
    ratio; change: energy minus that of the revision before (all of it at revision 1); method: how
    it was estimated, "" for actual; after_exchange: a meter exchange lies in the day;
    readings: the ids behind it (initial/METER and final/METER for those of an installation);
    basis: of the energy by period, None where the point has no periods or no book is known.
    """

    usage_point: str
    account_no: str
    meter_no: str
    day_on: str
    revision: int
    quality: str
    method: str
    energy: dict[str, int]
    change: dict[str, int]
    demands: tuple[UsageDemand, ...]
    after_exchange: bool
    readings: tuple[str, ...]
    findings: tuple[Finding, ...]
    rule_set: str
    basis: UsageBasis | None = None


@catalogue.event("validation.intervals_established")
@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalsEstablished:
    """A day's load profile as 96 interval energies, labelled by their end; Wh after ratio.

    revision: counts from 1, the latest stands; energies: known, estimated, or None; flags: what the
    snapshots say, one per interval (good, rollover, missing, negative, out_of_range); qualities: a
    letter per interval: a actual, e estimated, f failed (a rule refuses it), m missing, o outage (a
    true zero); methods: how intervals were estimated, their numbers from 0 by method of the `plan`;
    register_wh: the day's usage by its registers, to which estimates are brought, None when one of
    its ends was not read; reading_id: the last profile that said something new of the day.
    """

    usage_point: str
    day_on: str
    register: str
    interval_minutes: int
    energies: tuple[int | None, ...]
    flags: tuple[str, ...]
    status: str
    findings: tuple[Finding, ...]
    reading_id: str
    meter_no: str = ""
    revision: int = 1
    qualities: str = ""
    methods: dict[str, tuple[int, ...]] = field(default_factory=dict)
    plan: str = ""
    rule_set: str = ""
    register_wh: int | None = None
    snapshots: tuple[int | None, ...] = ()


@catalogue.event("validation.supply_awaited")
@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyAwaited:
    """A reading came before what it needs was known: it is held, and judged then.

    reason: supply (nobody is supplied at the point on that day, as far as known), installation
    (its meter is not known there), day (the day is not over by business time).
    """

    usage_point: str
    reading: HeldReading
    reason: str = "supply"


@catalogue.event("validation.estimate_superseded")
@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateSuperseded:
    """A late actual (or a supply that says otherwise: supply/VERSION) replaced the estimates of
    these days; new revisions follow."""

    usage_point: str
    days_on: tuple[str, ...]
    reading_id: str


@catalogue.event("validation.slot_table_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class SlotTableNoted:
    """A meter's slot table as it was read; the texts as in ingest.slot_table_read.

    from_on: the day from which it is taken to hold, the last whole one before it was read.
    """

    usage_point: str
    meter_no: str
    reading_id: str
    from_on: str
    read_at: str
    zones: tuple[str, ...]
    day_tables: dict[str, tuple[str, ...]]
    special_days: tuple[str, ...]
    rest_weekdays: tuple[int, ...]
    rest_table: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TariffBook:
    """Of a price book what says which half hour is which period.

    price_lists: code -> calendar, "" for a list without periods; until_on: the first day on which
    it is no longer in force.
    """

    id: str
    version: int
    region: str
    from_on: str
    until_on: str
    price_lists: dict[str, str]
    calendars: dict[str, TouCalendar]
    holidays_on: tuple[str, ...] = ()


@catalogue.event("validation.calendars_adopted")
@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarsAdopted:
    """The calendars of a published price book became part of what this partition judges by."""

    book: TariffBook
    content_hash: str


@catalogue.event("validation.calendars_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarsRejected:
    """A book whose calendars leave a half hour open, or under an id and version that has another
    content already."""

    book_id: str
    content_hash: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaPlace:
    """A stay of a point in an area ("" on the feeder itself) up to and with a day ("" while it is
    there). ratio: what the archive says its registers are multiplied by; has_pv: it feeds in."""

    area: str
    feeder: str
    role: str
    from_on: str
    to_on: str
    ratio: str
    has_pv: bool


@catalogue.event("validation.places_published")
@dataclass(frozen=True, slots=True, kw_only=True)
class PlacesPublished:
    """All places of a point, in order of time (validation.area_usage, by loss unit): told to every
    unit that one of them is in, or was in by what was known before."""

    usage_point: str
    places: tuple[AreaPlace, ...]


@catalogue.event("validation.energy_published")
@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyPublished:
    """What a point measured on a day, as it stands now (validation.area_usage, by loss unit).

    Wh after ratio; export_wh: None when its register is not read; ratio: what was multiplied by;
    rolled_over: a register went over its last digit on the way; clock_offset_s: meter less ours,
    None when not told.
    """

    usage_point: str
    day_on: str
    quality: str
    import_wh: int
    export_wh: int | None
    ratio: str
    after_exchange: bool
    rolled_over: bool
    clock_offset_s: int | None
