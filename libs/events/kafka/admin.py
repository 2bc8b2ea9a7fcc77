"""Looking at topics and groups, creating topics and setting them; every call has an end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its stubs are incomplete
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewTopic,
    ResourceType,
)

from libs.events.errors import Unavailable
from libs.events.kafka.client import LATEST, Catalogue, KafkaSettings, made, result
from libs.events.record import TopicPartition


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    """One topic as it is or shall be. `configs`: what is set on the topic itself, or (`effective`)
    everything that holds for it; `replication`: the copies of the partition that has fewest."""

    name: str
    partitions: int
    replication: int = 1
    configs: Mapping[str, str] = field(default_factory=dict)


class KafkaAdmin:
    """Looks at topics and groups, creates topics and sets them, each call with an end."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._timeout_s = settings.request_timeout_ms / 1000
        self._renew()

    def _renew(self) -> None:
        """Begin with a new client: an old one keeps the leader epochs of before a broker's crash,
        and is refused for them (FENCED_LEADER_EPOCH) for as long as nobody else refreshes them."""
        self._client = made(AdminClient, self._settings.client())
        self._catalogue = Catalogue(self._client, self._settings)

    def partitions(self) -> dict[str, int]:
        """All topics but Kafka's own, with their partition counts."""
        return self._catalogue.all()

    def brokers(self) -> int:
        """How many brokers answer for the cluster now: a partition cannot have more copies."""
        return len(self._client.list_topics(timeout=self._timeout_s).brokers)

    def describe(self, names: Iterable[str]) -> dict[str, TopicSpec]:
        """Topics with the configs that were set on them; Refused when one does not exist."""
        own = ConfigSource.DYNAMIC_TOPIC_CONFIG.value
        return self._described(names, lambda entry: bool(entry.source == own))

    def effective(self, names: Iterable[str]) -> dict[str, TopicSpec]:
        """Topics with every config that holds for them, whether it was set on the topic, on a
        broker or nowhere; Refused when one does not exist."""
        return self._described(names, lambda _: True)

    def _described(
        self, names: Iterable[str], wanted: Callable[[Any], bool]
    ) -> dict[str, TopicSpec]:
        counts = {name: self._catalogue.count(name) for name in names}
        listed = self._client.list_topics(timeout=self._timeout_s).topics
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in counts]
        asked = self._client.describe_configs(resources, request_timeout=self._timeout_s)
        specs = {}
        for resource, future in asked.items():
            entries = result(future, f"describe {resource.name}", self._timeout_s + 1)
            partitions = listed[resource.name].partitions.values()
            specs[resource.name] = TopicSpec(
                name=resource.name,
                partitions=counts[resource.name],
                replication=min(len(partition.replicas) for partition in partitions),
                configs={e.name: e.value for e in entries.values() if wanted(e)},
            )
        return specs

    def set_configs(self, configs: Mapping[str, Mapping[str, str]]) -> None:
        """Set configs on topics and leave all others as they are; Refused when the broker does not
        accept one."""
        resources = [
            ConfigResource(
                ResourceType.TOPIC,
                topic,
                incremental_configs=[
                    ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                    for name, value in wanted.items()
                ],
            )
            for topic, wanted in configs.items()
        ]
        asked = self._client.incremental_alter_configs(resources, request_timeout=self._timeout_s)
        for resource, future in asked.items():
            result(future, f"set configs of {resource.name}", self._timeout_s + 1)

    def create(self, specs: Iterable[TopicSpec]) -> None:
        """Create topics; Refused when one exists or the broker does not accept it."""
        wanted = [
            NewTopic(s.name, s.partitions, s.replication, config=dict(s.configs)) for s in specs
        ]
        asked = self._client.create_topics(wanted, request_timeout=self._timeout_s)
        for name, future in asked.items():
            result(future, f"create topic {name}", self._timeout_s + 1)

    def committed(self, group: str) -> dict[TopicPartition, int]:
        """A group's committed offsets; empty for a group that never committed."""
        asked = self._client.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group)], request_timeout=self._timeout_s
        )
        found = result(asked[group], f"offsets of group {group}", self._timeout_s + 1)
        places = found.topic_partitions or []
        return {TopicPartition(p.topic, p.partition): p.offset for p in places if p.offset >= 0}

    def end_offsets(
        self, partitions: Iterable[TopicPartition], *, stable: bool = True
    ) -> dict[TopicPartition, int]:
        """The last stable offset of many partitions, in one call; with `stable` false the end of
        all that is written, open transactions included."""
        level = IsolationLevel.READ_COMMITTED if stable else IsolationLevel.READ_UNCOMMITTED
        asked = self._client.list_offsets(
            {Place(*tp): LATEST for tp in partitions},
            isolation_level=level,
            request_timeout=self._timeout_s,
        )
        try:
            return {
                TopicPartition(p.topic, p.partition): result(
                    f, f"end of {p.topic}[{p.partition}]", self._timeout_s
                ).offset
                for p, f in asked.items()
            }
        except Unavailable:
            self._renew()
            raise
