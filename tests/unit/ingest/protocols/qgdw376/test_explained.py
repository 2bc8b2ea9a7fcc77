"""Every byte of a frame explained, nothing of a password told, and requests for people."""

from __future__ import annotations

import json
import random

import pytest

from libs.events.errors import BadInput
from services.cli import main as cli
from services.ingest.protocols.catalogue import open_builder, open_explainer
from services.ingest.protocols.explanation import GAP_BYTES_MAX, Explained, Unexplained
from services.ingest.protocols.qgdw376.archive import ArchiveEntry
from services.ingest.protocols.qgdw376.forwarding import encode_forwarded
from services.ingest.protocols.qgdw376.masking import kept, masked_hex
from services.ingest.protocols.qgdw376.requests import archive_setting
from tests.unit.ingest.protocols.mutants import mutate, same_bytes
from tests.unit.ingest.protocols.qgdw376.captures import CAPTURES, downlink, read_one, uplink
from tests.unit.ingest.protocols.vectors import raw

PW = "31" * 16
SECRET = b"\x0a\x0b\x0c\x0d\x0e\x0f"
ENTRIES = archive_setting([ArchiveEntry(number=1, pn=2, address="000000000161", password=SECRET)])


def explained(sent: bytes) -> list[Explained | Unexplained]:
    explainer = open_explainer("qgdw376")
    return [*explainer.feed(sent), *explainer.end()]


def one(sent: bytes) -> Explained:
    """The only frame, checked: each byte in exactly one part."""
    (found,) = explained(sent)
    assert isinstance(found, Explained)
    assert same_bytes(found.raw_hex, sent)
    assert "".join(part.raw_hex for part in found.parts) == found.raw_hex
    offset = 0
    for part in found.parts:
        assert part.offset == offset
        offset += len(part.raw_hex) // 2
    return found


def named(found: Explained) -> dict[str, str]:
    """Value, or reason, of the parts behind SEQ by name."""
    return {part.name: part.value or part.reason for part in found.parts[10:-2]}


@pytest.mark.parametrize("name", CAPTURES)
def test_every_byte_of_a_capture_is_explained(name: str) -> None:
    found = one(CAPTURES[name])
    assert found.fields["address"] == "0200-1234"
    assert all(part.reason in ("", "secret") for part in found.parts)


def test_the_forwarded_meter_frame_is_explained() -> None:
    found = one(CAPTURES["c05"])
    assert found.summary == "0200-1234 master to terminal: AFN 10H forwarding"
    assert named(found) == {
        "identifier DA DT": "p0 F1",
        "port": "31",
        "line": "2400 baud, 8 bits, even, 1 stop",
        "time-out": "60000",
        "byte time-out": "100",
        "length": "16",
        "meter frame": "",
        "password PW": "secret",
        "frame counter PFC": "0",
        "sent (day and time)": "21 23:51:13",
        "may travel": "5",
    }
    (inner,) = found.inner
    assert (inner.protocol, inner.offset) == ("dlt645-2007", 24)
    assert inner.summary == "to 151230011061: read 00010000"
    assert found.raw_hex[48:80] == inner.raw_hex
    answer = one(uplink(0x10, "00000100" + encode_forwarded(31, raw("f02")).hex()))
    assert answer.inner[0].summary.endswith("read 00010000: import active energy 260 Wh")


