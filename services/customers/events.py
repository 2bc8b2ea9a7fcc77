"""What happened to customers: who has an account, on which terms, and what is installed where.

Names here are the storage format. `customers.events` holds the own events; the published facts go
to `customers.agreements` (by account), `customers.supply` (by usage point) and `customers.meters`
(by meter). A published fact is always the whole timeline of one account, so a reader keeps only the
one with the highest version. A usage point or a meter may serve several accounts one after another:
a reader of supply keeps the highest version of each (usage point, account), a reader of meters that
of each (meter, account). A later account's versions are above an earlier one's, in either topic.

`to_on` and `moved_out_on` are the first day on which it no longer holds, `supplied_to_on` is the
last day supplied; "" while open.
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.core import Tick
from libs.events.registry import Catalogue

catalogue = Catalogue("customers")
catalogue.reads("clock.ticked")(Tick)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of an import file, as in the file.

    kind: "" for a new row, correction or change; values: the cells that are not empty, but for
    valid_from and kind. Columns and natural keys are those of services/customers/README.md.
    """

    file: str
    line: int
    natural_key: str
    kind: str
    valid_from_on: str
    values: dict[str, str]


@catalogue.event("customers.rows_submitted")
@dataclass(frozen=True, slots=True, kw_only=True)
class RowsSubmitted:
    """The rows of one account in one import (customers.requests, by account)."""

    import_id: str
    account_no: str
    rows: tuple[Row, ...]
    submitted_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningReceivable:
    """A debt that a running utility brings along."""

    invoice_no: str
    amount_fen: int
    issued_on: str
    due_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningReading:
    """The last billed reading of a register: Wh (or varh) as the meter shows, before its ratio."""

    usage_point: str
    register: str
    reading_wh: int
    read_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningHold:
    """A hold that is in force when the utility moves in."""

    usage_point: str
    reason: str
    since_on: str


@catalogue.event("customers.opening_submitted")
@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningSubmitted:
    """The opening position of one account at the end of a day (customers.requests, by account).

    Sent only after the control totals of the whole directory matched. control_total_fen: the
    account's own check, its receivables less its prepayment.
    """

    opening_id: str
    account_no: str
    as_of_on: str
    readings: tuple[OpeningReading, ...]
    tier_year_to_date_wh: int
    receivables: tuple[OpeningReceivable, ...]
    prepayment_fen: int
    holds: tuple[OpeningHold, ...]
    control_total_fen: int
    submitted_by: str


@catalogue.event("customers.row_taken")
@dataclass(frozen=True, slots=True, kw_only=True)
class RowTaken:
    """A row changed what we know."""

    row: Row
    import_id: str


