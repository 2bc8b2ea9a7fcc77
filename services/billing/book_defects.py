"""What is wrong with a price book: holes, overlaps, missing prices, unknown names.

The border refuses a book with a defect, so the rating never meets one. Each defect names the field
in the book and the fix.

    defects(book)    (BookDefect(field="price_lists.shop.calendar",
                                 problem="the book has no calendar 'tou'", fix=...),)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from libs.events.errors import BadInput
from libs.events.quantities import PRICE_SCALE, ROUNDING, parse_price, parse_scaled
from libs.tou_calendar import DAY_TYPES, PERIODS, TouCalendar, slots_of
from services.billing.agreement import TRANSFORMER_STATES
from services.billing.calendar import DAY_BASES
from services.billing.calendar_defects import wrong_half_hours
from services.billing.late_fee import LATE_FEE_RULES
from services.billing.power_factor import PERCENT_SCALE
from services.billing.price_book import (
    ACTIVE_OF,
    LOSS_RULES,
    MINIMUM_PER,
    NETTINGS,
    PRICE_LIST_KINDS,
    UNITS,
    LossRule,
    LossTable,
    PriceBook,
    PriceComponent,
    PriceList,
    TierRule,
    TwoPartRule,
)
from services.billing.tiers import TIER_SPANS

LEVELS = ("contract", "limit")
WITHIN_FEEDER = ("sum", "highest")
QUADRANTS = ("1", "2", "3", "4")


@dataclass(frozen=True, slots=True, kw_only=True)
class BookDefect:
    """One thing that is wrong with a book."""

    field: str
    problem: str
    fix: str


Defects = Iterator[BookDefect]


def defects(book: PriceBook) -> tuple[BookDefect, ...]:
    """Everything that is wrong with a book, in the order of its fields."""
    found = [*_dates(book), *_rules(book)]
    for code, calendar in book.calendars.items():
        found += _calendar(f"calendars.{code}", calendar)
    for code, price_list in book.price_lists.items():
        found += _price_list(f"price_lists.{code}", price_list, book)
    for model, table in book.loss_tables.items():
        found += _loss_table(f"loss_tables.{model}", table)
    return (
        *found,
        *_loss_rule(book.loss_rule),
        *_household_rules(book),
        *_power_factor(book),
    )


def _defect(field: str, problem: str, fix: str) -> BookDefect:
    return BookDefect(field=field, problem=problem, fix=fix)


def _one_of(field: str, value: str, allowed: Collection[str]) -> Defects:
    if value not in allowed:
        yield _defect(field, f"{value!r} is unknown", f"use {' or '.join(allowed)}")


def _above_zero(field: str, value: int) -> Defects:
    if value <= 0:
        yield _defect(field, f"{value} is not above 0", "give a positive whole number")


def _decimal(field: str, text: str, scale: int) -> Defects:
    try:
        parse_scaled(text, scale, field)
    except BadInput as wrong:
        yield _defect(field, wrong.problem, wrong.fix)


def _dates(book: PriceBook) -> Defects:
    dates = [("from_on", book.from_on), ("until_on", book.until_on)]
    for field, text in (*dates, *(("holidays_on", on) for on in book.holidays_on)):
        if not _is_date(text):
            yield _defect(field, f"{text!r} is no date", "write it like 2026-01-31")
    if book.from_on >= book.until_on:
        problem = f"{book.until_on} is not after from_on {book.from_on}"
        yield _defect("until_on", problem, "give the day after the last one")


def _is_date(text: str) -> bool:
    """Only the long form: dates are compared as text."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _rules(book: PriceBook) -> Defects:
    rounding = book.rounding
    yield from _one_of("day_basis", book.day_basis, DAY_BASES)
    yield from _one_of("netting", book.netting, NETTINGS)
    bases = ("usage_month", "correction_month")
    yield from _one_of("correction_price_basis", book.correction_price_basis, bases)
    yield from _one_of("rounding.amount", rounding.amount, ROUNDING)
    yield from _one_of("rounding.energy", rounding.energy, ROUNDING)
    yield from _one_of("rounding.demand", rounding.demand, ROUNDING)
    yield from _one_of("rounding.periods", rounding.periods, ("flat_is_rest", "each"))
    orders = ("rounded_lines", "exact")
    yield from _one_of("rounding.power_factor_base", rounding.power_factor_base, orders)
    spreads = ("proportional", "flat")
    yield from _one_of("rounding.deduction_spread", rounding.deduction_spread, spreads)
    yield from _above_zero("rounding.energy_unit_wh", rounding.energy_unit_wh)
    yield from _above_zero("rounding.demand_unit_w", rounding.demand_unit_w)
    yield from _one_of("late_fee.name", book.late_fee.name, LATE_FEE_RULES)
    yield from _one_of("late_fee.rounding", book.late_fee.rounding, ROUNDING)


