"""The stage of the demo: an installation, the simulators as processes, and how to talk to them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from libs.events.errors import Refused, Unavailable, Unknown
from services.local import control_socket
from services.local.installation import UpOptions, bring_up, reset, runs, take_down
from services.local.ports import free_ports
from services.settings import Settings, load_settings


class ControlPort:
    """JSON lines over TCP: one request, one answer."""

    def __init__(self, host: str, port: int, timeout_s: float = 60.0) -> None:
        self._socket = socket.create_connection((host, port), timeout_s)
        self._lines = self._socket.makefile("rwb")

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """Send one request; Refused when the other side says no."""
        self._lines.write(json.dumps({"op": op, **fields}).encode() + b"\n")
        self._lines.flush()
        line = self._lines.readline()
        if not line:
            raise Unavailable(f"the simulator went away during {op}")
        answer: dict[str, Any] = json.loads(line)
        if not answer.get("ok"):
            raise Refused(f"{op}: {answer.get('error', answer)}")
        return answer

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self._socket.close()


def post(url: str, body: Mapping[str, Any], timeout_s: float = 120.0, headers: Any = None) -> Any:
    """POST JSON; the answer's JSON. Raises Unavailable with the answer's text for 5xx."""
    request = urllib.request.Request(
        url,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **(headers or {})},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        raise Unavailable(f"{url} answered {error.code}: {text[:300]}") from None
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise Unavailable(f"{url}: {error}") from None


T = TypeVar("T")


def insist(action: Callable[[], T], timeout_s: float = 120.0) -> T:
    """Do something again until it is answered: what people and gateways do when we are down."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return action()
        except (Unavailable, Unknown):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


@dataclass(slots=True)
class Stage:
    """Everything that runs for the demo, started here and ended here."""

    data_dir: Path
    files_dir: Path
    database: str = "sqlite"
    ports: dict[str, int] = field(default_factory=dict)
    started: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    settings: Settings | None = None
    _environment_before: dict[str, str | None] = field(default_factory=dict)

    def set_up(self, environment: Mapping[str, str]) -> None:
        """Bring up a fresh installation with ports of our own."""
        if runs(self.data_dir):
            take_down(self.data_dir)
        if self.data_dir.exists():
            reset(self.data_dir)
        names = ("console", "payments", "control", "metrology", "clock")
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self._enter(
            {f"GRIDLEDGER_{name.upper()}_PORT": str(port) for name, port in self.ports.items()}
            | dict(environment)
            | {"GRIDLEDGER_DATA_DIR": str(self.data_dir)}
        )
        bring_up(UpOptions(data_dir=self.data_dir, database=self.database))
        self.settings = load_settings(data_dir=self.data_dir).settings

    def _enter(self, environment: Mapping[str, str]) -> None:
        """Set the environment of this and of all started processes, to be put back at the end."""
        for variable, value in environment.items():
            self._environment_before.setdefault(variable, os.environ.get(variable))
            os.environ[variable] = value

    def _leave(self) -> None:
        for variable, value in self._environment_before.items():
            if value is None:
                os.environ.pop(variable, None)
            else:
                os.environ[variable] = value
        self._environment_before.clear()

    def start(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """Start a simulator as a process of its own."""
        with (self.files_dir / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *command], stdout=subprocess.PIPE, stderr=log
            )
        self.started[name] = process
        return process

    def ready_line(self, name: str) -> dict[str, Any]:
        """The first line a simulator prints when it is ready."""
        out = self.started[name].stdout
        assert out is not None
        line = out.readline()
        if not line:
            raise Unavailable(f"{name} did not start; see {self.files_dir / f'{name}.log'}")
        found: dict[str, Any] = json.loads(line)
        return found

    def wait_file(self, path: Path, timeout_s: float = 30.0) -> dict[str, Any]:
        """A ready file's content, once it is there."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
                return found
            except (OSError, ValueError):
                time.sleep(0.05)
        raise Unavailable(f"{path.name} did not come in {timeout_s:g} s")

    def url(self, name: str, path: str) -> str:
        """An address of one of the edges."""
        return f"http://127.0.0.1:{self.ports[name]}{path}"

    def wait_ready(self, wanted: set[str], timeout_s: float = 90.0) -> None:
        """Wait until these members say that they are ready."""
        deadline = time.monotonic() + timeout_s
        missing = set(wanted)
        while missing and time.monotonic() < deadline:
            missing = wanted - self._ready()
            time.sleep(0.05)
        if missing:
            logs = self.data_dir / "logs"
            raise Unavailable(f"not ready: {', '.join(sorted(missing))}; see {logs}")

    def _ready(self) -> set[str]:
        """The members whose running process itself says that it is ready."""
        answer = control_socket.ask(self.data_dir, {"command": "status"})
        return {
            f"{row['service']}-{row['ordinal']}"
            for row in answer["services"]
            if (row["report"] or {}).get("state") == "ready"
        }

    def kill(self, name: str) -> int:
        """SIGKILL a service's process; the supervisor starts it again."""
        answer = control_socket.ask(self.data_dir, {"command": "status"})
        for row in answer["services"]:
            if f"{row['service']}-{row['ordinal']}" == name and row.get("pid"):
                os.kill(int(row["pid"]), signal.SIGKILL)
                return int(row["pid"])
        raise Refused(f"{name} does not run")

    def tear_down(self, *, keep: bool) -> None:
        """End what was started; with `keep` the installation goes on."""
        for process in self.started.values():
            process.terminate()
        for process in self.started.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if not keep:
            take_down(self.data_dir)
        self._leave()


@contextmanager
def on_stage(stage: Stage, *, keep: bool) -> Iterator[Stage]:
    """A stage that is taken down at the end, whatever happens."""
    try:
        yield stage
    finally:
        stage.tear_down(keep=keep)
