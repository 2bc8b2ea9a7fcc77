"""A whole local installation brought up and down: Kafka, database, topics, supervised services.

    installation = bring_up(UpOptions(data_dir=Path(".data"), nodes=3))
    take_down(Path(".data"))

A cluster or a database that the settings name is used as it is; only what is not named is started
here. Whatever was started by a `bring_up` that fails is ended again.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import importlib.util
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from libs.events.errors import BadInput, Refused, Unavailable
from services.cli.run import SERVICES
from services.cores import check_policies
from services.local import control_socket, files, kafka, pids, plan, postgres, supervisor
from services.local.plan import Plan, PlannedService
from services.settings import PREFIX, LoadedSettings, load_settings, local_file

_SUPERVISOR_START_S = 60.0
EVIDENCE_KEY = "evidence.key"
_PARTS = ("kafka", "postgres", "run", "logs", "db", EVIDENCE_KEY)
_OURS_TO_START = frozenset({"default", "local installation"})
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """What `gridledger local up` was asked for; None means: as last time, else the default."""

    data_dir: Path | None = None
    nodes: int | None = None
    database: str | None = None
    services: tuple[PlannedService, ...] | None = None
    start_by: str = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What runs after `bring_up`."""

    data_dir: Path
    kafka_bootstrap_servers: str
    database: str
    service_count: int


def bring_up(options: UpOptions, say: Progress = lambda _: None) -> Installation:
    """Start what is missing and return when the supervisor answers.

    Raises BadInput or Refused with the fix: it already runs, a port is taken, the data directory
    is of another version, a server lacks, two settings contradict.
    """
    loaded = load_settings(data_dir=options.data_dir)
    check_policies(loaded.settings.policy_file)  # here, not in a service that dies over and over
    data_dir = loaded.settings.data_dir.resolve()
    files.make_dir(data_dir / "run", mode=0o700)
    with _alone(data_dir):
        found = control_socket.find_supervisor(data_dir)
        if found is not None:
            raise Refused(
                f"{data_dir} is up already (supervisor {found.pid}): see `gridledger local "
                "status`, or end it with `gridledger local down`"
            )
        local_file(data_dir).unlink(missing_ok=True)
        loaded = load_settings(data_dir=data_dir)
        supervisor.end_recorded(data_dir)
        with contextlib.ExitStack() as undo:
            made = _start_all(loaded, data_dir, options, say, undo)
            undo.pop_all()
    return made


def _start_all(
    loaded: LoadedSettings,
    data_dir: Path,
    options: UpOptions,
    say: Progress,
    undo: contextlib.ExitStack,
) -> Installation:
    earlier = plan.read_plan(data_dir)
    reached: dict[str, str | int] = {}
    nodes = options.nodes or (earlier.nodes if earlier else 1)
    if loaded.sources["kafka_bootstrap_servers"] in _OURS_TO_START:
        cluster = _have_kafka(data_dir / "kafka", nodes, say, undo)
        reached["kafka_bootstrap_servers"] = cluster.bootstrap_servers
        reached["replication_factor"] = nodes
    elif options.nodes is not None:
        raise _contradiction("nodes", "KAFKA_BOOTSTRAP_SERVERS")
    database = options.database or (earlier.database if earlier else "sqlite")
    if database not in {"sqlite", "postgres"}:
        raise BadInput("database", f"{database} is not known", "sqlite or postgres")
    if loaded.sources["database_url"] not in _OURS_TO_START:
        if options.database is not None:
            raise _contradiction("database", "DATABASE_URL")
        database = "given"
    if database == "postgres":
        reached["database_url"] = _have_postgres(data_dir / "postgres", say, undo).url
    if loaded.sources["replication_factor"] not in _OURS_TO_START:
        reached.pop("replication_factor", None)
    if loaded.sources["evidence_key_file"] in _OURS_TO_START:
        reached["evidence_key_file"] = str(_have_evidence_key(data_dir))
    files.write_json(local_file(data_dir), reached, mode=0o600)
    undo.callback(local_file(data_dir).unlink, missing_ok=True)
    _apply_topics(data_dir, say)
    new_plan = Plan(
        data_dir=data_dir,
        services=_services(options, earlier),
        nodes=nodes,
        database=database if database != "given" else "sqlite",
        start_by=options.start_by,
        environment={PREFIX + "DATA_DIR": str(data_dir)},
    )
    new_plan.save()
    say(f"starting {sum(planned.count for planned in new_plan.services)} services")
    start_supervisor(new_plan)
    return Installation(
        data_dir=data_dir,
        kafka_bootstrap_servers=load_settings(data_dir=data_dir).settings.kafka_bootstrap_servers,
        database=database,
        service_count=sum(planned.count for planned in new_plan.services),
    )


def _have_evidence_key(data_dir: Path) -> Path:
    """The key of an installation that was given none: drawn once, kept as long as its topics."""
    file = data_dir / EVIDENCE_KEY
    if not file.exists():
        files.write_text(file, secrets.token_hex(32) + "\n", mode=0o600)
    return file


