"""`gridledger payments cases`, `decide`, `days` and `books`: what the settlement stage found.

`cases --json` prints one object a case, oldest first:

    {"case_id", "key", "status": open | accept | write_off | claim | agrees | captured_from_file |
     differs, "owner", "age_days", "cause", "outcome", "action", "day_on", "transaction",
     "order_no", "refund_no", "account_no", "ours_fen", "channel_fen", "left_fen": {day: fen}}

`days --json` prints one object a day of a channel and merchant:

    {"key", "day_on", "is_closed", "clearing_fen", "causes": {cause: fen},
     "payouts": [{"paid_on", "paid_fen", "outcome"}]}

`books` prints our side for `payments match`, one object a line, with the columns of `payments
parse --json`: every booking on a clearing account that was not taken back.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from libs.events.audit import Reader, scan
from libs.events.codec import Codec, envelope_of
from libs.events.errors import BadInput
from libs.events.quantities import format_yuan
from services.cli.records import known_bodies, named, open_cluster, open_records
from services.cli.row_values import fixed_line, today_on
from services.customers.days import read_day
from services.payments.bookings import POSTINGS, BookingNoted, settlement_key
from services.payments.settlement.core import make_core
from services.payments.settlement.events import (
    DayClosed,
    DayStated,
    DiscrepancyFound,
    DiscrepancyGone,
    DiscrepancySettled,
    DiscrepancyTakenUp,
    PayoutBooked,
    catalogue,
)
from services.payments.settlement.payouts import PAID
from services.payments.settlement.requests import DECISIONS, DiscrepancyDecided, files_catalogue
from services.payments.settlement.rows import SettlementRow

TOPIC = "payments.settlement"
CASE_WIDTHS = (16, -4, 12, 10, 18, -14)
CASE_HEADER = ("case", "age", "owner", "day", "cause", "ours-channel")
DAY_WIDTHS = (26, 10, 6, -12, 21)
DAY_HEADER = ("channel and merchant", "day", "state", "clearing", "paid out")

GONE = ("agrees", "captured_from_file", "differs")
"""How a case ends by itself: settlement/events.DiscrepancyGone."""
PAYOUT = "payout_"
"""What most outcomes of payouts begin with."""

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
FromFiles = Annotated[
    Path | None, typer.Option(help="An export of the log (`gridledger audit export DIR`).")
]


def cases(
    from_files: FromFiles = None,
    every: Annotated[bool, typer.Option("--all", help="Settled and resolved ones, too.")] = False,
    as_of: Annotated[str, typer.Option(help="The day that counts as today.")] = "",
    as_json: AsJson = False,
) -> int:
    """List what differs between our books, the channels and the bank.

    Oldest first, with age, owner and what to do. Status 1 when a case is open.
    """
    today = read_day(as_of, "--as-of") if as_of else today_on()
    reader, partitions = open_records(from_files)
    found = [
        each for each in known_cases(reader, partitions, today) if every or each["status"] == "open"
    ]
    if as_json:
        for each in found:
            print(json.dumps(each, ensure_ascii=False))
    else:
        show_cases(found)
    return int(any(each["status"] == "open" for each in found))


def decide(
    case_id: Annotated[str, typer.Argument(help="As `payments cases` shows it.", metavar="CASE")],
    action: Annotated[str, typer.Option(help="take_up, accept, write_off or claim.")],
    by: Annotated[str, typer.Option(help="Who decides it.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    evidence: Annotated[str, typer.Option(help="What it rests on: a slip, a letter.")] = "",
    as_json: AsJson = False,
) -> None:
    """Take a case up, or settle it: accept, write_off, or claim from the channel.

    write_off and claim book what is left on the clearing account. Whether it
    was done is decided by payments: see `gridledger payments cases --all`.
    """
    by = named("--by", by, "people must be able to ask back")
    reason = named("--reason", reason, "people must be able to ask back")
    if action not in DECISIONS:
        raise BadInput("--action", f"{action!r} is not known", f"one of {', '.join(DECISIONS)}")
    from services.settings import load_settings
    from services.wiring import open_producer

    settings = load_settings().settings
    known = known_cases(open_cluster(settings), settings.partitions, today_on())
    key = next((each["key"] for each in known if each["case_id"] == case_id), "")
    if not key:
        raise BadInput("CASE", f"there is no case {case_id!r}", "see `gridledger payments cases`")
    channel, _, merchant = key.partition(":")
    request = DiscrepancyDecided(
        request_id=secrets.token_hex(8),
        channel=channel,
        merchant=merchant,
        case_id=case_id,
        action=action,
        by=by,
        reason=reason,
        evidence=evidence,
    )
    producer = open_producer(settings, "payments.files", files_catalogue)
    with closing(producer):
        producer.append(POSTINGS, settlement_key(channel, merchant), request)
    if as_json:
        print(json.dumps(asdict(request), ensure_ascii=False))
    else:
        print(f"asked as request {request.request_id}; payments decides")


def days(from_files: FromFiles = None, as_json: AsJson = False) -> None:
    """Show the clearing account of each channel and day: zero, or why not."""
    reader, partitions = open_records(from_files)
    if not as_json:
        print(fixed_line(DAY_HEADER, DAY_WIDTHS))
    for each in known_days(reader, partitions):
        if as_json:
            print(json.dumps(each, ensure_ascii=False))
            continue
        state = "closed" if each["is_closed"] else "open"
        paid = ", ".join(map(payout_text, each["payouts"]))
        cells = (each["key"], each["day_on"], state, format_yuan(each["clearing_fen"]), paid)
        print(fixed_line(cells, DAY_WIDTHS))
        for cause, amount_fen in each["causes"].items():
            print(f"  = {format_yuan(amount_fen)} {cause}")


def payout_text(payout: dict[str, Any]) -> str:
    """When a day was paid out, and what was wrong with it."""
    outcome = str(payout["outcome"])
    return str(payout["paid_on"]) + ("" if outcome == PAID else f" {outcome.removeprefix(PAYOUT)}")


def books(
    from_files: FromFiles = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The same: it prints nothing but JSON.")
    ] = False,
) -> None:
    """Write what our books have on the clearing accounts, as OURS of `payments match`."""
    reader, partitions = open_records(from_files)
    for row in booked_rows(reader, partitions):
        print(json.dumps(asdict(row), ensure_ascii=False))


def booked_rows(reader: Reader, partitions: int) -> list[SettlementRow]:
    """The bookings that stand, by day and number."""
    booked: dict[str, SettlementRow] = {}
    undone: set[str] = set()
    codec = Codec(catalogue)
    for partition in range(partitions):
        for body in known_bodies(reader, codec, POSTINGS, partition):
            if isinstance(body, BookingNoted) and body.is_taken_back:
                undone.add(body.booking_id)
            elif isinstance(body, BookingNoted):
                booked[body.booking_id] = body.row
    found = (row for name, row in booked.items() if name not in undone)
    return sorted(found, key=lambda row: (row.day_on, row.channel, row.transaction, row.kind))


def known_cases(reader: Reader, partitions: int, today: str) -> list[dict[str, Any]]:
    """All cases, oldest first: open, settled by a person, or gone because both sides agree."""
    found: dict[str, dict[str, Any]] = {}
    for key, body in settlement_events(reader, partitions):
        match body:
            case DiscrepancyFound():
                before = found.get(body.case_id, {})
                is_new = before.get("status", "open") in GONE
                owner = body.owner if is_new else before.get("owner", body.owner)
                found[body.case_id] = case_document(key, body, owner)
            case DiscrepancyTakenUp():
                found[body.case_id]["owner"] = body.owner
            case DiscrepancySettled():
                found[body.case_id]["status"] = body.action
            case DiscrepancyGone():
                found[body.case_id]["status"] = body.how
    for each in found.values():
        opened_on = date.fromisoformat(each.pop("opened_on"))
        each["age_days"] = (date.fromisoformat(today) - opened_on).days
    return sorted(found.values(), key=lambda each: (-each["age_days"], each["case_id"]))


def case_document(key: str, found: DiscrepancyFound, owner: str) -> dict[str, Any]:
    """A case as `--json` prints it; `opened_on` becomes its age."""
    names = ("cause", "outcome", "action", "day_on", "transaction", "order_no", "refund_no")
    return {
        "case_id": found.case_id,
        "key": key,
        "status": "open",
        "owner": owner,
        "age_days": 0,
        **{name: getattr(found, name) for name in names},
        "account_no": found.account_no,
        "ours_fen": found.ours_fen,
        "channel_fen": found.channel_fen,
        "left_fen": found.left_fen,
        "opened_on": found.opened_on,
    }


def known_days(reader: Reader, partitions: int) -> list[dict[str, Any]]:
    """The latest statement of each day, or how it was closed."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    payouts: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for key, body in settlement_events(reader, partitions):
        if isinstance(body, PayoutBooked):
            paid = {name: getattr(body, name) for name in ("paid_on", "paid_fen", "outcome")}
            payouts.setdefault((key, body.day_on), []).append(paid)
        elif isinstance(body, DayStated | DayClosed):
            found[key, body.day_on] = {
                "key": key,
                "day_on": body.day_on,
                "is_closed": isinstance(body, DayClosed),
                "clearing_fen": body.clearing_fen,
                "causes": body.causes,
                "payouts": payouts.setdefault((key, body.day_on), []),
            }
    return [found[place] for place in sorted(found)]


def settlement_events(reader: Reader, partitions: int) -> Iterator[tuple[str, Any]]:
    """Key and body of each event of the stage, in order."""
    codec = Codec(make_core().catalogue)
    for partition in range(partitions):
        for record in scan(reader, TOPIC, partition):
            envelope = envelope_of(record.headers)
            key = record.key.decode() if record.key else ""
            if codec.knows(envelope.type):
                yield key, codec.decode(envelope.type, record.value)


def show_cases(found: list[dict[str, Any]]) -> None:
    """The cases for people."""
    print(fixed_line(CASE_HEADER, CASE_WIDTHS))
    for each in found:
        difference = format_yuan(each["ours_fen"] - each["channel_fen"])
        cells = (each["case_id"], str(each["age_days"]), each["owner"], each["day_on"])
        print(fixed_line((*cells, each["cause"], difference), CASE_WIDTHS))
        print(f"  {each['key']} {each['transaction'] or '-'}, order {each['order_no'] or '-'}")
        print(f"  -> {each['action'] if each['status'] == 'open' else each['status']}")
