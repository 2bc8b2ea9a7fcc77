"""ISO 8583 messages: the published ones by name, both ways, and garbage as one kind of error."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.payments.channels.iso8583_codec import (
    FIELDS,
    FRAME_BYTES_MAX,
    Frames,
    Iso8583Error,
    decode,
    encode,
    join_frame,
    split_frame,
)
from services.payments.channels.iso8583_mac import is_mac, mac
from services.payments.channels.response_codes import RESPONSE_CODES, cause_of_response
from tests.unit.payments.vectors import VECTORS

SIGN_ON = bytes.fromhex(VECTORS["pos-8583-signon-1"]["hex"])
SALE = bytes.fromhex(VECTORS["syn-pos-8583-sale-1"]["hex"])  # without its length


def test_published_sign_on() -> None:
    (content,) = Frames().feed(SIGN_ON)
    frame = split_frame(content)
    assert frame.tpdu.hex() == "6000060000"
    assert frame.header.hex() == "602200000000"
    message = decode(frame.message)
    assert message.mti == "0800"
    assert frame.message[2:10].hex().upper() == "0020000000C00012"
    assert message.fields == {
        11: "001247",
        41: "58D01115",
        42: "88758D048165555",
        60: "00000001003",
        63: "01",
    }
    assert encode(message.mti, message.fields) == frame.message
    assert join_frame(frame.tpdu, frame.header, frame.message) == SIGN_ON


def test_generated_sale() -> None:
    frame = split_frame(SALE)
    message = decode(frame.message)
    expected = VECTORS["syn-pos-8583-sale-1"]["expect"]
    assert message.mti == expected["t"]
    assert message.fields == {
        3: "000000",
        4: "000000012345",
        11: "000042",
        22: "0210",
        25: "00",
        41: "58D01115",
        42: "88758D048165555",
        60: "22000001000",
        64: "0011223344556677",
    }
    for number, value in message.fields.items():
        assert expected[str(number)].startswith(value)
    assert encode(message.mti, message.fields) == frame.message


def test_pieces_are_the_whole_message() -> None:
    message = decode(split_frame(SALE).message)
    at = 10
    for piece in message.pieces.values():
        assert piece.at == at
        at += len(piece.raw)
    assert at == len(split_frame(SALE).message)
    assert message.pieces[60].raw.hex() == "0011220000010000"  # 11 digits, padded on the right


def test_every_field_has_a_form() -> None:
    assert {kind.form for kind in FIELDS.values()} == {"bcd", "hex", "text", "binary"}
    assert all(kind.name and kind.name_zh for kind in FIELDS.values())


def _value(number: int) -> st.SearchStrategy[str]:
    kind = FIELDS[number]
    letters = {
        "bcd": "0123456789",
        "hex": "0123456789D",
        "text": "0123456789ABCxyz *",
        "binary": "0123456789ABCDEF",
    }[kind.form]
    size = kind.length * (2 if kind.form == "binary" else 1)
    if not kind.prefix:
        return st.text(letters, min_size=size, max_size=size)
    drawn = st.text(letters, max_size=min(size, 60))
    return drawn.filter(lambda text: len(text) % 2 == 0) if kind.form == "binary" else drawn


@settings(deadline=None)
@given(
    st.sampled_from(["0200", "0210", "0400", "0800", "0500"]),
    st.fixed_dictionaries({}, optional={number: _value(number) for number in FIELDS}),
)
def test_what_is_written_is_read(mti: str, fields: dict[int, str]) -> None:
    message = decode(encode(mti, fields))
    assert (message.mti, message.fields) == (mti, dict(sorted(fields.items())))


@settings(deadline=None)
@given(st.lists(st.binary(min_size=21, max_size=80), max_size=6), st.integers(1, 40))
def test_a_stream_is_cut_the_same_however_it_arrives(contents: list[bytes], step: int) -> None:
    stream = b"".join(len(content).to_bytes(2, "big") + content for content in contents)
    frames, found = Frames(), []
    for start in range(0, len(stream), step):
        found += frames.feed(stream[start : start + step])
    assert found == contents
    assert frames.rest == 0


@pytest.mark.parametrize("length", [0, 20, FRAME_BYTES_MAX + 1, 0xFFFF])
def test_a_length_that_is_none(length: int) -> None:
    frames = Frames()
    with pytest.raises(Iso8583Error, match=f"a length of {length} bytes is none"):
        frames.feed(length.to_bytes(2, "big") + b"x" * 50)
    assert frames.rest == 52


def test_good_frames_before_garbage_are_taken() -> None:
    frames = Frames()
    assert frames.feed(SIGN_ON + b"GET / HTTP/1.1\r\n") == [SIGN_ON[2:]]
    with pytest.raises(Iso8583Error, match=r"frame, byte 0: a length of 18245 bytes"):
        frames.feed(b"")


@pytest.mark.parametrize(
    ("raw", "field", "problem"),
    [
        (b"\x02\x00", 0, "2 bytes are too few for a message type and a bitmap"),
        (bytes.fromhex("0200" + "4" + "0" * 15), 2, "Field length is 0 bytes wide, expecting 1"),
        (bytes.fromhex("0200" + "8" + "0" * 15), 1, "is none of the fields known here"),
        (bytes.fromhex("0200" + "08" + "0" * 14), 5, "is none of the fields known here"),
        (bytes.fromhex("020A" + "0" * 16), 0, "the message type is no number"),
        (bytes.fromhex("0200" + "1" + "0" * 15 + "00000001234A"), 4, "something that is no digit"),
        (bytes.fromhex("0200" + "1" + "0" * 15 + "0000000123"), 4, "Field data is 10 nibbles"),
        (bytes.fromhex("0200" + "0" * 16 + "00"), 0, "Extra data after last field"),
    ],
)
def test_what_is_wrong_is_named(raw: bytes, field: int, problem: str) -> None:
    with pytest.raises(Iso8583Error, match=problem) as caught:
        decode(raw)
    assert caught.value.field == field


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(Iso8583Error, match="field 99, byte 0: is none of the fields known here"):
        encode("0200", {99: "1"})
    with pytest.raises(Iso8583Error, match="field 4") as caught:
        encode("0200", {4: "12345"})
    assert caught.value.field == 4
    with pytest.raises(Iso8583Error) as caught:
        encode("02", {})
    assert caught.value.field == 0


def test_too_short_for_a_frame() -> None:
    with pytest.raises(Iso8583Error, match="20 bytes are too few for TPDU, header and message"):
        split_frame(b"x" * 20)


def mutated(rng: random.Random, raw: bytes) -> bytes:
    """A message with bytes changed, cut off, doubled or put in."""
    found = bytearray(raw)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(found) + 1)
        match rng.randrange(4):
            case 0 if at < len(found):
                found[at] = rng.randrange(256)
            case 1:
                del found[at : at + rng.randint(1, 9)]
            case 2:
                found[at:at] = found[at : at + rng.randint(1, 9)]
            case _:
                found[at:at] = rng.randbytes(rng.randint(1, 9))
    return bytes(found)


def test_20000_mutated_messages_give_the_typed_error_only() -> None:
    rng = random.Random(8583)
    outcomes = {"message": 0, "error": 0}
    for number in range(20_000):
        raw = mutated(rng, split_frame((SIGN_ON[2:], SALE)[number % 2]).message)
        try:
            message = decode(raw)
        except Iso8583Error:
            outcomes["error"] += 1
        else:
            outcomes["message"] += 1
            assert decode(encode(message.mti, message.fields)).fields == message.fields
    assert outcomes["message"] > 500
    assert outcomes["error"] > 1000


def test_mac_of_a_published_example() -> None:
    """Key, sum and MAC as an implementer publishes them: blog.csdn.net, article 94665452.

    Steps there: digits 31323132 42303445 encrypted are 8B29461A844BA5EC, with the other digits
    BA1B742DBC7B9CAF, encrypted again 5FE058DB90680D33.
    """
    key = bytes.fromhex("55036372B17543ECB173730768B8D6C4")
    total = bytes.fromhex("1212B04E1227809C")
    assert mac(key, total) == b"5FE058DB"
    assert mac(key, total + bytes(8)) == b"5FE058DB"
    assert mac(key, bytes.fromhex("FF00") + bytes(6) + bytes.fromhex("ED12B04E1227809C")) == (
        b"5FE058DB"
    )
    assert is_mac(key, total, b"5FE058DB")
    assert not is_mac(key, total[:-1] + b"\x9d", b"5FE058DB")


def test_mac_of_short_key_and_odd_length() -> None:
    """A key of 8 bytes is 3DES under the same key twice; the last block is filled with zeros."""
    key = bytes.fromhex("C24A8FB57AA20123")
    covered = bytes.fromhex("0200302004C020C09811")
    assert mac(key, covered) == mac(key * 2, covered + bytes(6)) != mac(key, covered[:-1])


def test_causes_of_response_codes() -> None:
    assert cause_of_response("00") is None
    assert cause_of_response("51") == "insufficient_funds"
    assert cause_of_response("17") == "user_cancelled"
    assert cause_of_response("98") == "timeout_unknown"
    assert cause_of_response("zz") == "channel_declined"
    assert all(code.text and code.text_zh for code in RESPONSE_CODES.values())
