"""The settlement stage: from a channel's file to a closed day, by examples with exact numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from libs.events.errors import BadInput
from services.payments.settlement import decide as decisions
from services.payments.settlement.events import (
    DayClosed,
    DayStated,
    DecisionRejected,
    DiscrepancyFound,
    DiscrepancyGone,
    DiscrepancySettled,
    FeesBooked,
    FilePassedOver,
    FileQuarantined,
    FileTaken,
    PayoutBooked,
    RowFound,
)
from services.payments.settlement.policy import DEFAULT_POLICY, SettlementPolicy
from services.payments.settlement.requests import BANK, FileRefused, RowsSubmitted
from services.payments.settlement.rows import FEE, PAYOUT, REFUND
from services.payments.settlement.state import Book
from tests.unit.payments_core.settling import DAY, KEY, MERCHANT, ORDER, Desk, row
from tests.unit.payments_core.world import A

NEXT, MONDAY = "2026-01-31", "2026-02-02"


def paid_desk() -> Desk:
    """100.00 with a fee of 0.60 that the bank got on Monday."""
    desk = Desk()
    desk.book("T1", 10000, order=ORDER, account_no=A)
    desk.bill(DAY, row("T1", 10000, order=ORDER, fee_fen=60))
    desk.tick(DAY)
    return desk


def test_a_day_that_agrees_is_booked_and_closed() -> None:
    desk = paid_desk()
    assert [body.fee_fen for body in desk.told(FeesBooked)] == [60]
    (stated,) = desk.told(DayStated)
    assert (stated.clearing_fen, stated.causes) == (9940, {"payout_awaited": 9940})
    assert desk.told(DiscrepancyFound) == desk.told(DayClosed) == []
    desk.bank(MONDAY, 9940)
    desk.tick(MONDAY)
    (booked,) = desk.told(PayoutBooked)
    assert (booked.paid_fen, booked.paid_on, booked.outcome) == (9940, MONDAY, "paid")
    assert {line.ledger_account: line.debit_fen for line in booked.journal.lines} == {
        "bank": 9940,
        "channel_clearing": 0,
    }
    (closed,) = desk.told(DayClosed)
    assert (closed.clearing_fen, closed.causes, closed.owed_fen) == (0, {}, 9940)
    assert desk.own_clearing() == {DAY: -10000}
    assert desk.state is not None
    assert (desk.state.bookings, desk.state.days, desk.state.trade_days) == ({}, {}, [])
    assert desk.tick("2026-02-03") == []
    assert decisions.due(desk.state) == ""


def test_a_copy_of_a_file_changes_nothing_open_or_closed() -> None:
    desk = paid_desk()
    desk.bill(DAY, row("T1", 10000, order=ORDER, fee_fen=60))
    assert [body.reason for body in desk.told(FilePassedOver)] == ["identical"]
    desk.bank(MONDAY, 9940)
    desk.tick(MONDAY)
    desk.bill(DAY, row("T1", 10000, order=ORDER, fee_fen=60, line=9))
    assert [body.reason for body in desk.told(FilePassedOver)] == ["identical"] * 2
    desk.bill(DAY, row("T1", 10000, order=ORDER, fee_fen=61))
    (refused,) = desk.told(FileQuarantined)
    assert refused.cause == "day_closed"
    assert len(desk.told(FileTaken)) == 2  # the bill and the statement


def test_a_changed_file_is_a_new_version_that_corrects_the_books() -> None:
    desk = paid_desk()
    desk.bill(DAY, row("T1", 10000, order=ORDER, fee_fen=50), row("T2", 300, order=ORDER))
    taken = desk.told(FileTaken)[1]
    assert (taken.version, taken.change_count, taken.row_count) == (2, 2, 2)
    assert [(each.what, each.transaction) for each in taken.changes] == [
        ("changed", "T1"),
        ("added", "T2"),
    ]
    assert (taken.changes[0].before_fee_fen, taken.changes[0].after_fee_fen) == (60, 50)
    desk.tick(NEXT)
    assert [body.fee_fen for body in desk.told(FeesBooked)] == [60, -10]


def test_an_older_version_that_comes_late_does_not_stand() -> None:
    desk = Desk()
    newer, older = row("T1", 10000, fee_fen=60), row("T1", 10000, fee_fen=50)
    desk.bill(DAY, newer, at="2026-02-02T02:00:00Z")
    desk.bill(DAY, older, at="2026-02-01T02:00:00Z")
    desk.bill(DAY, older, at="2026-02-01T02:00:00Z")
    assert [body.reason for body in desk.told(FilePassedOver)] == ["older", "identical"]
    assert desk.state is not None
    assert list(desk.state.rows_of("trade")) == [newer]


def test_a_lost_callback_is_forwarded_once_and_gone_when_it_is_booked() -> None:
    desk = Desk()
    desk.bill(DAY, row("T1", 8000, order=ORDER))
    desk.tick(DAY)
    (found,) = desk.told(DiscrepancyFound)
    assert (found.outcome, found.cause, found.left_fen) == (
        "channel_only",
        "lost_callback",
        {DAY: -8000},
    )
    (sent,) = desk.sent
    assert isinstance(sent.body, RowFound)
    assert (sent.topic, sent.key, sent.body.row.transaction) == ("payments.notices", A, "T1")
    desk.tick(NEXT)
    assert len(desk.sent) == 1
    desk.book("T1", 8000, order=ORDER, account_no=A)
    desk.tick(NEXT)
    (gone,) = desk.told(DiscrepancyGone)
    assert (gone.case_id, gone.how) == (found.case_id, "captured_from_file")


def test_rows_without_an_order_and_refunds_go_to_their_transaction() -> None:
    desk = Desk()
    refund = row("T0", 500, kind=REFUND, refund_no="R1", refund_id="50")
    desk.bill(DAY, row("T1", 8000, order="PAY-1"), refund)
    desk.tick(DAY)
    assert sorted(emit.key for emit in desk.sent) == ["wechat:T0", "wechat:T1"]


def test_a_line_that_is_in_the_file_twice_is_not_money_twice() -> None:
    desk = Desk()
    desk.book("T1", 100, order=ORDER)
    twice = row("T1", 100, order=ORDER)
    desk.bill(DAY, twice, twice, row("T2", 100, order=ORDER))
    desk.tick(DAY)
    assert sorted(body.outcome for body in desk.told(DiscrepancyFound)) == [
        "channel_only",
        "duplicate_in_file",
    ]
    assert [emit.body.row.transaction for emit in desk.sent] == ["T2"]  # paid twice, in fact


def test_the_account_difference_is_named_by_its_causes() -> None:
    """docs/calculations.md: -110.00 = -50.00 late cut-off, -80.00 lost callback, +20.00 refund."""
    desk = Desk()
    desk.book("T1", 10000, order=ORDER)
    desk.book("T2", 5000, day_on=NEXT)
    refund = row("T1", 2000, kind=REFUND, refund_no="R1")
    desk.bill(DAY, row("T1", 10000, order=ORDER), row("T2", 5000), row("T3", 8000), refund)
    desk.tick(DAY)
    stated = desk.told(DayStated)[-1]
    causes = {name: fen for name, fen in stated.causes.items() if name != "payout_awaited"}
    assert causes == {"late_cut_off": -5000, "no_order": -8000, "refund_elsewhere": 2000}
    assert sum(causes.values()) == -11000
    assert sum(stated.causes.values()) == stated.clearing_fen == 10000


def settle_payment_of_nobody(action: str) -> Desk:
    """Ours has 70.00 that the channel never had."""
    desk = Desk()
    desk.book("T1", 7000, order=ORDER)
    desk.bill(DAY)
    desk.bill(NEXT)
    desk.tick(NEXT)
    (found,) = desk.told(DiscrepancyFound)
    assert (found.outcome, found.cause) == ("ours_only", "not_at_channel")
    desk.decide(found.case_id, action)
    desk.tick(NEXT)
    assert desk.told(DayClosed) == []  # not before its payout is due
    desk.tick(MONDAY)
    return desk


@pytest.mark.parametrize(
    ("action", "left", "causes", "role"),
    [
        ("accept", 7000, {"not_at_channel": 7000}, ""),
        ("write_off", 0, {"not_at_channel": 7000, "write_off": -7000}, "write_off"),
        ("claim", 0, {"not_at_channel": 7000, "claim": -7000}, "channel_claim"),
    ],
)
def test_a_person_settles_what_is_left(
    action: str, left: int, causes: dict[str, int], role: str
) -> None:
    desk = settle_payment_of_nobody(action)
    (settled,) = desk.told(DiscrepancySettled)
    assert (settled.action, settled.by, settled.evidence) == (action, "wang", "slip 7")
    if role:
        assert settled.journal is not None
        assert [(line.ledger_account, line.debit_fen) for line in settled.journal.lines] == [
            (role, 7000),
            ("channel_clearing", 0),
        ]
    closed = next(body for body in desk.told(DayClosed) if body.day_on == DAY)
    assert (closed.clearing_fen, closed.causes) == (left, causes)
    assert desk.own_clearing() == ({DAY: -7000} if role else {})


def test_what_was_written_off_and_comes_after_all_is_taken_back() -> None:
    desk = Desk()
    desk.book("T1", 7000, order=ORDER)
    desk.book("T2", 100, order=ORDER)
    desk.bill(DAY)
    desk.bill(NEXT)
    desk.tick(NEXT)
    case = next(each for each in desk.told(DiscrepancyFound) if each.transaction == "T1")
    desk.decide(case.case_id, "write_off")
    desk.bill(DAY, row("T1", 7000, order=ORDER))
    desk.tick(NEXT)
    gone = desk.told(DiscrepancyGone)[-1]
    assert (gone.case_id, gone.how, gone.left_fen) == (case.case_id, "agrees", {DAY: 7000})
    assert desk.own_clearing() == {}
    desk.bill(DAY, row("T1", 7100, order=ORDER))
    desk.tick(NEXT)
    again = desk.told(DiscrepancyFound)[-1]
    assert (again.cause, again.left_fen) == ("amount", {DAY: -100})
    desk.decide(again.case_id, "claim")
    desk.bill(DAY, row("T1", 7200, order=ORDER))
    desk.tick(NEXT)
    assert desk.told(DiscrepancyGone)[-1].how == "differs"
    assert desk.told(DiscrepancyFound)[-1].left_fen == {DAY: -200}
    assert desk.own_clearing() == {}


def test_a_case_that_changes_has_another_revision_and_its_owner() -> None:
    desk = Desk()
    desk.book("T1", 100, order=ORDER)
    desk.bill(DAY, row("T1", 110, order=ORDER))
    desk.tick(DAY)
    (case,) = desk.told(DiscrepancyFound)
    assert (case.owner, case.opened_on) == ("settlement", NEXT)
    desk.decide(case.case_id, "take_up")
    desk.bill(DAY, row("T1", 120, order=ORDER))
    desk.tick(MONDAY)
    again = desk.told(DiscrepancyFound)[-1]
    assert (again.case_id, again.revision, again.opened_on) == (case.case_id, 2, NEXT)
    assert desk.state is not None
    assert desk.state.cases[case.case_id].owner == "wang"


def test_a_decision_that_is_not_possible_is_rejected_with_its_reason() -> None:
    desk = Desk(replace(DEFAULT_POLICY, fee_rates_e6={"wechat": 6000}))
    desk.book("T1", 10000, order=ORDER)
    desk.bill(DAY, row("T1", 10000, order=ORDER, fee_fen=70))
    desk.tick(DAY)
    (case,) = desk.told(DiscrepancyFound)
    assert case.cause == "fee"
    for case_id, action in (
        (case.case_id, "forget"),
        ("x", "accept"),
        (case.case_id, "claim"),
        (case.case_id, "accept"),
        (case.case_id, "accept"),
    ):
        desk.decide(case_id, action)
    assert [body.problem for body in desk.told(DecisionRejected)] == [
        "'forget' is no decision",
        "there is no such case (any more)",
        "leaves nothing to claim",
        "was settled already: accept",
    ]


def test_payouts_late_missing_and_unknown() -> None:
    desk = paid_desk()
    desk.bank("2026-02-03", 9940)
    desk.tick("2026-02-03")
    assert desk.told(PayoutBooked)[0].outcome == "payout_late"
    assert desk.told(DayClosed)[0].paid_on == "2026-02-03"

    desk = paid_desk()
    desk.tick("2026-02-09")
    (case,) = desk.told(DiscrepancyFound)
    assert (case.outcome, case.left_fen, case.days) == ("payout_missing", {DAY: 9940}, (DAY,))
    desk.decide(case.case_id, "claim")
    desk.tick("2026-02-09")
    (closed,) = desk.told(DayClosed)
    assert (closed.clearing_fen, closed.paid_fen) == (0, 0)
    assert desk.tick("2026-02-10") == []

    desk = paid_desk()
    desk.bank("2026-02-10", 777)
    desk.tick("2026-02-10")
    unknown = next(each for each in desk.told(DiscrepancyFound) if each.outcome == "payout_unknown")
    assert unknown.left_fen == {"2026-02-10": -777}
    desk.bill("2026-02-09", row("T9", 777, day_on="2026-02-09", order=ORDER))
    desk.book("T9", 777, day_on="2026-02-09")
    desk.tick("2026-02-11")
    assert desk.own_clearing()["2026-02-09"] == -777  # it found its day
    assert desk.state is not None
    assert "2026-02-10" not in desk.own_clearing().keys() | desk.state.days.keys()


def test_a_payout_of_nobody_that_was_settled_stays_settled() -> None:
    desk = Desk()
    desk.bank(MONDAY, 777)
    desk.tick(MONDAY)
    (unknown,) = desk.told(DiscrepancyFound)
    desk.decide(unknown.case_id, "claim")
    desk.bill(MONDAY)
    for day_on in (MONDAY, "2026-02-03", "2026-02-04"):
        desk.tick(day_on)
    (closed,) = desk.told(DayClosed)
    assert (closed.day_on, closed.clearing_fen) == (MONDAY, 0)
    assert desk.told(DiscrepancyFound) == [unknown]
    assert desk.own_clearing() == {}


def test_payouts_over_the_spring_holiday_come_together() -> None:
    days = tuple(f"2026-02-{day}" for day in range(15, 24))
    desk = Desk(replace(DEFAULT_POLICY, holidays=days))
    for number, day_on in enumerate(("2026-02-13", "2026-02-14", *days)):
        desk.book(f"T{number}", 1000, day_on=day_on)
        desk.bill(day_on, row(f"T{number}", 1000, day_on=day_on, fee_fen=6))
    desk.bank("2026-02-24", 994 * 11)
    desk.tick("2026-02-24")
    assert len(desk.told(DayClosed)) == 11
    assert {body.paid_on for body in desk.told(PayoutBooked)} == {"2026-02-24"}
    assert desk.own_clearing() == {body.day_on: -1000 for body in desk.told(DayClosed)}


def test_a_payment_over_two_days_closes_both_together() -> None:
    desk = Desk()
    desk.book("T1", 1000)
    desk.bill(DAY)
    desk.bill(NEXT, row("T1", 1000, day_on=NEXT))
    desk.tick(NEXT)
    assert desk.told(DayClosed) == []
    desk.bank(MONDAY, 1000)
    desk.tick(MONDAY)
    assert [(each.day_on, each.clearing_fen, each.causes) for each in desk.told(DayClosed)] == [
        (DAY, 1000, {"late_cut_off": 1000}),
        (NEXT, -1000, {"late_cut_off": -1000}),
    ]


def test_ours_waits_for_the_file_of_its_day_and_the_next() -> None:
    desk = Desk()
    desk.book("T1", 1000)
    desk.bill(NEXT)  # the file of the day itself is missing
    desk.tick(MONDAY)
    assert desk.told(DiscrepancyFound) == []
    desk.bill(DAY)
    desk.tick(MONDAY)
    assert [body.cause for body in desk.told(DiscrepancyFound)] == ["not_at_channel"]
    desk = Desk()
    desk.book("T1", 1000)
    desk.bill(DAY)
    desk.tick(DAY)
    assert desk.told(DiscrepancyFound) == desk.told(DayClosed) == []


def test_a_booking_that_is_taken_back_counts_in_any_order() -> None:
    for first, second in ((False, True), (True, False)):
        desk = Desk()
        desk.book("T1", 1000, name="b/1", back=first)
        desk.book("T1", 1000, name="b/1", back=second)
        assert desk.state == Book()
    desk = Desk()
    desk.book("T1", 1000, name="b/1")
    desk.book("T1", 1000, name="b/2")
    desk.book("T1", 1000, name="b/1", back=True)
    assert desk.state is not None
    assert list(desk.state.bookings[DAY]) == ["b/2"]


def test_what_comes_after_the_day_was_closed_is_a_case_until_it_is_nothing() -> None:
    desk = paid_desk()
    desk.bank(MONDAY, 9940)
    desk.tick(MONDAY)
    desk.book("T1", 10000, name="b/2")
    desk.tick(MONDAY)
    (case,) = desk.told(DiscrepancyFound)
    assert (case.cause, case.left_fen) == ("after_close", {DAY: 10000})
    desk.book("T1", 10000, name="wechat:T1", back=True)
    desk.tick(MONDAY)
    assert [body.how for body in desk.told(DiscrepancyGone)] == ["agrees"]


def test_money_of_the_bank_for_a_closed_day_is_a_case() -> None:
    desk = paid_desk()
    desk.tick("2026-02-09")
    desk.decide(desk.told(DiscrepancyFound)[0].case_id, "claim")
    desk.tick("2026-02-09")
    desk.bank(MONDAY, 9940)
    desk.tick("2026-02-10")
    desk.tick("2026-02-11")
    case = desk.told(DiscrepancyFound)[-1]
    assert (case.cause, case.left_fen) == ("after_close", {DAY: -9940})


def test_long_ago_is_forgotten() -> None:
    desk = paid_desk()
    desk.bank(MONDAY, 9940)
    desk.tick(MONDAY)
    desk.bill("2026-06-01")
    desk.tick("2026-06-02")
    assert desk.state is not None
    assert list(desk.state.closed) == ["2026-06-01"]
    assert list(desk.state.sheets) == []


@pytest.mark.parametrize(
    "change",
    [
        {"merchant": "other"},
        {"kind": "letter"},
        {"day_on": "yesterday"},
        {"part": 2},
        {"rows": (row("T1", 1, day_on=NEXT),)},
    ],
)
def test_a_sheet_that_is_none_is_quarantined(change: dict[str, object]) -> None:
    desk = Desk()
    sheet = RowsSubmitted(
        sheet_id="s",
        kind="trade",
        channel="wechat",
        merchant=MERCHANT,
        day_on=DAY,
        part=0,
        parts=2,
        rows=(row("T1", 1),),
        file_sha256="f",
        name="x.csv",
        submitted_at="2026-02-01T00:00:00Z",
        submitted_by="wang",
    )
    desk.take(replace(sheet, **change))  # type: ignore[arg-type]
    (refused,) = desk.told_all
    assert isinstance(refused, FileQuarantined)
    assert refused.cause == "malformed_sheet"
    desk.take(sheet)
    desk.take(sheet)
    assert desk.told(FileTaken) == []
    desk.take(replace(sheet, part=1, rows=()))
    assert [body.row_count for body in desk.told(FileTaken)] == [1]


def test_a_file_that_was_refused_is_an_event_with_its_row_and_reason() -> None:
    desk = Desk()
    refused = FileRefused(
        file_sha256="f",
        name="x.csv",
        channel="wechat",
        merchant=MERCHANT,
        cause="file_summary_mismatch",
        line=9,
        field="总交易额",
        problem="says 1.00 yuan, the rows give 2.00 yuan",
        submitted_at="2026-02-01T00:00:00Z",
        submitted_by="wang",
    )
    (told,) = desk.take(refused, KEY)
    assert (told.cause, told.line, told.field) == ("file_summary_mismatch", 9, "总交易额")


def test_lines_that_look_alike_are_cases_of_their_own() -> None:
    desk = Desk()
    same = row("", 100, order="PAY-1")
    desk.bill(DAY, same, same, same)
    desk.tick(DAY)
    found = desk.told(DiscrepancyFound)
    assert sorted(each.outcome for each in found) == ["channel_only", *["duplicate_in_file"] * 2]
    assert len({each.case_id for each in found}) == 3
    assert len({each.case_id.partition("-")[0] for each in found}) == 1
    (sent,) = desk.sent
    assert sent.key == f"wechat:{sent.body.evidence_id}"


def test_of_a_statement_only_payouts_are_taken() -> None:
    desk = Desk()
    desk.bill(DAY, row("", 500, kind=PAYOUT), row("T1", 100, kind=FEE), kind=BANK)
    assert [(taken.kind, taken.row_count) for taken in desk.told(FileTaken)] == [(BANK, 1)]


@pytest.mark.parametrize("name", ["holidays", "workdays"])
@pytest.mark.parametrize("text", ["spring", "20260216"])
def test_a_holiday_is_a_day(name: str, text: str) -> None:
    with pytest.raises(BadInput) as wrong:
        SettlementPolicy(**{name: (text,)})  # type: ignore[arg-type]
    assert wrong.value.field == name
