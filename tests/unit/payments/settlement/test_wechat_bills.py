"""WeChat's bills: every column that counts, the summary, and every way a bill can be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.payments.settlement.rows import FileRefusedError, SettlementRow
from services.payments.settlement.wechat_bills import bill_rows
from tests.unit.payments.settlement.bills import (
    FUNDS_HEADER,
    FUNDS_SUMMARY,
    HEADER,
    SUMMARY,
    cells,
    funds,
    trade,
    trade_bill,
)

GOLDEN = json.loads((Path(__file__).parents[3] / "golden" / "payments.json").read_text("utf-8"))
FACTS = next(each for each in GOLDEN["vectors"] if each["id"] == "wx-bill-all-1")["facts"]


def refused(lines: list[str]) -> FileRefusedError:
    with pytest.raises(FileRefusedError) as error:
        list(bill_rows(lines))
    return error.value


def test_a_payment_and_a_refund() -> None:
    lines = trade_bill(
        [trade("100.00"), trade("20.00", "-0.12000", refund=True)],
        ("2.0", "100.00", "20.00", "0.0", "0.48", "100.00", "20.00"),
    )
    paid, refund = bill_rows([f"{line}\r\n" for line in lines])
    assert paid == SettlementRow(
        channel="wechat",
        merchant="1900000001",
        day_on="2026-02-12",
        kind="capture",
        transaction="420000001",
        order_no="1000000042126020001",
        amount_fen=10000,
        settled_fen=10000,
        fee_fen=60,
        at="2026-02-12T00:01:12Z",
        state="SUCCESS",
        line=2,
    )
    assert (refund.kind, refund.amount_fen, refund.fee_fen) == ("refund", 2000, -12)
    assert (refund.refund_id, refund.refund_no, refund.line) == ("50301", "REF1", 3)
    assert (refund.net_fen, refund.net_settled_fen, paid.net_fen) == (-2000, -2000, 10000)


def test_the_facts_of_the_published_bill() -> None:
    """Columns, rows and sums of the vector wx-bill-all-1, whose file is not here."""
    assert HEADER.count(",") + 1 == FACTS["columns"]
    assert FACTS["summary_header"] == SUMMARY
    paid = [trade("0.01", "0.00000", number=number) for number in range(22)]
    paid += [trade("0.03", "0.01000", number=number) for number in range(22, 29)]
    paid += [trade("0.02", "0.01000", number=29), trade("0.02", "0.00000", number=30)]
    refunds = [trade("0.01", "0.00000", number=number, refund=True) for number in range(14)]
    rows = list(bill_rows(trade_bill([*paid, *refunds], FACTS["summary_values"])))
    assert len(rows) == FACTS["detail_rows"]
    assert sum(row.amount_fen for row in rows if row.kind == "capture") == 47
    assert sum(row.amount_fen for row in rows if row.kind == "refund") == 14
    assert sum(row.fee_fen for row in rows) == 8


def test_a_coupon_that_is_ours_to_bear_and_the_day_that_is_known() -> None:
    lines = trade_bill(
        [trade("100.00", 应结订单金额="95.00")],
        ("1", "95.00", "0.00", "0.00", "0.60", "100.00", "0.00"),
    )
    (row,) = bill_rows(lines, day_on="2026-02-11")
    assert (row.amount_fen, row.settled_fen, row.day_on) == (10000, 9500, "2026-02-11")


def test_a_zero_day_has_no_rows() -> None:
    assert (
        list(bill_rows(trade_bill([], ("0", "0.00", "0.00", "0.00", "0.00", "0.00", "0.00")))) == []
    )


def test_the_older_columns_and_a_bill_of_payments_only() -> None:
    header = "交易时间,商户号,微信订单号,商户订单号,交易状态,货币种类,总金额,手续费"
    row = cells(("2026-02-12 08:01:12", "19", "42", "100", "SUCCESS", "CNY", "1.00", "0.01000"))
    summary = [
        "总交易单数,总交易额,总退款金额,总代金券金额,手续费总金额",
        cells(("1", "1.00", "0.00", "7", "0.01")),
    ]
    (found,) = bill_rows([header, row, *summary])
    assert (found.amount_fen, found.settled_fen, found.fee_fen) == (100, 100, 1)
    revoked = row.replace("SUCCESS", "REVOKED")
    assert "no column has its amount" in str(refused([header, revoked, *summary]))


GOOD = ("1", "100.00", "0.00", "0.00", "0.60", "100.00", "0.00")


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        (("2", *GOOD[1:]), "总交易单数: says 2 rows, the rows give 1 rows"),
        (("1", "90.00", *GOOD[2:]), "应结订单总金额: says 90.00 yuan, the rows give 100.00 yuan"),
        ((*GOOD[:4], "-0.60", *GOOD[5:]), "手续费总金额: says -0.60 yuan, the rows give 0.60 yuan"),
    ],
)
def test_a_summary_that_differs_refuses_the_file(summary: tuple[str, ...], said: str) -> None:
    error = refused(trade_bill([trade()], summary))
    assert str(error).startswith(said)
    assert (error.cause, error.line) == ("file_summary_mismatch", 4)


@pytest.mark.parametrize(
    ("changed", "cause", "said"),
    [
        ({"货币种类": "USD"}, "currency_mismatch", "货币种类: is 'USD'"),
        ({"交易状态": "PAID"}, "malformed", "交易状态: 'PAID' is not known"),
        ({"手续费": "0.60300"}, "malformed", "手续费: '0.60300' has more digits than 1/100"),
        ({"手续费": "six"}, "malformed", "手续费: 'six' is no decimal number"),
        ({"订单金额": "99999999999999.00"}, "malformed", "is impossible"),
        ({"订单金额": "-1.00"}, "malformed", "订单金额: -1.00 is below zero"),
        ({"交易时间": "2026-02-30 00:00:00"}, "malformed", "交易时间: '2026-02-30 00:00:00' is no"),
        ({"交易时间": "1926-02-12 00:00:00"}, "malformed", "is no time of our years"),
        ({"微信订单号": ""}, "malformed", "微信订单号: is empty"),
        ({"商户订单号": "电费"}, "malformed", "商户订单号: '电费' is no number or code"),
        ({"商户订单号": "1" * 65}, "malformed", "is no number or code"),
        ({"商品名称": "电费,`"}, "malformed", "cells: has 28 cells, the header 27"),
    ],
)
def test_a_wrong_cell_refuses_the_file(changed: dict[str, str], cause: str, said: str) -> None:
    error = refused(trade_bill([trade(**changed)], GOOD))
    assert said in str(error)
    assert (error.cause, error.line) == (cause, 2)


@pytest.mark.parametrize(
    ("lines", "cause", "said"),
    [
        ([], "file_columns_unknown", "header: begins with ''"),
        (["日期,金额"], "file_columns_unknown", "header: begins with '日期'"),
        ([HEADER.replace("手续费,", "")], "file_columns_unknown", "there is no column '手续费'"),
        ([HEADER + ",手续费"], "file_columns_unknown", "'手续费' is there twice"),
        ([HEADER, trade()], "file_summary_mismatch", "summary: is missing"),
        ([HEADER, trade(), SUMMARY], "file_summary_mismatch", "summary: has no values"),
        ([HEADER, trade()[1:]], "malformed", "cells: begins with no backtick"),
        ([*trade_bill([trade()], GOOD), "\n", trade()], "malformed", "comes after the summary"),
        ([FUNDS_HEADER.replace("业务类型,", "")], "file_columns_unknown", "'业务类型'"),
    ],
)
def test_a_file_that_is_no_whole_bill(lines: list[str], cause: str, said: str) -> None:
    error = refused(lines)
    assert said in str(error)
    assert error.cause == cause


def fund_bill(rows: list[str], summary: tuple[str, ...]) -> list[str]:
    return [FUNDS_HEADER, *rows, FUNDS_SUMMARY, cells(summary)]


def test_a_fund_flow_bill() -> None:
    lines = fund_bill(
        [
            funds("交易", "收入", "100.00"),
            funds("扣除交易手续费", "支出", "0.60"),
            funds("扣除交易手续费", "收入", "0.12"),
            funds("退款", "支出", "20.00", business="5030"),
            funds("提现", "支出", "50.00"),
            funds("转账", "支出", "1.00"),
            funds("充值", "收入", "2.00"),
        ],
        ("7", "3", "102.12", "4", "71.60"),
    )
    rows = list(bill_rows(lines, merchant="1900000001", day_on="2026-02-12"))
    assert [(row.kind, row.amount_fen) for row in rows] == [
        ("capture", 10000),
        ("fee", 60),
        ("fee", -12),
        ("refund", 2000),
        ("payout", 5000),
        ("other", -100),
        ("other", 200),
    ]
    assert {row.merchant for row in rows} == {"1900000001"}
    assert (rows[3].transaction, rows[3].refund_id, rows[3].refund_no) == ("4200", "5030", "V1")
    assert (rows[0].transaction, rows[0].order_no) == ("4200", "V1")


@pytest.mark.parametrize(
    ("row", "summary", "said"),
    [
        (funds("交易", "收入", "1.00"), ("1", "1", "1.00", "1", "0.00"), "支出笔数: says 1 rows"),
        (funds("交易", "收入", "1.00"), ("1", "1", "1.01", "0", "0.00"), "收入金额: says 1.01"),
        (funds("交易", "出", "1.00"), ("1", "1", "1.00", "0", "0.00"), "收支类型: '出' is not"),
        (funds("交易", "收入", "-1.00"), ("1", "1", "1.00", "0", "0.00"), "is below zero"),
    ],
)
def test_a_wrong_fund_flow_bill(row: str, summary: tuple[str, ...], said: str) -> None:
    assert said in str(refused(fund_bill([row], summary)))


def test_a_fund_flow_bill_takes_the_day_of_each_row() -> None:
    lines = fund_bill([funds("交易", "收入", "1.00")], ("1", "1", "1.00", "0", "0.00"))
    assert [row.day_on for row in bill_rows(lines)] == ["2026-02-12"]
