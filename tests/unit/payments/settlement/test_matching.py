"""Lines of both sides: every outcome with its cause, and the laws of matching."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.payments.order_number import make_order_number
from services.payments.settlement.matching import (
    ACTIONS,
    CLOSED_CAUSES,
    OUTCOMES,
    Match,
    MatchRules,
    match_lines,
)
from services.payments.settlement.rows import SettlementRow

ACCOUNT, OTHER_ACCOUNT = "1000000042", "1000000043"
ORDER = make_order_number(ACCOUNT, "26020001")
RULES = MatchRules()


def paid(amount_fen: int = 10000, **changed: Any) -> SettlementRow:
    found: dict[str, Any] = {
        "channel": "wechat",
        "merchant": "19",
        "day_on": "2026-02-12",
        "kind": "capture",
        "transaction": "T1",
        "order_no": ORDER,
        "amount_fen": amount_fen,
        "settled_fen": amount_fen,
        "at": "2026-02-12T00:00:00Z",
    }
    return SettlementRow(**found | changed)


def back(amount_fen: int = 2000, **changed: Any) -> SettlementRow:
    return paid(amount_fen, **{"kind": "refund", "refund_no": "R1", "refund_id": "5030", **changed})


def told(
    ours: list[SettlementRow], channel: list[SettlementRow], rules: MatchRules = RULES
) -> list[tuple[str, str, str]]:
    return [(each.outcome, each.cause, each.rule) for each in match_lines(ours, channel, rules)]


LATER = paid(transaction="T9", order_no="", day_on="2026-02-20")
"""A line of a later file, so that nothing is awaited any more."""


@pytest.mark.parametrize(
    ("ours", "channel", "expected"),
    [
        (paid(), paid(), ("matched", "", "transaction")),
        (paid(day_on="2026-02-13"), paid(), ("date_shifted", "late_cut_off", "transaction")),
        (paid(day_on="2026-02-14"), paid(), ("date_shifted", "days_apart", "transaction")),
        (paid(9000), paid(), ("amount_diff", "amount", "transaction")),
        (paid(merchant="20"), paid(), ("account_diff", "wrong_merchant", "transaction")),
        (
            paid(account_no=OTHER_ACCOUNT),
            paid(),
            ("account_diff", "wrong_account", "transaction"),
        ),
        (paid(account_no=OTHER_ACCOUNT), paid(order_no="X"), ("matched", "", "transaction")),
        (paid(account_no=ACCOUNT), paid(), ("matched", "", "transaction")),
        (paid(transaction=""), paid(), ("matched", "", "order_and_amount")),
        (
            paid(transaction="", order_no="", rrn="123456789012"),
            paid(rrn="123456789012"),
            ("matched", "", "rrn"),
        ),
        (back(), back(), ("matched", "", "refund_no")),
        (back(1000), back(), ("amount_diff", "amount", "refund_no")),
        (back(refund_no=""), back(), ("matched", "", "refund_id")),
        (back(refund_no="", refund_id=""), back(), ("matched", "", "refund_amount")),
        (
            back(refund_no="", refund_id=""),
            back(refund_no="", refund_id=""),
            ("matched", "", "transaction"),
        ),
    ],
)
def test_a_pair(
    ours: SettlementRow, channel: SettlementRow, expected: tuple[str, str, str]
) -> None:
    assert told([ours], [channel]) == [expected]


@pytest.mark.parametrize(
    ("ours", "channel", "outcome", "cause"),
    [
        ([], [paid()], "channel_only", "lost_callback"),
        ([], [paid(order_no="")], "channel_only", "no_order"),
        ([], [paid(order_no="foreign-1")], "channel_only", "no_order"),
        ([paid()], [paid(), paid()], "duplicate_in_file", "duplicate"),
        ([paid()], [paid(), paid(transaction="T2")], "channel_only", "duplicate"),
        ([paid()], [paid(), back()], "status_diff", "refund_elsewhere"),
        ([], [back()], "channel_only", "refund_elsewhere"),
        ([paid(), paid()], [paid()], "duplicate_in_ours", "duplicate"),
        ([paid()], [LATER], "ours_only", "not_at_channel"),
        ([back()], [LATER], "ours_only", "refund_not_made"),
        ([paid()], [], "ours_only", "not_in_file_yet"),
        ([paid()], [paid(transaction="T9")], "ours_only", "not_in_file_yet"),
        ([paid()], [replace(LATER, day_on="2026-02-13")], "ours_only", "not_at_channel"),
        ([paid(transaction="")], [paid(1)], "ours_only", "not_in_file_yet"),
    ],
)
def test_what_one_side_has_alone(
    ours: list[SettlementRow], channel: list[SettlementRow], outcome: str, cause: str
) -> None:
    found = {(each[0], each[1]) for each in told(ours, channel)}
    assert (outcome, cause) in found


def test_of_two_payments_of_one_order_the_first_has_lost_its_callback() -> None:
    early = paid(transaction="T2", at="2026-02-12T00:00:00Z")
    late = paid(transaction="T1", at="2026-02-12T01:00:00Z")
    causes = {each.row.transaction: each.cause for each in match_lines([], [late, early], RULES)}
    assert causes == {"T2": "lost_callback", "T1": "duplicate"}


def test_of_two_rows_of_one_number_those_that_agree_belong_together() -> None:
    found = match_lines([paid(10000)], [paid(5000), paid(10000)], RULES)
    assert [(each.outcome, each.channel_fen) for each in found] == [
        ("duplicate_in_file", 5000),
        ("matched", 10000),
    ]


def test_another_number_is_another_payment_though_order_and_amount_agree() -> None:
    assert told([paid(transaction="T8")], [paid(transaction="T1")]) == [
        ("channel_only", "lost_callback", ""),
        ("ours_only", "not_in_file_yet", ""),
    ]


@pytest.mark.parametrize(
    ("fee_fen", "outcome"),
    [(58, "fee_diff"), (59, "matched"), (60, "matched"), (61, "matched"), (62, "fee_diff")],
)
def test_a_fee_may_differ_by_one_fen_from_its_rate(fee_fen: int, outcome: str) -> None:
    rules = MatchRules(fee_rates_e6={"wechat": 6000})
    (found,) = match_lines([paid()], [paid(fee_fen=fee_fen)], rules)
    assert (found.outcome, found.expected_fee_fen) == (outcome, 60)
    (refund,) = match_lines([back()], [back(fee_fen=-99)], rules)
    assert (refund.outcome, refund.expected_fee_fen) == ("matched", None)


def test_sides_of_a_match() -> None:
    (alone,) = match_lines([back()], [], RULES)
    assert (alone.ours_fen, alone.channel_fen, alone.row.refund_no) == (-2000, 0, "R1")
    assert not alone.is_open
    (lost,) = match_lines([], [paid()], RULES)
    assert (lost.ours_fen, lost.channel_fen, lost.is_open) == (0, 10000, True)


def test_a_sale_and_its_reversal_are_in_no_file() -> None:
    """Of two sales of one number one is reversed; what has a number as a refund is not."""
    reversal = paid(kind="refund", day_on="2026-02-13")
    assert told([paid(), reversal], []) == [("reversed", "reversed", "")] * 2
    pair = match_lines([paid(), reversal], [paid(transaction="T9", day_on="2026-02-16")], RULES)
    assert [each.outcome for each in pair if each.ours] == ["reversed", "reversed"]
    assert not any(each.is_open for each in pair if each.ours)
    assert sum(each.ours_fen for each in pair) == 0
    assert ("ours_only", "not_in_file_yet", "") in told([paid(), paid(), reversal], [])
    for other in (paid(2000, kind="refund"), back(10000), paid(kind="refund", transaction="T2")):
        assert {outcome for outcome, *_ in told([paid(), other], [])} == {"ours_only"}


def test_a_void_that_the_file_has_is_matched_with_it() -> None:
    void = paid(kind="refund")
    assert told([paid(), void], [paid(), void]) == [("matched", "", "transaction")] * 2


def test_a_payment_that_names_its_refund_is_no_refund() -> None:
    found = match_lines([paid(2000, refund_no="R1")], [back()], RULES)
    assert {each.outcome for each in found} == {"ours_only", "channel_only"}
    assert told([paid(refund_no="R1")], [paid()]) == [("matched", "", "transaction")]


def test_fees_and_payouts_are_not_matched() -> None:
    fee = paid(60, kind="fee")
    assert match_lines([fee], [fee, paid(5, kind="payout")], RULES) == ()
    assert (fee.net_fen, fee.net_settled_fen) == (-60, -60)


ROWS = st.lists(
    st.builds(
        paid,
        st.sampled_from([100, 200]),
        kind=st.sampled_from(["capture", "capture", "refund"]),
        transaction=st.sampled_from(["", "T1", "T2", "T3"]),
        order_no=st.sampled_from(["", ORDER, make_order_number(OTHER_ACCOUNT, "1")]),
        refund_no=st.sampled_from(["", "R1"]),
        refund_id=st.sampled_from(["", "5030"]),
        day_on=st.sampled_from(["2026-02-12", "2026-02-13", "2026-02-16"]),
        at=st.sampled_from(["2026-02-12T00:00:00Z", "2026-02-12T01:00:00Z"]),
        rrn=st.sampled_from(["", "123456789012"]),
        account_no=st.sampled_from(["", ACCOUNT]),
    ),
    max_size=7,
)


def content(matches: tuple[Match, ...]) -> list[Match]:
    """Matches without the places of their rows."""
    return [
        replace(
            each,
            ours=each.ours and replace(each.ours, line=0),
            channel=each.channel and replace(each.channel, line=0),
        )
        for each in matches
    ]


@settings(max_examples=80, deadline=None)
@given(ours=ROWS, channel=ROWS, data=st.data())
def test_the_order_of_the_rows_does_not_matter_and_no_row_is_lost(
    ours: list[SettlementRow], channel: list[SettlementRow], data: st.DataObject
) -> None:
    found = match_lines(ours, channel, RULES)
    again = match_lines(
        data.draw(st.permutations([replace(row, line=at) for at, row in enumerate(ours)])),
        data.draw(st.permutations([replace(row, line=at) for at, row in enumerate(channel)])),
        RULES,
    )
    assert content(found) == content(again)
    assert sum(each.ours_fen for each in found) == sum(row.net_fen for row in ours)
    assert sum(each.channel_fen for each in found) == sum(row.net_fen for row in channel)
    assert sum(each.ours is not None for each in found) == len(ours)
    assert sum(each.channel is not None for each in found) == len(channel)
    for each in found:
        assert each.outcome in OUTCOMES
        assert each.cause in ACTIONS or each.cause in CLOSED_CAUSES
        assert (each.outcome == "matched") == (each.cause == "")
