"""The lines this process is master of: whose turn it is on each, and on how many of a host at once.

    lines = Lines(digest_key=b"...")
    with lines.taken("tcp:192.0.2.7:6001", Priority.RELAY) as turn: ...

A line is named `tcp:HOST:PORT`, `serial:PATH` or `serial:PATH:BAUD`; Modbus meters have such a line
too, and their unit as address; a concentrator is one line, with its address behind a slash
(services/ingest/behind.py). What a name does not say of a line stands in the file of lines
(services/ingest/line_file.py).

A turn is one conversation with one meter. A relay command keeps its turn until the read-back; a
reader gives its turn up between two exchanges as soon as somebody more urgent waits, and goes on
afterwards. So a relay command waits for the exchange in hand, not for the meter in hand.

Who is next on a line says its queue, with ageing (services/ingest/line_queue.py). Among the lines
of a host that bears no more of them, the most urgent goes first, then who waited longest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

from libs.events.errors import BadInput
from services.ingest.concentrators import Concentrators
from services.ingest.line_file import LineBook, LineName, open_port, parse_line
from services.ingest.line_queue import LineQueue, Priority
from services.ingest.protocols.dlt645.frame import Frame
from services.ingest.protocols.drivers import Exchanged, Expect, Line, LineCounts
from services.ingest.protocols.framing import F, StreamReader
from services.ingest.protocols.talk import Talk

MakeLine = Callable[[LineName], Line]
T = TypeVar("T")
TRIED_AGAIN = frozenset({"no_reply", "line_down"})
"""Causes of failure that a moment may heal; any other needs the core's next attempt."""


@dataclass(slots=True, eq=False)
class _Ticket:
    """Somebody who waits for a line or has it."""

    owned: _Owned
    priority: Priority
    since_s: float = 0.0
    granted_s: float = 0.0
    granted: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True, eq=False)
class _Host:
    """A concentrator, terminal server or serial port: how many of its lines are held."""

    limit: int
    held: int = 0
    lines: list[_Owned] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Owned:
    """A line, who holds it and who waits for it."""

    line: Line
    host: _Host
    queue: LineQueue[_Ticket] = field(default_factory=LineQueue)
    holder: _Ticket | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """What a scheduler must know of a line: its host, how many of that host's lines may be used at
    once, how often an order is tried, and the first pause before it is tried again."""

    host: str
    limit: int = 1
    tries: int = 2
    pause_ms: int = 200


class Turn:
    """A line while it is ours; what a `MeterSession` talks on."""

    def __init__(self, lines: Lines, ticket: _Ticket) -> None:
        self._lines, self._ticket = lines, ticket
        self._line = ticket.owned.line
        self._asked = self._answered = False

    def exchange(
        self,
        request: Frame,
        expect: Expect,
        timeout_s: float | None = None,
        tries: int | None = None,
    ) -> Exchanged:
        """`Line.exchange`, after whoever is more urgent than a reader.

        A meter that says nothing to the first request of a reader is not asked again at once: the
        order is tried again later, behind those of meters that nobody has asked yet. A meter that
        forgets the rest of a long answer while a command goes to it fails this reading only.
        """
        is_reader = self._ticket.priority > Priority.RELAY
        self._give_way()
        silent_tries = 1 if is_reader and not self._answered else None
        found = self._line.exchange(request, expect, timeout_s, tries, silent_tries)
        self._answered = True
        return found

    def use(self, ask: Callable[[Line], T]) -> T:
        """One exchange of another kind, with a concentrator; after whoever is more urgent."""
        self._give_way()
        return ask(self._line)

    def talk(
        self,
        reader: Callable[[], StreamReader[F]],
        aside: Callable[[F], bytes] = lambda _: b"",
        gap_s: float = 0.0,
    ) -> Talk[F]:
        """A conversation in another protocol than DL/T 645 on the same wire, as `Talk` has it."""
        line = self._line
        return Talk(line.port, line.settings, reader, line.counts, aside, gap_s, self._give_way)

    def hang_up(self) -> None:
        """End the connection; the next use opens it again."""
        self._line.close()

    @property
    def baud(self) -> int:
        """The bit rate of the wire."""
        return self._line.settings.baud

    def _give_way(self) -> None:
        """Before an exchange: whoever is more urgent than a reader, but not before its first."""
        if self._ticket.priority > Priority.RELAY and self._asked:
            self._lines.give_way(self._ticket)
        elif not self._asked and self._ticket.priority is Priority.RETRY:
            self._line.counts.retried += 1
        self._asked = True


