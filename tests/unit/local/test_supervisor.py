"""The supervisor with real processes: toy services, killed, scaled, deaf, broken, left behind."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from libs.events.errors import BadInput, Refused
from services.local import control_socket, files, pids, supervisor
from services.local.installation import start_supervisor
from services.local.plan import Plan, PlannedService, read_plan

TOYS = "tests.unit.local.toy_service"
Up = Callable[..., Path]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """Starts a supervisor on a directory of its own; ends whatever is left afterwards."""
    directories: list[Path] = []

    def start(function: str = "run", count: int = 1, start_by: str = "auto", **more: Any) -> Path:
        data_dir: Path = more.pop("data_dir", tmp_path / "data")
        plan = Plan(
            data_dir=data_dir,
            services=(PlannedService(name="toy", target=f"{TOYS}:{function}", count=count),),
            start_by=start_by,
            watches_servers=False,
            preloads_libraries=False,
            stop_grace_s=1.0,
            environment={"GRIDLEDGER_DATA_DIR": str(data_dir), "GRIDLEDGER_PARTITIONS": "12"},
        )
        plan = replace(plan, **more)
        plan.save()
        directories.append(data_dir)
        start_supervisor(plan)
        return data_dir

    yield start
    for data_dir in directories:
        found = control_socket.find_supervisor(data_dir)
        if found is not None:
            pids.end([(found.pid, found.birth)], grace_s=10)
        supervisor.end_recorded(data_dir, 0)


def services_of(data_dir: Path) -> list[dict[str, Any]]:
    answer = control_socket.ask(data_dir, {"command": "status"})
    rows: list[dict[str, Any]] = answer["services"]
    return rows


def eventually(
    data_dir: Path, wanted: Callable[[list[dict[str, Any]]], bool], timeout_s: float = 20.0
) -> list[dict[str, Any]]:
    deadline = time.monotonic() + timeout_s
    while not wanted(rows := services_of(data_dir)):
        assert time.monotonic() < deadline, rows
        time.sleep(0.05)
    return rows


def all_report(rows: list[dict[str, Any]]) -> bool:
    return bool(rows) and all(row["report"] for row in rows)


def log_of(data_dir: Path, name: str) -> str:
    return (data_dir / "logs" / f"{name}.log").read_text()


@pytest.mark.parametrize("start_by", ["auto", "spawn"])
def test_a_killed_service_comes_back_with_its_own_pid(up: Up, start_by: str) -> None:
    data_dir = up(count=2, start_by=start_by)
    before = eventually(data_dir, all_report)
    assert [(row["service"], row["ordinal"], row["restarts"]) for row in before] == [
        ("toy", 0, 0),
        ("toy", 1, 0),
    ]
    report = before[1]["report"]
    assert (report["partitions"], report["lag_records"], report["lag_s"]) == ([1], 7, 1.5)
    supervising = control_socket.find_supervisor(data_dir)
    assert supervising is not None
    assert len({supervising.pid, before[0]["pid"], before[1]["pid"]}) == 3

    os.kill(before[0]["pid"], signal.SIGKILL)
    waiting = eventually(data_dir, lambda rows: rows[0]["state"] == "waiting")[0]
    assert (waiting["pid"], waiting["last_exit"], waiting["report"]) == (None, "SIGKILL", None)
    after = eventually(data_dir, all_report)
    assert after[0]["restarts"] == 1
    assert after[0]["pid"] not in {before[0]["pid"], before[1]["pid"]}
    assert after[1]["pid"] == before[1]["pid"]
    assert "toy 0 with 12 partitions" in log_of(data_dir, "toy-0")


def test_fork_is_used_and_the_child_bears_its_own_name(up: Up) -> None:
    data_dir = up()
    answer = control_socket.ask(data_dir, {"command": "status"})
    assert answer["supervisor"]["starts_by"] == "fork"
    row = eventually(data_dir, all_report)[0]
    assert Path(f"/proc/{row['pid']}/comm").read_text() == "gl:toy-0\n"
    assert os.getsid(row["pid"]) == row["pid"]  # Ctrl-C at a terminal does not reach it


def test_a_service_that_cannot_run_is_tried_ever_more_rarely(up: Up) -> None:
    data_dir = up("refuse")
    rows = eventually(data_dir, lambda rows: rows[0]["restarts"] == 2)
    assert rows[0]["last_exit"] == "status 2"
    rows = eventually(data_dir, lambda rows: rows[0]["state"] == "waiting")
    assert 1.0 < rows[0]["next_start_s"] <= 2.0  # 0.5, 1, now 2 seconds
    assert rows[0]["last_error"] == "error: toy: no such cluster: name another"
    assert log_of(data_dir, "toy-0") == "error: toy: no such cluster: name another\n" * 3


def test_a_bug_leaves_its_traceback_in_the_log(up: Up) -> None:
    data_dir = up("break_down")
    rows = eventually(data_dir, lambda rows: rows[0]["last_exit"] is not None)
    assert rows[0]["last_exit"] == "status 1"
    rows = eventually(data_dir, lambda rows: rows[0]["state"] == "waiting")
    assert rows[0]["last_error"] == "AssertionError: an invariant of the toy is broken"
    assert "AssertionError: an invariant of the toy is broken" in log_of(data_dir, "toy-0")


def test_down_ends_services_in_an_orderly_way(up: Up) -> None:
    data_dir = up(count=3)
    rows = eventually(data_dir, all_report)
    found = control_socket.find_supervisor(data_dir)
    assert found is not None
    control_socket.ask(data_dir, {"command": "down"})
    assert pids.wait_gone([(found.pid, found.birth)], timeout_s=10) == []
    assert all(pids.birth_of(row["pid"]) is None for row in rows)
    assert all("toy ends" in log_of(data_dir, f"toy-{n}") for n in range(3))
    with pytest.raises(Refused, match=r"nothing runs in .* `gridledger local up` starts it"):
        services_of(data_dir)


def test_sigterm_to_the_supervisor_ends_a_deaf_service_by_sigkill(up: Up) -> None:
    data_dir = up("ignore_sigterm")
    pid = eventually(data_dir, lambda rows: bool(rows[0]["pid"]))[0]["pid"]
    log_file = data_dir / "logs" / "toy-0.log"
    while not log_file.exists() or "deaf" not in log_file.read_text():
        time.sleep(0.02)
    found = control_socket.find_supervisor(data_dir)
    assert found is not None
    os.kill(found.pid, signal.SIGTERM)
    assert pids.wait_gone([(found.pid, found.birth)], timeout_s=10) == []
    assert pids.birth_of(pid) is None
    assert f"killed after 1 s: [{pid}]" in log_of(data_dir, "supervisor")


def test_scaling_up_and_down_is_remembered(up: Up) -> None:
    data_dir = up()
    first = eventually(data_dir, all_report)[0]["pid"]
    scale: dict[str, Any] = {"command": "scale", "service": "toy"}
    control_socket.ask(data_dir, {**scale, "count": 3})
    rows = eventually(data_dir, lambda rows: len(rows) == 3 and all_report(rows))
    assert rows[0]["pid"] == first
    control_socket.ask(data_dir, {**scale, "count": 1})
    rows = eventually(data_dir, lambda rows: len(rows) == 1)
    assert (rows[0]["ordinal"], rows[0]["pid"]) == (0, first)
    assert "toy ends" in log_of(data_dir, "toy-2")
    plan = read_plan(data_dir)
    assert plan is not None
    assert plan.services[0].count == 1


def test_a_member_is_asked_to_end_once_whatever_is_scaled_meanwhile(up: Up) -> None:
    data_dir = up("count_sigterms", count=4)
    eventually(data_dir, lambda rows: all(row["pid"] for row in rows))
    for ordinal in range(4):
        while "counting" not in log_of(data_dir, f"toy-{ordinal}"):
            time.sleep(0.02)
    for count in (3, 2, 1):
        control_socket.ask(data_dir, {"command": "scale", "service": "toy", "count": count})
    eventually(data_dir, lambda rows: len(rows) == 1)
    for ordinal in (1, 2, 3):
        assert f"toy {ordinal} was asked 1 times" in log_of(data_dir, f"toy-{ordinal}")


def test_scaling_back_up_while_the_old_member_still_ends(up: Up) -> None:
    data_dir = up("ignore_sigterm", count=2)
    old = eventually(data_dir, lambda rows: all(row["pid"] for row in rows))[1]["pid"]
    while not (data_dir / "logs" / "toy-1.log").exists():
        time.sleep(0.02)
    scale: dict[str, Any] = {"command": "scale", "service": "toy"}
    control_socket.ask(data_dir, {**scale, "count": 1})
    control_socket.ask(data_dir, {**scale, "count": 2})
    seen: list[list[int]] = []

    def both_run(rows: list[dict[str, Any]]) -> bool:
        seen.append([row["ordinal"] for row in rows if row["pid"]])
        return [row["state"] for row in rows] == ["running", "running"]

    rows = eventually(data_dir, both_run)
    assert rows[1]["pid"] != old
    assert [0, 1] in seen
    assert [0, 1, 1] not in seen  # never two with one ordinal


WRONG_REQUESTS: list[tuple[dict[str, Any], str]] = [
    ({"command": "scale", "service": "nothing", "count": 1}, "no nothing .*one of toy"),
    ({"command": "scale", "service": "toy", "count": 101}, "101 members .*0 to 100"),
    ({"command": "scale", "service": "toy", "count": "2"}, "needs a service and a count"),
    ({"command": "dance"}, "command: unknown .*one of status, scale, down"),
    ({}, "command: unknown"),
]


def test_wrong_requests_are_refused_and_change_nothing(up: Up) -> None:
    data_dir = up(preloads_libraries=True)
    for request, said in WRONG_REQUESTS:
        with pytest.raises(Refused, match=said):
            control_socket.ask(data_dir, request)
    with socket.socket(socket.AF_UNIX) as connection:
        found = control_socket.find_supervisor(data_dir)
        assert found is not None
        connection.connect(found.socket_path)
        connection.sendall(b"no JSON\n")
    answer = control_socket.ask(data_dir, {"command": "status"})
    assert len(answer["services"]) == 1
    assert answer["supervisor"]["starts_by"] == "fork"  # the libraries start no thread


def test_after_the_supervisor_was_killed_the_next_one_ends_what_it_left(up: Up) -> None:
    data_dir = up(count=2)
    left = [row["pid"] for row in eventually(data_dir, all_report)]
    found = control_socket.find_supervisor(data_dir)
    assert found is not None
    os.kill(found.pid, signal.SIGKILL)
    pids.wait_gone([(found.pid, found.birth)], timeout_s=5)
    assert control_socket.find_supervisor(data_dir) is None
    assert all(pids.birth_of(pid) is not None for pid in left)

    up(count=2, data_dir=data_dir)
    rows = eventually(data_dir, all_report)
    assert not {row["pid"] for row in rows} & set(left)
    assert all(pids.birth_of(pid) is None for pid in left)
    assert "ended the services of an earlier supervisor" in log_of(data_dir, "supervisor")


def test_a_pid_on_record_that_belongs_to_another_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    rows = [{"name": "toy-0", "pid": os.getpid(), "birth": "0123abcd:1"}]
    files.write_json(supervisor.members_file(tmp_path), rows)
    assert supervisor.end_recorded(tmp_path) is None


def test_the_report_of_an_earlier_process_is_not_shown(up: Up) -> None:
    data_dir = up("ignore_sigterm")
    (data_dir / "run" / "toy-0.json").write_text('{"pid": 1, "state": "ready"}')
    assert services_of(data_dir)[0]["report"] is None


def test_a_very_deep_directory_has_its_socket_elsewhere(up: Up, tmp_path: Path) -> None:
    data_dir = up(data_dir=tmp_path / ("deep" * 30))
    assert len(services_of(data_dir)) == 1
    found = control_socket.find_supervisor(data_dir)
    assert found is not None
    elsewhere = Path(found.socket_path)
    assert elsewhere.stat().st_mode & 0o777 == 0o600
    assert elsewhere.parent.stat().st_mode & 0o777 == 0o700
    control_socket.ask(data_dir, {"command": "down"})
    assert pids.wait_gone([(found.pid, found.birth)], timeout_s=10) == []
    assert not elsewhere.parent.exists()


def test_a_plan_of_another_release_is_refused(tmp_path: Path) -> None:
    assert read_plan(tmp_path) is None
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "plan.json").write_text('{"services": [], "colour": "red"}')
    with pytest.raises(Refused, match="was written by another release: delete it"):
        read_plan(tmp_path)


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    toy = PlannedService(name="toy", target="toys:run", count=2)
    plan = Plan(data_dir=tmp_path, services=(toy,), nodes=3, database="postgres")
    plan.save()
    assert read_plan(tmp_path) == plan
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
    with pytest.raises(BadInput):
        plan.scaled("toy", -1)
