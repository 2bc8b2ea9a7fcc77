"""The border of price books: a YAML file is checked and becomes a `PriceBook`, or is refused.

Scalars are taken as the text they are written as, so that a price never passes through a binary
float. Aliases are refused, a key given twice too. BadInput names the file, the field and the fix.

    book = load_book(Path("books/cq_residential.yaml"))
    book.id, book.version, book.content_hash[:8]        "cq-residential", 1, "…"
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from libs.events.documents import parse_yaml
from libs.events.errors import BadInput
from libs.events.quantities import (
    PRICE_SCALE,
    WH_PER_KWH,
    format_scaled,
    half_up_div,
    parse_price,
    parse_scaled,
)
from libs.tou_calendar import DAY_TYPES, DayPattern, SlotRange, TouCalendar
from services.billing import price_book as pure
from services.billing.book_defects import defects

BOOKS = Path(__file__).parent / "books"
"""The example books that come with the project."""

BYTES_MAX = 4_000_000

M = TypeVar("M", bound=BaseModel)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Component(_Model):
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


class _TierStep(_Model):
    code: str = Field(min_length=1)
    name_zh: str
    name_en: str
    above_kwh: str
    adder: str
    source: str
    unconfirmed: bool = False


class _Tiers(_Model):
    span: str
    steps: tuple[_TierStep, ...]
    year_from_month: int = 1
    allowances_kwh_per_month: dict[str, tuple[str, ...]] = {}


class _DemandRule(_Model):
    name: str
    within: str
    lower_percent: int = 0
    upper_percent: int = 105
    base_above: str = "contract"
    excess_over: str = "limit"
    excess_factor: int = 2
    source: str
    unconfirmed: bool = False


class _TwoPart(_Model):
    contract_floor_percent: int
    demand_rule: _DemandRule


class _PriceList(_Model):
    category: str
    voltage_class: str
    name_zh: str
    name_en: str
    components: tuple[_Component, ...]
    calendar: str = ""
    tiers: _Tiers | None = None
    two_part: _TwoPart | None = None
    power_factor_applies: bool = False
    minimum_charge: str = ""
    free_allowance_kwh: str = "0"


class _Slot(_Model):
    start: str
    end: str
    period: str


class _DayPattern(_Model):
    name: str
    months: tuple[int, ...]
    day_types: tuple[str, ...] = DAY_TYPES
    slots: tuple[_Slot, ...]


class _Calendar(_Model):
    patterns: tuple[_DayPattern, ...]
    source: str
    unconfirmed: bool = False


class _PowerFactor(_Model):
    table: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    reactive_quadrants: tuple[str, ...]
    active: str
    unconfirmed: bool = False


class _Rounding(_Model):
    amount: str
    energy: str
    energy_unit_wh: int
    demand: str
    demand_unit_w: int
    periods: str
    power_factor_base: str
    deduction_spread: str


class _LateFee(_Model):
    name: str
    residential_permille: int = Field(ge=0)
    same_year_permille: int = Field(ge=0)
    later_year_permille: int = Field(ge=0)
    minimum_fen: int = Field(ge=0)
    rounding: str = "half_up"
    source: str
    unconfirmed: bool = False


class _Book(_Model):
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
    rounding: _Rounding
    calendars: dict[str, _Calendar] = {}
    holidays_on: tuple[str, ...] = ()
    power_factor: _PowerFactor | None = None
    late_fee: _LateFee
    correction_price_basis: str = "usage_month"
    source: str
    unconfirmed: bool = False
    price_lists: dict[str, _PriceList] = Field(min_length=1)


class _PowerFactorTable(_Model):
    kind: Literal["power_factor_table"]
    name: str
    standards: tuple[str, ...]
    step_below: str
    source: str
    rows: tuple[tuple[str, ...], ...]


def load_book(path: Path) -> pure.PriceBook:
    """The price book in a file; a power-factor table it names lies in the same directory."""
    return read_book(_text(path), path.name, lambda name: _text(path.parent / f"{name}.yaml"))


def load_books(directory: Path) -> tuple[pure.PriceBook, ...]:
    """Every price book of a directory, by id and version; one version twice is refused."""
    books: dict[str, pure.PriceBook] = {}
    for path in sorted(directory.glob("*.yaml")):
        if _document(_text(path), path.name).get("kind") == "power_factor_table":
            continue
        book = load_book(path)
        key = pure.book_key(book)
        if key in books:
            raise BadInput(f"{path.name}: version", f"{key} is in two files", "raise the version")
        books[key] = book
    if not books:
        raise BadInput(str(directory), "there is no price book", "give a directory of *.yaml books")
    return tuple(sorted(books.values(), key=lambda book: (book.id, book.version)))


def read_book(text: str, name: str, table_text: Callable[[str], str]) -> pure.PriceBook:
    """The price book in a YAML text; `table_text` gives the text of a named table."""
    model = _validated(_Book, text, name)
    power_factor = None
    if model.power_factor:
        table_name = f"{model.power_factor.table}.yaml"
        table = _validated(_PowerFactorTable, table_text(model.power_factor.table), table_name)
        power_factor = _power_factor(model.power_factor, table, table_name)
    try:
        book = _book(model, power_factor)
    except BadInput as wrong:
        raise BadInput(f"{name}: {wrong.field}", wrong.problem, wrong.fix) from None
    found = defects(book)
    if found:
        more = f"; {len(found) - 1} more defects" if len(found) > 1 else ""
        first = found[0]
        raise BadInput(f"{name}: {first.field}", first.problem + more, first.fix)
    return book


def _book(model: _Book, power_factor: pure.PowerFactorRule | None) -> pure.PriceBook:
    content = model.model_dump(
        exclude={"kind", "rounding", "calendars", "power_factor", "late_fee", "price_lists"}
    )
    book = pure.PriceBook(
        **content,
        rounding=pure.Rounding(**model.rounding.model_dump()),
        calendars={code: _calendar(each) for code, each in model.calendars.items()},
        power_factor=power_factor,
        late_fee=pure.LateFeeRule(**model.late_fee.model_dump()),
        price_lists={code: _price_list(code, each) for code, each in model.price_lists.items()},
    )
    return replace(book, content_hash=pure.content_hash(book))


def _calendar(model: _Calendar) -> TouCalendar:
    patterns = tuple(
        DayPattern(
            name=each.name,
            months=each.months,
            day_types=each.day_types,
            slots=tuple(SlotRange(**slot.model_dump()) for slot in each.slots),
        )
        for each in model.patterns
    )
    return TouCalendar(patterns=patterns, source=model.source, unconfirmed=model.unconfirmed)


def _price_list(code: str, model: _PriceList) -> pure.PriceList:
    field = f"price_lists.{code}"
    two_part = None
    if model.two_part:
        two_part = pure.TwoPartRule(
            contract_floor_percent=model.two_part.contract_floor_percent,
            demand_rule=pure.DemandRule(**model.two_part.demand_rule.model_dump()),
        )
    return pure.PriceList(
        code=code,
        category=model.category,
        voltage_class=model.voltage_class,
        name_zh=model.name_zh,
        name_en=model.name_en,
        components=tuple(_component(field, each) for each in model.components),
        calendar=model.calendar,
        tiers=_tiers(f"{field}.tiers", model.tiers) if model.tiers else None,
        two_part=two_part,
        power_factor_applies=model.power_factor_applies,
        minimum_charge=model.minimum_charge,
        free_allowance_wh=_wh(model.free_allowance_kwh, f"{field}.free_allowance_kwh"),
    )


def _component(field: str, model: _Component) -> pure.PriceComponent:
    """A component; ratios to its price become period prices, rounded half-up to the decimals."""
    period_prices = dict(model.period_prices)
    place = f"{field}.components.{model.code}"
    step = 10 ** (6 - model.period_decimals)
    for period, ratio in model.period_ratios.items():
        if period in period_prices:
            problem = f"{period} has a price and a ratio"
            raise BadInput(f"{place}.period_ratios", problem, "give one of them")
        product = parse_price(model.price, f"{place}.price") * parse_scaled(
            ratio, PRICE_SCALE, f"{place}.period_ratios.{period}"
        )
        price = half_up_div(product, PRICE_SCALE * step) * step
        period_prices[period] = format_scaled(price, PRICE_SCALE)
    return pure.PriceComponent(
        **model.model_dump(exclude={"period_prices", "period_ratios", "period_decimals"}),
        period_prices=period_prices,
    )


def _tiers(field: str, model: _Tiers) -> pure.TierRule:
    steps = tuple(
        pure.TierStep(
            **step.model_dump(exclude={"above_kwh"}),
            above_wh=_wh(step.above_kwh, f"{field}.steps.{step.code}.above_kwh"),
        )
        for step in model.steps
    )
    allowances = {
        name: tuple(_wh(gain, f"{field}.allowances_kwh_per_month.{name}") for gain in gains)
        for name, gains in model.allowances_kwh_per_month.items()
    }
    return pure.TierRule(
        span=model.span,
        steps=steps,
        year_from_month=model.year_from_month,
        allowances=allowances,
    )


def _wh(text: str, field: str) -> int:
    return parse_scaled(text, WH_PER_KWH, field)


def _power_factor(model: _PowerFactor, table: _PowerFactorTable, name: str) -> pure.PowerFactorRule:
    """The rule with its table; rows must run from factor 1.00 downwards without a hole."""
    for number, row in enumerate(table.rows):
        factor = f"{(100 - number) // 100}.{(100 - number) % 100:02d}"
        if len(row) != len(table.standards) + 2 or row[0] != factor:
            problem = f"row {number + 1} is {', '.join(row)}"
            fix = f"give {factor}, one percentage per standard, and the row's origin"
            raise BadInput(f"{name}: rows", problem, fix)
    return pure.PowerFactorRule(
        percents={
            standard: tuple(row[place + 1] for row in table.rows)
            for place, standard in enumerate(table.standards)
        },
        step_below=table.step_below,
        reactive_quadrants=model.reactive_quadrants,
        active=model.active,
        source=table.source,
        unconfirmed=model.unconfirmed,
    )


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as wrong:
        problem = wrong.strerror or "it cannot be read"
        raise BadInput(str(path), problem, "give the path of a readable price book") from None
    if len(content) > BYTES_MAX:
        raise BadInput(str(path), f"it has {len(content)} bytes", f"keep it below {BYTES_MAX}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(str(path), "it is no UTF-8 text", "save the file as UTF-8") from None


def _validated(model: type[M], text: str, name: str) -> M:
    try:
        return model.model_validate(_document(text, name))
    except ValidationError as wrong:
        errors = wrong.errors()
        place = ".".join(str(each) for each in errors[0]["loc"])
        more = f"; {len(errors) - 1} more" if len(errors) > 1 else ""
        fix = "see the example books for the fields of a price book"
        raise BadInput(f"{name}: {place}", errors[0]["msg"] + more, fix) from None


def _document(text: str, name: str) -> dict[str, Any]:
    document = parse_yaml(text, name, "write it like the examples")
    if not isinstance(document, dict):
        raise BadInput(name, "it holds no mapping of fields", "start with `kind: price_book`")
    return document