def test_acknowledgement_and_event_counters() -> None:
    found = named(one(CAPTURES["c04"]))
    assert (found["important events EC1"], found["general events EC2"]) == ("17", "0")
    told = one(uplink(0, "00000400 04 00000100 00 01010200 01"))
    values = [part.value for part in told.parts[10:-2]]
    assert values == ["p0 F3", "4", "p0 F1", "0", "p1 F2", "1"]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (
            uplink(0x0D, "01010114 310126 0500010226 01 7856341200 EEEEEEEEEE"),
            {
                "identifier DA DT": "p1 F161",
                "p1 F161 tag": "2026-01-31",
                "p1 F161 read_at": "2026-01-31T16:05:00Z",
                "p1 F161 rates": "1",
                "p1 F161 import active energy": "no_value",
            },
        ),
        (
            uplink(0x0D, "03010114" + "310126 0500010226 00 0100000000" * 2),
            {
                "identifier DA DT": "p1 p2 F161",
                "p1 F161 tag": "2026-01-31",
                "p1 F161 read_at": "2026-01-31T16:05:00Z",
                "p1 F161 rates": "0",
                "p1 F161 import active energy": "0.1",
                "p2 F161 tag": "2026-01-31",
                "p2 F161 read_at": "2026-01-31T16:05:00Z",
                "p2 F161 rates": "0",
                "p2 F161 import active energy": "0.1",
            },
        ),
        (
            uplink(0x0C, "01011000 0500010226"),
            {"not readable": "F5 of AFN 0CH is not in the table"},
        ),
        (
            downlink(0x0D, "01010114 310126"),
            {"identifier DA DT": "p1 F161", "time tag": "2026-01-31"},
        ),
        (
            downlink(0x0D, "0101010A 0000310126 01 60"),
            {
                "identifier DA DT": "p1 F81",
                "time tag": "2026-01-30T16:00:00Z",
                "density": "1",
                "points": "96",
            },
        ),
        (downlink(0x0C, "FFFF0110"), {"identifier DA DT": "every point F129"}),
        (
            downlink(0x0D, "0101801E 00"),
            {"identifier DA DT": "p1 F248", "not readable": "F248 is not in the table"},
        ),
        (
            downlink(0x0D, "01010114 3101"),
            {"identifier DA DT": "p1 F161", "not readable": "ends too early"},
        ),
        (
            uplink(2, "00000400 27521307C226"),
            {"identifier DA DT": "p0 F3", "terminal clock": "2026-02-07T05:52:27Z"},
        ),
        (uplink(3, "00000100 AA"), {"identifier DA DT": "p0 F1", "data": "unknown"}),
        (uplink(3, "00000000"), {"not readable": "an identifier that names nothing"}),
        (uplink(0, "00000100 AA"), {"identifier DA DT": "p0 F1", "more bytes": "unexpected"}),
        (
            downlink(5, "01010100 53", PW),
            {
                "identifier DA DT": "p1 F1",
                "trip": "alarm 5 min, limit 3 half hours",
                "password PW": "secret",
            },
        ),
        (
            downlink(5, "00004003 27521307C226", PW),
            {
                "identifier DA DT": "p0 F31",
                "clock": "2026-02-07T05:52:27Z",
                "password PW": "secret",
            },
        ),
        (downlink(5, "01010200", PW), {"identifier DA DT": "p1 F2", "password PW": "secret"}),
        (
            downlink(0x0A, "00000201 0100 0500"),
            {"identifier DA DT": "p0 F10", "entries": "1", "entry number": "5"},
        ),
        (
            downlink(0x0E, "00000100 0307"),
            {"identifier DA DT": "p0 F1", "from record": "3", "to record": "7"},
        ),
        (
            uplink(0x0E, "00000100 11000304 0E06 0500010226 FF"),
            {
                "identifier DA DT": "p0 F1",
                "important events EC1": "17",
                "general events EC2": "0",
                "from record": "3",
                "to record": "4",
                "event": "ERC14 terminal power off or on",
                "length": "6",
                "occurred": "2026-01-31T16:05:00Z",
                "event data": "ff",
            },
        ),
    ],
)
def test_bodies(sent: bytes, expected: dict[str, str]) -> None:
    assert named(one(sent)) == expected


def test_values_are_exact_digits() -> None:
    found = one(uplink(0x0D, "01010114 310126 0500010226 00 7856341200"))
    (value,) = (row for row in found.fields["values"] if row["obis"])  # type: ignore[attr-defined]
    assert value == {
        "pn": 1,
        "fn": 161,
        "name": "import active energy",
        "value": "1234567.8",
        "unit": "Wh",
        "obis": "1-0:1.8.0",
        "reason": "",
    }
    demand = one(uplink(0x0D, "01010117 310126 0500010226 00 563412 52130701"))
    assert demand.parts[-3].value == "12345.6 at 2026-01-07T05:52:00Z"


