"""What `gridledger local status` says of services that run, recover, or wait for their setting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.cli import local

RUNNING = {
    "service": "billing",
    "ordinal": 0,
    "pid": 41,
    "state": "running",
    "restarts": 1,
    "uptime_s": 65.0,
    "next_start_s": None,
    "last_exit": "SIGKILL",
    "last_error": "",
}
REPORT = {
    "partitions": [0, 1],
    "recovering": {},
    "lag_records": 12,
    "lag_s": 3.0,
    "state": "ready",
    "age_s": 0.3,
    "health_port": 40123,
}


def shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **changes: Any) -> list[str]:
    """The lines of the command for one service."""
    row = {**RUNNING, "report": REPORT, **changes}
    answer = {"supervisor": {"pid": 7, "uptime_s": 70.0}, "servers": [], "services": [row]}
    monkeypatch.setattr(local.control_socket, "ask", lambda *_: answer)
    told = CliRunner().invoke(local.app, ["status", "--data", str(tmp_path)])
    assert told.exit_code == 0, told.output
    return [line.strip() for line in told.output.splitlines()]


def test_the_address_of_the_metrics_in_json(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shown(monkeypatch, tmp_path)
    told = CliRunner().invoke(local.app, ["status", "--json", "--data", str(tmp_path)])
    assert json.loads(told.output)["services"][0]["report"]["health_port"] == 40123


def words(line: str) -> list[str]:
    return line.split()


def test_a_running_service_with_its_lag(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = shown(monkeypatch, tmp_path)
    assert lines[0] == "supervisor 7, up 1m10s"
    assert words(lines[2]) == ["billing-0", "41", "ready", "1", "1m05s", "0,1", "12", "3s", "40123"]


@pytest.mark.parametrize(
    ("report", "state"),
    [
        ({"recovering": {"0": 40, "1": 2}}, "recovering 42 left"),
        ({"age_s": 75.0}, "silent for 1m15s"),
        ({"state": None}, "running"),
    ],
)
def test_the_state_in_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, report: dict[str, Any], state: str
) -> None:
    lines = shown(monkeypatch, tmp_path, report=REPORT | report)
    assert f" {state} " in lines[2]


def test_a_service_that_waits_says_why_below(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    waiting = {"pid": None, "state": "waiting", "uptime_s": None, "next_start_s": 19.2}
    why = "error: GRIDLEDGER_OPERATORS_FILE is not set: nobody could sign in; name the file"
    lines = shown(
        monkeypatch, tmp_path, **waiting, last_exit="status 2", last_error=why, report=None
    )
    assert words(lines[2]) == ["billing-0", "starts", "in", "19s", "1"]
    assert lines[3] == f"billing-0 ended with status 2: {why}"