def take_down(data_dir: Path, say: Progress = lambda _: None) -> bool:
    """End services, database and Kafka of a data directory; False when nothing ran."""
    data_dir = data_dir.resolve()
    if not (data_dir / "run").exists():
        return False
    ran = False
    with _alone(data_dir):
        found = control_socket.find_supervisor(data_dir)
        if found is not None:
            ran = True
            say("ending the services")
            control_socket.ask(data_dir, {"command": "down"})
            owned = [(found.pid, found.birth)]
            if pids.wait_gone(owned, timeout_s=3 * supervisor.STOP_GRACE_S):
                pids.end(owned, grace_s=0)
        ran = supervisor.end_recorded(data_dir) is not None or ran
        database = postgres.find_postgres(data_dir / "postgres")
        if database is not None:
            ran = True
            say("ending PostgreSQL")
            database.stop()
        cluster = kafka.find_cluster(data_dir / "kafka")
        if cluster is not None:
            ran = True
            say("ending Kafka")
            cluster.stop()
        local_file(data_dir).unlink(missing_ok=True)
    return ran


def reset(data_dir: Path) -> list[Path]:
    """Delete everything an installation made in its data directory; returns what was deleted.

    Raises Refused while it runs. Files of others in that directory stay.
    """
    data_dir = data_dir.resolve()
    if runs(data_dir):
        raise Refused(f"{data_dir} is up: end it with `gridledger local down`")
    parts = [data_dir / part for part in _PARTS if (data_dir / part).exists()]
    for part in parts:
        if part.name == "postgres":
            postgres.remove(part)
        elif part.is_file():
            part.unlink()
        else:
            shutil.rmtree(part)
    with contextlib.suppress(OSError):
        data_dir.rmdir()
    return parts


def runs(data_dir: Path) -> bool:
    """Whether anything of an installation runs on this data directory."""
    return (
        control_socket.find_supervisor(data_dir) is not None
        or kafka.find_cluster(data_dir / "kafka") is not None
        or postgres.find_postgres(data_dir / "postgres") is not None
    )


def _have_kafka(
    directory: Path, nodes: int, say: Progress, undo: contextlib.ExitStack
) -> kafka.RunningCluster:
    cluster = kafka.find_cluster(directory)
    if cluster is None:
        say(f"starting Kafka ({nodes} {'node' if nodes == 1 else 'nodes'})")
        cluster = kafka.start_broker(directory, node_count=nodes, outlive=True)
        undo.callback(cluster.stop)
        return cluster
    if len(cluster.nodes) != nodes:
        raise Refused(
            f"Kafka runs on {directory} with {len(cluster.nodes)} node(s), not {nodes}: "
            f"`gridledger local down` first, or --nodes {len(cluster.nodes)}"
        )
    cluster.start()
    return cluster


def _have_postgres(
    directory: Path, say: Progress, undo: contextlib.ExitStack
) -> postgres.RunningPostgres:
    found = postgres.find_postgres(directory)
    if found is None:
        say("starting PostgreSQL")
        found = postgres.start_postgres(directory, outlive=True)
        undo.callback(found.stop)
    return found


def _apply_topics(data_dir: Path, say: Progress) -> None:
    """Create the topics of topics.yaml, by what `gridledger topics apply` does."""
    name = "services.cli.topics"
    if importlib.util.find_spec(name) is None:
        return
    say("applying the topics")
    importlib.import_module(name).apply(load_settings(data_dir=data_dir).settings)


def _services(options: UpOptions, earlier: Plan | None) -> tuple[PlannedService, ...]:
    """The services of this release, each with as many members as last time."""
    if options.services is not None:
        return options.services
    counts = {planned.name: planned.count for planned in earlier.services} if earlier else {}
    return tuple(
        PlannedService(name=name, target=name, count=counts.get(name, 1)) for name in SERVICES
    )


def start_supervisor(new_plan: Plan) -> None:
    """Start the supervisor of a saved plan, detached; returns when it answers."""
    log_file = new_plan.logs_dir / "supervisor.log"
    offset = files.rotate_log(log_file)
    control_socket.supervisor_file(new_plan.data_dir).unlink(missing_ok=True)
    with log_file.open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "services.local.supervisor", str(new_plan.data_dir)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + _SUPERVISOR_START_S
    while control_socket.find_supervisor(new_plan.data_dir) is None:
        if child.poll() is not None:
            lines = files.read_from(log_file, offset).strip().splitlines() or ["no reason given"]
            raise Refused(f"the supervisor ended: {lines[-1]} (see {log_file})")
        if time.monotonic() > deadline:
            child.kill()
            raise Unavailable(f"the supervisor did not start: see {log_file}")
        time.sleep(0.05)
    child.returncode = 0  # it outlives us; Popen must neither wait nor warn
    control_socket.ask(new_plan.data_dir, {"command": "status"}, timeout_s=_SUPERVISOR_START_S)


def _contradiction(option: str, name: str) -> BadInput:
    return BadInput(
        option, f"{PREFIX}{name} is set, so none is started here", f"drop --{option} or unset it"
    )


@contextlib.contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """Only one `up` or `down` at a time works on a data directory."""
    descriptor = os.open(data_dir / "run" / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(
                f"another `gridledger local` is at work on {data_dir}: wait until it has ended"
            ) from None
        yield
    finally:
        os.close(descriptor)
