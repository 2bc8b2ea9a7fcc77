"""The topic table: `topics.yaml` as data, and what the runtime and the tools ask of it.

table = load_topics(partitions=4)
table.partitions("billing.events")     4
table.inputs_key("billing")            the one key of all its inputs, or Refused
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import yaml

from libs.events.errors import Refused
from libs.events.record import TopicPartition

EVERY = "every"


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. key: the unit of order, or `every`; carries: type names without version."""

    name: str
    key: str
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    carries: tuple[str, ...]
    about: str


@dataclass(frozen=True, slots=True)
class TopicTable:
    """All topics of an installation, each with `count` partitions."""

    topics: dict[str, Topic]
    count: int

    def partitions(self, topic: str) -> int:
        """The partition count of a topic; Refused when `topics.yaml` does not have it."""
        if topic not in self.topics:
            raise Refused(f"topic {topic!r} is not in topics.yaml")
        return self.count

    def writers(self, topic: str) -> tuple[str, ...]:
        """The cores and edges that may write a topic."""
        return self.topics[topic].writers

    def places(self) -> list[TopicPartition]:
        """Every partition of every topic."""
        return [
            TopicPartition(name, number) for name in self.topics for number in range(self.count)
        ]

    def read_by(self, core: str) -> tuple[str, ...]:
        """The input topics of a core."""
        return tuple(name for name, topic in self.topics.items() if core in topic.readers)

    def written_by(self, core: str) -> tuple[str, ...]:
        """The topics a core or edge writes."""
        return tuple(name for name, topic in self.topics.items() if core in topic.writers)

    def carried(self, topics: tuple[str, ...]) -> frozenset[str]:
        """The type names that may occur on these topics."""
        return frozenset(name for topic in topics for name in self.topics[topic].carries)

    def keyed(self, topics: tuple[str, ...]) -> frozenset[str]:
        """Those of the topics whose records bear a key and lie in its partition."""
        return frozenset(name for name in topics if self.topics[name].key != EVERY)


def dead_letters_of(core: str) -> str:
    """The dead-letter topic of a core."""
    return f"{core}.dlq"


@lru_cache
def load_topics(partitions: int = 4) -> TopicTable:
    """Read `topics.yaml`; Refused when it contradicts itself."""
    document = yaml.safe_load(files("libs.events").joinpath("topics.yaml").read_text("utf-8"))
    topics = {
        name: Topic(
            name=name,
            key=row["key"],
            writers=tuple(row["writers"]),
            readers=tuple(row["readers"]),
            carries=tuple(row["carries"]),
            about=row["about"],
        )
        for name, row in document["topics"].items()
    }
    for core in document["dead_letters"]:
        name = dead_letters_of(core)
        topics[name] = Topic(
            name=name,
            key="as the input",
            writers=(core,),
            readers=("dlq",),
            carries=(),
            about=f"What {core} could not decode: untouched bytes, reason, origin.",
        )
    return TopicTable(topics, partitions)
