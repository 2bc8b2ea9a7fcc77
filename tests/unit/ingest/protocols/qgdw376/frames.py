"""The golden outer frames, and frames built here without the code under test."""

from __future__ import annotations

import json
from pathlib import Path

GOLDEN = Path(__file__).parents[4] / "golden"
_OUTER = json.loads((GOLDEN / "dlt645_frames.json").read_text("utf-8"))["outer_376_frames"]
_MORE = json.loads((GOLDEN / "qgdw376_frames.json").read_text("utf-8"))["frames"]
OUTER = {row["id"]: bytes.fromhex(row["hex"]) for row in (*_OUTER, *_MORE)}


def wire(user: str | bytes, protocol: int = 2) -> bytes:
    """A frame around user data (from C to the end of AUX), byte by byte."""
    data = bytes.fromhex(user) if isinstance(user, str) else user
    size = len(data) * 4 + protocol
    length = bytes((size % 256, size // 256))
    return b"\x68" + length + length + b"\x68" + data + bytes((sum(data) % 256, 0x16))


UP = "88 00 02 34 12 04"
DOWN = "4B 00 02 34 12 04"
"""C and A of an answer, and of a request."""


def up(afn: str, body: str, seq: str = "60") -> bytes:
    """An answer of terminal 0200-1234."""
    return wire(f"{UP} {afn} {seq} {body}")


def down(afn: str, body: str, seq: str = "60") -> bytes:
    """A request to terminal 0200-1234."""
    return wire(f"{DOWN} {afn} {seq} {body}")
