"""DLMS/COSEM reads with APDUs built by hand (IEC 62056-5-3): exact values, blocks, refusals."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.ingest.protocols import dlms
from services.ingest.protocols.dlms import (
    DlmsReader,
    Float32,
    decode_data,
    obis_text,
    parse_obis,
    scaled,
)
from services.ingest.protocols.failures import BadReply

pytest.importorskip("dlms_cosem")
ENERGY, SCALER = "c001c100030100010800ff0200", "c001c100030100010800ff0300"
KWH = "c401c10002020f02161e"  # scaler 2, Wh


class Meter:
    """Answers by the request's hex."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers, self.asked = answers, list[str]()

    def __call__(self, request: bytes) -> bytes:
        self.asked.append(request.hex())
        return bytes.fromhex(self.answers[request.hex()])


def test_a_register_with_its_scaler() -> None:
    meter = Meter({ENERGY: "c401c10006000186a0", SCALER: KWH})
    found = DlmsReader(meter).register("1-0:1.8.0")
    assert (found.obis, found.value, found.scale, found.unit) == ("1-0:1.8.0", 10_000_000, 1, "Wh")
    assert meter.asked == [SCALER, ENERGY]


def test_a_value_in_blocks() -> None:
    following = "c002c100000001"
    meter = Meter(
        {ENERGY: "c402c100000000010003060001", following: "c402c1010000000200" + "0286a0"}
    )
    assert DlmsReader(meter).get(3, "1-0:1.8.0", 2).hex() == "06000186a0"
    assert meter.asked == [ENERGY, following]


def test_a_load_profile() -> None:
    name = "c001c100070100630100ff"
    capture = "0102" + "020412000809060000010000ff0f02120000" + "0204120003" + "09060100010800ff"
    clock = "07ea010fff00000000800000"
    rows = "0102" + "0202" + f"090c{clock}" + "0600000064" + "0202" + "00" + "00"
    meter = Meter(
        {
            name + "0300": "c401c100" + capture + "0f02120000",
            name + "0200": "c401c100" + rows,
            SCALER: KWH,
        }
    )
    first, second = DlmsReader(meter).profile("1-0:99.1.0")
    energy = first["1-0:1.8.0"]
    assert first["0-0:1.0.0"] == bytes.fromhex(clock)
    assert energy == scaled("1-0:1.8.0", 100, 2, 30)
    assert second == {"0-0:1.0.0": None, "1-0:1.8.0": None}


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("c401c10104", "1-0:1.8.0 attribute 3: object_undefined"),
        ("c4", "no answer to a GET"),
        ("ff00", "no answer to a GET"),
        ("c401c100", "cut off"),
        ("c401c1000600", "cut off"),
        ("c401c10011010b", "1 bytes behind a DLMS value"),
        ("c401c1001101", "a DLMS structure was expected"),
        ("c401c10002010f02", "no scaler and unit"),
        ("c401c10002020f020901aa", "no scaler and unit"),
        ("c401c1000202057fffffff161e", "a scaler of 2147483647"),
    ],
)
def test_answers_that_are_none(answer: str, says: str) -> None:
    reader = DlmsReader(Meter({SCALER: answer}))
    with pytest.raises(BadReply, match=says):
        reader.register("1-0:1.8.0")


def test_a_bad_answer_does_not_spoil_the_next() -> None:
    meter = Meter({ENERGY: "c401c10006000186a0", SCALER: "c4"})
    reader = DlmsReader(meter)
    with pytest.raises(BadReply):
        reader.register("1-0:1.8.0")
    meter.answers[SCALER] = KWH
    assert reader.register("1-0:1.8.0").value == 10_000_000


def test_blocks_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlms, "MAX_BLOCKS", 1)
    following = "c002c100000001"
    meter = Meter({ENERGY: "c402c100000000010003060001", following: "c402c10100000002000286a0"})
    with pytest.raises(BadReply, match="never ends"):
        DlmsReader(meter).get(3, "1-0:1.8.0", 2)


def test_a_row_of_another_width() -> None:
    name = "c001c100070100630100ff"
    capture = "0101" + "020412000809060000010000ff0f02120000"
    meter = Meter(
        {name + "0300": "c401c100" + capture, name + "0200": "c401c1000101" + "02021101" + "1102"}
    )
    with pytest.raises(BadReply, match="2 values in 1 columns"):
        DlmsReader(meter).profile("1-0:99.1.0")


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("00", None),
        ("05fffffffe", -2),
        ("06fffffffe", 4294967294),
        ("0fff", -1),
        ("10fffd", -3),
        ("12fffd", 65533),
        ("14ffffffffffffffff", -1),
        ("15ffffffffffffffff", 2**64 - 1),
        ("161e", 30),
        ("0301", b"\x01"),
        ("0902aabb", b"\xaa\xbb"),
        ("098102aabb", b"\xaa\xbb"),
        ("0102110111ff", [1, 255]),
        ("1743664000", Float32(bytes.fromhex("43664000"))),
    ],
)
def test_types_of_a_xdr(raw: str, value: object) -> None:
    assert decode_data(bytes.fromhex(raw)) == value


def test_floats_and_what_is_no_number() -> None:
    volts = scaled("1-0:32.7.0", Float32(bytes.fromhex("43661999")), 0, 35)  # 230.09999...
    assert (volts.value, volts.scale, volts.unit) == (230_100, 1000, "V")
    small = scaled("1-0:32.7.0", Float32(bytes.fromhex("43661999")), -1, 35)
    assert (small.value, small.scale) == (230_100, 10_000)
    nothing = scaled("1-0:32.7.0", Float32(bytes.fromhex("7fc00000")), 0, 35)
    assert (nothing.value, nothing.bad) == (None, "no_number")
    text = scaled("1-0:1.8.0", b"abc", -1, 255)
    assert (text.value, text.bad, text.unit) == (None, "no_number", "")
    assert scaled("1-0:1.8.0", 12345, -2, 30).scale == 100


@pytest.mark.parametrize("raw", ["", "0b", "01" * 3 + "0101" * 9 + "00"])
def test_what_is_no_value(raw: str) -> None:
    with pytest.raises(BadReply):
        decode_data(bytes.fromhex(raw))


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_end(raw: bytes) -> None:
    try:
        decode_data(raw)
    except BadReply:
        return


def test_codes() -> None:
    assert parse_obis("1-0:1.8.0") == (1, 0, 1, 8, 0, 255)
    assert obis_text(bytes((1, 0, 99, 1, 0, 255))) == "1-0:99.1.0"
    for wrong in ("1.8.0", "1-0:1.8.256", "1-0:1.8.x"):
        with pytest.raises(BadInput, match="is no OBIS code"):
            parse_obis(wrong)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlms_cosem.connection", None)
    with pytest.raises(BadInput, match=r"pip install gridledger\[dlms\]"):
        DlmsReader(bytes)
