"""The price book: every price, boundary, calendar and rule a bill rests on, as plain data.

A book is effective-dated (`from_on` to before `until_on`), versioned, and identified by its content
hash; once published it never changes, a later version supersedes it. Prices are exact decimal
strings in yuan, as published; what a source leaves open is marked `unconfirmed` and shown as such.

    book.price_lists["residential"].components[0].price     "0.52" yuan per kWh
    content_hash(book) == book.content_hash                 the book is the one that was published
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from libs.events.memory import once_per
from libs.events.quantities import parse_price
from libs.tou_calendar import TouCalendar

UNITS = ("kWh", "kVA", "kW", "month")
"""What a component is priced per; kVA and kW are per month."""

PRICE_LIST_KINDS = ("", "feed_in")
"""What a list prices: what the customer draws (""), or what it feeds in."""

NETTINGS = ("none", "offset")
MINIMUM_PER = ("month", "kVA", "kW")
ACTIVE_OF = ("import", "import_and_export")


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceComponent:
    """One price of a list, per kWh, per kVA and month, per kW and month, or per month.

    `tou_applies` says that the price floats with the period; `period_prices` then holds a price for
    each. `pf_base` says whether the power-factor adjustment is taken on this component (the sources
    disagree about government funds, domain.md 3.4).
    """

    code: str
    name_zh: str
    name_en: str
    unit: str
    price: str = ""
    tou_applies: bool = False
    period_prices: dict[str, str] = field(default_factory=dict)
    pf_base: bool = True
    source: str = ""
    unconfirmed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TierStep:
    """The adder on the base price for the energy above a boundary, up to the next step's."""

    code: str
    name_zh: str
    name_en: str
    above_wh: int
    adder: str
    source: str = ""
    unconfirmed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TierRule:
    """Residential tiers: monthly or annual boundaries, and what a large household adds to them.

    `allowances` names the rules an agreement may claim; the value is what each boundary gains per
    month, in the order of the steps.
    """

    span: str
    steps: tuple[TierStep, ...]
    year_from_month: int = 1
    allowances: dict[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandRule:
    """How a measured maximum demand is billed against the contract demand (domain.md 3.3).

    Up to `upper_percent` of the contract the charge is on `within`: the `contract` value (2016
    rule) or the `measured` one, then not less than `lower_percent` of the contract (old rule).
    Above, it is on `base_above` plus `excess_factor` times what exceeds `excess_over`; both are
    `contract` or `limit` (upper_percent of it), because published readings differ. Where the
    month's energy is `load_hours_kwh_per_kva` or more per kVA in use, the price is
    `price_percent_above` of the list's (2023 rule: 260 and 90 %, UNCONFIRMED); 0 for no such rule.
    Maxima of several points of one feeder are taken as their `sum` or the `highest` of them
    (UNCONFIRMED). `transferred_kwh_per_kw`: by class of use, how much energy of a month stands for
    a kW of transferred supply that has no demand register (domain.md 3.3; Supply Rules 1996 have
    180, 360 or 540 kWh for one to three shifts and 270 for agriculture, UNCONFIRMED).
    """

    name: str
    within: str
    lower_percent: int = 0
    upper_percent: int = 105
    base_above: str = "contract"
    excess_over: str = "limit"
    excess_factor: int = 2
    source: str = ""
    unconfirmed: bool = False
    load_hours_kwh_per_kva: int = 0
    price_percent_above: int = 100
    within_feeder: str = "sum"
    transferred_kwh_per_kw: dict[str, int] = field(default_factory=dict)


def default_state_percents() -> dict[str, int]:
    return {"in_use": 100, "suspended": 0, "cold_sealed": 0, "hot_standby": 100}


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoPartRule:
    """The rules of the basic charge: the contract demand's floor (in % of capacity), the rule.

    `state_percents`: how much of a transformer's capacity is charged in each of its states
    (UNCONFIRMED: a hot standby counts whole, a suspended or sealed one not).
    """

    contract_floor_percent: int
    demand_rule: DemandRule
    state_percents: dict[str, int] = field(default_factory=default_state_percents)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceList:
    """The prices of one category at one voltage class, in a single-part or two-part system.

    minimum_charge: what is charged at least, in yuan per `minimum_per`; "" for none.
    free_allowance_wh: free energy a month of those whose agreement has it.
    """

    code: str
    category: str
    voltage_class: str
    name_zh: str
    name_en: str
    components: tuple[PriceComponent, ...]
    calendar: str = ""
    tiers: TierRule | None = None
    two_part: TwoPartRule | None = None
    power_factor_applies: bool = False
    minimum_charge: str = ""
    free_allowance_wh: int = 0
    kind: str = ""
    minimum_per: str = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerFactorRule:
    """The adjustment table of the power-factor rules and what the factor is taken from.

    `percents[standard]` lists the percentages of factor 1.00, 0.99, … downwards; below the last row
    each further 0.01 adds `step_below`. `active` is the energy that enters the factor: `metered`
    (before sub-meters are deducted) or `billed`. Of an account that also feeds in, the quadrants
    are `producer_quadrants` and the active energy is that of `active_of` (UNCONFIRMED).
    """

    percents: dict[str, tuple[str, ...]]
    step_below: str
    reactive_quadrants: tuple[str, ...] = ("1", "4")
    active: str = "metered"
    source: str = ""
    unconfirmed: bool = False
    producer_quadrants: tuple[str, ...] = ("1", "4")
    active_of: str = "import"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounding:
    """Every rounding of a bill by name (libs.events.quantities.ROUNDING), and their order.

    `periods` is `flat_is_rest` (total and the other periods are rounded, flat is what is left) or
    `each`. `power_factor_base` is `rounded_lines` (sum of the lines in fen) or `exact`.
    `deduction_spread` says what an unmetered period of a sub-meter takes from the main meter's:
    `proportional` or `flat`.
    """

    amount: str = "half_up"
    energy: str = "half_up"
    energy_unit_wh: int = 1000
    demand: str = "half_up"
    demand_unit_w: int = 1000
    periods: str = "flat_is_rest"
    power_factor_base: str = "rounded_lines"
    deduction_spread: str = "proportional"


@dataclass(frozen=True, slots=True, kw_only=True)
class LateFeeRule:
    """Late-fee rates in permille per day and the named reading of the year's end.

    `split_at_year_end` charges the days of the debt's own year and the later ones at two rates
    (b10, b11); `whole_debt_by_age` charges all days at the later rate once the year is over (b09).
    """

    name: str = "split_at_year_end"
    residential_permille: int = 1
    same_year_permille: int = 2
    later_year_permille: int = 3
    minimum_fen: int = 100
    rounding: str = "half_up"
    source: str = ""
    unconfirmed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseholdRule:
    """From how many people on a household of a category has an allowance of the tiers."""

    allowance: str
    people_from: int
    category: str = "residential"
    source: str = ""
    unconfirmed: bool = False


LARGE_HOUSEHOLD = HouseholdRule(
    allowance="large_household",
    people_from=5,
    source="domain.md 3.2: an allowance by household size; the size differs by province",
    unconfirmed=True,
)
"""What a book has that says nothing of households."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossRow:
    """The loss of a transformer in a month in which its meter showed more than `above_wh`."""

    above_wh: int
    loss_wh: int
    loss_varh: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LossTable:
    """The losses of one model of transformer by load, in the order of their loads."""

    rows: tuple[LossRow, ...]
    source: str = ""
    unconfirmed: bool = False


def _nominal_v() -> dict[str, int]:
    return {"lt1kv": 380, "1_10kv": 10_000, "20kv": 20_000, "35kv": 35_000, "110kv": 110_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class LossRule:
    """How losses are calculated that no table says (domain.md 3.5, UNCONFIRMED).

    name: `apparent_squared` (P^2 + Q^2) or `active_squared` (P^2); copper_factor: K, by which a
    load that is uneven over the day loses more, an exact decimal; nominal_v: by voltage class.
    """

    name: str = "apparent_squared"
    copper_factor: str = "1"
    nominal_v: dict[str, int] = field(default_factory=_nominal_v)
    source: str = "domain.md 3.5"
    unconfirmed: bool = True


LOSS_RULES = ("apparent_squared", "active_squared")


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBook:
    """A published, effective-dated set of price lists and rules.

    `day_basis` divides monthly prices by `thirty` days or the `actual` ones of the cycle;
    `correction_price_basis` is `usage_month` or `correction_month` (price_basis.py); `holidays_on`
    lists the dates that the calendars treat as holidays; `household_rules` says who has which of
    the lists' allowances, each that fits adds its own; `loss_tables` are by transformer model,
    `loss_rule` is for those that have none; `netting` is `none`, or `offset` where what is owed
    for feed-in may settle an account's debts.
    """

    id: str
    version: int
    region: str
    name_zh: str
    name_en: str
    from_on: str
    until_on: str
    price_lists: dict[str, PriceList]
    currency: str = "CNY"
    day_basis: str = "thirty"
    rounding: Rounding = Rounding()
    calendars: dict[str, TouCalendar] = field(default_factory=dict)
    power_factor: PowerFactorRule | None = None
    late_fee: LateFeeRule = LateFeeRule()
    correction_price_basis: str = "usage_month"
    source: str = ""
    unconfirmed: bool = False
    content_hash: str = ""
    holidays_on: tuple[str, ...] = ()
    household_rules: tuple[HouseholdRule, ...] = (LARGE_HOUSEHOLD,)
    loss_tables: dict[str, LossTable] = field(default_factory=dict)
    netting: str = "none"
    loss_rule: LossRule = field(default_factory=LossRule)


@dataclass(frozen=True, slots=True, kw_only=True)
class BookReference:
    """The book a bill was rated with."""

    id: str
    version: int
    content_hash: str


class BookSpan(NamedTuple):
    """A stretch of days and the book in force; None where no book is published."""

    from_on: str
    until_on: str
    book: PriceBook | None


def book_key(book: PriceBook | BookReference) -> str:
    """The name of one version of a book, such as `cq-residential@1`."""
    return f"{book.id}@{book.version}"


@once_per(64)
def reference(book: PriceBook) -> BookReference:
    """What a bill keeps of the book."""
    return BookReference(id=book.id, version=book.version, content_hash=book.content_hash)


def content_hash(book: PriceBook) -> str:
    """SHA-256 over the canonical JSON of everything in the book but the hash itself.

    Fields at their default are left out, so that a field added later does not change the hash of a
    book published before.
    """
    content = _content(book)
    content.pop("content_hash", None)
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _content(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _content(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_content(item) for item in value]
    if not is_dataclass(value):
        return value
    content = {}
    for each in fields(value):
        item = getattr(value, each.name)
        default = each.default_factory() if each.default_factory is not MISSING else each.default
        if item != default:
            content[each.name] = _content(item)
    return content


def book_spans(
    books: Iterable[PriceBook], book_id: str, from_on: str, until_on: str
) -> tuple[BookSpan, ...]:
    """Which version is in force on which days of [from_on, until_on).

    The highest version that covers a day wins. More than one span means that the month has a change
    of book; a span without a book means that the usage is `awaiting_price`.
    """
    assert from_on < until_on, f"{from_on} is not before {until_on}"
    versions = [book for book in books if book.id == book_id]
    limits = {on for book in versions for on in (book.from_on, book.until_on)}
    cuts = sorted({from_on, until_on} | {on for on in limits if from_on < on < until_on})
    spans: list[BookSpan] = []
    for start, end in pairwise(cuts):
        covering = [book for book in versions if book.from_on <= start < book.until_on]
        book = max(covering, key=lambda each: each.version, default=None)
        if spans and spans[-1].book is book:
            spans[-1] = spans[-1]._replace(until_on=end)
        else:
            spans.append(BookSpan(start, end, book))
    return tuple(spans)


@lru_cache(maxsize=4096)
def price_e6(price: str) -> int:
    """A price string of a book as 1e-6 yuan; remembered, a run asks for few prices often."""
    return parse_price(price)
