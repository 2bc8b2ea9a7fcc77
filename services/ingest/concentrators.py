"""The concentrators this process is master of: one connection each, opened when it is needed.

    concentrators = Concentrators(book, digest_key)
    line = concentrators.line_of(parse_line("listen:0.0.0.0:5100/0200-1234"))
    MeterSession(line, "000000000161").read("00010000")     # forwarded
    line.ask(day_freeze_request((1, 2), (161,), "2026-01-31"))

A concentrator is dialled (tcp) or dials in to a port of ours (listen); its connection stays, so
that its heartbeats are answered whether or not anybody asks it. One that cannot be reached, or
that leaves requests of our own unanswered twice in a row, rests longer and longer, as a line does.

What it reports by itself (0EH events) goes to the log, with the event's name: there is no event
type for meter events on ingest.readings yet, so nothing else becomes of it.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from libs.events.errors import Refused
from libs.events.telemetry import logger
from services.ingest.behind import Behind
from services.ingest.concentrator_settings import ConcentratorSettings
from services.ingest.line_file import LineBook, LineName
from services.ingest.protocols.drivers import LineSettings
from services.ingest.protocols.failures import BadReply, Exchange, LineDown, NoReply, ProtocolError
from services.ingest.protocols.qgdw376.archive import (
    ArchiveDifference,
    ArchiveEntry,
    compare_archive,
)
from services.ingest.protocols.qgdw376.concentrator import Concentrator, MasterServer, dial_out
from services.ingest.protocols.qgdw376.forward_line import ForwardLine
from services.ingest.protocols.qgdw376.frame import EVENTS, Frame, parse_address
from services.ingest.protocols.qgdw376.layout_file import load_event_names
from services.ingest.protocols.qgdw376.link import Answer
from services.ingest.protocols.qgdw376.replies import decode_events
from services.ingest.protocols.qgdw376.requests import Request

ANSWERS_KEPT = 2000
"""Answers to orders that wait for their turn; more than the poller has in hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A concentrator's answer and what passed the wire for it."""

    answer: Answer
    exchange: Exchange


@dataclass(slots=True)
class Reached:
    """One concentrator, connected when it is needed. Used by one thread at a time."""

    line: LineName
    settings: LineSettings
    own: ConcentratorSettings
    masters: Masters
    session: Concentrator | None = None
    failures: int = 0
    rests_until_s: float = 0.0

    @property
    def name(self) -> str:
        """Its address."""
        return self.line.concentrator

    def connected(self) -> Concentrator:
        """Its connection, made if there is none; LineDown, at once while it rests."""
        if self.session is not None and self.session.is_up:
            return self.session
        rest_s = self.rests_until_s - time.monotonic()
        if self.line.kind == "listen":
            wait_s = 0.0 if rest_s > 0 or self.failures else self.own.login_s
            found = self.masters.wait_for(self.line, wait_s)
        elif rest_s > 0:
            raise LineDown(f"concentrator {self.name}: down, dialled again in {rest_s:.1f} s")
        else:
            found = self._dialled()
        if found is None:
            self.note_failure()
            raise LineDown(f"concentrator {self.name}: has not logged in at {self.line.base}")
        found.settings = self.own.link(self.settings.tries, self.settings.digest_key)
        found.link.profile = self.own.profile()
        if self.session is not None and self.session is not found:
            self.session.close()  # it logged out and may still be connected
        self.session, self.failures = found, 0
        return found

    def forward(self, content: bytes) -> bytes:
        """As `Concentrator.forward`."""
        return self.connected().forward(content)

    def ask(self, request: Request) -> Asked:
        """One request of our own; NoReply, BadReply or LineDown."""
        rest_s = self.rests_until_s - time.monotonic()
        if rest_s > 0 and self.session is not None and self.session.is_up:
            raise LineDown(f"concentrator {self.name}: silent, asked again in {rest_s:.1f} s")
        session = self.connected()
        session.take_exchanges()
        try:
            answer = session.request(request)
        except ProtocolError:
            self.note_failure()
            raise
        self.failures = 0
        return Asked(answer=answer, exchange=session.take_exchanges()[-1])

    def take_exchanges(self) -> tuple[Exchange, ...]:
        """What passed the wire, and forget it."""
        return self.session.take_exchanges() if self.session is not None else ()

    def note_failure(self) -> None:
        """Rest, from the second failure in a row on."""
        self.failures += 1
        self.rests_until_s = time.monotonic() + self.settings.rest_s(self.failures)

    def _dialled(self) -> Concentrator | None:
        try:
            return dial_out(
                self.line.place,
                self.line.port,
                parse_address(self.name),
                self.own.profile(),
                self.own.link(self.settings.tries, self.settings.digest_key),
                report,
            )
        except LineDown:
            self.note_failure()
            raise


