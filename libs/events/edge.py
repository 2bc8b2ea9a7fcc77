"""The edge producer: what the world did becomes a record, answered only after the broker's ack.

    edge = EdgeProducer("payments.edge", catalogue, port, partitions)
    edge.append("payments.notices", key, NoticeReceived(...))       # returns after the ack

Nothing is kept here: when the broker does not answer in time, `Unavailable` reaches the caller, who
answers 503 or polls more slowly, and the world tries again. Every record begins a trace here, or
continues the one that is given.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol

from libs.events.codec import encode
from libs.events.errors import Unavailable
from libs.events.record import Envelope, Outgoing, envelope_headers, partition_of
from libs.events.registry import Catalogue
from libs.events.telemetry import (
    NO_TRACING,
    SEND,
    EdgeTelemetry,
    Tracing,
    following,
    new_traceparent,
    traceparent_of,
)


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
        tracing: Tracing | None = None,
    ) -> None:
        self.source, self.catalogue, self.port = source, catalogue, port
        self.partitions, self.timeout_s = partitions, timeout_s
        self.telemetry = EdgeTelemetry(source, tracing)
        self._serving = threading.Event()

    def outgoing(self, topic: str, key: str, body: object, traceparent: str = "") -> Outgoing:
        """The record of one event; its id is drawn here, once, and its trace begins here."""
        kind = self.catalogue.type_of(body)
        envelope = Envelope(
            id=f"{self.source}/{secrets.token_hex(16)}",
            type=kind.full_name,
            source=self.source,
            time=utc_now(),
            subject=key,
            traceparent=traceparent or new_traceparent(),
        )
        partition = partition_of(key, self.partitions(topic))
        return Outgoing(topic, partition, key.encode(), encode(body), envelope_headers(envelope))

    def append(self, topic: str, key: str, body: object, traceparent: str = "") -> int:
        """Write one event and wait for the ack; its offset. Raises Unavailable."""
        with self._span([topic], traceparent) as own:
            return self._write([self.outgoing(topic, key, body, own or traceparent)])[0]

    def append_many(self, records: Sequence[Outgoing]) -> list[int]:
        """Write several events and wait for all acks; their offsets. Raises Unavailable."""
        topics = [record.topic for record in records]
        with self._span(topics, links=[traceparent_of(record.headers) for record in records]):
            return self._write(records)

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

        with self._span([topic], traceparent) as own:
            record = self.outgoing(topic, key, body, own or traceparent)
            with self._counted([record]):
                self.port.submit(record, on_ack)
                try:
                    return await asyncio.wait_for(acked, self.timeout_s)
                except TimeoutError:
                    problem = f"{topic}: no acknowledgement in {self.timeout_s:g} s"
                    raise Unavailable(problem) from None

    @contextmanager
    def _span(
        self, topics: Sequence[str], parent: str = "", links: Sequence[str] = ()
    ) -> Iterator[str]:
        """A span around writing, when spans are sent; its traceparent is that of the record."""
        if not self.telemetry.tracing.is_on or not topics:
            yield ""
            return
        with self.telemetry.tracing.span(
            f"append {topics[0]}",
            SEND,
            topics[0],
            parent=parent,
            links=links,
            message_count=len(topics),
        ) as own:
            yield own

    @contextmanager
    def _counted(self, records: Sequence[Outgoing]) -> Iterator[None]:
        """Count the outcome; log lines written meanwhile name the trace of a single record."""
        try:
            with following(records[0].headers if len(records) == 1 else ()):
                yield
        except Exception:
            self.telemetry.appended(records, "failed")
            raise
        self.telemetry.appended(records, "written")

    def _write(self, records: Sequence[Outgoing]) -> list[int]:
        with self._counted(records):
            return self.port.append_many(records, self.timeout_s)

    def serve_acks(self) -> threading.Thread:
        """Start the thread that receives acknowledgements for `append_async`."""

        def serve() -> None:
            while not self._serving.is_set():
                self.port.poll(0.05)

        thread = threading.Thread(target=serve, name=f"acks-{self.source}", daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        """Stop serving acks and write what waits, then what is told of it."""
        self._serving.set()
        self.port.close()
        self.telemetry.tracing.close()


def broadcast(
    writer: WriterPort,
    source: str,
    catalogue: Catalogue,
    topic: str,
    body: object,
    count: int,
    tracing: Tracing = NO_TRACING,
) -> None:
    """Write one event to every partition of a topic, in one transaction and one trace."""
    kind = catalogue.type_of(body)
    event_id = f"{source}/{secrets.token_hex(16)}"
    value = encode(body)
    with tracing.span(f"append {topic}", SEND, topic, message_count=count) as own:
        traceparent = own or new_traceparent()
        outgoing = [
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
                        traceparent=traceparent,
                    )
                ),
            )
            for partition in range(count)
        ]
        with following(outgoing[0].headers):
            writer.write(outgoing)
