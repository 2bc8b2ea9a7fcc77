"""Questions and answers on a port that is ours for now, whatever the protocol.

    talk = Talk(port, settings, FrameReader)
    frame = talk.ask(request, lambda found: ..., longest=2048)
    talk.exchanges                    # evidence of all that was asked, in order

DL/T 645 has its own (`drivers.Line`), because it must hide passwords in what it keeps; the
protocols here carry none. Time-outs come from the line's settings, in the same way.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Generic

from services.ingest.protocols.drivers import MOST_LATE_READS, LineCounts, LineSettings
from services.ingest.protocols.failures import BadReply, Exchange, LineDown, NoReply
from services.ingest.protocols.framing import F, Skipped, StreamReader
from services.ingest.protocols.ports import Port


def _nothing(_: object) -> bytes:
    return b""


class Talk(Generic[F]):
    """A conversation. reader: makes a reader of frames; counts: of the line, to add to; aside: what
    to say at once to a frame that is no answer (a login), b"" for nothing; gap_s: how long the
    line must have been silent before a request; give_way: called before each question, where
    somebody more urgent may pass."""

    def __init__(
        self,
        port: Port,
        settings: LineSettings,
        reader: Callable[[], StreamReader[F]],
        counts: LineCounts | None = None,
        aside: Callable[[F], bytes] = _nothing,
        gap_s: float = 0.0,
        give_way: Callable[[], None] = lambda: None,
    ) -> None:
        self.exchanges: list[Exchange] = []
        self._port, self._settings, self._make_reader = port, settings, reader
        self._counts = counts or LineCounts()
        self._aside, self._gap_s, self._give_way = aside, gap_s, give_way
        self._quiet_since_s = 0.0

    def ask(self, request: bytes, expect: Callable[[F], bool], longest: int) -> F:
        """Send `request` and wait for the frame that `expect` accepts, of at most `longest` bytes.

        Raises NoReply (nothing came), BadReply (something else came) or LineDown, after as many
        tries as the settings say, with a doubling pause between them.
        """
        self._give_way()
        kept = _Kept(request)
        down: LineDown | None = None
        for attempt in range(self._settings.tries):
            if attempt:
                time.sleep(self._settings.backoff_s * 2 ** (attempt - 1))
            sent_s = time.monotonic()
            try:
                answer = self._try(kept, expect, longest)
                down = None
            except LineDown as error:
                self._counts.broken += 1
                down, answer = error, None
            spent_s = time.monotonic() - sent_s
            self._counts.busy_s += spent_s if answer is not None else 0.0
            self._counts.lost_s += 0.0 if answer is not None else spent_s
            if answer is not None:
                self._note(kept, answered=True)
                return answer
        exchange = self._note(kept, answered=False)
        if down is not None and not kept.received:
            raise LineDown(down.problem, exchange)
        if kept.received or kept.noise:
            seen = ", ".join(f"{count} x {reason}" for reason, count in kept.skipped.items())
            raise BadReply(f"{self._port.name}: no answer, but {seen}", exchange)
        raise NoReply(f"{self._port.name}: no reply", exchange)

    def _try(self, kept: _Kept, expect: Callable[[F], bool], longest: int) -> F | None:
        """One attempt: None when the time passed."""
        port, settings = self._port, self._settings
        port.open()
        late = self._make_reader()
        for _ in range(MOST_LATE_READS):  # what came since the last question answers nothing
            data = port.read(0)
            self._keep(kept, late.feed(data) if data else late.finish(), None)
            if not data:
                break
        time.sleep(max(self._quiet_since_s + self._gap_s - time.monotonic(), 0.0))
        kept.attempts += 1
        started_s = time.monotonic()
        port.write(kept.request)
        first_until_s = started_s + settings.first_byte_s(len(kept.request))
        until_s = started_s + settings.reply_s(len(kept.request), longest)
        reader = self._make_reader()
        while (now_s := time.monotonic()) < until_s:
            quiet_s = settings.quiet_s() if reader.pending else first_until_s - now_s
            if quiet_s <= 0:
                break
            data = port.read(min(quiet_s, until_s - now_s))
            found = reader.feed(data) if data else reader.finish()
            answer = self._keep(kept, found, expect)
            self._quiet_since_s = time.monotonic()
            if answer is not None:
                return answer
        return self._keep(kept, reader.finish(), expect)

    def _keep(
        self, kept: _Kept, found: list[F | Skipped], expect: Callable[[F], bool] | None
    ) -> F | None:
        """Note all that came; the first frame that is expected, if any."""
        wanted: F | None = None
        for item in found:
            if isinstance(item, Skipped):
                kept.noise.append(item.raw.hex())
                kept.skipped[item.reason] += 1
                continue
            kept.received.append(item.raw.hex())
            if wanted is None and expect is not None and expect(item):
                wanted = item
                continue
            kept.skipped["late" if expect is None else "unexpected"] += 1
            said = self._aside(item)
            if said:
                self._port.write(said)
        return wanted

    def _note(self, kept: _Kept, *, answered: bool) -> Exchange:
        self._counts.asked += kept.attempts
        self._counts.retried += max(kept.attempts - 1, 0)
        self._counts.answered += answered
        self.exchanges.append(kept.exchange())
        return self.exchanges[-1]


class _Kept:
    """What is collected while a question runs."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.attempts = 0
        self.received: list[str] = []
        self.noise: list[str] = []
        self.skipped: Counter[str] = Counter()
        self._started_s = time.monotonic()

    def exchange(self) -> Exchange:
        return Exchange(
            sent_hex=self.request.hex(),
            received_hex=tuple(self.received),
            noise_hex=tuple(self.noise),
            skipped=dict(self.skipped),
            attempts=self.attempts,
            elapsed_ms=int((time.monotonic() - self._started_s) * 1000),
        )
