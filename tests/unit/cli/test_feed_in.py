"""Feed-in on files and in an export: statements calculated, shown, and what is still to be paid."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from libs.events.codec import encode
from libs.events.record import Envelope, envelope_headers
from libs.events.testing.simlog import SimBroker, SimReader
from services.audit.files import export_topics
from services.billing.core import make_core as make_billing
from services.billing.price_book_file import BOOKS
from services.cli import main as cli
from services.payments.core import make_core as make_payments
from services.payments.order_number import is_account_no
from tests.unit.billing_core.test_feed_in import EXPORT, IMPORT, january, usage
from tests.unit.payments_core.world import A, World

Capture = pytest.CaptureFixture[str]
EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "feed_in" / "exports.csv"
BOOK = ("--book", str(BOOKS / "cq_feed_in.yaml"))
HEADER = "account_no,month,usage_point,price_list,export_wh"
TOPICS = ("billing.events", "payments.events")


def run(capsys: Capture, *arguments: str) -> tuple[int, str]:
    status = cli.main(list(arguments))
    return status, capsys.readouterr().out


def refused(capsys: Capture, *arguments: str) -> str:
    assert cli.main(list(arguments)) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said


def put(tmp_path: Path, *rows: str, header: str = HEADER) -> str:
    path = tmp_path / "exports.csv"
    path.write_text("\n".join((header, *rows)) + "\n")
    return str(path)


def test_a_file_becomes_statements(capsys: Capture) -> None:
    status, text = run(capsys, "feed-in", str(EXAMPLE), *BOOK, "--json")
    found = [json.loads(line) for line in text.splitlines()]
    assert status == 0
    assert [(each["account_no"], each["energy_wh"], each["amount_fen"]) for each in found] == [
        ("1000000001", 1_234_567, 48_938),
        ("1000000001", 998_001, 39_561),
        ("1000000007", 40_312_255, 1_597_978),
    ]
    assert [each["estimated"] for each in found] == [False, True, False]
    assert found[0]["lines"][0]["unconfirmed"]
    assert (found[0]["books"], found[0]["netting"]) == (["cq-feed-in@1"], "none")
    status, text = run(capsys, "feed-in", str(EXAMPLE), *BOOK)
    assert "1000000001 2026-01: fed in 1234.567 kWh, to be paid 489.38 CNY\n" in text
    assert all(len(line) <= 90 for line in text.splitlines())


def test_a_statement_that_cannot_be_made_is_a_finding(capsys: Capture, tmp_path: Path) -> None:
    file = put(
        tmp_path,
        "1,2026-01,P1,feed_in_all,100,5,900",
        header=f"{HEADER},export_peak_wh,export_valley_wh",
    )
    status, text = run(capsys, "feed-in", file, *BOOK)
    assert status == 1
    assert text.startswith("1 2026-01 P1: no statement, periods_exceed_total")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["1,2026-1,P1,feed_in_all,5"], "line 2 month: '2026-1' is no month"),
        (["1,2099-01,P1,feed_in_all,5"], "line 2 month: 2099-01 is not over"),
        ([], "exports.csv: has no export (give a row"),
        (["1,2026-01,P1,feed_in_all,NaN"], "line 2 export_wh: 'NaN' is no whole number"),
        (["1,2026-01,P1,feed_in_all,1e400"], "line 2 export_wh: '1e400' is no whole number"),
        (["1,2026-01,P1,feed_in_all,9999999999999999"], "line 2 export_wh: 9999999999999999 is"),
        (["1,2026-01,P1,feed_in_all,5.5"], "line 2 export_wh: '5.5' is no whole number"),
        (["1,2026-01,P1,feed_in_all,-5"], "line 2 export_wh"),
        (["1,2026-01,P1,nowhere,5"], "line 2 price_list: no given book has 'nowhere'"),
        (["1,2026-01,P1,feed_in_all,5", "1,2026-01,P1,feed_in_all,5"], "line 3 usage_point"),
        (["1,2026-01,P1,feed_in_all,5", "1,2026-01,P2,other,5"], "line 3 price_list"),
        (["2,2026-01,P1,feed_in_all,5", "1,2026-01,P1,feed_in_all,5"], "sort the file"),
    ],
)
def test_wrong_rows_are_named(capsys: Capture, tmp_path: Path, rows: list[str], said: str) -> None:
    assert said in refused(capsys, "feed-in", put(tmp_path, *rows), *BOOK)


def test_a_book_that_changes_within_the_month_is_refused(capsys: Capture, tmp_path: Path) -> None:
    text = (BOOKS / "cq_feed_in.yaml").read_text()
    later = tmp_path / "later.yaml"
    later.write_text(text.replace("version: 1", "version: 2").replace("2020-01-01", "2026-01-16"))
    file = put(tmp_path, "1,2026-01,P1,feed_in_all,5")
    said = refused(capsys, "feed-in", file, *BOOK, "--book", str(later))
    assert "line 2 month: the book changes within 2026-01" in said


def export(directory: Path, events: list[tuple[str, str, Any]]) -> str:
    broker = SimBroker(dict.fromkeys(TOPICS, 1))
    catalogues = {
        "billing.events": make_billing().catalogue,
        "payments.events": make_payments().catalogue,
    }
    for number, (topic, key, body) in enumerate(events):
        name = catalogues[topic].type_of(body).full_name
        envelope = Envelope(f"e/{number}", name, "x", "2026-02-10T00:00:00Z", key)
        broker.append(topic, 0, key.encode(), encode(body), envelope_headers(envelope))
    export_topics(SimReader(broker), lambda topic: 1, list(TOPICS), directory, {})
    return str(directory)


def test_a_statement_in_an_export_is_told_with_what_was_paid(
    capsys: Capture, tmp_path: Path
) -> None:
    made = january()
    made.feed(usage("2026-01-07", energy={IMPORT: 10_000, EXPORT: 4_501}, revision=2))
    made.tick("2026-02-10")
    world = World()
    number = f"{A}-F2026-01"
    world.state_feed_in(A, number, 4_961)
    world.state_feed_in(A, f"{A}-F2026-02", 700)
    world.correct_feed_in(A, f"{A}-FK001", -61)
    world.pay_out(A, number, 4_900)
    world.run()
    events = [("billing.events", A, renamed(body)) for _, body in made.log]
    events += [("payments.events", key, body) for key, body in world.events]
    log = ("--from-files", export(tmp_path / "log", events))
    status, text = run(capsys, "bill", "statement", number, "--language", "en", *log)
    assert status == 0
    lines = text.splitlines()
    assert lines[0] == f"{number}, issued 2026-02-04, to be paid until 2026-03-06"
    assert "fed in 124.031 kWh, to be paid 49.61 CNY" in lines[1]
    assert lines[-2].startswith(f"Correction {A}-FK001")
    assert lines[-2].endswith("0.20 CNY")
    assert lines[-1] == "transfer 49.00 CNY 2026-03-01 B1"
    _, text = run(capsys, "bill", "statement", number, "--json", *log)
    document = json.loads(text)
    assert document["corrections"][0]["energy_difference_wh"] == 500
    assert document["settled"][0]["evidence"] == "slip 7"
    _, text = run(capsys, "payments", "payables", "--json", *log)
    assert json.loads(text) == [
        {
            "statement_no": f"{A}-F2026-02",
            "account_no": A,
            "due_on": "2026-03-20",
            "open_fen": 700,
            "netting": "none",
        }
    ]
    _, text = run(capsys, "payments", "payables", *log)
    assert "7.00" in text
    assert "was not made" in refused(capsys, "bill", "statement", f"{A}-F2020-01", *log)


def renamed(body: Any) -> Any:
    """An event of the account A1 as one of an account whose number people may use."""
    names = {each.name for each in fields(body)} & {"account_no", "statement_no", "correction_no"}
    return replace(body, **{name: getattr(body, name).replace("A1", A) for name in names})


PAYOUT = {
    "--statement": f"{A}-F2026-01",
    "--amount": "49.61",
    "--bank": "icbc",
    "--bank-ref": "4711",
    "--paid-on": "2026-02-20",
    "--evidence": "slip.pdf",
    "--by": "wang",
}


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--statement", A, "--statement: "),
        ("--statement", "12-F2026-01", "is no statement"),
        ("--amount", "0.00", "is no amount above zero"),
        ("--amount", "much", "--amount"),
        ("--paid-on", "20 February", "is no day"),
        ("--paid-on", "2099-01-01", "is in the future"),
        ("--evidence", " ", "--evidence: is empty"),
        ("--bank-ref", " ", "--bank-ref: is empty"),
    ],
)
def test_a_wrong_payout_is_refused(capsys: Capture, option: str, value: str, said: str) -> None:
    assert is_account_no(A)
    words = [word for pair in {**PAYOUT, option: value}.items() for word in pair]
    assert said in refused(capsys, "payments", "payout", *words)


def test_wrong_words_are_refused(capsys: Capture) -> None:
    assert "is no statement" in refused(capsys, "bill", "statement", "1-2026-01")
    wrong = ("bill", "statement", "1-F2026-01", "--language", "fr")
    assert "'fr' is not known" in refused(capsys, *wrong)
    offset = ("payments", "offset", "--statement", f"{A}-F2026-01", "--amount", "1.00")
    offset += ("--request-id", "7", "--by", " ", "--reason", "x")
    assert "--by: is empty" in refused(capsys, *offset)
