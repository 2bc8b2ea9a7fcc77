"""The Fn table and its units: bytes worked out by hand to exact registers, days and curves."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.ingest.protocols.failures import BadReply
from services.ingest.protocols.qgdw376.layout_file import (
    SHIPPED,
    load_event_names,
    load_layouts,
)
from services.ingest.protocols.qgdw376.layouts import (
    Layout,
    Unit,
    decode_unit,
    end_of_day_at,
    parse_layouts,
)

CURRENT, FROZEN = 0x0C, 0x0D


def layout(afn: int, fn: int) -> Layout:
    return load_layouts()[afn, fn]


def unit(afn: int, fn: int, raw: str, **more: int) -> Unit:
    return decode_unit(layout(afn, fn), 7, bytes.fromhex(raw), **more)


def values(found: Unit) -> dict[str, int | None]:
    return {each.obis: each.value for each in found.quantities}


def test_a_day_freeze_is_24_00_of_its_tag() -> None:
    found = unit(FROZEN, 161, "310126 3000010226 02 5634120000 5634100000 0000020000 AA")
    assert (found.pn, found.fn, found.size) == (7, 161, 24)
    assert found.day_on == "2026-01-31"
    assert found.read_at == "2026-01-31T16:30:00Z"
    # 000012.3456 kWh is 12,345.6 Wh, kept in tenths
    assert values(found) == {"1-0:1.8.0": 123456, "1-0:1.8.1": 103456, "1-0:1.8.2": 20000}
    assert {each.scale for each in found.quantities} == {10}
    assert end_of_day_at(found.day_on) == "2026-01-31T16:00:00Z"
    assert end_of_day_at("2025-12-31", 0) == "2026-01-01T00:00:00Z"


def test_a_point_that_was_never_read_has_no_values_and_no_zeros() -> None:
    found = unit(FROZEN, 161, "310126 eeeeeeeeee 01 eeeeeeeeee eeeeeeeeee")
    assert found.read_at == ""
    assert [each.bad for each in found.quantities] == ["no_value", "no_value"]
    assert [each.value for each in found.quantities] == [None, None]


def test_a_month_freeze_and_reactive_energy() -> None:
    found = unit(FROZEN, 181, "0126 3000010226 00 56341200")
    assert (found.month_on, found.day_on) == ("2026-01", "")
    assert values(found) == {"1-0:5.8.0": 1_234_560}  # 001234.56 kvarh


def test_a_month_freeze_of_demand() -> None:
    found = unit(FROZEN, 193, "0126 3000010226 01 563412 30123101 000000 eeeeeeee")
    first, second = found.quantities
    assert (first.obis, first.value, first.scale, first.at) == (
        "1-0:1.6.0", 123456, 10, "2026-01-31T04:30:00Z",
    )  # fmt: skip
    assert (second.obis, second.value, second.at) == ("1-0:1.6.1", 0, "")


def test_current_data_takes_the_year_of_a_demand_from_when_it_was_read() -> None:
    rows = [
        {"afn": "0C", "fn": "145", "name": "d", "field": "read_at", "format": "A15"},
        {"afn": "0C", "fn": "145", "name": "d", "field": "demand", "format": "A23+A17"},
    ]
    blank = {"repeat": "", "obis": "1-0:1.6.0", "unit": "W", "status": "unconfirmed", "source": ""}
    own = parse_layouts([{**row, **blank} for row in rows])[CURRENT, 145]
    assert not own.confirmed
    found = decode_unit(own, 1, bytes.fromhex("0010020126 563412 30123112"))
    assert found.quantities[0].at == "2025-12-31T04:30:00Z"
    never = decode_unit(own, 1, bytes.fromhex("eeeeeeeeee 563412 30123112"))
    assert never.quantities[0].bad == "bad_time"


def test_instantaneous_values() -> None:
    power = "563492" + "000001" * 3  # -12.3456 kW, and 1.0000 kW (0.1 W each) by phase
    raw = (
        "0010020126" + power + "000000" * 4 + "5009" * 4 + "0522" * 3 + "341200" * 4 + "010000" * 4
    )
    found = values(unit(CURRENT, 25, raw))
    assert found["1-0:16.7.0"] == -123456
    assert found["1-0:36.7.0"] == 10000
    assert found["1-0:13.7.0"] == 950  # 095.0 %
    assert found["1-0:32.7.0"] == 2205
    assert found["1-0:31.7.0"] == 1234
    assert len(found) == 23


def test_all_registers_of_current_import() -> None:
    raw = "0010020126 01" + "0000001000" * 2 + "00000010" * 2 + "00000020" * 2 + "00000030" * 2
    found = unit(CURRENT, 33, raw)
    assert list(values(found)) == [
        "1-0:1.8.0", "1-0:1.8.1", "1-0:129.8.0", "1-0:129.8.1",
        "1-0:5.8.0", "1-0:5.8.1", "1-0:8.8.0", "1-0:8.8.1",
    ]  # fmt: skip
    assert found.day_on == found.month_on == found.first_at == ""


@pytest.mark.parametrize(
    ("offset", "first"), [(0, "2026-01-30T16:00:00Z"), (1, "2026-01-30T16:15:00Z")]
)
def test_a_curve_begins_where_the_terminal_means(offset: int, first: str) -> None:
    raw = "0000310126 01 02 00000010 eeeeeeee"
    found = unit(FROZEN, 101, raw, first_point_offset=offset)
    assert (found.first_at, found.interval_s) == (first, 900)
    assert [each.value for each in found.quantities] == [100_000_000, None]


@pytest.mark.parametrize(
    ("fn", "raw", "problem"),
    [
        (161, "310126 3000010226 02 5634120000", "ends within"),
        (161, "3101", "ends within tag"),
        (161, "310126 3000010226 0f", "15 rates"),
        (161, "310126 3000010226 ee", "238 rates"),
        (101, "0000310126 00 02", "density 0"),
    ],
)
def test_what_cannot_be_read_is_a_bad_reply(fn: int, raw: str, problem: str) -> None:
    with pytest.raises(BadReply, match=problem):
        unit(FROZEN, fn, raw)


@given(st.sampled_from(sorted(load_layouts())), st.binary(max_size=80))
def test_any_bytes_are_a_unit_or_a_bad_reply(key: tuple[int, int], raw: bytes) -> None:
    try:
        found = decode_unit(load_layouts()[key], 1, raw)
    except BadReply:
        return
    assert found.size == sum(item.size for item in found.items) <= len(raw)
    place = 0
    for item in found.items:
        assert item.offset == place
        place += item.size


def test_the_shipped_table_names_its_sources() -> None:
    with SHIPPED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["status"] for row in rows} == {"confirmed", "unconfirmed"}
    assert all("memory" in row["source"] for row in rows if row["status"] == "unconfirmed")
    assert not any("memory" in row["source"] for row in rows if row["status"] == "confirmed")
    assert load_event_names()[14] == "terminal power off or on"


HEADER = "afn,fn,name,field,format,repeat,obis,unit,status,source\n"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (HEADER + "0D,x,n,f,A14,,,,confirmed,s\n", "line 2: fn"),
        (HEADER + "0D,1,n\n", "line 2"),
        (HEADER + "0D,1,n,f,A14,,,,confirmed,s,more\n", "line 2"),
        (HEADER + "0D,1,n,f,A99,,,,confirmed,s\n", "line 2: format"),
        (HEADER + "0D,1,n,f,A14,rates,,,confirmed,s\n", "line 2: repeat"),
        (HEADER + '0D,1,"n,f,A14\n', "is no CSV"),
    ],
)
def test_a_wrong_table_names_line_and_column(text: str, where: str, tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=where) as error:
        load_layouts(path)
    assert str(path) in str(error.value)


def test_a_table_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        load_layouts(tmp_path / "none.csv")
    path = tmp_path / "gbk.csv"
    path.write_bytes("表".encode("gbk"))
    with pytest.raises(BadInput, match="UTF-8"):
        load_layouts(path)
