"""`gridledger control explain`: verdicts of the core on files, recorded ones, wrong input."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from libs.events.codec import encode, to_document
from libs.events.record import partition_of
from services.cli import control
from services.cli import main as cli
from services.control.case_file import CaseFile, case_schema, read_case
from services.control.events import InterlocksJudged
from services.control.interlocks import STAGES, judge
from services.control.policy import DEFAULT_POLICY
from tests.unit.control.samples import ACCOUNT, Desk

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples" / "control"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("GRIDLEDGER_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")
    shutil.copytree(EXAMPLES, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def printed(arguments: list[str], capsys: Capture, status: int) -> str:
    assert cli.main(["control", "explain", *arguments]) == status
    found = capsys.readouterr()
    assert found.err == ""
    return found.out


def refused(arguments: list[str], capsys: Capture) -> str:
    assert cli.main(["control", "explain", *arguments]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.startswith("error: ")
    assert found.err.count("\n") == 1
    return found.err.removeprefix("error: ").strip()


def document(name: str = "allowed.json") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(name).read_text("utf-8"))
    return found


def explained(arguments: list[str], capsys: Capture, status: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(printed([*arguments, "--json"], capsys, status))
    return found


# -- a file ---------------------------------------------------------------------------------------


def test_what_the_core_says_is_what_is_printed(capsys: Capture) -> None:
    statuses = {"allowed.json": 0, "denied.json": 1, "prepaid.json": 1, "reconnect.json": 1}
    for name, status in statuses.items():
        case = read_case(document(name))
        (said,) = explained([name], capsys, status)["judgements"]
        verdicts = judge(STAGES[case.stage], case.facts, DEFAULT_POLICY)
        assert said["stage"] == case.stage
        assert said["allowed"] == all(verdict.allows for verdict in verdicts) == (status == 0)
        keys = ("name", "allows", "looked_at", "reason", "source")
        told = [{key: each[key] for key in keys} for each in said["interlocks"]]
        assert told == [to_document(verdict) for verdict in verdicts]


def test_the_inputs_of_an_interlock_stand_with_it(capsys: Capture) -> None:
    (said,) = explained(["denied.json"], capsys, 1)["judgements"]
    period = next(each for each in said["interlocks"] if each["name"] == "notice_period")
    assert period["inputs"] == {
        "now_at": "2026-03-12T02:10:00Z",
        "category": "residential",
        "served_at": "2026-03-06T01:00:00Z",
        "window_from_at": "2026-03-12T02:00:00Z",
    }
    assert period["values"]["residential.least_s"] == 604_800
    denied = [each["name"] for each in said["interlocks"] if not each["allows"]]
    assert denied == [
        "notice_period",
        "not_protected",
        "approvals_by_three_different_people",
        "no_open_dispute",
        "no_weather_alarm",
    ]


def test_people_read_it_in_chinese_and_in_english(capsys: Capture) -> None:
    chinese = printed(["denied.json"], capsys, 1)
    assert "发出跳闸命令前: 不允许 (共 28 项，拒绝 5 项)" in chinese
    assert "拒绝  not_protected\n  要求  非受保护用户\n  所见  protected" in chinese
    english = printed(["denied.json", "--language", "en"], capsys, 1)
    assert "before the command to open: denied (28 judged, 5 deny)" in english
    assert "DENIES  notice_period\n  rule  it was served in time\n" in english
    assert "  why   served less than 7 days before the window\n" in english
    assert max(map(columns, (chinese + english).splitlines())) <= 80


def columns(line: str) -> int:
    return sum(2 if character > "\u2e80" else 1 for character in line)


def test_every_interlock_and_stage_is_called_by_people() -> None:
    assert list(control.STAGE_NAMES) == list(STAGES)
    names = [(each.zh, each.en) for each in control.INTERLOCKS.values()]
    assert len(set(names)) == len(names) == 39


def test_nothing_known_denies_everywhere(capsys: Capture) -> None:
    (said,) = explained(["little.json"], capsys, 1)["judgements"]
    assert not any(each["allows"] for each in said["interlocks"])


def test_another_policy_decides_otherwise(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    explained(["allowed.json"], capsys, 0)
    text = "control: {overdue_days: 60, no_cut_on: [2026-03-12]}"
    Path("strict.yaml").write_text(text, "utf-8")
    (said,) = explained(["allowed.json", "--policy", "strict.yaml"], capsys, 1)["judgements"]
    denied = {each["name"]: each["reason"] for each in said["interlocks"] if not each["allows"]}
    assert denied == {
        "debt_old_enough": "INV1 not overdue for more than 60 days",
        "permitted_hour": "nobody is cut on that day",
    }
    monkeypatch.setenv("GRIDLEDGER_POLICY_FILE", "strict.yaml")
    assert explained(["allowed.json"], capsys, 1)["judgements"] == [said]


def test_standard_input(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Path("allowed.json").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(whole)))
    assert explained(["-"], capsys, 0) == explained(["allowed.json"], capsys, 0)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(whole[:500])))
    assert refused(["-"], capsys).startswith("standard input: is no JSON at line ")


# -- the schema -----------------------------------------------------------------------------------


def test_the_schema_is_the_committed_one(capsys: Capture) -> None:
    assert printed(["--schema"], capsys, 0) == Path("case.schema.json").read_text("utf-8")
    Draft7Validator.check_schema(case_schema())


@pytest.mark.parametrize(
    "name", [f"{name}.json" for name in ("allowed", "denied", "prepaid", "reconnect", "little")]
)
def test_the_examples_are_as_the_schema_says(name: str) -> None:
    assert list(Draft7Validator(case_schema()).iter_errors(document(name))) == []


WRONG: list[tuple[str, Any, str]] = [
    ("stage", "cut", "stage: 'cut' is no stage (one of request, notice,"),
    ("stage", 7, "stage: 7 is no string (give a text in quotes)"),
    ("stages", "request", "stages: no such field (did you mean stage?)"),
    ("facts", [], "facts: is no object (give now_at, category,"),
    ("facts.served", "x", "facts.served: no such field (did you mean served_at?)"),
    ("facts.zzz", 1, "facts.zzz: no such field (`--schema` prints what there is)"),
    ("facts.now_at", "", "facts.now_at: is empty"),
    ("facts.now_at", "2026-02-30T00:00:00Z", "facts.now_at: '2026-02-30T00:00:00Z' is no instant"),
    ("facts.now_at", "9999-12-31T23:59:59Z", "facts.now_at: '9999-12-31T23:59:59Z' is no instant"),
    ("facts.served_at", "yesterday", "facts.served_at: 'yesterday' is no instant"),
    ("facts.served_at", None, "facts.served_at: None is no string"),
    ("facts.moved_out_on", "2026-02-30", "facts.moved_out_on: '2026-02-30' is no date"),
    ("facts.debts.0.due_on", "soon", "facts.debts[0].due_on: 'soon' is no date"),
    ("facts.debts.0.open_fen", "120.00", "facts.debts[0].open_fen: '120.00' is no integer"),
    ("facts.debts.0.open_fen", 120.5, "facts.debts[0].open_fen: 120.5 is no integer"),
    ("facts.debts.0.open_fen", 10**16, "facts.debts[0].open_fen: 10000000000000000 is out of"),
    ("facts.debts.0", {"invoice_no": "INV1"}, "facts.debts[0].open_fen: is missing"),
    ("facts.debts", "INV1", "facts.debts: is no list"),
    ("facts.version", True, "facts.version: True is no integer"),
    ("facts.cut", "false", "facts.cut: 'false' is no boolean (give true or false)"),
    ("facts.cut", [], "facts.cut: a list is no boolean"),
    ("facts.requester", {}, "facts.requester: an object is no string"),
    ("facts.requester", "w" * 201, "facts.requester: has over 200 characters"),
    ("facts.point.meter", "M1", "facts.point.meter: no such field (did you mean meter_no?)"),
    ("facts.clearance", "granted", "facts.clearance: is no object"),
]


def changed(place: str, value: Any) -> dict[str, Any]:
    """The allowed example with another value at a place."""
    case = copy.deepcopy(document())
    *way, last = place.split(".")
    inner: Any = case
    for name in way:
        inner = inner[int(name) if isinstance(inner, list) else name]
    inner[int(last) if isinstance(inner, list) else last] = value
    return case


@pytest.mark.parametrize(
    ("place", "value", "said"), WRONG, ids=[f"{w[0]}={w[1]!r:.20}" for w in WRONG]
)
def test_a_wrong_field_is_named_with_the_fix(
    place: str, value: Any, said: str, capsys: Capture
) -> None:
    Path("wrong.json").write_text(json.dumps(changed(place, value)), "utf-8")
    line = refused(["wrong.json"], capsys)
    assert line.startswith(f"wrong.json: {said}")
    assert line.endswith(")")
    assert len(line) < 500


def test_what_the_schema_refuses_is_refused() -> None:
    """But for what it cannot say: days that no month has, an instant that must be there."""
    validator = Draft7Validator(case_schema())
    told = ("2026-02-30T00:00:00Z", "9999-12-31T23:59:59Z", "2026-02-30", "")
    for place, value, _ in WRONG:
        is_refused = not validator.is_valid(changed(place, value))
        assert is_refused != (value in told), (place, value)


def test_null_is_none_where_there_may_be_none() -> None:
    case = read_case(changed("facts.clearance", None))
    assert isinstance(case, CaseFile)
    assert case.facts.clearance is None


def test_an_unknown_word_is_for_the_interlock_to_deny(capsys: Capture) -> None:
    Path("odd.json").write_text(json.dumps(changed("facts.category", "spaceport")), "utf-8")
    (said,) = explained(["odd.json"], capsys, 1)["judgements"]
    denied = [each["name"] for each in said["interlocks"] if not each["allows"]]
    assert denied == ["notice_period", "final_notice"]


def test_a_huge_file_is_refused_without_being_read(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path("huge.json").open("wb") as file:
        file.truncate(1 << 40)
    begun = time.monotonic()
    assert refused(["huge.json"], capsys) == (
        "huge.json: has over 1000000 bytes (a case has some thousand)"
    )
    with Path("huge.json").open("rb") as file:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
        assert refused(["-"], capsys).startswith("standard input: has over 1000000 bytes")
    assert refused(["/dev/zero"], capsys).startswith("/dev/zero: has over 1000000 bytes")
    assert time.monotonic() - begun < 5


def test_a_file_of_an_editor_on_windows(capsys: Capture) -> None:
    Path("bom.json").write_bytes(b"\xef\xbb\xbf" + Path("allowed.json").read_bytes())
    assert explained(["bom.json"], capsys, 0) == explained(["allowed.json"], capsys, 0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "case.json: is empty"),
        (b'{"stage": "request"', "case.json: is no JSON at line 1"),
        ('{"stage": "请求"}'.encode("gbk"), "case.json: is not UTF-8 text"),
        (b"[]", "case.json: the document: is no object (give stage, facts, case_id)"),
        (b"{}", "case.json: stage: is missing"),
        (b'{"stage": "request"}', "case.json: facts: is missing"),
        (b'{"stage": "request", "facts": {}}', "case.json: facts.now_at: is missing"),
    ],
)
def test_what_is_no_case(content: bytes, said: str, capsys: Capture) -> None:
    Path("case.json").write_bytes(content)
    assert refused(["case.json"], capsys).startswith(said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "CASE: give a file or --case"),
        (["allowed.json", "--case", "1000000042.r1"], "CASE: give a file or --case"),
        (["allowed.json", "--from-files", "export"], "--from-files: is for --case"),
        (["allowed.json", "--language", "fr"], "--language: 'fr' is not known"),
        (["allowed.json", "--policy", "nowhere.yaml"], "nowhere.yaml: No such file"),
        (["allowed.json", "--policy", "allowed.json"], "allowed.json: "),
        (["--case", "1000000042"], "case_id: '1000000042' is no case id"),
    ],
)
def test_wrong_options(arguments: list[str], said: str, capsys: Capture) -> None:
    assert refused(arguments, capsys).startswith(said)


# -- what was recorded ----------------------------------------------------------------------------


def exported(folder: Path, events: list[Any], partitions: int = 2) -> None:
    """An export with these own events of control, an hour apart."""
    (folder / "control.events").mkdir(parents=True)
    lines: list[list[str]] = [[] for _ in range(partitions)]
    mine = lines[partition_of(ACCOUNT, partitions)]
    for number, event in enumerate(events):
        headers = {
            "ce_id": f"e{number}",
            "ce_type": f"control.{snake(type(event).__name__)}.v1",
            "ce_source": "/control",
            "ce_time": f"2026-03-12T{number:02d}:00:00Z",
            "ce_subject": ACCOUNT,
            "ce_specversion": "1.0",
        }
        record = {
            "offset": len(mine),
            "timestamp_ms": 0,
            "key": ACCOUNT,
            "value": encode(event).decode(),
            "headers": [{"name": name, "value": value} for name, value in headers.items()],
        }
        mine.append(json.dumps(record) + "\n")
    files = {}
    for partition, found in enumerate(lines):
        content = "".join(found).encode()
        (folder / f"control.events/{partition}.jsonl").write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        files[f"control.events/{partition}.jsonl"] = {"records": len(found), "sha256": digest}
    manifest = {"format": 2, "partitions": partitions, "committed": {}, "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def snake(name: str) -> str:
    return "".join(f"_{each.lower()}" if each.isupper() else each for each in name).lstrip("_")


def recorded_case() -> tuple[str, list[InterlocksJudged]]:
    """A case that goes as far as its command, and all that was judged of the account."""
    desk = Desk()
    command = desk.up_to_command()
    return command.case_id, desk.noted(InterlocksJudged)


def test_what_was_recorded_of_a_case(capsys: Capture) -> None:
    case_id, judged = recorded_case()
    other = InterlocksJudged(
        case_id="1000000042.r9",
        account_no=ACCOUNT,
        usage_point="P1",
        stage="a_stage_of_old",
        allowed=False,
        verdicts=(),
    )
    exported(Path("export"), [judged[0], other, *judged[1:]])
    found = explained(["--case", case_id, "--from-files", "export"], capsys, 0)
    stages = [each["stage"] for each in found["judgements"]]
    assert stages == ["request", "notice", "before_clearance", "before_command"]
    assert found["judgements"][1]["judged_at"] == "2026-03-12T02:00:00Z"
    last = found["judgements"][-1]["interlocks"]
    assert [each["looked_at"] for each in last] == [
        verdict.looked_at for verdict in judged[-1].verdicts
    ]
    assert all(each["source"] and each["inputs"] == {} for each in last)
    text = printed(["--case", case_id, "--from-files", "export", "--language", "en"], capsys, 0)
    assert text.count(case_id + "  2026-03-12T") == 4
    denied = ["--case", "1000000042.r9", "--from-files", "export"]
    assert "a_stage_of_old: 不允许 (共 0 项，拒绝 0 项)" in printed(denied, capsys, 1)
    line = refused(["--case", "1000000042.r7", "--from-files", "export"], capsys)
    assert line == "--case: 1000000042.r7 was never judged (take the id from its notice)"


def test_an_interlock_of_an_older_release_is_shown_as_it_was_recorded(capsys: Capture) -> None:
    _, judged = recorded_case()
    (verdict, *_) = judged[0].verdicts
    old = to_document(verdict) | {"name": "moon_is_full", "source": ""}
    event = to_document(judged[0]) | {"verdicts": [old]}
    exported(Path("export"), [InterlocksJudged(**event | {"verdicts": (type(verdict)(**old),)})])
    arguments = ["--case", judged[0].case_id, "--from-files", "export"]
    (said,) = explained(arguments, capsys, 0)["judgements"][0]["interlocks"]
    assert (said["name"], said["zh"], said["en"], said["source"]) == ("moon_is_full", "", "", "")
    assert "通过  moon_is_full\n  所见  invoices INV1" in printed(arguments, capsys, 0)
