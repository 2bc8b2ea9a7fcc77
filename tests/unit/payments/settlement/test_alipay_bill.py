"""Alipay's business detail: preface, tabs, signs, footer, and what refuses it."""

from __future__ import annotations

import pytest

from services.payments.settlement.alipay_bill import bill_rows
from services.payments.settlement.rows import FileRefusedError
from tests.unit.payments.settlement.bills import ALIPAY_HEADER, PREFACE, alipay, alipay_bill


def refused(lines: list[str]) -> FileRefusedError:
    with pytest.raises(FileRefusedError) as error:
        list(bill_rows(lines))
    return error.value


def test_a_payment_and_a_refund() -> None:
    rows = [alipay("100.00", "-0.60"), alipay("-40.00", "0.24", refund=True)]
    paid, refund = bill_rows(
        [f"{line}\r\n" for line in alipay_bill(rows, (1, "100.00"), (1, "-40.00"))]
    )
    assert (paid.merchant, paid.day_on, paid.kind) == ("2088000000000099", "2026-02-14", "capture")
    assert (paid.amount_fen, paid.settled_fen, paid.fee_fen) == (10000, 10000, 60)
    assert (paid.transaction, paid.order_no) == (
        "2026021422001400000000000001",
        "1000000042126020001",
    )
    assert (paid.at, paid.line) == ("2026-02-14T03:00:00Z", 6)
    assert (refund.kind, refund.amount_fen, refund.fee_fen) == ("refund", 4000, -24)
    assert (refund.refund_no, refund.net_fen) == ("REF1", -4000)


@pytest.mark.parametrize("fee", ["-0.60", "0.60"])
def test_a_fee_costs_with_either_sign(fee: str) -> None:
    (row,) = bill_rows(alipay_bill([alipay(fee=fee)], (1, "100.00")))
    assert row.fee_fen == 60


def test_a_blank_line_is_nothing() -> None:
    rows = [alipay(), "", alipay()]
    assert [row.line for row in bill_rows(alipay_bill(rows, (2, "200.00")))] == [6, 8]


def test_what_is_given_wins_over_the_preface() -> None:
    lines = alipay_bill([alipay()], (1, "100.00"))
    (row,) = bill_rows(lines, merchant="M", day_on="2026-02-13")
    assert (row.merchant, row.day_on) == ("M", "2026-02-13")


def test_a_period_of_several_days_gives_each_row_its_own() -> None:
    lines = alipay_bill([alipay()], (1, "100.00"))
    lines[2] = "#起始日期：[2026年02月01日 00:00:00]   终止日期：[2026年03月01日 00:00:00]"
    assert [row.day_on for row in bill_rows(lines)] == ["2026-02-14"]


def test_brackets_of_either_width_and_no_column_of_discounts() -> None:
    header = ALIPAY_HEADER.replace("（", "(").replace("）", ")").replace("商家优惠(元)", "x")
    assert len(list(bill_rows(alipay_bill([alipay()], (1, "100.00"), header=header)))) == 1


@pytest.mark.parametrize(
    ("lines", "cause", "said"),
    [
        ([], "file_columns_unknown", "header: is missing"),
        (["", *PREFACE], "file_columns_unknown", "header: is missing"),
        (alipay_bill([alipay()])[:6], "file_summary_mismatch", "footer: is missing"),
        (alipay_bill([])[:-2], "file_summary_mismatch", "footer: is missing"),
        (alipay_bill([alipay()]), "file_summary_mismatch", "says 0 captures, the rows give 1"),
        (alipay_bill([alipay()], (1, "9.00")), "file_summary_mismatch", "says 9.00 yuan, the"),
        (
            alipay_bill([alipay(**{"商家优惠（元）": "1.00"})], (1, "100.00")),
            "file_summary_mismatch",
            "says 0.00 yuan, the rows give 1.00 yuan",
        ),
        ([*alipay_bill([]), alipay()], "malformed", "comes after the list"),
        (alipay_bill([alipay(业务类型="转账")]), "malformed", "业务类型: '转账' is not known"),
        (alipay_bill([alipay("-1.00")]), "malformed", "a payment is below zero"),
        (alipay_bill([alipay(**{"商家实收（元）": "-1"})]), "malformed", "a payment is below zero"),
        (alipay_bill([alipay(商品名称="a,b")]), "malformed", "has 26 cells, the header 25"),
        (alipay_bill([alipay(商品名称='"a"b')]), "malformed", "cells: "),
        (alipay_bill([], header="支付宝交易号"), "file_columns_unknown", "no column '商户订单号'"),
        ([line for line in alipay_bill([]) if "账号" not in line], "malformed", "账号: is not"),
        (
            [line.replace("02月14日", "02月31日") for line in alipay_bill([])],
            "malformed",
            "起始日期: is no day",
        ),
    ],
)
def test_what_refuses_a_file(lines: list[str], cause: str, said: str) -> None:
    error = refused(lines)
    assert said in str(error)
    assert error.cause == cause
