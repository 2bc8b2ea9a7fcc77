"""Working days, payouts and the clearing account: worked by hand, and explained to the fen."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.payments.settlement.clearing import ClearingDay, settle
from services.payments.settlement.matching import MatchRules
from services.payments.settlement.payouts import ACTIONS, OwedDay, Payout, assign_payouts
from services.payments.settlement.rows import SettlementRow
from services.payments.settlement.work_days import WorkCalendar
from tests.unit.payments.settlement.test_matching import ROWS, back, paid

SPRING = WorkCalendar(
    holidays=frozenset(f"2026-02-{day}" for day in range(15, 24)),
    workdays=frozenset({"2026-02-14"}),
)
RULES = MatchRules(calendar=SPRING)
AS_OF = "2026-03-31"


@pytest.mark.parametrize(
    ("day_on", "due_on"),
    [
        ("2026-02-10", "2026-02-11"),  # Tuesday
        ("2026-02-13", "2026-02-14"),  # Friday, and the Saturday is worked
        ("2026-02-14", "2026-02-24"),
        ("2026-02-20", "2026-02-24"),
        ("2026-02-27", "2026-03-02"),  # Friday, and Monday
    ],
)
def test_the_next_working_day(day_on: str, due_on: str) -> None:
    assert SPRING.after(day_on, 1) == due_on


def test_a_calendar_without_working_days_is_a_slip_of_the_pen() -> None:
    endless = WorkCalendar(holidays=frozenset(f"2026-0{month}-{day:02d}" for month in range(1, 6)
                                              for day in range(1, 32)))  # fmt: skip
    with pytest.raises(AssertionError, match="60 days off in a row"):
        endless.after("2026-01-01", 1)


def money(day_on: str, amount_fen: int, **changed: Any) -> SettlementRow:
    return paid(amount_fen, kind="payout", day_on=day_on, **changed)


def owed(day_on: str, settled_fen: int = 10000, fee_fen: int = 60) -> OwedDay:
    return OwedDay(day_on=day_on, settled_fen=settled_fen, fee_fen=fee_fen)


def outcomes(found: tuple[Payout, ...]) -> list[tuple[str, str, str, int]]:
    return [(each.due_on, each.outcome, each.paid_on, each.difference_fen) for each in found]


@pytest.mark.parametrize(
    ("days", "bank", "expected"),
    [
        (["2026-02-10"], [("2026-02-11", 9940)], [("2026-02-11", "paid", "2026-02-11", 0)]),
        (
            ["2026-02-14", "2026-02-16"],
            [("2026-02-24", 19880)],
            [("2026-02-24", "paid", "2026-02-24", 0)],
        ),
        (
            ["2026-02-14", "2026-02-16"],
            [("2026-02-24", 9940), ("2026-02-24", 9940)],
            [("2026-02-24", "paid", "2026-02-24", 0)],
        ),
        (["2026-02-10"], [("2026-02-13", 9940)], [("2026-02-11", "payout_late", "2026-02-13", 0)]),
        (
            ["2026-02-10"],
            [("2026-02-12", 1), ("2026-02-13", 9940)],
            [
                ("2026-02-11", "payout_late", "2026-02-13", 0),
                ("2026-02-12", "payout_unknown", "2026-02-12", -1),
            ],
        ),
        (
            ["2026-02-09", "2026-02-10"],
            [("2026-02-11", 19880)],
            [
                ("2026-02-10", "payout_late", "2026-02-11", 0),
                ("2026-02-11", "paid", "2026-02-11", 0),
            ],
        ),
        (
            ["2026-02-09", "2026-02-10"],
            [("2026-02-12", 19880)],
            [
                ("2026-02-10", "payout_late", "2026-02-12", 0),
                ("2026-02-11", "payout_late", "2026-02-12", 0),
            ],
        ),
        (["2026-02-10"], [("2026-02-11", 10000)], [("2026-02-11", "fee", "2026-02-11", -60)]),
        (
            ["2026-02-10"],
            [("2026-02-11", 9000)],
            [("2026-02-11", "payout_amount", "2026-02-11", 940)],
        ),
        (["2026-02-10"], [("2026-02-14", 9940)], [("2026-02-11", "payout_late", "2026-02-14", 0)]),
        (
            ["2026-02-10"],
            [("2026-02-24", 9940)],
            [
                ("2026-02-11", "payout_missing", "", 9940),
                ("2026-02-24", "payout_unknown", "2026-02-24", -9940),
            ],
        ),
        (["2026-02-10"], [], [("2026-02-11", "payout_missing", "", 9940)]),
        (["2026-03-30"], [], [("2026-03-31", "payout_awaited", "", 9940)]),
        ([], [("2026-02-11", 5)], [("2026-02-11", "payout_unknown", "2026-02-11", -5)]),
    ],
)
def test_payouts(
    days: list[str],
    bank: list[tuple[str, int]],
    expected: list[tuple[str, str, str, int]],
) -> None:
    rows = [money(*each) for each in bank]
    found = assign_payouts([owed(day) for day in days], rows, RULES, AS_OF)
    assert outcomes(found) == expected
    assert {each.outcome for each in found} <= ACTIONS.keys()


def test_a_day_that_owes_nothing_needs_no_payout() -> None:
    (found,) = assign_payouts([owed("2026-02-10", 60, 60)], [paid()], RULES, AS_OF)
    assert (found.outcome, found.is_open, found.paid_by_day()) == ("paid", False, {"2026-02-10": 0})


def test_what_is_paid_of_each_day() -> None:
    days = [owed("2026-02-14"), owed("2026-02-16")]
    (short,) = assign_payouts(days, [money("2026-02-24", 19000)], RULES, AS_OF)
    assert short.paid_by_day() == {"2026-02-14": 9940, "2026-02-16": 9060}
    (missing,) = assign_payouts(days, [], RULES, AS_OF)
    assert missing.paid_by_day() == {}
    (alone,) = assign_payouts([], [money("2026-02-24", 5)], RULES, AS_OF)
    assert alone.paid_by_day() == {"2026-02-24": 5}


def cleared(
    ours: list[SettlementRow], channel: list[SettlementRow], bank: list[SettlementRow]
) -> list[tuple[str, int, dict[str, int]]]:
    found = settle(ours, channel, bank, RULES, AS_OF)
    return [(day.day_on, day.clearing_fen, dict(day.causes)) for day in found.days]


def test_a_day_that_agrees_is_zero() -> None:
    rows = [paid(fee_fen=60)]
    found = settle(rows, rows, [money("2026-02-13", 9940)], RULES, AS_OF)
    assert found.days == (
        ClearingDay(
            channel="wechat",
            merchant="19",
            day_on="2026-02-12",
            ours_fen=10000,
            channel_fen=10000,
            fee_fen=60,
            paid_fen=9940,
            causes={},
        ),
    )
    assert found.days[0].clearing_fen == 0
    assert not found.is_open


def test_causes_by_day() -> None:
    later = paid(transaction="T2", order_no="", day_on="2026-02-13")
    ours = [paid(day_on="2026-02-13"), later]
    channel = [paid(), later, back(transaction="T2", day_on="2026-02-13")]
    bank = [money("2026-02-13", 10000), money("2026-02-14", 8000)]
    assert cleared(ours, channel, bank) == [
        ("2026-02-12", -10000, {"late_cut_off": -10000}),
        ("2026-02-13", 12000, {"late_cut_off": 10000, "refund_elsewhere": 2000}),
    ]


def test_what_only_we_have() -> None:
    assert cleared([paid()], [], []) == [("2026-02-12", 10000, {"not_in_file_yet": 10000})]


def test_a_coupon_and_a_fee_that_has_a_line_of_its_own() -> None:
    row = paid(settled_fen=9500)
    fee = paid(60, kind="fee")
    ignored = paid(5, kind="payout")
    assert cleared([row], [row, fee, ignored], [money("2026-02-13", 9440)]) == [
        ("2026-02-12", 500, {"coupon": 500})
    ]


def test_a_payout_that_differs_or_belongs_to_nobody() -> None:
    row = paid()
    bank = [money("2026-02-13", 9000), money("2026-02-25", 7), paid(1, kind="other")]
    found = settle([row], [row], bank, RULES, AS_OF)
    assert [(day.day_on, day.clearing_fen, dict(day.causes)) for day in found.days] == [
        ("2026-02-12", 1000, {"payout_amount": 1000}),
        ("2026-02-25", -7, {"payout_unknown": -7}),
    ]
    assert found.is_open


BANK = st.lists(
    st.builds(
        money,
        st.sampled_from(["2026-02-13", "2026-02-14", "2026-02-24", "2026-02-25"]),
        st.sampled_from([100, 200, 300, -100]),
    ),
    max_size=4,
)


@settings(max_examples=80, deadline=None)
@given(ours=ROWS, channel=ROWS, bank=BANK, data=st.data())
def test_what_is_left_is_explained_to_the_fen(
    ours: list[SettlementRow],
    channel: list[SettlementRow],
    bank: list[SettlementRow],
    data: st.DataObject,
) -> None:
    found = settle(ours, channel, bank, RULES, AS_OF)
    for day in found.days:
        assert sum(day.causes.values()) == day.clearing_fen
    assert sum(day.paid_fen for day in found.days) == sum(row.amount_fen for row in bank)
    assert sum(day.ours_fen for day in found.days) == sum(row.net_fen for row in ours)
    assert sum(day.channel_fen for day in found.days) == sum(row.net_fen for row in channel)
    shuffled = settle(
        data.draw(st.permutations(ours)),
        data.draw(st.permutations(channel)),
        data.draw(st.permutations(bank)),
        RULES,
        AS_OF,
    )
    assert shuffled.days == found.days
    assert [str(each) for _, each in shuffled.payouts] == [str(each) for _, each in found.payouts]
