"""Mappings of acquirers and banks: what they say, and what is wrong in them or in a file."""

from __future__ import annotations

from typing import Any

import pytest

from libs.events.errors import BadInput
from services.payments.channels.pos import transaction_id
from services.payments.settlement.mapping import mapped_rows, mapping_of
from services.payments.settlement.rows import FileRefusedError, SettlementRow
from services.payments.settlement.versions import changes

POS: dict[str, Any] = {
    "channel": "pos_http",
    "sign": "refunds_negative",
    "date_format": "%Y%m%d",
    "columns": {
        "merchant": "m",
        "terminal": "t",
        "batch": "b",
        "stan": "s",
        "day_on": "d",
        "kind": "k",
        "amount": "a",
        "fee": "f",
    },
    "kinds": {"sale": "capture", "back": "refund"},
    "skip": {"k": ["sign-on"]},
    "footer": "sum",
}
HEADER = "m,t,b,s,d,k,a,f"
SALE = "M1,T1,000001,000042,20260214,sale,150.00,0.57"


def rows(lines: list[str], **changed: Any) -> list[SettlementRow]:
    return list(mapped_rows(lines, mapping_of(POS | changed)))


def test_a_row_of_our_own_terminals_is_named_without_a_day() -> None:
    (sale,) = rows([HEADER, SALE, "sum,1"], channel="pos_8583")
    assert (sale.channel, sale.transaction) == ("pos_8583", "M1-T1-000001-000042")


def test_an_acquirers_file() -> None:
    refund = "M1,T1,000001,000043,20260214,back,-16.00,0.00"
    lines = ["\N{ZERO WIDTH NO-BREAK SPACE}" + HEADER, "", SALE, refund]
    lines += ["M1,T1,000001,000044,20260214,sign-on,,", "sum,2"]
    sale, back = rows(lines)
    assert sale.transaction == transaction_id("M1", "T1", "000001", "000042", "2026-02-14")
    assert (sale.amount_fen, sale.fee_fen, sale.settled_fen) == (15000, 57, 15000)
    assert (sale.at, sale.day_on) == ("2026-02-13T16:00:00Z", "2026-02-14")
    assert (back.kind, back.amount_fen, back.state) == ("refund", 1600, "back")


def test_units_times_and_a_kind_for_all() -> None:
    columns = {"transaction": "n", "at": "w", "amount": "a", "settled": "s", "order_no": "o"}
    mapping = mapping_of(
        {"channel": "pos_http", "merchant": "M", "kind": "capture", "unit": "fen",
         "columns": columns, "delimiter": ";"}
    )  # fmt: skip
    (row,) = mapped_rows(["n;w;a;s;o", "X1;2026-02-14 23:30:00;100;-95;O1"], mapping)
    assert (row.amount_fen, row.settled_fen, row.day_on) == (100, 95, "2026-02-14")
    assert (row.merchant, row.transaction, row.order_no) == ("M", "X1", "O1")
    day = mapping_of(
        {"channel": "pos_http", "merchant": "M", "kind": "capture",
         "columns": {"transaction": "n", "at": "w", "day_on": "d", "amount": "a"}}
    )  # fmt: skip
    (row,) = mapped_rows(["n,w,d,a", "X1,2026-02-14 23:30:00,2026-02-15,1"], day)
    assert (row.at, row.day_on) == ("2026-02-14T15:30:00Z", "2026-02-15")


BANK: dict[str, Any] = {
    "channel": "bank",
    "columns": {
        "day_on": "d",
        "transaction": "n",
        "credit": "c",
        "debit": "o",
        "payer": "p",
        "purpose": "w",
    },
    "payers": [{"contains": "财付通", "channel": "wechat", "merchant": "19"}],
}


def test_a_bank_statement() -> None:
    lines = ["d,n,c,o,p,w", "2026-02-13,B1,296.58,,财付通,x", "2026-02-13,B2,,5.00,财付通,y"]
    lines += ['2026-02-13,B3,"1,234.50",,张三,电费']
    found = list(mapped_rows(lines, mapping_of(BANK)))
    assert [(row.channel, row.merchant, row.kind, row.amount_fen) for row in found] == [
        ("wechat", "19", "payout", 29658),
        ("wechat", "19", "payout", -500),
        ("bank", "", "other", 123450),
    ]
    amount = BANK | {"columns": {"day_on": "d", "transaction": "n", "amount": "c", "payer": "p"}}
    assert [row.amount_fen for row in mapped_rows(["d,n,c,p", "2026-02-13,B1,-1,x"],
            mapping_of(amount))] == [-100]  # fmt: skip


