"""The one row that every settlement file becomes, and how a file is refused.

A channel's bill, an acquirer's day file and a bank statement differ in columns, signs and spelling;
what matching needs of them is the same. Amounts are fen, exact: a file in which an amount is no
whole fen is refused, never rounded.

Example: a WeChat payment of 123.45 yuan with a fee of 0.74 is
    SettlementRow(channel="wechat", kind="capture", amount_fen=12345, settled_fen=12345, fee_fen=74,
                  transaction="4200...", order_no="1000000042126010001", day_on="2026-01-01", ...)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

from libs.events.errors import BadInput
from libs.events.quantities import parse_scaled

CAPTURE = "capture"
REFUND = "refund"
FEE = "fee"
PAYOUT = "payout"
OTHER = "other"
KINDS = (CAPTURE, REFUND, FEE, PAYOUT, OTHER)
CHANNELS = ("wechat", "alipay", "pos_http", "pos_8583", "bank")
"""As in the notices of callbacks."""

FEN_MOST = 10**13
"""A hundred thousand million yuan: no bill of a utility holds such an amount."""

_ZONE = timezone(timedelta(hours=8))  # Asia/Shanghai, no daylight saving time
_TEXT_MOST = 64
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?", re.ASCII)
"""1,234.50, but not 12,50: a comma before two digits may be a decimal one."""
_PRINTABLE = re.compile(r"[!-~]*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementRow:
    """One line of a settlement file: evidence of money that a channel or a bank moved.

    `kind` gives the direction: a capture is money to us, a refund money back to the payer, a fee
    what the channel keeps, a payout what it paid to our bank. `amount_fen` is the order's amount
    (of a refund, what was asked back) and 0 or more; of a fee, a payout or other it may be below
    0 (given back, collected from us). `settled_fen` is what the channel pays out for it before its
    fee: less than the amount where a coupon is ours to bear. `fee_fen` is the fee of the line
    itself, below 0 where a refund gives it back.

    `transaction` is the channel's number of the payment, of a refund too; `refund_id` is the
    channel's number of the refund, `refund_no` ours. `day_on` is the day of the channel's bill,
    `at` the instant. `account_no` is given in rows of our books only. `line` is where it stood.
    """

    channel: str
    merchant: str
    day_on: str
    kind: str
    transaction: str
    amount_fen: int
    settled_fen: int
    at: str
    order_no: str = ""
    refund_no: str = ""
    refund_id: str = ""
    rrn: str = ""
    account_no: str = ""
    fee_fen: int = 0
    state: str = ""
    line: int = 0

    @property
    def net_fen(self) -> int:
        """What the row moves to us (above 0) or away from us, before any fee."""
        return -self.amount_fen if self.kind in (REFUND, FEE) else self.amount_fen

    @property
    def net_settled_fen(self) -> int:
        """As `net_fen`, of what is settled."""
        return -self.settled_fen if self.kind in (REFUND, FEE) else self.settled_fen


class FileRefusedError(BadInput):
    """The file is not what its channel writes: none of it may be taken.

    `cause` is of the closed list in channels/causes.py (`malformed`, `file_columns_unknown`,
    `file_summary_mismatch`, `file_hash_mismatch`, `currency_mismatch`); `line` is 0 where it is the
    whole file.
    """

    def __init__(self, cause: str, line: int, field: str, problem: str, fix: str = "") -> None:
        self.cause = cause
        self.line = line
        super().__init__(field, problem, fix)


def malformed(line: int, field: str, problem: str, fix: str = "") -> FileRefusedError:
    """A cell or a line that is not what it must be; to be raised."""
    return FileRefusedError("malformed", line, field, problem, fix)


@dataclass(frozen=True, slots=True)
class Cells:
    """One line of a file, its cells by the names of the header."""

    line: int
    by_name: Mapping[str, str]

    def wrong(self, column: str, problem: str, fix: str = "") -> FileRefusedError:
        """The error that names this line and a column; to be raised."""
        return malformed(self.line, column, problem, fix)

    def name(self, column: str) -> str:
        """A number or code: printable, at most 64 characters; "" when there is none."""
        found = self.by_name.get(column, "")
        if len(found) > _TEXT_MOST or not _PRINTABLE.fullmatch(found):
            fix = "letters, digits and signs, at most 64"
            raise self.wrong(column, f"{found[:20]!r} is no number or code", fix)
        return found

    def needed(self, column: str) -> str:
        """A number or code that must be there."""
        found = self.name(column)
        if not found:
            raise self.wrong(column, "is empty", "the file is not whole: fetch it again")
        return found

    def one_of(self, column: str, known: Mapping[str, str]) -> str:
        """The meaning of a word."""
        found = self.by_name.get(column, "")
        if found not in known:
            fix = f"one of {', '.join(known)}"
            raise self.wrong(column, f"{found[:20]!r} is not known", fix)
        return known[found]

    def yuan(self, column: str) -> int:
        """An amount in yuan as fen, with its sign; trailing zeros beyond fen may be there."""
        return self.scaled(column, 100)

    def scaled(self, column: str, scale: int) -> int:
        """A number of 1/scale of the file's unit that is a whole fen."""
        return amount_of(self.by_name.get(column, ""), scale, self.line, column)


