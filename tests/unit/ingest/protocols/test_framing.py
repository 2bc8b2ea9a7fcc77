"""The search for frames that all protocols share, what noise costs it, and records made fast."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError

import pytest

from services.ingest.protocols import dlms_frames, modbus_frames
from services.ingest.protocols.catalogue import EXPLAINERS, open_explainer
from services.ingest.protocols.dlt645 import frame as frame_645
from services.ingest.protocols.dlt645.frame import Frame, FrameReader, encode_frame
from services.ingest.protocols.dlt645.values import Quantity, quantity
from services.ingest.protocols.explanation import GAP_BYTES_MAX, Explained
from services.ingest.protocols.framing import Skipped, StreamReader
from services.ingest.protocols.qgdw376 import frame as frame_376

NOISE = random.Random(645).randbytes(400_000)
PIECE_BYTES = 65_536


@pytest.mark.parametrize(
    ("candidate", "judge", "share"),
    [
        (frame_645._CANDIDATE, frame_645._judge, 0.0001),
        (frame_376._CANDIDATE, frame_376._judge, 0.0001),
        (dlms_frames._CANDIDATE, dlms_frames._judge, 0.001),
        (modbus_frames._CANDIDATE, modbus_frames.packet_at, 0.065),
    ],
    ids=["dlt645", "qgdw376", "dlms", "modbus"],
)
def test_noise_is_hardly_looked_at(
    candidate: re.Pattern[bytes], judge: Callable[[bytes, int], object], share: float
) -> None:
    """A place that cannot begin a frame costs no call: 1 of 256 in DL/T 645 and 376.1, and of those
    that have a second 68H; 16 functions of 256 in Modbus."""
    calls = 0

    def counted(buffer: bytes, start: int) -> Skipped | str:
        nonlocal calls
        calls += 1
        verdict = judge(buffer, start)
        return verdict if isinstance(verdict, str) else "noise"

    reader: StreamReader[Skipped] = StreamReader(counted, candidate)
    found = [*reader.feed(NOISE), *reader.finish()]
    assert b"".join(item.raw for item in found) == NOISE
    assert 0 < calls <= share * len(NOISE)


@pytest.mark.parametrize("protocol", EXPLAINERS)
def test_a_long_noise_is_told_whole_and_in_pieces(protocol: str) -> None:
    if protocol == "dlt698":
        pytest.importorskip("dlt698")
    explainer = open_explainer(protocol)
    pieces = [NOISE[n : n + PIECE_BYTES] for n in range(0, len(NOISE), PIECE_BYTES)]
    told, largest = [], 0
    for piece in pieces:
        for found in explainer.feed(piece):
            told.append(found.raw_hex)
            if not isinstance(found, Explained):
                largest = max(largest, len(found.raw_hex) // 2)
    told += [found.raw_hex for found in explainer.end()]
    assert "".join(told) == NOISE.hex()
    assert largest <= GAP_BYTES_MAX + PIECE_BYTES  # what is held at most


def test_a_candidate_that_is_cut_off_waits_and_others_do_not() -> None:
    reader = FrameReader()
    assert reader.feed(b"\x68" + bytes(6)) == []
    assert reader.pending == 7
    assert reader.feed(b"\x00") == [Skipped(b"\x68" + bytes(7), "noise")]
    assert reader.pending == 0


def test_only_the_first_byte_of_a_gap_has_a_reason_where_all_noise_looks_like_frames() -> None:
    def judge(buffer: bytes, start: int) -> Skipped | str:
        return "checksum" if buffer[start] == 1 else "noise"

    for data, reason in ((b"\x01\x02", "checksum"), (b"\x02\x01", "noise")):
        reader: StreamReader[Skipped] = StreamReader(
            judge, re.compile(rb"[\x01\x02]"), first_only=True
        )
        assert [item.reason for item in reader.feed(data)] == [reason]
        assert [item.reason for item in reader.feed(b"\x01")] == ["noise"]  # the same gap


def test_the_checksum_is_the_sum_of_all_bytes() -> None:
    """The longest frame with the largest bytes: their sum does not wrap where it may not."""
    longest = encode_frame(Frame("999999999998", 0xFF, bytes(range(56, 256)), b""))
    assert len(longest) == 212
    (found,) = FrameReader().feed(longest)
    assert isinstance(found, Frame)
    assert found.raw == longest
    for place in (0, 100, 209):
        broken = bytearray(longest)
        broken[place] ^= 0x40
        assert not any(isinstance(each, Frame) for each in FrameReader().feed(bytes(broken)))


def test_a_record_made_fast_is_the_frozen_one() -> None:
    made = quantity("1-0:1.8.0", "energy", "Wh", 1, 5, at="2026-01-31T16:00:00Z")
    same = Quantity(
        obis="1-0:1.8.0", name="energy", unit="Wh", scale=1, value=5, at="2026-01-31T16:00:00Z"
    )
    assert (type(made), made, hash(made)) == (Quantity, same, hash(same))
    assert not hasattr(made, "__dict__")
    with pytest.raises(FrozenInstanceError):
        made.value = 6  # type: ignore[misc]
    (frame,) = FrameReader().feed(encode_frame(Frame("000000000161", 0x11, b"\0\0\1\0")))
    assert type(frame) is Frame
    with pytest.raises(FrozenInstanceError):
        frame.address = ""  # type: ignore[misc]
