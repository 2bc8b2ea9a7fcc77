"""Two worlds with one face: the simulated log and Apache Kafka, for tests that run on both.

A world makes topics, members and half-open transactions, kills without closing, lets sessions and
transactions time out, and repeats a check until it holds (Kafka) or once (SimLog).
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from confluent_kafka import KafkaException, Producer
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient

from libs.events.errors import Aborted, Fenced, LogError, Unavailable
from libs.events.kafka import (
    KafkaAdmin,
    KafkaLog,
    KafkaProducerPort,
    KafkaReader,
    KafkaSettings,
    TopicSpec,
    TransactionalWriter,
)
from libs.events.log import Log
from libs.events.record import Headers, Outgoing, TopicPartition
from libs.events.testing.simbroker import Session, SimBroker
from libs.events.testing.simlog import SimAdmin, SimLog, SimProducerPort, SimReader, SimWriter

_RUN = f"{os.getpid()}-{time.time_ns() // 1_000_000 % 100_000_000}"
_COUNTER = itertools.count()


class HalfOpen(Protocol):
    """A transactional producer under the test's own control."""

    def append(self, topic: str, partition: int, value: bytes) -> None: ...
    def send_offsets(self, log: Log, positions: Mapping[TopicPartition, int]) -> None: ...
    def commit(self) -> None: ...
    def abort(self) -> None: ...
    def kill(self) -> None: ...


class _Opening:
    """Keeps whether a transaction is open; a fenced call opens none."""

    open = False

    @contextlib.contextmanager
    def opening(self) -> Iterator[None]:
        before = self.open
        self.open = True
        try:
            yield
        except Fenced:
            self.open = before
            raise


class SimHalfOpen(_Opening):
    def __init__(self, broker: SimBroker, transactional_id: str) -> None:
        self.broker = broker
        self.session: Session = broker.init_producer(transactional_id)

    def append(self, topic: str, partition: int, value: bytes) -> None:
        with self.opening():
            self.broker.append_open(self.session, topic, partition, b"half", value)

    def send_offsets(self, log: Log, positions: Mapping[TopicPartition, int]) -> None:
        assert isinstance(log, SimLog)
        with self.opening():
            self.broker.add_offsets(self.session, log.membership, positions)

    def commit(self) -> None:
        self._end(commit=True)

    def abort(self) -> None:
        self._end(commit=False)

    def _end(self, *, commit: bool) -> None:
        if self.open:
            self.open = False
            self.broker.end(self.session, commit=commit)

    def kill(self) -> None:
        pass


class KafkaHalfOpen(_Opening):
    """Flushes after every record, so that what is in the log does not depend on timing."""

    def __init__(self, settings: KafkaSettings, transactional_id: str) -> None:
        config = settings.transactional(transactional_id) | {"linger.ms": 0}
        self.producer: Producer | None = Producer(config)
        self.producer.init_transactions(30)

    @contextlib.contextmanager
    def begun(self) -> Iterator[Producer]:
        assert self.producer is not None
        before = self.open
        with self.opening(), _Meaning():
            if not before:
                self.producer.begin_transaction()
            yield self.producer

    def append(self, topic: str, partition: int, value: bytes) -> None:
        failures: list[object] = []

        def landed(error: object, _: object) -> None:
            if error is not None:
                failures.append(error)

        with self.begun() as producer:
            producer.produce(topic, value, b"half", partition, on_delivery=landed)
            producer.flush(10)
            if failures:
                raise KafkaException(failures[0])

    def send_offsets(self, log: Log, positions: Mapping[TopicPartition, int]) -> None:
        assert isinstance(log, KafkaLog)
        metadata = log._consumer.consumer_group_metadata()
        offsets = [Place(tp.topic, tp.partition, at) for tp, at in positions.items()]
        with self.begun() as producer:
            producer.send_offsets_to_transaction(offsets, metadata, 10)

    def commit(self) -> None:
        if self.open:
            assert self.producer is not None
            self.open = False
            with _Meaning():
                self.producer.commit_transaction(10)

    def abort(self) -> None:
        if self.open:
            assert self.producer is not None
            self.open = False
            with _Meaning():
                self.producer.abort_transaction(10)

    def kill(self) -> None:
        self.producer = None
        gc.collect()


