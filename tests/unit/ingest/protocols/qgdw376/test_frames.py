"""The outer frame: captures both ways, what is refused, streams that are cut and damaged."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.ingest.protocols.framing import Skipped
from services.ingest.protocols.qgdw376.frame import (
    WITH_PASSWORD,
    Address,
    Frame,
    FrameReader,
    Sequence,
    TimeTag,
    decode_time_tag,
    encode_frame,
    encode_time_tag,
    parse_address,
)
from services.ingest.protocols.qgdw376.requests import acknowledgement, link_frame
from tests.unit.ingest.protocols.mutants import mutate
from tests.unit.ingest.protocols.qgdw376.captures import CAPTURES, downlink, read_one, uplink, wire

TERMINAL = Address("0200", 0x1234)


@pytest.mark.parametrize("name", CAPTURES)
def test_captures_are_read_and_rebuilt_byte_for_byte(name: str) -> None:
    frame = read_one(CAPTURES[name])
    assert str(frame.address) == "0200-1234"
    assert encode_frame(frame) == CAPTURES[name] == frame.raw


def test_what_the_captures_say() -> None:
    c04, c05 = read_one(CAPTURES["c04"]), read_one(CAPTURES["c05"])
    assert (c04.afn, c04.from_terminal, c04.starter, c04.flag, c04.function) == (
        0,
        True,
        False,
        1,
        0,
    )
    assert c04.events == (0x11, 0)
    assert c04.time_tag == TimeTag(0, "07 13:52:27", 5)
    assert c04.body == bytes.fromhex("00000100")
    assert (c05.afn, c05.password, c05.function, c05.address.master) == (0x10, True, 11, 2)
    assert c05.time_tag == TimeTag(0, "21 23:51:13", 5)
    assert len(c05.body) == 4 + 6 + 16


def test_login_and_its_acknowledgement_are_built_as_captured() -> None:
    login = link_frame(TERMINAL, 1, 1)
    assert encode_frame(login) == CAPTURES["c01"]
    assert encode_frame(link_frame(TERMINAL, 3, 1)) == CAPTURES["c03"]
    assert encode_frame(acknowledgement(login)) == CAPTURES["c02"]


def test_addresses() -> None:
    assert parse_address(" 0200-12ab ", 3) == Address("0200", 0x12AB, 3)
    assert str(Address("0200", 0x12AB)) == "0200-12AB"
    assert Address("0200", 0x1234, 2, group=True).encode().hex() == "0002341205"
    names_one = {0: False, 1: True, 0xFFFE: True, 0xFFFF: False}
    assert {n: Address("0200", n).names_one for n in names_one} == names_one
    assert not Address("0200", 1, group=True).names_one
    for text in ("0200", "0200-123", "0200-12G4", "02-1234", "0200-+123", "0200-1_23", "02a0-1234"):
        with pytest.raises(BadInput):
            parse_address(text)
    for terminal, master in ((0x10000, 0), (-1, 0), (1, 128), (1, -1)):
        with pytest.raises(BadInput, match="terminal"):
            Address("0200", terminal, master)


def _frame(afn: int, **more: object) -> Frame:
    base: dict[str, object] = {
        "address": TERMINAL,
        "afn": afn,
        "sequence": Sequence(0),
        "body": b"\0\0\1\0",
        "function": 11,
    }
    return Frame(**(base | more))  # type: ignore[arg-type]


def test_what_is_not_sent() -> None:
    with pytest.raises(BadInput, match="more than one terminal"):
        encode_frame(_frame(5, address=Address("0200", 0xFFFF)))
    with pytest.raises(BadInput, match="15 bytes"):
        encode_frame(_frame(5), bytes(15))
    for wrong in ({"events": (1, 2)}, {"from_terminal": True, "flag": True}):
        with pytest.raises(BadInput, match="EC goes with ACD"):
            encode_frame(_frame(0x0C, **wrong))
    assert len(encode_frame(_frame(0x0C, body=bytes(16_375)))) == 16_391
    with pytest.raises(BadInput, match="16384 bytes"):
        encode_frame(_frame(0x0C, body=bytes(16_376)))
    for sent in ("07 13:52", "0x 13:52:27"):
        with pytest.raises(BadInput, match="time tag"):
            encode_time_tag(TimeTag(0, sent, 5))


def test_a_password_stands_in_commands_only() -> None:
    secret = bytes(range(1, 17))
    assert secret in encode_frame(_frame(5), secret)
    assert secret not in encode_frame(_frame(0x0C), secret)
    assert not read_one(uplink(5, "00000100")).password


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (CAPTURES["c01"][:-2] + b"\x86\x16", "checksum"),
        (CAPTURES["c01"][:-1] + b"\x17", "end"),
        (CAPTURES["c01"][:3] + b"\x36" + CAPTURES["c01"][4:], "length"),
        (b"\x68\x31\x00\x31\x00" + CAPTURES["c01"][5:], "length"),  # protocol 1
        (wire(bytes(7)), "length"),
        (downlink(5, "00000100", "00" * 11), "length"),  # no room for PW
        (CAPTURES["c01"][:-3], "incomplete"),
        (CAPTURES["c01"][:4], "incomplete"),
        (b"\x01\x02", "noise"),
    ],
)
def test_what_is_no_frame(raw: bytes, reason: str) -> None:
    reader = FrameReader()
    found = reader.feed(raw) + reader.finish()
    assert all(isinstance(item, Skipped) for item in found)
    assert b"".join(item.raw for item in found) == raw
    assert found[0].reason == reason  # type: ignore[union-attr]
    assert reader.pending == 0


def test_area_digits_that_are_none() -> None:
    (found,) = FrameReader().feed(wire(bytes.fromhex("C9 0A02 3412 00 02 71 00000100")))
    assert found == Skipped(found.raw, "address")


def test_a_frame_inside_a_longer_candidate_is_found() -> None:
    inner = CAPTURES["c01"]
    raw = b"\x68\xfe\x00\xfe\x00\x68" + inner
    reader = FrameReader()
    assert reader.feed(raw) == []
    assert reader.pending == len(raw)
    assert reader.finish() == [Skipped(raw[:6], "incomplete"), read_one(inner)]


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    afn = draw(st.integers(0, 0x10))
    up = draw(st.booleans())
    flag = draw(st.booleans())
    byte = st.integers(0, 255)
    tag = st.builds(decode_time_tag, st.binary(min_size=6, max_size=6).filter(_has_digits))
    return Frame(
        address=Address(
            f"{draw(st.integers(0, 9999)):04}",
            draw(st.integers(1, 0xFFFE)),
            draw(st.integers(0, 127)),
        ),
        afn=afn,
        sequence=Sequence(draw(st.integers(0, 15)), *(draw(st.booleans()) for _ in range(3))),
        body=draw(st.binary(max_size=300)),
        function=draw(st.integers(0, 15)),
        from_terminal=up,
        starter=draw(st.booleans()),
        flag=flag,
        counted=draw(st.booleans()),
        events=draw(st.tuples(byte, byte)) if up and flag else None,
        time_tag=draw(st.none() | tag),
        password=not up and afn in WITH_PASSWORD,
    )


def _has_digits(raw: bytes) -> bool:
    return raw[1:5].hex().isdecimal()


@given(frames())
def test_every_frame_is_read_as_it_was_built(frame: Frame) -> None:
    assert read_one(encode_frame(frame)) == frame


@given(st.lists(frames(), min_size=1, max_size=3), st.data())
def test_a_stream_may_be_cut_anywhere(sent: list[Frame], data: st.DataObject) -> None:
    stream = b"".join(encode_frame(frame) for frame in sent)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=6))
    places = [0, *sorted(cuts), len(stream)]
    reader = FrameReader()
    found: list[Frame | Skipped] = []
    for begin, end in pairwise(places):
        found += reader.feed(stream[begin:end])
    assert found == sent
    assert reader.pending == 0


def follows_the_rule(raw: bytes) -> bool:
    """The frame rule, computed here."""
    size = int.from_bytes(raw[1:3], "little") // 4
    return (
        (raw[0], raw[5], raw[-1], raw[1] & 3) == (0x68, 0x68, 0x16, 2)
        and raw[1:3] == raw[3:5]
        and len(raw) == size + 8
        and sum(raw[6:-2]) % 256 == raw[-2]
    )


def test_damaged_streams_lose_nothing_and_accept_nothing_wrong() -> None:
    rng = random.Random(376)
    accepted = refused = 0
    for _ in range(3000):
        sent = b"".join(mutate(rng, rng.choice(list(CAPTURES.values()))) for _ in range(2))
        whole = sent
        reader = FrameReader()
        found = []
        while sent_now := sent[: (size := rng.randint(1, 40))]:
            found += reader.feed(sent_now)
            sent = sent[size:]
        found += reader.finish()
        assert b"".join(item.raw for item in found) == whole
        for item in found:
            if isinstance(item, Frame):
                assert follows_the_rule(item.raw)
                accepted += 1
            else:
                refused += 1
    assert accepted > 100
    assert refused > 3000


@pytest.mark.parametrize("name", CAPTURES)
def test_one_changed_byte_is_never_accepted(name: str) -> None:
    sent = CAPTURES[name]
    for place in range(len(sent)):
        raw = bytearray(sent)
        raw[place] ^= 0x40
        reader = FrameReader()
        found = reader.feed(bytes(raw)) + reader.finish()
        assert b"".join(item.raw for item in found) == raw
        assert not any(isinstance(item, Frame) and len(item.raw) == len(sent) for item in found)
