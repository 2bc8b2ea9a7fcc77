"""A real PostgreSQL on this machine, from the binaries that are installed: no container.

Loopback only, one database and one role `gridledger`, password in DIR/server.json (mode 0600)::

    server = start_postgres(Path(".data/postgres"))
    engine = sqlalchemy.create_engine(server.url)
    server.stop()

PostgreSQL refuses to run as root, so for root the server runs as the user `postgres` or `nobody`.
When that user cannot reach DIR (a checkout in root's home), the files lie in /var/tmp and DIR
remembers where.
"""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from libs.events.errors import Refused, Unavailable
from services.local import files, pids, ports

ROLE = "gridledger"
DATABASE = "gridledger"
START_TIMEOUT_S = 60.0
STOP_GRACE_S = 15.0
_UNPRIVILEGED = ("postgres", "nobody")
_BINARY_PLACES = ("/usr/lib/postgresql", "/usr", "/opt/homebrew/opt", "/usr/local/opt")
_BINARY_PATTERNS = ("[0-9]*/bin", "pgsql-[0-9]*/bin", "postgresql@[0-9]*/bin")
_OUTSIDE = "/var/tmp"  # noqa: S108  (kept over a restart of the machine, unlike /tmp)
_STATUS_LINE = 8  # of postmaster.pid: "ready" once the server takes connections
# Caches live in this database (checkpoints and views), beside many other programs.
_SERVER_SETTINGS = {
    "listen_addresses": ports.LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "log_destination": "stderr",
    "logging_collector": "off",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who runs the server: None for ourselves, else the unprivileged user that root takes."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One data directory of PostgreSQL: where its files lie and how it is reached."""

    data_dir: Path
    files_dir: Path
    port: int
    password: str

    @property
    def server_file(self) -> Path:
        return self.data_dir / "server.json"

    @property
    def running_file(self) -> Path:
        return self.data_dir / "running.json"

    @property
    def log_file(self) -> Path:
        return self.data_dir / "postgres.log"


class RunningPostgres:
    """A PostgreSQL server on one data directory, started here or found running."""

    def __init__(
        self,
        server: Server,
        *,
        outlive: bool,
        settings: Mapping[str, str] | None = None,
        pid: int = 0,
        birth: str = "",
    ) -> None:
        self._server = server
        self._outlive = outlive
        self._settings = dict(settings or {})
        self.pid = pid
        self.birth = birth

    @property
    def url(self) -> str:
        """The SQLAlchemy address, password included."""
        secret = quote(self._server.password, safe="")
        host = f"{ports.LOOPBACK}:{self._server.port}"
        return f"postgresql+psycopg://{ROLE}:{secret}@{host}/{DATABASE}"

    @property
    def data_dir(self) -> Path:
        return self._server.data_dir

    @property
    def log_file(self) -> Path:
        return self._server.log_file

    @property
    def is_alive(self) -> bool:
        return pids.is_alive(self.pid, self.birth)

    def launch(self) -> int:
        """Start the server without waiting; returns where its part of the log file begins."""
        server = self._server
        if not ports.wait_free(server.port, timeout_s=2):
            raise _port_taken(server)
        _clear_lock_of_dead(server.files_dir)
        command = [str(binary_dir(server.files_dir) / "postgres"), "-D", str(server.files_dir)]
        for name, value in {**_SERVER_SETTINGS, "port": str(server.port), **self._settings}.items():
            command += ["-c", f"{name}={value}"]
        if not self._outlive:
            command = _end_with_starter() + command
        offset = files.rotate_log(server.log_file)
        with server.log_file.open("ab") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **_as_owner(),
            )
        child.returncode = 0  # pids.py reaps it; Popen must neither wait nor warn
        self.pid = child.pid
        self.birth = pids.birth_of(child.pid) or ""
        running = {"pid": self.pid, "birth": self.birth}
        files.write_json(server.running_file, running)
        return offset

    def start(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Start the server and return when it takes connections."""
        offset = self.launch()
        deadline = time.monotonic() + timeout_s
        while not self._is_ready():
            if not self.is_alive:
                raise self._start_failed(files.read_from(self.log_file, offset))
            if time.monotonic() > deadline:
                self.stop(grace_s=0)
                raise Unavailable(
                    f"PostgreSQL did not take connections within {timeout_s:g} s: "
                    f"see {self.log_file}"
                )
            time.sleep(0.05)

    def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """End the server, its clients' connections included; SIGKILL after `grace_s` seconds."""
        pids.send(self.pid, self.birth, signal.SIGINT)  # PostgreSQL's "fast shutdown"
        owned = [(self.pid, self.birth)]
        if pids.wait_gone(owned, timeout_s=grace_s):
            pids.end(owned, grace_s=0)
        self._server.running_file.unlink(missing_ok=True)

    def _is_ready(self) -> bool:
        try:
            lines = (self._server.files_dir / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        if len(lines) < _STATUS_LINE or lines[0].strip() != str(self.pid):
            return False  # the file of a server that was killed lies there until ours replaces it
        return lines[_STATUS_LINE - 1].strip() == "ready"

    def _start_failed(self, text: str) -> Refused:
        if "Address already in use" in text:
            return _port_taken(self._server)
        return Refused(f"PostgreSQL ended: {_reason(text)} (see {self.log_file})")


def start_postgres(
    data_dir: Path, *, settings: Mapping[str, str] | None = None, outlive: bool = False
) -> RunningPostgres:
    """Start PostgreSQL on `data_dir` (made when new) and return when it takes connections.

    `settings` are server settings that replace ours (tests: `{"fsync": "off"}`). The server dies
    with the thread that called this, or goes on when `outlive`. Raises Refused, with the fix, for
    missing binaries, files of another PostgreSQL version, a running server, a taken port.
    """
    data_dir = data_dir.resolve()
    running = find_postgres(data_dir)
    if running is not None:
        raise Refused(
            f"PostgreSQL already runs on {data_dir} (pid {running.pid}): "
            "`gridledger local down` ends it, or give another --data directory"
        )
    binary_dir()  # before anything is made
    is_new = not (data_dir / "server.json").exists()
    server = _make_server(data_dir) if is_new else _read_server(data_dir)
    if not (server.files_dir / "PG_VERSION").exists():
        _initialise(server)
        is_new = True
    _check_version(server)
    found = RunningPostgres(server, outlive=outlive, settings=settings)
    found.start()
    if is_new:
        try:
            _create_database(server)
        except BaseException:
            found.stop()
            raise
    return found


def find_postgres(data_dir: Path) -> RunningPostgres | None:
    """The server that runs on this data directory, whoever started it; None when none does."""
    data_dir = data_dir.resolve()
    if not (data_dir / "server.json").exists() or not (data_dir / "running.json").exists():
        return None
    server = _read_server(data_dir)
    entry = files.read_json(server.running_file)
    found = RunningPostgres(
        server, outlive=True, pid=int(entry.get("pid", 0)), birth=str(entry.get("birth", ""))
    )
    return found if found.is_alive else None


def remove(data_dir: Path) -> None:
    """Delete a stopped server's files, wherever they lie."""
    if not data_dir.exists():
        return
    if find_postgres(data_dir) is not None:
        raise Refused(f"PostgreSQL runs on {data_dir}: `gridledger local down` ends it")
    if (data_dir / "server.json").exists():
        outside = _read_server(data_dir.resolve()).files_dir.parent
        if outside.name.startswith("gridledger-postgres-"):
            shutil.rmtree(outside, ignore_errors=True)
    shutil.rmtree(data_dir)


def binary_dir(files_dir: Path | None = None) -> Path:
    """The directory of `initdb` and `postgres`: PATH, else the usual places, newest first.

    With `files_dir`, one whose version made those files when there is one.
    Raises Refused with the package to install when there is none.
    """
    candidates = _binary_candidates()
    if not candidates:
        raise Refused(
            "no PostgreSQL server on PATH or in /usr/lib/postgresql: install one "
            "(Debian: `apt-get install postgresql`), or use --database sqlite"
        )
    wanted = _files_version(files_dir) if files_dir is not None else None
    for candidate in candidates:
        if wanted is not None and _binary_version(candidate) == wanted:
            return candidate
    return candidates[0]


def _binary_candidates() -> list[Path]:
    on_path = shutil.which("postgres")
    found = [Path(on_path).resolve().parent] if on_path else []
    for place in _BINARY_PLACES:
        for pattern in _BINARY_PATTERNS:
            found += sorted(Path(place).glob(pattern), key=_number_in, reverse=True)
    return [
        directory
        for directory in dict.fromkeys(found)
        if (directory / "initdb").exists() and (directory / "postgres").exists()
    ]


def _number_in(directory: Path) -> float:
    numbers = re.findall(r"\d+(?:\.\d+)?", directory.parent.name)
    return float(numbers[-1]) if numbers else 0.0


def _binary_version(directory: Path) -> str:
    answer = subprocess.run(
        [directory / "postgres", "--version"], capture_output=True, text=True, check=False
    )
    found = re.search(r"\) (\d+)", answer.stdout)
    return found.group(1) if found else ""


def _files_version(files_dir: Path) -> str | None:
    version_file = files_dir / "PG_VERSION"
    return version_file.read_text().strip() if version_file.exists() else None


def _check_version(server: Server) -> None:
    made_by = _files_version(server.files_dir)
    ours = _binary_version(binary_dir(server.files_dir))
    if made_by != ours:
        raise Refused(
            f"{server.data_dir} was made by PostgreSQL {made_by}, this is PostgreSQL {ours}: "
            "give another --data directory, or empty this one with `gridledger local reset`"
        )


def _make_server(data_dir: Path) -> Server:
    files.make_dir(data_dir)
    server = Server(
        data_dir=data_dir,
        files_dir=_files_dir(data_dir),
        port=ports.free_ports(1)[0],
        password=secrets.token_urlsafe(24),
    )
    content = {
        "files_dir": str(server.files_dir),
        "port": server.port,
        "password": server.password,
    }
    files.write_json(server.server_file, content, mode=0o600)
    return server


def _files_dir(data_dir: Path) -> Path:
    """DIR/files, or a directory in /var/tmp when the server's user cannot reach DIR."""
    owner = _owner()
    if owner is None or _reaches(data_dir):
        return data_dir / "files"
    # A name that nobody can guess: a name known beforehand could be somebody's link.
    made = Path(tempfile.mkdtemp(prefix="gridledger-postgres-", dir=_OUTSIDE))
    os.chown(made, owner.uid, owner.gid)
    return made / "files"


def _reaches(directory: Path) -> bool:
    answer = subprocess.run(
        ["/bin/sh", "-c", 'cd "$1"', "sh", str(directory)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
        **_as_owner(),
    )
    return answer.returncode == 0


def _read_server(data_dir: Path) -> Server:
    entry = files.read_json(data_dir / "server.json")
    try:
        return Server(
            data_dir=data_dir,
            files_dir=Path(str(entry["files_dir"])),
            port=int(entry["port"]),
            password=str(entry["password"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(
            f"{data_dir / 'server.json'} is not readable: `gridledger local reset` starts anew"
        ) from error


def _initialise(server: Server) -> None:
    """initdb into the files directory, as the server's user."""
    _own(server.files_dir)
    password_file = server.files_dir.with_name("password")
    password_file.touch(mode=0o600)
    password_file.write_text(server.password + "\n", encoding="ascii")
    owner = _owner()
    if owner is not None:
        os.chown(password_file, owner.uid, owner.gid)
    command = [str(binary_dir() / "initdb"), "-D", str(server.files_dir), "--username", ROLE]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync"]
    command += ["--pwfile", str(password_file)]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, **_as_owner())
    finally:
        password_file.unlink(missing_ok=True)
    if answer.returncode != 0:
        raise Refused(f"initdb failed on {server.files_dir}: {_reason(answer.stderr)}")


def _clear_lock_of_dead(files_dir: Path) -> None:
    """Remove postmaster.pid of a killed server that PostgreSQL takes for a living one.

    It asks by kill(pid, 0), which says yes for a zombie, and nobody may ever reap that one: the
    first process of a container often does not. The file also guards against backends that
    outlived their server, so it goes only when no living process works in the directory.
    """
    lock_file = files_dir / "postmaster.pid"
    lines = lock_file.read_text().splitlines() if lock_file.exists() else []
    if not lines or not lines[0].isdigit() or not Path("/proc/self/cwd").exists():
        return
    if pids.birth_of(int(lines[0])) is not None:
        return
    deadline = time.monotonic() + 2
    while backends := _working_in(files_dir):
        if time.monotonic() > deadline:
            raise Refused(f"backends of the killed PostgreSQL still run: pids {backends}: end them")
        time.sleep(0.05)
    lock_file.unlink(missing_ok=True)


def _working_in(directory: Path) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == directory:
                found.append(int(entry.name))
        except OSError:
            continue  # it ended just now, or is another user's
    return found


def _own(directory: Path) -> None:
    """Make a directory that only the server's user may enter."""
    directory.mkdir(mode=0o700, exist_ok=True)
    owner = _owner()
    if owner is not None:
        os.chown(directory, owner.uid, owner.gid)


def _create_database(server: Server) -> None:
    command = [str(binary_dir(server.files_dir) / "createdb"), "-h", ports.LOOPBACK]
    command += ["-p", str(server.port), "-U", ROLE, DATABASE]
    answer = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PGPASSWORD": server.password},
    )
    if answer.returncode != 0 and "already exists" not in answer.stderr:
        raise Refused(f"the database could not be made: {_reason(answer.stderr)}")


def _owner() -> Owner | None:
    if os.geteuid() != 0:
        return None
    for name in _UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Owner(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise Refused("PostgreSQL refuses root and there is no user postgres or nobody: add one")


def _as_owner() -> dict[str, Any]:
    """Arguments of subprocess that run a command as the server's user, in a place it may read."""
    owner = _owner()
    if owner is None:
        return {}
    return {"user": owner.uid, "group": owner.gid, "extra_groups": [], "cwd": "/"}


def _end_with_starter() -> list[str]:
    """A prefix that makes the kernel end the server when the thread that started it ends."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "INT"] if setpriv else []


def _port_taken(server: Server) -> Refused:
    return Refused(
        f"port {server.port} of {server.data_dir} is taken by another program: end that program, "
        f'or write a free port into "port" of {server.server_file}'
    )


def _reason(text: str) -> str:
    """The line of PostgreSQL's output that says why, else its last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    reasons = [line for line in lines if "FATAL" in line or "error:" in line]
    return (reasons or lines or ["it printed nothing"])[-1][:300]
