"""What every Kafka client here shares: settings, the meaning of errors, topics asked once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its stubs are incomplete
    AdminClient,
    OffsetSpec,
)

from libs.events.errors import Fenced, GridLedgerError, Refused, Unavailable
from libs.events.record import Record

LOGGER = logging.getLogger("gridledger.kafka")
LOGGER.addHandler(logging.NullHandler())
EARLIEST = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_T = TypeVar("_T")

_FENCED = {
    KafkaError._FENCED,
    KafkaError._FATAL,
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.FENCED_INSTANCE_ID,
}
TRANSIENT = {
    KafkaError._MAX_POLL_EXCEEDED,  # followed by on_lost, which says what matters
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TRANSPORT,
    KafkaError._TIMED_OUT,
    KafkaError._TIMED_OUT_QUEUE,
    KafkaError._NOENT,  # "no leaders found": a topic that is new, or whose leader just died
    KafkaError._RESOLVE,
    KafkaError._WAIT_COORD,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.NOT_ENOUGH_REPLICAS,
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.UNSTABLE_OFFSET_COMMIT,
}


def _note(error: KafkaError) -> None:
    LOGGER.warning("%s (%s)", error.str(), error.name())


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSettings:
    """Where the brokers are and how long to wait; times in milliseconds.

    `transaction_timeout_ms` must stay below `session_timeout_ms`: a dead member's transaction then
    ends before its partitions move.
    """

    bootstrap_servers: str
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = ""
    sasl_username: str = ""
    sasl_password: str = field(default="", repr=False)
    ssl_ca_location: str = ""
    transaction_timeout_ms: int = 30_000
    session_timeout_ms: int = 45_000
    heartbeat_interval_ms: int = 3_000
    max_poll_interval_ms: int = 120_000
    fetch_wait_ms: int = 100
    linger_ms: int = 5
    request_timeout_ms: int = 10_000
    start_timeout_ms: int = 60_000
    slice_timeout_ms: int = 1_000

    def client(self) -> dict[str, Any]:
        """What every client needs."""
        optional = {
            "sasl.mechanism": self.sasl_mechanism,
            "sasl.username": self.sasl_username,
            "sasl.password": self.sasl_password,
            "ssl.ca.location": self.ssl_ca_location,
        }
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "security.protocol": self.security_protocol,
            "client.id": "gridledger",
            "error_cb": _note,
            # Lines of the client itself only when it is lost. Never give it a `logger`: its lines
            # then come as callbacks, and one that follows a fatal error corrupts the interpreter
            # (confluent-kafka 2.16 leaves an exception set between callbacks).
            "log_level": 2,
            "retry.backoff.ms": 5,
            "retry.backoff.max.ms": 250,
            "reconnect.backoff.max.ms": 2_000,
        } | {name: text for name, text in optional.items() if text}

    def reader(self, group: str = "gridledger-reader") -> dict[str, Any]:
        """A read_committed consumer that commits nothing by itself and never guesses an offset."""
        return self.client() | {
            "group.id": group,
            "isolation.level": "read_committed",
            "check.crcs": True,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": self.fetch_wait_ms,
            "fetch.queue.backoff.ms": 50,
            "fetch.error.backoff.ms": 50,
            "queued.min.messages": 10_000,
            "queued.max.messages.kbytes": 16_384,
        }

    def member(self, group: str, member: str) -> dict[str, Any]:
        """A static member of a group, co-partitioned by range."""
        return self.reader(group) | {
            "group.instance.id": member,
            "partition.assignment.strategy": "range",
            "session.timeout.ms": self.session_timeout_ms,
            "heartbeat.interval.ms": self.heartbeat_interval_ms,
            "max.poll.interval.ms": self.max_poll_interval_ms,
        }

    def producer(self) -> dict[str, Any]:
        """An idempotent producer; the partition is explicit in every record."""
        return self.client() | {
            "enable.idempotence": True,
            "acks": "all",
            "compression.type": "lz4",
            "linger.ms": self.linger_ms,
            "message.timeout.ms": self.request_timeout_ms,
        }

    def transactional(self, transactional_id: str) -> dict[str, Any]:
        """A producer fenced by its id; messages give up before their transaction does."""
        return self.producer() | {
            "transactional.id": transactional_id,
            "transaction.timeout.ms": self.transaction_timeout_ms,
            "message.timeout.ms": self.transaction_timeout_ms * 9 // 10,
        }


def no_broker(servers: str) -> str:
    """The one line for a broker that does not answer: which, and what to change."""
    return f"no broker answers at {servers}; check GRIDLEDGER_KAFKA_BOOTSTRAP_SERVERS"


def made(kind: Callable[[dict[str, Any]], _T], config: dict[str, Any]) -> _T:
    """A client of a kind; Refused when it cannot work with what the settings say."""
    try:
        return kind(config)
    except KafkaException as failure:
        fix = "check GRIDLEDGER_KAFKA_SSL_CA_LOCATION and GRIDLEDGER_KAFKA_SASL_*"
        raise Refused(f"the Kafka client refuses: {failure.args[0].str()} ({fix})") from failure


def typed(error: KafkaError, doing: str) -> GridLedgerError:
    """The one meaning of a client's error."""
    text = f"{doing}: {error.str()} ({error.name()})"
    if error.fatal() or error.code() in _FENCED:
        return Fenced(text)
    if error.retriable() or error.code() in TRANSIENT:
        return Unavailable(text)
    return Refused(text)


