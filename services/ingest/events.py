"""What meters said, what was expected of them, and what became of device commands.

Names here are the storage format. Three catalogues, as three writers: the edge writes
`ingest.readings`, the core `ingest.events` (and `ingest.switching` by account), the effect
`ingest.results`. Register values are integers in Wh or varh as the meter shows them, before ratio.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.events.core import Tick
from libs.events.registry import Catalogue

edge_catalogue = Catalogue("ingest.edge")
catalogue = Catalogue("ingest")
effect_catalogue = Catalogue("ingest.effect")
for _reader in (catalogue, effect_catalogue):
    _reader.reads("clock.ticked")(Tick)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandPeak:
    """A maximum demand with the instant the meter gives for it."""

    register: str
    demand_w: int
    occurred_at: str


@edge_catalogue.event("ingest.registers_read")
@dataclass(frozen=True, slots=True, kw_only=True)
class RegistersRead:
    """Registers of one meter at one moment.

    kind: daily_freeze (the state at 24:00 of `day_on`, whatever stamp the protocol uses), current,
    manual; source: dlt645_2007, modbus_sdm630, manual, qgdw376_freeze (a concentrator had it) or
    qgdw376_forwarded (the meter, asked through one); registers: OBIS (1-0:1.8.0) -> Wh or varh;
    flaws: OBIS -> why a register has no value (non_bcd, no_value); voltages: OBIS -> 0.1 V;
    clock_offset_s: meter time minus ours, None when not read; relay: open, closed, button, "";
    frames: the raw frames in hexadecimal: > sent, < received, ? no frame; where password bytes are
    xx, # and the SHA-256 of the original follow (HMAC with the evidence key); order_id: "" when
    nobody asked.
    """

    reading_id: str
    usage_point: str
    meter_no: str
    kind: str
    source: str
    day_on: str
    read_at: str
    order_id: str
    registers: dict[str, int]
    flaws: dict[str, str] = field(default_factory=dict)
    demands: tuple[DemandPeak, ...] = ()
    voltages: dict[str, int] = field(default_factory=dict)
    clock_offset_s: int | None = None
    relay: str = ""
    frames: tuple[str, ...] = ()
    entered_by: str = ""


@edge_catalogue.event("ingest.profile_read")
@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRead:
    """The load profile of one day: 97 snapshots of each register, 00:00 to 24:00, columnar.

    None where the meter has no snapshot. source: as of RegistersRead; qgdw376_freeze is a curve.
    """

    reading_id: str
    usage_point: str
    meter_no: str
    source: str
    day_on: str
    read_at: str
    order_id: str
    snapshots: dict[str, tuple[int | None, ...]]
    frames: tuple[str, ...] = ()


@edge_catalogue.event("ingest.slot_table_read")
@dataclass(frozen=True, slots=True, kw_only=True)
class SlotTableRead:
    """By which times of which days a meter counts in which rate, as it is programmed.

    zones: `MM-DD=table`, from which day of the year on; day_tables: number -> `hh:mm=rate`, from
    which time on; special_days: `2026-05-01=table`; rest_weekdays: Monday is 0, and rest_table is
    theirs, 0 for none; day_on: the day whose order it was; others as in ingest.registers_read.
    """

    reading_id: str
    usage_point: str
    meter_no: str
    source: str
    day_on: str
    read_at: str
    order_id: str
    zones: tuple[str, ...]
    day_tables: dict[str, tuple[str, ...]]
    special_days: tuple[str, ...] = ()
    rest_weekdays: tuple[int, ...] = ()
    rest_table: int = 0
    clock_offset_s: int | None = None
    frames: tuple[str, ...] = ()


@edge_catalogue.event("ingest.read_failed")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFailed:
    """An order was tried and gave no reading: no_reply, bad_reply, refused, line_down; or not_held:
    the meter does not hold that day (any more), so asking again is of no use."""

    order_id: str
    usage_point: str
    meter_no: str
    day_on: str
    attempt: int
    cause: str
    detail: str
    failed_at: str
    frames: tuple[str, ...] = ()


@catalogue.event("ingest.supply_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyNoted:
    """The supply timeline of a point as ingest needs it (content of customers.supply)."""

    usage_point: str
    version: int
    account_no: str
    area: str
    switching_method: str
    registers: tuple[str, ...]
    intervals: bool
    supplied_from_on: str
    supplied_to_on: str
    agreement_version: int
    installations: tuple[SupplyInstallation, ...]
    has_rates: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyInstallation:
    """Where a meter is and how it is reached, from an instant to an instant ("" open)."""

    meter_no: str
    from_at: str
    to_at: str
    protocol: str
    line: str
    address: str


@catalogue.event("ingest.reading_ordered")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingOrdered:
    """Read this meter's freeze of a day. attempt counts from 1; kind: daily_freeze, profile, or
    slot_table (by which times it counts its rates; `day_on` is the day of the order then);
    retry_at: when it is ordered again if nobody answers."""

    order_id: str
    usage_point: str
    meter_no: str
    protocol: str
    line: str
    address: str
    kind: str
    day_on: str
    attempt: int
    registers: tuple[str, ...]
    retry_at: str


@catalogue.event("ingest.reading_collected")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingCollected:
    """The reading of a day is there. relay: what the meter said of its relay, "" for nothing;
    read_at: when it was read; source: where its values come from, as the reading says."""

    usage_point: str
    day_on: str
    kind: str
    reading_id: str
    attempts: int
    relay: str = ""
    read_at: str = ""
    source: str = ""


@catalogue.event("ingest.reading_failed")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingFailed:
    """An attempt failed; the next is not before `retry_at` ("" when no further one follows).

    cause: as the edge said, no_value when nothing usable was read, gave_up when nobody asks again.
    """

    usage_point: str
    day_on: str
    kind: str
    attempt: int
    cause: str
    retry_at: str


@catalogue.event("ingest.reading_missing")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingMissing:
    """The grace time after the cut-off passed without the reading of a day.

    With attempts 0 it was never ordered, nor was any day before it: its meter forgot it long ago.
    """

    usage_point: str
    account_no: str
    day_on: str
    attempts: int
    last_cause: str


@catalogue.event("ingest.field_reading_ordered")
@dataclass(frozen=True, slots=True, kw_only=True)
class FieldReadingOrdered:
    """Somebody must go and read the meter: since `since_on` it does not answer, or, with failures
    0, it is a meter that only people can read, and `since_on` is the day it is wanted for."""

    field_order_id: str
    usage_point: str
    account_no: str
    meter_no: str
    since_on: str
    failures: int


@catalogue.event("ingest.field_reading_closed")
@dataclass(frozen=True, slots=True, kw_only=True)
class FieldReadingClosed:
    """A manual reading (or the meter's own voice again) closed a field order.

    next_at: nobody is sent again before; day_on: the day up to which a meter that only people can
    read is read now, "" for others.
    """

    field_order_id: str
    usage_point: str
    reading_id: str
    closed_by: str
    next_at: str = ""
    day_on: str = ""


@catalogue.event("ingest.switching_reported")
@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchingReported:
    """The outcome of a device command, by account (ingest.switching).

    outcome: refused, confirmed, waiting_for_button, not_confirmed, unknown, found (a relay found
    open or closed without our command; then command_id is ""). state: open, closed, "".
    """

    command_id: str
    seq: int
    account_no: str
    usage_point: str
    meter_no: str
    action: str
    outcome: str
    state: str
    reason: str
    reported_at: str


@catalogue.event("ingest.contact_changed")
@dataclass(frozen=True, slots=True, kw_only=True)
class ContactChanged:
    """Whether a meter answers from afar (own, and on ingest.switching by account).

    data_to_on: the newest day whose reading is in, "" for none.
    """

    usage_point: str
    account_no: str
    meter_no: str
    reachable: bool
    data_to_on: str
    told_at: str


@effect_catalogue.event("ingest.place_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceNoted:
    """What the executor compares a command with: the point's current supply."""

    usage_point: str
    account_no: str
    agreement_version: int
    switching_method: str
    supply_version: int
    installations: tuple[SupplyInstallation, ...]


@effect_catalogue.event("ingest.command_refused")
@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRefused:
    """A command that is not sent, and the check that refused it (ingest.results, by point)."""

    command_id: str
    seq: int
    account_no: str
    usage_point: str
    meter_no: str
    action: str
    check: str
    detail: str


@effect_catalogue.event("ingest.attempt_started")
@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStarted:
    """Written and awaited before the wire is touched; never sent a second time.

    protocol, line and address: where the meter is reached, also to look at it later.
    """

    command_id: str
    seq: int
    account_no: str
    usage_point: str
    meter_no: str
    action: str
    valid_until_at: str
    protocol: str
    line: str
    address: str


@effect_catalogue.event("ingest.attempt_ended")
@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnded:
    """What is known after the wire was touched.

    outcome: confirmed (state read back as asked), waiting_for_button, not_confirmed (read back and
    otherwise, or the meter refused), unknown (read again after `read_back_at`). state: what
    04000503 said, "" when it could not be read. final: whether this ends the command.
    """

    command_id: str
    seq: int
    account_no: str
    usage_point: str
    meter_no: str
    action: str
    outcome: str
    state: str
    detail: str
    final: bool
    read_back_at: str
    frames: tuple[str, ...] = ()


@catalogue.event("ingest.relay_found")
@dataclass(frozen=True, slots=True, kw_only=True)
class RelayFound:
    """A relay stood otherwise than our last confirmed command left it."""

    usage_point: str
    account_no: str
    meter_no: str
    expected: str
    found: str
    reading_id: str
