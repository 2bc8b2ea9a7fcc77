"""Q/GDW 376.1 explained byte by byte: the `Explainer` behind `gridledger decode`.

    for found in explainer().feed(capture): ...

A forwarded meter frame is `inner`. PW and passwords have no value here, only the reason "secret";
their bytes stay in `raw_hex`, since the parts of a frame are its bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from services.ingest.protocols.dlt645.frame import Frame as MeterFrame
from services.ingest.protocols.dlt645.frame import FrameReader as MeterFrameReader
from services.ingest.protocols.dlt645.frame import Skipped
from services.ingest.protocols.explanation import Explained, Part, Unexplained
from services.ingest.protocols.qgdw376.bodies import Piece, body_pieces
from services.ingest.protocols.qgdw376.frame import (
    AFN_NAMES,
    EC_BYTES,
    FORWARD,
    PW_BYTES,
    TP_BYTES,
    Frame,
    FrameReader,
)
from services.ingest.protocols.qgdw376.layout_file import load_event_names, load_layouts
from services.ingest.protocols.qgdw376.layouts import Layouts
from services.ingest.protocols.qgdw376.masking import BODY_OFFSET
from services.ingest.protocols.qgdw376.profile import STANDARD, ConcentratorProfile

PROTOCOL = "qgdw376"
ExplainInner = Callable[[bytes], Iterable[Explained | Unexplained]]
"""Explains the frames in the content of a forwarding, offsets from its first byte."""


class Qgdw376Explainer:
    """Finds and explains frames in a stream, however it is cut."""

    protocol = PROTOCOL

    def __init__(
        self,
        layouts: Layouts,
        profile: ConcentratorProfile = STANDARD,
        explain_inner: ExplainInner | None = None,
    ) -> None:
        self._reader = FrameReader()
        self._layouts = layouts
        self._profile = profile
        self._explain_inner = explain_inner or explain_meter_frames
        self._offset = 0

    def feed(self, data: bytes) -> Iterator[Explained | Unexplained]:
        """What is certain with these bytes."""
        return iter([self._told(found) for found in self._reader.feed(data)])

    def end(self) -> Iterator[Explained | Unexplained]:
        """What is left: the stream is over."""
        return iter([self._told(found) for found in self._reader.finish()])

    def _told(self, found: Frame | Skipped) -> Explained | Unexplained:
        offset = self._offset
        self._offset += len(found.raw)
        if isinstance(found, Skipped):
            return Unexplained(offset=offset, raw_hex=found.raw.hex(), reason=found.reason)
        pieces = body_pieces(found, self._layouts, load_event_names(), self._profile)
        return Explained(
            protocol=PROTOCOL,
            offset=offset,
            raw_hex=found.raw.hex(),
            summary=_summary(found),
            parts=(*_head(found), *_body_parts(found, pieces), *_tail(found)),
            fields=_fields(found, pieces),
            inner=self._inner(found, pieces),
        )

    def _inner(self, frame: Frame, pieces: list[Piece]) -> tuple[Explained, ...]:
        if frame.afn != FORWARD:
            return ()
        told: list[Explained] = []
        for piece in pieces:
            if piece.name == "meter frame":
                content = frame.body[piece.offset : piece.offset + piece.size]
                told.extend(
                    _moved(found, BODY_OFFSET + piece.offset)
                    for found in self._explain_inner(content)
                    if isinstance(found, Explained)
                )
        return tuple(told)


def explainer() -> Qgdw376Explainer:
    """An explainer with the shipped table and the standard profile."""
    return Qgdw376Explainer(load_layouts())


def _moved(found: Explained, by: int) -> Explained:
    return Explained(
        protocol=found.protocol,
        offset=found.offset + by,
        raw_hex=found.raw_hex,
        summary=found.summary,
        parts=found.parts,
        fields=found.fields,
        inner=found.inner,
    )


def _summary(frame: Frame) -> str:
    way = "terminal to master" if frame.from_terminal else "master to terminal"
    name = AFN_NAMES.get(frame.afn, "unknown function")
    return f"{frame.address} {way}: AFN {frame.afn:02X}H {name}"


def _fields(frame: Frame, pieces: list[Piece]) -> dict[str, object]:
    found: dict[str, object] = {
        "address": str(frame.address),
        "master": frame.address.master,
        "group": frame.address.group,
        "from_terminal": frame.from_terminal,
        "starter": frame.starter,
        "function": frame.function,
        "afn": frame.afn,
        "number": frame.sequence.number,
        "first": frame.sequence.first,
        "final": frame.sequence.final,
        "confirm": frame.sequence.confirm,
        "values": [
            {
                "pn": piece.pn,
                "fn": piece.fn,
                "name": piece.name,
                "value": piece.value,
                "unit": piece.unit,
                "obis": piece.obis,
                "reason": piece.reason,
            }
            for piece in pieces
            if piece.fn
        ],
    }
    if frame.events is not None:
        found["events"] = list(frame.events)
    return found


def _head(frame: Frame) -> Iterator[Part]:
    raw, number = frame.raw, frame.sequence.number
    way = "DIR 1 from terminal" if frame.from_terminal else "DIR 0 from master"
    role = "PRM 1 starter" if frame.starter else "PRM 0 answer"
    flag = "ACD" if frame.from_terminal else "FCB"
    control = f"{way}, {role}, {flag} {frame.flag:d}, FCV {frame.counted:d}, {frame.function}"
    order = frame.sequence
    sequence = f"FIR {order.first:d}, FIN {order.final:d}, CON {order.confirm:d}, number {number}"
    size = str(int.from_bytes(raw[1:3], "little") >> 2)
    address = frame.address
    texts = (
        (0, 1, "start", "", ""),
        (1, 2, "length of user data, protocol 2", size, "byte"),
        (3, 2, "length, again", size, "byte"),
        (5, 1, "start", "", ""),
        (6, 1, "control field", control, ""),
        (7, 2, "administrative area A1", address.area, ""),
        (9, 2, "terminal A2", f"{address.terminal:04X}", ""),
        (11, 1, "master and group A3", f"MSA {address.master}, group {address.group:d}", ""),
        (12, 1, "application function", AFN_NAMES.get(frame.afn, ""), ""),
        (13, 1, "sequence", f"TpV {frame.time_tag is not None:d}, {sequence}", ""),
    )
    for offset, length, name, value, unit in texts:
        yield _part(frame, offset, length, name, value, unit)


def _part(
    frame: Frame,
    offset: int,
    size: int,
    name: str,
    value: str = "",
    unit: str = "",
    reason: str = "",
) -> Part:
    return Part(
        offset=offset,
        raw_hex=frame.raw[offset : offset + size].hex(),
        name=name,
        value=value,
        unit=unit,
        reason=reason,
    )


def _body_parts(frame: Frame, pieces: list[Piece]) -> Iterator[Part]:
    for piece in pieces:
        offset = BODY_OFFSET + piece.offset
        yield Part(
            offset=offset,
            raw_hex=frame.raw[offset : offset + piece.size].hex(),
            name=f"p{piece.pn} F{piece.fn} {piece.name}" if piece.fn else piece.name,
            value=piece.value,
            unit=piece.unit,
            obis=piece.obis,
            reason=piece.reason,
        )


def _tail(frame: Frame) -> Iterator[Part]:
    at = BODY_OFFSET + len(frame.body)
    if frame.password:
        yield _part(frame, at, PW_BYTES, "password PW", reason="secret")
        at += PW_BYTES
    if frame.events is not None:
        yield _part(frame, at, 1, "important events EC1", str(frame.events[0]))
        yield _part(frame, at + 1, 1, "general events EC2", str(frame.events[1]))
        at += EC_BYTES
    if frame.time_tag is not None:
        tag = frame.time_tag
        yield _part(frame, at, 1, "frame counter PFC", str(tag.counter))
        yield _part(frame, at + 1, 4, "sent (day and time)", tag.sent)
        yield _part(frame, at + 5, 1, "may travel", str(tag.delay_minutes), "min")
        at += TP_BYTES
    yield _part(frame, at, 1, "checksum", "right")
    yield _part(frame, at + 1, 1, "end")


def explain_meter_frames(content: bytes) -> Iterator[Explained | Unexplained]:
    """DL/T 645 frames by extent: address, control, data without the 33H."""
    reader = MeterFrameReader()
    at = 0
    for found in reader.feed(content) + reader.finish():
        at = content.index(found.raw, at)
        if isinstance(found, MeterFrame):
            yield _meter_frame(found, at)
        else:
            yield Unexplained(offset=at, raw_hex=found.raw.hex(), reason=found.reason)
        at += len(found.raw)


def _meter_frame(found: MeterFrame, offset: int) -> Explained:
    size = len(found.data)
    rows = [
        (0, 1, "start", "", ""),
        (1, 6, "meter address", found.address, ""),
        (7, 1, "start", "", ""),
        (8, 1, "control code", f"{found.control:02X}H", ""),
        (9, 1, "length of data", str(size), "byte"),
        (10, size, "data", found.data.hex(), ""),
        (10 + size, 1, "checksum", "right", ""),
        (11 + size, 1, "end", "", ""),
    ]
    return Explained(
        protocol="dlt645",
        offset=offset,
        raw_hex=found.raw.hex(),
        summary=f"meter {found.address}: control code {found.control:02X}H, {size} bytes",
        parts=tuple(
            Part(
                offset=at,
                raw_hex=found.raw[at : at + length].hex(),
                name=name,
                value=value,
                unit=unit,
            )
            for at, length, name, value, unit in rows
            if length
        ),
        fields={"address": found.address, "control": found.control},
    )
