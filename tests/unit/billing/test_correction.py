"""Numbered corrections: differences, cascade within the tier year, and the laws of rounds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.billing.agreement import AgreementTerms, Transformer
from services.billing.bill import RatingPart
from services.billing.correction import (
    Change,
    CorrectionRound,
    IssuedBill,
    RatingInput,
    apply_round,
    correct,
    replace_usage,
)
from services.billing.price_book import PriceBook, book_key
from services.billing.rating import rate_parts
from services.billing.tiers import TierPosition
from tests.unit.billing.builders import (
    book,
    component,
    month_usage,
    point_terms,
    point_usage,
    power_factor,
    price_list,
    terms,
    tiers,
    two_part,
)

MONTHS = [f"2026-{number:02d}" for number in range(10, 13)] + ["2027-01", "2027-02"]
ANNUAL = tiers("year", (1000,), ("0.10",))
HOME = price_list(component(price="0.50"), code="home", tiers=ANNUAL)
SHOP = price_list(component(price="0.80"), code="shop")
OLD = book(HOME, SHOP)
NEW = book(replace(HOME, components=(component(price="0.40"),)), SHOP, version=2)
SAME = book(HOME, SHOP, version=3)
LATER_BASIS = book(HOME, SHOP, version=4, correction_price_basis="correction_month")
BOOKS = {book_key(each): each for each in (OLD, NEW, SAME, LATER_BASIS)}
HOUSEHOLD = terms(point_terms(price_list="home"))
SHOPKEEPER = terms(point_terms(price_list="shop"))


def inputs(
    month: str,
    kwh: int,
    *,
    agreed: AgreementTerms = HOUSEHOLD,
    used: str = "test@1",
    reading: str = "",
) -> tuple[RatingInput, ...]:
    index = int(month[:4]) * 12 + int(month[5:])
    next_month = f"{index // 12}-{index % 12 + 1:02d}"
    taken = point_usage(import_wh=kwh * 1000, reading_ids=(reading or f"r{month}",))
    month_of = month_usage(month, next_month, taken)
    return (RatingInput(usage=month_of, terms=agreed, book=used),)


def rated(
    given_inputs: tuple[RatingInput, ...],
    positions: dict[str, TierPosition],
    books: dict[str, PriceBook] = BOOKS,
) -> IssuedBill:
    parts = tuple(RatingPart(each.usage, books[each.book], each.terms) for each in given_inputs)
    bill = rate_parts(parts, positions)
    assert not bill.withheld, bill.findings
    positions |= bill.tiers_after
    return IssuedBill(bill_id=f"I-{bill.period}", inputs=given_inputs, bill=bill)


def issue(kwh: list[int], opening_kwh: int = 0) -> tuple[IssuedBill, ...]:
    positions = {"P1": TierPosition(key="2026", used_wh=opening_kwh * 1000)}
    return tuple(
        rated(inputs(month, each), positions) for month, each in zip(MONTHS, kwh, strict=False)
    )


def change(month: str, kwh: int, **changes: object) -> Change:
    return Change(bill_id=f"I-{month}", inputs=inputs(month, kwh, **changes))  # type: ignore[arg-type]


def run(
    issued: tuple[IssuedBill, ...],
    *changes: Change,
    number: int = 1,
    cause: str = "late_actual",
) -> CorrectionRound | None:
    return correct(issued, changes, BOOKS, number=number, cause=cause, references=("case-1",))


def summary(done: CorrectionRound | None) -> list[tuple[str, list[tuple[str, str, int, int]]]]:
    assert done is not None
    assert done.total_fen == sum(each.total_fen for each in done.bills)
    return [
        (
            each.bill_id,
            [
                (one.side, one.line.code, one.line.quantity, one.line.amount_fen)
                for one in each.lines
            ],
        )
        for each in done.bills
    ]


def test_a_late_actual_corrects_its_bill_and_cascades_within_the_tier_year() -> None:
    """Estimated 600, then 500 and 300: 1,400, of which 400 above 1,000. The actual is 500.

    October gives 100 kWh back, November's adder falls on 0 instead of 100 kWh; December is above
    the boundary before and after, so only its position moves; January is another tier year.
    """
    issued = issue([600, 500, 300, 200])
    assert [line.amount_fen for line in issued[1].bill.lines] == [25_000, 1_000]
    done = run(issued, change("2026-10", 500, reading="actual"))
    assert summary(done) == [
        ("I-2026-10", [("credit", "energy", -100_000, -5_000)]),
        ("I-2026-11", [("credit", "tier.2", -100_000, -1_000)]),
        ("I-2026-12", []),
    ]
    assert done is not None
    assert (done.account, done.number, done.cause) == ("A1", 1, "late_actual")
    assert (done.references, done.total_fen, done.withheld) == (("case-1",), -6_000, False)
    line = done.bills[0].lines[0]
    assert (line.line.reading_ids, line.superseded_ids) == (("actual",), ("r2026-10",))
    corrected = done.bills[0].corrected
    assert (corrected.round, corrected.bill.total_fen) == (1, 25_000)


def test_a_correction_upwards_debits() -> None:
    done = run(issue([600, 300]), change("2026-10", 900))
    assert summary(done) == [
        ("I-2026-10", [("debit", "energy", 300_000, 15_000)]),
        ("I-2026-11", [("debit", "tier.2", 200_000, 2_000)]),
    ]


def test_a_change_of_nothing_yields_nothing() -> None:
    issued = issue([600, 500])
    assert run(issued) is None
    assert run(issued, change("2026-10", 600)) is None
    assert run(issued, change("2026-10", 600, reading="actual")) is None
    assert run(issued, change("2026-10", 600, used="test@3"), cause="book_superseded") is None


def test_a_superseded_book_credits_the_old_price_and_debits_the_new_one() -> None:
    issued = issue([600, 300])
    done = run(
        issued,
        change("2026-10", 600, used="test@2"),
        change("2026-11", 300, used="test@2"),
        cause="book_superseded",
    )
    assert summary(done) == [
        (
            "I-2026-10",
            [("credit", "energy", -600_000, -30_000), ("debit", "energy", 600_000, 24_000)],
        ),
        (
            "I-2026-11",
            [("credit", "energy", -300_000, -15_000), ("debit", "energy", 300_000, 12_000)],
        ),
    ]
    assert done is not None
    debit = done.bills[0].lines[1]
    assert (debit.line.price, debit.line.rule) == ("0.40", "test@2/home/energy")
    assert done.bills[0].corrected.bill.books[0].version == 2


def test_a_wrong_agreement_moves_a_point_out_of_the_tiers() -> None:
    """October was no household's use: 0.80 instead of 0.50, and November starts at nothing."""
    issued = issue([600, 500])
    done = run(issued, change("2026-10", 600, agreed=SHOPKEEPER), cause="wrong_agreement")
    assert summary(done) == [
        (
            "I-2026-10",
            [("credit", "energy", -600_000, -30_000), ("debit", "energy", 600_000, 48_000)],
        ),
        ("I-2026-11", [("credit", "tier.2", -100_000, -1_000)]),
    ]
    assert done is not None
    assert done.bills[1].corrected.bill.tiers_before["P1"].used_wh == 0


