"""`gridledger topics` against a real broker: what would lose records is seen wherever it was set.

The table is a small one of names that no other test uses, so that the session's broker serves.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from libs.events.errors import Refused
from libs.events.kafka import KafkaAdmin, TopicSpec
from libs.events.topics import Topic, TopicTable
from services.cli import topics
from services.cli.main import main
from services.cli.topics import Change, apply, plan
from services.settings import Settings, load_settings

pytestmark = pytest.mark.kafka

PATIENCE_S = 10.0
KEPT = {
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "cleanup.policy": "delete",
    "min.insync.replicas": "1",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """The session's broker, and a table of two topics that is this test's own."""

    settings: Settings
    admin: KafkaAdmin
    names: tuple[str, str]

    def make(self, **configs: str) -> str:
        """Our first topic, made by somebody else: -1, -1 and delete unless said otherwise."""
        set_on_topic = KEPT | {name.replace("_", "."): value for name, value in configs.items()}
        partitions = int(set_on_topic.pop("partitions", "2"))
        own = {name: value for name, value in set_on_topic.items() if value}
        self.admin.create([TopicSpec(name=self.names[0], partitions=partitions, configs=own)])
        self.until(lambda: self.names[0] in KafkaAdmin(self.settings.kafka()).partitions())
        return self.names[0]

    def plan(self, **other: object) -> list[Change]:
        """The plan of our two topics, by an administrator who remembers nothing."""
        settings = self.settings.model_copy(update=other)
        changes = plan(KafkaAdmin(settings.kafka()), settings)
        return [change for change in changes if change.topic in self.names]

    def of_first(self, **other: object) -> list[tuple[str, str]]:
        """(kind, detail) of every line about the first topic."""
        return [(c.kind, c.detail) for c in self.plan(**other) if c.topic == self.names[0]]

    def until(self, holds: Callable[[], bool]) -> None:
        """What a broker was told holds a moment later."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    @contextmanager
    def broker_sets(self, **configs: str) -> Iterator[None]:
        """A default of every broker, taken back at the end."""
        named = {name.replace("_", "."): value for name, value in configs.items()}
        self._set_on_brokers(named, AlterConfigOpType.SET)
        try:
            yield
        finally:
            self._set_on_brokers(named, AlterConfigOpType.DELETE)

    def _set_on_brokers(self, configs: Mapping[str, str], operation: AlterConfigOpType) -> None:
        client = AdminClient(self.settings.kafka().client())
        entries = [ConfigEntry(n, v, incremental_operation=operation) for n, v in configs.items()]
        resources = [
            ConfigResource(ResourceType.BROKER, str(number), incremental_configs=entries)
            for number in client.list_topics(timeout=PATIENCE_S).brokers
        ]
        for resource in resources:  # one call each: the client takes no two brokers in one
            for future in client.incremental_alter_configs([resource]).values():
                future.result(PATIENCE_S)


@pytest.fixture
def cluster(
    kafka_bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cluster]:
    names = (f"first-{uuid4().hex[:8]}", f"second-{uuid4().hex[:8]}")
    rows = {name: Topic(name, "account", (), (), (), "") for name in names}
    monkeypatch.setattr(topics, "load_topics", lambda count: TopicTable(rows, count))
    monkeypatch.setenv("GRIDLEDGER_KAFKA_BOOTSTRAP_SERVERS", kafka_bootstrap)
    monkeypatch.setenv("GRIDLEDGER_PARTITIONS", "2")
    monkeypatch.chdir(tmp_path)
    settings = load_settings(tmp_path).settings
    made = Cluster(settings, KafkaAdmin(settings.kafka()), names)
    yield made
    client = AdminClient(settings.kafka().client())
    for future in client.delete_topics(list(names)).values():
        with suppress(Exception):  # one that a test did not make
            future.result(PATIENCE_S)


def test_what_is_missing_is_created_with_everything_said_and_again_changes_nothing(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["topics", "plan", "--json"]) == 0
    shown = {row["topic"]: row for row in json.loads(capsys.readouterr().out)}
    for name in cluster.names:
        wanted = {"topic": name, "kind": "create", "detail": "2 partitions, 1 copy"}
        assert shown[name] == wanted
    assert main(["topics", "apply", "--json"]) == 0
    cluster.until(lambda: [c.kind for c in cluster.plan()] == ["same", "same"])
    before = KafkaAdmin(cluster.settings.kafka()).describe(cluster.names)
    assert [dict(before[name].configs) for name in cluster.names] == [KEPT, KEPT]
    apply(cluster.settings)
    assert KafkaAdmin(cluster.settings.kafka()).describe(cluster.names) == before


