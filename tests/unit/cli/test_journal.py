"""`gridledger journal`: export of a log, the chain, the trial balance, the CSV, wrong input."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from libs.events.codec import encode, to_document
from services.cli import main as cli
from services.payments import journal
from services.payments.events import PrepaymentOpened

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples" / "payments"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("GRIDLEDGER_"):
            monkeypatch.delenv(name)
    for name in ("journal.jsonl", "journal-changed.jsonl", "chart.json"):
        shutil.copy(EXAMPLES / name, tmp_path)
    monkeypatch.chdir(tmp_path)


def printed(arguments: list[str], capsys: Capture, status: int = 0) -> str:
    assert cli.main(["journal", *arguments]) == status
    found = capsys.readouterr()
    assert found.err == ""
    return found.out


def refused(arguments: list[str], capsys: Capture) -> str:
    assert cli.main(["journal", *arguments]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.startswith("error: ")
    assert found.err.count("\n") == 1
    return found.err.removeprefix("error: ").strip()


def exported_log(folder: Path) -> None:
    """An export with two events of payments in two partitions, the later one first."""
    entry = journal.opening_prepayment(account_no="1000000042", amount_fen=500)
    event = PrepaymentOpened(
        opening_id="o1", account_no="1000000042", amount_fen=500, journal=entry
    )
    files = {}
    (folder / "payments.events").mkdir(parents=True)
    for partition, (event_id, time) in enumerate(
        [("e2", "2026-02-12T17:00:00Z"), ("e1", "2026-02-12T01:00:00Z")]
    ):
        headers = {
            "ce_id": event_id,
            "ce_type": "payments.prepayment_opened.v1",
            "ce_source": "/payments",
            "ce_time": time,
            "ce_subject": "1000000042",
            "ce_specversion": "1.0",
        }
        record = {
            "offset": 0,
            "timestamp_ms": 0,
            "key": "1000000042",
            "value": encode(event).decode(),
            "headers": [{"name": name, "value": value} for name, value in headers.items()],
        }
        name = f"payments.events/{partition}.jsonl"
        content = json.dumps(record).encode() + b"\n"
        (folder / name).write_bytes(content)
        files[name] = {"records": 1, "sha256": hashlib.sha256(content).hexdigest()}
    manifest = {"format": 2, "partitions": 2, "committed": {}, "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_an_exported_log_gives_a_whole_chain(tmp_path: Path, capsys: Capture) -> None:
    exported_log(tmp_path / "export")
    out = printed(["export", "--from-files", "export"], capsys)
    first, second = (json.loads(line) for line in out.splitlines())
    assert (first["event_id"], first["posted_on"]) == ("e1", "2026-02-12")
    assert (second["event_id"], second["posted_on"]) == ("e2", "2026-02-13")  # 01:00 in China
    assert first["event"] == "payments.prepayment_opened.v1"
    entry = journal.opening_prepayment(account_no="1000000042", amount_fen=500)
    assert first["lines"] == list(to_document(entry)["lines"])
    Path("out.jsonl").write_text(out)
    assert printed(["check", "out.jsonl"], capsys).endswith("every entry balances\n")


def test_check_as_json(capsys: Capture) -> None:
    whole = json.loads(printed(["check", "journal.jsonl", "--json"], capsys))
    assert (whole["entries"], whole["findings"]) == (5, [])
    assert [day["entries"] for day in whole["days"]] == [1, 2, 2]
    last = json.loads(Path("journal.jsonl").read_text().splitlines()[-1])
    assert whole["days"][-1] == {"posted_on": "2026-02-13", "entries": 2, "hash": last["hash"]}
    bent = json.loads(printed(["check", "journal-changed.jsonl", "--json"], capsys, status=1))
    assert [(each["place"], each["kind"]) for each in bent["findings"]] == [
        (3, "unbalanced"),
        (3, "hash_wrong"),
    ]


def test_many_findings_are_cut(capsys: Capture) -> None:
    line = Path("journal.jsonl").read_text().splitlines()[0]
    Path("same").write_text(f"{line}\n" * 20)
    out = printed(["check", "same"], capsys, status=1)
    assert "and 18 findings more, see --json" in out
    assert out.endswith("20 entries, 38 findings: NOT whole\n")


def test_trial_balance_as_json(capsys: Capture) -> None:
    out = printed(["trial-balance", "journal.jsonl", "--json"], capsys)
    rows = [json.loads(line) for line in out.splitlines()]
    for day in ("2026-02-11", "2026-02-12", "2026-02-13"):
        of_day = [row for row in rows if row["posted_on"] == day]
        assert sum(row["debit_fen"] for row in of_day) == sum(row["credit_fen"] for row in of_day)
    found = {row["ledger_account"]: row for row in rows if row["posted_on"] == "2026-02-13"}
    assert (found["prepayment"]["opening_fen"], found["prepayment"]["closing_fen"]) == (2000, 7000)
    assert (found["transit"]["debit_fen"], found["transit"]["closing_fen"]) == (5000, 0)


def test_the_ledger_has_every_leg_once(capsys: Capture) -> None:
    rows = list(csv.DictReader(io.StringIO(printed(["ledger", "journal.jsonl"], capsys))))
    assert len(rows) == 11
    assert {row["code"] for row in rows if row["ledger_account"] == "receivable"} == {"1122"}
    as_json = printed(["ledger", "journal.jsonl", "--chart", "chart.json", "--json"], capsys)
    legs = [json.loads(line) for line in as_json.splitlines()]
    assert [leg["debit"] for leg in legs] == [row["debit"] for row in rows]
    assert {leg["code"] for leg in legs if leg["ledger_account"] == "receivable"} == {"112201"}


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    content = io.BytesIO(Path("journal.jsonl").read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(content))
    assert len(printed(["ledger", "-"], capsys).splitlines()) == 12


def changed(**changes: Any) -> str:
    """The first entry of the example with other fields; a change to None takes one out."""
    entry = json.loads(Path("journal.jsonl").read_text().splitlines()[0]) | changes
    Path("bad").write_text(
        json.dumps({name: value for name, value in entry.items() if value is not None}) + "\n"
    )
    return "bad"


LEG = {"ledger_account": "bank", "sub_account": "1", "debit_fen": 1, "credit_fen": 0}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"number": "one"}, "bad line 1 number: 'one' is no whole number"),
        ({"posted_on": "2026-02-30"}, "bad line 1 posted_on: '2026-02-30' is no day"),
        ({"posted_at": "now"}, "bad line 1 posted_at: 'now' is no instant"),
        ({"event": ""}, "bad line 1 event: is empty"),
        ({"hash": None}, "bad line 1: has no column 'hash'"),
        ({"lines": "x"}, "bad line 1 lines: is no list"),
        ({"lines": [1]}, "bad line 1 lines[0]: is no leg"),
        ({"lines": [{"debit_fen": 1}]}, "bad line 1 lines[0]: is no leg"),
        ({"lines": [LEG | {"sub_account": None}]}, "bad line 1 lines[0]: has a value that is"),
        ({"lines": [LEG | {"debit_fen": "1.5"}]}, "bad line 1 debit_fen: '1.5' is no whole"),
        ({"lines": [LEG | {"debit_fen": -1}]}, "bad line 1 lines[0] debit_fen: -1 is below"),
    ],
)
@pytest.mark.parametrize("command", ["check", "trial-balance", "ledger"])
def test_a_wrong_entry_is_named(
    command: str, changes: dict[str, Any], said: str, capsys: Capture
) -> None:
    assert refused([command, changed(**changes)], capsys).startswith(said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "nowhere"], "nowhere: No such file"),
        (["check", "empty"], "empty: is empty"),
        (["check", "gbk"], "gbk line 1: is not UTF-8"),
        (["check", "head"], "head: has no entries"),
        (["ledger", "journal-changed.jsonl"], "journal-changed.jsonl entry 3: unbalanced"),
        (["trial-balance", "backwards"], "backwards entry 2: 2026-02-12 after 2026-02-13"),
        (["ledger", "journal.jsonl", "--chart", "nowhere"], "nowhere: No such file"),
        (["ledger", "journal.jsonl", "--chart", "list"], "list: is no JSON object"),
        (["ledger", "journal.jsonl", "--chart", "role"], "role gold: is no role"),
        (["ledger", "journal.jsonl", "--chart", "account"], "account bank: is no account"),
        (["ledger", "journal.jsonl", "--chart", "code"], "code bank code: 1002 is no text"),
        (["export", "--from-files", "nowhere"], "nowhere/manifest.json: "),
    ],
)
def test_wrong_input(arguments: list[str], said: str, capsys: Capture) -> None:
    lines = Path("journal.jsonl").read_text().splitlines(keepends=True)
    for name, text in {
        "empty": "", "list": "[]", "role": '{"gold": {}}', "account": '{"bank": {"side": "x"}}',
        "code": '{"bank": {"code": 1002}}', "backwards": lines[4] + lines[2],
        "head": "number,posted_on,posted_at,event,event_id,text,lines,prev_hash,hash\n",
    }.items():  # fmt: skip
        Path(name).write_text(text)
    Path("gbk").write_bytes("科目汇总".encode("gbk"))
    assert refused(arguments, capsys).startswith(said)