def plain(caught: KafkaException | SystemError) -> KafkaException:
    """The client's own error: a fatal one met among delivery reports arrives as a SystemError."""
    if isinstance(caught, KafkaException):
        return caught
    if isinstance(caught.__cause__, KafkaException):
        return caught.__cause__
    raise caught


def result(future: Future[_T], doing: str, timeout_s: float) -> _T:
    try:
        return future.result(timeout_s)
    except KafkaException as failure:
        raise typed(failure.args[0], doing) from failure
    except TimeoutError as failure:
        raise Unavailable(f"{doing}: no broker answered within {timeout_s} s") from failure


def record_of(message: Message) -> Record:
    headers = message.headers()
    named = headers.items() if isinstance(headers, dict) else headers or ()
    return Record(
        message.topic() or "",
        known(message.partition()),
        known(message.offset()),
        message.key(),
        message.value() or b"",
        tuple((name, octets(value)) for name, value in named),
        message.timestamp()[1],
    )


def known(number: int | None) -> int:
    assert number is not None
    return number


def octets(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""


class Catalogue:
    """Which topics there are, asked once each; a topic never shrinks."""

    def __init__(self, client: Producer | AdminClient, settings: KafkaSettings) -> None:
        self._client = client
        self._timeout_s = settings.request_timeout_ms / 1000
        self._servers = settings.bootstrap_servers
        self._counts: dict[str, int] = {}

    def all(self) -> dict[str, int]:
        """Partition counts of all topics but Kafka's own."""
        return {n: c for n, c in self._ask(None).items() if not n.startswith("__")}

    def count(self, topic: str) -> int:
        """How many partitions a topic has; Refused when it does not exist."""
        if topic not in self._counts:
            found = self._ask(topic).get(topic, 0)
            if not found:
                raise Refused(
                    f"topic {topic!r} does not exist: create it first (`gridledger topics apply`)"
                )
            self._counts[topic] = found
        return self._counts[topic]

    def require(self, topic: str, partition: int) -> None:
        """Refused when there is no such partition."""
        if not 0 <= partition < self.count(topic):
            count = self._counts.pop(topic)
            raise Refused(f"topic {topic!r} has no partition {partition}: it has {count}")

    def cluster_id(self, timeout_s: float) -> str:
        """By what the cluster calls itself, however it is reached."""
        try:
            found = self._client.list_topics(timeout=timeout_s).cluster_id
        except KafkaException as failure:
            raise Unavailable(no_broker(self._servers)) from failure
        assert found, "a broker without a cluster id: older than Kafka 0.10"
        return str(found)

    def _ask(self, topic: str | None) -> dict[str, int]:
        try:
            found = self._client.list_topics(topic, timeout=self._timeout_s)
        except KafkaException as failure:
            raise Unavailable(no_broker(self._servers)) from failure
        return {name: len(facts.partitions) for name, facts in found.topics.items()}
