"""The book as data: hash, versions by date, the wire, and every defect the border refuses."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import msgspec
import pytest

from libs.tou_calendar import DAY_TYPES, DayPattern, SlotRange, TouCalendar
from services.billing.book_defects import defects
from services.billing.correction import CorrectionRound, IssuedBill, RatingInput
from services.billing.price_book import (
    BookSpan,
    HouseholdRule,
    LateFeeRule,
    LossRow,
    LossRule,
    LossTable,
    PriceBook,
    Rounding,
    book_key,
    book_spans,
    content_hash,
    price_e6,
    reference,
)
from services.billing.rating import rate
from tests.unit.billing.builders import (
    YEAR,
    book,
    calendar,
    component,
    example,
    point_terms,
    point_usage,
    power_factor,
    price_list,
    terms,
    tiers,
    two_part,
    usage,
)

EXAMPLES = (
    "cq_residential",
    "zj_residential",
    "cq_commercial",
    "cq_industry_10kv",
    "cq_industry_110kv",
)


def test_the_hash_covers_every_field_and_not_itself() -> None:
    plain = book()
    assert content_hash(plain) == plain.content_hash
    assert content_hash(replace(plain, content_hash="x")) == plain.content_hash
    assert len(plain.content_hash) == 64
    changed = [
        replace(plain, version=2),
        replace(plain, rounding=Rounding(amount="floor")),
        replace(plain, late_fee=LateFeeRule(minimum_fen=0)),
        book(price_list(component(price="0.50"))),
        book(price_list(component(), tiers=tiers("month", (1,), ("0.1",)))),
        book(calendars={"x": calendar()}),
    ]
    assert len({content_hash(each) for each in (plain, *changed)}) == len(changed) + 1


def test_a_field_at_its_default_does_not_change_the_hash() -> None:
    """So that a field added by a later release leaves the hash of published books alone."""
    assert content_hash(book(currency="CNY", day_basis="thirty")) == book().content_hash


PUBLISHED = {
    "cq_residential": "dd005fbe9ade8b8ef4ab089a0a983dce8ff313db4d6f9c2935502a9704bbbb86",
    "zj_residential": "b4dd7dffdd78b4dbaf0f0a51efbb9737ab9ec71b6f3d2a64861f83bf6f86af17",
    "cq_commercial": "b8751244749f0393af4aea1fc7e34e9744871481dd40f86c1da97b9122ebbfdf",
    "cq_industry_10kv": "3c2166e750148c0582c1dbe96ef7a2e618c3115ffe7cf4d2f174d9c761627803",
    "cq_industry_110kv": "c55689b6150aca0c498e31fa2de704056aad22595f2641a32cca5bab6496e386",
}
"""Hashes of the example books at version 1, as installations have published them."""


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_books_have_their_hash_and_no_defect(name: str) -> None:
    assert content_hash(example(name)) == example(name).content_hash
    assert (example(name).version, example(name).content_hash) == (1, PUBLISHED[name])
    assert defects(example(name)) == ()


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_book_travels_as_json(name: str) -> None:
    wire = msgspec.json.encode(example(name))
    assert msgspec.json.decode(wire, type=PriceBook) == example(name)


def test_bills_and_corrections_travel_as_json() -> None:
    """Field types are those the codec knows: encoded and decoded they are the same."""
    bill = rate(usage(point_usage(quality="estimated")), book(), terms())
    inputs = (RatingInput(usage=usage(), terms=terms(), book="test@1"),)
    issued = IssuedBill(bill_id="I1", inputs=inputs, bill=bill)
    assert msgspec.json.decode(msgspec.json.encode(issued), type=IssuedBill) == issued
    done = CorrectionRound(
        account="A1", number=1, cause="metrology", references=(), bills=(), total_fen=0
    )
    assert msgspec.json.decode(msgspec.json.encode(done), type=CorrectionRound) == done


def test_no_number_of_a_book_is_a_float() -> None:
    def walk(value: Any) -> None:
        assert not isinstance(value, float)
        if is_dataclass(value):
            for each in fields(value):
                walk(getattr(value, each.name))
        elif isinstance(value, dict):
            for key, item in value.items():
                assert isinstance(key, str)
                walk(item)
        elif isinstance(value, tuple):
            for item in value:
                walk(item)
        else:
            assert value is None or isinstance(value, str | int)

    for name in EXAMPLES:
        walk(example(name))


def test_names_of_books() -> None:
    assert book_key(book()) == book_key(reference(book())) == "test@1"
    assert price_e6("0.5283") == 528_300


def span(from_on: str, until_on: str, used: PriceBook | None) -> BookSpan:
    return BookSpan(f"2026-{from_on}", f"2026-{until_on}", used)


def test_the_highest_version_that_covers_a_day_is_in_force() -> None:
    first = book(from_on="2026-01-01", until_on="2026-03-01")
    second = book(version=2, from_on="2026-02-11", until_on="2026-04-01")
    other = book(id="other")
    books = [second, other, first]
    assert book_spans(books, "test", "2026-01-01", "2026-02-01") == (span("01-01", "02-01", first),)
    assert book_spans(books, "test", "2026-02-01", "2026-03-01") == (
        span("02-01", "02-11", first),
        span("02-11", "03-01", second),
    )
    assert book_spans(books, "test", "2026-02-15", "2026-03-15") == (
        span("02-15", "03-15", second),
    )


def test_days_without_a_published_book_are_named() -> None:
    first = book(from_on="2026-01-01", until_on="2026-02-16")
    assert book_spans([first], "test", "2026-02-01", "2026-03-01") == (
        span("02-01", "02-16", first),
        span("02-16", "03-01", None),
    )
    assert book_spans([], "test", "2026-02-01", "2026-03-01") == (span("02-01", "03-01", None),)
    with pytest.raises(AssertionError, match="is not before"):
        book_spans([], "test", "2026-02-01", "2026-02-01")


TOU = price_list(
    component(tou_applies=True, period_prices={"peak": "1", "valley": "0.5"}), calendar="times"
)


def times(*slots: tuple[str, str, str], **changes: Any) -> dict[str, TouCalendar]:
    ranges = tuple(SlotRange(start=a, end=b, period=c) for a, b, c in slots)
    fields = {"name": "all", "months": YEAR, "day_types": DAY_TYPES, "slots": ranges}
    return {"times": TouCalendar(patterns=(DayPattern(**{**fields, **changes}),))}


DAY = (("00:00", "08:00", "valley"), ("08:00", "24:00", "peak"))


def industry(**changes: Any) -> PriceBook:
    capacity = component("capacity", "10", unit="kVA")
    fields: dict[str, Any] = {"two_part": two_part(), **changes}
    return book(price_list(component(), capacity, **fields))


@pytest.mark.parametrize(
    ("wrong", "field", "problem"),
    [
        (book(from_on="2026-1-1"), "from_on", "no date"),
        (book(from_on="20260101"), "from_on", "no date"),
        (book(until_on="soon"), "until_on", "no date"),
        (book(holidays_on=("2026-02-17", "1 May")), "holidays_on", "no date"),
        (book(from_on="2026-01-01", until_on="2026-01-01"), "until_on", "not after from_on"),
        (book(day_basis="lunar"), "day_basis", "unknown"),
        (book(correction_price_basis="x"), "correction_price_basis", "unknown"),
        (book(rounding=Rounding(amount="x")), "rounding.amount", "unknown"),
        (book(rounding=Rounding(energy="x")), "rounding.energy", "unknown"),
        (book(rounding=Rounding(demand="x")), "rounding.demand", "unknown"),
        (book(rounding=Rounding(periods="x")), "rounding.periods", "unknown"),
        (book(rounding=Rounding(power_factor_base="x")), "rounding.power_factor_base", "unknown"),
        (book(rounding=Rounding(deduction_spread="x")), "rounding.deduction_spread", "unknown"),
        (book(rounding=Rounding(energy_unit_wh=0)), "rounding.energy_unit_wh", "not above 0"),
        (book(rounding=Rounding(demand_unit_w=0)), "rounding.demand_unit_w", "not above 0"),
        (book(late_fee=LateFeeRule(name="x")), "late_fee.name", "unknown"),
        (book(late_fee=LateFeeRule(rounding="x")), "late_fee.rounding", "unknown"),
        (book(TOU, calendars=times(DAY[0])), "calendars.times", "in months 1-12 has no period"),
        (
            book(TOU, calendars=times(*DAY, DAY[0])),
            "calendars.times",
            "of workday, weekend, holiday in months 1-12 has 2 periods",
        ),
        (book(TOU, calendars=times(*DAY, months=(*YEAR, 13))), "calendars.times.all.months", "13"),
        (
            book(TOU, calendars=times(*DAY, day_types=(*DAY_TYPES, "x"))),
            "calendars.times.all.day_types",
            "unknown",
        ),
        (
            book(TOU, calendars=times(DAY[0], ("08:00", "24:00", "x"))),
            "calendars.times.all.slots",
            "unknown",
        ),
        (
            book(TOU, calendars=times(*DAY, ("8:00", "9:00", "peak"))),
            "calendars.times.all.slots",
            "no half hour",
        ),
        (book(TOU), "price_lists.list.calendar", "no calendar 'times'"),
        (
            book(TOU, calendars={"times": calendar()}),
            "price_lists.list.components.energy.period_prices",
            "has the period flat",
        ),
        (
            book(replace(TOU, calendar="")),
            "price_lists.list.components.energy.tou_applies",
            "floats with the period",
        ),
        (
            book(
                price_list(
                    component(
                        unit="month",
                        tou_applies=True,
                        period_prices=dict.fromkeys(("peak", "valley"), "1"),
                    ),
                    component("other"),
                    calendar="times",
                ),
                calendars=times(*DAY),
            ),
            "price_lists.list.components.energy.tou_applies",
            "floats with the period",
        ),
        (
            book(
                price_list(
                    component(
                        tou_applies=True, period_prices={"peak": "1", "valley": "x", "dusk": "1"}
                    ),
                    calendar="times",
                ),
                calendars=times(*DAY),
            ),
            "price_lists.list.components.energy.period_prices.valley",
            "no decimal",
        ),
        (
            replace(book(), price_lists={"other": price_list()}),
            "price_lists.other",
            "is named list",
        ),
        (book(price_list(component(), component())), "price_lists.list.components", "2 times"),
        (
            book(price_list(component("tier.2"), tiers=tiers("month", (1,), ("1",)))),
            "price_lists.list.components",
            "tier.2 is there 2 times",
        ),
        (book(price_list(component(unit="month"))), "price_lists.list.components", "no price per"),
        (
            book(price_list(component(), component("x", unit="W"))),
            "price_lists.list.components.x.unit",
            "unknown",
        ),
        (
            book(price_list(component(), component("x", unit="kVA"))),
            "price_lists.list.components.x.unit",
            "two_part",
        ),
        (
            book(price_list(component(price="0.1234567"))),
            "price_lists.list.components.energy.price",
            "more digits",
        ),
        (
            book(price_list(component(price=""))),
            "price_lists.list.components.energy.price",
            "no dec",
        ),
        (book(price_list(minimum_charge="x")), "price_lists.list.minimum_charge", "no decimal"),
        (
            book(price_list(power_factor_applies=True)),
            "price_lists.list.power_factor_applies",
            "no table",
        ),
        (
            book(price_list(tiers=tiers("week", (1,), ("1",)))),
            "price_lists.list.tiers.span",
            "unknown",
        ),
        (
            book(price_list(tiers=tiers("year", (1,), ("1",), year_from_month=13))),
            "price_lists.list.tiers.year_from_month",
            "no month",
        ),
        (book(price_list(tiers=tiers("year", (), ()))), "price_lists.list.tiers.steps", "no step"),
        (
            book(price_list(tiers=tiers("year", (2, 1), ("1", "2")))),
            "price_lists.list.tiers.steps",
            "do not rise",
        ),
        (
            book(price_list(tiers=tiers("year", (0,), ("1",)))),
            "price_lists.list.tiers.steps",
            "do not rise",
        ),
        (
            book(price_list(tiers=tiers("year", (1,), ("x",)))),
            "price_lists.list.tiers.steps.tier.2.adder",
            "no decimal",
        ),
        (
            book(price_list(tiers=tiers("year", (1,), ("1",), allowances={"a": (1, 2)}))),
            "price_lists.list.tiers.allowances.a",
            "2 figures for 1",
        ),
        (
            industry(two_part=two_part(within="x")),
            "price_lists.list.two_part.demand_rule.within",
            "unknown",
        ),
        (
            industry(two_part=two_part(base_above="x")),
            "price_lists.list.two_part.demand_rule.base_above",
            "unknown",
        ),
        (
            industry(two_part=two_part(excess_over="x")),
            "price_lists.list.two_part.demand_rule.excess_over",
            "unknown",
        ),
        (
            industry(two_part=two_part(excess_factor=0)),
            "price_lists.list.two_part.demand_rule.excess_factor",
            "not above 0",
        ),
        (
            industry(two_part=two_part(within_feeder="x")),
            "price_lists.list.two_part.demand_rule.within_feeder",
            "unknown",
        ),
        (
            industry(two_part=two_part(transferred_kwh_per_kw={"residential": 0})),
            "price_lists.list.two_part.demand_rule.transferred_kwh_per_kw.residential",
            "not above 0",
        ),
        (book(loss_rule=LossRule(name="x")), "loss_rule.name", "unknown"),
        (book(loss_rule=LossRule(copper_factor="x")), "loss_rule.copper_factor", "no decimal"),
        (book(loss_rule=LossRule(copper_factor="0")), "loss_rule.copper_factor", "not above 0"),
        (
            book(loss_rule=LossRule(nominal_v={"lt1kv": 0})),
            "loss_rule.nominal_v.lt1kv",
            "not above 0",
        ),
        (
            industry(two_part=two_part(101)),
            "price_lists.list.two_part.contract_floor_percent",
            "no percentage",
        ),
        (
            industry(two_part=two_part(upper_percent=99)),
            "price_lists.list.two_part.demand_rule",
            "does not hold the contract",
        ),
        (book(price_list(two_part=two_part())), "price_lists.list.two_part", "no price per kVA"),
        (book(price_list(kind="x")), "price_lists.list.kind", "unknown"),
        (book(price_list(minimum_per="x")), "price_lists.list.minimum_per", "unknown"),
        *(
            (
                industry(two_part=two_part(**rule)),
                "price_lists.list.two_part.demand_rule.price_percent_above",
                "are no rule",
            )
            for rule in (
                {"load_hours_kwh_per_kva": -1},
                {"price_percent_above": 0},
                {"price_percent_above": 101},
            )
        ),
        *(
            (
                industry(two_part=replace(two_part(), state_percents={state: percent})),
                f"price_lists.list.two_part.state_percents{place}",
                problem,
            )
            for state, percent, place, problem in (
                ("melted", 0, "", "unknown"),
                ("suspended", -1, ".suspended", "-1 % is not possible"),
                ("hot_standby", 101, ".hot_standby", "101 % is not possible"),
                ("in_use", 99, ".in_use", "99 % is not possible"),
            )
        ),
        (
            book(household_rules=(HouseholdRule(allowance="large", people_from=0),)),
            "household_rules.large.people_from",
            "not above 0",
        ),
        *(
            (book(loss_tables={"S11": LossTable(rows=rows)}), "loss_tables.S11", problem)
            for rows, problem in (
                ((), "do not rise"),
                ((LossRow(above_wh=0, loss_wh=1), LossRow(above_wh=0, loss_wh=2)), "do not rise"),
                ((LossRow(above_wh=-1, loss_wh=1),), "below zero"),
                ((LossRow(above_wh=0, loss_wh=-1),), "below zero"),
                ((LossRow(above_wh=0, loss_wh=1, loss_varh=-1),), "below zero"),
            )
        ),
        (book(power_factor=power_factor(active="x")), "power_factor.active", "unknown"),
        (book(power_factor=power_factor(active_of="x")), "power_factor.active_of", "unknown"),
        (
            book(power_factor=power_factor(producer_quadrants=("5",))),
            "power_factor.producer_quadrants",
            "unknown",
        ),
        (book(power_factor=power_factor(step_below="x")), "power_factor.step_below", "no decimal"),
        (
            book(power_factor=power_factor(reactive_quadrants=("1", "5"))),
            "power_factor.reactive_quadrants",
            "unknown",
        ),
        (
            book(power_factor=power_factor(percents={"0.90": ()})),
            "power_factor.0.90",
            "no row",
        ),
        (
            book(power_factor=power_factor(percents={"0.90": ("0", "0.001")})),
            "power_factor.0.90.row 2",
            "more digits",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_defect_is_named(wrong: PriceBook, field: str, problem: str) -> None:
    found = [each for each in defects(wrong) if each.field == field]
    assert found, defects(wrong)
    assert problem in found[0].problem
    assert found[0].fix


def test_a_book_without_a_defect_has_none() -> None:
    whole = book(
        TOU,
        replace(industry().price_lists["list"], code="industry", power_factor_applies=True),
        price_list(code="home", tiers=tiers("year", (1, 2), ("1", "2"), allowances={"a": (1, 2)})),
        price_list(code="small", minimum_charge="5.00"),
        price_list(code="sold", kind="feed_in", minimum_per="kVA"),
        calendars=times(*DAY),
        power_factor=power_factor(active_of="import_and_export"),
        household_rules=(HouseholdRule(allowance="a", people_from=7),),
        loss_tables={"S11": LossTable(rows=(LossRow(above_wh=0, loss_wh=1),))},
    )
    assert defects(whole) == ()
    assert rate(usage(), whole, terms(point_terms(price_list="home"))).total_fen > 0
