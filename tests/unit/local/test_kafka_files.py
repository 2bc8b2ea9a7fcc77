"""What a Kafka data directory remembers, and what it refuses."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from libs.events.errors import BadInput, Refused
from services.local import kafka, kafka_files, paths
from services.local.kafka_files import Layout


def properties_of(layout: Layout, node_id: int, **overrides: str) -> dict[str, str]:
    kafka_files.write_properties(layout, node_id, overrides)
    lines = layout.properties_file(node_id).read_text(encoding="ascii").splitlines()
    return dict(line.split("=", 1) for line in lines)


def make_formatted(layout: Layout, cluster_id: str) -> None:
    layout.node_dir(1).mkdir()
    meta = layout.node_dir(1) / "meta.properties"
    meta.write_text(f"#\nversion=1\ncluster.id={cluster_id}\nnode.id=1\n")


def test_ports_and_cluster_id_survive_a_restart(tmp_path: Path) -> None:
    first = kafka_files.open_layout(tmp_path, 3)
    again = kafka_files.open_layout(tmp_path, 3)
    assert again == first
    assert len({port for pair in first.port_pairs.values() for port in pair}) == 6
    assert len(first.cluster_id) == 22
    assert kafka_files.read_layout(tmp_path) == first


def test_one_node_has_one_copy_and_three_have_three(tmp_path: Path) -> None:
    one = properties_of(kafka_files.open_layout(tmp_path / "one", 1), 1)
    layout = kafka_files.open_layout(tmp_path / "three", 3)
    three = properties_of(layout, 2)
    names = ("offsets.topic.replication.factor", "transaction.state.log.replication.factor")
    assert [one[name] for name in names] == ["1", "1"]
    assert [three[name] for name in names] == ["3", "3"]
    assert (one["min.insync.replicas"], three["min.insync.replicas"]) == ("1", "2")
    assert three["transaction.state.log.min.isr"] == "2"
    assert three["node.id"] == "2"
    voters = [f"{n}@127.0.0.1:{pair[1]}" for n, pair in layout.port_pairs.items()]
    assert three["controller.quorum.voters"] == ",".join(voters)
    assert three["advertised.listeners"] == f"PLAINTEXT://127.0.0.1:{layout.port_pairs[2][0]}"


def test_nothing_is_created_or_forgotten_by_itself(tmp_path: Path) -> None:
    found = properties_of(kafka_files.open_layout(tmp_path, 1), 1)
    assert found["auto.create.topics.enable"] == "false"
    assert found["unclean.leader.election.enable"] == "false"
    assert found["offsets.retention.minutes"] == "2147483647"


def test_overrides_win_and_are_escaped_for_java(tmp_path: Path) -> None:
    layout = kafka_files.open_layout(tmp_path, 1)
    found = properties_of(layout, 1, **{"num.partitions": "9", "x.dir": "C:\\数据"})
    assert found["num.partitions"] == "9"
    assert found["x.dir"] == "C:\\\\\\u6570\\u636e"


def test_a_directory_of_another_kafka_version_is_refused(tmp_path: Path) -> None:
    kafka_files.open_layout(tmp_path, 1)
    stamp = json.loads((tmp_path / "stamp.json").read_text())
    (tmp_path / "stamp.json").write_text(json.dumps({**stamp, "kafka_version": "4.1.0"}))
    with pytest.raises(Refused, match=r"Kafka 4\.1\.0, this is Kafka 4\.4\.0: give another --data"):
        kafka.start_broker(tmp_path)


def test_a_directory_for_another_number_of_nodes_is_refused(tmp_path: Path) -> None:
    kafka_files.open_layout(tmp_path, 3)
    with pytest.raises(Refused, match=r"3 Kafka node\(s\), not 1: start it with --nodes 3"):
        kafka.start_broker(tmp_path)


def test_a_directory_of_another_cluster_is_refused(tmp_path: Path) -> None:
    layout = kafka_files.open_layout(tmp_path, 1)
    make_formatted(layout, layout.cluster_id)
    assert kafka_files.open_layout(tmp_path, 1) == layout
    (layout.node_dir(1) / "meta.properties").write_text("cluster.id=AAAAAAAAAAAAAAAAAAAAAA\n")
    with pytest.raises(Refused, match="the Kafka cluster AAAAAAAAAAAAAAAAAAAAAA, not to"):
        kafka.start_broker(tmp_path)


def test_kafka_files_without_a_stamp_are_refused(tmp_path: Path) -> None:
    layout = kafka_files.open_layout(tmp_path, 1)
    make_formatted(layout, layout.cluster_id)
    (tmp_path / "stamp.json").unlink()
    with pytest.raises(Refused, match=r"no stamp\.json"):
        kafka.start_broker(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"kafka_version": 4}', "null"])
def test_a_broken_stamp_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "stamp.json").write_text(content)
    with pytest.raises(Refused, match=r"stamp\.json is"):
        kafka.start_broker(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"1": 4}', '{"1": [4]}', '{"x": [1, 2]}'])
def test_a_broken_ports_file_is_refused(tmp_path: Path, content: str) -> None:
    kafka_files.open_layout(tmp_path, 1)
    (tmp_path / "ports.json").write_text(content)
    with pytest.raises(Refused, match=r"ports\.json is not readable"):
        kafka.start_broker(tmp_path)


@pytest.mark.parametrize("which", [0, 1])
def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path, which: int) -> None:
    port = kafka_files.open_layout(tmp_path, 3).port_pairs[3][which]
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(Refused, match=rf"port {port} of .* is taken .*delete .*ports\.json"),
    ):
        kafka.start_broker(tmp_path, node_count=3)
    assert kafka.find_cluster(tmp_path) is None
    (tmp_path / "ports.json").unlink()
    assert kafka_files.open_layout(tmp_path, 3).port_pairs[3][which] != port


def test_two_nodes_are_refused_because_they_survive_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"2 nodes \(1 \(standalone\) or 3"):
        kafka.start_broker(tmp_path, node_count=2)


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(BadInput, match="name a directory you may write"):
        kafka.start_broker(tmp_path / "data")


def test_nothing_runs_where_nothing_was_started(tmp_path: Path) -> None:
    assert kafka.find_cluster(tmp_path) is None
    kafka_files.open_layout(tmp_path, 1)
    assert kafka.find_cluster(tmp_path) is None


def test_the_pid_of_a_stranger_is_no_running_cluster(tmp_path: Path) -> None:
    layout = kafka_files.open_layout(tmp_path, 1)
    layout.running_file.write_text('[{"node_id": 1, "pid": 1, "birth": "0123abcd:1"}]')
    assert kafka.find_cluster(tmp_path) is None


def test_missing_jars_name_the_command_that_fetches_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRIDLEDGER_KAFKA_JARS_DIR", raising=False)
    monkeypatch.setattr(paths, "PROJECT_DIR", tmp_path)
    with pytest.raises(Refused, match=r"run `python3 scripts/bootstrap\.py kafka`"):
        kafka.start_broker(tmp_path / "data")


def test_a_given_jar_directory_must_hold_kafka(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDLEDGER_KAFKA_JARS_DIR", str(tmp_path))
    with pytest.raises(BadInput, match=r"GRIDLEDGER_KAFKA_JARS_DIR: no kafka_2\.13 jar"):
        paths.kafka_jars_dir()
    (tmp_path / "kafka_2.13-3.9.0.jar").touch()
    with pytest.raises(Refused, match=r"kafka_2\.13-3\.9\.0\.jar, not Kafka 4\.4\.0"):
        paths.kafka_jars_dir()
    (tmp_path / "kafka_2.13-4.4.0.jar").touch()
    assert paths.kafka_jars_dir() == tmp_path


def test_the_version_is_the_one_of_the_pom() -> None:
    pom = (paths.PROJECT_DIR / "deploy" / "local" / "pom.xml").read_text()
    assert f"<kafka.version>{paths.KAFKA_VERSION}<" in pom
