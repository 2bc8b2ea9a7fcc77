"""Every byte explained: golden frames, both editions, any cut of the stream, no password told."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.protocols.catalogue import EXPLAINERS, open_explainer
from services.ingest.protocols.dlt645.address import MeterAddress
from services.ingest.protocols.dlt645.edition_2007 import explainer_2007
from services.ingest.protocols.dlt645.explaining import quantity_fields, value_text
from services.ingest.protocols.dlt645.frame import Frame, encode_frame
from services.ingest.protocols.dlt645.identifiers import di_bytes
from services.ingest.protocols.dlt645.load_records import encode_load_record
from services.ingest.protocols.dlt645.payloads import decode_payload
from services.ingest.protocols.dlt645.requests import (
    Credentials,
    load_record_extra,
    password_request,
    read_request,
    write_request,
)
from services.ingest.protocols.dlt645.values import Quantity, decode_stamp
from services.ingest.protocols.explanation import GAP_BYTES_MAX, Explained, Part, Unexplained
from tests.unit.ingest.protocols.mutants import check_explanation, same_bytes
from tests.unit.ingest.protocols.vectors import DOCUMENT, IN_SCOPE, raw, wire

METER = MeterAddress("000000000161")
OWN = {"DL/T 645-2007": "dlt645-2007", "DL/T 645-1997": "dlt645-1997"}


def explained(sent: bytes, protocol: str = "dlt645-2007") -> list[Explained | Unexplained]:
    explainer = open_explainer(protocol)
    return [*explainer.feed(sent), *explainer.end()]


def one(sent: bytes) -> Explained:
    (found,) = explained(sent)
    assert isinstance(found, Explained)
    return found


def answer(di: str, payload_hex: str, control: int = 0x91) -> Explained:
    return one(wire("000000000161", control, di_bytes(di) + bytes.fromhex(payload_hex)))


def named(found: Explained) -> dict[str, str]:
    """Value, or reason, of each part of DATA by name."""
    return {part.name: part.value or part.reason for part in found.parts[5:-2]}


@pytest.mark.parametrize("row", DOCUMENT["frames"], ids=lambda row: row["id"])
def test_golden_frames_are_cut_into_parts_without_gap(row: dict[str, str]) -> None:
    sent = bytes.fromhex(row["hex"])
    found = explained(sent, OWN[row["protocol"]])
    assert same_bytes("".join(item.raw_hex for item in found), sent)
    frame = found[-1]
    assert isinstance(frame, Explained)
    assert frame.fields["address"] == row["address"]
    assert frame.fields["control"] == row["control"]
    assert frame.fields["direction"] == ("answer" if row["direction"] == "response" else "request")
    assert frame.fields.get("di") == row["di"]
    assert all(part.reason != "unknown" for part in frame.parts)
    place = 0
    for part in frame.parts:
        assert part.offset == place
        place += len(part.raw_hex) // 2
    assert place == len(frame.raw_hex) // 2


VALUES = [row for row in IN_SCOPE if row["direction"] == "response" and row["di"]]


@pytest.mark.parametrize("row", VALUES, ids=lambda row: row["id"])
def test_what_is_shown_is_what_the_services_decode(row: dict[str, str]) -> None:
    payload = bytes.fromhex(row["decoded_payload_hex"])[4:]
    quantities = decode_payload(row["di"], payload)
    frame = explained(bytes.fromhex(row["hex"]))[-1]
    assert isinstance(frame, Explained)
    assert frame.fields["values"] == [quantity_fields(quantity) for quantity in quantities]
    shown = [part for part in frame.parts if part.obis]
    assert [part.value for part in shown] == [value_text(quantity) for quantity in quantities]


def test_a_golden_answer_in_full() -> None:
    found = one(raw("f02"))
    assert found.summary == (
        "meter 000000000161 answers: read 00010000: import active energy 260 Wh"
    )
    assert found.parts == (
        Part(offset=0, raw_hex="68", name="start"),
        Part(offset=1, raw_hex="610100000000", name="address", value="000000000161"),
        Part(offset=7, raw_hex="68", name="start"),
        Part(offset=8, raw_hex="91", name="control", value="read, answer"),
        Part(offset=9, raw_hex="08", name="length of data", value="8", unit="bytes"),
        Part(offset=10, raw_hex="33333433", name="identifier", value="00010000"),
        Part(
            offset=14,
            raw_hex="59333333",
            name="import active energy",
            value="260",
            unit="Wh",
            obis="1-0:1.8.0",
        ),
        Part(offset=18, raw_hex="8a", name="checksum"),
        Part(offset=19, raw_hex="16", name="end"),
    )


def test_a_relay_command_shows_its_expiry_and_hides_its_password() -> None:
    found = one(raw("f48"))
    assert found.raw_hex == "68611001301215681c1035xxxxxx343333334d333333336345ccxx16"
    assert found.summary == (
        "to 151230011061: relay control: command trip, valid until 2099-12-29T16:00:00Z"
    )
    assert named(found) == {
        "level": "02",
        "password": "secret",
        "operator": "00000001",
        "command": "trip",
        "reserved": "00",
        "valid until": "2099-12-29T16:00:00Z",
    }
    assert found.fields["command"] == "trip"


def test_a_refusal_names_its_bits() -> None:
    found = one(raw("f61"))
    assert found.summary == "meter 123456789012 refuses: read: no_such_data"
    assert found.fields["errors"] == ["no_such_data"]
    empty = one(wire("000000000161", 0xD1, b""))
    assert empty.fields["errors"] == []


@pytest.mark.parametrize(
    ("control", "data_hex", "texts"),
    [
        (0x08, "000016310126", {"time": "2026-01-31T08:00:00Z"}),
        (0x08, "000016320126", {"time": "260132160000"}),
        (0x12, "0000010003", {"identifier": "00010000", "sequence number": "3"}),
        (0x92, "0000010011223303", {"data": "part_of_a_longer_answer", "sequence number": "3"}),
        (0x92, "0000010003", {"identifier": "00010000", "sequence number": "3"}),
        (0x93, "610100000000", {"communication address": "000000000161"}),
        (0x15, "620100000000", {"new address": "000000000162"}),
        (0x16, "99999999", {"freeze time": "99-99 99:99"}),
        (0x17, "20", {"baud rate": "9600"}),
        (0x97, "20", {"baud rate": "9600"}),
        (0x98, "02000000", {"new password": "secret"}),
        (0x98, "", {}),
        (0x19, "0256341278563412", {"level": "02", "password": "secret", "operator": "12345678"}),
        (0x1B, "0256341278563412ffffffff", {"level": "02", "events": "FFFFFFFF"}),
        (0x1D, "01", {"output": "demand_period"}),
        (0x9D, "02", {"output": "slot_switching"}),
        (0x1C, "0256", {"data": "secret"}),
        (0x1F, "00", {"data": "unknown"}),
        (0x94, "", {}),
        (0x91, "0000010011", {"identifier": "00010000", "data": "unknown"}),
        (0xB1, "0000010011", {"identifier": "00010000", "data": "part_of_a_longer_answer"}),
        (0x91, "ffffff0f11", {"identifier": "0FFFFFFF", "data": "unknown"}),
        (0x91, "0000", {"data": "unknown"}),
        (0x11, "0100010600", {"identifier": "06010001", "records wanted": "1"}),
        (0x11, "010001060000", {"identifier": "06010001", "data": "unknown"}),
        (0x11, "01000106030010310126", {"from": "2026-01-31T02:00:00Z", "records wanted": "3"}),
        (0x11, "01000106030010320126", {"from": "bad_time"}),
    ],
)
def test_every_control_code_is_told(control: int, data_hex: str, texts: dict[str, str]) -> None:
    found = named(one(wire("000000000161", control, bytes.fromhex(data_hex))))
    assert found | texts == found
    assert texts or not found


def test_password_writes_and_changes_hide_both_passwords() -> None:
    old, new = Credentials(password="123456"), Credentials(level="04", password="654321")
    for frame in (
        password_request(METER, old, new),
        write_request(METER, "04000C05", old, bytes.fromhex("04214365")),
        Frame(str(METER), 0x91, di_bytes("04000C05") + bytes.fromhex("04214365")),
    ):
        sent = encode_frame(frame)
        shown = repr(one(sent))
        for text in (old.encode()[1:4], new.encode()[1:4]):
            assert bytes((byte + 0x33) % 256 for byte in text).hex() not in shown
            assert text.hex() not in shown
            assert text[::-1].hex() not in shown


def test_a_write_shows_the_value_it_sets() -> None:
    found = one(encode_frame(write_request(METER, "04000103", Credentials(), b"\x15")))
    assert found.summary == "to 000000000161: write 04000103: demand period 15 min"


def test_values_without_a_number_say_why() -> None:
    assert named(answer("00010000", "00000e00"))["import active energy"] == "non_bcd"
    assert named(answer("00010000", "ffffffff"))["import active energy"] == "no_value"
    found = answer("0001FF00", "10000000" * 5)
    assert found.summary.endswith("import active energy 100 Wh; and 2 more")


def test_status_words_and_demands() -> None:
    assert named(answer("04000503", "5000"))["status word 3"] == "relay_open,relay_command_open"
    assert named(answer("04000503", "0000"))["status word 3"] == "0"
    demand = named(answer("01010000", "5634121518310126"))["import maximum demand"]
    assert demand == "12345.6 at 2026-01-31T10:15:00Z"


def test_a_load_profile_record_byte_by_byte() -> None:
    civil = decode_stamp(bytes.fromhex("0010310126"))
    assert not hasattr(civil, "reason")
    classes = {3: bytes.fromhex("0010") * 4, 4: bytes(16)}
    whole = encode_load_record(civil, classes, 0)  # type: ignore[arg-type]
    found = answer("06000001", whole.hex())
    names = [part.name for part in found.parts[6:-2]]
    assert names[:3] == ["record", "length of record", "time"]
    assert names[3:6] == ["end of class", "end of class", "power factor"]
    assert names[-4:] == ["end of class", "end of class", "sum of record", "end of record"]
    assert names.count("end of class") == 6
    one_class = encode_load_record(civil, classes, 4)  # type: ignore[arg-type]
    found = answer("06040001", one_class.hex())
    assert [part.value for part in found.parts if part.obis] == ["0"] * 4
    wrong = b"\xe0\xe0" + whole[2:]
    assert named(answer("06000001", wrong.hex()))["record"] == "wrong by the meter itself"
    assert named(answer("06000001", "a0a0"))["data"] == "unknown"
    assert named(answer("06070001", "a0a0"))["data"] == "unknown"
    other = answer("06030001", whole.hex())
    assert "class 4" in named(other)


def test_a_load_profile_request() -> None:
    request = read_request("000000000161", "06040001", load_record_extra(2, None))
    assert named(one(encode_frame(request)))["records wanted"] == "2"


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        (Quantity(obis="", name="", unit="", scale=10, value=-2319), "-231.9"),
        (Quantity(obis="", name="", unit="", scale=1000, value=-1), "-0.001"),
        (Quantity(obis="", name="", unit="", scale=1, value=-10), "-10"),
        (Quantity(obis="", name="", unit="", scale=1, value=None, bad="non_bcd"), ""),
    ],
)
def test_exact_digits(quantity: Quantity, text: str) -> None:
    assert value_text(quantity) == text


def follow(control: int, payload_hex: str, seq: int) -> Frame:
    payload = bytes.fromhex(payload_hex)
    tail = bytes((seq,)) if control & 0x1F == 0x12 else b""
    return Frame("000000000161", control, di_bytes("0001FF00") + payload + tail)


@pytest.mark.parametrize(
    ("frames", "values"),
    [
        ([follow(0xB1, "100000", 0), follow(0x92, "0020000000", 1)], ["100", "200"]),
        (
            [
                follow(0xB1, "1000", 0),
                follow(0xB2, "0000", 1),
                follow(0xB2, "0000", 1),
                follow(0x92, "20000000", 2),
            ],
            ["100", "200"],
        ),
        ([follow(0xB1, "100000", 0), follow(0x92, "0020000000", 2)], []),
        ([follow(0x92, "20000000", 1)], []),
        ([follow(0xB1, "1000", 0), follow(0x91, "30000000", 0), follow(0x92, "0000", 1)], []),
        ([follow(0xB1, "100000", 0), follow(0x92, "00200000", 1)], []),
    ],
    ids=["two", "three, one repeated", "a gap", "no beginning", "begun again", "a wrong length"],
)
def test_the_last_frame_of_a_long_answer_tells_all_values(
    frames: list[Frame], values: list[str]
) -> None:
    found = explained(b"".join(map(encode_frame, frames)))
    last = found[-1]
    assert isinstance(last, Explained)
    told = last.fields.get("values", [])
    assert isinstance(told, list)
    assert [value["value"] for value in told] == values
    assert len(found) == len(frames)


def test_a_load_profile_over_two_frames() -> None:
    civil = decode_stamp(bytes.fromhex("0010310126"))
    whole = encode_load_record(civil, {4: bytes(16)}, 4)  # type: ignore[arg-type]
    head = di_bytes("06040001")
    first = Frame("000000000161", 0xB1, head + whole[:9])
    rest = Frame("000000000161", 0x92, head + whole[9:] + b"\x01")
    last = explained(encode_frame(first) + encode_frame(rest))[-1]
    assert isinstance(last, Explained)
    assert last.summary.endswith(
        "import active energy 0 Wh; export active energy 0 Wh; "
        "combined reactive energy 1 0 varh; and 1 more"
    )


def test_answers_that_never_end_are_given_up() -> None:
    explainer = explainer_2007()
    begun = [f"{number:012d}" for number in range(65)]
    for address in begun:
        first = Frame(address, 0xB1, di_bytes("00010000") + b"\x10\x00")
        list(explainer.feed(encode_frame(first)))
    for address, values in ((begun[0], False), (begun[1], True)):
        last = Frame(address, 0x92, di_bytes("00010000") + b"\x00\x00\x01")
        (found,) = explainer.feed(encode_frame(last))
        assert isinstance(found, Explained)
        assert ("values" in found.fields) is values


# -- streams --------------------------------------------------------------------------------------


def test_what_is_skipped_has_its_place_and_reason() -> None:
    broken = bytearray(raw("f01"))
    broken[-2] ^= 1
    found = explained(b"\x01\xfe\xfe" + raw("f02") + bytes(broken) + raw("f01") + b"\xfe\x68\x01")
    assert [
        (item.offset, item.reason if isinstance(item, Unexplained) else "frame") for item in found
    ] == [
        (0, "noise"),
        (1, "lead"),
        (3, "frame"),
        (23, "checksum"),
        (39, "frame"),
        (55, "incomplete"),
    ]


def test_a_long_gap_is_given_out_before_its_end() -> None:
    explainer = explainer_2007()
    noise = bytes(GAP_BYTES_MAX + 1)
    assert [item.raw_hex for item in explainer.feed(noise)] == [noise.hex()]
    (frame,) = explainer.feed(raw("f02"))
    assert frame.offset == len(noise)


CUTS = st.lists(st.integers(1, 30), max_size=40)
PIECES = st.lists(
    st.one_of(
        st.sampled_from([bytes.fromhex(row["hex"]) for row in DOCUMENT["frames"]]),
        st.binary(max_size=20),
        st.sampled_from([b"\xfe", b"\x68", b"\x16", b"\xfe\xfe\xfe\xfe"]),
    ),
    max_size=8,
)


@settings(deadline=None)
@given(PIECES, CUTS, st.sampled_from([*OWN.values()]))
def test_however_it_is_cut_the_same_is_found(
    pieces: list[bytes], cuts: list[int], protocol: str
) -> None:
    stream = b"".join(pieces)
    check_explanation(stream)
    explainer = open_explainer(protocol)
    found: list[Explained | Unexplained] = []
    place = 0
    for size in [*cuts, len(stream)]:
        found += explainer.feed(stream[place : place + size])
        place += size
    found += explainer.end()
    assert found == explained(stream, protocol)


def test_every_protocol_of_the_catalogue_explains_nothing_of_nothing() -> None:
    for name in OWN.values():
        assert name in EXPLAINERS
        assert explained(b"", name) == []
