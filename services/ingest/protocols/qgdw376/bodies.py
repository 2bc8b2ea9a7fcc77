"""The data units of any frame cut into named pieces without gap or overlap, for explanation.

What nobody can read is one piece with the reason; nothing here raises for what the bytes are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from services.ingest.protocols.dlt645.values import HIDDEN
from services.ingest.protocols.failures import BadReply
from services.ingest.protocols.qgdw376.archive import ENTRY_BYTES, METER_PROTOCOLS, decode_entries
from services.ingest.protocols.qgdw376.formats import Value, decode_value, size_of
from services.ingest.protocols.qgdw376.forwarding import decode_forwarded, decode_forwarding
from services.ingest.protocols.qgdw376.frame import (
    ACK,
    CONTROL,
    CURRENT,
    EVENTS,
    FORWARD,
    FROZEN,
    LINK,
    QUERY,
    SET,
    Frame,
)
from services.ingest.protocols.qgdw376.layouts import Item, Layouts
from services.ingest.protocols.qgdw376.points import IDENTIFIER_BYTES, decode_identifier
from services.ingest.protocols.qgdw376.profile import ConcentratorProfile
from services.ingest.protocols.qgdw376.replies import decode_data
from services.ingest.protocols.qgdw376.requests import (
    ARCHIVE_FN,
    CLOCK_FN,
    FORWARD_FN,
    ONE_BY_ONE,
    TRIP_FN,
)

METER_FRAME = "meter frame"
"""Name of the piece that a forwarding carries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A run of bytes of the body; pn and fn are 0 for what belongs to no unit."""

    offset: int
    size: int
    name: str
    value: str = ""
    unit: str = ""
    obis: str = ""
    reason: str = ""
    pn: int = 0
    fn: int = 0


@dataclass(slots=True)
class _Cut:
    """The body while it is cut; `at` is the first byte that is in no piece."""

    frame: Frame
    layouts: Layouts
    event_names: Mapping[int, str]
    profile: ConcentratorProfile
    pieces: list[Piece] = field(default_factory=list)
    at: int = 0

    @property
    def rest(self) -> bytes:
        """What is in no piece yet."""
        return self.frame.body[self.at :]

    def add(
        self, size: int, name: str, value: object = "", *, unit: str = "", reason: str = ""
    ) -> bytes:
        """Cut off one piece; BadReply when the body is shorter."""
        raw = self.rest[:size]
        if len(raw) < size:
            raise BadReply("ends too early")
        if size:
            piece = Piece(
                offset=self.at, size=size, name=name, value=str(value), unit=unit, reason=reason
            )
            self.pieces.append(piece)
            self.at += size
        return raw

    def number(self, size: int, name: str) -> int:
        """Cut off an unsigned integer."""
        value = int.from_bytes(self.rest[:size], "little")
        self.add(size, name, value)
        return value

    def formatted(self, kind: str, name: str) -> None:
        """Cut off a value in one of the formats of appendix A."""
        size = size_of(kind)
        if len(self.rest) < size:
            raise BadReply("ends too early")
        value = decode_value(kind, self.rest[:size], self.profile.zone_minutes)
        self.add(size, name, _shown(value), reason=value.bad)

    def identifier(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Cut off DA and DT; BadReply when they name nothing."""
        found = decode_identifier(self.rest)
        if found is None:
            raise BadReply("an identifier that names nothing")
        pns = "every point" if found.everything else " ".join(f"p{pn}" for pn in found.pns)
        value = f"{pns} {' '.join(f'F{fn}' for fn in found.fns)}"
        self.add(IDENTIFIER_BYTES, "identifier DA DT", value)
        return found.pns, found.fns


def body_pieces(
    frame: Frame,
    layouts: Layouts,
    event_names: Mapping[int, str],
    profile: ConcentratorProfile,
) -> list[Piece]:
    """The pieces of a frame's body, in order; together they are the body."""
    cut = _Cut(frame, layouts, event_names, profile)
    try:
        _CUTTERS.get(frame.afn, _cut_unknown)(cut)
    except BadReply as error:
        cut.add(len(cut.rest), "not readable", reason=error.problem)
    cut.add(len(cut.rest), "more bytes", reason="unexpected")
    return cut.pieces


def _shown(value: Value) -> str:
    if value.number is None:
        return value.text
    if value.scale == 1:
        return str(value.number)
    digits = len(str(value.scale)) - 1
    whole, rest = divmod(abs(value.number), value.scale)
    return f"{'-' if value.number < 0 else ''}{whole}.{rest:0{digits}d}"


def _cut_unknown(cut: _Cut) -> None:
    cut.identifier()
    cut.add(len(cut.rest), "data", reason="unknown")


def _cut_acknowledgement(cut: _Cut) -> None:
    _, fns = cut.identifier()
    if fns != (ONE_BY_ONE,):
        return
    cut.number(1, "of AFN")
    while cut.rest:
        cut.identifier()
        cut.number(1, "error (0 is none)")


def _cut_link(cut: _Cut) -> None:
    cut.identifier()
    if cut.rest:
        cut.formatted("A01", "terminal clock")


