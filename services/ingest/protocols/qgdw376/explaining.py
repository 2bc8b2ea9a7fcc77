"""Q/GDW 376.1 explained byte by byte: the `Explainer` behind `gridledger decode`.

    for found in explainer().feed(capture): ...

A forwarded meter frame is `inner`. Nothing of a password leaves this module: bytes that tell of one
are `xx` and have the reason "secret" instead of a value (see `masking`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from services.ingest.protocols.dlt645.edition_2007 import explainer_2007
from services.ingest.protocols.dlt645.values import HIDDEN
from services.ingest.protocols.explanation import Explained, Part, StreamExplainer
from services.ingest.protocols.qgdw376.bodies import METER_FRAME, Piece, body_pieces
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
from services.ingest.protocols.qgdw376.masking import BODY_OFFSET, masked_pairs
from services.ingest.protocols.qgdw376.profile import STANDARD, ConcentratorProfile

PROTOCOL = "qgdw376"


class Qgdw376Explainer(StreamExplainer[Frame]):
    """Finds and explains frames in a stream, however it is cut."""

    def __init__(self, layouts: Layouts, profile: ConcentratorProfile = STANDARD) -> None:
        super().__init__(PROTOCOL, FrameReader(), self._told)
        self._layouts = layouts
        self._profile = profile

    def _told(self, frame: Frame, offset: int) -> Explained:
        pieces = body_pieces(frame, self._layouts, load_event_names(), self._profile)
        pairs = masked_pairs(frame)
        parts = (*_head(frame), *_body_parts(frame, pieces), *_tail(frame))
        return Explained(
            protocol=PROTOCOL,
            offset=offset,
            raw_hex="".join(pairs),
            summary=_summary(frame),
            parts=tuple(_masked(part, pairs) for part in parts),
            fields=_fields(frame, pieces),
            inner=_inner(frame, pieces),
        )


def explainer() -> Qgdw376Explainer:
    """An explainer with the shipped table and the standard profile."""
    return Qgdw376Explainer(load_layouts())


def _masked(part: Part, pairs: list[str]) -> Part:
    """The part without what tells of a secret; a meter frame has its own parts in `inner`."""
    mine = pairs[part.offset : part.offset + len(part.raw_hex) // 2]
    if "xx" not in mine:
        return part
    return replace(part, raw_hex="".join(mine), value="", reason=HIDDEN)


def _inner(frame: Frame, pieces: list[Piece]) -> tuple[Explained, ...]:
    """The DL/T 645-2007 frames of a forwarding, offsets in the outer frame."""
    told: list[Explained] = []
    for piece in pieces:
        if frame.afn != FORWARD or piece.name != METER_FRAME:
            continue
        reader = explainer_2007()
        content = frame.body[piece.offset : piece.offset + piece.size]
        by = BODY_OFFSET + piece.offset
        told += [
            replace(found, offset=found.offset + by)
            for found in (*reader.feed(content), *reader.end())
            if isinstance(found, Explained)
        ]
    return tuple(told)


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
        yield _part(frame, at, PW_BYTES, "password PW", reason=HIDDEN)
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
