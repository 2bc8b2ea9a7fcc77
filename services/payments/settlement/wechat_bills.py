"""WeChat Pay's bills: the trade bill (交易账单) and the fund-flow bill (资金账单).

Lines in, rows out, no input or output; what is wrong raises FileRefusedError. The rows may be taken
only when the last one has come: the summary stands at the end and is checked there.

Each cell of the data has a leading backtick, so that a line is split at comma and backtick and a
comma in a product's name does no harm. Columns are found by name: merchants of other years and
kinds get other sets. (payments.md 1.4; format-trade and fund-bill of the channel's documents)

Example: list(bill_rows(["交易时间,...", "`2026-01-01 08:00:00,`...", "总交易单数,...", "`1,..."]))
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from services.payments.settlement.rows import (
    CAPTURE,
    FEE,
    OTHER,
    PAYOUT,
    REFUND,
    Cells,
    FileRefusedError,
    SettlementRow,
    cells_of,
    check_total,
    day_of_text,
    header_of,
    instant_of,
    malformed,
    require,
)

BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
CELL = "`"
TIME = "%Y-%m-%d %H:%M:%S"
COUNTS = ("单数", "笔数")
"""How the names of numbers of rows end."""
TRADE_FIRST = "交易时间"
FUNDS_FIRST = "记账时间"

TRADE_NEEDED = ("交易时间", "商户号", "微信订单号", "商户订单号", "交易状态", "货币种类", "手续费")
AMOUNT = ("订单金额", "总金额")
SETTLED = ("应结订单金额", "总金额")
REFUNDED = ("申请退款金额", "退款金额")
"""The first that the header has: the second of each is the older set of columns."""

TRADE_KINDS = {"SUCCESS": CAPTURE, "REFUND": REFUND, "REVOKED": REFUND}
"""By 交易状态; a revoked payment (撤销) has its own line like a refund."""

TRADE_TOTALS = {
    "应结订单总金额": "应结订单金额",
    "总交易额": "总金额",
    "退款总金额": "退款金额",
    "总退款金额": "退款金额",
    "充值券退款总金额": "充值券退款金额",
    "手续费总金额": "手续费",
    "订单总金额": "订单金额",
    "申请退款总金额": "申请退款金额",
}
"""A column of the summary, and the column of the rows that it adds up."""
TRADE_COUNT = "总交易单数"

FUNDS_NEEDED = (
    "记账时间",
    "微信支付业务单号",
    "资金流水单号",
    "业务类型",
    "收支类型",
    "收支金额(元)",
)
FUNDS_KINDS = {
    ("交易", "收入"): CAPTURE,
    ("退款", "支出"): REFUND,
    ("扣除交易手续费", "支出"): FEE,
    ("扣除交易手续费", "收入"): FEE,
    ("提现", "支出"): PAYOUT,
}
"""By 业务类型 and 收支类型; all else becomes `other` with its sign. 提现 is UNCONFIRMED."""
INCOME, EXPENSE = "收入", "支出"
DIRECTIONS = {INCOME: INCOME, EXPENSE: EXPENSE}
FUNDS_COUNT = "资金流水总笔数"
FUNDS_TOTALS = {"收入金额": "收入金额", "支出金额": "支出金额"}


@dataclass(slots=True)
class Totals:
    """What the rows add up to, by the names of the summary."""

    counts: dict[str, int] = field(default_factory=dict)
    fen: dict[str, int] = field(default_factory=dict)

    def count(self, name: str) -> None:
        """One more."""
        self.counts[name] = self.counts.get(name, 0) + 1

    def add(self, name: str, amount_fen: int) -> None:
        """So much more."""
        self.fen[name] = self.fen.get(name, 0) + amount_fen


def bill_rows(
    lines: Iterable[str], merchant: str = "", day_on: str = ""
) -> Iterator[SettlementRow]:
    """The rows of a trade bill or of a fund-flow bill, told apart by their first column.

    `merchant` is for fund-flow bills, which do not name it; `day_on` is the bill's day where it is
    known, else each row has the day of its own time.
    """
    numbered = enumerate(lines, 1)
    line, first = next(numbered, (0, ""))
    header = header_of(first.removeprefix(BOM).strip().replace(CELL, "").split(","), line or 1)
    if header[0] == TRADE_FIRST:
        yield from _trade_rows(header, numbered, day_on)
    elif header[0] == FUNDS_FIRST:
        yield from _funds_rows(header, numbered, merchant, day_on)
    else:
        problem = f"begins with {header[0][:20]!r}, not with {TRADE_FIRST} or {FUNDS_FIRST}"
        fix = "give a trade bill or a fund-flow bill as it was fetched"
        raise FileRefusedError("file_columns_unknown", 1, "header", problem, fix)


def split_cells(text: str, line: int) -> list[str]:
    """The cells of a line of data: split at comma and backtick."""
    if not text.startswith(CELL):
        raise malformed(line, "cells", "begins with no backtick", "give the file as it was fetched")
    return text[1:].split("," + CELL)


def _trade_rows(
    header: Sequence[str], numbered: Iterator[tuple[int, str]], day_on: str
) -> Iterator[SettlementRow]:
    require(header, TRADE_NEEDED, 1)
    columns = {
        "amount": _first_of(AMOUNT, header),
        "settled": _first_of(SETTLED, header),
        "refund": _first_of(REFUNDED, header),
        "settled_refund": "退款金额" if "退款金额" in header else "",
    }
    totals = Totals()
    names = [name for name in dict.fromkeys(TRADE_TOTALS.values()) if name in header]
    for line, text in _bill_lines(numbered, TRADE_COUNT, totals, TRADE_TOTALS):
        cells = cells_of(header, split_cells(text, line), line)
        totals.count(TRADE_COUNT)
        for name in names:
            totals.add(name, cells.yuan(name))
        yield _trade_row(cells, columns, day_on)


def _first_of(names: Sequence[str], header: Sequence[str]) -> str:
    return next((name for name in names if name in header), "")


def _trade_row(cells: Cells, columns: Mapping[str, str], day_on: str) -> SettlementRow:
    if cells.name("货币种类") != "CNY":
        problem = f"is {cells.name('货币种类')!r}"
        raise FileRefusedError("currency_mismatch", cells.line, "货币种类", problem, "CNY only")
    kind = cells.one_of("交易状态", TRADE_KINDS)
    is_refund = kind == REFUND
    amount, settled = (
        (columns["refund"], columns["settled_refund"])
        if is_refund
        else (columns["amount"], columns["settled"])
    )
    if not amount or not settled:
        problem = f"is {cells.by_name['交易状态']}, and no column has its amount"
        raise cells.wrong("交易状态", problem, "fetch the bill of all transactions (ALL)")
    time = cells.by_name["交易时间"]
    return SettlementRow(
        channel="wechat",
        merchant=cells.needed("商户号"),
        day_on=day_on or day_of_text(time, TIME, cells.line, "交易时间"),
        kind=kind,
        transaction=cells.needed("微信订单号"),
        order_no=cells.name("商户订单号"),
        refund_id=cells.needed("微信退款单号") if is_refund else "",
        refund_no=cells.name("商户退款单号") if is_refund else "",
        amount_fen=_not_below_zero(cells, amount),
        settled_fen=_not_below_zero(cells, settled),
        fee_fen=cells.yuan("手续费"),
        at=instant_of(time, TIME, cells.line, "交易时间"),
        state=cells.name("退款状态") if is_refund else cells.name("交易状态"),
        line=cells.line,
    )


def _not_below_zero(cells: Cells, column: str) -> int:
    found = cells.yuan(column)
    if found < 0:
        raise cells.wrong(column, f"{cells.by_name[column]} is below zero", "the file is damaged")
    return found


def _funds_rows(
    header: Sequence[str], numbered: Iterator[tuple[int, str]], merchant: str, day_on: str
) -> Iterator[SettlementRow]:
    require(header, FUNDS_NEEDED, 1)
    totals = Totals()
    for line, text in _bill_lines(numbered, FUNDS_COUNT, totals, FUNDS_TOTALS):
        cells = cells_of(header, split_cells(text, line), line)
        direction = cells.one_of("收支类型", DIRECTIONS)
        amount_fen = _not_below_zero(cells, "收支金额(元)")
        totals.count(FUNDS_COUNT)
        totals.count(f"{direction}笔数")
        totals.add(f"{direction}金额", amount_fen)
        yield _funds_row(cells, direction, amount_fen, merchant, day_on)


def _funds_row(
    cells: Cells, direction: str, amount_fen: int, merchant: str, day_on: str
) -> SettlementRow:
    """The voucher (业务凭证号) is our number of the order or of the refund: UNCONFIRMED."""
    kind = FUNDS_KINDS.get((cells.by_name["业务类型"], direction), OTHER)
    if (kind == OTHER and direction == EXPENSE) or (kind == FEE and direction == INCOME):
        amount_fen = -amount_fen
    time = cells.by_name["记账时间"]
    business = cells.needed("微信支付业务单号")
    flow, voucher = cells.needed("资金流水单号"), cells.name("业务凭证号")
    is_refund = kind == REFUND
    return SettlementRow(
        channel="wechat",
        merchant=merchant,
        day_on=day_on or day_of_text(time, TIME, cells.line, "记账时间"),
        kind=kind,
        transaction=flow if is_refund else business,
        order_no="" if is_refund else voucher,
        refund_id=business if is_refund else "",
        refund_no=voucher if is_refund else "",
        amount_fen=amount_fen,
        settled_fen=amount_fen,
        at=instant_of(time, TIME, cells.line, "记账时间"),
        state=cells.by_name["业务类型"],
        line=cells.line,
    )


def _bill_lines(
    numbered: Iterator[tuple[int, str]],
    count_column: str,
    totals: Totals,
    sums: Mapping[str, str],
) -> Iterator[tuple[int, str]]:
    """The lines of data; the summary behind them is checked against `totals` when it comes."""
    for line, raw in numbered:
        text = raw.rstrip("\r\n")
        plain = text.replace(CELL, "")
        if plain.startswith(count_column):
            names = header_of(plain.split(","), line)
            _check_summary(names, numbered, totals, sums)
            return
        yield line, text
    fix = "the file was cut off: fetch it again"
    raise FileRefusedError("file_summary_mismatch", 0, "summary", "is missing", fix)


def _check_summary(
    names: Sequence[str],
    numbered: Iterator[tuple[int, str]],
    totals: Totals,
    sums: Mapping[str, str],
) -> None:
    """A total of a column that we do not know is left alone."""
    line, raw = next(numbered, (0, ""))
    if not line:
        fix = "the file was cut off: fetch it again"
        raise FileRefusedError("file_summary_mismatch", 0, "summary", "has no values", fix)
    cells = cells_of(names, split_cells(raw.rstrip("\r\n"), line), line)
    for name in names:
        if name in sums:
            found_fen = totals.fen.get(sums[name], 0)
            check_total(line, name, cells.yuan(name), found_fen, "yuan")
        elif name.endswith(COUNTS):
            # Printed with a decimal (45.0) in some bills: payments.md 1.4.
            said = cells.scaled(name, 1)
            check_total(line, name, said, totals.counts.get(name, 0), "rows")
    for after, text in numbered:
        if text.strip():
            raise malformed(after, "cells", "comes after the summary", "give one bill a file")