def test_entries_are_shown_without_their_password() -> None:
    sent = downlink(4, ENTRIES.body.hex(), PW)
    found = one(sent)
    told = named(found)
    assert told["meter address"] == "000000000161"
    assert (told["point"], told["protocol"]) == ("p2", "dlt645_2007")
    assert (told["meter password"], told["password PW"]) == ("secret", "secret")
    assert found.parts[-2].reason == "secret"  # the checksum gives the sum
    assert SECRET.hex() not in repr(found)
    assert "3131" not in repr(found)


METER_TRIP = raw("f48")
HEAD = "00000100 1f6bbc0a"


@pytest.mark.parametrize(
    ("sent", "masked"),
    [
        (downlink(4, ENTRIES.body.hex(), PW), 6 + 16 + 1),
        (uplink(0x0A, ENTRIES.body.hex()), 6 + 1),
        (uplink(0x0A, ENTRIES.body.hex() + "AA"), 30 + 1),  # another length: all is hidden
        (uplink(0x0A, "00000301 0000"), 2 + 1),  # F9 and F10 in one identifier
        (downlink(4, "00008001 112233", PW), 3 + 16 + 1),  # F16, the network's password
        (downlink(0x0A, "00000201 0100 0500"), 0),
        (downlink(6, "00000100 AABB", PW), 6 + 16 + 1),
        (downlink(0x10, f"{HEAD} 1c00 {METER_TRIP.hex()}", PW), 3 + 1 + 16 + 1),
        (downlink(0x10, f"{HEAD} 0300 FEFE41", PW), 3 + 16 + 1),  # no meter frame: hidden
        (downlink(0x10, f"{HEAD} 0200 FEFE", PW), 16 + 1),
        (downlink(0x10, f"{HEAD} 0900 41", PW), 7 + 16 + 1),  # lengths do not fit
        (uplink(0x10, "00000100 1f0300 FEFE41"), 0),
        (uplink(0x10, "00000100 1f0400 FEFE41"), 6 + 1),
        (uplink(0x0C, "01010110"), 0),
    ],
)
def test_what_is_masked(sent: bytes, masked: int) -> None:
    frame = read_one(sent)
    text = masked_hex(frame)
    assert text.count("xx") == masked
    assert same_bytes(text, sent)
    assert one(sent).raw_hex == text
    assert ("#" in kept(frame)) == bool(masked)


def test_a_forwarded_password_is_hidden_outside_and_inside() -> None:
    found = one(downlink(0x10, f"{HEAD} 1c00 {METER_TRIP.hex()}", PW))
    assert found.inner[0].raw_hex.count("xx") == 4
    (part,) = (part for part in found.parts if part.name == "meter frame")
    assert part.raw_hex == found.inner[0].raw_hex
    assert part.reason == "secret"
    written = bytes.fromhex("68 61 01 00 00 00 00 68 04 08 43 C3 44 55 66 77 88 99")
    meter = written + bytes((sum(written) % 256, 0x16))  # 04H of 1997
    told = one(downlink(0x10, f"{HEAD} 1400 {meter.hex()}", PW))
    assert "44556677" not in told.raw_hex


def test_forwardings_that_cannot_be_read() -> None:
    for body in ("00000200 1f0000", "00000100 1f0400 FE", "00000100"):
        found = one(uplink(0x10, body))
        assert found.inner == ()
        assert "meter frame" not in named(found)
    assert one(uplink(0x10, "00000100 1f0300 FEFE41")).inner == ()


def test_gaps_are_one_finding_however_the_stream_is_cut() -> None:
    sent = b"\x01\x02" + CAPTURES["c01"][:-2] + b"\0\0" + CAPTURES["c03"] + b"\x68"
    whole = explained(sent)
    explainer = open_explainer("qgdw376")
    pieces = [item for byte in sent for item in explainer.feed(bytes((byte,)))]
    assert [*pieces, *explainer.end()] == whole
    assert [type(item) for item in whole] == [Unexplained, Explained, Unexplained]
    assert [item.offset for item in whole] == [0, 22, 42]
    long = explained(b"\0" * (GAP_BYTES_MAX + 1) + CAPTURES["c01"])
    assert [item.offset for item in long] == [0, GAP_BYTES_MAX + 1]


