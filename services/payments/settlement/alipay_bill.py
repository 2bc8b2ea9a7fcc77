"""Alipay's business detail (业务明细): the CSV inside the zip, its preface and its footer.

Lines in, rows out, no input or output. Lines that begin with # are about the file: the account, the
period, where the list begins and ends, and how many payments and refunds it has with their sums.
Cells are padded with tabs. The rows may be taken only when the last one has come: the footer is
checked there, and a file without one was cut off. (payments.md 2)

服务费 is below zero for a payment in some accounts and above in others (UNCONFIRMED): a fee of a
payment costs, a fee of a refund comes back, whatever sign it has.

Example: a row of 交易 with 订单金额 100.00 and 服务费 -0.60 has amount_fen 10000, fee_fen 60.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from services.payments.settlement.rows import (
    CAPTURE,
    REFUND,
    Cells,
    FileRefusedError,
    SettlementRow,
    amount_of,
    cells_of,
    check_total,
    day_of_text,
    header_of,
    instant_of,
    malformed,
    require,
)

TIME = "%Y-%m-%d %H:%M:%S"
KINDS = {"交易": CAPTURE, "退款": REFUND}
NEEDED = (
    "支付宝交易号",
    "商户订单号",
    "业务类型",
    "完成时间",
    "订单金额（元）",
    "商家实收（元）",
    "退款批次号/请求号",
    "服务费（元）",
)
DISCOUNT = "商家优惠（元）"
SETTLED = "商家实收（元）"

_ACCOUNT = re.compile(r"账号[：:]\[(\d{16})(?:0156)?\]")
_PERIOD = re.compile(
    r"起始日期[：:]\[(\d{4})年(\d{2})月(\d{2})日 00:00:00\]\s*"
    r"终止日期[：:]\[(\d{4})年(\d{2})月(\d{2})日 00:00:00\]"
)
_AMOUNTS = r"[：:](\d+)笔[，,]商家实收{0}共(-?[\d.]+)元[，,]商家优惠{0}共(-?[\d.]+)元"
_FOOTERS = (
    (CAPTURE, re.compile("交易合计" + _AMOUNTS.format(""))),
    (REFUND, re.compile("退款合计" + _AMOUNTS.format("退款"))),
)


@dataclass(slots=True)
class _Preface:
    """What the lines before the list say."""

    merchant: str = ""
    day_on: str = ""

    def read(self, text: str) -> None:
        account, period = _ACCOUNT.search(text), _PERIOD.search(text)
        if account:
            self.merchant = account[1]
        if period:
            begin, end = (
                date(*(int(period[group]) for group in groups)) for groups in ((1, 2, 3), (4, 5, 6))
            )
            if end == begin + timedelta(days=1):
                self.day_on = begin.isoformat()


@dataclass(slots=True)
class _Sums:
    """What the rows of one kind add up to, with the signs of the file."""

    count: int = 0
    settled_fen: int = 0
    discount_fen: int = 0


@dataclass(slots=True)
class _Footer:
    """The sums that the footer has told, checked as they come."""

    sums: dict[str, _Sums] = field(default_factory=lambda: {CAPTURE: _Sums(), REFUND: _Sums()})
    is_open: bool = True
    told: set[str] = field(default_factory=set)

    def read(self, text: str, line: int) -> None:
        if "列表结束" in text:
            self.is_open = False
        for kind, pattern in _FOOTERS:
            found = pattern.search(text)
            if found:
                sums = self.sums[kind]
                settled_fen, discount_fen = (
                    amount_of(found[group], 100, line, "footer") for group in (2, 3)
                )
                check_total(line, "footer", int(found[1]), sums.count, f"{kind}s")
                check_total(line, "footer", settled_fen, sums.settled_fen, "yuan")
                check_total(line, "footer", discount_fen, sums.discount_fen, "yuan")
                self.told.add(kind)


def bill_rows(
    lines: Iterable[str], merchant: str = "", day_on: str = ""
) -> Iterator[SettlementRow]:
    """The rows of a business detail; `merchant` and `day_on` win over what the preface says."""
    numbered = enumerate(lines, 1)
    preface = _Preface(merchant, day_on)
    header, line = _header(numbered, preface)
    require(header, NEEDED, line)
    merchant, day_on = merchant or preface.merchant, day_on or preface.day_on
    if not merchant:
        raise malformed(1, "账号", "is not in the preface", "give --merchant")
    footer = _Footer()
    for line, text in numbered:
        if text.startswith("#"):
            footer.read(text, line)
        elif text.strip():
            if not footer.is_open:
                raise malformed(line, "cells", "comes after the list", "give one bill a file")
            yield _row(_cells(header, text, line), footer.sums, merchant, day_on)
    if footer.is_open or footer.told != {CAPTURE, REFUND}:
        fix = "the file was cut off: fetch it again"
        raise FileRefusedError("file_summary_mismatch", 0, "footer", "is missing", fix)


def _header(numbered: Iterator[tuple[int, str]], preface: _Preface) -> tuple[tuple[str, ...], int]:
    for line, text in numbered:
        if text.startswith("#"):
            try:
                preface.read(text)
            except ValueError:
                raise malformed(line, "起始日期", "is no day", "fetch the file again") from None
        elif text.strip():
            names = text.replace("(", "（").replace(")", "）")
            return header_of(_split(names, line), line), line
    fix = "give the business detail (业务明细) as it was fetched"
    raise FileRefusedError("file_columns_unknown", 0, "header", "is missing", fix)


def _split(text: str, line: int) -> list[str]:
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise malformed(line, "cells", str(error), "fetch the file again") from None


def _cells(header: tuple[str, ...], text: str, line: int) -> Cells:
    return cells_of(header, _split(text.rstrip("\r\n"), line), line)


def _row(cells: Cells, sums: dict[str, _Sums], merchant: str, day_on: str) -> SettlementRow:
    kind = cells.one_of("业务类型", KINDS)
    settled_fen = cells.yuan(SETTLED)
    of_kind = sums[kind]
    of_kind.count += 1
    of_kind.settled_fen += settled_fen
    of_kind.discount_fen += cells.yuan(DISCOUNT) if DISCOUNT in cells.by_name else 0
    amount_fen = cells.yuan("订单金额（元）")
    if kind == CAPTURE and (amount_fen < 0 or settled_fen < 0):
        raise cells.wrong("订单金额（元）", "a payment is below zero", "the file is damaged")
    time = cells.by_name["完成时间"]
    fee_fen = abs(cells.yuan("服务费（元）"))
    is_refund = kind == REFUND
    return SettlementRow(
        channel="alipay",
        merchant=merchant,
        day_on=day_on or day_of_text(time, TIME, cells.line, "完成时间"),
        kind=kind,
        transaction=cells.needed("支付宝交易号"),
        order_no=cells.name("商户订单号"),
        refund_no=cells.needed("退款批次号/请求号") if is_refund else "",
        amount_fen=abs(amount_fen),
        settled_fen=abs(settled_fen),
        fee_fen=-fee_fen if is_refund else fee_fen,
        at=instant_of(time, TIME, cells.line, "完成时间"),
        line=cells.line,
    )
