"""Concentrators over TCP, blocking: the master listens and they dial in, or it dials out.

    with MasterServer("0.0.0.0", 5100) as server:
        concentrator = server.wait_for("0200-1234", timeout_s=60)
        answer = concentrator.request(day_freeze_request((1, 2), (161,), "2026-01-31"))
        MeterSession(ForwardLine(concentrator), "000000000161").read("00010000")

Dialling in is the default, as captures c01 to c03 show it: login, then heartbeats, each
acknowledged by us. One request is outstanding at a time; threads that share a concentrator wait.
A request that commands something is sent once: its error says whether it may have arrived.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from types import TracebackType

from libs.events.errors import Refused
from services.ingest.protocols.failures import BadReply, Exchange, LineDown, NoReply
from services.ingest.protocols.ports import notice_dead_peer
from services.ingest.protocols.qgdw376.frame import Address, Frame
from services.ingest.protocols.qgdw376.link import Answer, MasterLink
from services.ingest.protocols.qgdw376.profile import STANDARD, ConcentratorProfile
from services.ingest.protocols.qgdw376.replies import decode_forwarded_frame
from services.ingest.protocols.qgdw376.requests import Request, forward_request

READ_BYTES = 16_384
MOST_EXCHANGES = 1000
"""What is kept of outer frames until somebody takes it."""
ACCEPT_AGAIN_S = 0.5
QUIET_S = 1.0
"""Silence after which an incomplete frame will not be completed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """Time-outs and limits of one concentrator.

    answer_s: for a whole answer (a forwarding adds its own time-out); tries: how often a request
    that commands nothing is sent; login_s: from connecting to login; idle_s: without a sound for so
    long the connection is dead (heartbeats come every few minutes; UNCONFIRMED).
    """

    answer_s: float = 20.0
    tries: int = 2
    login_s: float = 30.0
    idle_s: float = 1800.0
    digest_key: bytes = field(default=b"", repr=False)


class Concentrator:
    """One connection; a thread of its own reads it, so that heartbeats are answered at any time."""

    def __init__(
        self,
        connection: socket.socket,
        link: MasterLink,
        settings: LinkSettings | None = None,
        on_login: Callable[[Concentrator], None] | None = None,
        on_report: Callable[[Concentrator, Frame], None] | None = None,
    ) -> None:
        self.link = link
        self.settings = settings or LinkSettings()
        self._connection = connection
        self._on_login, self._on_report = on_login, on_report
        self._changed = threading.Condition()
        self._exchanging = threading.Lock()
        self._down = ""
        self._exchanges: deque[Exchange] = deque(maxlen=MOST_EXCHANGES)
        notice_dead_peer(connection)  # else those of a storm count against the limit for idle_s
        connection.settimeout(QUIET_S)
        self._thread = threading.Thread(target=self._read, daemon=True, name="concentrator")
        self._thread.start()

    @property
    def name(self) -> str:
        """Its address, once it has logged in."""
        return str(self.link.address) if self.link.address else "(not logged in)"

    @property
    def is_up(self) -> bool:
        """Whether it is connected and logged in."""
        return not self._down and self.link.logged_in

    def request(self, request: Request, answer_s: float | None = None) -> Answer:
        """Ask, and wait for the whole answer; NoReply, BadReply or LineDown with the exchange."""
        wait_s = self.settings.answer_s if answer_s is None else answer_s
        tries = 1 if request.commands else self.settings.tries
        with self._exchanging:
            started = time.monotonic()
            self.link.take_evidence()
            answer, attempts = None, 0
            while answer is None and attempts < tries and not self._down:
                attempts += 1
                answer = self._attempt(request, wait_s)
            exchange = self._exchange(attempts, started)
            self._exchanges.append(exchange)
        if answer is not None:
            return answer
        if self._down:
            raise LineDown(f"concentrator {self.name}: {self._down}", exchange)
        if exchange.received_hex or exchange.noise_hex:
            seen = ", ".join(f"{count} x {why}" for why, count in exchange.skipped.items())
            raise BadReply(f"concentrator {self.name}: no answer, but {seen}", exchange)
        raise NoReply(f"concentrator {self.name}: no answer", exchange)

    def take_exchanges(self) -> tuple[Exchange, ...]:
        """The outer frames of all calls since, masked, and forget them."""
        taken = tuple(self._exchanges)
        self._exchanges.clear()
        return taken

    def forward(self, content: bytes) -> bytes:
        """Send a meter's frame through the concentrator; what the meter sent, empty for nothing."""
        forwarding = self.link.profile.forwarding
        wait_s = self.settings.answer_s + forwarding.timeout_ms / 1000
        answer = self.request(forward_request(forwarding, content), wait_s)
        if answer.is_acknowledgement:
            return b""
        return b"".join(decode_forwarded_frame(frame) for frame in answer.frames)

    def close(self) -> None:
        """End the connection and wait for its thread."""
        self._fail("closed by us")
        if threading.current_thread() is not self._thread:
            self._thread.join(2 * QUIET_S)

    def _attempt(self, request: Request, wait_s: float) -> Answer | None:
        civil = datetime.now(UTC) + timedelta(minutes=self.link.profile.zone_minutes)
        with self._changed:
            raw = self.link.begin(request, civil.replace(tzinfo=None))
            self._send(raw)
            self._changed.wait_for(lambda: self.link.answer is not None or bool(self._down), wait_s)
            answer = self.link.answer
            self.link.give_up()
            return answer

    def _exchange(self, attempts: int, started: float) -> Exchange:
        received, noise, skipped = self.link.take_evidence()
        return Exchange(
            sent_hex=self.link.sent if attempts else "",
            received_hex=received,
            noise_hex=noise,
            skipped=skipped,
            attempts=attempts,
            elapsed_ms=int((time.monotonic() - started) * 1000),
        )

    def _send(self, raw: bytes) -> None:
        try:
            if raw:
                self._connection.sendall(raw)
        except OSError as error:
            self._fail(str(error))

    def _read(self) -> None:
        """Body of the thread: a connection that nobody reads is none, whatever ended the thread."""
        try:
            self._take()
        finally:
            self._fail("nobody reads it")

    def _take(self) -> None:
        """Take what comes until the connection ends."""
        last = born = time.monotonic()
        while not self._down:
            try:
                data = self._connection.recv(READ_BYTES)
            except TimeoutError:
                now = time.monotonic()
                self._after(self.link.quiet if self.link.pending else None)
                if not self.link.logged_in and now - born > self.settings.login_s:
                    self._fail("no login")
                elif now - last > self.settings.idle_s:
                    self._fail("silent for too long")
                continue
            except OSError as error:
                self._fail(str(error))
                return
            if not data:
                self._fail("closed by the concentrator")
                return
            last = time.monotonic()
            self._after(partial(self.link.receive, data))

    def _after(self, take: Callable[[], bytes] | None) -> None:
        """Let the link take something, send what it wants sent, tell who waits."""
        if take is None:
            return
        with self._changed:
            was_in = self.link.logged_in
            self._send(take())
            self._changed.notify_all()
        if self.link.logged_in and not was_in and self._on_login is not None:
            self._on_login(self)
        while self._on_report is not None and self.link.reports:
            self._on_report(self, self.link.reports.popleft())

    def _fail(self, why: str) -> None:
        self._down = self._down or why
        with suppress(OSError):  # it may be down already
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()
        with self._changed:
            self._changed.notify_all()


