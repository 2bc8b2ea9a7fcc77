"""`gridledger local status --lines`: what the field process tells of its lines over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, start_http_server
from typer.testing import CliRunner

from libs.events.errors import BadInput, Refused
from services.cli import local
from services.cli.local_lines import line_rows
from services.ingest.line_metrics import LineMetrics
from services.ingest.protocols.drivers import LineCounts

COUNTS = {
    "tcp:192.0.2.7:6001": LineCounts(
        asked=12, answered=9, retried=2, broken=1, busy_s=4.5, lost_s=1.0, held_s=9.0
    ),
    "serial:/dev/ttyS1": LineCounts(),
}


@pytest.fixture
def port() -> Iterator[int]:
    registry = CollectorRegistry()
    registry.register(LineMetrics(lambda: COUNTS))
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join(5)


def asked(
    monkeypatch: pytest.MonkeyPatch, port: int, tmp_path: Path, *options: str
) -> tuple[str, BaseException | None]:
    row = {
        "service": "ingest-field",
        "ordinal": 0,
        "pid": 41,
        "state": "running",
        "restarts": 0,
        "uptime_s": 5.0,
        "next_start_s": None,
        "last_exit": None,
        "last_error": "",
        "report": {"state": "ready", "health_port": port, "age_s": 0.1, "recovering": {}},
    }
    answer: dict[str, Any] = {
        "supervisor": {"pid": 7, "uptime_s": 70.0},
        "servers": [],
        "services": [row],
    }
    monkeypatch.setattr(local.control_socket, "ask", lambda *_: answer)
    told = CliRunner().invoke(local.app, ["status", "--data", str(tmp_path), *options])
    return told.output, told.exception


def test_what_the_lines_did(monkeypatch: pytest.MonkeyPatch, port: int, tmp_path: Path) -> None:
    output, _ = asked(monkeypatch, port, tmp_path, "--lines")
    shown = [line.split() for line in output.splitlines()[-3:]]
    assert shown == [
        ["line", "asked", "answered", "unanswered", "retried", "broken", "busy"],
        ["serial:/dev/ttyS1", "0", "0", "0", "0", "0"],
        ["tcp:192.0.2.7:6001", "12", "9", "3", "2", "1", "50%"],
    ]
    assert max(map(len, output.splitlines())) <= 80


def test_lines_as_json(monkeypatch: pytest.MonkeyPatch, port: int, tmp_path: Path) -> None:
    output, _ = asked(monkeypatch, port, tmp_path, "--lines", "--json")
    assert json.loads(output)["lines"][1] == {
        "line": "tcp:192.0.2.7:6001",
        "asked": 12,
        "answered": 9,
        "retried": 2,
        "broken": 1,
        "unanswered": 3,
        "busy_s": 4.5,
        "lost_s": 1.0,
        "held_s": 9.0,
    }
    plain, _ = asked(monkeypatch, port, tmp_path, "--json")
    assert "lines" not in json.loads(plain)


def test_lines_that_nobody_tells(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _, missing = asked(monkeypatch, 0, tmp_path, "--lines")
    assert isinstance(missing, BadInput)
    assert "ingest-field does not run" in str(missing)
    with pytest.raises(Refused, match="does not tell its metrics"):
        line_rows(9)
