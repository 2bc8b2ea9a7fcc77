"""Kafka transactions: all records and offsets of one call become visible together or never."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka import TopicPartition as Place

from libs.events.errors import Aborted, Fenced, Refused, Unknown
from libs.events.kafka.client import Catalogue, KafkaSettings, known, made, plain, typed
from libs.events.record import Outgoing, TopicPartition

_PURGED = {KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT}


class Transactions:
    """A transactional producer; its id fences whoever used it before."""

    def __init__(self, settings: KafkaSettings, transactional_id: str) -> None:
        self._timeout_s = settings.transaction_timeout_ms / 1000
        self._producer = made(Producer, settings.transactional(transactional_id))
        self.catalogue = Catalogue(self._producer, settings)
        try:
            self._insist(self._producer.init_transactions, settings.start_timeout_ms / 1000)
        except KafkaException as failure:
            doing = f"take over {transactional_id!r} at {settings.bootstrap_servers}"
            raise typed(failure.args[0], doing) from failure

    def write(
        self, outgoing: Sequence[Outgoing], offsets: list[Place], membership: object
    ) -> dict[TopicPartition, int]:
        """One transaction; per partition written, the offset after the last record."""
        for out in outgoing:
            self.catalogue.require(out.topic, out.partition)
        ends: dict[TopicPartition, int] = {}
        failures: list[KafkaError] = []
        try:
            self._producer.begin_transaction()
            self._produce(outgoing, ends, failures)
            if offsets:
                self._insist(
                    lambda left_s: self._producer.send_offsets_to_transaction(
                        offsets, membership, left_s
                    ),
                    self._timeout_s,
                )
        except KafkaException as failure:
            self._roll_back(failure, failures)
        try:
            self._insist(self._producer.commit_transaction, self._timeout_s)
        except KafkaException as failure:
            error = failure.args[0]
            if not (error.fatal() or error.txn_requires_abort()):
                raise Unknown(f"commit: {error.str()} ({error.name()})") from failure
            self._roll_back(failure, failures)
        if any(end <= 0 for end in ends.values()):
            raise Unknown("committed, but a broker did not tell the offsets")
        return ends

    def _produce(
        self,
        outgoing: Sequence[Outgoing],
        ends: dict[TopicPartition, int],
        failures: list[KafkaError],
    ) -> None:
        def landed(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                failures.append(error)
                return
            tp = TopicPartition(message.topic() or "", known(message.partition()))
            ends[tp] = known(message.offset()) + 1

        for out in outgoing:
            self._insist(partial(put, self._producer, out, landed), self._timeout_s)

    def _insist(self, call: Callable[[float], None], timeout_s: float) -> None:
        """Make a call again while its error is retriable and time is left."""
        deadline = time.monotonic() + timeout_s
        pause_s = 0.0
        while True:
            try:
                self._producer.poll(pause_s)
                call(max(deadline - time.monotonic(), 0.1))
            except (KafkaException, SystemError) as caught:
                failure = plain(caught)
                if not failure.args[0].retriable() or time.monotonic() > deadline:
                    raise failure from None
                pause_s = 0.02
            else:
                return

    def _roll_back(self, failure: KafkaException, failures: list[KafkaError]) -> NoReturn:
        """Abort the transaction and say so, or say why that cannot be known."""
        error = failure.args[0]
        text = f"transaction: {error.str()} ({error.name()})"
        if error.fatal():
            raise Fenced(text) from failure
        try:
            self._insist(self._producer.abort_transaction, self._timeout_s)
        except KafkaException as second:
            if second.args[0].fatal():
                raise Fenced(text) from second
            raise Unknown(f"{text}, and the abort failed too") from second
        if not (error.txn_requires_abort() or error.retriable()):
            failures.insert(0, error)  # refused by the client itself, a record too large say
        for first in failures[:1]:
            refused = typed(first, "write")
            if isinstance(refused, Refused) and first.code() not in _PURGED:
                raise refused from failure
        raise Aborted(text) from failure

    def close(self) -> None:
        """End the client; no transaction is open here, so nothing is lost."""
        vars(self).pop("_producer", None)  # its own close() would complain about a fatal error


def put(
    producer: Producer, out: Outgoing, landed: Callable[..., None], timeout_s: float = 0.0
) -> None:
    """Queue one record; a full queue is a retriable KafkaException like any other."""
    try:
        producer.produce(
            out.topic,
            value=out.value,
            key=out.key,
            partition=out.partition,
            on_delivery=landed,
            headers=list(out.headers),
        )
    except BufferError as failure:
        raise KafkaException(
            KafkaError(KafkaError._QUEUE_FULL, "the producer's queue is full", retriable=True)
        ) from failure


class TransactionalWriter:
    """Writes to several partitions at once, fenced by its id: the clock and reference data."""

    def __init__(self, settings: KafkaSettings, transactional_id: str) -> None:
        self._transactions = Transactions(settings, transactional_id)

    def write(self, outgoing: Sequence[Outgoing]) -> dict[TopicPartition, int]:
        """All records in one transaction; raises Aborted, Fenced or Unknown."""
        return self._transactions.write(outgoing, [], None)

    def close(self) -> None:
        """End the client."""
        self._transactions.close()
