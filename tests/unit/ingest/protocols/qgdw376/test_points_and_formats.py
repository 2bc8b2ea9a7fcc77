"""DA and DT both ways; the data formats of appendix A to exact integers."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.ingest.protocols.qgdw376.formats import (
    NUMBERS,
    Value,
    decode_value,
    encode_clock,
    encode_day,
    encode_minute,
    encode_month,
    encode_number,
    size_of,
)
from services.ingest.protocols.qgdw376.points import (
    MAX_FN,
    MAX_PN,
    Identifier,
    decode_identifier,
    encode_identifier,
    group_points,
)


@pytest.mark.parametrize(
    ("pns", "fns", "raw"),
    [
        ((0,), (1,), "00000100"),
        ((1,), (161,), "01010114"),
        ((8,), (8,), "80018000"),
        ((9, 16), (9, 10), "81020301"),
        ((2040,), (248,), "80ff801e"),
    ],
)
def test_identifiers_worked_out_by_hand(
    pns: tuple[int, ...], fns: tuple[int, ...], raw: str
) -> None:
    assert encode_identifier(pns, fns).hex() == raw
    assert decode_identifier(bytes.fromhex(raw)) == Identifier(pns, fns)


@pytest.mark.parametrize("raw", ["ff000100", "ffff0100"])
def test_every_point(raw: str) -> None:
    assert decode_identifier(bytes.fromhex(raw)) == Identifier((), (1,), everything=True)


@pytest.mark.parametrize("raw", ["000001", "00000000", "01000100", "00010100", "0101011f", ""])
def test_what_names_nothing(raw: str) -> None:
    assert decode_identifier(bytes.fromhex(raw)) is None


@pytest.mark.parametrize(
    ("pns", "fns"),
    [((8, 9), (1,)), ((1,), (8, 9)), ((), (1,)), ((1,), ()), ((2041,), (1,)), ((0, 1), (1,)),
     ((1,), (249,)), ((1,), (0,)), (tuple(range(2033, 2041)), (1,))],
)  # fmt: skip
def test_what_does_not_fit_one_identifier(pns: tuple[int, ...], fns: tuple[int, ...]) -> None:
    with pytest.raises(BadInput):
        encode_identifier(pns, fns)


@given(st.integers(0, 253), st.integers(1, 255), st.integers(0, 30), st.integers(1, 255))
def test_identifiers_return(group: int, bits: int, kind: int, kinds: int) -> None:
    pns = tuple(group * 8 + n + 1 for n in range(8) if bits >> n & 1)
    fns = tuple(kind * 8 + n + 1 for n in range(8) if kinds >> n & 1)
    assert max(pns) <= MAX_PN
    assert max(fns) <= MAX_FN
    assert decode_identifier(encode_identifier(pns, fns)) == Identifier(pns, fns)


def test_points_are_grouped_by_eight() -> None:
    assert group_points([9, 1, 8, 0, 8, 17]) == [(0,), (1, 8), (9,), (17,)]


@pytest.mark.parametrize(
    ("kind", "raw", "expected"),
    [
        ("A04", "95", Value(-15)),
        ("A05", "3412", Value(1234, 10)),
        ("A05", "3492", Value(-1234, 10)),
        ("A06", "5012", Value(1250, 100)),
        ("A07", "0522", Value(2205, 10)),
        ("A08", "3412", Value(1234)),
        ("A09", "563492", Value(-123456, 10)),
        ("A10", "563412", Value(123456)),
        ("A11", "78563412", Value(123456780)),
        ("A13", "78563412", Value(12345678, 10)),
        ("A14", "7856341200", Value(12345678, 10)),
        ("A22", "15", Value(15, 10)),
        ("A23", "563412", Value(123456, 10)),
        ("A25", "563492", Value(-123456, 1000)),
        ("A26", "9909", Value(999, 1000)),
        ("A27", "78563412", Value(12345678)),
        ("B1", "ff", Value(255)),
        ("B2", "0102", Value(513)),
        ("B4", "01000000", Value(1)),
        ("A02", "2381", Value(123_000)),  # G = 4: 123 kW
        ("A02", "23e1", Value(123)),  # G = 7: 0.123 kW
        ("A02", "2311", Value(-1_230_000_000)),  # G = 0, negative
        ("A03", "45230001", Value(1_002_345_000)),
        ("A03", "45230051", Value(-1_002_345_000_000)),
        ("A12", "610100000000", Value(text="000000000161")),
        ("A15", "0000010226", Value(text="2026-01-31T16:00:00Z")),
        ("A01", "5959233101a6", Value(bad="non_bcd")),
        ("A01", "595923312126", Value(text="2026-01-31T15:59:59Z")),
        ("A16", "27521307", Value(text="07 13:52:27")),
        ("A17", "30123101", Value(text="01-31 12:30")),
        ("A18", "301231", Value(text="31 12:30")),
        ("A19", "3012", Value(text="12:30")),
        ("A20", "310126", Value(text="2026-01-31")),
        ("A21", "0126", Value(text="2026-01")),
        ("A24", "1231", Value(text="31 12")),
    ],
)
def test_formats_worked_out_by_hand(kind: str, raw: str, expected: Value) -> None:
    assert decode_value(kind, bytes.fromhex(raw)) == expected


@pytest.mark.parametrize(
    ("kind", "raw", "why"),
    [
        ("A14", "eeeeeeeeee", "no_value"),
        ("A14", "ffffffffff", "no_value"),
        ("A14", "0000000e00", "non_bcd"),
        ("A05", "eeee", "no_value"),
        ("A02", "eeee", "no_value"),
        ("A02", "2a81", "non_bcd"),
        ("A03", "eeeeeeee", "no_value"),
        ("A01", "eeeeeeeeeeee", "no_value"),
        ("A15", "0000320126", "bad_time"),
        ("A20", "300226", "bad_time"),
        ("A21", "1326", "bad_time"),
        ("A19", "6012", "bad_time"),
        ("A12", "eeeeeeeeeeee", "no_value"),
    ],
)
def test_what_is_no_value_says_why(kind: str, raw: str, why: str) -> None:
    found = decode_value(kind, bytes.fromhex(raw))
    assert (found.number, found.text, found.bad) == (None, "", why)


@pytest.mark.parametrize(
    ("raw", "near_on", "expected"),
    [
        ("563412 30123101", "2026-01-31", Value(123456, 10, at="2026-01-31T04:30:00Z")),
        ("563412 00000102", "2026-01-31", Value(123456, 10, at="2026-01-31T16:00:00Z")),
        ("563412 00000101", "2025-12-31", Value(123456, 10, at="2025-12-31T16:00:00Z")),
        ("563412 30123112", "2026-01-02", Value(123456, 10, at="2025-12-31T04:30:00Z")),
        ("563412 30122902", "2024-03-02", Value(123456, 10, at="2024-02-29T04:30:00Z")),
        ("563412 30122902", "2026-03-02", Value(scale=10, bad="bad_time")),
        ("563412 30123101", "2026-01", Value(123456, 10, at="2026-01-31T04:30:00Z")),
        ("563412 00000102", "2026-01", Value(123456, 10, at="2026-01-31T16:00:00Z")),
        ("563412 30123101", "", Value(scale=10, bad="bad_time")),
        ("563412 eeeeeeee", "2026-01-31", Value(scale=10, bad="no_value")),
        ("000000 eeeeeeee", "2026-01-31", Value(0, 10)),
        ("eeeeee 30123101", "2026-01-31", Value(scale=10, bad="no_value")),
    ],
)
def test_a_demands_time_gets_the_year_of_its_tag(raw: str, near_on: str, expected: Value) -> None:
    assert decode_value("A23+A17", bytes.fromhex(raw), near_on=near_on) == expected


@given(st.sampled_from(sorted(NUMBERS)), st.data())
def test_numbers_return(kind: str, data: st.DataObject) -> None:
    form = NUMBERS[kind]
    most = (8 if form.signed else 10) * 10 ** (2 * form.size - 1) - 1  # the top bit is the sign
    number = data.draw(st.integers(-most if form.signed else 0, most)) * form.factor
    assert decode_value(kind, encode_number(kind, number)) == Value(number, form.scale)


def test_times_are_built() -> None:
    moment = datetime(2026, 1, 31, 23, 59, 58)  # noqa: DTZ001 (civil)
    assert encode_day("2026-01-31").hex() == "310126"
    assert encode_month("2026-01").hex() == "0126"
    assert encode_minute(moment).hex() == "5923310126"
    assert encode_clock(moment).hex() == "585923" + "31" + "c1" + "26"  # a Saturday: 6 << 5 | 1
    assert decode_value("A01", encode_clock(moment)).text == "2026-01-31T15:59:58Z"


@pytest.mark.parametrize("day", ["2026-02-30", "1999-12-31", "31.01.2026", ""])
def test_wrong_days_are_refused(day: str) -> None:
    with pytest.raises(BadInput, match="day_on"):
        encode_day(day)


def test_wrong_months_and_formats_are_refused() -> None:
    with pytest.raises(BadInput, match="month_on"):
        encode_month("2026-13")
    with pytest.raises(BadInput, match="format"):
        size_of("A99")
