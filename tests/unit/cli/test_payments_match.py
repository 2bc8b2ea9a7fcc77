"""`gridledger payments match` on files: the example, what agrees, all wrong input."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.payments_desk import Capture, printed, refused, sit_down


@pytest.fixture(autouse=True)
def _examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sit_down(tmp_path, monkeypatch)


MATCH = ["match", "ours.csv", "channel.jsonl", "bank.jsonl", "--as-of", "2026-02-28"]


def records(out: str) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in out.splitlines())


def test_match_as_json(capsys: Capture) -> None:
    found = list(records(printed([*MATCH, "--rules", "rules.json", "--json"], capsys, status=1)))
    causes = [each["cause"] for each in found if each["record"] == "line"]
    assert causes == [
        "lost_callback",
        "late_cut_off",
        "fee",
        "wrong_account",
        "refund_elsewhere",
        "duplicate",
    ]
    for day in (each for each in found if each["record"] == "clearing"):
        assert sum(day["causes"].values()) == day["clearing_fen"]
    sums = found[-1]
    assert (sums["lines"], sums["matched"], sums["open"]) == (11, 5, 6)
    assert sums["clearing_fen"] == sums["ours_fen"] - sums["fee_fen"] - sums["paid_fen"] == -10582


def test_three_sides_that_agree_end_with_0(capsys: Capture) -> None:
    head = "channel,merchant,day_on,kind,transaction,amount_fen,fee_fen\n"
    row = "wechat,19,2026-02-12,capture,T1,10000,60\n"
    Path("a.csv").write_text(head + row)
    Path("b.csv").write_text(head + "wechat,19,2026-02-13,payout,B1,9940,0\n")
    out = printed(["match", "a.csv", "a.csv", "b.csv", "--all"], capsys)
    assert "1 lines, 1 agree; 0 open" in out
    assert "wechat   matched" in out


HEAD = "channel,merchant,day_on,kind,transaction,order_no,amount_fen,settled_fen,fee_fen,at"
GOOD_ROW = "wechat,19,2026-02-12,capture,T1,,100,100,0,2026-02-12T00:00:00Z"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("wechat", "cash", "line 2 channel: 'cash' is not known"),
        ("19", "", "line 2 merchant: is empty"),
        ("2026-02-12,", "2026-02-30,", "line 2 day_on: '2026-02-30' is no day"),
        ("2026-02-12,", "2026-03-01,", "line 2 day_on: 2026-03-01 is in the future"),
        ("2026-02-12,", "1999-03-01,", "line 2 day_on: 1999-03-01 is before"),
        ("capture", "gift", "line 2 kind: 'gift' is not known"),
        ("T1", "", "line 2 transaction: is empty, and so is order_no"),
        (",100,", ",1.5,", "line 2 amount_fen: '1.5' is no whole number"),
        (",100,", ",-1,", "line 2 amount_fen: -1 is below zero"),
        (",100,100,", ",100,-1,", "line 2 settled_fen: -1 is below zero"),
        (",100,", f",{10**14},", f"line 2 amount_fen: {10**14} is impossible"),
        ("T00:00:00Z", "", "line 2 at: '2026-02-12' is no instant"),
        (",0,", ",0", "line 2: has 9 cells, the header 10"),
    ],
)
def test_a_wrong_row_of_match(old: str, new: str, said: str, capsys: Capture) -> None:
    assert old in GOOD_ROW
    Path("bad.csv").write_text(f"{HEAD}\n{GOOD_ROW.replace(old, new, 1)}\n")
    line = refused(["match", "bad.csv", "channel.jsonl", "bank.jsonl", *MATCH[4:]], capsys)
    assert line.startswith(f"bad.csv {said}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["match", "nowhere", "channel.jsonl", "bank.jsonl"], "nowhere: No such file"),
        (["match", "-", "-", "bank.jsonl"], "-: is given twice"),
        (["match", "empty", "channel.jsonl", "bank.jsonl"], "empty: is empty"),
        (["match", "gbk", "channel.jsonl", "bank.jsonl"], "gbk line 1: is not UTF-8"),
        (["match", "rules.json", "channel.jsonl", "bank.jsonl"], "rules.json line 1: is no JSON"),
        ([*MATCH[:4], "--as-of", "soon"], "--as-of: 'soon' is no day"),
        ([*MATCH, "--rules", "ours.csv"], "ours.csv: is no JSON"),
    ],
)
def test_wrong_input_of_match(arguments: list[str], said: str, capsys: Capture) -> None:
    Path("empty").write_bytes(b"")
    Path("gbk").write_bytes("渠道".encode("gbk"))
    assert refused(arguments, capsys).startswith(said)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([], "is no JSON object"),
        ({"colour": 1}, "colour: is not known"),
        ({"carry_days": "1"}, "carry_days: '1' is no whole number"),
        ({"carry_days": True}, "carry_days: True is no whole number"),
        ({"late_workdays": -1}, "late_workdays: -1 is no whole number"),
        ({"fee_rates": []}, "fee_rates: is no JSON object"),
        ({"fee_rates": {"cash": "0"}}, "fee_rates cash: is no channel"),
        ({"fee_rates": {"wechat": 0.006}}, "fee_rates wechat: 0.006 is no text"),
        ({"fee_rates": {"wechat": "x"}}, "fee_rates wechat: 'x' is no decimal number"),
        ({"fee_rates": {"wechat": "1"}}, "fee_rates wechat: 1 is no rate"),
        ({"fee_rounding": "up"}, "fee_rounding: 'up' is not known"),
        ({"holidays": "2026-01-01"}, "holidays: is no list of days"),
        ({"holidays": ["soon"]}, "holidays: 'soon' is no day"),
        ({"holidays": ["2026-01-02/2026-01-01"]}, "holidays: '2026-01-02/2026-01-01' is no str"),
        ({"workdays": ["2026-01-01/2027-01-01"]}, "workdays: '2026-01-01/2027-01-01' is no str"),
    ],
)
def test_wrong_rules_of_match(rules: Any, said: str, capsys: Capture) -> None:
    Path("r.json").write_text(json.dumps(rules))
    line = refused([*MATCH, "--rules", "r.json"], capsys)
    assert line.removeprefix("r.json").lstrip(": ").startswith(said)
