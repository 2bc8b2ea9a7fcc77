"""Frames in a dirty stream: the one search that all protocols share.

    reader = StreamReader(judge, re.compile(rb"\\x68"))
    reader.feed(piece)        # frames, and what was none, in the order they came
    reader.finish()           # the line went quiet

A protocol says what a frame is: `judge` looks at one place of a buffer and answers with the frame
that begins there, "incomplete" when more bytes may make one, or why there is none. `candidate` is a
pattern that a frame's first bytes match, those of one that is cut off included; it keeps `judge`,
which costs more, away from noise.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

INCOMPLETE, NOISE, LEAD = "incomplete", "noise", "lead"


class Framed(Protocol):
    """Whatever a judge finds: it knows its bytes."""

    @property
    def raw(self) -> bytes:
        """The bytes of the frame, all of them."""
        ...


F = TypeVar("F", bound=Framed)
Judge = Callable[[bytes, int], F | str]


@dataclass(frozen=True, slots=True)
class Skipped:
    """Bytes that were no frame; reason: noise, lead, checksum, end, length, address, incomplete."""

    raw: bytes
    reason: str


class StreamReader(Generic[F]):
    """Finds frames in a stream: `feed` what came, `finish` when the line went quiet.

    A candidate that is no frame costs one byte, then the search goes on behind it, so a good frame
    inside what looked like a longer one is found. The buffer never holds more than one frame. All
    that is given back, in order, is what was fed. lead: bytes that may stand before a frame to wake
    the line; they are findings of their own, or with `keep_lead` false none at all. The reason of a
    gap is the first one that is more than noise; first_only: only its first byte has one, for a
    protocol where any noise holds what might begin a frame.
    """

    __slots__ = ("_buffer", "_candidate", "_first_only", "_in_gap", "_judge", "_keep_lead", "_lead")

    def __init__(
        self,
        judge: Judge[F],
        candidate: re.Pattern[bytes],
        *,
        lead: bytes = b"",
        keep_lead: bool = True,
        first_only: bool = False,
    ) -> None:
        self._judge = judge
        self._candidate = candidate
        self._lead, self._keep_lead = lead, keep_lead
        self._first_only = first_only
        self._buffer = b""
        self._in_gap = False

    @property
    def pending(self) -> int:
        """How many bytes wait for the rest of their frame."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[F | Skipped]:
        """What the bytes so far make, in the order it came."""
        self._buffer += data
        return self._scan(final=False)

    def finish(self) -> list[F | Skipped]:
        """The line went quiet: an incomplete candidate never becomes complete; look behind it."""
        return self._scan(final=True)

    def _scan(self, *, final: bool) -> list[F | Skipped]:
        buffer, judge, search = self._buffer, self._judge, self._candidate.search
        found: list[F | Skipped] = []
        position = noise_from = 0
        keep_from = len(buffer)
        reason, in_gap = NOISE, self._in_gap
        while (match := search(buffer, position)) is not None:
            start = match.start()
            verdict = judge(buffer, start)
            if not isinstance(verdict, str):
                if start > noise_from:
                    self._note_skipped(found, buffer[noise_from:start], reason)
                found.append(verdict)
                position = noise_from = start + len(verdict.raw)
                reason, in_gap = NOISE, False
                continue
            if verdict == INCOMPLETE and not final:
                keep_from = start
                break
            if reason == NOISE and not (self._first_only and (in_gap or start > noise_from)):
                reason = verdict
            position = start + 1
        if keep_from > noise_from:
            self._note_skipped(found, buffer[noise_from:keep_from], reason)
            in_gap = True
        self._buffer, self._in_gap = buffer[keep_from:], in_gap
        return found

    def _note_skipped(self, found: list[F | Skipped], raw: bytes, reason: str) -> None:
        """Report what lies before a frame, and the lead bytes at its end by themselves."""
        noise = raw.rstrip(self._lead) if self._lead else raw
        if noise:
            found.append(Skipped(noise, reason))
        if self._keep_lead and len(noise) < len(raw):
            found.append(Skipped(raw[len(noise) :], LEAD))
