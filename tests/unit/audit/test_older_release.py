"""`gridledger audit replay --decider`: what an older release decided is replayed by its wheel.

The wheels are real: this checkout's packages with one pure module changed, once only by a comment,
once so that it decides something else. The log is one of the path from meter to invoice in which
two older releases and the present one decided validation's steps, one after the other; they differ
by comments alone, so its step records may be stamped with any of them.
"""

from __future__ import annotations

import json
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from libs.events.attribution import Share
from libs.events.replay import ReplayResult
from libs.events.testing.simlog import SimReader
from services.audit import releases
from services.audit.releases import OlderResult, Release
from services.cli import audit
from services.cli.main import main
from tests.simulation.path import PARTITIONS, World
from tests.unit.audit.older import (
    REVISION,
    Change,
    caused_by,
    decider_with,
    export_of,
    live_through,
    present_decider,
    put_in,
    redecide,
    release_files,
    remarked,
    with_other_rules,
    write_wheel,
)
from tests.unit.audit.sealing import committed_in, reseal

FIRST, SECOND = remarked("the first release"), remarked("the second release")
CORES = [word for name in ("ingest", "validation", "billing") for word in ("--core", name)]
"""The cores of the path. What customers publish is written by the test itself, without causes."""
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def world() -> World:
    return live_through([decider_with(FIRST), decider_with(SECOND), present_decider()])


@pytest.fixture(scope="module")
def original(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_of(world, tmp_path_factory.mktemp("log") / "export")


@pytest.fixture
def export(original: Path, tmp_path: Path) -> Path:
    """The log as the first and the present release alone decided it; a case may alter it."""
    copy = Path(shutil.copytree(original, tmp_path / "export"))
    redecide(copy, decider_with(SECOND), present_decider())
    return copy


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Change], Path]:
    """The wheel of a release by how its `revision.py` is changed."""
    made: dict[Change, Path] = {}

    def wheel_of(change: Change) -> Path:
        if change not in made:
            path = tmp_path_factory.mktemp("wheel") / f"gridledger-{len(made)}.whl"
            made[change] = write_wheel(path, release_files({REVISION: change}))
        return made[change]

    return wheel_of


