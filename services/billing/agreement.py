"""What an account agreed to, as it stands in the days that are rated together.

Terms hold for a whole rating part; where one of them changes inside a month (a class, a payment
mode), the month is rated in parts. Transformers and household allowances carry their own dates,
because they change often and are charged by the day or the month.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class PointTerms:
    """How one usage point is billed; `rate_periods` maps its meter's rate numbers to periods."""

    point: str
    price_list: str
    category: str
    voltage_class: str
    metering_side: str = "low"
    rate_periods: dict[str, str] = field(default_factory=dict)
    from_on: str = ""
    until_on: str = ""


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
    """A transformer (or a directly connected high-voltage motor) in one state, from and until."""

    id: str
    capacity_va: int
    state: str = "in_use"
    kind: str = "transformer"
    model: str = ""
    from_on: str = ""
    until_on: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseholdAllowance:
    """A rule of the book by which this household's tier boundaries are higher."""

    rule: str
    from_on: str
    until_on: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementTerms:
    """The agreement of one account as of the days that are rated."""

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
