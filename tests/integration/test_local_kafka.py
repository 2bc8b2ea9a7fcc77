"""Apache Kafka on this machine: started, restarted, killed, refused, and under `local up`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from libs.events.errors import Refused
from libs.events.kafka import KafkaAdmin, KafkaProducerPort, KafkaReader, KafkaSettings, TopicSpec
from libs.events.record import Outgoing
from services.local import control_socket, installation, kafka, pids
from services.local.installation import UpOptions
from services.local.kafka import RunningCluster, start_broker
from services.local.plan import PlannedService

pytestmark = pytest.mark.kafka
TOPIC = "things"


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., RunningCluster]]:
    """start_broker, with a SIGKILL at the end for whatever runs."""
    clusters: list[RunningCluster] = []

    def start(name: str = "kafka", **options: Any) -> RunningCluster:
        clusters.append(start_broker(tmp_path / name, **options))
        return clusters[-1]

    yield start
    for cluster in clusters:
        cluster.stop(grace_s=0)


def settings_of(servers: str) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=servers, request_timeout_ms=30_000)


def create(servers: str, replication: int) -> None:
    spec = TopicSpec(name=TOPIC, partitions=1, replication=replication)
    KafkaAdmin(settings_of(servers)).create([spec])


def write(servers: str, *values: bytes) -> list[int]:
    producer = KafkaProducerPort(settings_of(servers))
    try:
        records = [Outgoing(TOPIC, 0, b"k", value, ()) for value in values]
        return producer.append_many(records, timeout_s=30)
    finally:
        producer.close()


def read(servers: str) -> list[bytes]:
    reader = KafkaReader(settings_of(servers))
    try:
        return [record.value or b"" for record in reader.read(TOPIC, 0, 0, 100).records]
    finally:
        reader.close()


def eventually(wanted: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not wanted():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_one_node_keeps_records_ports_and_identity(
    started: Callable[..., RunningCluster],
) -> None:
    name = "数据 dir, with=all: \\odd signs"
    first = started(name, overrides={"num.partitions": "3"})
    servers = first.bootstrap_servers
    assert "\tnum.partitions = 3\n" in first.log_file(1).read_text()
    create(servers, 1)
    assert write(servers, b"a", b"b") == [0, 1]
    assert KafkaAdmin(settings_of(servers)).partitions() == {TOPIC: 1}

    with pytest.raises(Refused, match=r"Kafka already runs on .* \(pid \d+\)"):
        started(name)
    found = kafka.find_cluster(first.data_dir)
    assert found is not None
    assert [node.pid for node in found.nodes] == [node.pid for node in first.nodes]
    first.stop()
    assert kafka.find_cluster(first.data_dir) is None
    assert pids.birth_of(first.nodes[0].pid) is None

    second = started(name)
    assert (second.bootstrap_servers, second.cluster_id) == (servers, first.cluster_id)
    assert read(servers) == [b"a", b"b"]

    second.kill(1)  # no farewell: what was acknowledged is there nevertheless
    assert not second.nodes[0].is_alive
    second.restart(1)
    assert read(servers) == [b"a", b"b"]
    assert write(servers, b"c") == [2]
    with pytest.raises(Refused, match="node 1 still runs"):
        second.restart(1)


def test_three_nodes_go_on_without_one(started: Callable[..., RunningCluster]) -> None:
    cluster = started(node_count=3)
    servers = cluster.bootstrap_servers
    assert len({node.pid for node in cluster.nodes}) == 3
    assert len(servers.split(",")) == 3
    create(servers, 3)
    write(servers, b"a")
    cluster.kill(cluster.nodes[1])
    assert [node.is_alive for node in cluster.nodes] == [True, False, True]
    write(servers, b"b")
    cluster.restart(2)
    cluster.kill(1)
    write(servers, b"c")
    assert read(servers) == [b"a", b"b", b"c"]


def test_a_wrong_property_is_one_line_with_the_log_file(
    started: Callable[..., RunningCluster], tmp_path: Path
) -> None:
    with pytest.raises(Refused, match=r"could not be formatted: .*num\.io\.threads"):
        started(overrides={"num.io.threads": "many"})
    assert kafka.find_cluster(tmp_path / "kafka") is None


def test_a_broker_dies_with_its_starter(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from services.local.kafka import start_broker\n"
        "cluster = start_broker(Path(sys.argv[1]))\n"
        "print(cluster.nodes[0].pid, cluster.nodes[0].birth, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    number, birth = answer.stdout.split()
    assert pids.wait_gone([(int(number), birth)], timeout_s=20) == [], answer.stderr
    assert kafka.find_cluster(tmp_path) is None


def test_by_hand_it_runs_until_it_is_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "services.local.kafka", "start", "--data", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as by_hand:
        assert by_hand.stdout is not None
        said = json.loads(by_hand.stdout.readline())
        assert KafkaAdmin(settings_of(said["bootstrap_servers"])).partitions() == {}
        by_hand.send_signal(signal.SIGTERM)
        assert by_hand.wait(timeout=30) == 0
    assert kafka.find_cluster(tmp_path) is None


@pytest.fixture
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("GRIDLEDGER_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(installation, "_apply_topics", lambda *_: None)


@pytest.mark.postgres
@pytest.mark.usefixtures("_no_settings")
def test_up_brings_dead_servers_back_and_down_ends_them(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    toy = PlannedService(name="toy", target="tests.unit.local.toy_service:run", count=2)

    def rows(kind: str) -> dict[str, dict[str, Any]]:
        answer = control_socket.ask(data_dir, {"command": "status"})
        return {f"{row['service']}-{row['ordinal']}": row for row in answer[kind]}

    def back(kind: str, name: str) -> bool:
        row = rows(kind)[name]
        return (row["restarts"], row["state"]) == (1, "running")

    try:
        options = UpOptions(data_dir=data_dir, nodes=1, database="postgres", services=(toy,))
        made = installation.bring_up(options)
        create(made.kafka_bootstrap_servers, 1)
        write(made.kafka_bootstrap_servers, b"a")
        assert set(rows("servers")) == {"kafka-1", "postgres-0"}
        for kind, name in (
            ("servers", "kafka-1"),
            ("servers", "postgres-0"),
            ("services", "toy-1"),
        ):
            os.kill(rows(kind)[name]["pid"], signal.SIGKILL)
            eventually(lambda kind=kind, name=name: back(kind, name))  # type: ignore[misc]
        assert write(made.kafka_bootstrap_servers, b"b") == [1]
        found = control_socket.find_supervisor(data_dir)
        assert found is not None
        os.kill(found.pid, signal.SIGKILL)
        pids.wait_gone([(found.pid, found.birth)], timeout_s=5)
        again = installation.bring_up(UpOptions(data_dir=data_dir, services=(toy,)))
        assert again.kafka_bootstrap_servers == made.kafka_bootstrap_servers
        assert again.database == "postgres"  # as it was, without being told again
        assert rows("servers")["kafka-1"]["restarts"] == 0  # it was found, not started
        assert read(made.kafka_bootstrap_servers) == [b"a", b"b"]
    finally:
        ran = installation.take_down(data_dir)
    assert ran
    assert not installation.runs(data_dir)
    installation.reset(data_dir)
    assert not data_dir.exists()
