"""The field process: the one master of the meter lines, for readings and for relay commands.

The main thread runs the executor of device commands (an effect loop); a second thread carries out
the orders to read, line by line, and writes the readings. Orders are taken from `ingest.events` by
a group of their own, whose offsets move only after the readings are acknowledged; an order carried
out twice is one reading more, which validation recognises.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from libs.events.codec import Codec, envelope_of
from libs.events.edge import EdgeProducer, utc_now
from libs.events.effects import EffectLoop
from libs.events.errors import Aborted, BadInput, Refused, Unavailable
from libs.events.host import decider_hash, run_loop
from libs.events.kafka import KafkaLog
from libs.events.record import Record, TopicPartition, partition_of
from libs.events.registry import Catalogue
from libs.events.telemetry import logger
from services.ingest.effect.core import PURE_MODULES, make_core
from services.ingest.effect.decide import ReadBack, RelayAnswer, SendCommand, last_word
from services.ingest.events import ReadingOrdered, edge_catalogue
from services.ingest.lines import Lines
from services.ingest.protocols.dlt645.requests import Credentials
from services.ingest.protocols.session import PasswordSecurity, RelaySecurity
from services.ingest.reading import Outcome, read_order
from services.ingest.switching import look, switch
from services.settings import Settings
from services.wiring import make_effect_loop, open_producer, runtime_of

ORDERS = "ingest.events"
READINGS = "ingest.readings"
GROUP = "ingest.edge"
COMMANDS, SUPPLY, CALENDAR = "control.commands", "customers.supply", "calendar"
BATCH = 400
_ORDER_TYPES = frozenset({"ingest.reading_ordered"})

reader_catalogue = Catalogue(GROUP)
reader_catalogue.reads("ingest.reading_ordered")(ReadingOrdered)


class Poller:
    """Carries out reading orders: lines in parallel, one meter of a line after another."""

    def __init__(
        self,
        log: KafkaLog,
        producer: EdgeProducer,
        lines: Lines,
        threads: int,
        wall: Callable[[], str] | None = None,
    ) -> None:
        self.log, self.producer, self.lines, self.wall = log, producer, lines, wall
        self.codec = Codec(reader_catalogue)
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="line")
        self.generation = -1

    def step(self) -> None:
        """One turn: some orders carried out, their readings acknowledged, offsets moved."""
        records = self.log.poll(BATCH, 0.1)
        if self.log.generation() != self.generation:
            self._start_partitions()
            return
        if not records:
            return
        readings = self._carry_out(self._orders(records))
        self.producer.append_many(
            [self.producer.outgoing(READINGS, found.usage_point, found) for found in readings]
        )
        positions = {
            TopicPartition(record.topic, record.partition): record.offset + 1 for record in records
        }
        try:
            self.log.commit([], positions)
        except Aborted:
            self.generation = -1  # these orders come again; a second reading does no harm

    def _start_partitions(self) -> None:
        self.generation = self.log.generation()
        for partition in sorted(self.log.assigned()):
            found = self.log.stable_offsets(partition).get(ORDERS)
            self.log.start(partition, {ORDERS: found or 0})

    def _orders(self, records: Sequence[Record]) -> list[tuple[ReadingOrdered, str]]:
        orders = []
        for record in records:
            envelope = envelope_of(record.headers)
            if envelope.type.rpartition(".v")[0] in _ORDER_TYPES:
                orders.append((self.codec.decode(envelope.type, record.value), envelope.time))
        return orders

    def _carry_out(self, orders: list[tuple[ReadingOrdered, str]]) -> list[Outcome]:
        by_line: dict[str, list[tuple[ReadingOrdered, str]]] = {}
        for order, now_at in orders:
            by_line.setdefault(order.line, []).append((order, now_at))

        def read_line(mine: list[tuple[ReadingOrdered, str]]) -> list[Outcome]:
            return [read_order(order, self.lines, now_at, self.wall) for order, now_at in mine]

        return [found for line in self.pool.map(read_line, by_line.values()) for found in line]


def run_poller(poller: Poller, stopping: threading.Event, name: str) -> None:
    """Poll until told to stop; any other end takes the whole process with it (crash-only)."""
    log = logger(name)
    try:
        while not stopping.is_set():
            try:
                poller.step()
            except Unavailable as reason:
                log.warning("the broker does not answer", reason=str(reason))
                poller.generation = -1
        poller.log.close()
    except BaseException as reason:
        log.error("the poller ended", reason=f"{type(reason).__name__}: {reason}")
        os._exit(70)


class Performer:
    """What the executor may do in the world, with the last look at what is not decided yet."""

    def __init__(
        self, lines: Lines, security: RelaySecurity, wall: Callable[[], str] | None = None
    ) -> None:
        self.lines, self.security, self.wall = lines, security, wall
        self.loop: EffectLoop | None = None

    def __call__(self, request: Any) -> RelayAnswer:
        """Do one request of the executor."""
        if isinstance(request, ReadBack):
            return look(request, self.lines)
        assert isinstance(request, SendCommand)
        if request.protocol != "dlt645_2007":
            return RelayAnswer(
                sent=False,
                refusal="protocol",
                accepted=None,
                state="",
                detail=f"{request.protocol} has no relay command",
            )
        return switch(
            request, self.lines, self.security, lambda: self._last_word(request), self.wall
        )

    def _last_word(self, request: SendCommand) -> tuple[str, str]:
        loop = self.loop
        assert loop is not None
        point = request.usage_point
        fold = loop.folds[partition_of(point, loop.partitions(COMMANDS))]
        return last_word(
            request.command_id,
            request.valid_until_at,
            loop.ahead(fold, COMMANDS, point),
            loop.ahead(fold, SUPPLY, point),
            loop.ahead(fold, CALENDAR, None),
        )


def digest_key_of(evidence_key_file: Path | None) -> bytes:
    """The key of the digests of masked frames: an auditor who has the file can check a frame.

    Derived from the installation's evidence key, so that the two cannot be mixed up. Without one it
    is random and forgotten with the process: then digests of one run can be compared with each
    other, and no password can be searched from them either.
    """
    if evidence_key_file is None:
        return secrets.token_bytes(32)
    secret = evidence_key_file.read_bytes().strip()
    return hmac.new(secret, b"gridledger frame digest", hashlib.sha256).digest()


def load_security(file: Path | None) -> RelaySecurity:
    """The password level for old meters, from the file that `meter_passwords_file` names.

    JSON: {"level": "02", "password": "123456", "operator": "00000001"}.
    """
    if file is None:
        return PasswordSecurity(credentials=Credentials())
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return PasswordSecurity(credentials=Credentials(**content))
    except (ValueError, TypeError):
        raise BadInput(
            "GRIDLEDGER_METER_PASSWORDS_FILE",
            f"{file.name} is not as expected",
            'a JSON object with "level", "password" and "operator"',
        ) from None


def run(settings: Settings, ordinal: int) -> int:
    """Run the field process until it is told to stop."""
    if ordinal != 0:
        raise Refused("the meter lines have one master: run one member of ingest-field")
    runtime = runtime_of(settings, GROUP)
    security = load_security(settings.meter_passwords_file)
    lines = Lines(digest_key_of(settings.evidence_key_file))
    wall = utc_now if settings.clock_mode == "live" else None
    performer = Performer(lines, security, wall)
    core = make_core(decider_hash(PURE_MODULES))
    loop = make_effect_loop(core, settings, ordinal, performer)
    performer.loop = loop
    producer = open_producer(settings, GROUP, edge_catalogue)
    log = KafkaLog(runtime.kafka, GROUP, f"{GROUP}-{ordinal}", (ORDERS,))
    poller = Poller(log, producer, lines, 16, wall)
    stopping = threading.Event()
    thread = threading.Thread(target=run_poller, args=(poller, stopping, GROUP), name="poller")
    thread.daemon = True
    thread.start()
    status = run_loop(loop, runtime, f"ingest-field-{ordinal}")
    stopping.set()
    thread.join(30)
    lines.close()
    return status
