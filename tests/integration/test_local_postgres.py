"""PostgreSQL on this machine: as root or not, restarted, killed, refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from libs.events.errors import BadInput, Refused
from services.local import pids, postgres
from services.local.postgres import RunningPostgres, start_postgres

pytestmark = pytest.mark.postgres
Started = Callable[..., RunningPostgres]


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A directory that every user may enter; pytest's own are closed to others."""
    directory = Path(tempfile.mkdtemp(prefix="gridledger-test-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def started(open_dir: Path) -> Iterator[Started]:
    servers: list[RunningPostgres] = []

    def start(directory: Path | None = None, **options: Any) -> RunningPostgres:
        quick = {"settings": {"fsync": "off"}, **options}
        servers.append(start_postgres(directory or open_dir / "数据 pg", **quick))
        return servers[-1]

    yield start
    for server in servers:
        server.stop(grace_s=5)
    for directory in {server.data_dir for server in servers}:
        postgres.remove(directory)


def run_sql(server: RunningPostgres, *statements: str) -> Any:
    engine = sqlalchemy.create_engine(server.url)
    try:
        with engine.begin() as connection:
            for statement in statements:
                answer = connection.execute(sqlalchemy.text(statement))
            return answer.scalar() if answer.returns_rows else None
    finally:
        engine.dispose()


def test_rows_port_and_password_survive_a_restart_and_a_kill(started: Started) -> None:
    first = started()
    run_sql(first, "CREATE TABLE things (name text)", "INSERT INTO things VALUES ('电表')")
    with pytest.raises(Refused, match=r"PostgreSQL already runs on .* \(pid \d+\)"):
        started()
    found = postgres.find_postgres(first.data_dir)
    assert found is not None
    assert (found.pid, found.url) == (first.pid, first.url)
    first.stop()
    assert pids.birth_of(first.pid) is None
    assert postgres.find_postgres(first.data_dir) is None

    second = started()
    assert second.url == first.url
    assert run_sql(second, "SELECT name FROM things") == "电表"
    os.kill(second.pid, signal.SIGKILL)
    assert pids.wait_gone([(second.pid, second.birth)], timeout_s=10) == []
    third = started()
    assert run_sql(third, "SELECT count(*) FROM things") == 1
    assert run_sql(third, "SHOW fsync") == "off"
    assert run_sql(third, "SHOW listen_addresses") == "127.0.0.1"


def test_a_killed_server_that_nobody_reaps_does_not_block_the_next(started: Started) -> None:
    server = started()
    for _ in range(3):
        os.kill(server.pid, signal.SIGKILL)
        while server.is_alive:  # from here on it is a zombie: this test is its parent
            time.sleep(0.01)
        assert Path(f"/proc/{server.pid}").exists()
        server.start()
        assert run_sql(server, "SELECT 1") == 1


def test_backends_that_outlived_their_server_are_waited_for(started: Started) -> None:
    server = started()
    engine = sqlalchemy.create_engine(server.url)
    with engine.connect() as connection:
        backend = connection.execute(sqlalchemy.text("SELECT pg_backend_pid()")).scalar_one()
        os.kill(backend, signal.SIGSTOP)
        os.kill(server.pid, signal.SIGKILL)
        while server.is_alive:
            time.sleep(0.01)
        with pytest.raises(Refused, match=rf"still run: pids \[{backend}\]"):
            server.launch()
        os.kill(backend, signal.SIGKILL)
        connection.invalidate()
    engine.dispose()
    server.start()
    assert run_sql(server, "SELECT 1") == 1


def test_the_server_never_runs_as_root(started: Started) -> None:
    server = started()
    uid = Path(f"/proc/{server.pid}").stat().st_uid
    assert uid != 0
    if os.geteuid() != 0:
        assert uid == os.geteuid()
    password_file = server.data_dir / "server.json"
    assert password_file.stat().st_mode & 0o777 == 0o600
    assert not list(server.data_dir.glob("**/password"))


def test_the_password_is_asked_for(started: Started) -> None:
    server = started()
    password = json.loads((server.data_dir / "server.json").read_text())["password"]
    wrong = sqlalchemy.create_engine(server.url.replace(password, "guess"))
    with pytest.raises(sqlalchemy.exc.OperationalError, match="password authentication failed"):
        wrong.connect()
    wrong.dispose()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has directories others cannot reach")
def test_root_with_a_directory_that_nobody_else_may_enter(started: Started, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = started(closed / "pg")
    assert run_sql(server, "SELECT 1") == 1
    outside = Path(json.loads((closed / "pg" / "server.json").read_text())["files_dir"])
    assert tmp_path not in outside.parents
    assert outside.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(Refused, match="PostgreSQL runs on"):
        postgres.remove(closed / "pg")
    server.stop()
    postgres.remove(closed / "pg")
    assert not outside.parent.exists()
    assert not (closed / "pg").exists()


def test_a_taken_port_is_named(started: Started) -> None:
    server = started()
    server.stop()
    port = json.loads((server.data_dir / "server.json").read_text())["port"]
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(Refused, match=rf'port {port} of .* is taken .*"port" of .*server\.json'),
    ):
        started()


def test_files_of_another_version_are_refused(started: Started) -> None:
    server = started()
    server.stop()
    version_file = server.data_dir / "files" / "PG_VERSION"
    version_file.write_text("9\n")
    with pytest.raises(Refused, match=r"made by PostgreSQL 9, this is PostgreSQL \d+: give"):
        started()


def test_a_wrong_server_setting_is_one_line(started: Started) -> None:
    with pytest.raises(Refused, match=r'PostgreSQL ended: .*"no_such_setting".*postgres\.log'):
        started(settings={"no_such_setting": "1"})


@pytest.mark.parametrize("content", ["", "{", "[]", '{"port": "x"}'])
def test_a_broken_server_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "server.json").write_text(content)
    with pytest.raises(Refused, match=r"server\.json is not readable"):
        start_postgres(tmp_path)


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pg").touch()
    with pytest.raises(BadInput, match="name a directory you may write"):
        start_postgres(tmp_path / "pg")


def test_missing_binaries_name_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(postgres, "_BINARY_PLACES", ())
    with pytest.raises(Refused, match=r"apt-get install postgresql`.* or use --database sqlite"):
        start_postgres(tmp_path)


def test_it_dies_with_its_starter_or_outlives_it(open_dir: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "from services.local.postgres import start_postgres\n"
        "server = start_postgres(Path(sys.argv[1]), outlive=sys.argv[2] == 'outlive')\n"
        "print(server.pid, server.birth, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    for how, lives in (("die", False), ("outlive", True)):
        command = [sys.executable, "-c", code, str(open_dir / how), how]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        number, birth = answer.stdout.split()
        still = pids.wait_gone([(int(number), birth)], timeout_s=0 if lives else 20)
        found = postgres.find_postgres(open_dir / how)
        if found is not None:
            found.stop(grace_s=5)
        assert bool(still) is lives, answer.stderr
