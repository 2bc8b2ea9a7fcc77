"""Keeps the services of a local installation running: one loop, one thread, crash-only.

Started detached by `gridledger local up` as `python -m services.local.supervisor DATA`. A service
that dies is started again with growing delays; a dead Kafka node or PostgreSQL likewise, on its
own ports and files. Killed itself, it leaves the services running and their pids on record: the
next `up` ends them first (a pid is trusted only with its birth mark), then starts anew.

    {"command": "status"}                                         what `local status` shows
    {"command": "scale", "service": "billing", "count": 2}
    {"command": "down"}                                           ends the services, then itself
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from libs.events.errors import BadInput, GridLedgerError
from services.cli.run import SERVICES
from services.local import control_socket, files, kafka, pids, postgres, starting
from services.local.members import BackOff, Member
from services.local.plan import Plan, read_plan

STOP_GRACE_S = 10.0
_TICK_S = 0.1
_SERVERS_S = 0.5
_ROTATION_S = 60.0
_LOG_END_BYTES = 20_000
_ERROR = re.compile(r"error: |[A-Za-z_.]*(Error|Exception)\b")
"""How a line begins that says why a process ended: ours, or the last one of a traceback."""
_REPORT_KEYS = ("partitions", "recovering", "lag_records", "lag_s", "state", "health_port")


class Supervisor:
    """The members of one plan and the control socket."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.members: list[Member] = []
        self._selector = selectors.DefaultSelector()
        self._listener, self._socket_path = control_socket.listen(plan.run_dir)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._ending = False
        self._by_fork = False
        self._servers = Servers(plan.data_dir) if plan.watches_servers else None
        self._started_s = time.monotonic()
        self._due_s = {"servers": 0.0, "rotation": 0.0}

    def run(self) -> None:
        """Supervise until `down` or SIGTERM."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        self._end_leftovers()
        os.environ.update(self.plan.environment)
        if self.plan.start_by != "spawn":
            self._preload()
        say(f"services start by {'fork' if self._by_fork else 'spawn'}")
        self._fit_members()
        self._announce()
        while not self._ending:
            self._tick()
        self._end_members()
        control_socket.supervisor_file(self.plan.data_dir).unlink(missing_ok=True)
        control_socket.remove(self._socket_path)
        say("ended")

    def _tick(self) -> None:
        for _ in self._selector.select(timeout=_TICK_S):
            self._answer()
        self._reap()
        now_s = time.monotonic()
        for member in self.members:
            self._do_due(member, now_s)
        self.members = [m for m in self.members if m.state != "stopped"]
        if self._servers is not None and now_s >= self._due_s["servers"]:
            self._due_s["servers"] = now_s + _SERVERS_S
            self._servers.watch(now_s)
        if now_s >= self._due_s["rotation"]:
            self._due_s["rotation"] = now_s + _ROTATION_S
            for log_file in self.plan.logs_dir.glob("*.log"):
                files.rotate_open_log(log_file)

    def _do_due(self, member: Member, now_s: float) -> None:
        due = member.due(now_s)
        if due == "start":
            # Scaled down and up again: the earlier bearer of this name ends first.
            if not any(other.pid for other in self.members if other.name == member.name):
                self._start(member)
        elif due == "kill":
            pids.send(member.pid, member.birth, signal.SIGKILL)

    def _preload(self) -> None:
        targets = [SERVICES.get(planned.target, planned.target) for planned in self.plan.services]
        own = [target for target in targets if ":" in target]
        for failure in starting.preload(own, libraries=self.plan.preloads_libraries):
            say(f"not preloaded: {failure}")
        self._by_fork = starting.can_fork()

    # --- members ---------------------------------------------------------------------------

    def _start(self, member: Member) -> None:
        log_file = self.plan.logs_dir / f"{member.name}.log"
        (self.plan.run_dir / f"{member.name}.json").unlink(missing_ok=True)

        def record(pid: int) -> None:
            member.started(pid, pids.birth_of(pid) or "", time.monotonic())
            self._record()

        try:
            starting.start(
                [member.target, "--ordinal", str(member.ordinal)],
                name=member.name,
                log_file=log_file,
                by_fork=self._by_fork and starting.can_fork(),
                close=(self._listener.fileno(), self._selector.fileno()),
                record=record,
            )
        except OSError as error:
            say(f"{member.name} not started: {error}")
            member.start_failed(str(error), time.monotonic())
            return
        say(f"{member.name} started, pid {member.pid}")

    def _reap(self) -> None:
        """Notice every death: all members are our children, and waiting tells how they ended."""
        ended: dict[int, int] = {}
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                ended[pid] = status
        deaths = [member for member in self.members if member.pid in ended]
        for member in deaths:
            how = _how(ended[member.pid])
            say(f"{member.name} (pid {member.pid}) ended: {how}")
            member.died(how, time.monotonic())
        if deaths:
            self._record()

    def _fit_members(self) -> None:
        """Make the list of members what the plan says: new ones wait to start, others end."""
        wanted = [
            (planned, ordinal) for planned in self.plan.services for ordinal in range(planned.count)
        ]
        names = {f"{planned.name}-{ordinal}" for planned, ordinal in wanted}
        for member in self.members:
            if member.name not in names and member.state != "stopping":
                # Asked once: a second SIGTERM ends a service at once, without its checkpoint.
                pids.send(member.pid, member.birth, signal.SIGTERM)
                member.asked_to_end(time.monotonic(), self.plan.stop_grace_s)
        kept = {member.name for member in self.members if member.state != "stopping"}
        self.members += [
            Member(service=planned.name, ordinal=ordinal, target=planned.target)
            for planned, ordinal in wanted
            if f"{planned.name}-{ordinal}" not in kept
        ]

    def _end_members(self) -> None:
        say("ending the services")
        owned = [(member.pid, member.birth) for member in self.members if member.pid]
        killed = pids.end(owned, grace_s=self.plan.stop_grace_s)
        if killed:
            say(f"killed after {self.plan.stop_grace_s:g} s: {killed}")
        self.members = []
        self._record()

    def _end_leftovers(self) -> None:
        """End what a supervisor that was killed left behind."""
        killed = end_recorded(self.plan.data_dir, self.plan.stop_grace_s)
        if killed is not None:
            say(f"ended the services of an earlier supervisor (killed: {killed})")

    def _record(self) -> None:
        rows = [
            {"name": member.name, "pid": member.pid, "birth": member.birth}
            for member in self.members
            if member.pid
        ]
        files.write_json(members_file(self.plan.data_dir), rows)

    # --- the control socket ----------------------------------------------------------------

    def _announce(self) -> None:
        birth = pids.birth_of(os.getpid())
        content = {"pid": os.getpid(), "birth": birth, "socket_path": self._socket_path}
        files.write_json(control_socket.supervisor_file(self.plan.data_dir), content)

    def _answer(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.settimeout(1.0)
            try:
                request = control_socket.read_line(connection)
                control_socket.write_line(connection, self._obey(request))
            except (OSError, ValueError) as error:
                say(f"a request was not understood: {error}")

    def _obey(self, request: dict[str, Any]) -> dict[str, Any]:
        commands: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "status": self._status,
            "scale": self._scale,
            "down": self._down,
        }
        try:
            command = commands.get(str(request.get("command")))
            if command is None:
                raise BadInput("command", "unknown", f"one of {', '.join(commands)}")
            return command(request)
        except GridLedgerError as error:
            return {"error": str(error)}

    def _status(self, _request: dict[str, Any]) -> dict[str, Any]:
        now_s = time.monotonic()
        rows = [
            {
                **member.row(now_s),
                "report": report_of(self.plan.run_dir, member),
                "last_error": last_error_of(self.plan.logs_dir, member),
            }
            for member in self.members
        ]
        return {
            "supervisor": {
                "pid": os.getpid(),
                "uptime_s": round(now_s - self._started_s, 1),
                "starts_by": "fork" if self._by_fork else "spawn",
            },
            "data_dir": str(self.plan.data_dir),
            "servers": self._servers.rows(now_s) if self._servers is not None else [],
            "services": rows,
        }

    def _scale(self, request: dict[str, Any]) -> dict[str, Any]:
        service, count = request.get("service"), request.get("count")
        if not isinstance(service, str) or not isinstance(count, int):
            raise BadInput("scale", "needs a service and a count", "scale SERVICE N")
        self.plan = self.plan.scaled(service, count)
        self.plan.save()
        self._fit_members()
        say(f"{service} scaled to {count}")
        return {"service": service, "count": count}

    def _down(self, _request: dict[str, Any]) -> dict[str, Any]:
        self._ending = True
        return {"pid": os.getpid()}

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._ending = True


class Servers:
    """The Kafka nodes and the PostgreSQL of the data directory: started again when they die."""

    def __init__(self, data_dir: Path) -> None:
        self._cluster = kafka.find_cluster(data_dir / "kafka")
        self._postgres = postgres.find_postgres(data_dir / "postgres")
        now_s = time.monotonic()
        self._members: list[tuple[Member, Callable[[], tuple[int, str]]]] = []
        if self._cluster is not None:
            for node in self._cluster.nodes:
                member = Member(service="kafka", ordinal=node.node_id, back_off=_server_back_off())
                member.found(node.pid, node.birth, now_s)
                self._members.append((member, self._node_starter(node)))
        if self._postgres is not None:
            member = Member(service="postgres", ordinal=0, back_off=_server_back_off())
            member.found(self._postgres.pid, self._postgres.birth, now_s)
            self._members.append((member, self._postgres_starter(self._postgres)))

    def watch(self, now_s: float) -> None:
        """Notice deaths and start what is due; never waits for a server to be ready."""
        for member, start in self._members:
            if member.pid and not pids.is_alive(member.pid, member.birth):
                say(f"{member.name} (pid {member.pid}) ended")
                member.died("ended", now_s)
            if member.due(now_s) == "start":
                try:
                    pid, birth = start()
                except (GridLedgerError, OSError) as error:
                    say(f"{member.name} not started: {error}")
                    member.start_failed(str(error), now_s)
                    continue
                member.started(pid, birth, now_s)
                say(f"{member.name} started again, pid {pid}")

    def rows(self, now_s: float) -> list[dict[str, Any]]:
        return [member.row(now_s) for member, _ in self._members]

    def _node_starter(self, node: kafka.Node) -> Callable[[], tuple[int, str]]:
        def start() -> tuple[int, str]:
            assert self._cluster is not None
            self._cluster.launch(node)
            return node.pid, node.birth

        return start

    @staticmethod
    def _postgres_starter(server: postgres.RunningPostgres) -> Callable[[], tuple[int, str]]:
        def start() -> tuple[int, str]:
            server.launch()
            return server.pid, server.birth

        return start


def _server_back_off() -> BackOff:
    return BackOff(first_s=0.2, stable_s=30.0)


def members_file(data_dir: Path) -> Path:
    return data_dir / "run" / "members.json"


def end_recorded(data_dir: Path, grace_s: float = STOP_GRACE_S) -> list[int] | None:
    """End every recorded service that still runs; the pids that had to be killed, None if none ran.

    For a supervisor that was killed: `up` and `down` call this.
    """
    rows = files.read_json_if_whole(members_file(data_dir))
    owned = [(int(row["pid"]), str(row["birth"])) for row in rows or []]
    alive = [(pid, birth) for pid, birth in owned if pids.is_alive(pid, birth)]
    if not alive:
        return None
    return pids.end(alive, grace_s=grace_s)


def report_of(run_dir: Path, member: Member) -> dict[str, Any] | None:
    """What the process says about itself in DATA/run/SERVICE-N.json, with its age.

    None when it wrote nothing yet, or when the file is of an earlier process.
    """
    file = run_dir / f"{member.name}.json"
    content = files.read_json_if_whole(file)
    if not isinstance(content, dict) or content.get("pid") != member.pid:
        return None
    age_s = max(0.0, time.time() - file.stat().st_mtime)
    report = {key: content.get(key) for key in _REPORT_KEYS}
    return {**report, "age_s": round(age_s, 1)}


def last_error_of(logs_dir: Path, member: Member) -> str:
    """Why a member that waits for its next start ended, in its own words; "" when unknown."""
    if member.state != "waiting" or not member.last_exit:
        return ""
    file = logs_dir / f"{member.name}.log"
    with contextlib.suppress(OSError):
        lines = files.read_from(file, max(0, file.stat().st_size - _LOG_END_BYTES)).splitlines()
        return next((line for line in reversed(lines) if _ERROR.match(line)), "")[:300]
    return ""


def _how(status: int) -> str:
    """The end of a process in words."""
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return f"status {os.WEXITSTATUS(status)}"


def say(text: str) -> None:
    """A line of the supervisor's log."""
    now = datetime.now(tz=UTC).isoformat(timespec="milliseconds")
    print(f"{now} {text}", flush=True)


def main(arguments: list[str]) -> int:
    """`python -m services.local.supervisor DATA`"""
    data_dir = Path(arguments[0])
    plan = read_plan(data_dir)
    if plan is None:
        print(f"error: {data_dir} has no plan: `gridledger local up` writes it", file=sys.stderr)
        return 2
    try:
        Supervisor(plan).run()
    except GridLedgerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
