"""The golden outer frames by id, and frames built here without the code under test."""

from __future__ import annotations

import json

from services.ingest.protocols.qgdw376.frame import Frame, FrameReader
from tests.unit.ingest.protocols.vectors import DOCUMENT, GOLDEN

_MORE = json.loads((GOLDEN.parent / "qgdw376_frames.json").read_text("utf-8"))["frames"]
CAPTURES: dict[str, bytes] = {
    row["id"]: bytes.fromhex(row["hex"]) for row in (*DOCUMENT["outer_376_frames"], *_MORE)
}


def wire(user: bytes) -> bytes:
    """A frame around user data."""
    length = (len(user) * 4 + 2).to_bytes(2, "little")
    return b"\x68" + length * 2 + b"\x68" + user + bytes((sum(user) % 256, 0x16))


def uplink(afn: int, body_hex: str) -> bytes:
    """What terminal 0200-1234 answers, without EC and Tp."""
    return wire(bytes.fromhex("88 0002 3412 04") + bytes((afn, 0x60)) + bytes.fromhex(body_hex))


def downlink(afn: int, body_hex: str, aux_hex: str = "") -> bytes:
    """What a master asks terminal 0200-1234; `aux_hex` is PW where the AFN has one."""
    user = bytes.fromhex("4B 0002 3412 04") + bytes((afn, 0x60)) + bytes.fromhex(body_hex + aux_hex)
    return wire(user)


def read_one(raw: bytes) -> Frame:
    """The only frame in `raw`."""
    (found,) = FrameReader().feed(raw)
    assert isinstance(found, Frame)
    return found
