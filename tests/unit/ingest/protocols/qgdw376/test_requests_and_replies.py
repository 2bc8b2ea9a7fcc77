"""Requests against bytes worked out by hand; answers, whole and broken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.ingest.protocols.failures import BadReply
from services.ingest.protocols.qgdw376.frame import Address, Frame, FrameReader, encode_frame
from services.ingest.protocols.qgdw376.layout_file import load_layouts
from services.ingest.protocols.qgdw376.replies import (
    UnitVerdict,
    decode_acknowledgement,
    decode_archive,
    decode_data,
    decode_events,
    decode_forwarded_frame,
    sort_out,
)
from services.ingest.protocols.qgdw376.requests import (
    ALL_DENIED,
    BUILDERS,
    HEARTBEAT,
    LOGIN,
    acknowledgement,
    archive_query,
    clock_request,
    current_request,
    curve_request,
    day_freeze_request,
    event_request,
    frame_of,
    link_frame,
    month_freeze_request,
    permit_close_request,
    trip_request,
)
from tests.unit.ingest.protocols.qgdw376.frames import OUTER, up, wire

HERE = Address("0200", 0x1234)


def came(raw: bytes) -> Frame:
    (found,) = FrameReader().feed(raw)
    assert isinstance(found, Frame)
    return found


@pytest.mark.parametrize(
    ("built", "afn", "body"),
    [
        (current_request((1, 2, 9), (129,)), 0x0C, "03010110 01020110"),
        (current_request((0,), (2,)), 0x0C, "00000200"),
        (day_freeze_request((1, 9), (161,), "2026-01-31"), 0x0D, "01010114310126 01020114310126"),
        (day_freeze_request((2, 1), (161,), "2026-01-31", single_points=False), 0x0D,
         "03010114310126"),
        (month_freeze_request((1,), (177, 179), "2026-01"), 0x0D, "010101160126 010104160126"),
        (curve_request((1,), (101,), "2026-01-30T16:00:00Z", 1, 96), 0x0D,
         "0101100c 0000310126 01 60"),
        (archive_query((1, 2)), 0x0A, "00000201 0200 0100 0200"),
        (event_request(1, 3, 9), 0x0E, "00000100 0309"),
        (trip_request(2, 5, 1), 0x05, "02010100 51"),
        (permit_close_request(8), 0x05, "80010200"),
        (clock_request("2026-01-31T15:59:58Z"), 0x05, "00004003 58592331c126"),
    ],
)  # fmt: skip
def test_requests_worked_out_by_hand(built: object, afn: int, body: str) -> None:
    assert (built.afn, built.body) == (afn, bytes.fromhex(body))  # type: ignore[attr-defined]


def test_only_what_changes_something_commands() -> None:
    assert not day_freeze_request((1,), (161,), "2026-01-31").commands
    assert not archive_query((1,)).commands
    assert trip_request(1).commands
    assert clock_request("2026-01-31T15:59:58Z").commands


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("current", ((), (1,))),
        ("day-freeze", ((), (161,), "2026-01-31")),
        ("day-freeze", ((1,), (161,), "2026-02-31")),
        ("day-freeze", ((3000,), (161,), "2026-01-31")),
        ("month-freeze", ((1,), (), "2026-01")),
        ("curve", ((1,), (101,), "2026-01-30T16:00:00Z", 9, 96)),
        ("curve", ((1,), (101,), "2026-01-30T16:00:00Z", 1, 256)),
        ("curve", ((1,), (101,), "yesterday", 1, 96)),
        ("events", (3, 0, 1)),
        ("events", (1, 0, 256)),
        ("trip", (9,)),
        ("trip", (1, 16)),
        ("trip", (1, 0, 16)),
        ("permit-close", (0,)),
        ("archive-query", ((),)),
    ],
)
def test_a_wrong_argument_is_named(name: str, arguments: tuple[object, ...]) -> None:
    with pytest.raises(BadInput):
        BUILDERS[name](*arguments)


def test_login_heartbeat_and_their_acknowledgement_are_the_captures() -> None:
    login = link_frame(HERE, LOGIN, 1)
    assert encode_frame(login) == OUTER["c01"]
    assert encode_frame(link_frame(HERE, HEARTBEAT, 1)) == OUTER["c03"]
    assert encode_frame(acknowledgement(came(OUTER["c01"]))) == OUTER["c02"]
    assert encode_frame(acknowledgement(login, ALL_DENIED)) != OUTER["c02"]


def test_a_request_becomes_a_frame_like_the_capture() -> None:
    captured = came(OUTER["c05"])
    frame = frame_of(BUILDERS["events"](1, 0, 1), captured.address, 19)
    assert (frame.sequence.number, frame.function, frame.starter) == (3, 11, True)
    assert encode_frame(frame).hex(" ")[:38] == "68 3a 00 3a 00 68 4b 00 02 34 12 04 0e"


# -- answers --------------------------------------------------------------------------------------


def test_acknowledgements() -> None:
    assert decode_acknowledgement(came(OUTER["c04"])).accepted
    assert not decode_acknowledgement(came(up("00", "00 00 02 00"))).accepted
    mixed = decode_acknowledgement(came(up("00", "00000400 04 00000201 00 03010100 02")))
    assert not mixed.accepted
    assert mixed.afn == 4
    assert mixed.units == (UnitVerdict(0, 10, 0), UnitVerdict(1, 1, 2), UnitVerdict(2, 1, 2))
    assert decode_acknowledgement(came(up("00", "00000400 04 00000201 00"))).accepted


@pytest.mark.parametrize(
    ("afn", "body"),
    [
        ("00", "00000800"), ("00", "00000300"), ("00", "0000"), ("00", "00000400"),
        ("00", "00000400 04 00000201"), ("00", "00000400 04 00000000 01"), ("0C", "00000100"),
    ],
)  # fmt: skip
def test_what_is_no_acknowledgement(afn: str, body: str) -> None:
    with pytest.raises(BadReply):
        decode_acknowledgement(came(up(afn, body)))


UNIT = "310126 3000010226 00 5634120000"


def test_units_stand_point_by_point_and_kind_by_kind() -> None:
    reactive = "310126 3000010226 00 56341200"
    body = f"01010114 {UNIT} 03010114 {UNIT} {UNIT} 01010314 {UNIT} {reactive}"
    found = decode_data(came(up("0D", body)), load_layouts())
    assert [(unit.pn, unit.fn) for unit in found.units] == [
        (1, 161), (1, 161), (2, 161), (1, 161), (1, 162),
    ]  # fmt: skip
    assert found.problem == ""
    assert [(each.identifier_offset, each.offset) for each in found.placed[:3]] == [
        (0, 4), (18, 22), (36, 36),
    ]  # fmt: skip
    assert found.rest_offset == len(bytes.fromhex(body))


def test_only_what_was_asked_counts_and_two_answers_that_differ_are_none() -> None:
    none, other = UNIT.replace("5634120000", "eeeeeeeeee"), UNIT.replace("5634", "5734")
    early = UNIT.replace("310126", "300126", 1)
    body = f"07010114 {UNIT} {UNIT} {none} 01010114 {UNIT} 02010114 {other} 08010114 {early}"
    units = decode_data(came(up("0D", f"{body} 80010114 {UNIT}")), load_layouts()).units
    asked = {(pn, 161) for pn in (1, 2, 3, 4, 5)}
    found = sort_out(units, asked, "2026-01-31")
    assert [(unit.pn, unit.quantities[0].value) for unit in found.units] == [(1, 123456)]
    assert found.absent == ((2, 161), (3, 161), (4, 161), (5, 161))
    assert [(unit.pn, unit.day_on) for unit in found.not_asked] == [
        (4, "2026-01-30"), (8, "2026-01-31"),
    ]  # fmt: skip
    assert found.problems == ("p2 F161 came twice and differs",)


@pytest.mark.parametrize(
    ("body", "units", "problem"),
    [
        (f"01010114 {UNIT} 01010120 00", 1, "names nothing"),
        (f"01010114 {UNIT} 0101011e 00", 1, "F241 of AFN 0DH is not in the table"),
        (f"01010114 {UNIT} 01010114 {UNIT[:20]}", 1, "p1 F161 ends within"),
        (f"01010114 {UNIT} 0000", 1, "names nothing"),
        (f"ff000114 {UNIT}", 0, "names nothing"),
    ],
)
def test_what_nobody_can_read_ends_the_units_and_is_told(
    body: str, units: int, problem: str
) -> None:
    found = decode_data(came(up("0D", body)), load_layouts())
    assert len(found.units) == units
    assert found.rest_offset == (18 if units else 0)
    assert problem in found.problem


@given(st.binary(max_size=120), st.sampled_from([0x0C, 0x0D]))
def test_any_body_is_read_without_an_error(body: bytes, afn: int) -> None:
    frame = came(wire(bytes.fromhex("88 00 02 34 12 04") + bytes((afn, 0x60)) + body))
    found = decode_data(frame, load_layouts())
    assert found.rest_offset <= len(body)
    assert bool(found.problem) == (found.rest_offset < len(body))


def test_an_archive_that_came() -> None:
    entry = "0200 0900 7f 1e 610100000000 112233445566 04 09 129078563412 41"
    found = decode_archive(came(up("0A", f"00000201 0100 {entry}")))
    assert (found[0].pn, found[0].address) == (9, "000000000161")
    for afn, body in (("0A", "00000401 0000"), ("0C", "00000201 0000")):
        with pytest.raises(BadReply, match="no archive"):
            decode_archive(came(up(afn, body)))


def test_the_forwarded_frame_of_the_capture() -> None:
    assert decode_forwarded_frame(came(OUTER["c06"])).hex() == (
        "686110013012156891083333" + "3433ab393333" + "4916"
    )
    for afn, body in (("10", "00000200 1f0000"), ("0C", "00000100 1f0000")):
        with pytest.raises(BadReply, match="nothing forwarded"):
            decode_forwarded_frame(came(up(afn, body)))


def test_events() -> None:
    body = "00000100 0502 0304 0e05 3012310126 2101 ff"
    found = decode_events(came(up("0E", body)))
    assert (found.important, found.general, found.first, found.last) == (5, 2, 3, 4)
    assert [(each.erc, each.occurred_at, each.raw_hex) for each in found.records] == [
        (14, "2026-01-31T04:30:00Z", "3012310126"), (33, "", "ff"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("afn", "body"),
    [("0E", "00000100 0502 03"), ("0C", "00000100 05020304"), ("0E", "00000100 05020304 0e"),
     ("0E", "00000100 05020304 0e00"), ("0E", "00000100 05020304 0e0530")],
)  # fmt: skip
def test_broken_events_are_a_bad_reply(afn: str, body: str) -> None:
    with pytest.raises(BadReply):
        decode_events(came(up(afn, body)))
