"""Reads a register map of a Modbus meter from a YAML file; an example is in docs/modbus-maps.md.

    load_map(Path("modbus_maps/eastron_sdm120.yaml")).protocol     "modbus_sdm120"
    load_maps(Path("/etc/gridledger/modbus"))                      shipped maps and the directory's

The fields of a file (`MAP_FIELDS`) and of each row under `registers` (`REGISTER_FIELDS`) are listed
below with what they mean; `gridledger protocols check FILE` says what is wrong, by line and field.
Every scalar is read as the text that stands there, so that a decimal never becomes a binary float.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import yaml

from libs.events.documents import read_text
from libs.events.errors import BadInput
from libs.events.quantities import ROUNDING, parse_scaled
from services.ingest.protocols.modbus_registers import (
    FUNCTIONS,
    WORD_ORDERS,
    WORDS,
    Register,
    RegisterMap,
)

SHIPPED = Path(__file__).parent / "modbus_maps"
SCHEMA = "1"
MAP_FIELDS = {
    "schema": "1: the version of this format",
    "protocol": "what installations call it: modbus_ and small letters, digits, _",
    "name": "maker and model, for people",
    "source": "where the rows are from (a row may name its own)",
    "function": "3 (holding registers) or 4 (input registers), of rows that name none",
    "type": "float32, uint16, int16, uint32, int32, uint64 or int64, of rows that name none",
    "word_order": "high_first (default) or low_first, of rows that name none",
    "rounding": "of float32 to its decimals: half_up (default), half_even, floor, ceil, truncate",
    "max_words": "the most words that one request may ask, 1 to 125",
    "max_gap": "the most words without a row that a request may read over; without it: any number",
    "registers": "the rows",
}
REGISTER_FIELDS = {
    "address": "of the first word, from 0: 72 or 0x48 (a manual's 30073 is 72)",
    "obis": "1-0:C.D.E of the quantity",
    "name": "for people",
    "unit": "of the quantity: Wh, varh, W, var, VA, V, A, Hz, or 1 for a bare number",
    "scale": "exact decimal: the number on the wire times this is the quantity in its unit",
    "decimals": "how many decimals of the unit are kept, 0 to 6",
    "function": "3 or 4, where it differs from the map's",
    "type": "where it differs from the map's",
    "word_order": "where it differs from the map's",
    "least": "exact decimal in the unit: a smaller value is implausible, so there is none",
    "most": "exact decimal in the unit: a larger value is implausible, so there is none",
    "source": "where the row is from, where it differs from the map's",
    "unconfirmed": "true when nobody compared the row with the manual or a meter",
}
UNITS = ("Wh", "varh", "VAh", "W", "var", "VA", "V", "A", "Hz", "1")
_NEEDED_OF_MAP = ("schema", "protocol", "name", "source", "function", "type", "max_words")
_NEEDED_OF_ROW = ("address", "obis", "name", "unit", "scale", "decimals")
_PROTOCOL = re.compile(r"modbus_[a-z0-9_]{1,32}")
_OBIS = re.compile(r"[0-9]-[0-9]{1,3}:[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}")
_WHOLE = re.compile(r"0x[0-9A-Fa-f]{1,4}|[0-9]{1,5}")
_LAST_ADDRESS = 0xFFFF
MAX_WORDS = 125
"""Of one read (Modbus application protocol 1.1b3, 6.3)."""
ENERGY_DECIMALS = 0
"""Energy registers are whole Wh or varh everywhere."""


def load_map(path: Path) -> RegisterMap:
    """The map in a file; BadInput names the file, the line, the field and the fix."""
    return parse_map(read_text(path), str(path))


def load_maps(directory: Path | None = None) -> dict[str, RegisterMap]:
    """Shipped maps by protocol, and those of `directory` (*.yaml), which win."""
    found: dict[str, RegisterMap] = {}
    for folder in (SHIPPED, directory):
        if folder is None:
            continue
        if not folder.is_dir():
            raise BadInput(str(folder), "is no directory", "name one with register maps (*.yaml)")
        here: dict[str, Path] = {}
        for path in sorted(folder.glob("*.yaml")):
            wanted = load_map(path)
            if wanted.protocol in here:
                other = here[wanted.protocol].name
                problem = f"{wanted.protocol!r} is that of {other} too"
                raise BadInput(f"{path} protocol", problem, "give each map its own")
            here[wanted.protocol] = path
            found[wanted.protocol] = wanted
    return found


@dataclass(frozen=True, slots=True)
class _Fields:
    """One mapping of the file: text and line by key, and where it stands."""

    file: str
    line: int
    nodes: Mapping[str, yaml.Node]

    def wrong(self, key: str, problem: str, fix: str) -> BadInput:
        """The error for one field; to be raised."""
        node = self.nodes.get(key)
        line = self.line if node is None else node.start_mark.line + 1
        return BadInput(f"{self.file} line {line} {key}", problem, fix)

    def text(self, key: str, default: str = "") -> str:
        """A scalar as it stands there; `default` when it is missing or empty."""
        node = self.nodes.get(key)
        if node is None:
            return default
        if not isinstance(node, yaml.ScalarNode):
            raise self.wrong(key, "is no single value", "write one value")
        return str(node.value).strip() or default

    def choice(self, key: str, known: tuple[str, ...], default: str = "") -> str:
        """A scalar that is one of `known`."""
        found = self.text(key, default)
        if found not in known:
            raise self.wrong(key, f"{found!r} is not known", f"use one of {', '.join(known)}")
        return found

    def whole(self, key: str, least: int, most: int) -> int:
        """A whole number, decimal or 0x..; bounds included."""
        text = self.text(key)
        number = int(text, 0 if text.startswith("0x") else 10) if _WHOLE.fullmatch(text) else -1
        if not least <= number <= most:
            raise self.wrong(key, f"{text!r} is not allowed", f"give {least} to {most}")
        return number

    def scaled(self, key: str, scale: int, fix: str) -> int:
        """An exact decimal as an integer of 1/scale."""
        try:
            return parse_scaled(self.text(key), scale, key)
        except BadInput as error:
            raise self.wrong(key, error.problem, fix) from None


def parse_map(text: str, file: str) -> RegisterMap:
    """The map in a text; `file` names it in errors."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" line {mark.line + 1}" if mark is not None else ""
        problem = f"is no YAML: {error.problem}"
        raise BadInput(f"{file}{where}", problem, "correct it there") from None
    except (yaml.YAMLError, RecursionError):
        raise BadInput(file, "is no YAML text", "write it like docs/modbus-maps.md") from None
    if root is None:
        raise BadInput(file, "is empty", "write it like docs/modbus-maps.md")
    top = _fields(file, root, MAP_FIELDS, _NEEDED_OF_MAP)
    top.choice("schema", (SCHEMA,))
    protocol = top.text("protocol")
    if not _PROTOCOL.fullmatch(protocol):
        raise top.wrong("protocol", f"{protocol!r} is no name", "write it like modbus_sdm120")
    rows = top.nodes.get("registers")
    if not isinstance(rows, yaml.SequenceNode) or not rows.value:
        raise top.wrong("registers", "has no rows", "give at least one")
    given_gap = "max_gap" in top.nodes
    max_words = top.whole("max_words", 1, MAX_WORDS)
    registers = [_register(file, node, top) for node in rows.value]
    _refuse_doubles(file, rows, registers, max_words)
    return RegisterMap(
        name=top.text("name"),
        function=top.whole("function", *FUNCTIONS),
        max_words=max_words,
        registers=tuple(registers),
        max_gap=top.whole("max_gap", 0, MAX_WORDS) if given_gap else None,
        rounding=top.choice("rounding", tuple(ROUNDING), "half_up"),
        protocol=protocol,
    )


