"""What a Kafka data directory holds: the stamp, the ports, the properties, the logs.

    DIR/stamp.json             Kafka version, cluster id, node count: a start with others is refused
    DIR/ports.json             client and controller port of every node, kept over restarts
    DIR/running.json           pid and birth of every running node
    DIR/node-1.properties      written anew at every start
    DIR/node-1/                Kafka's own files
    DIR/logs/node-1.log

Paths in the properties are relative to DIR, so a directory may be moved and may have any name.
"""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from libs.events.errors import Refused
from services.local import files, paths, ports

_OFFSETS_KEPT_MINUTES = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One data directory: its identity and where its files lie."""

    data_dir: Path
    cluster_id: str
    port_pairs: dict[int, tuple[int, int]]

    @property
    def node_count(self) -> int:
        return len(self.port_pairs)

    @property
    def ports_file(self) -> Path:
        return self.data_dir / "ports.json"

    @property
    def running_file(self) -> Path:
        return self.data_dir / "running.json"

    def node_dir(self, node_id: int) -> Path:
        return self.data_dir / f"node-{node_id}"

    def properties_file(self, node_id: int) -> Path:
        return self.data_dir / f"node-{node_id}.properties"

    def log_file(self, node_id: int) -> Path:
        return self.data_dir / "logs" / f"node-{node_id}.log"

    def is_formatted(self, node_id: int) -> bool:
        return (self.node_dir(node_id) / "meta.properties").exists()


def open_layout(data_dir: Path, node_count: int) -> Layout:
    """The layout of `data_dir`, made when new; Refused when it belongs to something else."""
    files.make_dir(data_dir / "logs")
    stamp_file = data_dir / "stamp.json"
    if stamp_file.exists():
        stamp = _read_stamp(stamp_file)
    else:
        if any(data_dir.glob("node-*/meta.properties")):
            raise Refused(f"{data_dir} holds Kafka files but no stamp.json: give another directory")
        stamp = {
            "kafka_version": paths.KAFKA_VERSION,
            "cluster_id": base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode(),
            "node_count": node_count,
        }
        if stamp["cluster_id"].startswith("-"):  # StorageTool would take it for an option
            stamp["cluster_id"] = "A" + stamp["cluster_id"][1:]
        files.write_json(stamp_file, stamp)
    _check_stamp(stamp, node_count, data_dir)
    port_pairs = _read_ports(data_dir / "ports.json") or _choose_ports(data_dir, node_count)
    layout = Layout(data_dir=data_dir, cluster_id=stamp["cluster_id"], port_pairs=port_pairs)
    _check_node_dirs(layout)
    return layout


def read_layout(data_dir: Path) -> Layout | None:
    """The layout of an existing data directory, None when there is none."""
    stamp_file, ports_file = data_dir / "stamp.json", data_dir / "ports.json"
    port_pairs = _read_ports(ports_file)
    if not stamp_file.exists() or port_pairs is None:
        return None
    stamp = _read_stamp(stamp_file)
    return Layout(data_dir=data_dir, cluster_id=stamp["cluster_id"], port_pairs=port_pairs)


def read_running(layout: Layout) -> list[tuple[int, int, str]]:
    """(node id, pid, birth) of the nodes that were running when last written."""
    entries = files.read_json(layout.running_file) if layout.running_file.exists() else []
    return [(int(e["node_id"]), int(e["pid"]), str(e["birth"])) for e in entries]


def write_properties(layout: Layout, node_id: int, overrides: Mapping[str, str]) -> None:
    """Write the server properties of one node, `overrides` last."""
    properties = {**_server_properties(layout, node_id), **overrides}
    lines = [f"{key}={_escaped(value)}" for key, value in properties.items()]
    layout.properties_file(node_id).write_text("\n".join(lines) + "\n", encoding="ascii")


def _server_properties(layout: Layout, node_id: int) -> dict[str, str]:
    port, controller_port = layout.port_pairs[node_id]
    copies = 3 if layout.node_count == 3 else 1
    in_sync = 2 if layout.node_count == 3 else 1
    host = ports.LOOPBACK
    voters = [f"{n}@{host}:{pair[1]}" for n, pair in layout.port_pairs.items()]
    return {
        "process.roles": "broker,controller",
        "node.id": str(node_id),
        "controller.quorum.voters": ",".join(voters),
        "listeners": f"PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{host}:{port}",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": layout.node_dir(node_id).name,
        "num.partitions": "1",
        "auto.create.topics.enable": "false",
        "default.replication.factor": str(copies),
        "min.insync.replicas": str(in_sync),
        "offsets.topic.replication.factor": str(copies),
        "transaction.state.log.replication.factor": str(copies),
        "transaction.state.log.min.isr": str(in_sync),
        "share.coordinator.state.topic.replication.factor": str(copies),
        "share.coordinator.state.topic.min.isr": str(in_sync),
        # A group that slept for more than Kafka's seven days must find its positions again:
        # positions and state are compared at every start.
        "offsets.retention.minutes": str(_OFFSETS_KEPT_MINUTES),
        "unclean.leader.election.enable": "false",
        # A killed node may come back only when its old session has run out (default 9 s).
        "broker.heartbeat.interval.ms": "1000",
        "broker.session.timeout.ms": "5000",
        # From here on: a small machine, a quick start.
        "offsets.topic.num.partitions": "1",
        "transaction.state.log.num.partitions": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",
        "log.cleaner.dedupe.buffer.size": "2097152",
        "log.index.size.max.bytes": "1048576",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "num.recovery.threads.per.data.dir": "1",
    }


def _escaped(value: str) -> str:
    """A value as Java's Properties reads it: ISO-8859-1, the rest escaped."""
    doubled = value.replace("\\", "\\\\").replace("\n", "\\n")
    return "".join(c if " " <= c <= "~" else f"\\u{ord(c):04x}" for c in doubled)