def test_and_into_them_where_the_year_to_date_continues() -> None:
    """October, billed as a shop's, was a household's: November now starts at 600 kWh."""
    positions: dict[str, TierPosition] = {}
    issued = (
        rated(inputs("2026-10", 600, agreed=SHOPKEEPER), positions),
        rated(inputs("2026-11", 500), positions),
    )
    done = run(issued, change("2026-10", 600), cause="wrong_agreement")
    assert summary(done)[1] == ("I-2026-11", [("debit", "tier.2", 100_000, 1_000)])


def test_an_opening_position_counts_for_a_point_that_had_no_tiers() -> None:
    """The year began with 900 kWh at another utility system; October was billed as a shop's."""
    issued = (rated(inputs("2026-10", 200, agreed=SHOPKEEPER), {}),)
    opening = {"P1": TierPosition(key="2026", used_wh=900_000)}
    changes = (change("2026-10", 200),)
    done = correct(issued, changes, BOOKS, number=1, cause="wrong_agreement", opening=opening)
    assert summary(done)[0][1][-1] == ("debit", "tier.2", 100_000, 1_000)


def test_a_rebound_point_takes_its_whole_bill_back() -> None:
    """The point was another account's: nothing is left of the bill, and the tiers start anew."""
    issued = issue([600, 500])
    empty = inputs("2026-10", 600)[0]
    without = RatingInput(
        usage=replace(empty.usage, points=()),
        terms=replace(empty.terms, points=()),
        book=empty.book,
    )
    moved = Change(bill_id="I-2026-10", inputs=(without,))
    done = run(issued, moved, cause="rebinding")
    assert summary(done) == [
        ("I-2026-10", [("credit", "energy", -600_000, -30_000)]),
        ("I-2026-11", [("credit", "tier.2", -100_000, -1_000)]),
    ]
    assert done is not None
    assert done.bills[0].lines[0].superseded_ids == ("r2026-10",)


