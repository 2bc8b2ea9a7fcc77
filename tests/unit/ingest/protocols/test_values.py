"""Numbers and times on the wire. Civil times have no zone here, as on the wire."""
# ruff: noqa: DTZ001

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645 import values
from services.ingest.protocols.dlt645.values import BadValue


@settings(deadline=None)
@given(st.integers(0, 99_999_999))
def test_unsigned_bcd_round_trip(number: int) -> None:
    assert values.decode_bcd(values.encode_bcd(number, 4)) == number


@settings(deadline=None)
@given(st.integers(-799_999, 799_999))
def test_signed_bcd_round_trip(number: int) -> None:
    raw = values.encode_bcd(number, 3, signed=True)
    assert values.decode_bcd(raw, signed=True) == number
    assert bool(raw[-1] & 0x80) is (number < 0)


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=6), st.booleans())
def test_every_byte_string_is_a_number_or_a_named_reason(raw: bytes, signed: bool) -> None:
    found = values.decode_bcd(raw, signed=signed)
    if isinstance(found, BadValue):
        assert found.reason in ("non_bcd", "no_value")
        assert found.raw_hex == raw.hex()
    else:
        written = values.encode_bcd(found, len(raw), signed=signed)
        minus_zero = signed and found == 0
        assert written == raw or minus_zero


@pytest.mark.parametrize(
    ("raw_hex", "signed", "expected"),
    [
        ("56341200", False, 123456),
        ("00000e00", False, BadValue("non_bcd", "00000e00")),  # reference: vector f63
        ("ffffffff", False, BadValue("no_value", "ffffffff")),
        ("eeeeeeee", False, BadValue("no_value", "eeeeeeee")),
        ("ffffff", True, BadValue("no_value", "ffffff")),
        ("ffffff7f", True, BadValue("non_bcd", "ffffff7f")),
        ("00000000", False, 0),
        ("3492", True, -1234),
        ("3492", False, 9234),
        ("", False, BadValue("non_bcd", "")),
        ("", True, BadValue("non_bcd", "")),
    ],
)
def test_bcd_by_hand(raw_hex: str, signed: bool, expected: object) -> None:
    assert values.decode_bcd(bytes.fromhex(raw_hex), signed=signed) == expected


@pytest.mark.parametrize(
    ("number", "size", "signed"), [(100, 1, False), (-1, 2, False), (8000, 2, True)]
)
def test_a_number_that_does_not_fit_is_refused(number: int, size: int, signed: bool) -> None:
    with pytest.raises(BadInput, match="does not fit"):
        values.encode_bcd(number, size, signed=signed)


@settings(deadline=None)
@given(st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)), st.sampled_from([5, 6]))
def test_stamp_round_trip(moment: datetime, size: int) -> None:
    moment = moment.replace(microsecond=0, second=0 if size == 5 else moment.second)
    assert values.decode_stamp(values.encode_stamp(moment, size)) == moment


@pytest.mark.parametrize(
    ("raw_hex", "reason"),
    [
        ("0000000000", "no_value"),
        ("ffffffffff", "no_value"),
        ("5959310226", "bad_time"),
        ("0000300226", "bad_time"),
        ("000a010126", "non_bcd"),
        ("01010101", "length"),
    ],
)
def test_what_is_no_time(raw_hex: str, reason: str) -> None:
    assert values.decode_stamp(bytes.fromhex(raw_hex)) == BadValue(reason, raw_hex)


def test_civil_time_and_instants() -> None:
    assert values.civil_time("2026-01-31T16:00:00Z", 480) == datetime(2026, 2, 1)
    assert values.instant(datetime(2026, 2, 1), 480) == "2026-01-31T16:00:00Z"
    assert values.from_epoch_s(values.epoch_s("2026-01-31T16:00:00Z")) == "2026-01-31T16:00:00Z"


@pytest.mark.parametrize(
    "text",
    ["", "2026-01-31", "2026-01-31T16:00:00", "2026-02-30T00:00:00Z", "2026-W05-6T16:00:00Z"],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is no instant"):
        values.parse_instant(text)


def test_dates_and_clocks() -> None:
    assert values.decode_date(values.encode_date(date(2026, 2, 1))) == date(2026, 2, 1)
    assert values.encode_date(date(2026, 2, 1)).hex() == "00010226"  # a Sunday: WW = 00
    assert values.decode_clock(values.encode_clock(datetime(2026, 2, 1, 23, 59, 8))) == "23:59:08"
    assert values.decode_date(bytes.fromhex("00310226")) == BadValue("bad_time", "00310226")
    assert values.decode_date(b"\xff" * 4) == BadValue("no_value", "ffffffff")
    assert values.decode_date(b"\x01") == BadValue("length", "01")
    assert values.decode_clock(b"\x60\x00\x00") == BadValue("bad_time", "600000")
    assert values.decode_clock(b"\x00\x00\x24") == BadValue("bad_time", "000024")
    assert values.decode_clock(b"\x0a\x00\x00") == BadValue("non_bcd", "0a0000")
    assert values.decode_clock(b"\x00") == BadValue("length", "00")
