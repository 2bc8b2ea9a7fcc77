"""DL/T 645-1997: golden frames, the map to 2007, requests and replies, explanation."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.address import MeterAddress
from services.ingest.protocols.dlt645.edition_1997 import (
    ROWS,
    check_di,
    decode_payload_1997,
    di_2007_of,
    explainer_1997,
    follow_up_request_1997,
    layout_of_1997,
    parse_reply_1997,
    read_request_1997,
    time_sync_request_1997,
    write_request_1997,
)
from services.ingest.protocols.dlt645.frame import BROADCAST, Frame, encode_frame
from services.ingest.protocols.dlt645.identifiers import item_size
from services.ingest.protocols.dlt645.payloads import decode_payload
from services.ingest.protocols.dlt645.replies import Reply
from services.ingest.protocols.dlt645.requests import Credentials
from services.ingest.protocols.explanation import Explained
from services.ingest.protocols.failures import BadReply
from tests.unit.ingest.protocols.vectors import raw

METER = MeterAddress("000000000003")
ASKED = read_request_1997("000000000003", "B611")


def explained(frame: Frame) -> Explained:
    (found,) = explainer_1997().feed(encode_frame(frame))
    assert isinstance(found, Explained)
    return found


def test_the_golden_request() -> None:
    assert encode_frame(ASKED) == raw("f64")
    (found,) = explainer_1997().feed(raw("f64"))
    assert isinstance(found, Explained)
    assert found.summary == "to 000000000003: read B611"
    assert found.fields["di_2007"] == "02010100"


def test_the_voltage_of_the_manual_is_whole_volts() -> None:
    answer = Frame("000000000003", 0x81, bytes.fromhex("11b62002"))
    reply = parse_reply_1997(ASKED, answer)
    (voltage,) = decode_payload_1997("B611", reply.payload)
    assert (voltage.obis, voltage.value, voltage.scale, voltage.unit) == ("1-0:32.7.0", 220, 1, "V")
    assert explained(answer).summary.endswith("read B611: voltage L1 220 V")


@pytest.mark.parametrize(
    ("di", "same"),
    [
        ("9010", "00010000"),
        ("9014", "00010400"),
        ("9410", "00010001"),
        ("9820", "00020002"),
        ("9130", "00050000"),
        ("9140", "00080000"),
        ("9550", "00060001"),
        ("A011", "01010100"),
        ("B630", "02030000"),
        ("C010", "04000101"),
        ("D113", "04000503"),
        ("D120", "1E000101"),
        ("9210", "05060101"),
        ("B010", ""),
        ("FFFF", ""),
    ],
)
def test_the_map_to_2007(di: str, same: str) -> None:
    assert di_2007_of(di) == same


@settings(deadline=None)
@given(
    st.sampled_from(["901", "902", "913", "914", "941"]),
    st.integers(0, 4),
    st.binary(min_size=4, max_size=4),
)
def test_energies_are_what_2007_makes_of_the_same_bytes(
    family: str, rate: int, payload: bytes
) -> None:
    di = f"{family}{rate}"
    assert decode_payload_1997(di, payload) == decode_payload(di_2007_of(di), payload)


@pytest.mark.parametrize(
    ("di", "payload_hex", "expected"),
    [
        ("9110", "10000000", [("1-0:3.8.0", 100, "")]),
        ("901F", "1000000020000000", [("1-0:1.8.0", 100, ""), ("1-0:1.8.1", 200, "")]),
        ("941F", "10000000", [("1-0:1.8.0*01", 100, "")]),
        ("A010", "563412", [("1-0:1.6.0", 123456, "")]),
        ("A410", "563412", [("1-0:1.6.0*01", 123456, "")]),
        ("B010", "15103101", [("0-0:128.176.10", None, "01-31 10:15")]),
        ("B621", "3412", [("1-0:31.7.0", 1234, "")]),
        ("B630", "563412", [("1-0:16.7.0", 123456, "")]),
        ("B640", "3412", [("1-0:131.7.0", 12340, "")]),
        ("B650", "0110", [("1-0:13.7.0", 1001, "")]),
        ("C011", "080910", [("0-0:0.9.1", None, "10:09:08")]),
        ("C020", "10", [("0-0:128.192.32", None, "10")]),
        ("C020", "1000", [("0-0:96.5.1", 16, "active_reverse")]),
        ("C02F", "1000" * 7, [("0-0:96.5.1", 16, "active_reverse")]),
        ("C02F", "1020", [("0-0:128.192.32", None, "10"), ("0-0:128.192.33", None, "20")]),
        ("C32F", "010101", [("0-0:128.101.0", None, "01-01=01")]),
        ("C331", "010008", [("0-0:128.101.1", None, "08:00=01")]),
        (
            "C33F",
            "010008020014",
            [("0-0:128.101.1", None, "08:00=01"), ("0-0:128.101.1*02", None, "14:00=02")],
        ),
        ("B611", "ffff", [("1-0:32.7.0", None, "")]),
    ],
)
def test_values(di: str, payload_hex: str, expected: list[tuple[str, int | None, str]]) -> None:
    found = decode_payload_1997(di, bytes.fromhex(payload_hex))
    shown = [(quantity.obis, quantity.value, quantity.text) for quantity in found]
    assert shown[: len(expected)] == expected
    assert found[0].bad == ("no_value" if payload_hex == "ffff" else "")


def test_what_is_no_identifier_or_no_length() -> None:
    with pytest.raises(BadInput, match="4 hex digits"):
        check_di("00010000")
    with pytest.raises(BadInput, match="is not in the table"):
        decode_payload_1997("EEEE", b"")
    with pytest.raises(BadInput, match="is not in the table"):
        decode_payload_1997("EEEF", b"")
    for di, size in (("9010", 3), ("901F", 6), ("901F", 0)):
        with pytest.raises(BadReply, match="never has"):
            decode_payload_1997(di, bytes(size))


def test_every_row_is_read() -> None:
    filled = str.maketrans({"R": "1", "M": "0", "N": "1"})
    for row in ROWS:
        di = row.pattern.translate(filled)
        if row.pattern.startswith("C3") and row.pattern.endswith("E"):
            di = di[:3] + "1"
        sizes = [size for size in range(1, 7) if layout_of_1997(di, size)]
        assert sizes, di
        for size in sizes:
            (item,) = layout_of_1997(di, size)
            assert item_size(item) == size
            assert item.name
            assert item.obis


# -- requests and replies -------------------------------------------------------------------------


def test_requests() -> None:
    assert read_request_1997("AAAAAAAAAAAA", "b611").data.hex() == "11b6"
    assert encode_frame(read_request_1997("AAAAAAAAAAAA", "B611"))[1:7] == b"\xaa" * 6
    follow = follow_up_request_1997("000000000003", "901F")
    assert (follow.control, follow.data.hex()) == (0x02, "1f90")
    plain = write_request_1997(METER, "C111", b"\x15")
    assert (plain.control, plain.data.hex()) == (0x04, "11c115")
    own = write_request_1997(METER, "C111", b"\x15", Credentials(level="00", password="123456"))
    assert own.data.hex() == "11c1" + "00563412" + "15"
    sync = time_sync_request_1997("2026-01-31T02:09:08Z", 480)
    assert sync == Frame(BROADCAST, 0x08, bytes.fromhex("080910310126"))


def test_a_write_to_many_meters_cannot_be_built() -> None:
    with pytest.raises(BadInput, match="more than one meter"):
        encode_frame(Frame(BROADCAST, 0x04, b"\x11\xc1\x15"))


@pytest.mark.parametrize(
    ("asked", "control", "data_hex", "reply"),
    [
        (ASKED, 0x81, "11b62002", Reply("000000000003", b"\x20\x02")),
        (ASKED, 0xA1, "11b62002", Reply("000000000003", b"\x20\x02", more=True)),
        (ASKED, 0xC1, "02", Reply("000000000003", refused=("no_such_data",))),
        (
            follow_up_request_1997("000000000003", "B611"),
            0x82,
            "11b62102",
            Reply("000000000003", b"\x21\x02"),
        ),
        (write_request_1997(METER, "C111", b"\x15"), 0x84, "", Reply("000000000003")),
        (
            write_request_1997(METER, "C111", b"\x15"),
            0xC4,
            "04",
            Reply("000000000003", refused=("not_authorised",)),
        ),
    ],
)
def test_replies(asked: Frame, control: int, data_hex: str, reply: Reply) -> None:
    frame = Frame("000000000003", control, bytes.fromhex(data_hex))
    assert parse_reply_1997(asked, frame) == reply


@pytest.mark.parametrize(
    ("asked", "frame"),
    [
        (ASKED, Frame("000000000004", 0x81, bytes.fromhex("11b62002"))),
        (ASKED, Frame("000000000003", 0x91, bytes.fromhex("11b62002"))),
        (ASKED, Frame("000000000003", 0x81, bytes.fromhex("12b62002"))),
        (ASKED, Frame("000000000003", 0xC1, b"")),
        (ASKED, Frame("000000000003", 0xC1, b"\x00")),
        (ASKED, Frame("000000000003", 0xC1, b"\x02\x02")),
        (write_request_1997(METER, "C111", b"\x15"), Frame("000000000003", 0x84, b"\x01")),
        (write_request_1997(METER, "C111", b"\x15"), Frame("000000000003", 0xA4, b"")),
    ],
)
def test_what_is_no_reply(asked: Frame, frame: Frame) -> None:
    with pytest.raises(BadReply):
        parse_reply_1997(asked, frame)


# -- explanation ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("control", "data_hex", "texts"),
    [
        (0x04, "11c115", {"demand period": "15"}),
        (0x04, "11c10056341215", {"password": "secret", "demand period": "15"}),
        (0x04, "11c1005634121516", {"data": "secret"}),
        (0x04, "eeee0056341215", {"data": "secret"}),
        (0x04, "11c1", {"identifier": "C111"}),
        (0x08, "080910310126", {"time": "2026-01-31T02:09:08Z"}),
        (0x08, "080910320126", {"time": "bad_time"}),
        (0x0F, "0056341200214365", {"data": "secret"}),
        (0x10, "00563412", {"data": "secret"}),
        (0xD0, "02", {"error word": "no_such_data"}),
        (0xC1, "", {}),
        (0x02, "1f90", {"identifier": "901F"}),
        (0x82, "1f9010000000", {"identifier": "901F", "data": "unknown"}),
        (0x81, "eeee10000000", {"identifier": "EEEE", "data": "unknown"}),
        (0x81, "11", {"data": "unknown"}),
        (0x0A, "620100000000", {"data": "unknown"}),
    ],
)
def test_every_frame_is_told(control: int, data_hex: str, texts: dict[str, str]) -> None:
    found = explained(Frame("000000000003", control, bytes.fromhex(data_hex)))
    shown = {part.name: part.value or part.reason for part in found.parts[5:-2]}
    assert shown | texts == shown
    assert texts or not shown
