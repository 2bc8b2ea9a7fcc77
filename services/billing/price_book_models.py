"""What the YAML of a price book may hold, as people write it: a model for each mapping of it.

Quantities are texts in the units of a bill (kWh, yuan), so that none passes through a binary float;
`price_book_file.py` turns them into the plain data of `price_book.py`. A field that is not known is
refused, and one that is left out has the default named here.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from libs.tou_calendar import DAY_TYPES


class Strict(BaseModel):
    """A mapping of which every field is known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ComponentModel(Strict):
    """A price; `period_ratios` to it become period prices, rounded to `period_decimals`."""

    code: str = Field(min_length=1)
    name_zh: str
    name_en: str
    unit: str
    price: str = ""
    tou_applies: bool = False
    period_prices: dict[str, str] = {}
    period_ratios: dict[str, str] = {}
    period_decimals: int = Field(default=4, ge=0, le=6)
    pf_base: bool = True
    source: str
    unconfirmed: bool = False


class TierStepModel(Strict):
    """The adder above a boundary."""

    code: str = Field(min_length=1)
    name_zh: str
    name_en: str
    above_kwh: str
    adder: str
    source: str
    unconfirmed: bool = False


class TiersModel(Strict):
    """Tiers, and what allowances add to each boundary in kWh per month."""

    span: str
    steps: tuple[TierStepModel, ...]
    year_from_month: int = 1
    allowances_kwh_per_month: dict[str, tuple[str, ...]] = {}


class DemandRuleModel(Strict):
    """How a measured demand is billed against the contract."""

    name: str
    within: str
    lower_percent: int = 0
    upper_percent: int = 105
    base_above: str = "contract"
    excess_over: str = "limit"
    excess_factor: int = 2
    source: str
    unconfirmed: bool = False
    load_hours_kwh_per_kva: int = 0
    price_percent_above: int = 100
    within_feeder: str = "sum"
    transferred_kwh_per_kw: dict[str, int] = {}


class TwoPartModel(Strict):
    """The rules of the basic charge; a state that is left out keeps its default percentage."""

    contract_floor_percent: int
    demand_rule: DemandRuleModel
    state_percents: dict[str, int] = {}


class PriceListModel(Strict):
    """One price list."""

    category: str
    voltage_class: str
    name_zh: str
    name_en: str
    components: tuple[ComponentModel, ...]
    calendar: str = ""
    tiers: TiersModel | None = None
    two_part: TwoPartModel | None = None
    power_factor_applies: bool = False
    minimum_charge: str = ""
    free_allowance_kwh: str = "0"
    kind: str = ""
    minimum_per: str = "month"


class SlotModel(Strict):
    """A period of the day."""

    start: str
    end: str
    period: str


class DayPatternModel(Strict):
    """The day of some months and day types."""

    name: str
    months: tuple[int, ...]
    day_types: tuple[str, ...] = DAY_TYPES
    slots: tuple[SlotModel, ...]


class CalendarModel(Strict):
    """When which period is."""

    patterns: tuple[DayPatternModel, ...]
    source: str
    unconfirmed: bool = False


class PowerFactorModel(Strict):
    """What the factor is taken from; `table` names a file beside the book."""

    table: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    reactive_quadrants: tuple[str, ...]
    active: str
    unconfirmed: bool = False
    producer_quadrants: tuple[str, ...] = ("1", "4")
    active_of: str = "import"


class RoundingModel(Strict):
    """Every rounding by name."""

    amount: str
    energy: str
    energy_unit_wh: int
    demand: str
    demand_unit_w: int
    periods: str
    power_factor_base: str
    deduction_spread: str


class LateFeeModel(Strict):
    """The late fee."""

    name: str
    residential_permille: int = Field(ge=0)
    same_year_permille: int = Field(ge=0)
    later_year_permille: int = Field(ge=0)
    minimum_fen: int = Field(ge=0)
    rounding: str = "half_up"
    source: str
    unconfirmed: bool = False


class HouseholdRuleModel(Strict):
    """From how many people on a household has an allowance."""

    allowance: str = Field(min_length=1)
    people_from: int = Field(ge=1)
    category: str = "residential"
    source: str
    unconfirmed: bool = False


class LossRowModel(Strict):
    """The loss of a month in which more than `above_kwh` were measured."""

    above_kwh: str
    loss_kwh: str
    loss_kvarh: str = "0"


class LossTableModel(Strict):
    """The losses of one model of transformer."""

    rows: tuple[LossRowModel, ...] = Field(min_length=1)
    source: str
    unconfirmed: bool = False


class LossRuleModel(Strict):
    """How losses are calculated; a voltage class that is left out keeps its default voltage."""

    name: str
    copper_factor: str = "1"
    nominal_v: dict[str, int] = {}
    source: str
    unconfirmed: bool = False


class BookModel(Strict):
    """A price book file."""

    kind: Literal["price_book"]
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    version: int = Field(ge=1)
    region: str
    name_zh: str
    name_en: str
    from_on: str
    until_on: str
    currency: str = "CNY"
    day_basis: str
    rounding: RoundingModel
    calendars: dict[str, CalendarModel] = {}
    holidays_on: tuple[str, ...] = ()
    power_factor: PowerFactorModel | None = None
    late_fee: LateFeeModel
    correction_price_basis: str = "usage_month"
    source: str
    unconfirmed: bool = False
    household_rules: tuple[HouseholdRuleModel, ...] | None = None
    loss_tables: dict[str, LossTableModel] = {}
    netting: str = "none"
    loss_rule: LossRuleModel | None = None
    price_lists: dict[str, PriceListModel] = Field(min_length=1)


class PowerFactorTableModel(Strict):
    """The file of a power-factor table."""

    kind: Literal["power_factor_table"]
    name: str
    standards: tuple[str, ...]
    step_below: str
    source: str
    rows: tuple[tuple[str, ...], ...]
