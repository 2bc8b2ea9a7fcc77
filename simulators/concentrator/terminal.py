"""The concentrator itself: frames in, frames out. No sockets here; see `server`.

Misbehaviour (the control port turns it on): drop_login, silent, slow, repeat_answer, wrong_number,
wrong_checksum, hang_up (before an answer), cut (in the middle of one), no_freeze (at a midnight);
for a count of times, or until cleared.
"""

from __future__ import annotations

from dataclasses import replace

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.frame import Frame as MeterFrame
from services.ingest.protocols.dlt645.frame import FrameReader as MeterFrameReader
from services.ingest.protocols.dlt645.values import from_epoch_s
from services.ingest.protocols.failures import BadReply
from services.ingest.protocols.qgdw376.archive import (
    ArchiveEntry,
    decode_entries,
    encode_entries,
)
from services.ingest.protocols.qgdw376.formats import decode_value, encode_clock, size_of
from services.ingest.protocols.qgdw376.forwarding import decode_forwarding, encode_forwarded
from services.ingest.protocols.qgdw376.frame import (
    ACK,
    CONTROL,
    CURRENT,
    EVENTS,
    FORWARD,
    FROZEN,
    QUERY,
    SET,
    Address,
    Frame,
    FrameReader,
    Sequence,
    encode_frame,
    parse_address,
)
from services.ingest.protocols.qgdw376.layout_file import load_layouts
from services.ingest.protocols.qgdw376.layouts import Layout
from services.ingest.protocols.qgdw376.masking import kept
from services.ingest.protocols.qgdw376.points import (
    IDENTIFIER_BYTES,
    decode_identifier,
    encode_identifier,
)
from services.ingest.protocols.qgdw376.replies import single_identifier
from services.ingest.protocols.qgdw376.requests import (
    ALL_ACCEPTED,
    ALL_DENIED,
    ARCHIVE_FN,
    CLOCK_FN,
    HEARTBEAT,
    LOGIN,
    PERMIT_CLOSE_FN,
    TRIP_FN,
    link_frame,
)
from simulators.concentrator.config import ConcentratorConfig
from simulators.concentrator.store import Store, civil_of
from simulators.meters.bus import Bus, Clock, TimedReply
from simulators.meters.journal import Journal
from simulators.meters.meter import Meter

MISBEHAVIOURS = (
    "drop_login",
    "silent",
    "slow",
    "repeat_answer",
    "wrong_number",
    "wrong_checksum",
    "hang_up",
    "cut",
    "no_freeze",
)
DEFAULT_SLOW_S = 5.0
_DATA, _CONFIRM = 8, 0
"""Function codes of an answer with user data, and of an acknowledgement (captures c04, c05)."""


class HangUp(Exception):
    """The concentrator closes the connection."""


