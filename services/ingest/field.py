"""The field process: the one master of the meter lines, for readings and for relay commands.

The main thread runs the executor of device commands (an effect loop); a second one is the poller
(services/ingest/poller.py), which has the orders to read carried out, line by line. The process
lives as long as both do: its watchdog and /live look at the heartbeat that is older.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from libs.events.edge import utc_now
from libs.events.effects import EffectLoop
from libs.events.errors import BadInput, Refused
from libs.events.host import decider_hash, run_loop
from libs.events.kafka import KafkaLog
from libs.events.record import partition_of
from services.ingest.effect.core import CALENDAR, COMMANDS, PURE_MODULES, SUPPLY, make_core
from services.ingest.effect.decide import ReadBack, RelayAnswer, SendCommand, last_word
from services.ingest.effect.policy import DEFAULT_POLICY
from services.ingest.events import edge_catalogue
from services.ingest.line_file import load_lines
from services.ingest.line_metrics import LineMetrics
from services.ingest.lines import Lines
from services.ingest.meter_security import PASSWORDS, load_security
from services.ingest.poller import GROUP, ORDERS, Poller, run_poller
from services.ingest.protocols.modbus import load_maps
from services.ingest.protocols.session import RelaySecurity
from services.ingest.reading import SOURCES
from services.ingest.reading_qgdw376 import read_behind
from services.ingest.switching import look, switch
from services.policy_file import policy_of
from services.settings import Settings
from services.wiring import make_effect_loop, open_producer, runtime_of

LINE_THREADS = 64
"""How many lines are talked on at once; of one host as many as the file of lines allows."""
EVIDENCE_KEY = "GRIDLEDGER_EVIDENCE_KEY_FILE"


class Performer:
    """What the executor may do in the world, with the last look at what is not decided yet."""

    def __init__(
        self, lines: Lines, security: RelaySecurity | None, wall: Callable[[], str] | None = None
    ) -> None:
        self.lines, self.security, self.wall = lines, security, wall
        self.loop: EffectLoop | None = None

    def __call__(self, request: Any) -> RelayAnswer:
        """Do one request of the executor."""
        if isinstance(request, ReadBack):
            return look(request, self.lines)
        assert isinstance(request, SendCommand)
        if request.protocol not in SOURCES:
            return _refusal("protocol", f"{request.protocol} has no relay command")
        if self.security is None:
            return _refusal("credentials", f"no meter passwords: {PASSWORDS} names no file")
        return switch(
            request, self.lines, self.security, lambda: self._last_word(request), self.wall
        )

    def _last_word(self, request: SendCommand) -> tuple[str, str]:
        loop = self.loop
        assert loop is not None
        point = request.usage_point
        fold = loop.folds[partition_of(point, loop.partitions(SUPPLY))]
        return last_word(
            request.command_id,
            request.valid_until_at,
            [body for topic in COMMANDS for body in loop.ahead(fold, topic, point)],
            loop.ahead(fold, SUPPLY, point),
            loop.ahead(fold, CALENDAR, None),
        )


def _refusal(check: str, detail: str) -> RelayAnswer:
    """Nothing was sent, and nothing is asked of the line."""
    return RelayAnswer(sent=False, refusal=check, accepted=None, state="", detail=detail)


def digest_key_of(evidence_key_file: Path | None, clock_mode: str) -> bytes:
    """The key of the digests of masked frames: an auditor who has the file can check a frame.

    Derived from the installation's evidence key, so that the two cannot be mixed up. Without one
    nobody could ever check a digest, so a live installation does not start. In a simulated one it
    is random then and forgotten with the process.
    """
    if evidence_key_file is None:
        if clock_mode == "live":
            raise Refused(
                f"{EVIDENCE_KEY} is not set: nobody could check the digests of masked frames;"
                " name a file with the installation's evidence key"
            )
        return secrets.token_bytes(32)
    secret = evidence_key_file.read_bytes().strip()
    if not secret:
        raise BadInput(EVIDENCE_KEY, f"{evidence_key_file.name} is empty", "a file with a key")
    return hmac.new(secret, b"gridledger frame digest", hashlib.sha256).digest()


def run(settings: Settings, ordinal: int) -> int:
    """Run the field process until it is told to stop."""
    if ordinal != 0:
        raise Refused("the meter lines have one master: run one member of ingest-field")
    runtime = runtime_of(settings, GROUP)
    security = load_security(settings.meter_passwords_file)
    maps = load_maps(settings.modbus_maps_dir)
    digest_key = digest_key_of(settings.evidence_key_file, settings.clock_mode)
    lines = Lines(digest_key, load_lines(settings.lines_file))
    lines.concentrators.listen()
    wall = utc_now if settings.clock_mode == "live" else None
    performer = Performer(lines, security, wall)
    policy = policy_of(settings.policy_file, "ingest.effect", DEFAULT_POLICY)
    core = make_core(decider_hash(PURE_MODULES), policy)
    loop = make_effect_loop(core, settings, ordinal, performer)
    performer.loop = loop
    producer = open_producer(settings, GROUP, edge_catalogue)
    log = KafkaLog(runtime.kafka, GROUP, f"{GROUP}-{ordinal}", (ORDERS,))
    loop.telemetry.registry.register(LineMetrics(lines.counts))
    poller = Poller(
        log,
        producer,
        lambda order, at, before, waiting: read_behind(
            order, lines, at, wall, before, maps, waiting
        ),
        LINE_THREADS,
        lane_of=lines.lane_of,
    )
    stopping = threading.Event()
    thread = threading.Thread(target=run_poller, args=(poller, stopping, GROUP), name="poller")
    thread.daemon = True
    thread.start()
    status = run_loop(loop, runtime, f"ingest-field-{ordinal}", lambda: poller.heartbeat)
    stopping.set()
    thread.join(30)
    lines.close()
    return status