def test_another_partition_count_is_refused_by_name_and_nothing_is_touched(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    first = cluster.make(partitions="3", retention_ms="1000")
    (refused, mended) = cluster.of_first()
    assert refused[0] == "refused"
    assert refused[1].startswith("has 3 partitions, 2 are set: ")
    assert mended == ("set", "retention.ms is 1000, set to -1")
    assert main(["topics", "plan", "--json"]) == 1
    capsys.readouterr()
    assert main(["topics", "apply"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: {first} has 3 partitions, 2 are set: ")
    assert printed.err.count("\n") == 1
    assert "GRIDLEDGER_PARTITIONS" in printed.err
    left = KafkaAdmin(cluster.settings.kafka())
    assert cluster.names[1] not in left.partitions()
    assert left.describe([first])[first].configs["retention.ms"] == "1000"


def test_a_compacted_topic_is_refused(cluster: Cluster) -> None:
    first = cluster.make(cleanup_policy="compact,delete")
    assert [kind for kind, _ in cluster.of_first()] == ["refused"]
    with pytest.raises(
        Refused, match=rf"^{first} cleanup\.policy is compact,delete, must be delete"
    ):
        apply(cluster.settings)


def test_compaction_that_a_broker_sets_for_all_is_refused(cluster: Cluster) -> None:
    cluster.make(cleanup_policy="")
    assert cluster.of_first() == [("same", "")]
    with cluster.broker_sets(log_cleanup_policy="compact"):
        cluster.until(lambda: [kind for kind, _ in cluster.of_first()] == ["refused"])
        with pytest.raises(Refused, match=r"cleanup\.policy is compact, must be delete"):
            apply(cluster.settings)
    cluster.until(lambda: cluster.of_first() == [("same", "")])


def test_a_finite_retention_of_the_topic_is_raised(cluster: Cluster) -> None:
    cluster.make(retention_bytes="1000000", retention_ms="")  # the default of a broker: a week
    assert cluster.of_first() == [
        ("set", "retention.ms is 604800000, set to -1"),
        ("set", "retention.bytes is 1000000, set to -1"),
    ]
    apply(cluster.settings)
    cluster.until(lambda: cluster.of_first() == [("same", "")])


def test_a_finite_retention_of_the_broker_counts_for_a_topic_that_says_nothing(
    cluster: Cluster,
) -> None:
    """With retention.ms=-1 on the topic alone this looked right, and records would be lost."""
    cluster.make(retention_bytes="")
    assert cluster.of_first() == [("same", "")]
    with cluster.broker_sets(log_retention_bytes="10000000000"):
        wanted = [("set", "retention.bytes is 10000000000, set to -1")]
        cluster.until(lambda: cluster.of_first() == wanted)
        apply(cluster.settings)
        cluster.until(lambda: cluster.of_first() == [("same", "")])


def test_fewer_copies_than_the_setting_are_refused(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One broker and three copies: neither what is there nor what is missing can be had."""
    first = cluster.make()
    monkeypatch.setenv("GRIDLEDGER_REPLICATION_FACTOR", "3")
    there, missing = cluster.plan(replication_factor=3)
    assert (there.kind, missing.kind) == ("refused", "refused")
    assert there.detail.startswith("has 1 of 3 copies: ")
    assert missing.detail == (
        "3 copies are set, the cluster has brokers for 1: "
        "add brokers, or set GRIDLEDGER_REPLICATION_FACTOR to 1"
    )
    assert main(["topics", "apply"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {first} has 1 of 3 copies: ")
    assert said.endswith("(and 1 more: see `gridledger topics plan`)\n")


def test_more_in_sync_than_there_are_copies_would_stop_every_write(cluster: Cluster) -> None:
    cluster.make(min_insync_replicas="2")
    assert cluster.of_first() == [("set", "min.insync.replicas is 2, set to 1")]
    apply(cluster.settings)
    cluster.until(lambda: cluster.of_first() == [("same", "")])