def _calendar(field: str, calendar: TouCalendar) -> Defects:
    for pattern in calendar.patterns:
        place = f"{field}.{pattern.name}"
        for month in pattern.months:
            if not 1 <= month <= 12:
                yield _defect(f"{place}.months", f"{month} is no month", "use 1 to 12")
        for day_type in pattern.day_types:
            yield from _one_of(f"{place}.day_types", day_type, DAY_TYPES)
        for slot_range in pattern.slots:
            yield from _one_of(f"{place}.slots", slot_range.period, PERIODS)
            try:
                slots_of(slot_range, f"{place}.slots")
            except BadInput as wrong:
                yield _defect(wrong.field, wrong.problem, wrong.fix)
    for when, count in wrong_half_hours(calendar):
        problem = f"{when} has {count or 'no'} period{'s' if count else ''}"
        yield _defect(field, problem, "give every half hour exactly one period")


def _price_list(field: str, price_list: PriceList, book: PriceBook) -> Defects:
    if field != f"price_lists.{price_list.code}":
        problem = f"the list is named {price_list.code}"
        yield _defect(field, problem, "use the code of the list as its key")
    codes = [each.code for each in price_list.components]
    if price_list.tiers:
        codes += [step.code for step in price_list.tiers.steps]
        yield from _tiers(f"{field}.tiers", price_list.tiers)
    for code, count in Counter(codes).items():
        if count > 1:
            problem = f"{code} is there {count} times"
            yield _defect(f"{field}.components", problem, "give every charge a code of its own")
    if price_list.calendar and price_list.calendar not in book.calendars:
        problem = f"the book has no calendar {price_list.calendar!r}"
        yield _defect(f"{field}.calendar", problem, "name one of calendars")
    for component in price_list.components:
        yield from _component(f"{field}.components.{component.code}", component, price_list, book)
    if not any(each.unit == "kWh" for each in price_list.components):
        yield _defect(f"{field}.components", "there is no price per kWh", "give one")
    if price_list.two_part:
        yield from _two_part(f"{field}.two_part", price_list.two_part, price_list)
    yield from _one_of(f"{field}.kind", price_list.kind, PRICE_LIST_KINDS)
    if price_list.kind == "feed_in":
        yield from _feed_in(field, price_list)
    yield from _one_of(f"{field}.minimum_per", price_list.minimum_per, MINIMUM_PER)
    if price_list.minimum_charge:
        yield from _decimal(f"{field}.minimum_charge", price_list.minimum_charge, 100)
    if price_list.power_factor_applies and book.power_factor is None:
        problem = "the list is adjusted by power factor and the book has no table"
        yield _defect(f"{field}.power_factor_applies", problem, "give the book a power_factor")


def _feed_in(field: str, price_list: PriceList) -> Defects:
    """What is fed in is worth a price per kWh, and has no rules of what is drawn."""
    for component in price_list.components:
        if component.unit != "kWh":
            problem = f"a list of feed-in has no price per {component.unit}"
            yield _defect(f"{field}.components.{component.code}.unit", problem, "use kWh")
    rules = ("tiers", "two_part", "power_factor_applies", "minimum_charge", "free_allowance_wh")
    for name in rules:
        if getattr(price_list, name):
            fix = "leave it out"
            yield _defect(f"{field}.{name}", "a list of feed-in has no such rule", fix)


def _component(
    field: str, component: PriceComponent, price_list: PriceList, book: PriceBook
) -> Defects:
    yield from _one_of(f"{field}.unit", component.unit, UNITS)
    if component.unit in ("kVA", "kW") and not price_list.two_part:
        problem = f"a price per {component.unit} needs the list's two_part rules"
        yield _defect(f"{field}.unit", problem, "add two_part or remove the component")
    if not component.tou_applies:
        yield from _price(f"{field}.price", component.price)
        return
    if component.unit != "kWh" or not price_list.calendar:
        problem = "only a price per kWh of a list with a calendar floats with the period"
        yield _defect(f"{field}.tou_applies", problem, "set calendar, or tou_applies to false")
    for period, price in component.period_prices.items():
        yield from _one_of(f"{field}.period_prices", period, PERIODS)
        yield from _price(f"{field}.period_prices.{period}", price)
    calendar = book.calendars.get(price_list.calendar)
    patterns = calendar.patterns if calendar else ()
    used = {slot_range.period for pattern in patterns for slot_range in pattern.slots}
    for period in sorted(used - component.period_prices.keys()):
        problem = f"the calendar has the period {period}, the component no price for it"
        yield _defect(f"{field}.period_prices", problem, "give every period a price")


def _price(field: str, text: str) -> Defects:
    try:
        parse_price(text, field)
    except BadInput as wrong:
        yield _defect(field, wrong.problem, wrong.fix)


def _tiers(field: str, rule: TierRule) -> Defects:
    yield from _one_of(f"{field}.span", rule.span, TIER_SPANS)
    if not 1 <= rule.year_from_month <= 12:
        problem = f"{rule.year_from_month} is no month"
        yield _defect(f"{field}.year_from_month", problem, "use 1 to 12")
    if not rule.steps:
        yield _defect(f"{field}.steps", "there is no step", "give a step, or leave tiers out")
    bounds = [step.above_wh for step in rule.steps]
    if any(later <= earlier for earlier, later in pairwise([0, *bounds])):
        problem = f"the boundaries {bounds} Wh do not rise"
        yield _defect(f"{field}.steps", problem, "order the steps by above_kwh")
    for step in rule.steps:
        yield from _price(f"{field}.steps.{step.code}.adder", step.adder)
    for name, gains in rule.allowances.items():
        if len(gains) != len(rule.steps):
            problem = f"{len(gains)} figures for {len(rule.steps)} boundaries"
            yield _defect(f"{field}.allowances.{name}", problem, "give one per boundary")