class Lines:
    """All lines of this process. `digest_key`: key of the digests of masked frames; without one a
    password could be searched. `book`: the file of lines. `make_line`: replaces wires in tests."""

    def __init__(
        self, digest_key: bytes, book: LineBook | None = None, make_line: MakeLine | None = None
    ) -> None:
        self.digest_key = digest_key
        self.book = book or LineBook()
        self.concentrators = Concentrators(self.book, digest_key)
        self._make_line = make_line or self._real_line
        self._owned: dict[str, _Owned] = {}
        self._hosts: dict[str, _Host] = {}
        self._guard = threading.Lock()

    @contextmanager
    def taken(self, name: str, priority: Priority = Priority.SCHEDULED) -> Iterator[Turn]:
        """The line for one conversation with one meter; waits until it is its turn.

        BadInput when the name means no line, or the same wire with another bit rate.
        """
        with self._guard:
            ticket = self._join(self._find(name), priority)
        ticket.granted.wait()
        if priority is Priority.RELAY:
            ticket.owned.line.wake()
        try:
            yield Turn(self, ticket)
        finally:
            with self._guard:
                self._release(ticket)

    def give_way(self, ticket: _Ticket) -> None:
        """Between two exchanges of a reader: lets more urgent ones of its line and host pass."""
        with self._guard:
            if not self._is_in_the_way(ticket):
                return
            ticket.granted.clear()
            self._stand(ticket)
            self._release(ticket)
        ticket.granted.wait()

    def lane_of(self, name: str) -> Lane:
        """How a line may be scheduled; a name that means no line is a host of its own."""
        try:
            line = parse_line(name)
            settings = self.book.settings_of(line)
        except BadInput:
            return Lane(host=name)
        return Lane(
            host=line.host,
            limit=self.book.limit_of(line.host),
            tries=settings.tries,
            pause_ms=_ms(settings.backoff_s),
        )

    def counts(self) -> dict[str, LineCounts]:
        """What every line did since the start, by its wire."""
        with self._guard:
            return {wire: replace(owned.line.counts) for wire, owned in self._owned.items()}

    def close(self) -> None:
        """Give all ports back."""
        with self._guard:
            lines = [owned.line for owned in self._owned.values()]
        for line in lines:
            line.close()
        self.concentrators.close()

    def _find(self, name: str) -> _Owned:
        line = parse_line(name)
        owned = self._owned.get(line.wire)
        if owned is None:
            self._check_kind(line)
            host = self._hosts.setdefault(line.host, _Host(self.book.limit_of(line.host)))
            owned = self._owned[line.wire] = _Owned(self._make_line(line), host)
            host.lines.append(owned)
        elif line.baud not in (0, owned.line.settings.baud):
            problem = f"{name!r}: the line has {owned.line.settings.baud} baud for another meter"
            raise BadInput("line", problem, "name it alike for all its meters")
        return owned

    def _check_kind(self, line: LineName) -> None:
        """One wire has one master: meters or a concentrator, and who listens has a name."""
        kinds = {
            known == line.base for known in self._owned if known.partition("/")[0] == line.base
        }
        if (line.kind == "listen" and not line.concentrator) or bool(line.concentrator) in kinds:
            problem = f"{line.wire}: meters and a concentrator cannot share it"
            raise BadInput("line", problem, "give all its meters protocol qgdw376, or none")

    def _real_line(self, line: LineName) -> Line:
        settings = replace(self.book.settings_of(line), digest_key=self.digest_key)
        if line.concentrator:
            return self.concentrators.line_of(line, settings)
        return Line(open_port(line, settings), settings)

    def _join(self, owned: _Owned, priority: Priority) -> _Ticket:
        ticket = _Ticket(owned, priority)
        self._stand(ticket)
        self._grant(owned.host)
        return ticket

    def _stand(self, ticket: _Ticket) -> None:
        ticket.since_s = time.monotonic()
        ticket.owned.queue.join(ticket, ticket.priority, _ms(ticket.since_s))

    def _release(self, ticket: _Ticket) -> None:
        ticket.owned.line.counts.held_s += time.monotonic() - ticket.granted_s
        ticket.owned.holder = None
        ticket.owned.host.held -= 1
        self._grant(ticket.owned.host)

    def _grant(self, host: _Host) -> None:
        """Give the host's free lines to whoever is next on each, as many as the host allows."""
        now_s = time.monotonic()
        now_ms = _ms(now_s)
        while host.held < host.limit:
            free = [owned for owned in host.lines if owned.holder is None]
            heads = [head for owned in free if (head := owned.queue.first(now_ms)) is not None]
            if not heads:
                return
            ticket = min(heads, key=lambda head: (head.priority, head.since_s))
            ticket.owned.queue.take(now_ms)
            ticket.owned.holder = ticket
            host.held += 1
            ticket.granted_s = now_s
            ticket.granted.set()

    def _is_in_the_way(self, ticket: _Ticket) -> bool:
        owned, now_ms = ticket.owned, _ms(time.monotonic())
        crowd = [owned]
        if owned.host.held >= owned.host.limit:
            crowd += [other for other in owned.host.lines if other.holder is None]
        return any(each.queue.is_waited_for(ticket.priority, now_ms) for each in crowd)


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
