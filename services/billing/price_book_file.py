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
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from libs.events.documents import parse_yaml, read_text
from libs.events.errors import BadInput
from libs.events.quantities import (
    PRICE_SCALE,
    WH_PER_KWH,
    format_scaled,
    half_up_div,
    parse_price,
    parse_scaled,
)
from libs.tou_calendar import DayPattern, SlotRange, TouCalendar
from services.billing import price_book as pure
from services.billing.book_defects import defects
from services.billing.price_book_models import (
    BookModel,
    CalendarModel,
    ComponentModel,
    HouseholdRuleModel,
    LossRuleModel,
    LossTableModel,
    PowerFactorModel,
    PowerFactorTableModel,
    PriceListModel,
    TiersModel,
    TwoPartModel,
)

BOOKS = Path(__file__).parent / "books"
"""The example books that come with the project."""

BYTES_MAX = 4_000_000

M = TypeVar("M", bound=BaseModel)


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


def examined_book(path: Path) -> pure.PriceBook:
    """The price book in a file, whatever defects it has; BadInput where it is none at all."""
    return _parsed(_text(path), path.name, lambda name: _text(path.parent / f"{name}.yaml"))


def read_book(text: str, name: str, table_text: Callable[[str], str]) -> pure.PriceBook:
    """The price book in a YAML text; `table_text` gives the text of a named table."""
    book = _parsed(text, name, table_text)
    found = defects(book)
    if found:
        more = f"; {len(found) - 1} more defects" if len(found) > 1 else ""
        first = found[0]
        raise BadInput(f"{name}: {first.field}", first.problem + more, first.fix)
    return book


def _parsed(text: str, name: str, table_text: Callable[[str], str]) -> pure.PriceBook:
    model = _validated(BookModel, text, name)
    power_factor = None
    if model.power_factor:
        table_name = f"{model.power_factor.table}.yaml"
        table = _validated(PowerFactorTableModel, table_text(model.power_factor.table), table_name)
        power_factor = _power_factor(model.power_factor, table, table_name)
    try:
        return _book(model, power_factor)
    except BadInput as wrong:
        raise BadInput(f"{name}: {wrong.field}", wrong.problem, wrong.fix) from None


def _book(model: BookModel, power_factor: pure.PowerFactorRule | None) -> pure.PriceBook:
    content = model.model_dump(
        exclude={
            "kind",
            "rounding",
            "calendars",
            "power_factor",
            "late_fee",
            "household_rules",
            "loss_tables",
            "loss_rule",
            "price_lists",
        }
    )
    book = pure.PriceBook(
        **content,
        rounding=pure.Rounding(**model.rounding.model_dump()),
        calendars={code: _calendar(each) for code, each in model.calendars.items()},
        power_factor=power_factor,
        late_fee=pure.LateFeeRule(**model.late_fee.model_dump()),
        household_rules=_household_rules(model.household_rules),
        loss_tables={name: _loss_table(name, each) for name, each in model.loss_tables.items()},
        loss_rule=_loss_rule(model.loss_rule) if model.loss_rule else pure.LossRule(),
        price_lists={code: _price_list(code, each) for code, each in model.price_lists.items()},
    )
    return replace(book, content_hash=pure.content_hash(book))


def _calendar(model: CalendarModel) -> TouCalendar:
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


def _price_list(code: str, model: PriceListModel) -> pure.PriceList:
    field = f"price_lists.{code}"
    return pure.PriceList(
        code=code,
        category=model.category,
        voltage_class=model.voltage_class,
        name_zh=model.name_zh,
        name_en=model.name_en,
        components=tuple(_component(field, each) for each in model.components),
        calendar=model.calendar,
        tiers=_tiers(f"{field}.tiers", model.tiers) if model.tiers else None,
        two_part=_two_part(model.two_part) if model.two_part else None,
        power_factor_applies=model.power_factor_applies,
        minimum_charge=model.minimum_charge,
        free_allowance_wh=_wh(model.free_allowance_kwh, f"{field}.free_allowance_kwh"),
        kind=model.kind,
        minimum_per=model.minimum_per,
    )


def _two_part(model: TwoPartModel) -> pure.TwoPartRule:
    rule = pure.TwoPartRule(
        contract_floor_percent=model.contract_floor_percent,
        demand_rule=pure.DemandRule(**model.demand_rule.model_dump()),
    )
    return replace(rule, state_percents={**rule.state_percents, **model.state_percents})


def _household_rules(
    models: tuple[HouseholdRuleModel, ...] | None,
) -> tuple[pure.HouseholdRule, ...]:
    """The rules of the file; one that says nothing of households has the default ones."""
    if models is None:
        return (pure.LARGE_HOUSEHOLD,)
    return tuple(pure.HouseholdRule(**each.model_dump()) for each in models)


def _loss_table(name: str, model: LossTableModel) -> pure.LossTable:
    rows = []
    for number, row in enumerate(model.rows, start=1):
        place = f"loss_tables.{name}.row {number}"
        rows.append(
            pure.LossRow(
                above_wh=_wh(row.above_kwh, f"{place}.above_kwh"),
                loss_wh=_wh(row.loss_kwh, f"{place}.loss_kwh"),
                loss_varh=_wh(row.loss_kvarh, f"{place}.loss_kvarh"),
            )
        )
    return pure.LossTable(rows=tuple(rows), source=model.source, unconfirmed=model.unconfirmed)


def _loss_rule(model: LossRuleModel) -> pure.LossRule:
    voltages = {**pure.LossRule().nominal_v, **model.nominal_v}
    return pure.LossRule(**{**model.model_dump(), "nominal_v": voltages})


def _component(field: str, model: ComponentModel) -> pure.PriceComponent:
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


def _tiers(field: str, model: TiersModel) -> pure.TierRule:
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


def _power_factor(
    model: PowerFactorModel, table: PowerFactorTableModel, name: str
) -> pure.PowerFactorRule:
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
        producer_quadrants=model.producer_quadrants,
        active_of=model.active_of,
        source=table.source,
        unconfirmed=model.unconfirmed,
    )


def _text(path: Path) -> str:
    return read_text(path, BYTES_MAX)


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