def test_whatever_came_is_told_once() -> None:
    rng = random.Random(3761)
    bases = [*CAPTURES.values(), downlink(4, ENTRIES.body.hex(), PW)]
    for _ in range(1000):
        sent = mutate(rng, rng.choice(bases))
        assert same_bytes("".join(item.raw_hex for item in explained(sent)), sent)


def test_resealed_bodies_never_raise() -> None:
    rng = random.Random(3762)
    for _ in range(2000):
        body = mutate(
            rng, ENTRIES.body if rng.randrange(2) else bytes.fromhex("010101143101260005")
        )
        afn = rng.randrange(17)
        for sent in (uplink(afn, body.hex()), downlink(afn, body.hex(), PW)):
            one(sent)


# -- requests for people --------------------------------------------------------------------------


def encoded(kind: str, **given: str) -> bytes:
    return open_builder("qgdw376")[kind].build({"address": "0200-1234"} | given)


@pytest.mark.parametrize(
    ("kind", "given", "body_hex"),
    [
        ("read", {"pn": "1, 2", "fn": "129"}, "03010110"),
        ("day-freeze", {"pn": "1", "day": "2026-01-31"}, "01010114310126"),
        ("month-freeze", {"pn": "1", "month": "2026-01"}, "010101160126"),
        (
            "curve",
            {"pn": "1", "fn": "81", "from": "2026-01-30T16:00:00Z"},
            "0101010a00003101260160",
        ),
        ("archive", {"numbers": "1,2"}, "00000201020001000200"),
        ("events", {"first": "3", "last": "7"}, "000001000307"),
        ("clock", {"at": "2026-02-07T05:52:27Z"}, "0000400327521307c226"),
        ("forward", {"frame": raw("f01").hex()}, "000001001f6bbc0a1000" + raw("f01").hex()),
    ],
)
def test_requests_for_people(kind: str, given: dict[str, str], body_hex: str) -> None:
    frame = read_one(encoded(kind, number="3", **given))
    assert frame.body.hex() == body_hex
    assert (frame.sequence.number, frame.function, frame.address.master) == (3, 11, 2)


def test_what_people_get_wrong() -> None:
    wrong: tuple[tuple[str, dict[str, str], str], ...] = (
        ("read", {"pn": "1", "fn": "129", "number": "16"}, "number"),
        ("read", {"pn": "1", "fn": "129", "function": "16"}, "function"),
        ("read", {"pn": "p1", "fn": "129"}, "pn"),
        ("read", {"pn": ",".join("1" * 65), "fn": "129"}, "pn"),
        ("read", {"pn": "1", "fn": "129", "address": "1234"}, "address"),
        ("clock", {"at": "2026-02-07T05:52:27Z", "pw": "31"}, "password"),
        ("clock", {"at": "yesterday"}, "at"),
        ("forward", {"frame": "6"}, "frame"),
        ("forward", {"frame": "6816"}, "frame"),
        ("forward", {"frame": METER_TRIP.hex()}, "frame"),
    )
    for kind, given, field in wrong:
        with pytest.raises(BadInput) as told:
            encoded(kind, **given)
        assert told.value.field == field
    assert bytes.fromhex(PW) in encoded("clock", at="2026-02-07T05:52:27Z", pw=PW)


def test_the_command_explains_a_capture(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["decode", CAPTURES["c05"].hex(), "--protocol", "qgdw376"]
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    assert "frame at 24, 16 bytes: to 151230011061: read 00010000" in out
    assert max(map(len, out.splitlines())) <= 80
    assert cli.main([*words, "--json"]) == 0
    row = json.loads(capsys.readouterr().out.splitlines()[0])
    assert "xx" * 16 in row["raw_hex"]
