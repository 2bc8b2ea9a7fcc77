"""What every protocol can tell a person about its bytes: the port behind `gridledger decode`.

A protocol has an `Explainer`, fed with bytes as they come. It yields what it found in the order of
the stream: a `Explained` frame, cut into parts without gap or overlap, or `Unexplained` bytes with
the reason. Nothing is ever dropped: the raw bytes of all that is yielded, in order, are the stream.

    for found in explainer.feed(capture):  ...
    for found in explainer.end():          ...      # an incomplete frame at the end is Unexplained
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol


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
