"""Modbus packets explained: serial and TCP, cut anywhere, with noise between them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.ingest.protocols.explanation import Explained, Unexplained
from services.ingest.protocols.modbus_explanation import ModbusExplainer, make_explainer
from services.ingest.protocols.modbus_frames import crc16


def rtu(text: str) -> bytes:
    body = bytes.fromhex(text)
    return body + crc16(body).to_bytes(2, "little")


def tcp(text: str, transaction: int = 7) -> bytes:
    body = bytes.fromhex(text)
    return transaction.to_bytes(2, "big") + b"\0\0" + len(body).to_bytes(2, "big") + body


def explain(
    data: bytes, cut: int = 0, explainer: ModbusExplainer | None = None
) -> list[Explained | Unexplained]:
    found = explainer or make_explainer("modbus_sdm630")
    pieces = [data[n : n + cut] for n in range(0, len(data), cut)] if cut else [data]
    answer = [each for piece in pieces for each in found.feed(piece)] + list(found.end())
    check(data, answer)
    return answer


def check(data: bytes, found: list[Explained | Unexplained]) -> None:
    """Nothing is dropped: neither a byte of the stream nor a byte of a frame."""
    place = 0
    for each in found:
        assert each.offset == place
        place += len(each.raw_hex) // 2
        if isinstance(each, Explained):
            offsets = [part.offset for part in each.parts]
            assert offsets == sorted(offsets)
            assert "".join(part.raw_hex for part in each.parts) == each.raw_hex
    assert "".join(each.raw_hex for each in found) == data.hex()


def one(data: bytes) -> Explained:
    (found,) = explain(data)
    assert isinstance(found, Explained)
    return found


QUESTION, ANSWER = rtu("010400000004"), rtu("0104084366199943660000")


def test_the_published_crc() -> None:
    # Modbus over serial line 1.02, appendix B: 02 07 has the CRC 1241H, sent 41 12
    assert crc16(bytes.fromhex("0207")) == 0x1241
    assert rtu("010300000001").hex() == "010300000001840a"


def test_a_reply_gets_its_names_from_its_request() -> None:
    asked, answered = explain(QUESTION + ANSWER)
    assert isinstance(asked, Explained)
    assert isinstance(answered, Explained)
    assert asked.summary == "unit 1: read input registers 0000H, count 4"
    assert asked.fields["direction"] == "request"
    assert [(p.offset, p.name, p.value) for p in asked.parts] == [
        (0, "unit", "1"),
        (1, "function", "04H read input registers"),
        (2, "address", "0000H"),
        (4, "count", "4"),
        (6, "CRC, right", "C9F1H"),
    ]
    assert answered.summary == "unit 1: read input registers: 4 words from 0000H, 2 values"
    values = [(p.offset, p.name, p.value, p.unit, p.obis) for p in answered.parts[3:5]]
    assert values == [
        (3, "voltage L1", "230.1", "V", "1-0:32.7.0"),
        (7, "voltage L2", "230", "V", "1-0:52.7.0"),
    ]


def test_without_its_request_or_a_map_words_are_words() -> None:
    alone = one(ANSWER)
    assert "its request is not in the capture" in alone.summary
    names = [(p.name, p.value) for p in alone.parts[3:5]]
    assert names == [("word 1", "17254"), ("word 2", "6553")]
    plain = explain(QUESTION + ANSWER, explainer=make_explainer())[1]
    assert isinstance(plain, Explained)
    assert plain.parts[4].name == "register 0001H"
    other_function = explain(rtu("010300000004") + rtu("0103084366199943660000"))[1]
    assert isinstance(other_function, Explained)
    assert other_function.parts[3].name == "register 0000H"


def test_half_a_register_and_no_number() -> None:
    _, answered = explain(tcp("010400480003") + tcp("0104067fc000000000"))
    assert isinstance(answered, Explained)
    energy, half = answered.parts[6:]
    assert (energy.name, energy.value, energy.reason) == ("import active energy", "", "no_number")
    assert (half.name, half.value) == ("register 004AH", "0")
    assert answered.fields["framing"] == "tcp"


def test_a_reply_of_another_length_answers_no_question() -> None:
    _, answered = explain(rtu("010400000002") + ANSWER)
    assert isinstance(answered, Explained)
    assert answered.parts[3].name == "word 1"


def test_refusals_and_writes() -> None:
    _, refused = explain(tcp("010403e80002") + tcp("018402"))
    assert isinstance(refused, Explained)
    assert refused.summary == "unit 1: read input registers refused: illegal_address"
    assert refused.fields["exception"] == "illegal_address"
    sent, done = explain(rtu("010600010003") * 2)
    assert isinstance(sent, Explained)
    assert isinstance(done, Explained)
    assert sent.summary == "unit 1: write one register 0001H, value 3"
    assert done.summary == "unit 1: write one register 0001H done"
    many, done = explain(rtu("01100001000204000a0102") + rtu("011000010002"))
    assert isinstance(many, Explained)
    assert isinstance(done, Explained)
    assert many.parts[-2].value == "000a0102"
    assert done.fields == {
        "framing": "rtu",
        "unit": 1,
        "direction": "reply",
        "function": 16,
        "address": 1,
    }
    assert one(rtu("019077")).summary.endswith("exception_119")


def test_bits() -> None:
    _, answered = explain(tcp("010100000013") + tcp("010103cd6b05"))
    assert isinstance(answered, Explained)
    assert answered.parts[-1].value == "cd6b05"
    # five bytes are a question, unless they are as long as the answer to one
    asked, answered = explain(tcp("010200000018") + tcp("010203010203"))
    assert isinstance(asked, Explained)
    assert isinstance(answered, Explained)
    assert asked.fields["direction"] == "request"
    assert answered.fields["direction"] == "reply"
    again = explain(tcp("010200000018") + tcp("010200000018"))[1]
    assert isinstance(again, Explained)
    assert again.fields["direction"] == "request"


def test_a_second_question_is_no_answer() -> None:
    first, second = explain(QUESTION + QUESTION)
    assert isinstance(first, Explained)
    assert isinstance(second, Explained)
    assert first.summary == second.summary


@pytest.mark.parametrize(
    ("noise", "reasons"),
    [
        ("ffff", {"noise"}),
        ("0104000000040000", {"checksum"}),
        ("f8f10000000301090a", {"noise"}),  # MBAP, but function 9 is none
        ("018902", {"noise"}),
    ],
)
def test_noise_is_told_with_its_reason(noise: str, reasons: set[str]) -> None:
    found = explain(bytes.fromhex(noise) + QUESTION + ANSWER)
    assert {each.reason for each in found if isinstance(each, Unexplained)} == reasons
    assert sum(isinstance(each, Explained) for each in found) == 2


@pytest.mark.parametrize("cut", range(1, 12))
def test_what_is_incomplete_at_the_end(cut: int) -> None:
    whole = rtu("01100001000204000a0102")
    found = explain(QUESTION + whole[:cut])
    assert [type(each) for each in found] == [Explained, Unexplained]
    assert isinstance(found[1], Unexplained)
    assert found[1].reason in ("incomplete", "checksum")


CAPTURE = b"\xff\x00" + QUESTION + ANSWER + b"\x42" + tcp("010400480002") + tcp("010404449a5000")


@settings(deadline=None)
@given(st.integers(1, 60))
def test_cutting_the_stream_changes_no_frame(cut: int) -> None:
    whole = [each for each in explain(CAPTURE) if isinstance(each, Explained)]
    assert [each for each in explain(CAPTURE, cut) if isinstance(each, Explained)] == whole
    assert whole[-1].parts[-1].value == "1234500"


@settings(deadline=None)
@given(st.binary(max_size=400), st.integers(1, 50))
def test_any_bytes_are_accounted_for(data: bytes, cut: int) -> None:
    explain(data, cut)


@settings(deadline=None)
@given(st.integers(0, len(ANSWER) * 8 - 1))
def test_a_flipped_bit_is_never_a_serial_frame(bit: int) -> None:
    raw = bytearray(ANSWER)
    raw[bit // 8] ^= 1 << bit % 8
    assert not [each for each in explain(bytes(raw)) if isinstance(each, Explained)]


def test_there_is_no_such_map() -> None:
    with pytest.raises(BadInput, match="there is no register map 'modbus_x'"):
        make_explainer("modbus_x")