def _fields(
    file: str, node: yaml.Node, known: Mapping[str, str], needed: tuple[str, ...]
) -> _Fields:
    """The fields of one mapping, with nothing unknown, doubled or missing."""
    line = node.start_mark.line + 1
    if not isinstance(node, yaml.MappingNode):
        raise BadInput(f"{file} line {line}", "is no mapping", "write `field: value` pairs")
    nodes: dict[str, yaml.Node] = {}
    for key_node, value in node.value:
        key = str(key_node.value)
        where = f"{file} line {key_node.start_mark.line + 1} {key}"
        if key not in known:
            raise BadInput(where, "is no field", f"use {', '.join(known)}")
        if key in nodes:
            raise BadInput(where, "stands there twice", "leave one out")
        nodes[key] = value
    fields = _Fields(file, line, nodes)
    for key in needed:
        if not fields.text(key):
            raise fields.wrong(key, "is missing", known[key])
    return fields


def _register(file: str, node: yaml.Node, top: _Fields) -> Register:
    row = _fields(file, node, REGISTER_FIELDS, _NEEDED_OF_ROW)
    kind = row.choice("type", tuple(WORDS), top.choice("type", tuple(WORDS)))
    obis, unit = row.text("obis"), row.choice("unit", UNITS)
    if not _OBIS.fullmatch(obis):
        raise row.wrong("obis", f"{obis!r} is no OBIS code", "write it like 1-0:1.8.0")
    decimals = row.whole("decimals", 0, 6)
    if unit.endswith("h") and decimals != ENERGY_DECIMALS:
        raise row.wrong("decimals", f"{decimals} for {unit}", "give 0: energy is in whole units")
    scale = 10**decimals
    fix = f"give a positive decimal with at most {decimals} decimals, or more `decimals`"
    factor = row.scaled("scale", scale, fix)
    if factor <= 0:
        raise row.wrong("scale", f"{row.text('scale')!r} is not positive", fix)
    bounds = {
        key: row.scaled(key, scale, f"give a decimal with at most {decimals} decimals")
        for key in ("least", "most")
        if key in row.nodes
    }
    least, most = bounds.get("least"), bounds.get("most")
    if least is not None and most is not None and least > most:
        raise row.wrong("most", "is below least", "give the larger number")
    return Register(
        address=row.whole("address", 0, _LAST_ADDRESS - WORDS[kind] + 1),
        obis=obis,
        name=row.text("name"),
        unit="" if unit == "1" else unit,
        factor=factor,
        scale=scale,
        confirmed=row.choice("unconfirmed", ("true", "false"), "false") == "false",
        function=row.whole("function", *FUNCTIONS) if "function" in row.nodes else 0,
        type=kind,
        word_order=row.choice("word_order", WORD_ORDERS, top.text("word_order", WORD_ORDERS[0])),
        least=least,
        most=most,
        source=row.text("source", top.text("source")),
    )


def _refuse_doubles(
    file: str, rows: yaml.SequenceNode, registers: list[Register], max_words: int
) -> None:
    """One code per quantity, no word in two registers, and every register in one request."""
    codes: dict[str, int] = {}
    places: list[tuple[int, int, int, int]] = []
    for node, register in zip(rows.value, registers, strict=True):
        line = node.start_mark.line + 1
        if register.obis in codes:
            problem = f"{register.obis} is that of line {codes[register.obis]} too"
            raise BadInput(f"{file} line {line} obis", problem, "give each quantity its own")
        codes[register.obis] = line
        if register.words > max_words:
            problem = f"a {register.type} has {register.words} words, max_words is {max_words}"
            raise BadInput(f"{file} line {line} type", problem, "ask more words at a time")
        places.append((register.function, register.address, register.words, line))
    for first, second in pairwise(sorted(places)):
        if first[0] == second[0] and second[1] < first[1] + first[2]:
            problem = f"overlaps the register of line {first[3]}"
            raise BadInput(f"{file} line {second[3]} address", problem, "correct one of them")
