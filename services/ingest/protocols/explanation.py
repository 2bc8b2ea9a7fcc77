"""What every protocol can tell a person about its bytes: the port behind `gridledger decode`.

A protocol has an `Explainer`, fed with bytes as they come. It yields what it found in the order of
the stream: a `Explained` frame, cut into parts without gap or overlap, or `Unexplained` bytes with
the reason. Nothing is ever dropped: the raw bytes of all that is yielded, in order, are the stream.

    for found in explainer.feed(capture):  ...
    for found in explainer.end():          ...      # an incomplete frame at the end is Unexplained
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol

from services.ingest.protocols.framing import LEAD, NOISE, F, Skipped, StreamReader

GAP_BYTES_MAX = 65_536
"""So many bytes without a frame are given out before one is found: memory stays flat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A run of bytes with one meaning.

    offset: of its first byte in the frame; raw_hex: as on the wire; name: what it is; value: exact
    decimal digits, a text or an ISO 8601 time, "" for a byte that only delimits; reason: why it has
    no value ("no_value", "non_bcd", ...), "" when it has; obis: the quantity's code, "" for none.
    """

    offset: int
    raw_hex: str
    name: str
    value: str = ""
    unit: str = ""
    obis: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One whole frame. offset: of its first byte in the stream, lead bytes not counted to it;
    summary: one line for a person; fields: what a program needs, JSON values only; inner: frames
    that it carries, with offsets in this frame."""

    protocol: str
    offset: int
    raw_hex: str
    summary: str
    parts: tuple[Part, ...]
    fields: dict[str, object] = field(default_factory=dict)
    inner: tuple[Explained, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unexplained:
    """Bytes that are no frame; reason: noise, lead, checksum, end, length, address, incomplete."""

    offset: int
    raw_hex: str
    reason: str


class Explainer(Protocol):
    """Finds the frames of one protocol in a stream, however it is cut into pieces."""

    protocol: str

    def feed(self, data: bytes) -> Iterable[Explained | Unexplained]:
        """What is certain with these bytes; never raises for what they are."""
        ...

    def end(self) -> Iterable[Explained | Unexplained]:
        """What is left: the stream is over."""
        ...


class StreamExplainer(Generic[F]):
    """The `Explainer` over a reader of frames; `explain` tells one frame that begins at an offset.

    A gap between two frames is one finding, however the stream was cut; its reason is the first one
    that is more than noise. Lead bytes right before a frame are a finding of their own.
    """

    def __init__(
        self,
        protocol: str,
        reader: StreamReader[F],
        explain: Callable[[F, int], Explained],
        lead: bytes = b"",
    ) -> None:
        self.protocol = protocol
        self._reader, self._explain, self._lead = reader, explain, lead
        self._offset = 0
        self._gap = bytearray()
        self._reason = NOISE

    def feed(self, data: bytes) -> Iterator[Explained | Unexplained]:
        """What is certain with these bytes."""
        return self._tell(self._reader.feed(data))

    def end(self) -> Iterator[Explained | Unexplained]:
        """What is left: the stream is over."""
        yield from self._tell(self._reader.finish())
        yield from self._close_gap()

    def _tell(self, found: Iterable[F | Skipped]) -> Iterator[Explained | Unexplained]:
        for item in found:
            if not isinstance(item, Skipped):
                yield from self._close_gap()
                yield self._explain(item, self._offset)
                self._offset += len(item.raw)
                continue
            self._gap += item.raw
            if self._reason == NOISE and item.reason != LEAD:
                self._reason = item.reason
            if len(self._gap) > GAP_BYTES_MAX:
                yield from self._close_gap()

    def _close_gap(self) -> Iterator[Unexplained]:
        gap = bytes(self._gap)
        noise = gap.rstrip(self._lead) if self._lead else gap
        for raw, reason in ((noise, self._reason), (gap[len(noise) :], LEAD)):
            if raw:
                yield Unexplained(offset=self._offset, raw_hex=raw.hex(), reason=reason)
                self._offset += len(raw)
        self._gap.clear()
        self._reason = NOISE
