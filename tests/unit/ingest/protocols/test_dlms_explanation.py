"""DLMS/COSEM explained: wrapper and HDLC, with every byte told once and passwords hidden."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.cli.decode import json_line
from services.ingest.protocols.catalogue import open_explainer
from services.ingest.protocols.dlms_frames import crc16_x25, wrapped
from services.ingest.protocols.explanation import Explained, Unexplained

# Published: a client's SNRM and a meter's UA (control frames without an APDU)
SNRM = bytes.fromhex("7EA0070321930F017E")
UA = bytes.fromhex("7EA01E210373C37A8180120501800601800704000000010804000000 01533B7E")
ASKED = wrapped(bytes.fromhex("c001c100030100010800ff0200"), 16, 1)
TOLD = wrapped(bytes.fromhex("c401c10006000186a0"), 1, 16)


def explained(data: bytes, cut: int = 0) -> list[Explained | Unexplained]:
    explainer = open_explainer("dlms")
    pieces = [data[n : n + cut] for n in range(0, len(data), cut)] if cut else [data]
    found = [each for piece in pieces for each in explainer.feed(piece)] + list(explainer.end())
    place = 0
    for each in found:
        assert each.offset == place
        place += len(each.raw_hex) // 2
        if isinstance(each, Explained):
            assert "".join(part.raw_hex for part in each.parts) == each.raw_hex
            ends = [part.offset + len(part.raw_hex) // 2 for part in each.parts]
            assert [0, *ends[:-1]] == [part.offset for part in each.parts]
        json.loads(json_line(each))
    assert place == len(data)
    return found


def one(data: bytes) -> Explained:
    (found,) = explained(data)
    assert isinstance(found, Explained)
    return found


def values(found: Explained) -> list[tuple[str, str]]:
    return [(part.name, part.value) for part in found.parts if part.offset >= 8]


def test_the_published_check_of_hdlc() -> None:
    assert crc16_x25(b"123456789") == 0x906E
    found = one(SNRM)
    assert found.summary == "21 to 03: no APDU"
    assert [(part.name, part.value) for part in found.parts] == [
        ("flag", ""),
        ("format and length", "7"),
        ("destination", "03"),
        ("source", "21"),
        ("control", "93H"),
        ("FCS, right", ""),
        ("flag", ""),
    ]
    answer = one(UA)
    assert answer.fields == {"source": "03", "destination": "21"}
    assert [part.name for part in answer.parts[5:7]] == ["HCS, right", "information"]


def test_a_question_and_its_answer_in_wrappers() -> None:
    asked, told = explained(ASKED + TOLD)
    assert isinstance(asked, Explained)
    assert isinstance(told, Explained)
    assert asked.summary == "16 to 1: GET request, 1-0:1.8.0 attribute 2"
    assert (asked.fields["class"], asked.fields["obis"]) == (3, "1-0:1.8.0")
    assert told.summary == "1 to 16: GET response, normal: 100000"
    assert values(told) == [
        ("APDU", "GET response"),
        ("choice", "normal"),
        ("invoke number and priority", "1"),
        ("result", "data"),
        ("integer of 4 bytes", "100000"),
    ]


def hdlc(apdu: bytes, control: int = 0x10) -> bytes:
    """An information frame of client 16 to server 1."""
    body = b"\xe6\xe6\x00" + apdu
    head = bytes((0xA0, 2 + 2 + 1 + 2 + len(body) + 2, 0x03, 0x21, control))
    head += crc16_x25(head).to_bytes(2, "little")
    return b"\x7e" + head + body + crc16_x25(head + body).to_bytes(2, "little") + b"\x7e"


def test_an_information_frame_of_hdlc() -> None:
    found = one(hdlc(bytes.fromhex("c001c100080000010000ff0200")))
    assert found.summary == "21 to 03: GET request, 0-0:1.0.0 attribute 2"
    assert [part.name for part in found.parts[4:8]] == ["control", "HCS, right", "LLC", "APDU"]
    frames = pytest.importorskip("dlms_cosem.hdlc.frames")
    address = pytest.importorskip("dlms_cosem.hdlc.address")
    server = address.HdlcAddress(logical_address=1, physical_address=None, address_type="server")
    client = address.HdlcAddress(logical_address=16, physical_address=None, address_type="client")
    snrm = frames.SetNormalResponseModeFrame(destination_address=server, source_address=client)
    assert snrm.to_bytes() == SNRM


def test_broken_hdlc_frames_have_a_reason() -> None:
    good = hdlc(b"\xc0\x01")
    for place, reason in ((-2, "checksum"), (-1, "end"), (2, "length")):
        broken = bytearray(good)
        broken[place] = 0x03 if place == 2 else broken[place] ^ 1
        (found,) = explained(bytes(broken))
        assert isinstance(found, Unexplained)
        assert found.reason == reason
    head = bytearray(good[1:-3])
    head[6] ^= 1  # the check of the header, sealed again by that of the frame
    sealed = b"\x7e" + bytes(head) + crc16_x25(bytes(head)).to_bytes(2, "little") + b"\x7e"
    assert [each.reason for each in explained(sealed) if isinstance(each, Unexplained)] == [
        "checksum"
    ]
    body = bytes.fromhex("a007022293")  # no address ends
    addressless = b"\x7e" + body + crc16_x25(body).to_bytes(2, "little") + b"\x7e"
    assert [each.reason for each in explained(addressless)] == ["address"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("apdu", "told"),
    [
        ("c401c10104", [("result", "refused"), ("why", "object undefined")]),
        ("c401c10163", [("result", "refused"), ("why", "result 99")]),
        ("c401c10000", [("result", "data"), ("nothing", "")]),
        ("c401c1000a03414243", [("result", "data"), ("text", "ABC")]),
        ("c401c1000902aabb", [("result", "data"), ("octets", "aabb")]),
        ("c401c100098102aabb", [("result", "data"), ("octets", "aabb")]),
        ("c401c1001743661999", [("result", "data"), ("float of 4 bytes", "230.1")]),
        ("c401c100177fc00000", [("result", "data"), ("float of 4 bytes", "")]),
        ("c401c1000ffe", [("result", "data"), ("integer of 1 bytes", "-2")]),
        ("c401c10002020f01161e", [
            ("result", "data"),
            ("structure", "2 elements"),
            ("integer of 1 bytes", "1"),
            ("enumeration", "30"),
        ]),
        ("c401c1000600", [("result", "data"), ("rest", "")]),
        ("c401c1000d00", [("result", "data"), ("rest", "")]),
        ("c401c100" + "0101" * 20, [
            ("result", "data"),
            *[("array", "1 elements")] * 8,
            ("rest", ""),
        ]),
        ("c402c1000000000100" + "0600", [
            ("last block", "no"),
            ("block", "1"),
            ("result", "data"),
            ("piece of a value", ""),
        ]),
        ("c002c100000002", [("block", "2")]),
        ("c503c100", [("rest", "")]),
    ],
)  # fmt: skip
def test_apdus(apdu: str, told: list[tuple[str, str]]) -> None:
    assert values(one(wrapped(bytes.fromhex(apdu), 1, 16)))[3:] == told


def test_writes_actions_and_others() -> None:
    written = one(wrapped(bytes.fromhex("c101c100080000010000ff0200110a"), 16, 1))
    assert written.summary == "16 to 1: SET request, 0-0:1.0.0 attribute 2: 10"
    action = one(wrapped(bytes.fromhex("c301c100460000600 30aff01010f00".replace(" ", "")), 16, 1))
    assert action.summary == "16 to 1: ACTION request, 0-0:96.3.10 attribute 1: 0"
    chosen = one(wrapped(bytes.fromhex("c001c100070100630100ff02010202010600000001"), 16, 1))
    assert ("selector", "2") in values(chosen)
    error = one(wrapped(bytes.fromhex("d80101"), 1, 16))
    assert error.summary == "1 to 16: exception response"
    assert values(error)[-1] == ("rest", "")


def test_an_association_hides_its_password() -> None:
    password = "ac0a80083132333435363738"
    inner = "a109060760857405080101" + "8a020780" + "8b0760857405080201" + password
    inner += "be10040e01000000065f1f0400001010ffff"
    apdu = bytes.fromhex(f"60{len(inner) // 2:02x}{inner}")
    found = one(wrapped(apdu, 16, 1))
    shown = json_line(found)
    assert "3132333435363738" not in shown
    (hidden,) = [part for part in found.parts if part.reason == "secret"]
    assert (hidden.name, hidden.raw_hex) == ("calling authentication", "xx" * 10)
    assert "secret" not in found.fields
    assert [part.name for part in found.parts if part.value][-1] == "user information"


def test_frames_in_noise() -> None:
    noise = bytes.fromhex("ff00017e00017ea0")
    found = explained(noise + ASKED + b"\x01" + hdlc(b"\xc0\x01\xc1\x00") + noise[:2])
    assert [isinstance(each, Explained) for each in found] == [False, True, False, True, False]


@pytest.mark.parametrize("cut", [1, 3, 7, 64])
def test_a_stream_may_be_cut_anywhere(cut: int) -> None:
    stream = SNRM + ASKED + TOLD + UA + hdlc(b"\xc0\x01\xc1\x00") + b"\x00\x01\x00"
    assert explained(stream, cut) == explained(stream)


@pytest.mark.parametrize(
    ("value", "name", "told"),
    [
        ("0301", "boolean", "01"),
        ("1b10000000", "time", "10000000"),
        ("1a07ea020104", "date", "07ea020104"),
        ("1907ea02010410000000fe2000", "date-time", "07ea02010410000000fe2000"),
    ],
)
def test_types_of_one_size_are_told_with_their_bytes(value: str, name: str, told: str) -> None:
    (found,) = explained(wrapped(bytes.fromhex(f"c401c100{value}"), 1, 16))
    assert isinstance(found, Explained)
    assert [part.value for part in found.parts if part.name == name] == [told]


def mutants() -> Iterator[st.SearchStrategy[bytes]]:
    yield st.binary(max_size=60).map(lambda raw: wrapped(b"\xc4\x01\xc1" + raw, 1, 16))
    yield st.binary(max_size=60).map(lambda raw: wrapped(b"\x60" + bytes((len(raw),)) + raw, 16, 1))
    yield st.binary(max_size=60).map(lambda raw: hdlc(b"\xc1\x01\xc1" + raw))
    yield st.binary(max_size=60)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(*mutants()), max_size=4), st.integers(0, 5))
def test_whatever_comes_is_told_once(pieces: list[bytes], cut: int) -> None:
    stream = b"".join(pieces)
    assert explained(stream, cut) == explained(stream)
