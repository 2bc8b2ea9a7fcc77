"""Writing for edges: idempotent, bounded, acknowledged by all replicas in sync."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from libs.events.errors import GridLedgerError, Unavailable, Unknown
from libs.events.kafka.client import Catalogue, KafkaSettings, known, made, plain, typed
from libs.events.kafka.transactions import put
from libs.events.record import Outgoing

Ack = Callable[[int | Exception], None]


class KafkaProducerPort:
    """Idempotent writes of edges, acknowledged only when all replicas in sync have them."""

    def __init__(self, settings: KafkaSettings, max_in_flight: int = 10_000) -> None:
        self._producer = made(Producer, settings.producer())
        self._catalogue = Catalogue(self._producer, settings)
        self._max_in_flight = max_in_flight

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has, asked once; Refused when it does not exist."""
        return self._catalogue.count(topic)

    def submit(self, outgoing: Outgoing, on_ack: Ack) -> None:
        """Queue one record; `poll` calls `on_ack` with its offset or its error.

        Raises Unavailable when too many records wait for their ack: answer 503.
        """
        self._catalogue.require(outgoing.topic, outgoing.partition)
        if len(self._producer) >= self._max_in_flight:
            raise Unavailable(f"{self._max_in_flight} records wait for the broker: try again")

        def landed(error: KafkaError | None, message: Message) -> None:
            on_ack(known(message.offset()) if error is None else _lost(error))

        try:
            put(self._producer, outgoing, landed)
        except KafkaException as failure:
            raise typed(failure.args[0], f"write to {outgoing.topic}") from failure

    def poll(self, timeout_s: float = 0.0) -> int:
        """Give the acks that have come; how many records still wait."""
        try:
            self._producer.poll(timeout_s)
        except (KafkaException, SystemError) as caught:
            raise typed(plain(caught).args[0], "write") from caught
        return len(self._producer)

    def append(self, outgoing: Outgoing, timeout_s: float) -> int:
        """Write one record and wait for its ack; its offset."""
        return self.append_many([outgoing], timeout_s)[0]

    def append_many(self, outgoing: Sequence[Outgoing], timeout_s: float) -> list[int]:
        """Write records and wait for all acks; their offsets.

        Raises Unknown when an ack did not come in time: the record may still be written.
        """
        acks: dict[int, int | Exception] = {}
        for index, out in enumerate(outgoing):
            self.submit(out, partial(acks.__setitem__, index))
        deadline = time.monotonic() + timeout_s
        while len(acks) < len(outgoing):
            self.poll(0.05)
            if time.monotonic() > deadline:
                raise Unknown(f"no ack within {timeout_s} s: the record may still be written")
        for ack in acks.values():
            if isinstance(ack, Exception):
                raise ack
        return [offset for _, offset in sorted(acks.items()) if isinstance(offset, int)]

    def close(self) -> None:
        """Wait a little for outstanding acks, then end."""
        self._producer.flush(5.0)
        self._producer.close()


def _lost(error: KafkaError) -> GridLedgerError:
    """The meaning of a failed delivery: after a time-out the record may have been written."""
    if error.code() == KafkaError._MSG_TIMED_OUT:
        return Unknown("the broker did not acknowledge in time: the record may be written")
    return typed(error, "write")