def _check_stamp(stamp: dict[str, Any], node_count: int, data_dir: Path) -> None:
    fix = "give another --data directory, or empty this one with `gridledger local reset`"
    if stamp["kafka_version"] != paths.KAFKA_VERSION:
        raise Refused(
            f"{data_dir} was made by Kafka {stamp['kafka_version']}, "
            f"this is Kafka {paths.KAFKA_VERSION}: {fix}"
        )
    if stamp["node_count"] != node_count:
        raise Refused(
            f"{data_dir} was made for {stamp['node_count']} Kafka node(s), not {node_count}: "
            f"start it with --nodes {stamp['node_count']}, or {fix}"
        )


def _check_node_dirs(layout: Layout) -> None:
    for node_id in layout.port_pairs:
        if not layout.is_formatted(node_id):
            continue
        meta = (layout.node_dir(node_id) / "meta.properties").read_text(encoding="latin-1")
        pairs = dict(line.split("=", 1) for line in meta.splitlines() if "=" in line)
        found = pairs.get("cluster.id", "")
        if found != layout.cluster_id:
            raise Refused(
                f"{layout.node_dir(node_id)} belongs to the Kafka cluster {found}, "
                f"not to {layout.cluster_id} of {layout.data_dir / 'stamp.json'}: "
                "give another --data directory, or restore the right files"
            )


def _choose_ports(data_dir: Path, node_count: int) -> dict[int, tuple[int, int]]:
    chosen = ports.free_ports(2 * node_count)
    pairs = {n + 1: (chosen[2 * n], chosen[2 * n + 1]) for n in range(node_count)}
    files.write_json(data_dir / "ports.json", {str(n): list(pair) for n, pair in pairs.items()})
    return pairs


def _read_ports(ports_file: Path) -> dict[int, tuple[int, int]] | None:
    if not ports_file.exists():
        return None
    found = files.read_json(ports_file)
    try:
        return {int(node_id): (int(pair[0]), int(pair[1])) for node_id, pair in found.items()}
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        raise Refused(f"{ports_file} is not readable: delete it, new ports are chosen") from error


def _read_stamp(stamp_file: Path) -> dict[str, Any]:
    stamp = files.read_json(stamp_file)
    wanted = {"kafka_version": str, "cluster_id": str, "node_count": int}
    if not isinstance(stamp, dict) or any(
        not isinstance(stamp.get(name), kind) for name, kind in wanted.items()
    ):
        raise Refused(f"{stamp_file} is no stamp of a Kafka data directory: give another directory")
    return stamp


def jvm_environment() -> dict[str, str]:
    """Our environment with a UTF-8 locale (Java decodes file names by it) and no foreign flags."""
    foreign = {"JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH"}
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    return {**kept, "LC_ALL": "C.UTF-8"}
