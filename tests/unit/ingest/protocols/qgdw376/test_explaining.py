"""Explained frames: every byte in exactly one part, values by hand, nothing of a stream lost."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.protocols.explanation import Explained, Explainer, Part, Unexplained
from services.ingest.protocols.qgdw376.archive import ArchiveEntry
from services.ingest.protocols.qgdw376.explaining import Qgdw376Explainer, explainer
from services.ingest.protocols.qgdw376.frame import encode_frame, parse_address
from services.ingest.protocols.qgdw376.layout_file import load_layouts
from services.ingest.protocols.qgdw376.layouts import parse_layouts
from services.ingest.protocols.qgdw376.requests import (
    archive_query,
    archive_setting,
    clock_request,
    current_request,
    curve_request,
    day_freeze_request,
    event_request,
    frame_of,
    permit_close_request,
    trip_request,
)
from tests.unit.ingest.protocols.qgdw376.frames import OUTER, down, up, wire

HERE = parse_address("0200-1234")


def explained(raw: bytes) -> Explained:
    chosen: Explainer = explainer()
    (found,) = [*chosen.feed(raw), *chosen.end()]
    assert isinstance(found, Explained)
    check(found, raw)
    return found


def check(found: Explained, raw: bytes) -> None:
    """Parts are the bytes, without gap or overlap; inner frames lie within."""
    place = 0
    for part in found.parts:
        assert part.offset == place
        assert part.raw_hex
        place += len(part.raw_hex) // 2
    assert "".join(part.raw_hex for part in found.parts) == found.raw_hex == raw.hex()
    for inner in found.inner:
        size = len(inner.raw_hex) // 2
        check(inner, raw[inner.offset : inner.offset + size])


def body(found: Explained) -> list[tuple[str, str]]:
    """Names and values behind the sequence, without checksum and end."""
    return [(part.name, part.value) for part in found.parts[10:-2]]


def part(found: Explained, name: str) -> Part:
    return next(each for each in found.parts if each.name == name)


@pytest.mark.parametrize("name", sorted(OUTER))
def test_golden_frames_are_explained_whole(name: str) -> None:
    found = explained(OUTER[name])
    assert found.protocol == "qgdw376"
    assert found.summary.startswith("0200-1234 ")
    assert found.fields["address"] == "0200-1234"


def test_the_forwarding_of_the_capture_carries_a_meter_frame() -> None:
    found = explained(OUTER["c05"])
    (inner,) = found.inner
    assert (inner.protocol, inner.offset) == ("dlt645", 24)
    assert inner.summary == "meter 151230011061: control code 11H, 4 bytes"
    assert part(inner, "data").value == "00000100"
    assert part(found, "line").value == "2400 baud, 8 bits, even, 1 stop"
    assert (part(found, "time-out").value, part(found, "time-out").unit) == ("60000", "ms")
    secret = part(found, "password PW")
    assert (secret.value, secret.reason) == ("", "secret")
    assert part(found, "sent (day and time)").value == "21 23:51:13"
    assert explained(OUTER["c06"]).inner[0].summary.endswith("control code 91H, 8 bytes")
    assert explained(OUTER["c04"]).fields["events"] == [17, 0]


def test_registers_are_named_by_obis() -> None:
    found = explained(up("0D", "01010114 310126 3000010226 00 5634120000"))
    assert body(found) == [
        ("identifier DA DT", "p1 F161"),
        ("p1 F161 tag", "2026-01-31"),
        ("p1 F161 read_at", "2026-01-31T16:30:00Z"),
        ("p1 F161 rates", "0"),
        ("p1 F161 import active energy", "12345.6"),
    ]
    value = part(found, "p1 F161 import active energy")
    assert (value.obis, value.unit) == ("1-0:1.8.0", "Wh")
    assert found.fields["values"][-1] == {  # type: ignore[index]
        "pn": 1, "fn": 161, "name": "import active energy", "value": "12345.6", "unit": "Wh",
        "obis": "1-0:1.8.0", "reason": "",
    }  # fmt: skip


def test_no_value_and_demand() -> None:
    found = explained(up("0D", "01010114 310126 3000010226 00 eeeeeeeeee"))
    assert part(found, "p1 F161 import active energy").reason == "no_value"
    demand = explained(up("0D", "01010118 0126 3000010226 00 563412 30123101"))
    shown = part(demand, "p1 F193 import maximum demand").value
    assert shown == "12345.6 at 2026-01-31T04:30:00Z"
    power = "563492" + "000000" * 7 + "0000" * 7 + "000000" * 8
    found = explained(up("0C", f"01010103 0010020126 {power}"))
    assert part(found, "p1 F25 active power").value == "-12345.6"


def test_an_identifier_of_several_points_stands_once() -> None:
    one = "310126 3000010226 00 5634120000"
    names = [name for name, _ in body(explained(up("0D", f"03010114 {one} {one}")))]
    assert names[:2] == ["identifier DA DT", "p1 F161 tag"]
    assert names.count("identifier DA DT") == 1
    assert names[-1] == "p2 F161 import active energy"


REQUESTS = {
    "data": current_request((1, 2), (129,)),
    "day": day_freeze_request((1,), (161,), "2026-01-31"),
    "curve": curve_request((1,), (101,), "2026-01-30T16:00:00Z", 1, 96),
    "query": archive_query((1, 2)),
    "archive": archive_setting([ArchiveEntry(number=1, pn=1, address="000000000161")]),
    "events": event_request(1, 0, 3),
    "trip": trip_request(2, 5, 1),
    "permit": permit_close_request(2),
    "clock": clock_request("2026-01-31T15:59:58Z"),
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("data", [("identifier DA DT", "p1 p2 F129")]),
        ("day", [("identifier DA DT", "p1 F161"), ("time tag", "2026-01-31")]),
        ("curve", [("identifier DA DT", "p1 F101"), ("time tag", "2026-01-30T16:00:00Z"),
                   ("density", "1"), ("points", "96")]),
        ("query", [("identifier DA DT", "p0 F10"), ("entries", "2"), ("entry number", "1"),
                   ("entry number", "2")]),
        ("archive", [("identifier DA DT", "p0 F10"), ("entries", "1"), ("entry number", "1"),
                     ("point", "p1"), ("baud and port", "2400 baud, port 31"),
                     ("protocol", "dlt645_2007"), ("meter address", "000000000161"),
                     ("meter password", ""), ("rates", "4"), ("digits", "6.2"),
                     ("collector address", "000000000000"), ("classes", "user 0, meter 0"),
                     ("password PW", "")]),
        ("events", [("identifier DA DT", "p0 F1"), ("from record", "0"), ("to record", "3")]),
        ("trip", [("identifier DA DT", "p2 F1"), ("trip", "alarm 5 min, limit 1 half hours"),
                  ("password PW", "")]),
        ("permit", [("identifier DA DT", "p2 F2"), ("password PW", "")]),
        ("clock", [("identifier DA DT", "p0 F31"), ("clock", "2026-01-31T15:59:58Z"),
                   ("password PW", "")]),
    ],
)  # fmt: skip
def test_what_we_build_is_explained(name: str, expected: list[tuple[str, str]]) -> None:
    found = explained(encode_frame(frame_of(REQUESTS[name], HERE, 3)))
    assert body(found) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (up("00", "00000400 04 00000201 01"),
         [("identifier DA DT", "p0 F3"), ("of AFN", "4"), ("identifier DA DT", "p0 F10"),
          ("error (0 is none)", "1")]),
        (wire("C9 00 02 34 12 00 02 71 00000400 58592331c126"),
         [("identifier DA DT", "p0 F3"), ("terminal clock", "2026-01-31T15:59:58Z")]),
        (up("0E", "00000100 0500 0304 0e05 3012310126 2102 ffff 6306 3012310126 aa"),
         [("identifier DA DT", "p0 F1"), ("important events EC1", "5"),
          ("general events EC2", "0"), ("from record", "3"), ("to record", "4"),
          ("event", "ERC14 terminal power off or on"), ("length", "5"),
          ("occurred", "2026-01-31T04:30:00Z"), ("event", "ERC33"), ("length", "2"),
          ("event data", "ffff"), ("event", "ERC99"), ("length", "6"),
          ("occurred", "2026-01-31T04:30:00Z"), ("event data", "aa")]),
        (up("0B", "00000100 aabb"), [("identifier DA DT", "p0 F1"), ("data", "")]),
        (up("00", "00000100 aa"), [("identifier DA DT", "p0 F1"), ("more bytes", "")]),
        (wire("C9 00 02 34 12 00 02 71 00000100"), [("identifier DA DT", "p0 F1")]),
        (up("00", "00000000"), [("not readable", "")]),
        (up("0A", "00000401 aa"), [("identifier DA DT", "p0 F11"), ("not readable", "")]),
        (up("0A", "00000201 01"), [("identifier DA DT", "p0 F10"), ("not readable", "")]),
        (up("0D", "01010114 3101"), [("not readable", "")]),
        (down("0D", "01010100 310126"),
         [("identifier DA DT", "p1 F1"), ("time tag", "2026-01-31")]),
        (down("0D", "01010108 310126"), [("identifier DA DT", "p1 F65"), ("not readable", "")]),
        (down("0D", "01010114 3101"), [("identifier DA DT", "p1 F161"), ("not readable", "")]),
        (down("0C", "ff000110"), [("identifier DA DT", "every point F129")]),
        (down("05", "01010100" + "00" * 16), [("identifier DA DT", "p1 F1"), ("password PW", "")]),
        (up("10", "00000100 1f0300 68"),
         [("identifier DA DT", "p0 F1"), ("port", "31"), ("length", "3"), ("meter frame", "")]),
        (up("10", "00000100 1f0000"),
         [("identifier DA DT", "p0 F1"), ("port", "31"), ("length", "0")]),
        (down("10", "00000100 1f6b" + "00" * 16),
         [("identifier DA DT", "p0 F1"), ("not readable", ""), ("password PW", "")]),
    ],
)  # fmt: skip
def test_odd_bodies_are_explained_as_far_as_they_go(
    raw: bytes, expected: list[tuple[str, str]]
) -> None:
    assert body(explained(raw)) == expected


def test_what_nobody_can_read_says_why() -> None:
    found = explained(up("0D", "01010114 310126 3000010226 00 5634120000 01010108 aa"))
    assert part(found, "not readable").reason == "F65 of AFN 0DH is not in the table"
    address = explained(up("0A", "00000201 0100 0100 0100 7f1e 61ee00000000" + "00" * 15))
    assert "has the address" in part(address, "not readable").reason


def test_a_table_without_tags_is_explained_too() -> None:
    row = {
        "afn": "0D", "fn": "65", "name": "own", "field": "state", "format": "B1", "repeat": "",
        "obis": "", "unit": "", "status": "unconfirmed", "source": "",
    }  # fmt: skip
    own = Qgdw376Explainer(parse_layouts([row]))
    for raw in (down("0D", "01010108"), up("0D", "01010108 05")):
        (found,) = own.feed(raw)
        assert isinstance(found, Explained)
        check(found, raw)
        assert "not readable" not in [each.name for each in found.parts]


def test_another_explainer_may_explain_the_meters() -> None:
    seen = []

    def inner(content: bytes) -> Iterable[Explained | Unexplained]:
        seen.append(content)
        yield Unexplained(offset=0, raw_hex="68", reason="noise")
        yield Explained(protocol="x", offset=2, raw_hex="00", summary="", parts=())

    own = Qgdw376Explainer(load_layouts(), explain_inner=inner)
    (found,) = own.feed(OUTER["c05"])
    assert isinstance(found, Explained)
    assert [each.offset for each in found.inner] == [26]
    assert seen[0].hex().startswith("686110")


def test_a_noisy_capture_keeps_every_byte_in_its_place() -> None:
    stream = b"\x01\x02" + OUTER["c01"] + b"\x68" + OUTER["c05"] + OUTER["c02"][:9]
    chosen = explainer()
    found = [*chosen.feed(stream[:30]), *chosen.feed(stream[30:]), *chosen.end()]
    assert [type(each) for each in found] == [
        Unexplained, Explained, Unexplained, Explained, Unexplained,
    ]  # fmt: skip
    assert [getattr(each, "reason", "") for each in found] == [
        "noise",
        "",
        "noise",
        "",
        "incomplete",
    ]
    place = 0
    for each in found:
        assert each.offset == place
        place += len(each.raw_hex) // 2
    assert "".join(each.raw_hex for each in found) == stream.hex()


def test_noise_around_a_forwarded_frame_is_no_inner_frame() -> None:
    noisy = "00 01" + "68611001301215681104333334337b16"
    found = explained(up("10", f"00000100 1f1200 {noisy}"))
    assert [inner.offset for inner in found.inner] == [23]


@given(st.sampled_from([0, 2, 4, 5, 10, 12, 13, 14, 16]), st.booleans(), st.binary(max_size=80))
def test_any_body_is_covered_by_its_parts(afn: int, is_up: bool, data: bytes) -> None:
    head = bytes.fromhex("88 00 02 34 12 04" if is_up else "4B 00 02 34 12 04")
    tail = b"" if is_up or afn not in (4, 5, 16) else bytes(16)
    explained(wire(head + bytes((afn, 0x60)) + data + tail))
