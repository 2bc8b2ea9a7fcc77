"""Calls of the laboratory's commands, and the documents they are called with."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from services.cli import main as cli
from tests.unit.metrology.samples import bench_run

ON = "2026-03-31"
Capsys = pytest.CaptureFixture[str]


def document(**changes: Any) -> dict[str, Any]:
    """A meter's run that passes, as a line of the file."""
    return json.loads(json.dumps(asdict(bench_run()))) | changes


def transformer(**changes: Any) -> dict[str, Any]:
    places = [(pct, "rated") for pct in ("1", "5", "20", "100", "120")]
    places += [(pct, "lower") for pct in ("1", "5", "20", "100")]
    points = [
        {"pct": pct, "burden": burden, "ratio_error_pct": "0.11", "phase_min": 3.5}
        for pct, burden in places
    ]
    values = {
        "run_id": "T-1",
        "device": "CT",
        "device_no": "CT7",
        "accuracy_class": "0.2S",
        "standard_no": "S1",
        "standard_class": "0.02",
        "standard_due_on": "2027-01-31",
        "measured_at": "2026-03-01T02:00:00Z",
        "operator": "lab-3",
        "points": points,
    }
    return values | changes


def lines(*documents: Any) -> bytes:
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in documents).encode()


def call(capsys: Capsys, *arguments: str) -> tuple[int, str]:
    status = cli.main(["metrology", *arguments])
    printed = capsys.readouterr()
    assert printed.err == ""
    return status, printed.out


def as_json(capsys: Capsys, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    status, out = call(capsys, *arguments, "--json")
    return status, [json.loads(line) for line in out.splitlines()]


def refused(capsys: Capsys, *arguments: str) -> str:
    assert cli.main(["metrology", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    return printed.err.removeprefix("error: ").strip()
