"""The listener for our own card terminals as a process: ISO 8583 in, `payments.notices` out.

A terminal is answered after the broker has acknowledged the record (acks=all), never before. What
cannot be recorded in time gets no answer and the connection ends: the terminal then reverses the
sale (0400), and no sale that it believes in is missing on the log. SIGTERM lets messages under way
finish. The listener keeps nothing: any number of members serve the same terminals.

Nothing of a message is logged but its type and outcome (channels/pos_8583.py says what is stored).

Example: with GRIDLEDGER_PAYMENT_PROFILES_FILE set, `gridledger run pos-edge` listens on 127.0.0.1,
port 8180 (GRIDLEDGER_POS_PORT).
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from libs.events.errors import LogError, Refused, Unknown
from libs.events.host import Pulse, Runtime, StatusFile, StopSignal, watched
from libs.events.kafka import KafkaAdmin
from services.payments.channels.iso8583_codec import Frames, Iso8583Error
from services.payments.channels.pos_8583 import Heard, hear, unreadable
from services.payments.channels.profile import Pos8583Profile
from services.payments.channels.strict import utc_text
from services.payments.edge_main import OutcomeCounts, Stopping, appender, listen, wait_for_topic
from services.payments.events import edge_catalogue
from services.payments.evidence import EvidenceKey, make_evidence
from services.payments.webhooks import APPEND_TIMEOUT_S, Append, load_profiles, make_record
from services.settings import Settings
from services.wiring import open_producer, runtime_of

NAME = "pos-edge"
SOURCE = "pos_8583"
READ_BYTES = 4096
QUIET_S = 120
"""A terminal that says nothing for so long has gone; it dials again for its next sale."""
CONNECTIONS_MAX = 500
GRACE_S = 5


def run(settings: Settings, ordinal: int) -> int:
    """Serve terminals until told to stop; the exit status."""
    key, profile = _profile(settings)
    runtime = runtime_of(settings, NAME)
    stop = StopSignal()
    status = StatusFile(runtime.run_dir, f"{NAME}-{ordinal}")
    wait_for_topic(KafkaAdmin(settings.kafka()).partitions, settings, stop, status)
    listener = listen(settings.http_host, settings.port_of(NAME, ordinal), "GRIDLEDGER_POS_PORT")
    producer = open_producer(settings, "payments.edge", edge_catalogue)
    acks = producer.serve_acks()
    front = Front(
        profile=profile,
        evidence_key=key,
        append=appender(producer),
        now=lambda: int(time.time()),
        nonce=lambda: os.urandom(12),
    )
    try:
        serve(front, listener, stop, status, acks, runtime)
    finally:
        producer.close()
    status.write({"state": "stopped", "partitions": []}, now=True)
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """What every connection needs. `append` returns after the ack, or raises LogError."""

    profile: Pos8583Profile
    evidence_key: EvidenceKey
    append: Append
    now: Callable[[], int]
    nonce: Callable[[], bytes]
    counts: OutcomeCounts = field(default_factory=OutcomeCounts)
    busy: set[asyncio.Task[None]] = field(default_factory=set)
    """Connections with a message under way: they may finish when the process is told to stop."""

    async def answer(self, heard: Heard, received_unix: int, host: str) -> bytes | None:
        """The reply to a message, after its record was acknowledged; None: hang up."""
        profile = self.profile
        evidence = make_evidence(
            self.evidence_key,
            channel=profile.channel,
            merchant=profile.name,
            headers=[],
            body=heard.kept,
            remote_host=host,
            received_at=utc_text(datetime.fromtimestamp(received_unix, UTC)),
            nonce=self.nonce(),
        )
        record = make_record(profile, heard.verdict, evidence, source=SOURCE)
        try:
            async with asyncio.timeout(APPEND_TIMEOUT_S):
                await self.append(record.key, record)
        except (LogError, TimeoutError):
            self.counts.observe(profile.channel, "unavailable")
            return None
        self.counts.observe(profile.channel, record.cause or record.verdict)
        return heard.reply

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until the terminal hangs up, is quiet for long, or sends garbage."""
        frames = Frames()
        task = asyncio.current_task()
        assert task is not None
        peer = writer.get_extra_info("peername")
        host = str(peer[0]) if peer else ""
        while True:
            self.busy.discard(task)
            try:
                async with asyncio.timeout(QUIET_S):
                    data = await reader.read(READ_BYTES)
            except TimeoutError:
                return
            self.busy.add(task)
            received_unix = self.now()
            try:
                complete = frames.feed(data)
            except Iso8583Error as error:
                await self.answer(unreadable(error, frames.rest), received_unix, host)
                return
            if not data:
                return
            for content in complete:
                heard = hear(self.profile, content, received_unix)
                reply = await self.answer(heard, received_unix, host)
                if reply is None:
                    return
                writer.write(reply)
                await writer.drain()


def serve(
    front: Front,
    listener: socket.socket,
    stop: Stopping,
    status: StatusFile,
    acks: threading.Thread,
    runtime: Runtime,
) -> None:
    """Serve until `stop` is set; Unknown when nobody receives acks any more."""
    pulse = Pulse()
    counts = front.counts
    with watched(
        runtime, counts.registry, lambda: pulse.at, lambda: pulse.is_ready and acks.is_alive()
    ) as report:
        asyncio.run(_serve(front, listener, stop, status, acks, pulse, report))
    if not stop.is_set:
        raise Unknown("the producer failed: start again")


async def _serve(
    front: Front,
    listener: socket.socket,
    stop: Stopping,
    status: StatusFile,
    acks: threading.Thread,
    pulse: Pulse,
    report: dict[str, Any],
) -> None:
    talks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        try:
            if len(talks) <= CONNECTIONS_MAX:
                await front.talk(reader, writer)
        except ConnectionError:
            pass  # the terminal hung up in the middle; what was acknowledged stays
        finally:
            talks.discard(task)
            front.busy.discard(task)
            writer.close()

    server = await asyncio.start_server(connected, sock=listener, limit=READ_BYTES)
    while not stop.is_set and acks.is_alive():
        pulse.beat(is_ready=True)
        status.write(
            {
                "state": "ready",
                "partitions": [],
                "port": listener.getsockname()[1],
                "counts": dict(sorted(front.counts.by_outcome.items())),
                **report,
            }
        )
        await asyncio.sleep(0.1)
    server.close()
    if front.busy:
        await asyncio.wait(set(front.busy), timeout=GRACE_S)
    for task in set(talks):
        task.cancel()
    await asyncio.gather(*talks, return_exceptions=True)


def _profile(settings: Settings) -> tuple[EvidenceKey, Pos8583Profile]:
    """The one front that this listener serves, and the key of its evidence."""
    if settings.payment_profiles_file is None:
        raise Refused(
            "GRIDLEDGER_PAYMENT_PROFILES_FILE is not set: name the file with the payment channels "
            "(services/payments/channels/profile.py shows one)"
        )
    profiles = load_profiles(settings.payment_profiles_file)
    fronts = list(profiles.pos_8583.values())
    if len(fronts) != 1:
        raise Refused(
            f'{settings.payment_profiles_file} has {len(fronts)} profiles under "pos_8583", one '
            "listener serves one: give one (services/payments/channels/profile.py shows it)"
        )
    return profiles.evidence_key, fronts[0]
