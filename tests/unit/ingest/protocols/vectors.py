"""The frames of the golden file, by id."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parents[3] / "golden" / "dlt645_frames.json"
DOCUMENT: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
BY_ID: dict[str, dict[str, Any]] = {row["id"]: row for row in DOCUMENT["frames"]}
IN_SCOPE = [row for row in DOCUMENT["frames"] if row["protocol"] == "DL/T 645-2007"]
NOT_COVERED_YET = {
    "f64": "DL/T 645-1997: another control code and 2-byte identifiers",
    "c01": "Q/GDW 376.1: read in tests/unit/ingest/protocols/qgdw376",
    "c02": "Q/GDW 376.1: read in tests/unit/ingest/protocols/qgdw376",
    "c03": "Q/GDW 376.1: read in tests/unit/ingest/protocols/qgdw376",
    "c04": "Q/GDW 376.1: read in tests/unit/ingest/protocols/qgdw376",
    "c05": "Q/GDW 376.1: read in tests/unit/ingest/protocols/qgdw376",
}


def raw(name: str) -> bytes:
    """The bytes of one frame of the file."""
    return bytes.fromhex(BY_ID[name]["hex"])


def wire(address: str, control: int, data: bytes) -> bytes:
    """A frame built here, byte by byte, without the code under test."""
    body = bytearray(b"\x68")
    body += bytes.fromhex(address)[::-1]
    body += bytes((0x68, control, len(data)))
    body += bytes((byte + 0x33) % 256 for byte in data)
    body.append(sum(body) % 256)
    body.append(0x16)
    return bytes(body)
