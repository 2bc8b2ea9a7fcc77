"""Register maps as files: the shipped ones, what a user may write, and what each type means."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.values import Quantity
from services.ingest.protocols.modbus import SDM630, load_maps, shipped_maps
from services.ingest.protocols.modbus_map_file import (
    MAP_FIELDS,
    REGISTER_FIELDS,
    SHIPPED,
    load_map,
    parse_map,
)
from services.ingest.protocols.modbus_registers import (
    Register,
    RegisterMap,
    RegisterRead,
    decode_registers,
    plan_reads,
)

DOCS = Path(__file__).parents[4] / "docs" / "modbus-maps.md"
EXAMPLE = re.search(r"```yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.S).group(1)  # type: ignore[union-attr]


def read(text: str, *words: tuple[int, int], function: int = 3) -> tuple[Quantity, ...]:
    found = {(function, address): word for address, word in words}
    return decode_registers(parse_map(text, "map.yaml"), found)


def test_the_sdm630_reads_as_before_it_was_a_file() -> None:
    rows = [(r.address, r.obis, r.unit, r.factor, r.scale, r.confirmed) for r in SDM630.registers]
    assert rows == [
        (0, "1-0:32.7.0", "V", 1000, 1000, True),
        (2, "1-0:52.7.0", "V", 1000, 1000, True),
        (4, "1-0:72.7.0", "V", 1000, 1000, True),
        (6, "1-0:31.7.0", "A", 1000, 1000, True),
        (8, "1-0:51.7.0", "A", 1000, 1000, True),
        (10, "1-0:71.7.0", "A", 1000, 1000, True),
        (12, "1-0:36.7.0", "W", 10, 10, True),
        (14, "1-0:56.7.0", "W", 10, 10, True),
        (16, "1-0:76.7.0", "W", 10, 10, True),
        (24, "1-0:151.7.0", "var", 10, 10, True),
        (26, "1-0:171.7.0", "var", 10, 10, True),
        (28, "1-0:191.7.0", "var", 10, 10, True),
        (52, "1-0:16.7.0", "W", 10, 10, True),
        (70, "1-0:14.7.0", "Hz", 100, 100, True),
        (72, "1-0:1.8.0", "Wh", 1000, 1, False),
        (74, "1-0:2.8.0", "Wh", 1000, 1, False),
        (76, "1-0:3.8.0", "varh", 1000, 1, False),
        (78, "1-0:4.8.0", "varh", 1000, 1, False),
    ]
    assert plan_reads(SDM630) == (RegisterRead(4, 0, 80),)


def test_the_shipped_models() -> None:
    maps = shipped_maps()
    assert sorted(maps) == ["modbus_dtsd1352", "modbus_dtsu666", "modbus_sdm120", "modbus_sdm630"]
    assert plan_reads(maps["modbus_sdm120"]) == (RegisterRead(4, 0, 76),)
    assert plan_reads(maps["modbus_dtsu666"]) == (
        RegisterRead(3, 0x2006, 64),
        RegisterRead(3, 0x401E, 12),
    )
    assert plan_reads(maps["modbus_dtsd1352"]) == (RegisterRead(3, 0, 12),)
    energy = {r.obis: r.address for r in maps["modbus_dtsu666"].registers if r.unit == "Wh"}
    assert energy == {"1-0:1.8.0": 0x401E, "1-0:2.8.0": 0x4028}
    assert not any(r.confirmed for r in maps["modbus_dtsu666"].registers)


def test_an_acrel_energy_in_hundredths_of_a_kilowatt_hour() -> None:
    words = {(3, n): 0 for n in range(12)} | {(3, 10): 0x0001, (3, 11): 0xE240}
    found = {q.obis: q for q in decode_registers(shipped_maps()["modbus_dtsd1352"], words)}
    assert found["1-0:1.8.0"].value == 1_234_560  # 123456 x 0.01 kWh
    assert (found["1-0:15.8.1"].value, found["1-0:15.8.1"].unit) == (0, "Wh")


def test_a_chint_voltage_in_tenths_and_what_it_cannot_be() -> None:
    chint = shipped_maps()["modbus_dtsu666"]
    words = {(3, r.address + n): 0 for r in chint.registers for n in (0, 1)}
    words[3, 0x2006], words[3, 0x2007] = 0x450F, 0xD000  # 2301.0
    words[3, 0x2008], words[3, 0x2009] = 0x4640, 0xE400  # 12345.0
    found = {q.obis: q for q in decode_registers(chint, words)}
    assert (found["1-0:32.7.0"].value, found["1-0:32.7.0"].scale) == (230_100, 1000)
    assert (found["1-0:52.7.0"].value, found["1-0:52.7.0"].bad) == (None, "implausible")
    assert (found["1-0:14.7.0"].value, found["1-0:14.7.0"].bad) == (None, "implausible")  # 0 Hz


def test_more_than_a_database_holds_is_no_value() -> None:
    words = {(4, n): 0 for n in range(80)} | {(4, 72): 0x7F7F, (4, 73): 0xFFFF}
    (energy,) = [q for q in decode_registers(SDM630, words) if q.obis == "1-0:1.8.0"]
    assert (energy.value, energy.bad) == (None, "implausible")


def test_the_example_of_the_documentation() -> None:
    found = read(EXAMPLE, (0x100, 0x2345), (0x101, 1), (0x104, 0xFFF6))
    assert [(q.obis, q.value, q.scale, q.bad) for q in found] == [
        ("1-0:1.8.0", (1 << 16 | 0x2345) * 10, 1, ""),
        ("1-0:36.7.0", -10, 1, ""),
    ]
    (_, power) = read(EXAMPLE, (0x100, 0), (0x101, 0), (0x104, 0x8000))
    assert (power.value, power.bad) == (None, "implausible")  # -32768 W


def test_every_field_is_in_the_documentation_and_no_other() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", DOCS.read_text(encoding="utf-8"), re.M))
    # a field that both have stands in the second table last
    assert rows == MAP_FIELDS | REGISTER_FIELDS


ROW = (
    '{{address: 8, obis: "1-0:1.8.0", name: e, unit: V, scale: {scale}, decimals: 1, type: {type}}}'
)
TOP = """schema: 1
protocol: modbus_x
name: X
source: nowhere
function: 4
type: uint16
max_words: 10
registers:
"""


@pytest.mark.parametrize(
    ("kind", "order", "words", "value"),
    [
        ("uint16", "high_first", [0xFFFF], 65535),
        ("int16", "high_first", [0xFFFF], -1),
        ("uint32", "high_first", [0x0001, 0x0002], 0x10002),
        ("uint32", "low_first", [0x0001, 0x0002], 0x20001),
        ("int32", "low_first", [0xFFFE, 0xFFFF], -2),
        ("uint64", "high_first", [0, 0, 1, 0], 65536),
        ("int64", "low_first", [0xFFFF] * 4, -1),
        ("float32", "low_first", [0, 0x4120], 10),
    ],
)
def test_types_and_word_orders(kind: str, order: str, words: list[int], value: int) -> None:
    row = ROW.format(scale="0.1", type=f"{kind}, word_order: {order}")
    (found,) = read(f"{TOP}  - {row}\n", *enumerate(words, start=8), function=4)
    assert (found.value, found.scale) == (value, 10)


def test_the_rounding_is_the_one_that_is_named() -> None:
    half = (0x3E80, 0)  # 0.25, in tenths 2.5
    for rule, value in {"half_up": 3, "half_even": 2, "ceil": 3, "floor": 2}.items():
        row = ROW.format(scale="1", type="float32")
        (found,) = read(
            f"rounding: {rule}\n{TOP}  - {row}\n", *enumerate(half, start=8), function=4
        )
        assert found.value == value


def test_reads_are_grouped_by_function_and_gap() -> None:
    rows = (
        Register(40, "d", "d", "", 1, 1, function=3),
        Register(0, "a", "a", "", 1, 1),
        Register(2, "b", "b", "", 1, 1),
        Register(8, "c", "c", "", 1, 1),
        Register(0, "e", "e", "", 1, 1, function=3, type="uint16"),
    )
    wide = RegisterMap("wide", 4, 80, rows)
    assert plan_reads(wide) == (RegisterRead(3, 0, 42), RegisterRead(4, 0, 10))
    narrow = RegisterMap("narrow", 4, 80, rows, max_gap=3)
    assert plan_reads(narrow) == (
        RegisterRead(3, 0, 1),
        RegisterRead(3, 40, 2),
        RegisterRead(4, 0, 4),
        RegisterRead(4, 8, 2),
    )


def test_a_directory_adds_and_overrides(tmp_path: Path) -> None:
    (tmp_path / "ours.yaml").write_text(EXAMPLE, encoding="utf-8")
    text = (SHIPPED / "eastron_sdm630.yaml").read_text(encoding="utf-8")
    (tmp_path / "630.yaml").write_text(text.replace("Eastron SDM630\n", "Old\n"), encoding="utf-8")
    found = load_maps(tmp_path)
    assert found["modbus_ours"].name == "Example 1P"
    assert found["modbus_sdm630"].name == "Old"
    assert len(found) == 5
    (tmp_path / "twice.yaml").write_text(EXAMPLE, encoding="utf-8")
    with pytest.raises(BadInput, match=r"twice.yaml protocol: 'modbus_ours' is that of ours.yaml"):
        load_maps(tmp_path)
    with pytest.raises(BadInput, match="is no directory"):
        load_maps(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("schema: 1", "schema: 2", "line 2 schema: '2' is not known (use one of 1)"),
        ("protocol: modbus_ours", "protocol: ours", "line 3 protocol: 'ours' is no name"),
        ("name: Example 1P", "name:", "line 4 name: is missing (maker and model, for people)"),
        ("name: Example 1P", "name: [a]", "line 4 name: is no single value"),
        ("function: 3", "function: 6", "line 6 function: '6' is not allowed (give 3 to 4)"),
        ("type: uint32", "type: float", "line 7 type: 'float' is not known"),
        ("word_order: low_first", "word_order: little", "word_order: 'little' is not known"),
        (
            "max_words: 60",
            "max_words: 126",
            "line 9 max_words: '126' is not allowed (give 1",
        ),
        ("max_words: 60", "max_words: 1", "line 11 type: a uint32 has 2 words, max_words is 1"),
        ("max_words: 60", "max_words: 60\nmax_gap: -1", "line 10 max_gap: '-1' is not allowed"),
        ("max_words: 60", "max_words: 60\nrounding: up", "line 10 rounding: 'up' is not known"),
        ("max_words: 60", "max_words: 60\nbaud: 9600", "line 10 baud: is no field (use schema, "),
        ("max_words: 60", "max_words: 60\nmax_words: 60", "line 10 max_words: stands there twice"),
        ("0x0100", "70000", "line 11 address: '70000' is not allowed (give 0 to 65534)"),
        ("0x0104", "0x0101", "line 13 address: overlaps the register of line 11"),
        ("1-0:36.7.0", "36.7.0", "line 13 obis: '36.7.0' is no OBIS code (write it like"),
        ("1-0:36.7.0", "1-0:1.8.0", "line 13 obis: 1-0:1.8.0 is that of line 11 too"),
        ("unit: Wh", "unit: kWh", "line 11 unit: 'kWh' is not known (use one of Wh, varh"),
        (
            "scale: 10,",
            "scale: 10.5,",
            "line 11 scale: '10.5' has more digits than 1/1 (",
        ),
        ("scale: 10,", "scale: 1e3,", "line 11 scale: '1e3' is no decimal number"),
        ("scale: 10,", "scale: 0,", "line 11 scale: '0' is not positive"),
        (
            "decimals: 0,\n     least: 0",
            "decimals: 2,\n     least: 0",
            "decimals: 2 for Wh (give 0",
        ),
        (
            "decimals: 0,\n     least: 0",
            "decimals: 7,\n     least: 0",
            "decimals: '7' is not allowed",
        ),
        ("least: -20000", "least: 30000", "line 14 most: is below least"),
        ("least: -20000", "least: cold", "line 14 least: 'cold' is no decimal number"),
        ("unconfirmed: true", "unconfirmed: yes", "line 14 unconfirmed: 'yes' is not known"),
        ("{address: 0x0104, ", "{", "line 13 address: is missing (of the first word"),
        (EXAMPLE[EXAMPLE.index("registers:") :], "", "line 2 registers: has no rows"),
        (EXAMPLE[EXAMPLE.index("registers:") :], "registers: [a]", "line 10: is no mapping"),
        (EXAMPLE, "- a", "line 1: is no mapping"),
        (EXAMPLE, "", "map.yaml: is empty (write it like docs/modbus-maps.md)"),
        (EXAMPLE, "a: [", "map.yaml line 1: is no YAML: "),
        (EXAMPLE, "a\x00: b", "map.yaml: is no YAML text"),
    ],
)
def test_what_is_wrong_is_named_by_line_and_field(old: str, new: str, problem: str) -> None:
    assert old in EXAMPLE
    with pytest.raises(BadInput) as caught:
        parse_map(EXAMPLE.replace(old, new), "map.yaml")
    assert problem in str(caught.value)
    assert str(caught.value).startswith("map.yaml")


def test_a_file_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "gbk.yaml").write_bytes("name: 电表".encode("gbk"))
    with pytest.raises(BadInput, match="is not UTF-8 text"):
        load_map(tmp_path / "gbk.yaml")