@catalogue.event("customers.row_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class RowRejected:
    """A row was refused: the field, what is wrong with it, and the fix."""

    row: Row
    import_id: str
    field: str
    problem: str


@catalogue.event("customers.opening_taken")
@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningTaken:
    """The opening position of an account was taken."""

    opening: OpeningSubmitted


@catalogue.event("customers.opening_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningRejected:
    """An opening position was refused: the account is open already, or unknown."""

    opening_id: str
    account_no: str
    problem: str


@catalogue.event("customers.publication_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class PublicationNoted:
    """What was published, as of which day: the new versions by usage point and by meter.

    agreement_version: the account's current one, 0 while there is no agreement.
    """

    account_no: str
    day_on: str
    agreement_version: int
    supply_versions: dict[str, int]
    meter_versions: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformer:
    """A transformer of the customer. state: in_use, suspended, cold_sealed, hot_standby.

    share: the part of it that the account bears, an exact decimal; shared_with: the account that
    bears the rest, "" for none; iron_loss_w, copper_loss_w: as on its plate, 0 when not told.
    """

    transformer_no: str
    kva: int
    model: str
    state: str
    from_on: str
    to_on: str
    share: str = "1"
    shared_with: str = ""
    iron_loss_w: int = 0
    copper_loss_w: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PointTerms:
    """One usage point under the agreement, from a day to a day ("" open).

    relation: main, deducted, fixed_ratio, fixed_quantity, transferred, check, feed_in;
    parent_point: the main one; share: exact decimal for fixed_ratio; quantity_wh: per month for
    fixed_quantity; price_list, category, voltage_class and metering_side: the point's own, else
    those of the agreement; rate_periods: rate number -> sharp, peak, flat, valley (data of the
    point, domain.md 1.3); feeder: that of its area, "" when not told; loss_table: of its
    transformer loss, "" for that of the transformer's model; line_loss_percent (exact decimal) or
    line_resistance_mohm: of the line behind the property boundary, "" and 0 for none.
    """

    usage_point: str
    relation: str
    parent_point: str
    share: str
    quantity_wh: int
    price_list: str
    category: str
    voltage_class: str
    metering_side: str
    rate_periods: dict[str, str]
    from_on: str
    to_on: str
    feeder: str = ""
    loss_table: str = ""
    line_loss_percent: str = ""
    line_resistance_mohm: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A price that only this account has, from a day to a day ("" open).

    unit: kWh, kVA, kW (a month) or month; price: exact decimal in yuan; usage_point: "" for the
    whole account; source: the document that says so.
    """

    code: str
    name_zh: str
    name_en: str
    unit: str
    price: str
    usage_point: str
    source: str
    from_on: str
    to_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalLine:
    """An amount of a month (2026-01) that another one settled, a credit when it is below zero."""

    document_no: str
    month: str
    code: str
    name_zh: str
    name_en: str
    amount_fen: int
    settled_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepaidTerms:
    """The signed agreement of a prepaid account: how far its balance may go below zero, and below
    which balances it is warned."""

    agreement_no: str
    signed_on: str
    credit_limit_fen: int
    warn1_fen: int
    warn2_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The agreement from a day on (供用电合同).

    category: residential, non_residential, industrial, agricultural; voltage_class: lt1kv, 10kv,
    35kv, 110kv; metering_side: high, low; demand_mode: none, capacity, contract, measured;
    pf_standard: "", 0.80, 0.85, 0.90; payment_mode: postpaid, prepaid_remote, prepaid_local;
    protected: "" or why the customer may not be cut (life_support, hospital, school, key_user,
    fire_pump); household_size: 0 when not known; moved_out_on: the same in every row; low_income:
    whether it has free energy; feed_in_price_list: what exported energy is valued by, "" for none;
    prepaid: None without a signed agreement.
    """

    valid_from_on: str
    category: str
    region: str
    price_list: str
    voltage_class: str
    metering_side: str
    demand_mode: str
    contract_demand_w: int
    pf_standard: str
    payment_mode: str
    household_size: int
    language: str
    protected: str
    moved_out_on: str
    low_income: bool = False
    feed_in_price_list: str = ""
    prepaid: PrepaidTerms | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchPoint:
    """How a point of the account is switched now: what a relay command must name.

    area: the transformer area that supplies the point.
    """

    usage_point: str
    meter_no: str
    address: str
    installed_from_at: str
    switching_method: str
    voltage_class: str
    area: str = ""


@catalogue.event("customers.agreement_published")
@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementPublished:
    """The whole agreement timeline of an account (customers.agreements, by account).

    switch_points: the points with a meter installed now, for control; components, external_lines:
    what only this account is charged.
    """

    account_no: str
    version: int
    terms: tuple[Terms, ...]
    transformers: tuple[Transformer, ...]
    points: tuple[PointTerms, ...]
    switch_points: tuple[SwitchPoint, ...] = ()
    components: tuple[Component, ...] = ()
    external_lines: tuple[ExternalLine, ...] = ()


@catalogue.event("customers.account_opened")
@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOpened:
    """The opening position, for billing, payments and control (customers.agreements)."""

    opening: OpeningSubmitted


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """Which meter a usage point has from an instant to an instant ("" open).

    ratio: CT x VT as an exact decimal; protocol: dlt645_2007, qgdw376, modbus_sdm630, manual; line:
    how to reach it or its concentrator (tcp:HOST:PORT, listen:HOST:PORT, serial:PATH); address: on
    that line, or 0200-1234/17/000000000161 behind a concentrator; digits: integer digits of its
    registers; initial and final: register (OBIS) -> Wh or varh as the meter shows, at from_at and
    at to_at; capacity_w: what the connection can carry, for plausibility.
    """

    meter_no: str
    from_at: str
    to_at: str
    ratio: str
    protocol: str
    line: str
    address: str
    digits: int
    capacity_w: int
    initial: dict[str, int]
    final: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class PointTariff:
    """How the energy of a point is priced from a day on, as far as its periods go.

    region and price_list: which price book, and which of its lists; rate_periods as in PointTerms;
    tou_basis: rate_registers or load_profile, what the energy by period is taken from.
    """

    from_on: str
    region: str
    price_list: str
    rate_periods: dict[str, str]
    tou_basis: str = "rate_registers"


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaPlace:
    """Where a usage point counts in line losses, from a day to a day ("" open).

    area: transformer area 台区, "" on the feeder itself; feeder: "" when not told; role: gate (its
    meter measures what goes in), member, none (another point measures it too).
    """

    area: str
    feeder: str
    role: str
    from_on: str
    to_on: str


@catalogue.event("customers.supply_published")
@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyPublished:
    """The whole supply timeline of a usage point (customers.supply, by usage point).

    switching_method: meter_relay, terminal_output, field_ticket, none; registers: the OBIS codes
    to be read; intervals: whether its load profile is read; rate_periods and category as in
    PointTerms. These are as they stand today, first published on the first day supplied, again when
    they change.
    installations: all that touch the days supplied, with their physical ends; agreement_version: 0
    without an agreement; supplied_from_on, supplied_to_on: the first and the last day supplied;
    tariffs: by which prices and periods, in order of their days, none without an agreement;
    places: its places in areas and feeders over these days.
    """

    usage_point: str
    version: int
    account_no: str
    area: str
    switching_method: str
    voltage_class: str
    registers: tuple[str, ...]
    intervals: bool
    rate_periods: dict[str, str]
    supplied_from_on: str
    supplied_to_on: str
    agreement_version: int
    installations: tuple[Installation, ...]
    category: str = ""
    tariffs: tuple[PointTariff, ...] = ()
    places: tuple[AreaPlace, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterUse:
    """Where a meter served the account, from an instant to an instant ("" open).

    The installation cut to the days in which the account was supplied at the point. removed_at:
    when the meter was taken away, "" while it hangs there, whoever is supplied.
    """

    usage_point: str
    account_no: str
    from_at: str
    to_at: str
    removed_at: str = ""


@catalogue.event("customers.meter_published")
@dataclass(frozen=True, slots=True, kw_only=True)
class MeterPublished:
    """A meter and where it served one account (customers.meters, by meter).

    Readers merge by (meter, account): the highest version of each has all uses of that account.
    uses: of this account alone, in order of time, none when a correction took the last away;
    accuracy_class: 0.2S, 0.5S, 1, 2; connection: direct or ct; verified_on: the last verification;
    capacity_va: of the account's transformers in use, 0 without any; voltage_class: of the last
    point that the meter was at.
    """

    meter_no: str
    version: int
    account_no: str
    model: str
    accuracy_class: str
    connection: str
    verified_on: str
    uses: tuple[MeterUse, ...]
    capacity_va: int = 0
    voltage_class: str = ""
