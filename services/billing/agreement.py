"""What an account agreed to, as it stands in the days that are rated together.

Terms hold for a whole rating part; where one of them changes inside a month (a class, a payment
mode), the month is rated in parts. Transformers, components of the account and household allowances
carry their own dates, because they change often and are charged by the day or the month.

    AgreementTerms(account="3100012345", price_book="cq-residential",
                   points=(PointTerms(point="P1", price_list="residential", ...),))
"""

from __future__ import annotations

from dataclasses import dataclass, field

PAYMENT_MODES = ("postpaid", "prepaid_remote", "prepaid_local")
BASIC_CHARGES = ("none", "capacity", "contract_demand", "measured_demand")
RELATIONS = (
    "main",
    "deducted",
    "fixed_ratio",
    "fixed_quantity",
    "transferred",
    "check",
    "feed_in",
)
"""总表, 套扣分表, 定比, 定量, 转供, 校核, 上网; a point without a relation is a main point."""

TRANSFORMER_STATES = ("in_use", "suspended", "cold_sealed", "hot_standby")
LINE_LOSSES = ("percent", "resistance")


@dataclass(frozen=True, slots=True, kw_only=True)
class LineLoss:
    """The loss of the line behind the property boundary, as the contract has it (domain.md 3.5).

    kind: `percent` of the energy (an exact decimal), or by the `resistance` of the line.
    """

    kind: str
    percent: str = ""
    resistance_mohm: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PointTerms:
    """How one usage point is billed; `rate_periods` maps its meter's rate numbers to periods.

    loss_table: which of the book's tables the transformer loss of low-side metering is read from,
    "" for that of the transformer's model; line_loss: what is lost behind the property boundary;
    feeder: the feeder it is supplied by, "" when not told.
    """

    point: str
    price_list: str
    category: str
    voltage_class: str
    metering_side: str = "low"
    rate_periods: dict[str, str] = field(default_factory=dict)
    from_on: str = ""
    until_on: str = ""
    loss_table: str = ""
    line_loss: LineLoss | None = None
    feeder: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointRelation:
    """What a point is to another one: `P2 deducted of P1` is billed itself and taken off P1."""

    point: str
    kind: str
    of: str = ""
    ratio: str = ""
    quantity_wh: int = 0
    from_on: str = ""
    until_on: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformer:
    """A transformer (or a directly connected high-voltage motor) in one state, from and until.

    share: the part of it that this account bears, an exact decimal up to 1; shared_with: who bears
    the rest; iron_loss_w, copper_loss_w: the losses on its plate, without load and at rated load.
    """

    id: str
    capacity_va: int
    state: str = "in_use"
    kind: str = "transformer"
    model: str = ""
    from_on: str = ""
    until_on: str = ""
    share: str = "1"
    shared_with: str = ""
    iron_loss_w: int = 0
    copper_loss_w: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseholdAllowance:
    """A rule of the book by which this household's tier boundaries are higher."""

    rule: str
    from_on: str
    until_on: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseholdSize:
    """How many people live there from a day on, until the next one; `category` as the agreement
    names it, since a rule of the book may count for residential use alone."""

    from_on: str
    people: int
    category: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountComponent:
    """A price that only this account has, as its contract or the market settled it.

    unit: as a component of the book (kWh, kVA, kW, month); price: exact, in yuan; point: the one it
    is for, "" for the whole account; source: the document.
    """

    code: str
    name_zh: str
    name_en: str
    unit: str
    price: str
    point: str = ""
    from_on: str = ""
    until_on: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalLine:
    """An amount that another one settled, such as the trading centre: billed as its document says.

    It is of a month of the account and stands in every part of that month; it is charged once.
    """

    document_no: str
    month: str
    code: str
    name_zh: str
    name_en: str
    amount_fen: int
    settled_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepaidTerms:
    """The signed agreement of a prepaid account: how far below zero its available balance may go,
    and at which balances it is warned."""

    agreement_no: str
    signed_on: str
    credit_limit_fen: int = 0
    warn1_fen: int = 0
    warn2_fen: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementTerms:
    """The agreement of one account as of the days that are rated.

    free_allowance: it has the free energy of its price list (a low income, 低保); external_lines:
    those of the month; feed_in_price_list: what exported energy is valued by.
    """

    account: str
    price_book: str
    points: tuple[PointTerms, ...]
    relations: tuple[PointRelation, ...] = ()
    payment_mode: str = "postpaid"
    basic_charge: str = "none"
    contract_demand_w: int | None = None
    transformers: tuple[Transformer, ...] = ()
    power_factor_standard: str = ""
    allowances: tuple[HouseholdAllowance, ...] = ()
    free_allowance: bool = False
    language: str = "zh"
    components: tuple[AccountComponent, ...] = ()
    external_lines: tuple[ExternalLine, ...] = ()
    feed_in_price_list: str = ""
    prepaid: PrepaidTerms | None = None
