"""What a master asks and a terminal answers: requests, archive, forwarding, events."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.ingest.protocols.failures import BadReply
from services.ingest.protocols.qgdw376.archive import (
    ArchiveEntry,
    Moved,
    compare_archive,
    decode_entries,
    encode_entries,
)
from services.ingest.protocols.qgdw376.forwarding import (
    Forwarding,
    decode_forwarded,
    decode_forwarding,
    encode_forwarded,
)
from services.ingest.protocols.qgdw376.frame import (
    Address,
    TimeTag,
    encode_frame,
)
from services.ingest.protocols.qgdw376.replies import (
    Acknowledgement,
    EventRecord,
    UnitVerdict,
    decode_acknowledgement,
    decode_archive,
    decode_events,
    decode_forwarded_frame,
)
from services.ingest.protocols.qgdw376.requests import (
    archive_query,
    archive_setting,
    clock_request,
    current_request,
    curve_request,
    day_freeze_request,
    event_request,
    forward_request,
    frame_of,
    link_frame,
    month_freeze_request,
    permit_close_request,
    trip_request,
)
from tests.unit.ingest.protocols.qgdw376.captures import CAPTURES, read_one, uplink
from tests.unit.ingest.protocols.vectors import raw

METER = bytes.fromhex("68 61 10 01 30 12 15 68 11 04 33 33 34 33 7B 16")
ENTRY = ArchiveEntry(number=1, pn=17, address="010000123456", password=b"\x01\x02\x03\x04\x05\x06")
ENTRY_HEX = "0100 1100 7f 1e 563412000001 010203040506 04 09 000000000000 00"


def test_capture_c05_is_built_from_its_request() -> None:
    request = forward_request(Forwarding(), METER)
    tag = TimeTag(0, "21 23:51:13", 5)
    frame = frame_of(request, Address("0200", 0x1234, 2), 0, time_tag=tag)
    assert encode_frame(frame) == CAPTURES["c05"]
    assert request.commands


@pytest.mark.parametrize(
    ("request_made", "body_hex"),
    [
        (current_request((1, 2, 9), (129,)), "03010110 01020110"),
        (day_freeze_request((2, 1), (161,), "2026-01-31"), "01010114310126 02010114310126"),
        (
            day_freeze_request((2, 1), (161,), "2026-01-31", single_points=False),
            "03010114310126",
        ),
        (month_freeze_request((1,), (177,), "2026-01"), "010101160126"),
        (curve_request((1,), (81,), "2026-01-30T16:00:00Z", 1, 96), "0101010a 0000310126 01 60"),
        (archive_query((1, 300)), "00000201 0200 0100 2c01"),
        (archive_setting((ENTRY,)), f"00000201 0100 {ENTRY_HEX}"),
        (event_request(1, 3, 7), "00000100 03 07"),
        (trip_request(2, 5, 3), "02010100 53"),
        (permit_close_request(2), "02010200"),
        (clock_request("2026-02-07T05:52:27Z"), "00004003 27521307c226"),
    ],
)
def test_requests_byte_for_byte(request_made: object, body_hex: str) -> None:
    assert request_made.body.hex() == body_hex.replace(" ", "")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "ask",
    [
        lambda: current_request((), (129,)),
        lambda: day_freeze_request((1,), (), "2026-01-31"),
        lambda: curve_request((1,), (81,), "2026-01-30T16:00:00Z", 9, 96),
        lambda: curve_request((1,), (81,), "2026-01-30T16:00:00Z", 1, 256),
        lambda: archive_query(()),
        lambda: archive_query((0,)),
        lambda: event_request(3, 0, 1),
        lambda: trip_request(9),
        lambda: trip_request(1, 16),
        lambda: permit_close_request(0),
    ],
)
def test_requests_that_are_refused(ask: object) -> None:
    with pytest.raises(BadInput):
        ask()  # type: ignore[operator]


def test_a_heartbeat_may_carry_the_clock() -> None:
    frame = link_frame(Address("0200", 1), 3, 17, datetime(2026, 2, 7, 13, 52, 27))  # noqa: DTZ001
    assert frame.body.hex() == "0000040027521307c226"
    assert frame.sequence.number == 1


def test_an_archive_is_read_as_it_was_written_without_its_password() -> None:
    raw_entries = encode_entries((ENTRY, replace(ENTRY, number=2, pn=0)))
    assert raw_entries[:29].hex() == "0200" + ENTRY_HEX.replace(" ", "")
    found = decode_entries(raw_entries)
    assert found == (ENTRY, replace(ENTRY, number=2, pn=0))
    assert [entry.password for entry in found] == [bytes(6), bytes(6)]
    assert "password" not in repr(ENTRY)
    frame = read_one(uplink(0x0A, "00000201 0100" + ENTRY_HEX))
    assert decode_archive(frame) == (ENTRY,)
    with pytest.raises(BadReply, match="no archive in AFN 0CH"):
        decode_archive(read_one(uplink(0x0C, "00000201")))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("number", 0),
        ("pn", 2041),
        ("port", 32),
        ("rates", 15),
        ("integer_digits", 3),
        ("decimals", 5),
        ("baud", 300),
        ("address", "1234"),
        ("address", "999999999999"),
        ("collector", "x" * 12),
        ("password", b"12345"),
    ],
)
def test_entries_that_are_not_written(name: str, value: object) -> None:
    with pytest.raises(BadInput) as told:
        encode_entries((replace(ENTRY, **{name: value}),))  # type: ignore[arg-type]
    assert told.value.field == name


def test_archives_that_cannot_be_read() -> None:
    for raw_hex in ("01", "0100", "0200" + ENTRY_HEX, "0000" + ENTRY_HEX):
        with pytest.raises(BadReply, match="another length"):
            decode_entries(bytes.fromhex(raw_hex))
    with pytest.raises(BadReply, match="entry 1 has the address 01000012345a"):
        decode_entries(bytes.fromhex("0100" + ENTRY_HEX.replace("563412", "5a3412")))


def test_archive_and_register_compared() -> None:
    def entry(number: int, pn: int, address: str) -> ArchiveEntry:
        return ArchiveEntry(number=number, pn=pn, address=address.zfill(12))

    same, moved, foreign = entry(1, 1, "1"), entry(2, 5, "2"), entry(3, 3, "3")
    installed = {"1".zfill(12): 1, "2".zfill(12): 2, "4".zfill(12): 4}
    found = compare_archive((same, moved, foreign, entry(4, 0, "4")), installed)
    assert found.missing == (("4".zfill(12), 4),)
    assert found.foreign == (foreign,)
    assert found.moved == (Moved("2".zfill(12), 5, 2),)
    assert found.twice == ()
    assert not found.is_empty
    assert compare_archive((same,), {"1".zfill(12): 1}).is_empty
    doubled = compare_archive((same, entry(2, 1, "2"), entry(3, 2, "2")), installed)
    assert doubled.twice == ("p1", "2".zfill(12))


def test_a_meter_at_two_points_is_told() -> None:
    twice = (replace(ENTRY, pn=17), replace(ENTRY, number=2, pn=18))
    found = compare_archive(twice, {ENTRY.address: 17})
    assert found.twice == (ENTRY.address,)


def test_forwarding_both_ways() -> None:
    frame = read_one(CAPTURES["c05"])
    known, content = decode_forwarding(frame.body[4:])
    assert (known, content) == (Forwarding(), METER)
    reply = raw("f02")
    answer = read_one(uplink(0x10, "00000100" + encode_forwarded(31, reply).hex()))
    assert decode_forwarded_frame(answer) == reply
    assert decode_forwarded(bytes.fromhex("1f0000")) == (31, b"")
    with pytest.raises(BadReply, match="nothing forwarded in AFN 00H"):
        decode_forwarded_frame(read_one(uplink(0, "00000100")))


@given(
    st.builds(
        Forwarding,
        port=st.integers(1, 31),
        baud=st.sampled_from((300, 600, 1200, 2400, 4800, 7200, 9600, 19200)),
        parity=st.sampled_from(("none", "even", "odd")),
        data_bits=st.integers(5, 8),
        stop_bits=st.integers(1, 2),
        timeout_ms=st.integers(1, 127).map(lambda n: n * 1000)
        | st.integers(1, 127).map(lambda n: n * 10),
        byte_timeout_ms=st.integers(1, 255).map(lambda n: n * 10),
    ),
    st.binary(max_size=200),
)
def test_any_forwarding_comes_back(forwarding: Forwarding, content: bytes) -> None:
    body = forward_request(forwarding, content).body
    assert decode_forwarding(body[4:]) == (forwarding, content)


def test_forwardings_that_are_refused() -> None:
    for wrong in (
        {"port": 0},
        {"baud": 1},
        {"parity": "mark"},
        {"data_bits": 9},
        {"stop_bits": 3},
        {"timeout_ms": 0},
        {"timeout_ms": 1280},
        {"timeout_ms": 15},
        {"byte_timeout_ms": 15},
        {"byte_timeout_ms": 2560},
    ):
        with pytest.raises(BadInput):
            Forwarding(**wrong)  # type: ignore[arg-type]
    assert Forwarding(timeout_ms=500).timeout == 50
    for raw_hex in ("1f6bbc0a10", "1f6bbc0a0100"):
        with pytest.raises(BadReply, match="another length"):
            decode_forwarding(bytes.fromhex(raw_hex))
    with pytest.raises(BadReply, match="a forwarding with forwarding: port 0"):
        decode_forwarding(bytes.fromhex("006bbc0a0000"))
    for raw_hex in ("1f00", "1f0100"):
        with pytest.raises(BadReply, match="another length"):
            decode_forwarded(bytes.fromhex(raw_hex))


def test_acknowledgements() -> None:
    def told(body_hex: str) -> Acknowledgement:
        return decode_acknowledgement(read_one(uplink(0, body_hex)))

    assert decode_acknowledgement(read_one(CAPTURES["c04"])) == Acknowledgement(accepted=True)
    assert told("00000200") == Acknowledgement(accepted=False)
    one_by_one = told("00000400 04 00000100 00 01010200 01")
    assert one_by_one == Acknowledgement(False, (UnitVerdict(0, 1, 0), UnitVerdict(1, 2, 1)), 4)
    for body_hex in (
        "00000300",
        "00000800",
        "00000400",
        "000004000400",
        "000004000400000000 00",
        "000001",
    ):
        with pytest.raises(BadReply):
            told(body_hex)


def test_event_records() -> None:
    head = "00000100 11 00 03 05"
    frame = read_one(uplink(0x0E, head + "0e 06 0500010226 ff" + "01 02 aabb"))
    found = decode_events(frame)
    assert (found.important, found.general, found.first, found.last) == (17, 0, 3, 5)
    assert found.records == (
        EventRecord(14, "2026-01-31T16:05:00Z", "0500010226ff"),
        EventRecord(1, "", "aabb"),
    )
    for body_hex in ("00000100 110003", head + "0e", head + "0e00", head + "0e05 0500"):
        with pytest.raises(BadReply):
            decode_events(read_one(uplink(0x0E, body_hex)))
    with pytest.raises(BadReply, match="no events in AFN 0CH"):
        decode_events(read_one(uplink(0x0C, head)))
