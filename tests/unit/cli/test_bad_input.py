"""Bad input of every kind, at every command that takes it: one line, the field, the fix, status 2.

Nothing here needs a broker. The address that is set answers nobody, so what would have been taken
for good ends in a line about the broker, which no case here expects.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from services.cli import main as cli
from tests.unit.cli.test_main import commands

BOOK = Path(cli.__file__).parents[1] / "billing" / "books" / "cq_residential.yaml"
READING = ["reading", "enter", "P-1", "M-1", "2026-02-12", "1-0:1.8.0=1", "--by", "zhou"]
BIND = ["payments", "bind", "--suspense", "a:1", "--to", "1000000042=1", "--by", "w"]
BIND += ["--reason", "slip"]
RELEASE = ["bill", "release", "1000000001-2026-01", "--by", "li", "--reason", "checked"]
DECIDE = ["metrology", "decide", "C", "--decision", "approved", "--by", "x", "--reason", "y"]
MOVE = ["metrology", "move", "M-1", "reserve", "--place", "7", "--by", "li"]
SEAL = ["metrology", "seal", "S-1", "lose", "--by", "li", "--reason", "gone"]
REGISTER = [
    "metrology",
    "register",
    "bench",
    "B1",
    "--certificate",
    "Z",
    "--accuracy-class",
    "0.05",
]
REGISTER += ["--from-on", "2026-01-01", "--due-on", "2027-12-31", "--by", "li"]
GBK = os.fsdecode("张三".encode("gbk"))
FROM_EXPORT = (
    ["bill", "explain", "1000000001-2026-01"],
    ["audit", "balance"],
    ["audit", "replay"],
    ["dlq", "list"],
    ["dlq", "show", "payments.dlq/0/0"],
    ["metrology", "cases"],
    ["metrology", "judgement", "B1"],
    ["control", "explain", "--case", "1000000042.r1"],
    ["bill", "held"],
    ["bill", "statement", "1000000001-F2026-01"],
    ["payments", "suspense"],
    ["payments", "payables"],
    ["payments", "work-items"],
    ["payments", "cases"],
    ["payments", "days"],
    ["payments", "books"],
)
ON_CLUSTER = (
    READING,
    BIND,
    RELEASE,
    DECIDE,
    MOVE,
    SEAL,
    REGISTER,
    *FROM_EXPORT,
    ["topics", "plan"],
    ["topics", "apply"],
    ["audit", "export", "export"],
    ["book", "publish", str(BOOK)],
    ["customers", "import", str(BOOK.parents[2] / "customers" / "example")],
    ["customers", "open", str(BOOK.parents[2] / "customers" / "example")],
    ["dlq", "redrive", "payments.dlq/0/0", "--by", "li", "--reason", "fixed"],
)
# What prints no data: it starts or ends processes, or writes what it is given. `demo` has a file.
WITHOUT_JSON = {
    "run",
    "protocols show",
    "local down",
    "local logs",
    "local scale",
    "local reset",
    "simulate meters",
    "simulate gateways",
    "simulate bench",
    "simulate concentrator",
    "operators add",
    "operators remove",
}


@pytest.fixture(autouse=True)
def _bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("GRIDLEDGER_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GRIDLEDGER_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("GRIDLEDGER_KAFKA_REQUEST_TIMEOUT_MS", "1000")
    monkeypatch.chdir(tmp_path)


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a command says; status 2 and nothing on standard output."""
    assert cli.main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    return printed.err.removeprefix("error: ").strip()


def put(tmp_path: Path, kind: str) -> Path:
    """A file of a kind that is wrong everywhere."""
    path = tmp_path / kind
    if kind == "directory":
        path.mkdir()
    elif kind != "missing":
        path.write_bytes(
            {
                "empty": b"",
                "random": bytes(range(255, 0, -1)),
                "gbk": "名称: 重庆居民电价".encode("gbk"),
                "list": b"[1, 2]",
                "object": b'{"a": 1}',
                "deep": b"[" * 100_000,
                "half": b'{"keys": "\\ud800", "target": "http://x"}',
                "huge": b'{"a": ' + b"9" * 5000 + b"}",
            }[kind]
        )
    return path


