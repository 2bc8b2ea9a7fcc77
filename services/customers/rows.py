"""The rows of the import files as the core knows them: one dataclass per file.

A row says what holds from a day on (`valid_from_on`). Its `entity` is what it is about, without the
day: an account, a transformer of an account, a usage point of an account, a meter. The rows of an
entity are its timeline. Installations and exchanges are happenings: their entity is the usage point
and each row stands for itself.

A dataclass costs 150 to 400 bytes; an account with one usage point has about six of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from libs.events.errors import BadInput
from services.customers.days import day_of, day_start_at

CATEGORIES = ("residential", "non_residential", "industrial", "agricultural")
VOLTAGE_CLASSES = ("lt1kv", "10kv", "35kv", "110kv")
METERING_SIDES = ("high", "low")
DEMAND_MODES = ("none", "capacity", "contract", "measured")
PF_STANDARDS = ("0.80", "0.85", "0.90")
PAYMENT_MODES = ("postpaid", "prepaid_remote", "prepaid_local")
PROTECTIONS = ("life_support", "hospital", "school", "key_user", "fire_pump")
TRANSFORMER_STATES = ("in_use", "suspended", "cold_sealed", "hot_standby")
SWITCHING_METHODS = ("meter_relay", "terminal_output", "field_ticket", "none")
TOU_BASES = ("rate_registers", "load_profile")
RELATIONS = (
    "main",
    "deducted",
    "fixed_ratio",
    "fixed_quantity",
    "transferred",
    "check",
    "feed_in",
)
LOSS_ROLES = ("gate", "member", "none")
WITH_PARENT = ("deducted", "fixed_ratio", "fixed_quantity", "transferred")
ACCURACY_CLASSES = ("0.2S", "0.5S", "1", "2")
CONNECTIONS = ("direct", "ct")
PRICE_UNITS = ("kWh", "kVA", "kW", "month")
PROTOCOLS = ("dlt645_2007", "qgdw376", "modbus_sdm630", "dlt698", "dlms", "manual")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """A customer 户. `household_size` is 0 when not known."""

    valid_from_on: str
    account_no: str
    language: str
    household_size: int
    protected: str
    moved_out_on: str

    @property
    def entity(self) -> str:
        return self.account_no


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementRow:
    """The terms of an account 供用电合同; those of a prepaid one are of its signed agreement."""

    valid_from_on: str
    account_no: str
    category: str
    region: str
    price_list: str
    voltage_class: str
    metering_side: str
    demand_mode: str
    contract_demand_w: int
    pf_standard: str
    payment_mode: str
    low_income: bool = False
    feed_in_price_list: str = ""
    prepaid_agreement_no: str = ""
    prepaid_signed_on: str = ""
    prepaid_credit_limit_fen: int = 0
    prepaid_warn1_fen: int = 0
    prepaid_warn2_fen: int = 0

    @property
    def entity(self) -> str:
        return self.account_no


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerRow:
    """A transformer of the customer, in one state; `share` is the part that the account bears."""

    valid_from_on: str
    account_no: str
    transformer_no: str
    kva: int
    model: str
    state: str
    valid_to_on: str
    share: str = "1"
    shared_with: str = ""
    iron_loss_w: int = 0
    copper_loss_w: int = 0

    @property
    def entity(self) -> str:
        return f"{self.account_no}/{self.transformer_no}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PointRow:
    """A usage point under an account; empty terms are those of the agreement."""

    valid_from_on: str
    account_no: str
    usage_point: str
    price_list: str
    category: str
    voltage_class: str
    metering_side: str
    rate_periods: dict[str, str]
    area: str
    switching_method: str
    registers: tuple[str, ...]
    intervals: bool
    tou_basis: str
    valid_to_on: str
    feeder: str = ""
    loss_role: str = ""
    loss_table: str = ""
    line_loss_percent: str = ""
    line_resistance_mohm: int = 0

    @property
    def entity(self) -> str:
        return f"{self.account_no}/{self.usage_point}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RelationRow:
    """What a usage point is to another one of the account; without a row it is a main point."""

    valid_from_on: str
    account_no: str
    usage_point: str
    relation: str
    parent_point: str
    share: str
    quantity_wh: int

    @property
    def entity(self) -> str:
        return f"{self.account_no}/{self.usage_point}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentRow:
    """A price that only this account has; `usage_point` is "" when it is for the whole account."""

    valid_from_on: str
    account_no: str
    code: str
    name_zh: str
    name_en: str
    unit: str
    price: str
    usage_point: str
    source: str
    valid_to_on: str

    @property
    def entity(self) -> str:
        return f"{self.account_no}/{self.code}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalLineRow:
    """An amount that another one settled for the month in which `valid_from_on` lies."""

    valid_from_on: str
    account_no: str
    document_no: str
    code: str
    name_zh: str
    name_en: str
    amount_fen: int
    settled_by: str

    @property
    def entity(self) -> str:
        return f"{self.account_no}/{self.document_no}/{self.code}"

    @property
    def month(self) -> str:
        return self.valid_from_on[:7]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterRow:
    """A meter 电能表."""

    valid_from_on: str
    meter_no: str
    model: str
    accuracy_class: str
    connection: str
    verified_on: str
    digits: int

    @property
    def entity(self) -> str:
        return self.meter_no


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationRow:
    """A meter was put where none was, at 00:00 of the day when `installed_at` is empty."""

    valid_from_on: str
    usage_point: str
    meter_no: str
    installed_at: str
    ratio: str
    protocol: str
    line: str
    address: str
    capacity_w: int
    initial: dict[str, int]

    @property
    def entity(self) -> str:
        return self.usage_point

    @property
    def happened_at(self) -> str:
        return self.installed_at or day_start_at(self.valid_from_on)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeRow:
    """A meter came in place of another, or of itself with another ratio, or was taken away.

    `new_meter_no` is "" when nothing came in its place; empty protocol, line, address and capacity
    (0) are those of the old installation.
    """

    valid_from_on: str
    usage_point: str
    exchanged_at: str
    old_meter_no: str
    old_ratio: str
    old_final: dict[str, int]
    new_meter_no: str
    new_ratio: str
    new_initial: dict[str, int]
    protocol: str
    line: str
    address: str
    capacity_w: int

    @property
    def entity(self) -> str:
        return self.usage_point

    @property
    def happened_at(self) -> str:
        return self.exchanged_at


AnyRow = (
    AccountRow
    | AgreementRow
    | TransformerRow
    | PointRow
    | RelationRow
    | ComponentRow
    | ExternalLineRow
    | MeterRow
    | InstallationRow
    | ExchangeRow
)
Happening = InstallationRow | ExchangeRow


def check_row(row: AnyRow) -> None:
    """What the cells of one row must say together; BadInput names the column that does not fit."""
    check: Callable[[Any], None] | None = _CHECKS.get(type(row))
    if check is not None:
        check(row)


def _check_account(row: AccountRow) -> None:
    _check_order("moved_out_on", row.valid_from_on, row.moved_out_on)


def _check_agreement(row: AgreementRow) -> None:
    needed = row.demand_mode == "contract"
    if needed and not row.contract_demand_w:
        raise BadInput("contract_demand_kw", "is missing", "demand_mode contract needs it")
    if row.contract_demand_w and not needed:
        fix = "leave it empty, or state demand_mode contract"
        raise BadInput("contract_demand_kw", f"is given with demand_mode {row.demand_mode}", fix)
    _check_prepaid(row)


def _check_prepaid(row: AgreementRow) -> None:
    """Terms of a prepaid account are those of an agreement with a number and a day."""
    given: Mapping[str, object] = {
        "prepaid_agreement_no": row.prepaid_agreement_no,
        "prepaid_signed_on": row.prepaid_signed_on,
        "prepaid_credit_limit_yuan": row.prepaid_credit_limit_fen,
        "prepaid_warn1_yuan": row.prepaid_warn1_fen,
        "prepaid_warn2_yuan": row.prepaid_warn2_fen,
    }
    filled = [column for column, value in given.items() if value]
    if filled and row.payment_mode == "postpaid":
        fix = "leave it empty, or state payment_mode prepaid_remote or prepaid_local"
        raise BadInput(filled[0], "is given with payment_mode postpaid", fix)
    for column in ("prepaid_agreement_no", "prepaid_signed_on"):
        if filled and column not in filled:
            raise BadInput(column, "is missing", f"give it with {filled[0]}")
    if row.prepaid_warn2_fen > row.prepaid_warn1_fen:
        fix = "give the first warning the higher balance"
        raise BadInput("prepaid_warn2_yuan", "is above prepaid_warn1_yuan", fix)


def _check_transformer(row: TransformerRow) -> None:
    _check_until(row)
    if row.shared_with == row.account_no:
        raise BadInput("shared_with", "is the account itself", "name who bears the rest")
    if row.shared_with and row.share == "1":
        fix = "give the part that this account bears, below 1"
        raise BadInput("share", f"is the whole, and {row.shared_with} bears the rest", fix)


def _check_point(row: PointRow) -> None:
    _check_until(row)
    if row.line_loss_percent and row.line_resistance_mohm:
        problem = "is given with line_loss_percent"
        raise BadInput("line_resistance_mohm", problem, "give the one that the contract has")


def _check_until(row: TransformerRow | PointRow | ComponentRow) -> None:
    _check_order("valid_to", row.valid_from_on, row.valid_to_on)


def _check_relation(row: RelationRow) -> None:
    kind = row.relation
    if kind in WITH_PARENT and not row.parent_point:
        raise BadInput("parent_point", "is missing", f"name the point that {kind} refers to")
    if kind == "main" and row.parent_point:
        raise BadInput("parent_point", "is given for a main point", "leave it empty")
    if row.parent_point == row.usage_point:
        raise BadInput("parent_point", "is the point itself", "name another point")
    if (kind == "fixed_ratio") != bool(row.share):
        raise BadInput("share", *_needed_or_not(bool(row.share), kind))
    if (kind == "fixed_quantity") != bool(row.quantity_wh):
        raise BadInput("quantity_kwh", *_needed_or_not(bool(row.quantity_wh), kind))


def _needed_or_not(given: bool, kind: str) -> tuple[str, str]:
    if given:
        return f"is given with relation {kind}", "leave it empty"
    return "is missing", f"the relation {kind} needs it"


def _check_installation(row: InstallationRow) -> None:
    _check_day("installed_at", row.happened_at, row.valid_from_on)
    if row.protocol != "manual" and not (row.line and row.address):
        column = "address" if row.line else "line"
        raise BadInput(column, "is missing", f"protocol {row.protocol} needs it")
    check_reach(row.protocol, row.line, row.address)


def check_reach(protocol: str, line: str, address: str) -> None:
    """Whether an address and a line are of the kind that a protocol has: behind a concentrator
    (qgdw376) they name the concentrator, the point Pn and the meter."""
    is_behind = protocol == "qgdw376"
    if is_behind and "/" not in address:
        problem = f"{address!r} names no meter behind a concentrator"
        raise BadInput("address", problem, "write it like 0200-1234/17/000000000161")
    if not is_behind and "/" in address:
        raise BadInput("address", f"{address!r} is one of protocol qgdw376", "give its digits")
    if is_behind and line.startswith("serial:"):
        raise BadInput("line", f"{line!r} reaches no concentrator", "tcp: or listen:HOST:PORT")
    if not is_behind and line.startswith("listen:"):
        raise BadInput("line", f"{line!r} is one of protocol qgdw376", "tcp:HOST:PORT or serial:")


def _check_exchange(row: ExchangeRow) -> None:
    _check_day("exchanged_at", row.exchanged_at, row.valid_from_on)
    new: Mapping[str, object] = {
        "new_ratio": row.new_ratio,
        "new_initial": row.new_initial,
        "protocol": row.protocol,
        "line": row.line,
        "address": row.address,
        "capacity_kw": row.capacity_w,
    }
    if row.new_meter_no:
        if not row.new_ratio:
            raise BadInput("new_ratio", "is missing", "give it, even when it did not change")
        return
    for column, value in new.items():
        if value:
            fix = "name the new meter, or leave all of it empty for a meter that was taken away"
            raise BadInput(column, "is given without new_meter_no", fix)


def _check_order(column: str, from_on: str, to_on: str) -> None:
    if to_on and to_on < from_on:
        raise BadInput(column, f"{to_on} is before valid_from {from_on}", "give a later day")


def _check_day(column: str, at: str, valid_from_on: str) -> None:
    if day_of(at) != valid_from_on:
        fix = f"valid_from must be {day_of(at)}, or the instant wrong"
        raise BadInput(column, f"{at} (UTC) is not on the day valid_from {valid_from_on}", fix)


_CHECKS: dict[type, Callable[[Any], None]] = {
    AccountRow: _check_account,
    AgreementRow: _check_agreement,
    TransformerRow: _check_transformer,
    PointRow: _check_point,
    RelationRow: _check_relation,
    ComponentRow: _check_until,
    InstallationRow: _check_installation,
    ExchangeRow: _check_exchange,
}