def dial_out(
    host: str,
    port: int,
    address: Address,
    profile: ConcentratorProfile = STANDARD,
    settings: LinkSettings | None = None,
    on_report: Callable[[Concentrator, Frame], None] | None = None,
) -> Concentrator:
    """Connect to a concentrator that listens; it needs no login. LineDown when nobody answers."""
    chosen = settings or LinkSettings()
    try:
        connection = socket.create_connection((host, port), chosen.login_s)
    except OSError as error:
        raise LineDown(f"concentrator {address} at {host}:{port}: {error}") from None
    link = MasterLink(profile, address, chosen.digest_key)
    return Concentrator(connection, link, chosen, on_report=on_report)


class MasterServer:
    """Listens for concentrators; a newer login of the same address replaces the older connection.

    most: how many connections at a time; one more is closed at once. The standard's login proves
    nothing: whoever reaches this port is believed to be the address it names, so the port belongs
    into a closed network.
    """

    def __init__(
        self,
        host: str,
        port: int,
        profile: ConcentratorProfile = STANDARD,
        settings: LinkSettings | None = None,
        most: int = 1000,
        on_report: Callable[[Concentrator, Frame], None] | None = None,
    ) -> None:
        self.profile = profile
        self._on_report = on_report
        self.settings = settings or LinkSettings()
        self._most = most
        self._arrived = threading.Condition()
        self._by_name: dict[str, Concentrator] = {}
        self._open: list[Concentrator] = []
        self._closing = False
        try:
            self._socket = socket.create_server((host, port))
        except OSError as error:
            raise Refused(f"cannot listen on {host}:{port} ({error}); use port 0") from None
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        self._socket.settimeout(0.5)
        self._thread = threading.Thread(target=self._accept, daemon=True, name="master")
        self._thread.start()

    def wait_for(self, name: str, timeout_s: float) -> Concentrator:
        """The concentrator with this address (`0200-1234`); NoReply when it does not log in."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._up(name) is not None, timeout_s)
            found = self._up(name)
        if found is None:
            raise NoReply(f"concentrator {name}: no login within {timeout_s:g} s")
        return found

    def names(self) -> list[str]:
        """Who is logged in."""
        with self._arrived:
            return sorted(name for name in self._by_name if self._up(name) is not None)

    def close(self) -> None:
        """End all connections."""
        self._closing = True
        self._thread.join(2)
        self._socket.close()
        for concentrator in self._open:
            concentrator.close()

    def _up(self, name: str) -> Concentrator | None:
        found = self._by_name.get(name)
        return found if found is not None and found.is_up else None

    def _accept(self) -> None:
        while not self._closing:
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:  # as when no file may be opened just now; who dials comes again
                time.sleep(ACCEPT_AGAIN_S)
                continue
            self._open = [each for each in self._open if not each._down]
            with self._arrived:
                kept = {name: each for name, each in self._by_name.items() if not each._down}
                self._by_name = kept
            if len(self._open) >= self._most:
                connection.close()
                continue
            link = MasterLink(self.profile, digest_key=self.settings.digest_key)
            self._open.append(
                Concentrator(connection, link, self.settings, self._on_login, self._on_report)
            )

    def _on_login(self, concentrator: Concentrator) -> None:
        with self._arrived:
            older = self._by_name.get(concentrator.name)
            self._by_name[concentrator.name] = concentrator
            self._arrived.notify_all()
        if older is not None and older is not concentrator:
            older.close()

    def __enter__(self) -> MasterServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