def test_a_metrology_correction_of_two_bills_is_one_round() -> None:
    """K = 3 for one of three current transformers reversed (b04): three times the recorded."""
    issued = issue([100, 200, 100])
    done = run(issued, change("2026-10", 300), change("2026-11", 600), cause="metrology")
    assert [(bill, len(lines)) for bill, lines in summary(done)] == [
        ("I-2026-10", 1),
        ("I-2026-11", 1),
        ("I-2026-12", 0),
    ]
    assert done is not None
    assert done.total_fen == (200 + 400) * 50


def test_a_new_power_factor_credits_the_old_percentage_and_debits_the_new_one() -> None:
    listed = price_list(
        component(price="1"),
        component("capacity", "10", unit="kVA"),
        code="industry",
        two_part=two_part(),
        power_factor_applies=True,
    )
    tariff = book(listed, power_factor=power_factor())
    agreed = terms(
        point_terms(price_list="industry"),
        basic_charge="capacity",
        transformers=(Transformer(id="T1", capacity_va=100_000),),
        power_factor_standard="0.90",
    )

    def read(kvarh: int) -> tuple[RatingInput, ...]:
        taken = point_usage(reactive_varh={"1": kvarh * 1000, "4": 0})
        month = month_usage("2026-10", "2026-11", taken)
        return (RatingInput(usage=month, terms=agreed, book="test@1"),)

    issued = (rated(read(75), {}, {"test@1": tariff}),)
    changed = Change(bill_id="I-2026-10", inputs=read(0))
    done = correct(issued, (changed,), {"test@1": tariff}, number=1, cause="late_actual")
    # 100 yuan energy and 1,000 capacity: +5 % are 55.00, -0.75 % are -8.25.
    assert summary(done)[0][1] == [
        ("credit", "power_factor", -110_000, -5_500),
        ("credit", "power_factor", 110_000, -825),
    ]
    back = apply_round(issued, done) if done else ()
    again = Change(bill_id="I-2026-10", inputs=read(75))
    done = correct(back, (again,), {"test@1": tariff}, number=2, cause="late_actual")
    assert summary(done)[0][1] == [
        ("debit", "power_factor", -110_000, 825),
        ("debit", "power_factor", 110_000, 5_500),
    ]


def test_a_bill_that_cannot_be_rated_withholds_the_round() -> None:
    issued = issue([600, 500])
    taken = issued[0].inputs[0]
    none = replace(taken, usage=replace(taken.usage, points=()))
    done = run(issued, Change(bill_id="I-2026-10", inputs=(none,)))
    assert done is not None
    assert (done.withheld, done.bills, done.total_fen) == (True, (), 0)
    assert [each.rule for each in done.findings] == ["usage_missing"]
    assert apply_round(issued, done) == issued


def test_another_book_is_corrected_by_its_own_prices_whatever_the_basis() -> None:
    """See test_price_basis for what the basis changes."""
    done = run(issue([600]), change("2026-10", 500, used="test@4"))
    assert summary(done) == [("I-2026-10", [("credit", "energy", -100_000, -5_000)])]


def test_what_cannot_be_corrected_is_named() -> None:
    issued = issue([600])
    with pytest.raises(BadInput, match=r"cause: 'mood' is no cause \(use one of late_actual"):
        run(issued, change("2026-10", 500), cause="mood")
    with pytest.raises(BadInput, match="bill_id: I-2026-12 is no issued bill"):
        run(issued, change("2026-12", 500))
    with pytest.raises(BadInput, match="bill_id: I-2026-10 is changed twice"):
        run(issued, change("2026-10", 500), change("2026-10", 400))
    with pytest.raises(BadInput, match="books: test@9 was not given"):
        run(issued, change("2026-10", 500, used="test@9"))
    done = run(issued, change("2026-10", 500))
    assert done is not None
    with pytest.raises(AssertionError, match="round 1 is not the next one"):
        run(apply_round(issued, done), change("2026-10", 400))


