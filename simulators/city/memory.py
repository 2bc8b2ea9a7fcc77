"""What has happened so far, followed from the topics: what people look at before they act.

memory.follow()
memory.of("billing.invoice_issued")      all bodies of a type, as plain data, in order
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from libs.events.codec import envelope_of, parse_json
from libs.events.errors import Undecodable
from libs.events.kafka import KafkaAdmin, KafkaTail
from libs.events.record import Record
from libs.events.topics import TopicTable
from services.settings import Settings
from simulators.city.stage import insist

SKIPPED = ("ingest.readings",)
"""Frames are looked at only when somebody asks for them."""

OWN = ("ingest.results", "validation.losses", "control.permits", "payments.settlement")
"""Own topics of cores whose names do not say so."""


class Memory:
    """Follows all topics but the raw readings, and keeps every body by type."""

    def __init__(self, settings: Settings, table: TopicTable) -> None:
        self.places = [place for place in table.places() if place.topic not in SKIPPED]
        self.admin = KafkaAdmin(settings.kafka())
        self.tail = KafkaTail(settings.kafka(), self.places)
        self.bodies: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.own: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def follow(self) -> None:
        """Read on to the present end of all topics."""
        ends = insist(lambda: self.admin.end_offsets(self.places))
        for record in self.tail.follow_to(ends, 60.0):
            self._keep(record)

    def _keep(self, record: Record) -> None:
        try:
            envelope = envelope_of(record.headers)
            body = parse_json(record.value)
        except Undecodable:
            return
        name = envelope.type.rpartition(".v")[0]
        body["_topic"], body["_key"] = record.topic, (record.key or b"").decode()
        body["_time"] = envelope.time
        self.bodies[name].append(body)
        if record.topic.endswith(".events") or record.topic in OWN:
            self.own[name].append(body)

    def of(self, name: str, **wanted: Any) -> list[dict[str, Any]]:
        """All own events of a type whose fields are as wanted."""
        return [
            body
            for body in self.own[name]
            if all(body.get(field) == value for field, value in wanted.items())
        ]

    def close(self) -> None:
        """Give the connections back."""
        self.tail.close()