class _Meaning:
    """Gives a raw client error the class that the adapter would give it."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, failure: BaseException | None, trace: object) -> None:
        if isinstance(failure, SystemError):  # a fatal error met among delivery reports
            failure = failure.__cause__
        if isinstance(failure, KafkaException):
            error = failure.args[0]
            if error.txn_requires_abort():
                raise Aborted(str(error)) from failure
            if error.fatal() or any(word in error.name() for word in ("FATAL", "FENCED", "EPOCH")):
                raise Fenced(str(error)) from failure


class World:
    """What both worlds share; times are those of the world's clock."""

    def __init__(
        self, *, session_ms: int, max_poll_ms: int, transaction_ms: int, heartbeat_ms: int
    ) -> None:
        self.session_ms, self.max_poll_ms = session_ms, max_poll_ms
        self.transaction_ms, self.heartbeat_ms = transaction_ms, heartbeat_ms
        self.suffix = f"{_RUN}-{next(_COUNTER)}"
        self.logs: list[Log] = []

    def name(self, short: str) -> str:
        """A name that no other test uses and that sorts like the short one."""
        return f"{short}.{self.suffix}"

    def append(self, topic: str, partition: int, *values: bytes) -> None:
        """Plain records, outside transactions."""
        outgoing = [Outgoing(topic, partition, b"key", value, ()) for value in values]
        self.producer().append_many(outgoing, 20.0)

    def out(self, topic: str, partition: int, value: bytes, headers: Headers = ()) -> Outgoing:
        return Outgoing(topic, partition, b"key", value, headers)

    def until_assigned(self, expected: Mapping[Log, set[int]]) -> None:
        """Poll these members until each owns exactly what is expected of it."""

        def settled() -> bool:
            for log in expected:
                log.poll(0, 0.02)
            return all(log.assigned() == want for log, want in expected.items())

        self.eventually(settled)

    def values(self, topic: str, partition: int, first: int | None = None) -> list[bytes]:
        """What a read_committed reader sees now."""
        reader = self.reader()
        at = reader.bounds(topic, partition).low if first is None else first
        found: list[bytes] = []
        while True:
            piece = reader.read(topic, partition, at, 100)
            found += [record.value for record in piece.records]
            at = piece.next_offset
            if not piece.records:
                return found

    # What the worlds do differently.
    def topic(self, short: str, partitions: int) -> str:
        raise NotImplementedError

    def topics(self, counts: Mapping[str, int]) -> list[str]:
        raise NotImplementedError

    def log(self, member: str, inputs: Sequence[str], group: str = "group") -> Log:
        raise NotImplementedError

    def half_open(self, transactional_id: str) -> HalfOpen:
        raise NotImplementedError

    def reader(self) -> SimReader | KafkaReader:
        raise NotImplementedError

    def producer(self, max_in_flight: int = 10_000) -> SimProducerPort | KafkaProducerPort:
        raise NotImplementedError

    def writer(self, transactional_id: str) -> SimWriter | TransactionalWriter:
        raise NotImplementedError

    def admin(self) -> SimAdmin | KafkaAdmin:
        raise NotImplementedError

    def trim(self, topic: str, partition: int, low: int) -> None:
        raise NotImplementedError

    def kill(self, log: Log) -> None:
        raise NotImplementedError

    def wait(self, ms: int) -> None:
        raise NotImplementedError

    def eventually(self, holds: Callable[[], bool]) -> None:
        raise NotImplementedError

    def end(self) -> None:
        raise NotImplementedError