class Terminal:
    """State of one concentrator. rounds: trip state of its own outputs; archive: by number."""

    def __init__(
        self, config: ConcentratorConfig, meters: list[Meter], clock: Clock, journal: Journal
    ) -> None:
        self.address: Address = parse_address(config.address)
        self.archive = _archive_of(config)
        self.rounds = dict.fromkeys(range(1, 9), "closed")
        self.store = Store(
            config.zone_minutes,
            config.freezes_kept,
            frozenset(config.bad_radio),
            clock.now_s(),
        )
        self._meters = tuple(meters)
        self.logins = self.heartbeats = self.acknowledged = 0
        self._config = config
        self._clock = clock
        self._journal = journal
        self._bus = Bus(config.address, meters, clock, journal)
        self._by_address = {meter.config.address: meter for meter in meters}
        self._layouts = load_layouts()
        self._misbehaviours: dict[str, tuple[int | None, float]] = {}
        self._tries: dict[str, int] = {}
        self._number = 0

    # Misbehaviour

    def misbehave(self, kind: str, count: int | None, seconds: float) -> list[str]:
        """Turn one on; BadInput for a wrong kind or count."""
        if kind not in MISBEHAVIOURS:
            raise BadInput("kind", f"{kind!r} is none", f"use one of {', '.join(MISBEHAVIOURS)}")
        if count is not None and (not isinstance(count, int) or count < 1):
            raise BadInput("count", f"{count!r}", "give 1 or more, or null for until cleared")
        self._misbehaviours[kind] = (count, seconds)
        return sorted(self._misbehaviours)

    def calm(self) -> None:
        """Turn all off."""
        self._misbehaviours.clear()

    def takes(self, kind: str) -> float | None:
        """Its seconds, if it is on; counts one use."""
        if kind not in self._misbehaviours:
            return None
        count, seconds = self._misbehaviours[kind]
        if count == 1:
            del self._misbehaviours[kind]
        elif count is not None:
            self._misbehaviours[kind] = (count - 1, seconds)
        return seconds

    def pass_time(self) -> None:
        """Freeze what is to be frozen up to now."""
        self.store.pass_time(self._meters, self._clock.now_s(), self._skips_freeze)

    def _skips_freeze(self) -> bool:
        return self.takes("no_freeze") is not None

    # What it says by itself

    def login(self) -> bytes:
        """The login, or nothing when it is dropped."""
        if self.takes("drop_login") is not None:
            return b""
        self.logins += 1
        return encode_frame(link_frame(self.address, LOGIN, self._counted()))

    def heartbeat(self) -> bytes:
        """The heartbeat."""
        self.heartbeats += 1
        self.pass_time()
        return encode_frame(link_frame(self.address, HEARTBEAT, self._counted()))

    def _counted(self) -> int:
        self._number = (self._number + 1) % 16
        return self._number

    # What it answers

    def feed(self, reader: FrameReader, data: bytes) -> list[TimedReply]:
        """Answers to the frames in `data`; HangUp when it closes."""
        replies: list[TimedReply] = []
        for found in reader.feed(data):
            if isinstance(found, Frame) and not found.from_terminal:
                replies += self._hear(found)
        return replies

    def _hear(self, frame: Frame) -> list[TimedReply]:
        if (frame.address.area, frame.address.terminal) != (
            self.address.area,
            self.address.terminal,
        ):
            return []
        if not frame.starter:
            self.acknowledged += 1
            return []
        self.pass_time()
        if self.takes("hang_up") is not None:
            raise HangUp
        names = sorted(self._misbehaviours)
        replies = [] if self.takes("silent") is not None else self._answer(frame)
        sent = [self._kept(reply.data) for reply in replies]
        at = from_epoch_s(self._clock.now_s())
        self._journal.note(at, "concentrator", str(self.address), kept(frame), sent, names, "")
        return replies

    def _kept(self, raw: bytes) -> str:
        found = FrameReader().feed(raw)
        return kept(found[0]) if found and isinstance(found[0], Frame) else raw.hex()

    def _answer(self, frame: Frame) -> list[TimedReply]:
        delay_s = 0.0
        try:
            if frame.afn == FORWARD:
                body, delay_s = self._forward(frame)
                bodies, afn = [body], FORWARD
            else:
                bodies, afn = self._bodies(frame)
        except (BadReply, BadInput):
            bodies, afn = [encode_identifier((0,), (ALL_DENIED,))], ACK
        return self._spoil(self._frames(frame, bodies, afn), delay_s)

    def _frames(self, asked: Frame, bodies: list[bytes], afn: int) -> list[bytes]:
        number = asked.sequence.number
        if self.takes("wrong_number") is not None:
            number += 5
        return [
            encode_frame(
                Frame(
                    address=asked.address,
                    afn=afn,
                    sequence=Sequence((number + place) % 16, place == 0, place == len(bodies) - 1),
                    body=body,
                    function=_CONFIRM if afn == ACK else _DATA,
                    from_terminal=True,
                    starter=False,
                    time_tag=asked.time_tag,
                )
            )
            for place, body in enumerate(bodies)
        ]

    def _spoil(self, frames: list[bytes], delay_s: float) -> list[TimedReply]:
        slow_s = self.takes("slow")
        delay_s += 0 if slow_s is None else slow_s or DEFAULT_SLOW_S
        if self.takes("wrong_checksum") is not None:
            frames = [raw[:-2] + bytes(((raw[-2] + 1) & 0xFF, raw[-1])) for raw in frames]
        if self.takes("cut") is not None:
            whole = b"".join(frames)
            return [TimedReply(whole[: len(whole) // 2], delay_s), TimedReply(b"", delay_s)]
        if self.takes("repeat_answer") is not None:
            frames = [raw for raw in frames for _ in range(2)]
        return [TimedReply(raw, delay_s) for raw in frames]

    def _bodies(self, frame: Frame) -> tuple[list[bytes], int]:
        """The data of an answer, frame by frame, and its AFN."""
        if frame.afn in (CURRENT, FROZEN):
            return self._data(frame), frame.afn
        found, data = single_identifier(frame)
        identifier = frame.body[:IDENTIFIER_BYTES]
        if frame.afn == QUERY and found.fns == (ARCHIVE_FN,):
            entries = [self.archive[n] for n in _numbers(data) if n in self.archive]
            return [identifier + encode_entries(entries)], QUERY
        if frame.afn == EVENTS:
            return [identifier + bytes((0, 0)) + data[:2]], EVENTS
        if frame.afn == SET and found.fns == (ARCHIVE_FN,):
            self._set_archive(decode_entries(data))
        elif frame.afn == CONTROL and found.fns[0] in (TRIP_FN, PERMIT_CLOSE_FN) and found.pns:
            state = "open" if found.fns[0] == TRIP_FN else "close_permitted"
            for pn in found.pns:
                if pn not in self.rounds:
                    raise BadReply(f"round {pn}")
                self.rounds[pn] = state
        elif frame.afn != CONTROL or found.fns[0] != CLOCK_FN:
            raise BadReply("unknown")
        return [encode_identifier((0,), (ALL_ACCEPTED,))], ACK

    def _set_archive(self, entries: tuple[ArchiveEntry, ...]) -> None:
        for entry in entries:
            if entry.pn:
                self.archive[entry.number] = entry
            else:
                self.archive.pop(entry.number, None)

    def _data(self, frame: Frame) -> list[bytes]:
        """The units asked for, packed into frames; BadReply when it has none."""
        units: list[bytes] = []
        body = frame.body
        while body:
            found = decode_identifier(body)
            if found is None:
                raise BadReply("no identifier")
            layout = self._layouts.get((frame.afn, found.fns[0]))
            if layout is None:
                raise BadReply(f"F{found.fns[0]}")
            body = body[IDENTIFIER_BYTES:]
            extra = 2 if layout.tag_format == "A15" else 0
            size = size_of(layout.tag_format) + extra if layout.tag_format else 0
            tag, body = body[:size], body[size:]
            pns = sorted(self._points()) if found.everything else found.pns
            for pn in pns:
                for fn in found.fns:
                    units += self._unit(frame.afn, pn, fn, tag)
        if not units:
            raise BadReply("no such data")
        bodies = [b""]
        for unit in units:
            if bodies[-1] and len(bodies[-1]) + len(unit) > self._config.max_body_bytes:
                bodies.append(b"")
            bodies[-1] += unit
        return bodies

    def _unit(self, afn: int, pn: int, fn: int, tag: bytes) -> list[bytes]:
        now_s = self._clock.now_s()
        layout = self._layouts.get((afn, fn))
        if layout is None:
            return []
        identifier = encode_identifier((pn,), (fn,))
        if (afn, fn) == (CURRENT, 2):
            return [identifier + encode_clock(civil_of(now_s, self._config.zone_minutes))]
        data = self.store.unit(
            layout, self._points().get(pn), tag, self._tag_text(layout, tag), now_s
        )
        if data is None or (self._config.omit_absent and b"\xee" * 16 in data):
            return []
        return [identifier + data]

    def _tag_text(self, layout: Layout, tag: bytes) -> str:
        if not layout.tag_format:
            return ""
        raw = tag[: size_of(layout.tag_format)]
        if len(raw) < size_of(layout.tag_format):
            raise BadReply("no time tag")
        value = decode_value(layout.tag_format, raw, self._config.zone_minutes)
        if value.bad:
            raise BadReply("no such time")
        return value.text

    def _points(self) -> dict[int, Meter]:
        """The meter behind each point, as its archive has it."""
        return {
            entry.pn: self._by_address[entry.address]
            for entry in self.archive.values()
            if entry.address in self._by_address
        }

    def _forward(self, frame: Frame) -> tuple[bytes, float]:
        """What the meters say to the frame inside, and how long they take."""
        found, data = single_identifier(frame)
        forwarding, content = decode_forwarding(data)
        replies = self._bus.feed(self._bus.reader(), content) if self._reaches(content) else []
        answer = b"".join(reply.data for reply in replies)
        delay_s = max((reply.delay_s for reply in replies), default=0.0)
        head = encode_identifier((0,), found.fns)
        return head + encode_forwarded(forwarding.port, answer), delay_s

    def _reaches(self, content: bytes) -> bool:
        """Whether the radio carries it: a bad one does so every second time."""
        for found in MeterFrameReader().feed(content):
            if isinstance(found, MeterFrame) and found.address in self.store.bad_radio:
                self._tries[found.address] = self._tries.get(found.address, 0) + 1
                return self._tries[found.address] % 2 == 0
        return True


def _archive_of(config: ConcentratorConfig) -> dict[int, ArchiveEntry]:
    """The archive as the configuration spoils it."""
    spoiled = config.archive
    entries = {
        pn: ArchiveEntry(number=pn, pn=pn, address=meter.address, rates=meter.rates)
        for pn, meter in enumerate(config.meters, start=1)
        if pn not in spoiled.missing
    }
    for own, other in spoiled.moved.items():
        if int(own) in entries:
            entries[int(own)] = replace(entries[int(own)], pn=other)
    number = len(config.meters)
    for pn, address in spoiled.foreign.items():
        number += 1
        entries[number] = ArchiveEntry(number=number, pn=int(pn), address=address)
    return entries


def _numbers(raw: bytes) -> tuple[int, ...]:
    """The archive numbers that a query names."""
    numbers = [int.from_bytes(raw[place : place + 2], "little") for place in range(0, len(raw), 2)]
    if len(raw) % 2 or not numbers or numbers[0] != len(numbers) - 1:
        raise BadReply(f"a query of {len(raw)} bytes, another length than it says")
    return tuple(numbers[1:])
