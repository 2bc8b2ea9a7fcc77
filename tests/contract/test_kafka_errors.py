"""What only the real client can get wrong: records too large, silent brokers, topics."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable

import pytest

from libs.events.errors import Aborted, Refused, Unavailable, Unknown
from libs.events.kafka import (
    KafkaAdmin,
    KafkaLog,
    KafkaProducerPort,
    KafkaReader,
    KafkaSettings,
    TopicSpec,
    TransactionalWriter,
)
from libs.events.record import Outgoing, TopicPartition
from tests.contract.conftest import TIMES
from tests.contract.worlds import KafkaWorld


@pytest.fixture
def kafka(kafka_bootstrap: str) -> KafkaWorld:
    return KafkaWorld(kafka_bootstrap, **TIMES)


@pytest.mark.kafka
def test_a_record_too_large_is_refused_and_the_member_goes_on(kafka: KafkaWorld) -> None:
    inp, narrow = kafka.name("in"), kafka.name("narrow")
    kafka.admin().create(
        [
            TopicSpec(name=inp, partitions=1),
            TopicSpec(name=narrow, partitions=1, configs={"max.message.bytes": "1000"}),
        ]
    )
    log = kafka.log("m-0", [inp])
    kafka.until_assigned({log: {0}})
    position = {TopicPartition(inp, 0): 1}
    for size in (5_000, 2_000_000):  # too large for the topic, too large for the client
        noise = random.Random(1).randbytes(size)  # does not compress
        with pytest.raises(Refused, match="MSG_SIZE_TOO_LARGE"):
            log.commit([kafka.out(narrow, 0, b"small"), kafka.out(narrow, 0, noise)], position)

    def committed() -> bool:
        try:
            log.commit([kafka.out(narrow, 0, b"ok")], position)
        except Aborted:  # once: the client starts a new epoch after what the broker threw back
            return False
        return True

    kafka.eventually(committed)
    kafka.eventually(lambda: kafka.values(narrow, 0) == [b"ok"])
    kafka.end()


@pytest.mark.kafka
def test_topics_are_created_as_described(kafka: KafkaWorld) -> None:
    spec = TopicSpec(name=kafka.name("t"), partitions=3, configs={"retention.ms": "-1"})
    kafka.admin().create([spec])
    kafka.eventually(lambda: spec.name in kafka.admin().partitions())
    assert kafka.admin().describe([spec.name]) == {spec.name: spec}
    with pytest.raises(Refused, match="already exists"):
        kafka.admin().create([spec])
    with pytest.raises(Refused, match="does not exist"):
        kafka.admin().describe([kafka.name("nowhere")])


OUT = Outgoing("t", 0, None, b"", ())
CALLS: list[Callable[[KafkaSettings], object]] = [
    lambda settings: KafkaAdmin(settings).partitions(),
    lambda settings: KafkaAdmin(settings).committed("g"),
    lambda settings: KafkaAdmin(settings).end_offsets([TopicPartition("t", 0)]),
    lambda settings: KafkaAdmin(settings).create([TopicSpec(name="t", partitions=1)]),
    lambda settings: KafkaReader(settings).read("t", 0, 0, 1),
    lambda settings: KafkaReader(settings).bounds("t", 0),
    lambda settings: KafkaLog(settings, "g", "m", ("t",)),
    lambda settings: TransactionalWriter(settings, "w"),
    lambda settings: KafkaProducerPort(settings).append(OUT, 1.0),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_broker_that_does_not_answer_is_said_in_time(
    call: Callable[[KafkaSettings], object],
) -> None:
    with socket.socket() as nobody:  # bound and not listening: connections are refused
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        settings = KafkaSettings(
            bootstrap_servers=address, request_timeout_ms=400, start_timeout_ms=400
        )
        began = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            call(settings)
    assert time.monotonic() - began < 5
    assert "\n" not in str(caught.value)


@pytest.mark.kafka
def test_an_ack_that_does_not_come_is_unknown(kafka: KafkaWorld) -> None:
    topic = kafka.topic("edge", 1)
    port = kafka.producer()
    with pytest.raises(Unknown, match="may still be written"):
        port.append(kafka.out(topic, 0, b"a"), 0.0)
    kafka.eventually(lambda: kafka.values(topic, 0) == [b"a"])
    kafka.end()