class SimWorld(World):
    def __init__(self, seed: int = 0, **times: int) -> None:
        super().__init__(**times)
        self.broker = SimBroker(
            seed=seed,
            session_timeout_ms=self.session_ms,
            max_poll_interval_ms=self.max_poll_ms,
            transaction_timeout_ms=self.transaction_ms,
        )

    def topic(self, short: str, partitions: int) -> str:
        self.broker.create(self.name(short), partitions)
        return self.name(short)

    def topics(self, counts: Mapping[str, int]) -> list[str]:
        return [self.topic(short, partitions) for short, partitions in counts.items()]

    def log(self, member: str, inputs: Sequence[str], group: str = "group") -> Log:
        return SimLog(self.broker, self.name(group), self.name(member), tuple(inputs))

    def half_open(self, transactional_id: str) -> HalfOpen:
        return SimHalfOpen(self.broker, self.name(transactional_id))

    def reader(self) -> SimReader:
        return SimReader(self.broker)

    def producer(self, max_in_flight: int = 10_000) -> SimProducerPort:
        return SimProducerPort(self.broker, max_in_flight)

    def writer(self, transactional_id: str) -> SimWriter:
        return SimWriter(self.broker, self.name(transactional_id))

    def admin(self) -> SimAdmin:
        return SimAdmin(self.broker)

    def trim(self, topic: str, partition: int, low: int) -> None:
        self.broker.trim(topic, partition, low)

    def kill(self, log: Log) -> None:
        assert isinstance(log, SimLog)
        log.kill()

    def wait(self, ms: int) -> None:
        for _ in range(10):
            self.broker.advance(ms // 10)

    def eventually(self, holds: Callable[[], bool]) -> None:
        assert any(holds() for _ in range(4))  # a rebalance takes each member two polls

    def end(self) -> None:
        pass


class KafkaWorld(World):
    def __init__(self, bootstrap: str, **times: int) -> None:
        super().__init__(**times)
        self.settings = KafkaSettings(
            bootstrap_servers=bootstrap,
            session_timeout_ms=self.session_ms,
            max_poll_interval_ms=self.max_poll_ms,
            transaction_timeout_ms=self.transaction_ms,
            heartbeat_interval_ms=self.heartbeat_ms,
            fetch_wait_ms=20,
            linger_ms=0,
            request_timeout_ms=20_000,
        )
        self._reader: KafkaReader | None = None
        self._producer: KafkaProducerPort | None = None
        self._admin = KafkaAdmin(self.settings)
        self._made: list[str] = []
        self.client = AdminClient(self.settings.client())
        self._open: list[KafkaLog | KafkaReader | KafkaProducerPort | TransactionalWriter] = []

    def topic(self, short: str, partitions: int) -> str:
        return self.topics({short: partitions})[0]

    def topics(self, counts: Mapping[str, int]) -> list[str]:
        specs = [TopicSpec(name=self.name(n), partitions=count) for n, count in counts.items()]
        self.admin().create(specs)
        self._made += [spec.name for spec in specs]
        places = [TopicPartition(spec.name, n) for spec in specs for n in range(spec.partitions)]

        def ready() -> bool:
            try:
                return bool(self.admin().end_offsets(places))
            except Unavailable:
                return False  # the leader does not know yet that it leads

        self.eventually(ready)
        return [spec.name for spec in specs]

    def log(self, member: str, inputs: Sequence[str], group: str = "group") -> Log:
        made = KafkaLog(self.settings, self.name(group), self.name(member), tuple(inputs))
        self._open.append(made)
        return made

    def half_open(self, transactional_id: str) -> HalfOpen:
        return KafkaHalfOpen(self.settings, self.name(transactional_id))

    def reader(self) -> KafkaReader:
        if self._reader is None:
            self._reader = KafkaReader(self.settings)
            self._open.append(self._reader)
        return self._reader

    def producer(self, max_in_flight: int = 10_000) -> KafkaProducerPort:
        if self._producer is None or max_in_flight != 10_000:
            self._producer = KafkaProducerPort(self.settings, max_in_flight)
            self._open.append(self._producer)
        return self._producer

    def writer(self, transactional_id: str) -> TransactionalWriter:
        made = TransactionalWriter(self.settings, self.name(transactional_id))
        self._open.append(made)
        return made

    def admin(self) -> KafkaAdmin:
        return self._admin

    def trim(self, topic: str, partition: int, low: int) -> None:
        for future in self.client.delete_records([Place(topic, partition, low)]).values():
            future.result(20)

    def kill(self, log: Log) -> None:
        """Drop the clients without closing: their sockets end, nothing else is told to anyone."""
        assert isinstance(log, KafkaLog)
        self._open.remove(log)
        del log._consumer
        del log._transactions
        gc.collect()

    def wait(self, ms: int) -> None:
        time.sleep(ms / 1000)

    def eventually(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < deadline, "it never came to hold"
            time.sleep(0.01)

    def end(self) -> None:
        for client in self._open:
            with contextlib.suppress(LogError):
                client.close()
        if self._made:
            # A test broker's heap is small.
            for future in self.client.delete_topics(self._made).values():
                with contextlib.suppress(KafkaException):
                    future.result(20)
