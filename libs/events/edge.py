"""The edge producer: what the world did becomes a record, answered only after the broker's ack.

    edge = EdgeProducer("payments.edge", catalogue, port, partitions)
    edge.append("payments.notices", key, NoticeReceived(...))       # returns after the ack

Nothing is kept here: when the broker does not answer in time, `Unavailable` reaches the caller, who
answers 503 or polls more slowly, and the world tries again.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from libs.events.codec import encode
from libs.events.errors import Unavailable
from libs.events.record import Envelope, Outgoing, envelope_headers, partition_of
from libs.events.registry import Catalogue


class ProducerPort(Protocol):
    """What an edge needs of a producer: KafkaProducerPort, or the simulated one."""

    def submit(self, outgoing: Outgoing, on_ack: Callable[[int | Exception], None]) -> None:
        """Queue one record; Unavailable when too many wait."""
        ...

    def poll(self, timeout_s: float = 0.0) -> int:
        """Serve acks; how many records still wait."""
        ...

    def append_many(self, outgoing: Sequence[Outgoing], timeout_s: float) -> list[int]:
        """Write records and wait for all acks; their offsets."""
        ...

    def close(self) -> None:
        """Write what waits, then end."""
        ...


class WriterPort(Protocol):
    """A transactional writer: all records or none."""

    def write(self, outgoing: Sequence[Outgoing]) -> object:
        """Write all records in one transaction."""
        ...


def utc_now() -> str:
    """The wall clock, as an instant in UTC to the second; edges only."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class EdgeProducer:
    """Writes the events of one edge. `append` blocks; `append_async` serves HTTP edges."""

    def __init__(
        self,
        source: str,
        catalogue: Catalogue,
        port: ProducerPort,
        partitions: Callable[[str], int],
        timeout_s: float = 10.0,
    ) -> None:
        self.source, self.catalogue, self.port = source, catalogue, port
        self.partitions, self.timeout_s = partitions, timeout_s
        self._serving = threading.Event()

    def outgoing(self, topic: str, key: str, body: object, traceparent: str = "") -> Outgoing:
        """The record of one event; its id is drawn here, once."""
        kind = self.catalogue.type_of(body)
        envelope = Envelope(
            id=f"{self.source}/{secrets.token_hex(16)}",
            type=kind.full_name,
            source=self.source,
            time=utc_now(),
            subject=key,
            traceparent=traceparent,
        )
        partition = partition_of(key, self.partitions(topic))
        return Outgoing(topic, partition, key.encode(), encode(body), envelope_headers(envelope))

    def append(self, topic: str, key: str, body: object, traceparent: str = "") -> int:
        """Write one event and wait for the ack; its offset. Raises Unavailable."""
        return self.append_many([self.outgoing(topic, key, body, traceparent)])[0]

    def append_many(self, records: Sequence[Outgoing]) -> list[int]:
        """Write several events and wait for all acks; their offsets. Raises Unavailable."""
        return self.port.append_many(records, self.timeout_s)

    async def append_async(self, topic: str, key: str, body: object, traceparent: str = "") -> int:
        """As `append`, without blocking the event loop; needs `serve_acks` in a thread."""
        loop = asyncio.get_running_loop()
        acked: asyncio.Future[int] = loop.create_future()

        def settle(result: int | Exception) -> None:
            if acked.done():
                return
            if isinstance(result, Exception):
                acked.set_exception(result)
            else:
                acked.set_result(result)

        def on_ack(result: int | Exception) -> None:
            loop.call_soon_threadsafe(settle, result)

        self.port.submit(self.outgoing(topic, key, body, traceparent), on_ack)
        try:
            return await asyncio.wait_for(acked, self.timeout_s)
        except TimeoutError:
            raise Unavailable(f"{topic}: no acknowledgement in {self.timeout_s:g} s") from None

    def serve_acks(self) -> threading.Thread:
        """Start the thread that receives acknowledgements for `append_async`."""

        def serve() -> None:
            while not self._serving.is_set():
                self.port.poll(0.05)

        thread = threading.Thread(target=serve, name=f"acks-{self.source}", daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        """Stop serving acks and write what waits."""
        self._serving.set()
        self.port.close()


def broadcast(
    writer: WriterPort, source: str, catalogue: Catalogue, topic: str, body: object, count: int
) -> None:
    """Write one event to every partition of a topic, in one transaction."""
    kind = catalogue.type_of(body)
    event_id = f"{source}/{secrets.token_hex(16)}"
    value = encode(body)
    writer.write(
        [
            Outgoing(
                topic,
                partition,
                None,
                value,
                envelope_headers(
                    Envelope(
                        id=f"{event_id}/{partition}",
                        type=kind.full_name,
                        source=source,
                        time=getattr(body, "at", utc_now()),
                        subject="",
                    )
                ),
            )
            for partition in range(count)
        ]
    )