class ConcentratorLine(ForwardLine):
    """The meters behind one concentrator, and the concentrator itself.

    answers: what it said to orders whose turn has not come yet, by order. archive_at: when its
    archive was read (monotonic), before the first time None; archive_on: for values of which day.
    """

    def __init__(self, reached: Reached) -> None:
        super().__init__(reached, reached.settings)
        self.reached = reached
        self.answers: OrderedDict[str, object] = OrderedDict()
        self.registered: dict[str, int] = {}
        self.entries: dict[int, ArchiveEntry] = {}
        self.queried: set[int] = set()
        self.archive_at: float | None = None
        self.archive_on = ""

    def ask(self, request: Request) -> Asked:
        """One request to the concentrator, counted as one on any line is."""
        began_s = time.monotonic()
        self.counts.asked += 1
        try:
            asked = self.reached.ask(request)
        except ProtocolError as error:
            self.counts.broken += isinstance(error, LineDown)
            self.counts.lost_s += time.monotonic() - began_s
            raise
        self.counts.answered += 1
        self.counts.busy_s += time.monotonic() - began_s
        return asked

    def keep(self, order_id: str, answer: object) -> None:
        """Keep an answer until its order has its turn."""
        self.answers[order_id] = answer
        while len(self.answers) > ANSWERS_KEPT:
            self.answers.popitem(last=False)

    def unread_numbers(self, places: Iterable[Behind], day_on: str) -> tuple[int, ...]:
        """The archive numbers to be read before these meters' values of a day may be believed; none
        with `archive_h` 0. What was read for an earlier day tells nothing of a later one: a point
        may have another meter since. That a number is its Pn is UNCONFIRMED: what stands at another
        number counts as missing, and its meter is asked itself."""
        for place in places:
            if self.registered.get(place.meter) != place.pn:
                known = {meter: pn for meter, pn in self.registered.items() if pn != place.pn}
                self.registered = known | {place.meter: place.pn}
        if not self.reached.own.archive_h:
            return ()
        age_s = time.monotonic() - (self.archive_at if self.archive_at is not None else 0.0)
        is_old = age_s > 3600 * self.reached.own.archive_h or day_on > self.archive_on
        if self.archive_at is None or is_old:
            self.entries, self.queried, self.archive_at = {}, set(), time.monotonic()
            self.archive_on = max(day_on, self.archive_on)
        return tuple(sorted(set(self.registered.values()) - self.queried))

    def note_entries(self, numbers: Iterable[int], entries: Iterable[ArchiveEntry]) -> None:
        """What the archive says at these numbers."""
        self.queried |= set(numbers)
        self.entries |= {entry.number: entry for entry in entries if entry.pn}

    def difference(self) -> ArchiveDifference:
        """The archive as far as it was read, against the last meter asked for at each point."""
        return compare_archive(self.entries.values(), self.registered)

    def distrusted(self, places: Iterable[Behind]) -> frozenset[int]:
        """Points where the archive has not just the meter of our register: a value from there may
        be another meter's."""
        if not self.reached.own.archive_h:
            return frozenset()
        return frozenset(
            place.pn for place in places if self._claims(place) != {(place.meter, place.pn)}
        )

    def _claims(self, place: Behind) -> set[tuple[str, int]]:
        entries = self.entries.values()
        return {
            (each.address, each.pn)
            for each in entries
            if each.address == place.meter or each.pn == place.pn
        }

    def wake(self) -> None:
        """A relay command does not wait for a concentrator's rest."""
        self.reached.rests_until_s = 0.0
        self.reached.failures = 0

    def close(self) -> None:
        """End the connection."""
        if self.reached.session is not None:
            self.reached.session.close()


@dataclass(slots=True)
class Masters:
    """The ports where concentrators dial in, each opened once."""

    book: LineBook
    digest_key: bytes = field(repr=False)
    servers: dict[str, MasterServer] = field(default_factory=dict)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def server_of(self, line: LineName) -> MasterServer:
        """The server of a port; Refused when the port is taken."""
        with self.guard:
            server = self.servers.get(line.base)
            if server is None:
                own = self.book.concentrator_of(line)
                link = own.link(self.book.settings_of(line).tries, self.digest_key)
                server = MasterServer(line.place, line.port, own.profile(), link, on_report=report)
                self.servers[line.base] = server
            return server

    def wait_for(self, line: LineName, wait_s: float) -> Concentrator | None:
        """The concentrator of a line, once it has logged in; None when it did not in time."""
        try:
            return self.server_of(line).wait_for(line.concentrator, wait_s)
        except NoReply:
            return None
        except Refused as refused:
            raise LineDown(str(refused)) from None


class Concentrators:
    """All of them. `book`: the file of lines; `digest_key`: of masked frames."""

    def __init__(self, book: LineBook, digest_key: bytes) -> None:
        self.masters = Masters(book, digest_key)

    def line_of(self, line: LineName, settings: LineSettings) -> ConcentratorLine:
        """A line to one; nothing is connected yet."""
        own = self.masters.book.concentrator_of(line)
        return ConcentratorLine(Reached(line, settings, own, self.masters))

    def listen(self) -> None:
        """Open the ports that the file of lines names; others open with the first order there.
        Refused when one is taken."""
        for line in self.masters.book.listening():
            self.masters.server_of(line)

    def close(self) -> None:
        """Close the ports."""
        for server in self.masters.servers.values():
            server.close()


def report(concentrator: Concentrator, frame: Frame) -> None:
    """Tell the log what a concentrator reported by itself."""
    log = logger("ingest.concentrators")
    if frame.afn != EVENTS:
        log.warning("a concentrator reports", concentrator=concentrator.name, afn=frame.afn)
        return
    try:
        body = decode_events(frame, concentrator.link.profile)
    except BadReply as error:
        log.warning("an event nobody can read", concentrator=concentrator.name, why=error.problem)
        return
    names = load_event_names()
    for record in body.records:
        log.warning(
            "a concentrator's event",
            concentrator=concentrator.name,
            name=names.get(record.erc, f"ERC{record.erc}"),
            occurred_at=record.occurred_at,
            raw=record.raw_hex,
        )