def _two_part(field: str, rule: TwoPartRule, price_list: PriceList) -> Defects:
    demand = rule.demand_rule
    yield from _one_of(f"{field}.demand_rule.within", demand.within, ("contract", "measured"))
    yield from _one_of(f"{field}.demand_rule.base_above", demand.base_above, LEVELS)
    yield from _one_of(f"{field}.demand_rule.excess_over", demand.excess_over, LEVELS)
    yield from _above_zero(f"{field}.demand_rule.excess_factor", demand.excess_factor)
    yield from _one_of(f"{field}.demand_rule.within_feeder", demand.within_feeder, WITHIN_FEEDER)
    for category, energy_kwh in demand.transferred_kwh_per_kw.items():
        place = f"{field}.demand_rule.transferred_kwh_per_kw.{category}"
        yield from _above_zero(place, energy_kwh)
    if not 0 <= rule.contract_floor_percent <= 100:
        problem = f"{rule.contract_floor_percent} is no percentage of the capacity"
        yield _defect(f"{field}.contract_floor_percent", problem, "use 0 to 100")
    if not 0 <= demand.lower_percent <= 100 <= demand.upper_percent:
        problem = f"{demand.lower_percent} to {demand.upper_percent} % does not hold the contract"
        yield _defect(f"{field}.demand_rule", problem, "use for example 95 and 105")
    if demand.load_hours_kwh_per_kva < 0 or not 0 < demand.price_percent_above <= 100:
        problem = (
            f"{demand.load_hours_kwh_per_kva} kWh per kVA and {demand.price_percent_above} % "
            "are no rule"
        )
        fix = "use for example 260 and 90, or 0 and 100 for no such rule"
        yield _defect(f"{field}.demand_rule.price_percent_above", problem, fix)
    for state, percent in rule.state_percents.items():
        yield from _one_of(f"{field}.state_percents", state, TRANSFORMER_STATES)
        if not 0 <= percent <= 100 or (state == "in_use" and percent != 100):
            fix = "use 0 to 100, and 100 for in_use"
            yield _defect(f"{field}.state_percents.{state}", f"{percent} % is not possible", fix)
    if all(each.unit not in ("kVA", "kW") for each in price_list.components):
        yield _defect(field, "the list has no price per kVA or kW", "give one, or no two_part")


def _household_rules(book: PriceBook) -> Defects:
    for rule in book.household_rules:
        yield from _above_zero(f"household_rules.{rule.allowance}.people_from", rule.people_from)


def _loss_table(field: str, table: LossTable) -> Defects:
    loads = [row.above_wh for row in table.rows]
    if not loads or any(later <= earlier for earlier, later in pairwise(loads)):
        yield _defect(field, f"the loads {loads} Wh do not rise", "order the rows by above_kwh")
    if any(min(row.above_wh, row.loss_wh, row.loss_varh) < 0 for row in table.rows):
        yield _defect(field, "a load or a loss is below zero", "give what is lost as it is")


def _loss_rule(rule: LossRule) -> Defects:
    yield from _one_of("loss_rule.name", rule.name, LOSS_RULES)
    field = "loss_rule.copper_factor"
    wrong = list(_decimal(field, rule.copper_factor, PRICE_SCALE))
    yield from wrong or _above_zero(field, parse_scaled(rule.copper_factor, PRICE_SCALE, field))
    for voltage_class, volts in rule.nominal_v.items():
        yield from _above_zero(f"loss_rule.nominal_v.{voltage_class}", volts)


def _power_factor(book: PriceBook) -> Defects:
    rule, field = book.power_factor, "power_factor"
    if rule is None:
        return
    yield from _one_of(f"{field}.active", rule.active, ("metered", "billed"))
    yield from _one_of(f"{field}.active_of", rule.active_of, ACTIVE_OF)
    yield from _decimal(f"{field}.step_below", rule.step_below, PERCENT_SCALE)
    yield from _each_of(f"{field}.reactive_quadrants", rule.reactive_quadrants, QUADRANTS)
    yield from _each_of(f"{field}.producer_quadrants", rule.producer_quadrants, QUADRANTS)
    for standard, percents in rule.percents.items():
        if not percents:
            yield _defect(f"{field}.{standard}", "the table has no row", "give factor 1.00 first")
        for row, percent in enumerate(percents):
            yield from _decimal(f"{field}.{standard}.row {row + 1}", percent, PERCENT_SCALE)


def _each_of(field: str, values: Iterable[str], allowed: Collection[str]) -> Defects:
    for value in values:
        yield from _one_of(field, value, allowed)