def _cut_data(cut: _Cut) -> None:
    """Class 1 and 2: values uplink; downlink the identifiers and, for class 2, their tags."""
    if not cut.frame.from_terminal:
        while cut.rest:
            _, fns = cut.identifier()
            if cut.frame.afn == CURRENT:
                continue
            layout = cut.layouts.get((cut.frame.afn, fns[0]))
            if layout is None or not layout.tag_format:
                raise BadReply(f"F{fns[0]} is not in the table")
            cut.formatted(layout.tag_format, "time tag")
            if layout.tag_format == "A15":
                cut.number(1, "density")
                cut.number(1, "points")
        return
    body = decode_data(cut.frame, cut.layouts, cut.profile)
    for placed in body.placed:
        if cut.at == placed.identifier_offset < placed.offset:
            cut.identifier()
        for item in placed.unit.items:
            _add_item(cut, item, placed.unit.pn, placed.unit.fn)
    if cut.rest:
        raise BadReply(body.problem)


def _add_item(cut: _Cut, item: Item, pn: int, fn: int) -> None:
    quantity = item.quantity
    value = _shown(item.value)
    if item.value.at:
        value = f"{value} at {item.value.at}"
    cut.pieces.append(
        Piece(
            offset=cut.at,
            size=item.size,
            name=item.field,
            value=value,
            unit="" if quantity is None else quantity.unit,
            obis="" if quantity is None else quantity.obis,
            reason=item.value.bad,
            pn=pn,
            fn=fn,
        )
    )
    cut.at += item.size


def _cut_parameters(cut: _Cut) -> None:
    """04H and 0AH: only F10, the archive, is known."""
    _, fns = cut.identifier()
    if fns != (ARCHIVE_FN,):
        raise BadReply("not in the table")
    query = cut.frame.afn == QUERY and not cut.frame.from_terminal
    count = cut.number(2, "entries")
    if query:
        for _ in range(count):
            cut.number(2, "entry number")
        return
    while len(cut.rest) >= ENTRY_BYTES:
        _cut_entry(cut)


def _cut_entry(cut: _Cut) -> None:
    (entry,) = decode_entries(b"\x01\x00" + cut.rest[:ENTRY_BYTES])
    cut.add(2, "entry number", entry.number)
    cut.add(2, "point", f"p{entry.pn}")
    cut.add(1, "baud and port", f"{entry.baud} baud, port {entry.port}")
    cut.add(1, "protocol", METER_PROTOCOLS.get(entry.protocol, str(entry.protocol)))
    cut.add(6, "meter address", entry.address)
    cut.add(6, "meter password", reason=HIDDEN)
    cut.add(1, "rates", entry.rates)
    cut.add(1, "digits", f"{entry.integer_digits}.{entry.decimals}")
    cut.add(6, "collector address", entry.collector)
    cut.add(1, "classes", f"user {entry.user_class}, meter {entry.meter_class}")


def _cut_control(cut: _Cut) -> None:
    _, fns = cut.identifier()
    if fns == (TRIP_FN,) and cut.rest:
        byte = cut.rest[0]
        cut.add(1, "trip", f"alarm {byte >> 4} min, limit {byte & 0x0F} half hours")
    elif fns == (CLOCK_FN,):
        cut.formatted("A01", "clock")


def _cut_events(cut: _Cut) -> None:
    cut.identifier()
    if cut.frame.from_terminal:
        cut.number(1, "important events EC1")
        cut.number(1, "general events EC2")
    cut.number(1, "from record")
    cut.number(1, "to record")
    while cut.rest:
        erc = cut.rest[0]
        cut.add(1, "event", f"ERC{erc} {cut.event_names.get(erc, '')}".strip())
        size = cut.number(1, "length")
        left = size
        if size >= size_of("A15"):
            cut.formatted("A15", "occurred")
            left -= size_of("A15")
        cut.add(left, "event data", cut.rest[:left].hex())


def _cut_forwarding(cut: _Cut) -> None:
    _, fns = cut.identifier()
    if fns != (FORWARD_FN,):
        raise BadReply("not in the table")
    if not cut.frame.from_terminal:
        known, content = decode_forwarding(cut.rest)
        line = f"{known.baud} baud, {known.data_bits} bits, {known.parity}, {known.stop_bits} stop"
        cut.add(1, "port", known.port)
        cut.add(1, "line", line)
        cut.add(1, "time-out", known.timeout_ms, unit="ms")
        cut.add(1, "byte time-out", known.byte_timeout_ms, unit="ms")
        cut.number(2, "length")
    else:
        port, content = decode_forwarded(cut.rest)
        cut.add(1, "port", port)
        cut.number(2, "length")
    cut.add(len(content), METER_FRAME)


_CUTTERS: dict[int, Callable[[_Cut], None]] = {
    ACK: _cut_acknowledgement,
    LINK: _cut_link,
    SET: _cut_parameters,
    QUERY: _cut_parameters,
    CONTROL: _cut_control,
    CURRENT: _cut_data,
    FROZEN: _cut_data,
    EVENTS: _cut_events,
    FORWARD: _cut_forwarding,
}