def amount_of(text: str, scale: int, line: int, field: str) -> int:
    """An amount in fen, of a decimal text in a unit of `scale` fen."""
    try:
        found = parse_scaled(
            text.replace(",", "") if _GROUPED.fullmatch(text) else text, scale, field
        )
    except BadInput as error:
        raise malformed(line, field, error.problem, error.fix) from None
    if abs(found) > FEN_MOST:
        raise malformed(line, field, f"{text} is impossible", "at most 100000000000.00 yuan")
    return found


def instant_of(text: str, pattern: str, line: int, field: str) -> str:
    """A time of the utility's zone, as `pattern` of strptime says, as an instant in UTC."""
    return _moment(text, pattern, line, field).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day_of_text(text: str, pattern: str, line: int, field: str) -> str:
    """A day, or the day of a time, as 2026-01-31."""
    return _moment(text, pattern, line, field).date().isoformat()


@lru_cache(maxsize=4)
def _parsed(text: str, pattern: str) -> datetime:
    """A row asks for its day and for its instant."""
    return datetime.strptime(text, pattern).replace(tzinfo=_ZONE)


def _moment(text: str, pattern: str, line: int, field: str) -> datetime:
    try:
        found = _parsed(text, pattern)
    except ValueError:
        shown = f"{text[:30]!r} is no time like {pattern}"
        raise malformed(
            line, field, shown, "fetch the file again, or correct the mapping"
        ) from None
    if not 2000 <= found.year < 2200:
        raise malformed(line, field, f"{text[:30]!r} is no time of our years", "correct it")
    return found


def header_of(cells: Sequence[str], line: int) -> tuple[str, ...]:
    """The names of a header, each once."""
    names = tuple(cell.strip() for cell in cells)
    for name in names:
        if names.count(name) > 1:
            problem = f"{name!r} is there twice"
            raise FileRefusedError("file_columns_unknown", line, "header", problem, "name it once")
    return names


def cells_of(header: Sequence[str], cells: Sequence[str], line: int) -> Cells:
    """The cells of a line by name; as many as the header has."""
    if len(cells) != len(header):
        problem = f"has {len(cells)} cells, the header {len(header)}"
        raise malformed(line, "cells", problem, "fetch the file again; it is damaged")
    return Cells(line, dict(zip(header, (cell.strip() for cell in cells), strict=True)))


def require(header: Sequence[str], needed: Sequence[str], line: int) -> None:
    """FileRefusedError when a column is not in the header."""
    for name in needed:
        if name not in header:
            problem = f"there is no column {name!r}"
            fix = "the channel's format is another one: see docs/calculations.md"
            raise FileRefusedError("file_columns_unknown", line, "header", problem, fix)


def check_total(line: int, name: str, said: int, found: int, unit: str) -> None:
    """FileRefusedError when what a summary says is not what the rows add up to."""
    if said != found:
        problem = f"says {_shown(said, unit)}, the rows give {_shown(found, unit)}"
        fix = "fetch the file again; take none of it"
        raise FileRefusedError("file_summary_mismatch", line, name, problem, fix)


def _shown(number: int, unit: str) -> str:
    if unit != "yuan":
        return f"{number} {unit}"
    sign = "-" if number < 0 else ""
    return f"{sign}{abs(number) // 100}.{abs(number) % 100:02d} yuan"
