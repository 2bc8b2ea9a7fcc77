"""What a terminal answers: acknowledgements, data, archive, events, forwarded frames.

    body = decode_data(frame, load_layouts())
    body.units[0].quantities          # exact values, named by OBIS
    body.problem                      # why the rest could not be read, "" when all was

A frame is an answer when it comes from the terminal asked, is no starter, and repeats PSEQ.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from services.ingest.protocols.failures import BadReply
from services.ingest.protocols.qgdw376.archive import ArchiveEntry, decode_entries
from services.ingest.protocols.qgdw376.formats import decode_value
from services.ingest.protocols.qgdw376.forwarding import decode_forwarded
from services.ingest.protocols.qgdw376.frame import ACK, EVENTS, FORWARD, QUERY, Frame
from services.ingest.protocols.qgdw376.layouts import Layouts, Unit, decode_unit
from services.ingest.protocols.qgdw376.points import (
    IDENTIFIER_BYTES,
    Identifier,
    decode_identifier,
)
from services.ingest.protocols.qgdw376.profile import STANDARD, ConcentratorProfile
from services.ingest.protocols.qgdw376.requests import (
    ALL_ACCEPTED,
    ALL_DENIED,
    ARCHIVE_FN,
    FORWARD_FN,
    ONE_BY_ONE,
)

_ERROR_BYTES = 1


@dataclass(frozen=True, slots=True)
class UnitVerdict:
    """What the terminal says of one identifier of our request; 0 is accepted."""

    pn: int
    fn: int
    error: int


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """accepted: everything. units: one by one (F3), when it says so. afn: which request's, or None
    (F1 and F2 do not say)."""

    accepted: bool
    units: tuple[UnitVerdict, ...] = ()
    afn: int | None = None


@dataclass(frozen=True, slots=True)
class PlacedUnit:
    """A unit and where its identifier and its data stand in the body."""

    identifier_offset: int
    offset: int
    unit: Unit


@dataclass(frozen=True, slots=True)
class DataBody:
    """The units of a frame. rest_offset: from where nothing could be read, the length when all
    was."""

    placed: tuple[PlacedUnit, ...]
    rest_offset: int
    problem: str = ""

    @property
    def units(self) -> tuple[Unit, ...]:
        """The data, point by point and kind by kind."""
        return tuple(each.unit for each in self.placed)


@dataclass(frozen=True, slots=True)
class SortedUnits:
    """units: what was asked and has a value, by point and kind. absent: asked, and not there (not
    given, given without a value, or given twice and differently: then the problem says so)."""

    units: tuple[Unit, ...]
    absent: tuple[tuple[int, int], ...]
    not_asked: tuple[Unit, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One event: number, when it occurred (instant), its bytes in hexadecimal."""

    erc: int
    occurred_at: str
    raw_hex: str


@dataclass(frozen=True, slots=True)
class EventBody:
    """The counters EC1 and EC2, the pointers this frame covers, and its records."""

    important: int
    general: int
    first: int
    last: int
    records: tuple[EventRecord, ...]


def single_identifier(frame: Frame) -> tuple[Identifier, bytes]:
    """The only identifier of a frame and its data; BadReply when there is none."""
    found = decode_identifier(frame.body)
    if found is None or len(found.fns) != 1:
        raise BadReply(f"{frame.address}: no identifier of one kind")
    return found, frame.body[IDENTIFIER_BYTES:]


def decode_acknowledgement(frame: Frame) -> Acknowledgement:
    """00H: F1 all accepted, F2 all denied, F3 one by one. BadReply when it is none of them."""
    found, data = single_identifier(frame)
    fn = found.fns[0]
    if frame.afn != ACK or fn not in (ALL_ACCEPTED, ALL_DENIED, ONE_BY_ONE):
        raise BadReply(f"{frame.address}: AFN {frame.afn:02X}H F{fn} is no acknowledgement")
    if fn != ONE_BY_ONE:
        return Acknowledgement(accepted=fn == ALL_ACCEPTED)
    step = IDENTIFIER_BYTES + _ERROR_BYTES
    if not data or (len(data) - 1) % step:
        raise BadReply(f"{frame.address}: an acknowledgement of {len(data)} bytes")
    verdicts = []
    for place in range(1, len(data), step):
        each = decode_identifier(data[place:])
        if each is None:
            raise BadReply(f"{frame.address}: an acknowledgement of nothing")
        error = data[place + IDENTIFIER_BYTES]
        verdicts += [UnitVerdict(pn, fn, error) for pn in each.pns for fn in each.fns]
    accepted = all(not verdict.error for verdict in verdicts)
    return Acknowledgement(accepted, tuple(verdicts), data[0])


