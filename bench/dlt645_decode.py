"""DL/T 645 frames to exact values, frames per second on one core.

Input: a stream of answers of a meter (energy, block of five, voltage, current, power, demand with
its time, frequency), cut into pieces of 4 KiB as a socket gives them. Counted: from bytes to
`Quantity`, framing, checksum, identifier and value included. The baseline, on the same
frames already cut apart, is the frame decode alone (no values) of PyPI `dlt645` 3.2.0.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.figures import Figure
from services.ingest.protocols.dlt645.frame import Frame, FrameReader, encode_frame
from services.ingest.protocols.dlt645.identifiers import di_text
from services.ingest.protocols.dlt645.payloads import decode_payload
from services.ingest.protocols.dlt645.replies import data_reply

AIM = 200_000
FRAMES = 20_000
PIECE = 4096
METER = "151230011061"
ENERGY = "56341200"
SINGLE = {"00010000": ENERGY}
MIXED = {
    "00010000": ENERGY,
    "0001FF00": ENERGY * 5,
    "02010100": "1923",
    "02020100": "994900",
    "02030000": "314380",
    "01010000": "5634121518310126",
    "02800002": "0350",
}


def wire(payloads: dict[str, str]) -> list[bytes]:
    """Frames as a meter sends them, in turn."""
    built = [
        encode_frame(data_reply(METER, di, bytes.fromhex(payload)))
        for di, payload in payloads.items()
    ]
    return [built[n % len(built)] for n in range(FRAMES)]


def decode_stream(stream: bytes) -> int:
    """Bytes to exact values; how many frames there were."""
    reader = FrameReader()
    count = 0
    for start in range(0, len(stream), PIECE):
        for found in reader.feed(stream[start : start + PIECE]):
            if isinstance(found, Frame):
                data = found.data
                decode_payload(di_text(data), data[4:])
                count += 1
    return count


def baseline(frames: list[bytes]) -> int:
    """The frame decode of the package, one frame at a time; it yields no values."""
    from dlt645.protocol.protocol import DLT645Protocol

    return sum(DLT645Protocol.deserialize(bytearray(raw)) is not None for raw in frames)


def figures() -> Iterator[Figure]:
    """One register a frame, and answers of every kind; both against the other library."""
    single, mixed = wire(SINGLE), wire(MIXED)
    one_stream, mixed_stream = b"".join(single), b"".join(mixed)
    for found in (decode_stream(one_stream), decode_stream(mixed_stream), baseline(single)):
        assert found == FRAMES, f"{found} of {FRAMES} frames found"
    other = "dlt645 3.2.0, frames only, no values"
    yield Figure(
        "one energy a frame, to exact values",
        "frames/s",
        FRAMES,
        lambda: decode_stream(one_stream),
        other,
        lambda: baseline(single),
        AIM,
    )
    values = sum(len(decode_payload(di, bytes.fromhex(text))) for di, text in MIXED.items())
    yield Figure(
        f"mixed answers ({values} values in {len(MIXED)} frames), to exact values",
        "frames/s",
        FRAMES,
        lambda: decode_stream(mixed_stream),
        other,
        lambda: baseline(mixed),
        AIM,
    )