def replay_json(capsys: Capture, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Status and document of a replay."""
    capsys.readouterr()
    cores = [] if "--core" in arguments else CORES
    status = main(["audit", "replay", "--json", *cores, *arguments])
    done = capsys.readouterr()
    assert done.err == ""
    return status, json.loads(done.out)


def validation_of(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(r for r in document["cores"] if r["core"] == "validation")
    return found


def differences_of(document: dict[str, Any]) -> str:
    return "\n".join(text for row in document["cores"] for text in row["differences"])


def refused(capsys: Capture, *arguments: str) -> str:
    """The one line of a replay that is refused with status 2."""
    capsys.readouterr()
    assert main(["audit", "replay", *arguments]) == 2
    done = capsys.readouterr()
    assert done.out == ""
    lines = done.err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: --decider: ")
    return lines[0]


def given(change: Change, wheel: Path) -> list[str]:
    return ["--decider", f"{decider_with(change)}={wheel}"]


Wheels = Callable[[Change], Path]


# -- the verdicts ---------------------------------------------------------------------------------


def test_what_an_older_release_decided_is_not_proven_and_not_different(
    original: Path, capsys: Capture
) -> None:
    status, found = replay_json(capsys, "--from-files", str(original))
    assert (status, found["verdict"], found["identical"]) == (1, "NOT PROVEN", False)
    assert differences_of(found) == ""
    row = validation_of(found)
    assert row["decider"] == present_decider()
    assert row["others"].keys() == {decider_with(FIRST), decider_with(SECOND)}
    for share in row["others"].values():
        # 5 days of 2 points: an own event and an outgoing one for each day's usage
        assert share["records"] >= 20
        assert share["steps"] > 0
        assert share["inputs"] > 10
    total = sum(share["records"] for share in row["others"].values())
    assert row["not_comparable"] == found["not_comparable"] == total
    assert row["compared"] > 0
    assert main(["audit", "replay", *CORES, "--from-files", str(original)]) == 1
    text = capsys.readouterr().out
    assert f"replay: NOT PROVEN ({found['compared']} compared, {total} not comparable)" in text
    assert f"--decider {decider_with(FIRST)}=WHEEL" in text


def test_with_the_wheels_of_all_releases_it_is_identical(
    original: Path, wheels: Wheels, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where packages of the same name and a bad settings file lie in the directory."""
    for name in ("libs", "services"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('not this one')\n")
    (tmp_path / "gridledger.yaml").write_text("no_such_setting: 1\n")
    _, before = replay_json(capsys, "--from-files", str(original))
    monkeypatch.chdir(tmp_path)
    options = given(FIRST, wheels(FIRST)) + given(SECOND, wheels(SECOND))
    status, found = replay_json(capsys, "--from-files", str(original), *options)
    assert differences_of(found) == ""
    assert (status, found["verdict"], found["not_comparable"]) == (0, "IDENTICAL", 0)
    assert found["compared"] == before["compared"] + before["not_comparable"]
    assert validation_of(found)["others"] == {}


def test_a_release_that_decides_something_else_names_the_field(
    export: Path, wheels: Wheels, capsys: Capture
) -> None:
    redecide(export, decider_with(FIRST), decider_with(with_other_rules))
    wheel = wheels(with_other_rules)
    arguments = ["--from-files", str(export), *given(with_other_rules, wheel)]
    status, found = replay_json(capsys, *arguments)
    assert (status, found["verdict"]) == (1, "DIFFERENT")
    text = differences_of(found)
    assert f"{wheel.name}: validation.events[" in text
    assert f"{wheel.name}: validation.usage[" in text
    assert "rule_set: decided 'other rules', recorded " in text
    assert "was not decided" not in text


def test_a_running_cluster_is_replayed_from_one_copy_of_its_records(
    world: World, wheels: Wheels, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older release gets the records, and neither our settings nor a broker. One wheel of two
    leaves the rest unproven."""

    class Open:
        def close(self) -> None:
            pass

    monkeypatch.setenv("GRIDLEDGER_PARTITIONS", str(PARTITIONS))
    monkeypatch.setattr(audit, "open_cluster", lambda settings: Open())
    broker = world.sim.broker
    monkeypatch.setattr(
        audit,
        "open_reader",
        lambda kafka, table, groups: (SimReader(broker), committed_in(broker, groups)),
    )
    _, before = replay_json(capsys, "--core", "validation")
    arguments = ["--core", "validation", *given(SECOND, wheels(SECOND))]
    status, found = replay_json(capsys, *arguments)
    assert (status, found["verdict"], differences_of(found)) == (1, "NOT PROVEN", "")
    shares = validation_of(before)["others"]
    assert validation_of(found)["others"] == {decider_with(FIRST): shares[decider_with(FIRST)]}
    assert found["compared"] == before["compared"] + shares[decider_with(SECOND)]["records"]


def test_a_log_whose_end_was_cut_off_fails_both_commands(export: Path, capsys: Capture) -> None:
    """Whoever decided it: an older release's steps are as good a witness as ours."""
    for path in (export / "validation.events").glob("*.jsonl"):
        lines = path.read_text("utf-8").splitlines(keepends=True)
        path.write_text("".join(lines[: len(lines) // 2]), "utf-8")
    reseal(export)
    status, found = replay_json(capsys, "--from-files", str(export), "--core", "validation")
    assert (status, found["verdict"]) == (1, "DIFFERENT")
    wanted = "validation.events[0]: the steps lead to "
    lines = validation_of(found)["differences"]
    assert any(text.startswith(wanted) and text.endswith("the end was cut off") for text in lines)
    assert main(["audit", "balance", "--json", "--from-files", str(export)]) == 1
    (row,) = (
        row for row in json.loads(capsys.readouterr().out)["cores"] if row["core"] == "validation"
    )
    assert [text for text in row["problems"] if text.startswith(wanted)] == [
        text for text in lines if text.startswith(wanted)
    ]


# -- an event put in by hand ----------------------------------------------------------------------


def no_cause_in_a_run(headers: dict[str, str]) -> None:
    headers["ce_cause"] = "calendar/0/99999/0"
    headers["ce_id"] = "validation/calendar/0/99999/0"


def another_of_the_same_input(headers: dict[str, str]) -> None:
    """Behind what the input caused, with a gap: no decider numbers events like this."""
    cause = headers["ce_cause"].rpartition("/")[0] + "/7"
    headers["ce_cause"], headers["ce_id"] = cause, f"validation/{cause}"


def its_own_id(headers: dict[str, str]) -> None:
    headers["ce_id"] += "0"


def of_somebody(headers: dict[str, str]) -> None:
    """Readers do not look at the source."""
    headers["ce_source"] = "somebody"
    headers["ce_id"] += "0"


def written_back(headers: dict[str, str]) -> None:
    """As a dead letter that was redriven, but of another event."""
    headers["ce_id"] += "0"
    headers["dlq.redriven"] = "billing.dlq/0/0"


def copied(headers: dict[str, str]) -> None:
    """The same event once more."""


@pytest.mark.parametrize(
    "change",
    [
        no_cause_in_a_run,
        another_of_the_same_input,
        its_own_id,
        of_somebody,
        written_back,
        copied,
    ],
)
@pytest.mark.parametrize("stamp", ["present", "older"])
def test_an_event_put_in_is_a_difference_without_the_wheel(
    change: Callable[[dict[str, str]], None], stamp: str, export: Path, capsys: Capture
) -> None:
    """Whoever decided the input that it names: the last ones are the present release's."""
    if stamp == "older":
        redecide(export, present_decider(), decider_with(FIRST))
    event = put_in(export, "validation.usage", change)
    status, found = replay_json(capsys, "--from-files", str(export), "--core", "validation")
    assert (status, found["verdict"]) == (1, "DIFFERENT")
    lines = validation_of(found)["differences"]
    assert len(lines) == 1
    assert event in lines[0] or event.split("/")[1] in lines[0]


def test_an_event_put_in_is_a_difference_with_the_wheel(
    export: Path, wheels: Wheels, capsys: Capture
) -> None:
    """The next number of an input that the older release decided: only deciding again shows it."""
    redecide(export, present_decider(), decider_with(FIRST))

    def next_number(headers: dict[str, str]) -> None:
        stem = headers["ce_cause"].rpartition("/")[0]
        headers["ce_cause"] = f"{stem}/{len(caused_by(export, stem))}"
        headers["ce_id"] = f"validation/{headers['ce_cause']}"

    event = put_in(export, "validation.usage", next_number)
    arguments = ["--from-files", str(export), "--core", "validation"]
    _, without = replay_json(capsys, *arguments)
    assert without["verdict"] == "NOT PROVEN"
    status, found = replay_json(capsys, *arguments, *given(FIRST, wheels(FIRST)))
    assert (status, found["verdict"]) == (1, "DIFFERENT")
    assert f"event {event} was not decided by the input that it names" in differences_of(found)


def test_an_older_release_must_compare_all_that_it_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = ReplayResult("billing", "new", compared=5, steps=2, others={"old": Share(3, 9, 8)})
    told = OlderResult("old", 3, 7, ())
    monkeypatch.setattr(releases, "run_older", lambda *_: {"billing": told})
    releases.add_older([result], [Release(tmp_path / "a.whl", tmp_path, ("old",))], tmp_path)
    assert result.verdict == "DIFFERENT"
    assert result.differences == [
        "a.whl: compared 7 events of 3 steps, the log has 8 of 3 by this decider"
    ]


# -- refusals -------------------------------------------------------------------------------------


def test_a_decider_that_the_log_or_the_wheel_does_not_have(
    export: Path, wheels: Wheels, capsys: Capture
) -> None:
    files = ["--from-files", str(export), "--core", "validation"]
    wheel = wheels(FIRST)
    line = refused(capsys, *files, "--decider", f"abc={wheel}")
    assert "no step of the log was decided by abc" in line
    line = refused(capsys, *files, "--decider", f"{present_decider()}={wheel}")
    assert "is this release itself" in line
    line = refused(capsys, *files, *given(FIRST, wheel), *given(FIRST, wheel))
    assert "is given twice" in line
    line = refused(capsys, *files, *given(FIRST, wheels(SECOND)))
    assert f"decides validation with {decider_with(SECOND)}, not with {decider_with(FIRST)}" in line


@pytest.mark.parametrize(
    ("text", "problem"),
    [("abc", "names no wheel"), ("=x.whl", "names no wheel"), ("abc=none.whl", "is no file")],
)
def test_an_option_that_names_no_file(text: str, problem: str, capsys: Capture) -> None:
    assert problem in refused(capsys, "--decider", text)


def _with_link(path: Path) -> None:
    write_wheel(path, {"x.dist-info/WHEEL": b""})
    link = zipfile.ZipInfo("libs/events/passwords")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")


def _twice(path: Path) -> None:
    write_wheel(path, {"x.dist-info/WHEEL": b"", "libs/__init__.py": b""})
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("libs/__init__.py", b"1")


def _cut(path: Path) -> None:
    files = {"x.dist-info/WHEEL": b"", "libs/events/__init__.py": b"A" * 999}
    write_wheel(path, {**files, "services/cli/main.py": b""})
    path.write_bytes(path.read_bytes().replace(b"A" * 9, b"B" * 9, 1))


def _of(*names: str) -> Callable[[Path], object]:
    return lambda path: write_wheel(path, {"x.dist-info/WHEEL": b"", **dict.fromkeys(names, b"")})


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: path.write_text("no zip"), "is no wheel: File is not a zip file"),
        (lambda path: write_wheel(path, {"libs/__init__.py": b""}), "it has no WHEEL file"),
        (_cut, "is no wheel: Bad CRC-32"),
        (_of("numpy/__init__.py"), "has no libs/events/__init__.py (a wheel of gridledger)"),
        (_of("libs/events/__init__.py"), "has no services/cli/main.py (a wheel of gridledger)"),
        (_of("libs/../../outside.py"), "has a file outside: 'libs/../../outside.py'"),
        (_of("/etc/outside.py"), "has a file outside: '/etc/outside.py'"),
        (_of("libs\\..\\outside.py"), "has a file outside"),
        (_with_link, "has a link: 'libs/events/passwords'"),
        (_twice, "has a file twice"),
    ],
)
def test_a_file_that_is_no_wheel_of_ours(
    make: Callable[[Path], object], problem: str, tmp_path: Path, capsys: Capture
) -> None:
    wheel = tmp_path / "older.whl"
    make(wheel)
    assert problem in refused(capsys, "--decider", f"abc={wheel}")
    assert not (tmp_path / "outside.py").exists()


def test_a_wheel_that_is_too_large(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = write_wheel(tmp_path / "older.whl", {"x.dist-info/WHEEL": b"", "libs/a": b"0" * 2000})
    monkeypatch.setattr(releases, "BYTES_MAX", 1000)
    assert "is too large" in refused(capsys, "--decider", f"abc={wheel}")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"services/wiring.py": None}, "the release has no module services.wiring"),
        ({"libs/events/topics.yaml": None}, "topics.yaml"),
        ({"services/cli/audit.py": lambda text: "1 / 0"}, "ZeroDivisionError: division by zero"),
        (
            {"services/cli/audit.py": lambda text: text.replace('"decider": result.decider,', "")},
            "its answer lacks 'decider'",
        ),
    ],
    ids=["a module lacks", "the topic table lacks", "a bug", "no decider"],
)
def test_an_older_release_that_fails_says_so_in_one_line(
    changes: dict[str, Change | None], problem: str, export: Path, tmp_path: Path, capsys: Capture
) -> None:
    """A module or file that the wheel lacks is not taken from the installed release."""
    wheel = write_wheel(tmp_path / "older.whl", release_files(changes))
    line = refused(
        capsys, "--from-files", str(export), "--core", "validation", *given(FIRST, wheel)
    )
    assert "older.whl: the older release failed (status " in line
    assert problem in line


def test_a_core_that_is_not_replayed_is_refused_by_name(capsys: Capture) -> None:
    assert main(["audit", "replay", "--core", "ingest.effect"]) == 2
    line = capsys.readouterr().err
    assert line.startswith("error: --core: ingest.effect is not replayed (one of customers, ")


def test_compiled_files_and_foreign_packages_stay_in_the_wheel(tmp_path: Path) -> None:
    names = ("libs/events/__init__.py", "services/cli/main.py", "libs/__pycache__/a.pyc", "yaml.py")
    wheel = tmp_path / "older.whl"
    _of(*names)(wheel)
    releases.unpack(wheel, tmp_path / "there")
    found = {path.name for path in (tmp_path / "there").rglob("*") if path.is_file()}
    assert found == {"__init__.py", "main.py"}
