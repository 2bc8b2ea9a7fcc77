"""`gridledger payments import|cases|decide|days|books`: files to records, and what came of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from libs.events.codec import Codec, encode, envelope_of
from libs.events.log import Bounds, Slice
from libs.events.record import Envelope, Record, envelope_headers
from services.cli import main as cli
from services.cli import payments_cases as command
from services.cli.journal import logged_entries
from services.payments.bookings import BookingNoted
from services.payments.core import make_core
from services.payments.settlement.events import DiscrepancyFound, catalogue
from services.payments.settlement.requests import files_catalogue
from tests.unit.cli.payments_desk import Capture, printed, refused, sit_down
from tests.unit.payments_core.edge_process import MemoryPort, producer_over
from tests.unit.payments_core.settling import DAY, KEY, ORDER, Desk, row
from tests.unit.payments_core.world import B, order_of

WECHAT = ["import", "--channel", "wechat", "--by", "wang"]


class SettledReader:
    """The own events of a Desk, and bookings, as a log of one partition."""

    def __init__(self, desk: Desk, bookings: list[BookingNoted]) -> None:
        core = make_core().catalogue
        self.topics = {
            "payments.settlement": [self._record(catalogue, each) for each in desk.told_all],
            "payments.postings": [self._record(core, each) for each in bookings],
        }

    def _record(self, source: Any, body: Any) -> tuple[bytes, Any]:
        kind = source.type_of(body).full_name
        headers = envelope_headers(Envelope("x", kind, "test", "2026-02-02T02:00:00Z", KEY))
        return encode(body), headers

    def partitions(self, topic: str) -> int:
        return 1

    def bounds(self, topic: str, partition: int) -> Bounds:
        count = len(self.topics.get(topic, ()))
        return Bounds(0, count, count)

    def read(self, topic: str, partition: int, first: int, limit: int) -> Slice:
        found = self.topics.get(topic, [])
        records = [
            Record(topic, partition, offset, KEY.encode(), value, headers)
            for offset, (value, headers) in enumerate(found)
        ]
        return Slice(records[first:], len(records))


@pytest.fixture(autouse=True)
def _examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sit_down(tmp_path, monkeypatch)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> MemoryPort:
    found = MemoryPort()
    monkeypatch.setattr(
        "services.wiring.open_producer",
        lambda settings, source, catalogue: producer_over(found, source, catalogue),
    )
    return found


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    """80.00 that only the channel has, and a day that agrees."""
    desk = Desk()
    desk.book("T1", 10000, order=ORDER)
    desk.bill(DAY, row("T1", 10000, order=ORDER, fee_fen=60), row("T2", 8000, order=order_of(B)))
    desk.tick(DAY)
    bookings = [
        BookingNoted(booking_id="b1", row=row("T1", 10000, order=ORDER), source="callback"),
        BookingNoted(booking_id="b2", row=row("T3", 5), source="callback"),
        BookingNoted(booking_id="b2", row=row("T3", 5), source="", is_taken_back=True),
    ]
    reader = SettledReader(desk, bookings)
    monkeypatch.setattr(command, "open_records", lambda from_files: (reader, 1))
    monkeypatch.setattr(command, "open_cluster", lambda settings: reader)
    return desk


def bodies(port: MemoryPort) -> list[Any]:
    codec = Codec(files_catalogue)
    return [codec.decode(envelope_of(each.headers).type, each.value) for each in port.taken]


def test_a_bill_is_given_as_one_sheet(port: MemoryPort, capsys: Capture) -> None:
    told = json.loads(printed([*WECHAT, "wechat.csv", "--json"], capsys))
    (body,) = bodies(port)
    assert [each.topic for each in port.taken] == ["payments.postings"]
    assert port.taken[0].key == b"wechat:1900000001"
    assert (body.kind, body.day_on, body.part, body.parts) == ("trade", "2026-02-12", 0, 1)
    assert (len(body.rows), told["rows"], body.submitted_by) == (6, 6, "wang")
    assert told["sheets"] == [
        {
            "kind": "trade",
            "channel": "wechat",
            "merchant": "1900000001",
            "day_on": "2026-02-12",
            "rows": 6,
            "sheet_id": body.sheet_id,
        }
    ]
    assert port.is_closed


def test_of_a_statement_only_payouts_are_given(port: MemoryPort, capsys: Capture) -> None:
    arguments = ["import", "--channel", "bank", "--mapping", "bank.yaml", "--by", "wang"]
    told = printed([*arguments, "bank.csv"], capsys)
    assert {body.kind for body in bodies(port)} == {"bank"}
    assert all(line.kind == "payout" for body in bodies(port) for line in body.rows)
    assert "no payout of a channel" in told


@pytest.mark.parametrize(
    ("arguments", "cause", "line"),
    [
        (["wechat-wrong.csv"], "file_summary_mismatch", 9),
        (["wechat-funds.csv", "--merchant", "1900000001"], "file_columns_unknown", 1),
        (["wechat.csv", "--sha1", "0" * 40], "file_hash_mismatch", 0),
    ],
)
def test_a_bad_file_is_told_and_refused(
    arguments: list[str], cause: str, line: int, port: MemoryPort, capsys: Capture
) -> None:
    error = refused([*WECHAT, *arguments], capsys)
    assert arguments[0] in error
    assert cause in error
    (body,) = bodies(port)
    assert (body.cause, body.line, body.submitted_by) == (cause, line, "wang")
    assert len(body.file_sha256) == 64


def test_a_day_without_trade_is_a_sheet_too(port: MemoryPort, capsys: Capture) -> None:
    lines = Path("wechat.csv").read_text("utf-8").splitlines()
    zero = "`0,`0.00,`0.00,`0.00,`0.00,`0.00,`0.00"
    Path("empty.csv").write_text("\n".join([lines[0], lines[-2], zero]) + "\n", "utf-8")
    assert "--merchant" in refused([*WECHAT, "empty.csv"], capsys)
    assert "--day" in refused([*WECHAT, "empty.csv", "--merchant", "1900000001"], capsys)
    printed([*WECHAT, "empty.csv", "--merchant", "1900000001", "--day", "2026-02-11"], capsys)
    (body,) = bodies(port)
    assert (body.rows, body.parts, body.day_on) == ((), 1, "2026-02-11")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["import", "--channel", "wechat", "--by", " ", "wechat.csv"], "--by"),
        (["import", "--channel", "paper", "--by", "wang", "wechat.csv"], "--channel"),
        (["import", "--channel", "wechat", "--by", "wang", "nowhere.csv"], "nowhere.csv"),
        (["cases", "--as-of", "soon"], "--as-of"),
        (["decide", "x", "--action", "forget", "--by", "wang", "--reason", "r"], "--action"),
        (["decide", "x", "--action", "claim", "--by", "", "--reason", "r"], "--by"),
        (["decide", "x", "--action", "claim", "--by", "wang", "--reason", " "], "--reason"),
        (["decide", "x", "--action", "claim", "--by", "wang", "--reason", "r"], "CASE"),
        (["days", "--from-files", "nowhere"], "nowhere"),
        (["books", "--from-files", "nowhere"], "nowhere"),
    ],
)
def test_wrong_input_is_named(
    arguments: list[str], named: str, port: MemoryPort, capsys: Capture, request: Any
) -> None:
    if "--from-files" not in arguments:
        request.getfixturevalue("desk")
    assert named in refused(arguments, capsys)
    assert port.taken == []


def test_cases_have_age_owner_and_action(desk: Desk, capsys: Capture) -> None:
    told = printed(["cases", "--as-of", "2026-02-10"], capsys, status=1)
    (found,) = desk.told(DiscrepancyFound)
    assert found.case_id in told
    assert "capture it from the file" in told
    assert all(len(line) <= 80 for line in told.splitlines())
    (case,) = map(
        json.loads, printed(["cases", "--as-of", "2026-02-10", "--json"], capsys, 1).splitlines()
    )
    assert (case["age_days"], case["owner"], case["left_fen"]) == (10, "settlement", {DAY: -8000})


def test_a_decision_is_one_record_and_what_came_of_it_is_shown(
    desk: Desk, port: MemoryPort, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = desk.told(DiscrepancyFound)
    options = ["--action", "accept", "--by", "wang", "--reason", "asked", "--evidence", "slip"]
    assert "payments decides" in printed(["decide", found.case_id, *options], capsys)
    assert found.case_id in printed(["decide", found.case_id, *options, "--json"], capsys)
    body, _ = bodies(port)
    assert (port.taken[0].key, body.action, body.evidence) == (KEY.encode(), "accept", "slip")
    desk.decide(found.case_id, "take_up")
    desk.decide(found.case_id, "accept")
    reader = SettledReader(desk, [])
    monkeypatch.setattr(command, "open_records", lambda from_files: (reader, 1))
    assert found.case_id not in printed(["cases"], capsys)
    (case,) = map(json.loads, printed(["cases", "--all", "--json"], capsys).splitlines())
    assert (case["status"], case["owner"]) == ("accept", "wang")
    desk.book("T2", 8000, order=order_of(B))
    desk.tick("2026-02-02")
    monkeypatch.setattr(command, "open_records", lambda _: (SettledReader(desk, []), 1))
    (case,) = map(json.loads, printed(["cases", "--all", "--json"], capsys).splitlines())
    assert case["status"] == "captured_from_file"
    assert "-> captured_from_file" in printed(["cases", "--all"], capsys)
    assert found.case_id not in printed(["cases"], capsys)


def test_days_say_why_something_is_left(desk: Desk, capsys: Capture) -> None:
    told = printed(["days"], capsys)
    assert "= -80.00 lost_callback" in told
    (found,) = map(json.loads, printed(["days", "--json"], capsys).splitlines())
    assert found["clearing_fen"] == sum(found["causes"].values()) == 9940
    assert not found["is_closed"]
    assert found["payouts"] == []


def test_days_say_when_they_were_paid_out(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """DAY is a Friday, its payout is due on Monday and comes on Tuesday."""
    desk = Desk()
    desk.book("T1", 10000)
    desk.bill(DAY, row("T1", 10000, fee_fen=60))
    desk.bank("2026-02-03", 9940)
    desk.tick("2026-02-03")
    monkeypatch.setattr(command, "open_records", lambda _: (SettledReader(desk, []), 1))
    told = printed(["days"], capsys).splitlines()
    assert told[1].split()[-3:] == ["0.00", "2026-02-03", "late"]
    assert all(len(line) <= 80 for line in told)
    (found,) = map(json.loads, printed(["days", "--json"], capsys).splitlines())
    (paid,) = found["payouts"]
    assert paid == {"paid_on": "2026-02-03", "paid_fen": 9940, "outcome": "payout_late"}
    assert found["is_closed"]
    apart = {"paid_on": "2026-02-03", "paid_fen": 9880, "outcome": "fee"}
    assert command.payout_text(apart) == "2026-02-03 fee"


def test_books_are_our_side_for_match(desk: Desk, capsys: Capture) -> None:
    Path("our-books.jsonl").write_text(printed(["books"], capsys), "utf-8")
    (line,) = map(json.loads, Path("our-books.jsonl").read_text("utf-8").splitlines())
    assert (line["transaction"], line["amount_fen"], line["line"]) == ("T1", 10000, 0)
    arguments = ["match", "our-books.jsonl", "our-books.jsonl", "bank.jsonl", "--json"]
    assert cli.main(["payments", *arguments, "--as-of", "2026-02-28"]) == 1  # not paid out
    sums = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (sums["lines"], sums["matched"]) == (1, 1)


def test_the_journal_has_what_settlement_books(desk: Desk) -> None:
    (entry,) = logged_entries(SettledReader(desk, []), 1)
    assert (entry.text, entry.event) == ("channel_fee", "payments.fees_booked.v1")
