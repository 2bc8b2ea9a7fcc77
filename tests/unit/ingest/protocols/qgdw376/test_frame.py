"""The frame: golden captures both ways, and any stream cut any way."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.frame import Skipped
from services.ingest.protocols.qgdw376.frame import (
    Address,
    Frame,
    FrameReader,
    Sequence,
    TimeTag,
    encode_frame,
    parse_address,
)
from tests.unit.ingest.protocols.qgdw376.frames import OUTER, wire
from tests.unit.ingest.protocols.test_fuzz import mutate

LOGIN = "C9 00 02 34 12 00 02 71 00 00 01 00"
MUTANTS = 6000


def read(raw: bytes) -> Frame:
    (found,) = FrameReader().feed(raw)
    assert isinstance(found, Frame)
    return found


def reason(raw: bytes) -> str:
    reader = FrameReader()
    found = reader.feed(raw) + reader.finish()
    assert b"".join(each.raw for each in found) == raw
    (only,) = found
    assert isinstance(only, Skipped)
    return only.reason


@pytest.mark.parametrize("name", sorted(OUTER))
def test_golden_frames_are_read_and_built_again(name: str) -> None:
    raw = OUTER[name]
    frame = read(raw)
    assert frame.raw == raw
    assert encode_frame(frame) == raw
    assert str(frame.address) == "0200-1234"


def test_the_parts_of_the_captures() -> None:
    login = read(OUTER["c01"])
    assert (login.afn, login.from_terminal, login.starter, login.function) == (2, True, True, 9)
    assert login.sequence == Sequence(1, confirm=True)
    assert login.body == bytes.fromhex("00000100")
    confirmed = read(OUTER["c02"])
    assert (confirmed.from_terminal, confirmed.starter, confirmed.function) == (False, False, 11)
    waits = read(OUTER["c04"])
    assert waits.flag
    assert waits.events == (17, 0)
    assert waits.time_tag == TimeTag(0, "07 13:52:27", 5)
    assert waits.address.master == 2
    forward = read(OUTER["c05"])
    assert forward.password
    assert forward.time_tag == TimeTag(0, "21 23:51:13", 5)
    assert forward.body[10:].hex() == "6861100130121568110433333433" + "7b16"
    answer = read(OUTER["c06"])
    assert (answer.password, answer.events, answer.body[4]) == (False, (0x4F, 0), 31)
    assert read(OUTER["c07"]).password


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (OUTER["c01"][:-2] + b"\x84\x16", "checksum"),
        (OUTER["c01"][:-1] + b"\x17", "end"),
        (OUTER["c01"][:3] + b"\x36" + OUTER["c01"][4:], "length"),
        (wire(LOGIN, protocol=1), "length"),
        (wire("C9 00 02 34 12 00 02"), "length"),
        (wire("4B 00 02 34 12 00 10 60 00 00 01 00"), "length"),  # no room for PW
        (wire("C9 00 0A 34 12 00 02 71 00 00 01 00"), "address"),
        (OUTER["c01"][:12], "incomplete"),
        (OUTER["c01"][:4], "incomplete"),
        (b"\x68\x32\x00\x32\x00\x00\x00", "noise"),
        (b"\x00\x01", "noise"),
    ],
)
def test_what_is_no_frame_says_why(raw: bytes, why: str) -> None:
    assert reason(raw) == why


def test_a_longer_frame_than_allowed_is_skipped() -> None:
    reader = FrameReader(max_user_bytes=11)
    found = reader.feed(OUTER["c01"]) + reader.finish()
    assert [each.raw for each in found] == [OUTER["c01"]]
    assert isinstance(found[0], Skipped)
    assert found[0].reason == "length"


def test_a_good_frame_inside_a_longer_candidate_is_found() -> None:
    broken = b"\x68\xfe\x00\xfe\x00\x68" + OUTER["c01"]
    reader = FrameReader()
    assert reader.feed(broken) == []
    assert reader.pending == len(broken)
    found = reader.finish()
    assert [type(each) for each in found] == [Skipped, Frame]
    assert found[1].raw == OUTER["c01"]


@given(
    st.lists(
        st.one_of(st.sampled_from(sorted(OUTER.values())), st.binary(max_size=12)), max_size=6
    ),
    st.lists(st.integers(1, 40), min_size=1, max_size=30),
)
def test_no_byte_is_lost_however_the_stream_is_cut(pieces: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(pieces)
    reader, found, place = FrameReader(), [], 0
    for size in cuts:
        found += reader.feed(stream[place : place + size])
        place += size
    found += reader.feed(stream[place:]) + reader.finish()
    assert b"".join(each.raw for each in found) == stream
    assert reader.pending == 0
    whole = FrameReader()
    frames = [each for each in whole.feed(stream) + whole.finish() if isinstance(each, Frame)]
    assert [each for each in found if isinstance(each, Frame)] == frames


def test_no_mutant_with_a_wrong_checksum_is_accepted() -> None:
    rng = random.Random(376)
    bases = sorted(OUTER.values())
    accepted = 0
    for number in range(MUTANTS):
        mutant = mutate(rng, bases[number % len(bases)])
        reader = FrameReader()
        found = reader.feed(mutant) + reader.finish()
        assert b"".join(each.raw for each in found) == mutant
        for each in found:
            if isinstance(each, Frame):
                user = each.raw[6:-2]
                assert wire(user) == each.raw
                accepted += 1
    assert 0 < accepted < MUTANTS


ADDRESSES = st.builds(
    Address,
    st.integers(0, 9999).map("{:04d}".format),
    st.integers(1, 0xFFFE),
    st.integers(0, 127),
)


@given(
    ADDRESSES,
    st.sampled_from([0, 2, 4, 5, 10, 12, 13, 14, 16]),
    st.builds(Sequence, st.integers(0, 15), st.booleans(), st.booleans(), st.booleans()),
    st.binary(max_size=300),
    st.integers(0, 15),
    st.booleans(),
    st.none() | st.tuples(st.integers(0, 255), st.integers(0, 255)),
    st.booleans(),
)
def test_what_is_built_is_read_again(
    address: Address,
    afn: int,
    sequence: Sequence,
    body: bytes,
    function: int,
    from_terminal: bool,
    events: tuple[int, int] | None,
    timed: bool,
) -> None:
    if not from_terminal:
        events = None
    frame = Frame(
        address=address,
        afn=afn,
        sequence=sequence,
        body=body,
        function=function,
        from_terminal=from_terminal,
        flag=events is not None,
        events=events,
        time_tag=TimeTag(7, "28 23:59:01", 3) if timed else None,
        password=not from_terminal and afn in (4, 5, 16),
    )
    assert read(encode_frame(frame, b"\x05" * 16)) == frame


def test_the_password_is_not_kept_in_a_frame() -> None:
    forward = read(OUTER["c05"])
    raw = encode_frame(forward, b"0123456789abcdef")
    again = read(raw)
    assert again == forward
    assert b"0123456789abcdef" not in again.body
    assert "0123456789abcdef" not in repr(again)


def test_what_cannot_be_built_is_named() -> None:
    forward = read(OUTER["c05"])
    group = replace(forward, address=Address("0200", 0x1234, group=True))
    everybody = replace(forward, address=Address("0200", 0xFFFF))
    for wrong in (group, everybody):
        with pytest.raises(BadInput, match="more than one terminal"):
            encode_frame(wrong)
    with pytest.raises(BadInput, match="password"):
        encode_frame(forward, b"short")
    with pytest.raises(BadInput, match="EC goes with ACD"):
        encode_frame(replace(forward, events=(1, 2)))
    with pytest.raises(BadInput, match="16384 bytes"):
        encode_frame(replace(read(OUTER["c02"]), body=bytes(16_376)))
    with pytest.raises(BadInput, match="time tag"):
        encode_frame(replace(forward, time_tag=TimeTag(0, "0a 13:52:27", 5)))


@pytest.mark.parametrize(
    "text", ["0200", "0200-12", "02A0-1234", "020-1234", "0200-12G4", "", "0200_1234"]
)
def test_a_wrong_address_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="address"):
        parse_address(text)


def test_addresses() -> None:
    assert parse_address(" 0200-12aF ") == Address("0200", 0x12AF)
    assert Address("0200", 0x12AF, 5, group=True).encode().hex() == "0002af120b"
    assert not Address("0200", 0).names_one
    with pytest.raises(BadInput):
        Address("0200", 65536)
    with pytest.raises(BadInput):
        Address("0200", 1, 128)
