"""Every command on files of tariffs, bills and money: a wrong file is one line, status 2.

The table has a call that is fine, and which of its files is put in the place of a wrong one. What a
wrong value within a good file does is tested beside each command.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from services.billing.price_book_file import BOOKS
from services.cli import main as cli

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
Capture = pytest.CaptureFixture[str]

RATE = [
    *("rate", "--usage", "tariffs/factory.usage.yaml"),
    *("--contract", "tariffs/factory.contract.yaml", "--book", "books/cq_industry_10kv.yaml"),
]
MATCH = [
    *("payments", "match", "payments/ours.csv", "payments/channel.jsonl", "payments/bank.jsonl"),
    *("--rules", "payments/rules.json", "--as-of", "2026-02-28"),
]
PARSE = ["payments", "parse", "--channel"]
POS = [*PARSE, "pos", "payments/acquirer.csv", "--mapping", "payments/acquirer.yaml"]
BANK = [*PARSE, "bank", "payments/bank.csv", "--mapping", "payments/bank.yaml"]
VERIFY = [
    *("payments", "verify", "--channel", "wechat", "--headers", "payments/wechat.headers.txt"),
    *("--body", "payments/wechat.body", "--keys", "payments/keys"),
    *("--at", "2026-01-01T00:00:00Z"),
]
BALANCE = ["journal", "trial-balance", "payments/journal.jsonl", "--chart", "payments/chart.json"]
FEED_IN = ["feed-in", "feed_in/exports.csv", "--book", "books/cq_feed_in.yaml"]
CALLS: dict[str, tuple[list[str], int]] = {
    "tariffs/factory.usage.yaml": (RATE, 0),
    "tariffs/factory.contract.yaml": (RATE, 0),
    "books/cq_industry_10kv.yaml": (RATE, 0),
    "books/cq_residential.yaml": (["tariff", "check", "books/cq_residential.yaml"], 0),
    "tariffs/cq_residential_2.yaml": (
        ["tariff", "diff", "books/cq_residential.yaml", "tariffs/cq_residential_2.yaml"],
        0,
    ),
    "tariff/late_payments.csv": (["tariff", "late-fee", "tariff/late_payments.csv"], 0),
    "feed_in/exports.csv": (FEED_IN, 0),
    "books/cq_feed_in.yaml": (FEED_IN, 0),
    "payments/keys/keys.json": (VERIFY, 0),
    "payments/wechat.csv": ([*PARSE, "wechat", "payments/wechat.csv"], 0),
    "payments/alipay.zip": ([*PARSE, "alipay", "payments/alipay.zip"], 0),
    "payments/acquirer.csv": (POS, 0),
    "payments/acquirer.yaml": (POS, 0),
    "payments/bank.csv": (BANK, 0),
    "payments/bank.yaml": (BANK, 0),
    "payments/ours.csv": (MATCH, 1),
    "payments/channel.jsonl": (MATCH, 1),
    "payments/bank.jsonl": (MATCH, 1),
    "payments/rules.json": (MATCH, 1),
    "payments/journal.jsonl": (["journal", "check", "payments/journal.jsonl"], 0),
    "payments/chart.json": (BALANCE, 0),
    "control/denied.json": (["control", "explain", "control/denied.json"], 1),
    "control/policy.yaml": (
        ["control", "explain", "control/notice.json", "--policy", "control/policy.yaml"],
        0,
    ),
}  # fmt: skip
EMPTY_IS_FINE = {"control/policy.yaml"}
"""A policy that changes nothing."""

KINDS = {
    "empty": b"",
    "blank": b"\n \n",
    "GBK": "账户,表号\n".encode("gbk"),
    "UTF-16": "account: 1\n".encode("utf-16"),
    "binary": bytes(range(256)) * 4,
    "zeros": bytes(500),
    "a page": b"<html>502 Bad Gateway</html>\n",
    "deep lists": b"[" * 1_500,
    "deep objects": b'{"a":' * 1_500,
    "deep YAML": b"a: " + b"[" * 600 + b"]" * 600,
    "an alias": b"a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "not a number": b"NaN\n",
    "twice": b'{"a": 1, "a": 2}\n',
    "a long line": b"x" * 200_000,
}


@pytest.fixture(autouse=True)
def _examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("GRIDLEDGER_"):
            monkeypatch.delenv(name)
    for name in ("tariffs", "tariff", "feed_in", "payments", "control"):
        shutil.copytree(EXAMPLES / name, tmp_path / name)
    shutil.copytree(BOOKS, tmp_path / "books")
    monkeypatch.chdir(tmp_path)


def said(arguments: list[str], capsys: Capture) -> str:
    """The one line of an error, with a fix at its end; nothing on standard output."""
    status = cli.main(arguments)
    found = capsys.readouterr()
    assert (status, found.out) == (2, "")
    assert found.err.startswith("error: ")
    assert found.err.count("\n") == 1
    assert found.err.endswith(")\n"), found.err
    return found.err


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_file_is_one_line_that_names_it(name: str, capsys: Capture) -> None:
    arguments, status = CALLS[name]
    arguments = [*arguments, "--json"]
    assert cli.main(arguments) == status
    printed = capsys.readouterr().out
    if printed.count("\n{") < 1 or printed.startswith("{\n"):
        json.loads(printed)
    else:
        assert all(json.loads(line) for line in printed.splitlines())
    path = Path(name)
    for kind, wrong in KINDS.items():
        if name in EMPTY_IS_FINE and not wrong.strip():
            continue
        if kind == "deep lists" and name.endswith(".yaml"):
            continue  # takes the scanner a second: "deep YAML" shows the same
        path.write_bytes(wrong)
        assert path.name in said(arguments, capsys), kind
    path.unlink()
    assert path.name in said(arguments, capsys), "missing"
    path.mkdir()
    assert path.name in said(arguments, capsys), "directory"


def test_a_mark_and_line_ends_of_windows_do_no_harm(capsys: Capture) -> None:
    for name, (arguments, status) in CALLS.items():
        if name.endswith((".zip", ".body", "headers.txt")):
            continue
        path = Path(name)
        content = path.read_bytes()
        plain = content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
        path.write_bytes(b"\xef\xbb\xbf" + plain.replace(b"\n", b"\r\n"))
        assert cli.main(arguments) == status, name
        assert capsys.readouterr().err == "", name
        path.write_bytes(content)


ON_INPUT = (
    ["rate", "--usage", "-", *RATE[3:]],
    [*RATE[:3], "--contract", "-", *RATE[5:]],
    ["tariff", "late-fee", "-"],
    ["feed-in", "-", "--book", "books/cq_feed_in.yaml"],
    ["journal", "check", "-"],
    ["journal", "trial-balance", "-"],
    ["journal", "ledger", "-"],
    ["control", "explain", "-"],
    [*PARSE, "wechat", "-"],
    [*PARSE, "alipay", "-"],
    ["payments", "match", "-", *MATCH[3:]],
    ["payments", "iso8583", "-"],
)


@pytest.mark.parametrize("arguments", ON_INPUT, ids=" ".join)
def test_standard_input_that_is_empty_or_closed(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    empty = said(arguments, capsys)
    monkeypatch.setattr(sys, "stdin", None)  # `<&-`
    assert said(arguments, capsys) == empty


OUTCOME = "payments refund-outcome --account 1000000042 --refund-no RF1 --outcome succeeded"
PAYOUT = "payments payout --statement 1000000001-F2026-01 --amount 1 --bank b --bank-ref 1"
ZERO_DAY = "payments import payments/wechat.csv --channel wechat --merchant 19"
CASE = "metrology open-case M-1 --point P1 --kind wiring --factor 3 --findings f"
OPTIONS = {
    f"{OUTCOME} --evidence e --by li --bill-on": "--bill-on",
    f"{PAYOUT} --evidence e --by li --paid-on": "--paid-on",
    f"{ZERO_DAY} --by li --day": "--day",
    f"{CASE} --by li --from-on 2026-01-01 --to-on": "--to-on",
    f"{CASE} --by li --to-on 2026-02-01 --from-on": "--from-on",
}


@pytest.mark.parametrize("given", OPTIONS)
def test_a_day_of_what_is_recorded_is_a_day_that_was(given: str, capsys: Capture) -> None:
    for day, problem in {
        "2199-01-01": "is in the future",
        "0001-01-01": "is before there were meters",
        "2026-02-30": "is no day",
        "20260201": "is no day",
        "2026-W06-1": "is no day",
    }.items():
        line = said([*given.split(), day], capsys)
        assert line.startswith(f"error: {OPTIONS[given]}: ")
        assert problem in line


def test_a_case_names_its_meter_and_point(capsys: Capture) -> None:
    days = ["--by", "li", "--from-on", "2026-01-01", "--to-on", "2026-02-01"]
    arguments = [*CASE.split(), *days]
    for place, name in ((2, "METER_NO"), (4, "--point")):
        blank = [*arguments[:place], " ", *arguments[place + 1 :]]
        assert said(blank, capsys).startswith(f"error: {name}: is empty")
    assert said(["journal", "check", "a\0b"], capsys).startswith("error: argument 3: has a NUL")
