"""`gridledger payments match`: our books, the channels' files and the bank's statement.

OURS, CHANNEL and BANK are CSV or JSON lines with the rows that `payments parse --json` prints: its
first object, about the file, is passed over, and outputs can be put behind each other. Columns:

    channel, merchant, day_on, kind      needed; kind: capture, refund, fee, payout, other
    amount_fen                           needed; of a capture or refund 0 or more
    transaction, order_no                one of them, for a capture or refund
    refund_no, refund_id, rrn            what else is known of it
    settled_fen (amount_fen), fee_fen (0), at, state
    account_no                           of ours: the account it was booked for
    line                                 left alone

A file may have no rows of the sort (`-` is standard input, one of the three). All rows are held,
about 700 bytes each.

--rules FILE: a JSON object with what differs from the defaults of MatchRules
(services/payments/settlement/matching.py): fee_rates {"wechat": "0.006"}, fee_rounding,
fee_tolerance_fen, carry_days, payout_workdays, late_workdays, and holidays and workdays, lists of
days or of stretches "2026-02-15/2026-02-23".

`--json` prints one object a line, first the lines (with --all those that agree, too), then the
payouts, then the clearing of every day, then the sums:

    {"record": "line", "outcome", "cause", "action", "rule", "channel", "merchant", "day_on",
     "kind", "transaction", "order_no", "refund_no", "account_no", "ours_fen", "channel_fen",
     "ours_on", "channel_on", "fee_fen", "expected_fee_fen", "age_days"}    refunds are below 0
    {"record": "payout", "outcome", "action", "channel", "merchant", "due_on", "days": [day],
     "owed_fen", "paid_on", "paid_fen", "difference_fen"}
    {"record": "clearing", "channel", "merchant", "day_on", "ours_fen", "channel_fen", "fee_fen",
     "paid_fen", "clearing_fen", "causes": {cause: fen}}
    {"record": "sums", "as_of", "lines", "matched", "open", "ours_fen", "channel_fen", "fee_fen",
     "paid_fen", "clearing_fen", "unassigned_bank_rows"}

Status 1 when a line or a payout is open: somebody must do what stands under `action`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from libs.events.documents import read_json
from libs.events.errors import BadInput
from libs.events.quantities import ROUNDING, format_yuan, parse_scaled
from services.cli.row_file import STANDARD_INPUT, Row, read_rows
from services.cli.row_values import fixed_line, today_on
from services.cli.watched import watched
from services.customers.days import read_day
from services.payments.settlement import matching, payouts
from services.payments.settlement.clearing import ClearingDay, Settlement, settle
from services.payments.settlement.matching import MATCHED, Match, MatchRules
from services.payments.settlement.payouts import Payout
from services.payments.settlement.rows import (
    CAPTURE,
    CHANNELS,
    FEN_MOST,
    KINDS,
    OTHER,
    PAYOUT,
    REFUND,
    SettlementRow,
)
from services.payments.settlement.work_days import WorkCalendar

FACTS = "sha256"
"""In the object about a file, and in no row."""
FIRST_ON = "2000-01-01"
WHOLE_RULES = ("fee_tolerance_fen", "carry_days", "payout_workdays", "late_workdays")
WHOLE_MOST = 1000
HOLIDAY_DAYS_MOST = 30
DAY_LISTS = ("holidays", "workdays")
LINE_WIDTHS = (10, 8, 17, 17, -14)
LINE_HEADER = ("day", "channel", "outcome", "cause", "ours-channel")
PAYOUT_WIDTHS = (10, 8, 18, 15, -12, -12)
PAYOUT_HEADER = ("due", "channel", "merchant", "outcome", "owed", "paid")
DAY_WIDTHS = (10, 8, 16, -11, -7, -11, -11)
DAY_HEADER = ("day", "channel", "merchant", "ours", "fee", "paid", "clearing")


def match(
    ours: Annotated[str, typer.Argument(help="Rows of our books.")],
    channel: Annotated[str, typer.Argument(help="Rows of the channels' files.")],
    bank: Annotated[str, typer.Argument(help="Rows of the bank's statement.")],
    rules: Annotated[
        Path | None, typer.Option(help="Fees, days, holidays.", metavar="FILE")
    ] = None,
    as_of: Annotated[str, typer.Option(help="The day that counts as today.")] = "",
    all_lines: Annotated[bool, typer.Option("--all", help="Lines that agree, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one object a line.")] = False,
) -> int:
    """Match three sides, name the cause of each difference, explain the clearing.

    Lines by number, payouts by working day (T+1, over holidays), and what is
    left on the clearing account of each channel and day, cause by cause, to
    the fen. Status 1 when somebody must do something.
    """
    judged_by = read_rules(rules) if rules else MatchRules()
    today = read_day(as_of, "--as-of") if as_of else today_on()
    if [ours, channel, bank].count(STANDARD_INPUT) > 1:
        raise BadInput("-", "is given twice", "standard input can be one of the three")
    left, right, paid = (
        tuple(watched(read_side(path, today), "rows")) for path in (ours, channel, bank)
    )
    found = settle(left, right, paid, judged_by, today)
    unassigned = sum(row.kind != PAYOUT for row in paid)
    if as_json:
        for each in documents(found, today, all_lines, unassigned):
            print(json.dumps(each, ensure_ascii=False))
    else:
        show(found, today, all_lines, unassigned)
    return int(found.is_open)


def read_side(path: str, today: str) -> Iterator[SettlementRow]:
    """The rows of one side; BadInput names file, line and column."""
    for row in read_rows(path, ("channel",)):
        if FACTS not in row.cells:
            yield row_of(row, today)


def row_of(row: Row, today: str) -> SettlementRow:
    """One row, every cell of it checked."""
    kind = row.one_of("kind", KINDS)
    transaction, order_no = row.optional("transaction"), row.optional("order_no")
    if kind in (CAPTURE, REFUND) and not transaction and not order_no:
        raise row.wrong("transaction", "is empty, and so is order_no", "give one of them")
    amount_fen = _fen(row, "amount_fen")
    settled_fen = _fen(row, "settled_fen") if row.optional("settled_fen") else amount_fen
    if kind in (CAPTURE, REFUND):
        for column, value in (("amount_fen", amount_fen), ("settled_fen", settled_fen)):
            if value < 0:
                raise row.wrong(column, f"{value} is below zero", f"the kind {kind} has the sign")
    day_on = row.day("day_on")
    if day_on > today:
        raise row.wrong("day_on", f"{day_on} is in the future", f"at most {today}; see --as-of")
    if day_on < FIRST_ON:
        raise row.wrong("day_on", f"{day_on} is before there were such files", "correct it")
    return SettlementRow(
        channel=row.one_of("channel", CHANNELS),
        merchant=row.text("merchant") if kind != OTHER else row.optional("merchant"),
        day_on=day_on,
        kind=kind,
        transaction=transaction,
        order_no=order_no,
        refund_no=row.optional("refund_no"),
        refund_id=row.optional("refund_id"),
        rrn=row.optional("rrn"),
        account_no=row.optional("account_no"),
        amount_fen=amount_fen,
        settled_fen=settled_fen,
        fee_fen=_fen(row, "fee_fen") if row.optional("fee_fen") else 0,
        at=row.instant("at") if row.optional("at") else "",
        state=row.optional("state"),
        line=row.line,
    )


def _fen(row: Row, column: str) -> int:
    found = row.whole(column)
    if abs(found) > FEN_MOST:
        raise row.wrong(column, f"{found} is impossible", f"at most {FEN_MOST}")
    return found


# -- rules ----------------------------------------------------------------------------------------


def read_rules(path: Path) -> MatchRules:
    """The rules in a file; BadInput names the field and the fix."""
    document = read_json(path)
    if not isinstance(document, dict):
        raise BadInput(str(path), "is no JSON object", 'write it like {"carry_days": 2}')
    known = ("fee_rates", "fee_rounding", *WHOLE_RULES, *DAY_LISTS)
    for name in document:
        if name not in known:
            raise BadInput(f"{path} {name}", "is not known", f"one of {', '.join(known)}")
    changed: dict[str, Any] = {
        name: _whole(document[name], f"{path} {name}") for name in WHOLE_RULES if name in document
    }
    if "fee_rates" in document:
        changed["fee_rates_e6"] = _rates(document["fee_rates"], f"{path} fee_rates")
    if "fee_rounding" in document:
        rounding = document["fee_rounding"]
        if not isinstance(rounding, str) or rounding not in ROUNDING:
            fix = f"one of {', '.join(ROUNDING)}"
            raise BadInput(f"{path} fee_rounding", f"{rounding!r} is not known", fix)
        changed["fee_rounding"] = rounding
    holidays, workdays = (_days(document.get(name, []), f"{path} {name}") for name in DAY_LISTS)
    return MatchRules(**changed, calendar=WorkCalendar(holidays=holidays, workdays=workdays))


def _whole(value: Any, place: str) -> int:
    if type(value) is not int or not 0 <= value <= WHOLE_MOST:
        raise BadInput(place, f"{value!r} is no whole number", f"write 0 to {WHOLE_MOST}")
    return value


def _rates(value: Any, place: str) -> dict[str, int]:
    if not isinstance(value, dict):
        raise BadInput(place, "is no JSON object", 'write it like {"wechat": "0.006"}')
    found: dict[str, int] = {}
    for channel, rate in value.items():
        if channel not in CHANNELS:
            raise BadInput(f"{place} {channel}", "is no channel", f"one of {', '.join(CHANNELS)}")
        if not isinstance(rate, str):
            raise BadInput(f"{place} {channel}", f"{rate!r} is no text", 'write it as "0.006"')
        found[channel] = parse_scaled(rate, 10**6, f"{place} {channel}")
        if not 0 <= found[channel] < 10**6:
            raise BadInput(f"{place} {channel}", f"{rate} is no rate", "give 0 to 0.999999")
    return found


def _days(value: Any, place: str) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise BadInput(place, "is no list of days", 'write it like ["2026-01-01"]')
    found: set[str] = set()
    for text in value:
        first_on, _, last_on = text.partition("/")
        ends = (first_on, last_on or first_on)
        first, last = (date.fromisoformat(read_day(on, place)) for on in ends)
        if not 0 <= (last - first).days <= HOLIDAY_DAYS_MOST:
            fix = f"write its first day, /, its last, at most {HOLIDAY_DAYS_MOST} later"
            raise BadInput(place, f"{text!r} is no stretch of days", fix)
        found |= {(first + timedelta(days=at)).isoformat() for at in range((last - first).days + 1)}
    return frozenset(found)


# -- output ---------------------------------------------------------------------------------------


def documents(
    found: Settlement, today: str, all_lines: bool, unassigned: int
) -> Iterator[dict[str, Any]]:
    """What `--json` prints."""
    for each in found.matches:
        if all_lines or each.outcome != MATCHED:
            yield line_document(each, today)
    for (channel, merchant), payout in found.payouts:
        yield payout_document(channel, merchant, payout)
    for day in found.days:
        yield clearing_document(day)
    yield sums_document(found, today, unassigned)


def line_document(found: Match, today: str) -> dict[str, Any]:
    """One line of both sides."""
    row = found.row
    account_no = found.ours.account_no if found.ours else ""
    return {
        "record": "line",
        "outcome": found.outcome,
        "cause": found.cause,
        "action": matching.ACTIONS.get(found.cause, "none"),
        "rule": found.rule,
        **{name: getattr(row, name) for name in ("channel", "merchant", "day_on", "kind")},
        **{name: getattr(row, name) for name in ("transaction", "order_no", "refund_no")},
        "account_no": account_no,
        "ours_fen": found.ours_fen if found.ours else None,
        "channel_fen": found.channel_fen if found.channel else None,
        "ours_on": found.ours.day_on if found.ours else None,
        "channel_on": found.channel.day_on if found.channel else None,
        "fee_fen": found.channel.fee_fen if found.channel else None,
        "expected_fee_fen": found.expected_fee_fen,
        "age_days": (date.fromisoformat(today) - date.fromisoformat(row.day_on)).days,
    }


def payout_document(channel: str, merchant: str, found: Payout) -> dict[str, Any]:
    """Days that were due together, and what came for them."""
    return {
        "record": "payout",
        "outcome": found.outcome,
        "action": payouts.ACTIONS[found.outcome],
        "channel": channel,
        "merchant": merchant,
        "due_on": found.due_on,
        "days": [day.day_on for day in found.days],
        "owed_fen": found.owed_fen,
        "paid_on": found.paid_on or None,
        "paid_fen": found.paid_fen,
        "difference_fen": found.difference_fen,
    }


def clearing_document(day: ClearingDay) -> dict[str, Any]:
    """The clearing account of one day, and why it is what it is."""
    names = ("channel", "merchant", "day_on", "ours_fen", "channel_fen", "fee_fen", "paid_fen")
    return {
        "record": "clearing",
        **{name: getattr(day, name) for name in names},
        "clearing_fen": day.clearing_fen,
        "causes": dict(day.causes),
    }


def sums_document(found: Settlement, today: str, unassigned: int) -> dict[str, Any]:
    """The sums over all days."""
    names = ("ours_fen", "channel_fen", "fee_fen", "paid_fen", "clearing_fen")
    return {
        "record": "sums",
        "as_of": today,
        "lines": len(found.matches),
        "matched": sum(each.outcome == MATCHED for each in found.matches),
        "open": sum(each.is_open for each in found.matches)
        + sum(each.is_open for _, each in found.payouts),
        **{name: sum(getattr(day, name) for day in found.days) for name in names},
        "unassigned_bank_rows": unassigned,
    }


def show(found: Settlement, today: str, all_lines: bool, unassigned: int) -> None:
    """The three tables."""
    shown = [each for each in found.matches if all_lines or each.outcome != MATCHED]
    if shown:
        print(fixed_line(LINE_HEADER, LINE_WIDTHS))
        for each in shown:
            show_line(each)
        print()
    print(fixed_line(PAYOUT_HEADER, PAYOUT_WIDTHS))
    for (channel, merchant), payout in found.payouts:
        if payout.owed_fen or payout.paid_fen:
            show_payout(channel, merchant, payout)
    print()
    print(fixed_line(DAY_HEADER, DAY_WIDTHS))
    for day in found.days:
        show_day(day)
    sums = sums_document(found, today, unassigned)
    print()
    print(f"{sums['lines']} lines, {sums['matched']} agree; {sums['open']} open")
    if unassigned:
        print(f"{unassigned} rows of the bank are no payout of a channel")


def show_line(found: Match) -> None:
    """One line that differs, and what to do."""
    row = found.row
    difference = format_yuan(found.ours_fen - found.channel_fen)
    cells = (row.day_on, row.channel, found.outcome, found.cause or "-", difference)
    print(fixed_line(cells, LINE_WIDTHS))
    print(f"  {row.transaction or '-'}, order {row.order_no or '-'}")
    if found.is_open:
        print(f"  -> {matching.ACTIONS[found.cause]}")


def show_payout(channel: str, merchant: str, found: Payout) -> None:
    """Days that were due together, and what came."""
    cells = (found.due_on, channel, merchant, found.outcome, format_yuan(found.owed_fen))
    print(fixed_line((*cells, format_yuan(found.paid_fen)), PAYOUT_WIDTHS))
    days = [day.day_on for day in found.days]
    if len(days) > 1:
        print(f"  of {len(days)} days, {days[0]} to {days[-1]}")
    if found.paid_on and found.paid_on != found.due_on:
        print(f"  came on {found.paid_on}")
    if found.is_open:
        print(f"  -> {payouts.ACTIONS[found.outcome]}")


def show_day(day: ClearingDay) -> None:
    """The clearing account of one day, its causes below."""
    amounts = (day.ours_fen, day.fee_fen, day.paid_fen, day.clearing_fen)
    cells = (day.day_on, day.channel, day.merchant, *(format_yuan(each) for each in amounts))
    print(fixed_line(cells, DAY_WIDTHS))
    for cause, amount_fen in day.causes.items():
        print(f"  = {format_yuan(amount_fen)} {cause}")
