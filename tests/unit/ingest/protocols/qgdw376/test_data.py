"""Points, formats, the layout table, and the data units of answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.ingest.protocols.failures import BadReply
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
from services.ingest.protocols.qgdw376.layout_file import load_event_names, load_layouts
from services.ingest.protocols.qgdw376.layouts import COLUMNS, decode_unit, end_of_day_at
from services.ingest.protocols.qgdw376.points import (
    Identifier,
    decode_identifier,
    encode_identifier,
    group_points,
)
from services.ingest.protocols.qgdw376.replies import decode_data, sort_out
from tests.unit.ingest.protocols.qgdw376.captures import read_one, uplink

LAYOUTS = load_layouts()
READ_AT = "05 00 01 02 26"  # 2026-02-01 00:05
NONE_5 = "EE EE EE EE EE"


@pytest.mark.parametrize(
    ("pns", "fns", "raw_hex"),
    [
        ((0,), (1,), "00000100"),
        ((1,), (1,), "01010100"),
        ((8,), (8,), "80018000"),
        ((9,), (9,), "01020101"),
        ((17,), (161,), "01030114"),
        ((1, 2, 8), (129, 130), "83010310"),
        ((2040,), (248,), "80ff801e"),
    ],
)
def test_points_and_kinds_both_ways(
    pns: tuple[int, ...], fns: tuple[int, ...], raw_hex: str
) -> None:
    assert encode_identifier(pns, fns).hex() == raw_hex
    assert decode_identifier(bytes.fromhex(raw_hex)) == Identifier(pns, fns)


def test_identifiers_that_name_nothing_or_everything() -> None:
    for raw_hex in ("000001", "00000000", "0000011F", "01000100", "00010100"):
        assert decode_identifier(bytes.fromhex(raw_hex)) is None
    for raw_hex in ("FF000100", "FFFF0100"):
        assert decode_identifier(bytes.fromhex(raw_hex)) == Identifier((), (1,), everything=True)
    for pns, fns in (((8, 9), (1,)), ((), (1,)), ((2041,), (1,)), ((1,), (249,)), ((0, 1), (1,))):
        with pytest.raises(BadInput, match="cannot stand in one identifier"):
            encode_identifier(pns, fns)
    with pytest.raises(BadInput, match="every point"):
        encode_identifier(tuple(range(2033, 2041)), (1,))


@given(
    st.sets(st.integers(0, 2032), min_size=1, max_size=12),
    st.sets(st.integers(1, 248), min_size=1, max_size=6),
)
def test_any_points_come_back_from_their_groups(pns: set[int], fns: set[int]) -> None:
    found = [
        decode_identifier(encode_identifier(group, kinds))
        for group in group_points(pns)
        for kinds in group_points(fns)
    ]
    told = [(pn, fn) for each in found if each for pn in each.pns for fn in each.fns]
    assert sorted(told) == sorted((pn, fn) for pn in pns for fn in fns)


@pytest.mark.parametrize(
    ("kind", "raw_hex", "number", "scale"),
    [
        ("A02", "23 01", 123 * 10**7, 1),
        ("A02", "23 F1", -123, 1),
        ("A03", "67 45 23 01", 1_234_567_000, 1),
        ("A03", "67 45 23 51", -1_234_567_000_000, 1),
        ("A04", "85", -5, 1),
        ("A05", "67 85", -567, 10),
        ("A07", "19 23", 2319, 10),
        ("A09", "56 34 92", -123456, 10),
        ("A11", "78 56 34 12", 123456780, 1),
        ("A13", "78 56 34 12", 12345678, 10),
        ("A14", "78 56 34 12 00", 12345678, 10),
        ("A23", "56 34 12", 123456, 10),
        ("A25", "56 34 92", -123456, 1000),
        ("B1", "FF", 255, 1),
        ("B2", "01 02", 513, 1),
    ],
)
def test_numbers_are_exact(kind: str, raw_hex: str, number: int, scale: int) -> None:
    raw = bytes.fromhex(raw_hex)
    assert decode_value(kind, raw) == Value(number, scale)
    assert size_of(kind) == len(raw)
    if kind in NUMBERS:
        assert encode_number(kind, number) == raw


@pytest.mark.parametrize("kind", [*NUMBERS, "A01", "A02", "A03", "A12", "A15", "A20", "A23+A17"])
@pytest.mark.parametrize("byte", [b"\xee", b"\xff"])
def test_all_ee_or_ff_is_no_value(kind: str, byte: bytes) -> None:
    found = decode_value(kind, byte * size_of(kind))
    assert (found.number, found.text, found.bad) == (None, "", "no_value")


@pytest.mark.parametrize(
    ("kind", "raw_hex", "text"),
    [
        ("A01", "27 52 13 07 E2 26", "2026-02-07T05:52:27Z"),
        ("A12", "56 34 12 00 00 01", "010000123456"),
        ("A15", "05 00 01 02 26", "2026-01-31T16:05:00Z"),
        ("A16", "27 52 13 07", "07 13:52:27"),
        ("A17", "52 13 07 02", "02-07 13:52"),
        ("A18", "52 13 07", "07 13:52"),
        ("A19", "52 13", "13:52"),
        ("A20", "31 01 26", "2026-01-31"),
        ("A21", "01 26", "2026-01"),
        ("A24", "13 07", "07 13"),
    ],
)
def test_times_and_addresses(kind: str, raw_hex: str, text: str) -> None:
    assert decode_value(kind, bytes.fromhex(raw_hex)) == Value(text=text)


@pytest.mark.parametrize(
    ("kind", "raw_hex", "bad"),
    [
        ("A02", "2A 01", "non_bcd"),
        ("A07", "1A 23", "non_bcd"),
        ("A20", "3A 01 26", "non_bcd"),
        ("A20", "30 02 26", "bad_time"),
        ("A15", "05 00 30 02 26", "bad_time"),
        ("A23+A17", "1A 00 00 00 00 01 02", "non_bcd"),
        ("A23+A17", "01 00 00 00 00 30 02", "bad_time"),
    ],
)
def test_what_has_no_value_says_why(kind: str, raw_hex: str, bad: str) -> None:
    found = decode_value(kind, bytes.fromhex(raw_hex), near_on="2026-01-31")
    assert (found.number, found.text, found.bad) == (None, "", bad)


@pytest.mark.parametrize(
    ("stamp_hex", "near_on", "at"),
    [
        ("52 13 07 01", "2026-01-31", "2026-01-07T05:52:00Z"),
        ("52 13 07 12", "2026-01-31", "2025-12-07T05:52:00Z"),
        ("52 13 31 01", "2026-01", "2026-01-31T05:52:00Z"),
        ("00 00 01 02", "2026-01-31", "2026-01-31T16:00:00Z"),
        ("01 00 01 02", "2026-01-31", "2025-01-31T16:01:00Z"),
        ("00 12 29 02", "2025-01-31", "2024-02-29T04:00:00Z"),
    ],
)
def test_a_demand_gets_the_year_of_its_tag(stamp_hex: str, near_on: str, at: str) -> None:
    raw = bytes.fromhex("56 34 12" + stamp_hex)
    assert decode_value("A23+A17", raw, near_on=near_on) == Value(123456, 10, at=at)


def test_a_demand_without_time() -> None:
    nothing, some = bytes.fromhex("000000 00000000"), bytes.fromhex("010000 52130701")
    assert decode_value("A23+A17", nothing, near_on="2026-01-31") == Value(0, 10)
    assert decode_value("A23+A17", some) == Value(scale=10, bad="bad_time")
    leap = bytes.fromhex("010000 00122902")
    assert decode_value("A23+A17", leap, near_on="2026-12-31").bad == "bad_time"


def test_times_on_the_wire() -> None:
    assert encode_day("2026-01-31").hex() == "310126"
    assert encode_month("2026-01").hex() == "0126"
    civil = datetime(2026, 2, 7, 13, 52, 27)  # noqa: DTZ001
    assert encode_clock(civil).hex() == "27521307c226"  # a Saturday: 6 << 5 | 02
    assert encode_minute(civil).hex() == "5213070226"
    for day_on in ("2026-02-30", "1999-12-31", "2100-01-01", "31.01.2026"):
        with pytest.raises(BadInput, match="is no day"):
            encode_day(day_on)
    with pytest.raises(BadInput, match="is no month"):
        encode_month("2026-13")
    with pytest.raises(BadInput, match="is no format"):
        size_of("A99")


def day_freeze(pn_hex: str, *registers: str, read_at: str = READ_AT, tag: str = "310126") -> str:
    rates = f"{len(registers) - 1:02x}"
    return f"{pn_hex} 01 14 {tag} {read_at} {rates} {' '.join(registers)}"


def test_a_day_freeze_is_that_of_24_00_of_its_day() -> None:
    body = day_freeze("0101", "7856341200", NONE_5, "0100000000")
    found = decode_data(read_one(uplink(0x0D, body)), LAYOUTS)
    (unit,) = found.units
    assert (unit.pn, unit.fn, unit.day_on, unit.read_at) == (
        1,
        161,
        "2026-01-31",
        "2026-01-31T16:05:00Z",
    )
    assert end_of_day_at(unit.day_on) == "2026-01-31T16:00:00Z"
    told = [(each.obis, each.unit, each.value, each.scale, each.bad) for each in unit.quantities]
    assert told == [
        ("1-0:1.8.0", "Wh", 12345678, 10, ""),
        ("1-0:1.8.1", "Wh", None, 10, "no_value"),
        ("1-0:1.8.2", "Wh", 1, 10, ""),
    ]
    assert (found.problem, found.rest_offset) == ("", 4 + 3 + 5 + 1 + 15)


def test_two_points_in_one_identifier() -> None:
    one = "310126" + READ_AT + "00 0100000000"
    two = "310126" + NONE_5 + "00 0200000000"
    found = decode_data(read_one(uplink(0x0D, "03010114" + one + two)), LAYOUTS)
    assert [(unit.pn, unit.quantities[0].value) for unit in found.units] == [(1, 1), (2, 2)]
    assert found.units[1].read_at == ""
    assert found.placed[1].identifier_offset == found.placed[1].offset


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("0101FF1E", "F241 of AFN 0DH is not in the table"),
        ("00000000", "an identifier that names nothing"),
        ("FFFF0114", "an identifier that names nothing"),
        (day_freeze("0201", "78563412"), "p2 F161 ends within import active energy"),
        ("02010114 310126" + READ_AT + "0F", "p2 F161 15 rates, at most 14 exist"),
    ],
)
def test_what_stands_before_an_unreadable_unit_counts(more: str, problem: str) -> None:
    good = day_freeze("0101", "7856341200")
    found = decode_data(read_one(uplink(0x0D, good + more)), LAYOUTS)
    assert [unit.pn for unit in found.units] == [1]
    assert found.rest_offset == 4 + 3 + 5 + 1 + 5
    assert found.problem == problem


def test_a_month_freeze_has_demands_of_its_month() -> None:
    layout = LAYOUTS[0x0D, 177]
    unit = decode_unit(layout, 3, bytes.fromhex("0126" + READ_AT + "00 7856341200"))
    assert (unit.month_on, unit.day_on, unit.quantities[0].value) == ("2026-01", "", 12345678)


def test_a_curve_begins_at_its_tag() -> None:
    layout = LAYOUTS[0x0D, 89]
    raw = bytes.fromhex("0000310126 01 03 1923 EEEE 2023")
    unit = decode_unit(layout, 1, raw + b"more")
    assert (unit.first_at, unit.interval_s, unit.size) == ("2026-01-30T16:00:00Z", 900, 13)
    assert [each.value for each in unit.quantities] == [2319, None, 2320]
    later = decode_unit(layout, 1, raw, first_point_offset=1)
    assert later.first_at == "2026-01-30T16:15:00Z"
    untagged = decode_unit(layout, 1, bytes.fromhex(NONE_5) + raw[5:])
    assert (untagged.first_at, untagged.interval_s) == ("", 900)
    with pytest.raises(BadReply, match="density 9"):
        decode_unit(layout, 1, bytes.fromhex("0000310126 09 00"))


def test_every_layout_takes_data_without_values() -> None:
    for (afn, fn), layout in LAYOUTS.items():
        unit = decode_unit(layout, 1, _blank(layout.fields))
        assert (unit.afn, unit.fn) == (afn, fn)
        assert all(each.value is None or each.unit == "" for each in unit.quantities)


def _blank(fields: tuple[object, ...]) -> bytes:
    """No value anywhere, one rate or point."""
    counts = {"rates": b"\0", "density": b"\1", "points": b"\1"}
    return b"".join(
        counts.get(each.name, b"\xee" * size_of(each.format))  # type: ignore[attr-defined]
        for each in fields
    )


def test_a_demand_without_tag_takes_its_year_from_the_reading() -> None:
    frozen = LAYOUTS[0x0D, 185]
    current = replace(frozen, afn=0x0C, fields=frozen.fields[1:])
    raw = bytes.fromhex("00 563412 52130712")
    (found,) = decode_unit(current, 1, bytes.fromhex(READ_AT) + raw).quantities
    assert (found.obis, found.value, found.at) == ("1-0:1.6.0", 123456, "2025-12-07T05:52:00Z")
    (unread,) = decode_unit(current, 1, bytes.fromhex(NONE_5) + raw).quantities
    assert (unread.value, unread.bad) == (None, "bad_time")
    tagged = decode_unit(frozen, 1, bytes.fromhex("071226" + NONE_5) + raw)
    assert tagged.quantities[0].at == "2026-12-07T05:52:00Z"


def test_tables_come_with_the_package(tmp_path: Path) -> None:
    assert load_event_names()[14] == "terminal power off or on"
    own = tmp_path / "own.csv"
    head = ",".join(COLUMNS)
    own.write_text(f"{head}\n0D,161,x,tag,A20,,,,unconfirmed,me\n", encoding="utf-8")
    layout = load_layouts(own)[0x0D, 161]
    assert (layout.tag_format, layout.confirmed, layout.source) == ("A20", False, "me")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("XX,161,x,tag,A20,,,,c,me", "line 2: fn: no AFN and Fn"),
        ("0D,161,x,tag", "line 2: columns lack"),
        ("0D,161,x,tag,A20,,,,c,me,more", "line 2: columns lack"),
        ("0D,161,x,tag,A99,,,,c,me", "line 2: format: 'A99' is no format"),
        ("0D,161,x,v,A14,rates,,,c,me", "line 2: repeat: 'rates' does not stand before it"),
        ('0D,161,"x', "is no CSV"),
    ],
)
def test_wrong_tables_name_the_line(tmp_path: Path, text: str, said: str) -> None:
    own = tmp_path / "own.csv"
    own.write_text(f"{','.join(COLUMNS)}\n{text}", encoding="utf-8")
    with pytest.raises(BadInput) as told:
        load_layouts(own)
    assert str(own) in str(told.value)
    assert said in str(told.value)


def test_tables_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        load_layouts(tmp_path / "none.csv")
    (tmp_path / "gbk.csv").write_bytes("电表".encode("gbk"))
    with pytest.raises(BadInput, match="UTF-8"):
        load_layouts(tmp_path / "gbk.csv")


def test_only_what_was_asked_counts_and_two_answers_that_differ_are_none() -> None:
    unit = "310126 3000010226 00 5634120000"
    none, other = unit.replace("5634120000", "eeeeeeeeee"), unit.replace("5634", "5734")
    early = unit.replace("310126", "300126", 1)
    body = f"07010114 {unit} {unit} {none} 01010114 {unit} 02010114 {other} 08010114 {early}"
    units = decode_data(read_one(uplink(0x0D, f"{body} 80010114 {unit}")), LAYOUTS).units
    asked = {(pn, 161) for pn in (1, 2, 3, 4, 5)}
    found = sort_out(units, asked, "2026-01-31")
    assert [(each.pn, each.quantities[0].value) for each in found.units] == [(1, 123456)]
    assert found.absent == ((2, 161), (3, 161), (4, 161), (5, 161))
    assert [(each.pn, each.day_on) for each in found.not_asked] == [
        (4, "2026-01-30"),
        (8, "2026-01-31"),
    ]
    assert found.problems == ("p2 F161 came twice and differs",)
