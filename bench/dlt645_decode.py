"""DL/T 645 frames to exact values, frames per second on one core: `python -m bench.dlt645_decode`.

Input: a stream of answers of a meter (energy, block of five, voltage, current, power, demand with
its time, frequency), cut into pieces of 4 KiB as a socket gives them. Counted: from bytes to
`Quantity`, framing, checksum, identifier and value included. The baseline, in the same run and on
the same frames already cut apart, is the frame decode alone (no values) of PyPI `dlt645` 3.2.0.
Time is CPU time of this process, so other load on the machine does not count; median of the runs.
"""

from __future__ import annotations

import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from services.ingest.protocols.dlt645.frame import Frame, FrameReader, encode_frame
from services.ingest.protocols.dlt645.identifiers import di_text
from services.ingest.protocols.dlt645.payloads import decode_payload
from services.ingest.protocols.dlt645.replies import data_reply

AIM = 200_000
FRAMES = 20_000
RUNS = 7
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


def rate(measured: Callable[[], int]) -> tuple[int, int, int]:
    """Frames per second of CPU time: median, lowest, highest."""
    measured()  # fills the caches and imports the package
    rates = []
    for _ in range(RUNS):
        began = time.process_time()
        count = measured()
        rates.append(round(count / (time.process_time() - began)))
        assert count == FRAMES, f"{count} of {FRAMES} frames found"
    return round(statistics.median(rates)), min(rates), max(rates)


def main() -> None:
    """Print the machine and one line for each measurement; status 1 when the aim is missed."""
    print(f"{cpu_name()}, Python {platform.python_version()}, {platform.system()}")
    single, mixed = wire(SINGLE), wire(MIXED)
    one_stream, mixed_stream = b"".join(single), b"".join(mixed)
    results = {
        "single energy to exact value": rate(lambda: decode_stream(one_stream)),
        "mixed answers to exact values": rate(lambda: decode_stream(mixed_stream)),
        "dlt645 3.2.0, frames only, single": rate(lambda: baseline(single)),
    }
    for name, (median, low, high) in results.items():
        print(f"{name:<36} {median:>9,} frames/s/core (of {RUNS}: {low:,} to {high:,})")
    values = sum(len(decode_payload(di, bytes.fromhex(text))) for di, text in MIXED.items())
    mixed_rate = results["mixed answers to exact values"][0]
    print(f"mixed answers hold {values} values in {len(MIXED)} frames: ", end="")
    print(f"{mixed_rate * values // len(MIXED):,} exact values/s/core")
    if results["single energy to exact value"][0] < AIM:
        sys.exit(f"below the aim of {AIM:,} frames/s/core")


def cpu_name() -> str:
    """The processor as the system names it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
