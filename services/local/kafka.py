"""A real Apache Kafka on this machine: one node, or three that survive the death of one.

KRaft, loopback only, from the jars that `scripts/bootstrap.py kafka` fetched. The data directory
remembers Kafka version, cluster id, node count and ports, so that a restart finds everything::

    cluster = start_broker(Path(".data/kafka"), node_count=3)
    cluster.kill(2); cluster.restart(2); cluster.stop()

By hand: `python -m services.local.kafka start --data DIR --nodes 3`, ended by Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from libs.events.errors import BadInput, GridLedgerError, Refused, Unavailable
from services.local import files, kafka_files, paths, pids, ports
from services.local.kafka_files import Layout

START_TIMEOUT_S = 90.0
STOP_GRACE_S = 15.0
_READY_LINE = "Kafka Server started"
# Measured on two cores: 175-195 MB resident a node, about two seconds to start.
_JVM_FLAGS = (
    "-Xms128m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.logFile=System.out",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSX",
    "-Dorg.slf4j.simpleLogger.showThreadName=false",
)


@dataclass(slots=True)
class Node:
    """One broker of the cluster; `birth` tells its pid from a later owner of the number."""

    node_id: int
    port: int
    controller_port: int
    pid: int = 0
    birth: str = ""

    @property
    def is_alive(self) -> bool:
        return pids.is_alive(self.pid, self.birth)


class RunningCluster:
    """The brokers on one data directory, started here or found running."""

    def __init__(self, layout: Layout, nodes: list[Node], *, outlive: bool) -> None:
        self._layout = layout
        self._outlive = outlive
        self.nodes = nodes

    @property
    def data_dir(self) -> Path:
        return self._layout.data_dir

    @property
    def cluster_id(self) -> str:
        return self._layout.cluster_id

    @property
    def bootstrap_servers(self) -> str:
        return ",".join(f"{ports.LOOPBACK}:{node.port}" for node in self.nodes)

    def log_file(self, node_id: int) -> Path:
        return self._layout.log_file(node_id)

    def kill(self, node: Node | int) -> None:
        """SIGKILL one node (by its number or itself) and wait until it is gone."""
        found = self._find(node)
        pids.send(found.pid, found.birth, signal.SIGKILL)
        pids.wait_gone([(found.pid, found.birth)], timeout_s=10)
        self._remember()

    def restart(self, node: Node | int) -> None:
        """Start a dead node again on its ports and data; returns when it serves."""
        found = self._find(node)
        if found.is_alive:
            raise Refused(f"Kafka node {found.node_id} still runs (pid {found.pid}): kill it first")
        offset = self.launch(found)
        self._await_ready([found], {found.node_id: offset}, START_TIMEOUT_S)

    def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """End all nodes in an orderly way; SIGKILL for those that take longer than `grace_s`."""
        pids.end([(node.pid, node.birth) for node in self.nodes], grace_s=grace_s)
        self._remember()

    def start(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Start every node that does not run; on failure none of those started is left."""
        missing = [node for node in self.nodes if not node.is_alive]
        try:
            offsets = {node.node_id: self.launch(node) for node in missing}
            self._await_ready(missing, offsets, timeout_s)
        except BaseException:
            pids.end([(node.pid, node.birth) for node in missing if node.pid], grace_s=0)
            self._remember()
            raise

    def launch(self, node: Node) -> int:
        """Start the JVM of a node without waiting; returns where its part of the log begins."""
        _check_ports(self._layout, [node])
        log_file = self._layout.log_file(node.node_id)
        offset = files.rotate_log(log_file)
        properties = self._layout.properties_file(node.node_id).relative_to(self.data_dir)
        command = java_command("kafka.Kafka", str(properties))
        if not self._outlive:
            command = _end_with_starter() + command
        with log_file.open("ab") as log:
            child = subprocess.Popen(
                command,
                cwd=self.data_dir,
                env=kafka_files.jvm_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        child.returncode = 0  # pids.py reaps it; Popen must neither wait nor warn
        node.pid = child.pid
        node.birth = pids.birth_of(child.pid) or ""
        self._remember()
        return offset

    def _find(self, node: Node | int) -> Node:
        number = node.node_id if isinstance(node, Node) else node
        for candidate in self.nodes:
            if candidate.node_id == number:
                return candidate
        raise BadInput("node", f"the cluster has no node {number}", f"1 to {len(self.nodes)}")

    def _await_ready(self, nodes: list[Node], offsets: dict[int, int], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        waiting = list(nodes)
        while waiting:
            for node in list(waiting):
                text = files.read_from(self._layout.log_file(node.node_id), offsets[node.node_id])
                if _READY_LINE in text and ports.answers(node.port):
                    waiting.remove(node)
                elif not node.is_alive:
                    raise _start_failed(node, text, self._layout)
            if waiting and time.monotonic() > deadline:
                log_file = self._layout.log_file(waiting[0].node_id)
                raise Unavailable(
                    f"Kafka node {waiting[0].node_id} did not serve within {timeout_s:g} s: "
                    f"see {log_file}"
                )
            time.sleep(0.05)

    def _remember(self) -> None:
        running = [
            {"node_id": node.node_id, "pid": node.pid, "birth": node.birth}
            for node in self.nodes
            if node.is_alive
        ]
        files.write_json(self._layout.running_file, running)


def start_broker(
    data_dir: Path,
    *,
    node_count: int = 1,
    overrides: Mapping[str, str] | None = None,
    outlive: bool = False,
) -> RunningCluster:
    """Start Kafka on `data_dir` (made and formatted when new) and return when it serves.

    `overrides` are server properties that replace ours on every node. The brokers die with the
    thread that called this (tests), or go on when `outlive` (`gridledger local up`).
    Raises BadInput for a wrong argument; Refused, with the fix, for a data directory of another
    Kafka version, cluster or node count, a running broker, a taken port, missing jars or Java;
    Unavailable when a node does not come up in 90 s.
    """
    if node_count not in {1, 3}:
        raise BadInput("node_count", f"{node_count} nodes", "1 (standalone) or 3 (survives one)")
    data_dir = data_dir.resolve()
    running = find_cluster(data_dir)
    if running is not None:
        taken = ", ".join(str(node.pid) for node in running.nodes if node.is_alive)
        raise Refused(
            f"Kafka already runs on {data_dir} (pid {taken}): "
            "`gridledger local down` ends it, or give another --data directory"
        )
    layout = kafka_files.open_layout(data_dir, node_count)
    nodes = [Node(node_id, *pair) for node_id, pair in layout.port_pairs.items()]
    _check_ports(layout, nodes)
    for node in nodes:
        kafka_files.write_properties(layout, node.node_id, overrides or {})
    _format(layout, [node for node in nodes if not layout.is_formatted(node.node_id)])
    cluster = RunningCluster(layout, nodes, outlive=outlive)
    cluster.start()
    return cluster


def find_cluster(data_dir: Path) -> RunningCluster | None:
    """The cluster that runs on this data directory, whoever started it; None when none does."""
    data_dir = data_dir.resolve()
    layout = kafka_files.read_layout(data_dir)
    if layout is None:
        return None
    nodes = {node_id: Node(node_id, *pair) for node_id, pair in layout.port_pairs.items()}
    for entry in kafka_files.read_running(layout):
        node = nodes.get(entry[0])
        if node is not None:
            node.pid, node.birth = entry[1], entry[2]
    cluster = RunningCluster(layout, list(nodes.values()), outlive=True)
    return cluster if any(node.is_alive for node in cluster.nodes) else None


def java_command(main_class: str, *arguments: str) -> list[str]:
    """The command line that runs a class of Kafka's jars."""
    jars = paths.kafka_jars_dir()
    return [
        str(paths.java_program()),
        *_JVM_FLAGS,
        "-cp",
        str(jars.resolve() / "*"),
        main_class,
        *arguments,
    ]


def _format(layout: Layout, nodes: list[Node]) -> None:
    """Write the cluster id into every new node directory (a second JVM each, side by side)."""
    tools = []
    for node in nodes:
        properties = layout.properties_file(node.node_id).relative_to(layout.data_dir)
        command = java_command(
            "kafka.tools.StorageTool", "format", "-t", layout.cluster_id, "-c", str(properties)
        )
        tools.append(
            subprocess.Popen(
                command,
                cwd=layout.data_dir,
                env=kafka_files.jvm_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    for node, tool in zip(nodes, tools, strict=True):
        said, _ = tool.communicate()
        if tool.returncode != 0:
            directory = layout.node_dir(node.node_id)
            raise Refused(f"{directory} could not be formatted: {_last_line(said)}")


def _check_ports(layout: Layout, nodes: list[Node]) -> None:
    for node in nodes:
        for port in (node.port, node.controller_port):
            if not ports.wait_free(port, timeout_s=2):
                raise _port_taken(port, layout)


def _end_with_starter() -> list[str]:
    """A prefix that makes the kernel kill the broker when the thread that started it ends."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL"] if setpriv else []


def _port_taken(port: int, layout: Layout) -> Refused:
    return Refused(
        f"port {port} of {layout.data_dir} is taken by another program: end that program, or "
        f"delete {layout.ports_file} so that free ports are chosen at the next start"
    )


def _start_failed(node: Node, text: str, layout: Layout) -> Refused:
    if "Address already in use" in text or "BindException" in text:
        return _port_taken(node.port, layout)
    log_file = layout.log_file(node.node_id)
    return Refused(f"Kafka node {node.node_id} ended: {_last_line(text)} (see {log_file})")


def _last_line(text: str) -> str:
    """The line of the log that names the reason: the last error, else the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if ("ERROR" in line or "Exception" in line)]
    causes = [line for line in errors if not line.startswith("at ")]
    return (causes or lines or ["it printed nothing"])[-1][:300]


def main(arguments: list[str] | None = None) -> int:
    """`python -m services.local.kafka start --data DIR [--nodes N]`: runs until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m services.local.kafka", description=__doc__)
    parser.add_argument("command", choices=["start"])
    parser.add_argument("--data", type=Path, required=True, help="data directory, made if missing")
    parser.add_argument("--nodes", type=int, default=1, help="1 or 3")
    given = parser.parse_args(arguments)
    try:
        cluster = start_broker(given.data, node_count=given.nodes)
    except GridLedgerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    summary = {"bootstrap_servers": cluster.bootstrap_servers, "cluster_id": cluster.cluster_id}
    print(json.dumps(summary), flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while all(node.is_alive for node in cluster.nodes):
            time.sleep(0.5)
    except KeyboardInterrupt:
        pass
    cluster.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
