"""How commands talk to the supervisor: one JSON line there, one JSON line back, over a socket.

A Unix socket in DATA/run (mode 0700), so only the owner can ask::

    answer = ask(data_dir, {"command": "scale", "service": "billing", "count": 2})
"""

from __future__ import annotations

import json
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from libs.events.errors import Refused, Unavailable
from services.local import files, pids

_PATH_BYTES_MAX = 100  # a socket's address holds 108 bytes, fewer on some systems
_LINE_BYTES_MAX = 1_000_000
_OUTSIDE_PREFIX = "gridledger-socket-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervising:
    """A running supervisor."""

    pid: int
    birth: str
    socket_path: str


def supervisor_file(data_dir: Path) -> Path:
    return data_dir / "run" / "supervisor.json"


def find_supervisor(data_dir: Path) -> Supervising | None:
    """The supervisor that runs on this data directory, None when none does."""
    content = files.read_json_if_whole(supervisor_file(data_dir))
    if not isinstance(content, dict):
        return None
    try:
        found = Supervising(**content)
    except TypeError:
        return None
    return found if pids.is_alive(found.pid, found.birth) else None


def listen(run_dir: Path) -> tuple[socket.socket, str]:
    """A socket that listens, and its path: in DATA/run, elsewhere when that is too long."""
    path = run_dir / "supervisor.sock"
    if len(str(path).encode()) > _PATH_BYTES_MAX:
        path = Path(tempfile.mkdtemp(prefix=_OUTSIDE_PREFIX)) / "supervisor.sock"
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen()
    return listener, str(path)


def remove(socket_path: str) -> None:
    """Delete the socket, and the directory that was made for it outside DATA."""
    path = Path(socket_path)
    path.unlink(missing_ok=True)
    if path.parent.name.startswith(_OUTSIDE_PREFIX):
        path.parent.rmdir()


def ask(data_dir: Path, request: dict[str, Any], *, timeout_s: float = 10.0) -> dict[str, Any]:
    """Ask the supervisor; Refused when none runs or it refuses, Unavailable when it is silent."""
    supervising = find_supervisor(data_dir)
    if supervising is None:
        raise Refused(f"nothing runs in {data_dir}: `gridledger local up` starts it")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(supervising.socket_path)
            write_line(connection, request)
            answer = read_line(connection)
    except (OSError, ValueError) as error:
        raise Unavailable(
            f"the supervisor (pid {supervising.pid}) does not answer: {error}: "
            f"see {data_dir / 'logs' / 'supervisor.log'}"
        ) from error
    if "error" in answer:
        raise Refused(str(answer["error"]))
    return answer


def write_line(connection: socket.socket, value: dict[str, Any]) -> None:
    connection.sendall(json.dumps(value).encode() + b"\n")


def read_line(connection: socket.socket) -> dict[str, Any]:
    """One JSON object; ValueError when the line is none or has no end."""
    received = b""
    while not received.endswith(b"\n"):
        part = connection.recv(65_536)
        if not part or len(received) > _LINE_BYTES_MAX:
            raise ValueError("no whole line came")
        received += part
    value = json.loads(received)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value
