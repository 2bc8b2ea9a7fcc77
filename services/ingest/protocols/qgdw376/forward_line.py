"""The meters behind a concentrator as one line, so that a `MeterSession` works through it.

    MeterSession(ForwardLine(concentrator), "000000000161").read("00010000")

The concentrator is given by what it can do (`forward`), so that a test can stand in for it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Protocol

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.frame import (
    Frame,
    FrameReader,
    address_matches,
    encode_frame,
)
from services.ingest.protocols.dlt645.masking import (
    has_secret,
    kept_text,
    mask_frame,
    masked_hex,
    masked_noise,
)
from services.ingest.protocols.drivers import Exchanged, Expect, Line, LineSettings
from services.ingest.protocols.failures import BadReply, Exchange, LineDown, NoReply, ProtocolError
from services.ingest.protocols.framing import Skipped


class Forwarder(Protocol):
    """Who carries a meter's frame."""

    @property
    def name(self) -> str:
        """Of the concentrator, for messages."""
        ...

    def forward(self, content: bytes) -> bytes:
        """What the meter sent, empty for nothing; raises NoReply, BadReply or LineDown."""
        ...

    def take_exchanges(self) -> tuple[Exchange, ...]:
        """The frames that carried it, and forget them."""
        ...


class _NoPort:
    """The port that a `Line` has; nothing passes it, a `ForwardLine` asks its concentrator."""

    def __init__(self, name: str) -> None:
        self.name = name

    def open(self) -> None:
        """Nothing to open."""

    def write(self, data: bytes) -> None:
        """Refused: bytes travel in frames of the concentrator."""
        raise LineDown(f"{self.name}: no port of its own")

    def read(self, timeout_s: float) -> bytes:
        """Nothing ever comes."""
        return b""

    def close(self) -> None:
        """Nothing to close."""


class ForwardLine(Line):
    """The meters behind a concentrator, as a line that `MeterSession` can use.

    Evidence of an exchange are the meters' frames and, as `carried`, the concentrator's. A command
    is sent with `tries=1`, as on any line.
    """

    def __init__(self, concentrator: Forwarder, settings: LineSettings | None = None) -> None:
        super().__init__(
            _NoPort(f"concentrator:{concentrator.name}"), settings or LineSettings(tries=2)
        )
        self.concentrator = concentrator

    def exchange(
        self,
        request: Frame,
        expect: Expect,
        timeout_s: float | None = None,
        tries: int | None = None,
        silent_tries: int | None = None,
    ) -> Exchanged:
        """Forward `request` and give the frame that `expect` accepts; errors as of `Line`.

        `timeout_s` is the concentrator's own (see `Forwarding`), so it is not used here.
        """
        secret = has_secret(request)
        evidence = _Forwarded(self.concentrator, request, self.settings, secret or self._had_secret)
        self._had_secret = secret
        self.concentrator.take_exchanges()
        count = self.settings.tries if tries is None else tries
        for attempt in range(count):
            if attempt and attempt == silent_tries and not evidence.has_heard:
                break
            frame = self._forward(evidence, expect)
            if frame is not None:
                self._count_exchange(evidence, answered=True)
                return Exchanged(frame=frame, exchange=evidence.exchange())
        self._count_exchange(evidence, answered=False)
        exchange = evidence.exchange()
        problem = f"{self.port.name}: no reply of {request.address}"
        if exchange.received_hex or exchange.noise_hex:
            seen = ", ".join(f"{many} x {why}" for why, many in exchange.skipped.items())
            raise BadReply(f"{problem}, but {seen}", exchange)
        raise NoReply(problem, exchange)

    def _forward(self, evidence: _Forwarded, expect: Expect) -> Frame | None:
        """Have it forwarded once; None when the meter, or the concentrator, said nothing to it."""
        evidence.attempts += 1
        try:
            content = self.concentrator.forward(evidence.raw)
        except LineDown as error:
            evidence.attempts -= not error.sent
            self._count_exchange(evidence, answered=False)
            self.counts.broken += 1
            raise LineDown(error.problem, evidence.exchange()) from None
        except ProtocolError:
            return None  # the concentrator said nothing: the meter's part is unknown
        return evidence.keep(content, expect)

    def _count_exchange(self, evidence: _Forwarded, *, answered: bool) -> None:
        spent_s = time.monotonic() - evidence.started_s
        self.counts.asked += evidence.attempts
        self.counts.retried += max(evidence.attempts - 1, 0)
        self.counts.answered += answered
        self.counts.busy_s += spent_s if answered else 0.0
        self.counts.lost_s += 0.0 if answered else spent_s

    def send(self, request: Frame) -> Exchange:
        """A broadcast through a power line reaches meters that are not ours: BadInput."""
        raise BadInput(
            "request",
            f"a broadcast to {request.address} through a concentrator",
            "set the concentrator's clock, and let it set its meters'",
        )

    def close(self) -> None:
        """The concentrator's connection stays: others use it."""


@dataclass(slots=True)
class _Forwarded:
    """What is collected while a meter's frame is forwarded. hide_noise: as of a line's evidence."""

    carrier: Forwarder
    request: Frame
    settings: LineSettings
    hide_noise: bool
    raw: bytes = b""
    started_s: float = field(default_factory=time.monotonic)
    attempts: int = 0
    received: list[str] = field(default_factory=list)
    noise: list[str] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    carried: list[Exchange] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.raw = encode_frame(self.request, self.settings.lead_bytes)

    @property
    def has_heard(self) -> bool:
        """Whether a meter said anything at all."""
        return bool(self.received or self.noise)

    def keep(self, content: bytes, expect: Expect) -> Frame | None:
        """Note all frames in the content; the first that is expected."""
        reader = FrameReader()
        wanted: Frame | None = None
        for item in reader.feed(content) + reader.finish():
            if isinstance(item, Skipped):
                text = "xx" * len(item.raw) if self.hide_noise else masked_noise(item.raw)
                self.noise.append(kept_text(text, item.raw, self.settings.digest_key))
                self._skip(item.reason)
                continue
            self.received.append(kept_text(masked_hex(item), item.raw, self.settings.digest_key))
            if wanted is None and expect(item):
                wanted = item
            elif wanted is not None and expect(item):
                self._skip("duplicate")
            elif not address_matches(self.request.address, item.address):
                self._skip("other_address")
            else:
                self._skip("unexpected" if item.from_meter else "echo")
        return wanted

    def _skip(self, reason: str) -> None:
        self.skipped[reason] = self.skipped.get(reason, 0) + 1

    def exchange(self) -> Exchange:
        """The evidence as it stands."""
        self.carried += self.carrier.take_exchanges()
        return Exchange(
            sent_hex=kept_text(mask_frame(self.raw), self.raw, self.settings.digest_key),
            received_hex=tuple(self.received),
            noise_hex=tuple(self.noise),
            skipped=dict(self.skipped),
            attempts=self.attempts,
            elapsed_ms=int((time.monotonic() - self.started_s) * 1000),
            carried=tuple(self.carried),
        )