KINDS = ("missing", "directory", "empty", "random", "gbk", "list", "object", "deep", "half", "huge")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "command",
    [
        ["book", "check"],
        ["book", "publish"],
        ["simulate", "meters"],
        ["simulate", "gateways"],
        ["simulate", "bench"],
        ["simulate", "concentrator"],
        ["control", "explain"],
    ],
    ids=" ".join,
)
def test_a_wrong_file_is_named_with_the_fix(
    command: list[str], kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused([*command, str(put(tmp_path, kind))], capsys)
    assert kind in line.partition(":")[0]
    assert line.endswith(")")
    if kind in ("random", "gbk"):
        assert "UTF-8" in line


@pytest.mark.parametrize("kind", ["missing", "directory", "empty", "object"])
@pytest.mark.parametrize("command", FROM_EXPORT, ids=" ".join)
def test_what_is_no_export_is_named_with_the_fix(
    command: list[str], kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused([*command, "--from-files", str(put(tmp_path, kind))], capsys)
    assert f"{kind}/manifest.json: " in line
    assert line.endswith("(`gridledger audit export DIR` makes it)")


SEAL = '{"records": 1, "sha256": ""}'


def sealed(seal: str, name: str = "billing.events/0.jsonl", partitions: int = 1) -> str:
    """A manifest with one file."""
    files = f'{{"{name}": {seal}}}'
    return f'{{"format": 2, "partitions": {partitions}, "committed": {{}}, "files": {files}}}'


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ("[" * 100_000, "is nested too deeply"),
        ("[]", "is no manifest"),
        ('{"partitions": "x"}', "is no manifest"),
        ('{"partitions": 0}', "partitions is 0"),
        ('{"partitions": -2}', "partitions is -2"),
        ('{"partitions": 5000000}', "partitions is 5000000"),
        ('{"partitions": 1.5}', "is no manifest"),
        ('{"partitions": 1}', "has the format None, not 2"),
        ('{"partitions": 1, "format": 1, "files": {}}', "has the format 1, not 2"),
        ('{"partitions": 1, "format": 2, "files": {}}', "is no manifest"),
        ('{"partitions": 1, "format": 2, "committed": {"a": 1}, "files": {}}', "is no manifest"),
        (sealed("{}"), "is no manifest"),
        (sealed('{"records": "1", "sha256": ""}'), "is no manifest"),
        (sealed(SEAL), "billing.events/0.jsonl: No such file"),
        (sealed(SEAL, partitions=2), "does not list billing.events/1.jsonl"),
        (sealed(SEAL, name="billing.events/7.jsonl"), "does not list billing.events/0.jsonl"),
        (sealed(SEAL, name="../0.jsonl"), "../0.jsonl: No such file"),
    ],
)
def test_a_damaged_export_proves_nothing(
    manifest: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the file of a partition an audit would find that nothing was lost."""
    (tmp_path / "manifest.json").write_text(manifest)
    assert said in refused(["audit", "balance", "--from-files", str(tmp_path)], capsys)


@pytest.mark.parametrize(
    "record",
    ["{}", "[" * 100_000, "\udcff", '{"offset": -1, "timestamp_ms": 0, "headers": []}'],
    ids=["shape", "deep", "bytes", "offset"],
)
def test_a_damaged_record_of_an_export_is_named(
    record: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "billing.events").mkdir()
    file = tmp_path / "billing.events" / "0.jsonl"
    file.write_bytes(os.fsencode(record))
    digest = hashlib.sha256(os.fsencode(record)).hexdigest()
    manifest = sealed(f'{{"records": 1, "sha256": "{digest}"}}')
    (tmp_path / "manifest.json").write_text(manifest)
    line = refused(["bill", "explain", "1-2026-01", "--from-files", str(tmp_path)], capsys)
    assert line.startswith(f"{file}:1: is no exported record")


def changed(base: list[str], old: str, new: str) -> list[str]:
    assert old in base
    return [new if text == old else text for text in base]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        *(
            (changed(READING, "2026-02-12", day), "DAY: ")
            for day in ("2026-02-30", "20260212", "2026-W07-4", "soon", "0001-01-01")
        ),
        *(
            (changed(READING, "1-0:1.8.0=1", f"1-0:1.8.0={value}"), "1-0:1.8.0: ")
            for value in (
                "-5",
                "x",
                "1e9",
                "1e999999999",
                "1_000",
                "１２",
                "NaN",
                "0.00001",
                "9" * 20,
            )
        ),
        *(
            (changed(READING, "1-0:1.8.0=1", text), "REGISTER: ")
            for text in ("5", "1-0:=5", "1-0:zzz=5")
        ),
        ([*READING, "1-0:1.8.0=2"], "REGISTER: 1-0:1.8.0 is given twice"),
        (changed(READING, "P-1", "a b\n"), "POINT: "),
        (changed(READING, "M-1", "a b"), "METER: "),
        (changed(READING, "zhou", "  "), "--by: "),
        *(
            (changed(BIND, "1000000042=1", part), "--to: ")
            for part in ("x", "42=1", "1000000042=0", "1000000042=1e40", "1000000042=" + "9" * 30)
        ),
        (changed(BIND, "a:1", "nothing"), "--suspense: "),
        (changed(RELEASE, "1000000001-2026-01", "1-2026-13"), "BILL: "),
        ([*RELEASE, "--calculation", "9" * 30], "Invalid value for '--calculation'"),
        (changed(DECIDE, "approved", "maybe"), "--decision: "),
        *(
            (["customers", name, "DIR", "--timeout", seconds], "Invalid value for '--timeout'")
            for name in ("import", "open")
            for seconds in ("0", "-1", "x", "nan", "86401", "9" * 30)
        ),
        (["dlq", "show", f"payments.dlq/{'9' * 5000}/0"], "LETTER: "),
        (["dlq", "show", "payments.dlq/0/-1"], "LETTER: "),
        (["dlq", "list", "--core", "nobody"], "--core: "),
        (["run", "services.billing.main:nothing"], "service: "),
        (["run", "services.nothing:run"], "service: "),
        (["run", "os:getcwd"], "service: "),
        (["run", "services.cli.main:COMMANDS"], "service: "),
        (["demo", "--database", "oracle"], "--database: "),
        (["demo", "--json", "/dev/null/x"], "--json: /dev/null/x: "),
        (["audit", "replay", "--decider", "x"], "--decider: "),
        (["bill", "explain", "1-2026-01", "--language", "fr"], "--language: "),
        (["catalogue", "check", "--docs", "nowhere"], "--docs: "),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_a_wrong_value_is_refused_by_name_before_anything_is_asked_for(
    arguments: list[str], field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(arguments, capsys)
    assert line.startswith(field)
    assert len(line) < 400


@pytest.mark.parametrize(
    ("text", "problem"), [("", "is empty"), (GBK, "is not UTF-8 text")], ids=["empty", "gbk"]
)
@pytest.mark.parametrize("command", ON_CLUSTER, ids=" ".join)
def test_an_argument_that_is_empty_or_in_another_encoding(
    command: list[str], text: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    last = command[-2] if command[-2].startswith("-") else f"argument {len(command)}"
    line = refused([*command[:-1], text], capsys)
    assert line.startswith(f"{last}: ")
    assert problem in line


@pytest.mark.parametrize("command", ON_CLUSTER, ids=" ".join)
def test_no_broker_is_one_line_that_names_the_setting(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(command, capsys)
    begin = "no broker answers at 127.0.0.1:1; check GRIDLEDGER_KAFKA_BOOTSTRAP_SERVERS"
    assert line.startswith(begin)


def test_settings_that_the_client_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRIDLEDGER_KAFKA_SECURITY_PROTOCOL", "SSL")
    monkeypatch.setenv("GRIDLEDGER_KAFKA_SSL_CA_LOCATION", str(put(tmp_path, "empty")))
    assert "GRIDLEDGER_KAFKA_SSL_CA_LOCATION" in refused(["bill", "held"], capsys)


@pytest.mark.parametrize("content", ["[1]", "3", "{", "[" * 100_000])
def test_a_damaged_file_of_an_installation(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "local.json").write_text(content)
    line = refused(["local", "status", "--data", str(tmp_path)], capsys)
    assert "local.json: is not readable (delete it" in line


@pytest.mark.parametrize("command", ["up", "down", "status"])
def test_a_data_directory_that_is_a_file(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(["local", command, "--data", str(put(tmp_path, "empty"))], capsys)
    assert line.startswith("data_dir: ")


@pytest.mark.parametrize("content", ["[" * 5000, "a: 2026-02-30", "!!python/object:os.x {}", "- a"])
def test_a_damaged_settings_file(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gridledger.yaml").write_text(content)
    assert "gridledger.yaml: " in refused(["config", "show"], capsys)


ALL = [(" ".join(path), each) for path, each in commands(typer.main.get_command(cli.app))]


@pytest.mark.parametrize(("name", "command"), ALL, ids=[name for name, _ in ALL])
def test_every_command_that_prints_data_has_json(name: str, command: object) -> None:
    options = {text for each in command.params for text in each.opts}  # type: ignore[attr-defined]
    assert ("--json" in options) == (name not in WITHOUT_JSON)


@pytest.mark.parametrize(
    "arguments",
    [
        ["config", "show"],
        ["topics", "list"],
        ["book", "check", str(BOOK)],
        ["customers", "import", str(BOOK.parents[2] / "customers" / "example"), "--check"],
        ["customers", "open", str(BOOK.parents[2] / "customers" / "example"), "--check"],
        ["catalogue", "check", "--docs", str(BOOK.parents[3] / "docs")],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_json_is_json_and_the_same_each_time(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    shown = []
    for _ in range(2):
        cli.main([*arguments, "--json"])
        shown.append(capsys.readouterr().out)
    assert json.loads(shown[0])
    assert shown[0] == shown[1]


@pytest.mark.parametrize(
    ("output", "status", "said"),
    [
        ("> /dev/full", 2, "error: standard output: No space left on device (make room there)\n"),
        (">&-", 0, ""),
        ("| head -c 1 > /dev/null", None, ""),
    ],
)
def test_an_output_that_takes_nothing(output: str, status: int | None, said: str) -> None:
    """In a process of its own: what an interpreter says at its end counts too."""
    command = f"'{sys.executable}' -m services.cli.main config show {output}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=BOOK.parents[3],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(BOOK.parents[3])},
    )
    assert done.stderr == said
    assert status is None or done.returncode == status
