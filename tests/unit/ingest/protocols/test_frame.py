"""Frames: the golden file, round trips, and finding frames in dirt."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.address import MeterAddress, parse_address
from services.ingest.protocols.dlt645.frame import (
    Frame,
    FrameReader,
    address_matches,
    encode_frame,
)
from services.ingest.protocols.framing import Skipped
from tests.unit.ingest.protocols.vectors import (
    DOCUMENT,
    IN_SCOPE,
    NOT_COVERED_YET,
    OF_1997,
    raw,
    wire,
)

ADDRESSES = st.integers(0, 999_999_999_998).map("{:012d}".format)
FRAMES = st.builds(
    Frame,
    address=ADDRESSES,
    control=st.sampled_from([0x11, 0x12, 0x14, 0x1C, 0x91, 0xB1, 0xD1, 0x9C]),
    data=st.binary(max_size=200),
)


def frames_in(data: bytes) -> list[Frame]:
    """The frames a fresh reader finds when the line then goes quiet."""
    reader = FrameReader()
    found = [*reader.feed(data), *reader.finish()]
    return [item for item in found if isinstance(item, Frame)]


def test_every_frame_of_the_file_is_in_scope_or_named_as_not_covered() -> None:
    every = {row["id"] for row in DOCUMENT["frames"] + DOCUMENT["outer_376_frames"]}
    assert every - {row["id"] for row in IN_SCOPE + OF_1997} == set(NOT_COVERED_YET)
    assert len(IN_SCOPE) == 44


@pytest.mark.parametrize("row", IN_SCOPE + OF_1997, ids=lambda row: row["id"])
def test_golden_frame_both_ways(row: dict[str, str]) -> None:
    sent = bytes.fromhex(row["hex"])
    reader = FrameReader()
    found = reader.feed(sent)
    assert len(found) == 1
    frame = found[0]
    assert isinstance(frame, Frame)
    assert frame.address == row["address"]
    assert frame.control == int(row["control"], 16)
    assert frame.data == bytes.fromhex(row["decoded_payload_hex"])
    assert frame.from_meter == (row["direction"] == "response")
    assert reader.pending == 0
    lead = len(sent) - len(sent.lstrip(b"\xfe"))
    assert encode_frame(frame, lead) == sent


@settings(deadline=None)
@given(FRAMES)
def test_encode_then_read_gives_the_same_frame(frame: Frame) -> None:
    sent = encode_frame(frame)
    assert sent == wire(frame.address, frame.control, frame.data)
    assert frames_in(sent) == [frame]


@settings(deadline=None)
@given(st.lists(FRAMES, max_size=4), st.lists(st.integers(1, 40), max_size=60))
def test_however_the_bytes_are_cut_the_frames_are_the_same(
    frames: list[Frame], cuts: list[int]
) -> None:
    stream = b"".join(encode_frame(frame, lead=2) for frame in frames)
    reader = FrameReader()
    found: list[Frame | Skipped] = []
    for size in [*cuts, len(stream)]:
        found += reader.feed(stream[:size])
        stream = stream[size:]
        assert reader.pending < 12 + 200
    assert found + reader.finish() == frames


@settings(deadline=None)
@given(FRAMES, st.binary(max_size=30))
def test_a_good_frame_is_found_behind_noise_once_the_line_is_quiet(
    frame: Frame, noise: bytes
) -> None:
    assert frames_in(noise + encode_frame(frame))[-1:] == [frame]


def test_noise_is_reported_and_never_lost() -> None:
    reader = FrameReader()
    found = [*reader.feed(b"\x00\x68\x01" + raw("f02") + b"\x55"), *reader.finish()]
    assert [type(item).__name__ for item in found] == ["Skipped", "Frame", "Skipped"]
    assert found[0] == Skipped(b"\x00\x68\x01", "noise")
    assert found[2] == Skipped(b"\x55", "noise")


def test_start_and_end_bytes_inside_data_are_data() -> None:
    data = bytes((0x68 - 0x33, 0x16 - 0x33 + 256, 0x68 - 0x33)) * 20
    sent = wire("686868686868", 0x91, data)
    assert sent.count(0x68) > 40
    assert frames_in(b"\x68\x16\x68" + sent) == [Frame("686868686868", 0x91, data)]


def test_the_33h_offset_wraps() -> None:
    sent = wire("000000000161", 0x91, b"\x00\x00\x01\x00\xff\xcd\xcc\x00")
    assert sent[14:17] == b"\x32\x00\xff"
    assert frames_in(sent)[0].data[4:] == b"\xff\xcd\xcc\x00"


@pytest.mark.parametrize("place", range(16))
def test_any_single_wrong_byte_makes_it_no_frame(place: int) -> None:
    sent = bytearray(raw("f01"))
    sent[place] ^= 0x04
    assert frames_in(bytes(sent)) == []


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda sent: sent[:-2] + bytes((sent[-2] ^ 1, sent[-1])), "checksum"),
        (lambda sent: sent[:-1] + b"\x17", "end"),
        (lambda sent: sent[:9] + b"\xc9" + sent[10:], "length"),
        (lambda sent: sent[:-3], "incomplete"),
    ],
)
def test_why_bytes_are_no_frame(spoil: object, reason: str) -> None:
    reader = FrameReader()
    sent = spoil(raw("f02"))  # type: ignore[operator]
    found = [*reader.feed(sent), *reader.finish()]
    assert next(item.reason for item in found if isinstance(item, Skipped)) == reason
    assert not any(isinstance(item, Frame) for item in found)


def test_a_frame_inside_what_looked_like_a_longer_one_is_found_when_quiet() -> None:
    false_start = b"\x68\x61\x01\x00\x00\x00\x00\x68\x91\xc8"
    reader = FrameReader()
    assert reader.feed(false_start + raw("f02")) == []  # it waits for 200 bytes of data
    found = reader.finish()
    assert [item for item in found if isinstance(item, Frame)] == frames_in(raw("f02"))
    assert reader.pending == 0


def test_an_address_that_is_no_number_is_no_frame() -> None:
    sent = bytearray(wire("000000000161", 0x11, b"\x00\x00\x01\x00"))
    sent[1] = 0x6B
    sent[-2] = sum(sent[:-2]) % 256
    assert frames_in(bytes(sent)) == []


def test_the_buffer_is_bounded_whatever_comes() -> None:
    reader = FrameReader()
    for _ in range(200):
        reader.feed(b"\x68" * 50 + b"\x00\x68\xc8")
        assert reader.pending <= 212


def test_the_645_frame_inside_a_376_frame_is_found() -> None:
    outer = next(row for row in DOCUMENT["outer_376_frames"] if row["id"] == "c05")
    assert frames_in(bytes.fromhex(outer["hex"])) == frames_in(raw("f46"))


@pytest.mark.parametrize("address", ["AAAAAAAAAAAA", "AAAAAAAA0161", "999999999999"])
@pytest.mark.parametrize("control", [0x14, 0x18, 0x1A, 0x1B, 0x1C])
def test_no_frame_that_changes_a_meter_can_name_more_than_one(address: str, control: int) -> None:
    with pytest.raises(BadInput, match="more than one meter"):
        encode_frame(Frame(address, control, bytes(16)))


@pytest.mark.parametrize("address", ["AAAAAAAAAAAA", "AAAAAAAA0161", "999999999999"])
def test_there_is_no_meter_address_that_names_more_than_one(address: str) -> None:
    with pytest.raises(BadInput, match="more than one meter"):
        MeterAddress(address)


@pytest.mark.parametrize(
    "address", ["", "161", "00000000016x", "0000000001611", "１２３４５６７８９０１２"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(BadInput, match="address"):
        MeterAddress(address)
    with pytest.raises(BadInput, match="address"):
        encode_frame(Frame(address, 0x11, b""))


def test_people_may_leave_out_leading_zeros() -> None:
    assert str(parse_address(" 161 ")) == "000000000161"
    with pytest.raises(BadInput, match="12 digits"):
        parse_address("  ")


def test_data_longer_than_a_frame_is_refused() -> None:
    with pytest.raises(BadInput, match="at most 200"):
        encode_frame(Frame("000000000161", 0x91, bytes(201)))


@pytest.mark.parametrize(
    ("asked", "answered", "fits"),
    [
        ("000000000161", "000000000161", True),
        ("000000000161", "000000000162", False),
        ("AAAAAAAAAAAA", "000000000161", True),
        ("AAAAAAAA0161", "123456780161", True),
        ("AAAAAAAA0161", "123456780162", False),
        ("AAAAAAAAAAAA", "999999999999", False),
    ],
)
def test_which_answers_belong_to_an_address(asked: str, answered: str, fits: bool) -> None:
    assert address_matches(asked, answered) is fits
