"""The text that names a meter behind a concentrator, and the lines that reach one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from libs.events.errors import BadInput
from services.ingest.behind import Behind, lane_name, parse_behind, reach
from services.ingest.concentrator_settings import ConcentratorSettings
from services.ingest.line_file import CONCENTRATOR_FIELDS, LineBook, load_lines, parse_line
from services.ingest.lines import Lines
from services.ingest.protocols.qgdw376.profile import STANDARD

PLACE = "0200-12ab/17/000000000161"


def test_a_place_has_a_concentrator_a_point_and_a_meter() -> None:
    assert parse_behind(PLACE) == Behind("0200-12AB", 17, "000000000161")
    assert reach("qgdw376", "listen:0.0.0.0:5100", PLACE) == (
        "listen:0.0.0.0:5100/0200-12AB",
        "000000000161",
    )
    assert reach("dlt645_2007", "tcp:h:1", "000000000161") == ("tcp:h:1", "000000000161")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "names no meter behind"),
        ("000000000161", "names no meter behind"),
        ("0200-1234/17", "names no meter behind"),
        ("0200-1234/17/000000000161/1", "names no meter behind"),
        ("0200/17/000000000161", "address"),
        ("0200-FFFF/17/000000000161", "names no one concentrator"),
        ("0200-1234//000000000161", "no measurement point"),
        ("0200-1234/0/000000000161", "no measurement point"),
        ("0200-1234/2041/000000000161", "no measurement point"),
        ("0200-1234/-1/000000000161", "no measurement point"),
        ("0200-1234/\N{SUPERSCRIPT TWO}/000000000161", "no measurement point"),
        ("0200-1234/17/161", "no meter's address"),
        ("0200-1234/17/999999999999", "no meter's address"),
        ("0200-1234/17/AAAAAAAAAAAA", "no meter's address"),
    ],
)
def test_what_is_no_place(text: str, problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        parse_behind(text)
    assert lane_name("qgdw376", "tcp:h:1", text) == "tcp:h:1", "it queues, and is refused there"


@pytest.mark.parametrize(
    ("name", "wire", "base", "host"),
    [
        ("tcp:H:5100/0200-12ab", "tcp:h:5100/0200-12AB", "tcp:h:5100", "h"),
        ("listen:0.0.0.0:5100/0200-0001", "listen:0.0.0.0:5100/0200-0001",
         "listen:0.0.0.0:5100", "0200-0001"),
    ],
)  # fmt: skip
def test_a_concentrators_line(name: str, wire: str, base: str, host: str) -> None:
    line = parse_line(name)
    assert (line.wire, line.base, line.host) == (wire, base, host)


@pytest.mark.parametrize("name", ["listen:5100", "listen:h:1/", "listen:h:1/x", "tcp:h:1/0200"])
def test_what_is_no_concentrators_line(name: str) -> None:
    with pytest.raises(BadInput):
        Lines(b"key")._find(name)


@pytest.mark.parametrize("first", ["tcp:h:1/0200-0001", "tcp:h:1"])
def test_meters_and_a_concentrator_do_not_share_a_wire(first: str) -> None:
    lines = Lines(b"key")
    second = "tcp:h:1" if "/" in first else "tcp:h:1/0200-0001"
    with lines.taken(first):
        pass
    with pytest.raises(BadInput, match="cannot share it"), lines.taken(second):
        pass
    with lines.taken("tcp:h:2/0200-0001"), lines.taken("tcp:h:2/0200-0002"):
        pass
    lines.close()


def test_fields_of_a_concentrator_come_from_its_kind_its_port_and_itself(tmp_path: Path) -> None:
    file = tmp_path / "lines.json"
    document = {
        "listen:*": {"answer_ms": 1500, "tries": 3},
        "listen:0.0.0.0:5100": {"login_ms": 7000, "answer_ms": 2500},
        "tcp:h:1/0200-0001": {"forward_s": 30, "points_per_request": 8, "curve_offset": 1},
    }
    file.write_text(json.dumps({"lines": document}), encoding="utf-8")
    book = load_lines(file)
    one = parse_line("listen:0.0.0.0:5100/0200-0001")
    own = book.concentrator_of(one)
    assert (own.answer_s, own.login_s, own.idle_s) == (2.5, 7.0, 1800.0)
    assert book.settings_of(one).tries == 3
    assert own.link(3, b"key").login_s == 7.0
    dialled = book.concentrator_of(parse_line("tcp:h:1/0200-0001"))
    profile = dialled.profile()
    assert (profile.points_per_request, profile.first_point_offset) == (8, 1)
    assert profile.forwarding.timeout_ms == 30_000
    assert [line.base for line in book.listening()] == ["listen:0.0.0.0:5100"]
    assert LineBook().listening() == []


def test_every_field_of_a_concentrator_has_its_bounds(tmp_path: Path) -> None:
    assert ConcentratorSettings().profile() == STANDARD
    file = tmp_path / "lines.json"
    for name, about in CONCENTRATOR_FIELDS.items():
        assert hasattr(ConcentratorSettings(), about.name), name
        for line, value in (("tcp:h:1", about.highest + 1), ("serial:/dev/x", about.lowest)):
            file.write_text(json.dumps({"lines": {line: {name: value}}}), encoding="utf-8")
            with pytest.raises(BadInput, match=name):
                load_lines(file)
