"""`local up` and `down` around servers that somebody else runs, and what they refuse."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.events.errors import BadInput, Refused
from services.cli import main as cli
from services.local import control_socket, installation
from services.local.installation import UpOptions
from services.local.plan import PlannedService, read_plan
from services.settings import load_settings, local_file

TOY = PlannedService(name="toy", target="tests.unit.local.toy_service:run")


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in list(os.environ):
        if name.startswith("GRIDLEDGER_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GRIDLEDGER_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setattr(installation, "_apply_topics", lambda *_: None)
    yield tmp_path / "data"
    installation.take_down(tmp_path / "data")


def up(data_dir: Path) -> installation.Installation:
    return installation.bring_up(UpOptions(data_dir=data_dir, services=(TOY,), start_by="spawn"))


def test_up_status_logs_scale_down_reset(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = up(data_dir)
    assert (made.kafka_bootstrap_servers, made.service_count) == ("127.0.0.1:1", 1)
    data = ["--data", str(data_dir)]
    assert cli.main(["local", "status", "--json", *data]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status["servers"] == []
    assert [row["service"] for row in status["services"]] == ["toy"]
    assert cli.main(["local", "status", *data]) == 0
    assert "toy-0" in capsys.readouterr().out
    assert cli.main(["local", "logs", "supervisor", "--lines", "50", *data]) == 0
    assert "toy-0 started, pid" in capsys.readouterr().out
    assert cli.main(["local", "scale", "toy", "0", *data]) == 0
    assert capsys.readouterr().out == "toy: 0 members\n"
    assert cli.main(["local", "reset", "--yes", *data]) == 0 + 2
    assert "is up: end it with `gridledger local down`" in capsys.readouterr().err
    assert cli.main(["local", "down", *data]) == 0
    assert capsys.readouterr().out == f"down: {data_dir}\n"
    plan = read_plan(data_dir)
    assert plan is not None
    assert plan.services[0].count == 0
    assert cli.main(["local", "reset", "--yes", *data]) == 0
    assert not data_dir.exists()


def test_a_key_of_evidence_is_drawn_once_and_only_when_none_is_given(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    up(data_dir)
    drawn = data_dir / "evidence.key"
    key = drawn.read_text()
    assert len(bytes.fromhex(key)) == 32
    assert drawn.stat().st_mode & 0o777 == 0o600
    assert load_settings(data_dir=data_dir).settings.evidence_key_file == drawn
    installation.take_down(data_dir)
    up(data_dir)
    assert drawn.read_text() == key
    installation.take_down(data_dir)
    given = tmp_path / "given.key"
    given.write_text("given")
    monkeypatch.setenv("GRIDLEDGER_EVIDENCE_KEY_FILE", str(given))
    up(data_dir)
    assert load_settings(data_dir=data_dir).settings.evidence_key_file == given


def test_a_second_up_is_refused_and_disturbs_nothing(data_dir: Path) -> None:
    up(data_dir)
    before = control_socket.ask(data_dir, {"command": "status"})["services"]
    with pytest.raises(Refused, match=r"is up already \(supervisor \d+\)"):
        up(data_dir)
    after = control_socket.ask(data_dir, {"command": "status"})["services"]
    assert after[0]["pid"] == before[0]["pid"]


def test_two_at_a_time_are_refused(data_dir: Path) -> None:
    (data_dir / "run").mkdir(parents=True)
    with (
        installation._alone(data_dir),
        pytest.raises(Refused, match="another `gridledger local` is at work"),
    ):
        up(data_dir)


def test_a_server_named_twice_is_refused(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="nodes: GRIDLEDGER_KAFKA_BOOTSTRAP_SERVERS is set"):
        installation.bring_up(UpOptions(data_dir=data_dir, nodes=3))
    monkeypatch.setenv("GRIDLEDGER_DATABASE_URL", "sqlite:///x.db")
    with pytest.raises(BadInput, match="database: GRIDLEDGER_DATABASE_URL is set"):
        installation.bring_up(UpOptions(data_dir=data_dir, database="postgres"))
    assert not local_file(data_dir).exists()


def test_a_failed_up_leaves_nothing_running(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise Refused("topic billing.events has 3 partitions, not 4")

    monkeypatch.setattr(installation, "_apply_topics", broken)
    with pytest.raises(Refused, match="3 partitions, not 4"):
        up(data_dir)
    assert not installation.runs(data_dir)
    assert not local_file(data_dir).exists()


def test_a_supervisor_that_cannot_start_says_why(data_dir: Path) -> None:
    (data_dir / "run" / "supervisor.sock").mkdir(parents=True)
    with pytest.raises(Refused, match=r"the supervisor ended: .*supervisor\.log"):
        up(data_dir)


def test_down_where_nothing_runs_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["local", "down", "--data", str(tmp_path / "none")]) == 0
    assert capsys.readouterr().out.startswith("nothing ran in ")
    assert not (tmp_path / "none").exists()


def test_reset_leaves_the_files_of_others(data_dir: Path) -> None:
    for part in ("kafka", "run", "logs", "mine"):
        (data_dir / part).mkdir(parents=True)
    assert [part.name for part in installation.reset(data_dir)] == ["kafka", "run", "logs"]
    assert [part.name for part in data_dir.iterdir()] == ["mine"]