def decode_data(
    frame: Frame, layouts: Layouts, profile: ConcentratorProfile = STANDARD
) -> DataBody:
    """0CH and 0DH: all units up to the first that nobody can read, whose length is then unknown."""
    placed: list[PlacedUnit] = []
    body, offset = frame.body, 0
    while offset < len(body):
        begin = offset
        found = decode_identifier(body[offset:])
        if found is None or found.everything:
            return DataBody(tuple(placed), begin, "an identifier that names nothing")
        offset += IDENTIFIER_BYTES
        for pn in found.pns:
            for fn in found.fns:
                layout = layouts.get((frame.afn, fn))
                if layout is None:
                    problem = f"F{fn} of AFN {frame.afn:02X}H is not in the table"
                    return DataBody(tuple(placed), begin, problem)
                try:
                    unit = decode_unit(
                        layout,
                        pn,
                        body[offset:],
                        profile.zone_minutes,
                        profile.first_point_offset,
                    )
                except BadReply as error:
                    return DataBody(tuple(placed), begin, f"p{pn} F{fn} {error.problem}")
                placed.append(PlacedUnit(begin, offset, unit))
                offset += unit.size
                begin = offset
    return DataBody(tuple(placed), offset)


def decode_archive(frame: Frame) -> tuple[ArchiveEntry, ...]:
    """0AH F10; BadReply when it is another answer."""
    found, data = single_identifier(frame)
    if frame.afn != QUERY or found.fns != (ARCHIVE_FN,):
        raise BadReply(f"{frame.address}: no archive in AFN {frame.afn:02X}H")
    return decode_entries(data)


def decode_forwarded_frame(frame: Frame) -> bytes:
    """10H F1: what the meter sent, empty when it said nothing."""
    found, data = single_identifier(frame)
    if frame.afn != FORWARD or found.fns != (FORWARD_FN,):
        raise BadReply(f"{frame.address}: nothing forwarded in AFN {frame.afn:02X}H")
    return decode_forwarded(data)[1]


def decode_events(frame: Frame, profile: ConcentratorProfile = STANDARD) -> EventBody:
    """0EH F1 and F2: ERC, length and data of each record; its first five bytes are when (A15)."""
    _, data = single_identifier(frame)
    if frame.afn != EVENTS or len(data) < 4:
        raise BadReply(f"{frame.address}: no events in AFN {frame.afn:02X}H")
    records = []
    place = 4
    while place < len(data):
        size = data[place + 1] if place + 1 < len(data) else 0
        raw = data[place + 2 : place + 2 + size]
        if len(raw) < size or not size:
            raise BadReply(f"{frame.address}: an event record ends too early")
        at = decode_value("A15", raw[:5], profile.zone_minutes).text if size >= 5 else ""
        records.append(EventRecord(data[place], at, raw.hex()))
        place += 2 + size
    return EventBody(data[0], data[1], data[2], data[3], tuple(records))


def sort_out(units: Iterable[Unit], asked: Collection[tuple[int, int]], day_on: str) -> SortedUnits:
    """The day freezes among `units` that answer a request for (pn, fn) pairs of a day."""
    found: dict[tuple[int, int], Unit] = {}
    strangers: list[Unit] = []
    doubted: set[tuple[int, int]] = set()
    for unit in units:
        key = unit.pn, unit.fn
        if key not in asked or unit.day_on != day_on:
            strangers.append(unit)
        elif found.setdefault(key, unit).quantities != unit.quantities:
            doubted.add(key)
    good = {
        key: unit
        for key, unit in found.items()
        if key not in doubted and any(each.value is not None for each in unit.quantities)
    }
    return SortedUnits(
        units=tuple(good[key] for key in sorted(good)),
        absent=tuple(sorted(set(asked) - good.keys())),
        not_asked=tuple(strangers),
        problems=tuple(f"p{pn} F{fn} came twice and differs" for pn, fn in sorted(doubted)),
    )
