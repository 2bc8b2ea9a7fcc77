"""The field service with a hook: it freezes itself once, at a place where no test could hit it.

    gridledger run tests.integration.freezing:after_commit   the attempt is written, nothing asked
    gridledger run tests.integration.freezing:before_wire    every check passed, nothing sent
    gridledger run tests.integration.freezing:hung_poller    one thread of it hangs for ever

SIGSTOP to the own process stops every thread of it, heartbeats too, as a machine that hangs does.
Whoever sends SIGCONT later finds it at the very next instruction.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from unittest.mock import patch

from libs.events.codec import envelope_of
from libs.events.host import Runtime
from libs.events.kafka import KafkaLog, KafkaSettings
from libs.events.record import Outgoing, TopicPartition
from services.ingest import field
from services.ingest.poller import Poller
from services.ingest.protocols.dlt645.frame import RELAY, Frame, FrameReader
from services.ingest.protocols.ports import TcpPort
from services.settings import Settings

HUNG_AFTER_S = 4.0


class HastySettings(Settings):
    """A session that ends soon after the last heartbeat; the settings of people do not allow it.

    Requests may take long instead, which makes the watchdog patient: it would end a process that
    slept for half a minute before anything else could be seen of it.
    """

    def kafka(self) -> KafkaSettings:
        """As ever, but for the times."""
        return replace(
            super().kafka(),
            session_timeout_ms=3_000,
            heartbeat_interval_ms=300,
            transaction_timeout_ms=2_500,
            request_timeout_ms=120_000,
        )


def freeze() -> None:
    """Stop here until somebody sends SIGCONT."""
    os.kill(os.getpid(), signal.SIGSTOP)


def after_commit(settings: Settings, ordinal: int) -> int:
    """Freeze when the attempt is committed, before the group is asked whether we still own it."""
    commit = KafkaLog.commit

    def commit_and_freeze(
        self: KafkaLog, outgoing: Sequence[Outgoing], positions: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        ends = commit(self, outgoing, positions)
        if any(envelope_of(o.headers).type.startswith("ingest.attempt_started") for o in outgoing):
            freeze()
        return ends

    with patch.object(KafkaLog, "commit", commit_and_freeze):
        return _run(settings, ordinal)


def before_wire(settings: Settings, ordinal: int) -> int:
    """Freeze when nothing is left to do but to put the relay command on the wire."""
    write = TcpPort.write

    def freeze_and_write(self: TcpPort, data: bytes) -> None:
        if _is_relay_command(data):
            freeze()
        write(self, data)

    with patch.object(TcpPort, "write", freeze_and_write):
        return _run(settings, ordinal)


def _is_relay_command(data: bytes) -> bool:
    found = FrameReader().feed(data)
    return any(isinstance(item, Frame) and item.control == RELAY for item in found)


def _run(settings: Settings, ordinal: int) -> int:
    """The field service without its reader: one that is fenced first would end the process before
    the frame leaves, and the hard case would be tested only now and then."""
    hasty = HastySettings.model_construct(**dict(settings))

    def no_reading(poller: Poller, stopping: threading.Event, name: str) -> None:
        while not stopping.wait(1.0):
            poller.beat()

    with patch.object(field, "run_poller", no_reading):
        return field.run(hasty, ordinal)


def hung_poller(settings: Settings, ordinal: int) -> int:
    """The poller's thread never comes back from its first turn; the executor goes on."""

    def never_back(poller: Poller) -> None:
        threading.Event().wait()

    patience = patch.object(Runtime, "hung_after_s", HUNG_AFTER_S)
    with patience, patch.object(Poller, "step", never_back):
        return field.run(settings, ordinal)