def test_replace_usage_puts_an_actual_in_the_place_of_the_estimate() -> None:
    given_inputs = inputs("2026-10", 600)
    actual = replace(given_inputs[0].usage.points[0], import_wh=1, reading_ids=("actual",))
    replaced = replace_usage(given_inputs, actual)
    assert replaced[0].usage.points == (actual,)
    assert replace_usage(replaced, actual) == replaced
    stranger = replace(actual, point="P9")
    with pytest.raises(BadInput, match="usage: no usage of P9 for 2026-10-01 to 2026-11-01"):
        replace_usage(given_inputs, stranger)
    second = inputs("2026-11", 5)
    both = replace_usage((*given_inputs, *second), actual)
    assert (both[0].usage.points, both[1]) == ((actual,), second[0])


def corrected_by(
    issued: tuple[IssuedBill, ...], *changes_of_rounds: tuple[Change, ...]
) -> tuple[tuple[IssuedBill, ...], int]:
    """The bills after rounds in this order, and the sum of all their differences."""
    total_fen = 0
    number = 1
    for changes in changes_of_rounds:
        done = correct(issued, changes, BOOKS, number=number, cause="late_actual")
        if done is not None:
            total_fen += done.total_fen
            issued = apply_round(issued, done)
            number += 1
    return issued, total_fen


def money(issued: tuple[IssuedBill, ...]) -> list[list[tuple[str, int, int]]]:
    return [
        [(line.code, line.quantity, line.amount_fen) for line in each.bill.lines] for each in issued
    ]


KWH = st.integers(0, 1_500)
USES = st.lists(KWH, min_size=5, max_size=5)
CHANGES = st.lists(st.tuples(st.integers(0, 4), KWH), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(USES, st.integers(0, 1_200), CHANGES)
def test_many_rounds_lead_to_what_the_final_data_give(
    uses: list[int], opening: int, changes: list[tuple[int, int]]
) -> None:
    """The law of corrections: rounds one by one, one round, and a fresh rating agree."""
    issued = issue(uses, opening)
    rounds = [(change(MONTHS[place], kwh),) for place, kwh in changes]
    stepwise, stepwise_fen = corrected_by(issued, *rounds)
    final = dict(changes)
    once, once_fen = corrected_by(
        issued, tuple(change(MONTHS[place], kwh) for place, kwh in final.items())
    )
    fresh = issue([final.get(place, kwh) for place, kwh in enumerate(uses)], opening)
    assert money(stepwise) == money(once) == money(fresh)
    assert stepwise_fen == once_fen
    before = sum(each.bill.total_fen for each in issued)
    assert before + once_fen == sum(each.bill.total_fen for each in fresh)
    assert [each.bill.tiers_after for each in stepwise] == [each.bill.tiers_after for each in fresh]


@settings(max_examples=40, deadline=None)
@given(USES, st.integers(0, 4), KWH)
def test_correcting_twice_with_the_same_data_does_nothing_more(
    uses: list[int], place: int, kwh: int
) -> None:
    issued = issue(uses)
    once, _ = corrected_by(issued, (change(MONTHS[place], kwh),))
    twice, total_fen = corrected_by(
        issued, (change(MONTHS[place], kwh),), (change(MONTHS[place], kwh),)
    )
    assert twice == once
    back, back_fen = corrected_by(
        issued, (change(MONTHS[place], kwh),), (change(MONTHS[place], uses[place]),)
    )
    assert money(back) == money(issued)
    assert back_fen == 0
    assert total_fen == sum(each.bill.total_fen for each in once) - sum(
        each.bill.total_fen for each in issued
    )


@settings(max_examples=40, deadline=None)
@given(USES, CHANGES, st.randoms(use_true_random=False))
def test_the_order_in_which_bills_and_changes_are_given_does_not_matter(
    uses: list[int], changes: list[tuple[int, int]], shuffle: object
) -> None:
    issued = issue(uses)
    given_changes = [change(MONTHS[place], kwh) for place, kwh in dict(changes).items()]
    one = correct(issued, given_changes, BOOKS, number=1, cause="metrology")
    mixed = list(issued)
    shuffle.shuffle(mixed)  # type: ignore[attr-defined]
    other = correct(mixed, given_changes[::-1], BOOKS, number=1, cause="metrology")
    assert one == other