def test_a_line_of_a_bank_without_money_refuses_the_file() -> None:
    lines = ["d,n,c,o,p,w", "2026-02-13,B1,1.00,,x,y", "2026-02-13,B2,,,x,y"]
    with pytest.raises(FileRefusedError, match="c, o: are empty") as error:
        list(mapped_rows(lines, mapping_of(BANK)))
    assert error.value.cause == "malformed"
    assert [row.amount_fen for row in mapped_rows([lines[0], "2026-02-13,B2,0,,x,y"],
            mapping_of(BANK))] == [0]  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "cause", "said"),
    [
        ([], "malformed", "header: is missing"),
        (["m,t"], "file_columns_unknown", "there is no column 'b'"),
        ([HEADER, SALE], "malformed", "footer: no line begins with 'sum'"),
        ([HEADER, SALE + ",x"], "malformed", "has 9 cells, the header 8"),
        ([HEADER, SALE.replace("sale", "gift")], "malformed", "k: 'gift' is not known"),
        ([HEADER, SALE.replace("150.00", "-1.00")], "malformed", "a: a capture is below zero"),
        ([HEADER, SALE.replace("T1", "")], "malformed", "t: is empty"),
        ([HEADER, SALE.replace("150.00", '"12,50"')], "malformed", "a: '12,50' is no decimal"),
        ([HEADER, '"M1"x'], "malformed", "cells: "),
    ],
)
def test_what_refuses_a_file(lines: list[str], cause: str, said: str) -> None:
    with pytest.raises(FileRefusedError) as error:
        rows(lines)
    assert said in str(error.value)
    assert error.value.cause == cause


def test_a_transaction_that_is_not_there() -> None:
    columns = {"transaction": "n", "day_on": "d", "amount": "a"}
    mapping = mapping_of(
        {"channel": "pos_http", "merchant": "M", "kind": "capture", "columns": columns}
    )
    with pytest.raises(FileRefusedError, match="n: is empty"):
        list(mapped_rows(["n,d,a", ",2026-02-13,1"], mapping))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"colour": "red"}, "colour: is no field of a mapping"),
        ({"channel": "cash"}, "channel: 'cash' is not known"),
        ({"channel": 7}, "channel: is empty or no text"),
        ({"encoding": "latin-1"}, "encoding: 'latin-1' is not known"),
        ({"unit": "jiao"}, "unit: 'jiao' is not known (one of yuan, fen)"),
        ({"sign": "odd"}, "sign: 'odd' is not known"),
        ({"kind": "gift"}, "kind: 'gift' is not known"),
        ({"kinds": {"sale": "gift"}}, "kinds.sale: 'gift' is not known"),
        ({"kinds": ["sale"]}, "kinds: is no object of names"),
        ({"kinds": {}}, "columns.kind: is missing"),
        ({"delimiter": ";;"}, "delimiter: ';;' is none"),
        ({"time_format": "%H:%M"}, "time_format: '%H:%M' gives no day"),
        ({"date_format": "%Y%m%d%d"}, "date_format: '%Y%m%d%d' gives no day"),
        ({"columns": {"amount": ""}}, "columns.amount: is empty or no text"),
        ({"columns": {"colour": "c"}}, "columns.colour: is not known"),
        ({"columns": {"transaction": "n", "at": "w"}}, "columns.amount: is missing"),
        ({"columns": {"transaction": "n", "amount": "a"}}, "columns.at: is missing"),
        ({"columns": {"at": "w", "amount": "a"}}, "columns.transaction: is missing"),
        (
            {"columns": {"at": "w", "amount": "a", "transaction": "n", "kind": "k"}},
            "columns.merchant: is missing",
        ),
        ({"skip": {"k": "sign-on"}}, "skip.k: is no list"),
        ({"skip": {"k": [1]}}, "skip.k: is empty or no text"),
        ({"payers": {}}, "payers: is no list"),
        ({"payers": [{"contains": "x"}]}, "payers[0]: is no payer"),
        (
            {"payers": [{"contains": "x", "channel": "cash", "merchant": "1"}]},
            "payers[0].channel: is not known",
        ),
        (
            {"payers": [{"contains": "x", "channel": "wechat", "merchant": "a b"}]},
            "payers[0].merchant: is no name",
        ),
    ],
)
def test_what_is_wrong_in_a_mapping_is_named(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput) as error:
        mapping_of(POS | changed)
    assert str(error.value).startswith(said)


@pytest.mark.parametrize("document", [None, [], {1: "x"}, {"channel": "pos_http"}, {"columns": {}}])
def test_what_is_no_mapping(document: Any) -> None:
    with pytest.raises(BadInput):
        mapping_of(document)


def test_versions_of_a_file() -> None:
    first = rows([HEADER, SALE, SALE, "sum"])
    again = rows([HEADER, "", SALE, SALE, "sum"])
    assert list(changes(first, again)) == []
    dearer = rows([HEADER, SALE.replace("0.57", "0.60"), SALE.replace("000042", "000043"), "sum"])
    assert [(each.what, each.before and each.before.fee_fen, each.after and each.after.fee_fen)
            for each in changes(first, dearer)] == [
        ("changed", 57, 60),
        ("added", None, 57),
        ("removed", 57, None),
    ]  # fmt: skip
