"""Names of lines, and the file that says of a line what its name does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from libs.events.errors import BadInput
from services.ingest.line_file import (
    DEFAULTS,
    FIELDS,
    HOST_LINES,
    LineBook,
    load_lines,
    open_port,
    parse_line,
)
from services.ingest.protocols.ports import SerialPort, TcpPort


def written(folder: Path, document: object) -> Path:
    """A file of lines."""
    file = folder / "lines.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document), "utf-8")
    return file


@pytest.mark.parametrize(
    ("name", "wire", "host", "baud"),
    [
        ("tcp:192.0.2.7:6001", "tcp:192.0.2.7:6001", "192.0.2.7", 0),
        ("tcp:Term-A:6001", "tcp:term-a:6001", "term-a", 0),  # one master, however it is spelt
        ("serial:/dev/ttyS1", "serial:/dev/ttyS1", "/dev/ttyS1", 0),
        ("serial:/dev/ttyS1:9600", "serial:/dev/ttyS1", "/dev/ttyS1", 9600),
        ("serial:/dev/by-path/pci-0:1.0-p0", "serial:/dev/by-path/pci-0:1.0-p0",
         "/dev/by-path/pci-0:1.0-p0", 0),
    ],
)  # fmt: skip
def test_a_name_means_a_wire_and_a_host(name: str, wire: str, host: str, baud: int) -> None:
    line = parse_line(name)
    assert (line.wire, line.host, line.baud) == (wire, host, baud)


@pytest.mark.parametrize(
    "name",
    ["", "tcp", "tcp:", "tcp:host", "tcp::1", "tcp:host:x", "tcp:host:0", "tcp:host:65536",
     "tcp:host:\N{SUPERSCRIPT TWO}", "serial:", "serial::9600", "udp:host:1"],
)  # fmt: skip
def test_what_is_no_line(name: str) -> None:
    with pytest.raises(BadInput, match=r"^line: .* is no line \(tcp:HOST:PORT, listen:"):
        parse_line(name)


def test_without_a_file_everything_has_its_default() -> None:
    book = load_lines(None)
    assert book.settings_of(parse_line("tcp:h:1")).baud == 115_200
    assert book.settings_of(parse_line("serial:/dev/ttyS1")).baud == 2400
    assert book.settings_of(parse_line("serial:/dev/ttyS1:9600")).baud == 9600
    assert book.settings_of(parse_line("tcp:h:1")).turnaround_s == DEFAULTS.turnaround_s == 0.3
    assert book.limit_of("h") == HOST_LINES


def test_a_line_has_its_own_over_those_of_its_kind(tmp_path: Path) -> None:
    book = load_lines(
        written(
            tmp_path,
            {
                "lines": {
                    "tcp:*": {"latency_ms": 200, "baud": 9600},
                    "tcp:192.0.2.7:6001": {"baud": 2400, "turnaround_ms": 500, "tries": 3},
                    "serial:/dev/ttyS1": {"inter_byte_ms": 50, "backoff_ms": 0},
                },
                "hosts": {"*": 4, "192.0.2.7": 1},
            },
        )
    )
    own = book.settings_of(parse_line("tcp:192.0.2.7:6001"))
    assert (own.baud, own.turnaround_s, own.latency_s, own.tries) == (2400, 0.5, 0.2, 3)
    other = book.settings_of(parse_line("tcp:192.0.2.8:6001"))
    assert (other.baud, other.latency_s, other.tries) == (9600, 0.2, 2)
    serial = book.settings_of(parse_line("serial:/dev/ttyS1:4800"))
    assert (serial.baud, serial.inter_byte_s, serial.backoff_s) == (4800, 0.05, 0.0)
    assert (book.limit_of("192.0.2.7"), book.limit_of("192.0.2.8")) == (1, 4)


def test_the_first_byte_of_a_slow_line_behind_a_terminal_has_its_time() -> None:
    """24 bytes there and one back at 2,400 baud, 500 ms to think, 200 ms each way."""
    book = LineBook({"tcp:h:1": {"baud": 2400, "turnaround_s": 0.5, "latency_s": 0.2}})
    settings = book.settings_of(parse_line("tcp:h:1"))
    assert settings.first_byte_s(24) == pytest.approx(25 * 11 / 2400 + 0.5 + 0.4)


def test_two_bit_rates_for_one_line_are_refused() -> None:
    book = LineBook({"serial:/dev/ttyS1": {"baud": 2400}})
    assert book.settings_of(parse_line("serial:/dev/ttyS1:2400")).baud == 2400
    with pytest.raises(BadInput, match=r"has 9600 baud by its name and 2400 by the file"):
        book.settings_of(parse_line("serial:/dev/ttyS1:9600"))


def test_the_port_is_that_of_the_name() -> None:
    line = parse_line("tcp:h:1")
    port = open_port(line, DEFAULTS)
    assert isinstance(port, TcpPort)
    assert port.name == line.wire
    line = parse_line("serial:/dev/ttyS1:9600")
    serial = open_port(line, LineBook().settings_of(line))
    assert isinstance(serial, SerialPort)
    assert serial.name == line.wire


WRONG: list[tuple[Any, str]] = [
    ("", r"lines.json: is empty"),
    ("{", r"lines.json: is no JSON at line 1"),
    ([], r"lines.json: document: is no object"),
    ({"line": {}}, r"lines.json: line: no such field \(did you mean lines\?"),
    ({"lines": []}, r"lines.json: lines: is no object"),
    ({"lines": {"tcp:h": {}}}, r"lines.tcp:h: is no line \(tcp:HOST:PORT, serial:PATH, tcp:\*"),
    ({"lines": {"serial:/dev/a:9600": {}}}, r'bit rate in its name \("serial:/dev/a" with "baud"'),
    ({"lines": {"tcp:h:1": 9600}}, r"lines.tcp:h:1: is no object"),
    ({"lines": {"tcp:h:1": {"bauds": 1}}}, r"lines.tcp:h:1.bauds: no such field .*mean baud\?"),
    (
        {"lines": {"tcp:h:1": {"zz": 1}}},
        r"no such field \(there are answer_ms, archive_h, backoff_ms, baud",
    ),
    ({"lines": {"tcp:h:1": {"baud": 0}}}, r"lines.tcp:h:1.baud: .*whole number from 50"),
    ({"lines": {"tcp:h:1": {"baud": "9600"}}}, r"lines.tcp:h:1.baud: '9600' is none that fits"),
    ({"lines": {"tcp:h:1": {"tries": True}}}, r"lines.tcp:h:1.tries: 'True' is none that fits"),
    ({"lines": {"tcp:h:1": {"turnaround_ms": 0.5}}}, r"turnaround_ms: '0.5' is none that fits"),
    ({"lines": {"tcp:h:1": {"connect_ms": 10**9}}}, r"connect_ms: .*whole number from 1 to 60000"),
    ({"hosts": {"h": 0}}, r"lines.json: hosts.h: .*whole number from 1 to 1000"),
    ({"hosts": 3}, r"lines.json: hosts: is no object"),
]


@pytest.mark.parametrize(("document", "problem"), WRONG)
def test_a_wrong_file_names_the_field_and_the_fix(
    tmp_path: Path, document: Any, problem: str
) -> None:
    with pytest.raises(BadInput, match=problem) as caught:
        load_lines(written(tmp_path, document))
    assert "\n" not in str(caught.value)


def test_another_encoding_is_told(tmp_path: Path) -> None:
    file = tmp_path / "lines.json"
    file.write_bytes('{"hosts": {"集中器": 1}}'.encode("gbk"))
    with pytest.raises(BadInput, match="is not UTF-8 text"):
        load_lines(file)


def test_the_example_is_a_file_of_lines() -> None:
    book = load_lines(Path(__file__).parents[3] / "docs" / "lines.example.json")
    found = book.settings_of(parse_line("tcp:192.0.2.7:6001"))
    assert (found.baud, found.turnaround_s, found.latency_s) == (2400, 0.5, 0.2)
    assert (book.limit_of("192.0.2.7"), book.limit_of("192.0.2.8")) == (1, 16)


def test_every_field_may_be_given(tmp_path: Path) -> None:
    given = {name: field.highest for name, field in FIELDS.items()}
    book = load_lines(written(tmp_path, {"lines": {"tcp:h:1": given}}))
    found = book.settings_of(parse_line("tcp:h:1"))
    for field in FIELDS.values():
        expected = field.highest / field.units if field.units else field.highest
        assert getattr(found, field.name) == expected
