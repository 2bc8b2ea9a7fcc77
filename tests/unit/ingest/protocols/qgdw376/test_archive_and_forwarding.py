"""Archive entries both ways and compared with the register; forwarding both ways; masking."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.ingest.protocols.failures import BadReply
from services.ingest.protocols.qgdw376.archive import (
    ArchiveDifference,
    ArchiveEntry,
    Moved,
    compare_archive,
    decode_entries,
    decode_numbers,
    encode_entries,
    encode_numbers,
)
from services.ingest.protocols.qgdw376.forwarding import (
    BAUDS,
    Forwarding,
    decode_forwarded,
    decode_forwarding,
    encode_forwarded,
    encode_forwarding,
)
from services.ingest.protocols.qgdw376.frame import Frame, FrameReader, encode_frame, parse_address
from services.ingest.protocols.qgdw376.masking import kept, masked_hex
from services.ingest.protocols.qgdw376.requests import (
    archive_setting,
    forward_request,
    frame_of,
)
from tests.unit.ingest.protocols import vectors
from tests.unit.ingest.protocols.qgdw376.frames import OUTER, up

ENTRY = ArchiveEntry(
    number=2, pn=9, address="000000000161", collector="123456789012", user_class=4, meter_class=1,
    password=b"\x11\x22\x33\x44\x55\x66",
)  # fmt: skip
RAW = "0100 0200 0900 7f 1e 610100000000 112233445566 04 09 129078563412 41"


def test_an_entry_worked_out_by_hand() -> None:
    assert encode_entries([ENTRY]) == bytes.fromhex(RAW)
    (found,) = decode_entries(bytes.fromhex(RAW))
    assert found == ENTRY
    assert found.password == bytes(6)  # never kept
    assert "1122" not in repr(ENTRY)


@pytest.mark.parametrize(
    "change",
    [
        {"number": 0}, {"pn": 2041}, {"port": 32}, {"rates": 15}, {"decimals": 5},
        {"integer_digits": 3}, {"baud": 300}, {"address": "12"}, {"collector": "x"},
        {"password": b"1"}, {"user_class": 16}, {"meter_class": -1}, {"protocol": 256},
    ],
)  # fmt: skip
def test_a_wrong_entry_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(BadInput, match=next(iter(change))):
        encode_entries([replace(ENTRY, **change)])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "raw", ["", "01", "0200" + RAW[4:], RAW + "00", RAW.replace("610100", "6101ee")]
)
def test_a_wrong_archive_is_a_bad_reply(raw: str) -> None:
    with pytest.raises(BadReply, match="archive"):
        decode_entries(bytes.fromhex(raw))


def test_an_entry_that_is_not_in_use_may_have_no_address() -> None:
    raw = "0100 0300 0000 00 00 eeeeeeeeeeee eeeeeeeeeeee 00 00 eeeeeeeeeeee 00"
    assert decode_entries(bytes.fromhex(raw))[0].pn == 0


def test_numbers_of_a_query() -> None:
    assert encode_numbers([1, 300]).hex() == "020001002c01"
    assert decode_numbers(bytes.fromhex("020001002c01")) == (1, 300)
    for wrong in ("", "0100", "010001", "0200 0100"):
        with pytest.raises(BadReply, match="query"):
            decode_numbers(bytes.fromhex(wrong))
    for numbers in ([], [0], [2041]):
        with pytest.raises(BadInput, match="numbers"):
            encode_numbers(numbers)


def entry(number: int, pn: int, address: str) -> ArchiveEntry:
    return ArchiveEntry(number=number, pn=pn, address=address)


A, B, C, D = "000000000001", "000000000002", "000000000003", "000000000004"


def test_missing_foreign_and_moved_meters_are_told_apart() -> None:
    entries = [entry(1, 1, A), entry(2, 7, B), entry(3, 9, D), entry(4, 0, C)]
    found = compare_archive(entries, {A: 1, B: 2, C: 3})
    assert found.missing == ((C, 3),)
    assert found.foreign == (entries[2],)
    assert found.moved == (Moved(B, 7, 2),)
    assert found.twice == ()
    assert not found.is_empty
    assert found.unsafe_pns == {2, 7, 9}


def test_two_claims_are_never_resolved_by_guessing() -> None:
    found = compare_archive([entry(1, 1, A), entry(2, 1, B), entry(3, 5, A)], {A: 1, B: 1})
    assert found.twice == ("p1", A)
    assert found.moved == found.foreign == found.missing == ()
    assert found.unsafe_pns == {1}


@given(st.dictionaries(st.integers(1, 10**12 - 2).map("{:012d}".format), st.integers(1, 2040)))
def test_an_archive_like_the_register_has_no_difference(installed: dict[str, int]) -> None:
    unique = {pn: address for address, pn in installed.items()}
    register = {address: pn for pn, address in unique.items()}
    entries = [entry(n, pn, each) for n, (each, pn) in enumerate(register.items(), 1)]
    assert compare_archive(entries, register) == ArchiveDifference()
    assert compare_archive(entries, register).is_empty
    assert compare_archive([], register).missing == tuple(sorted(register.items()))


def test_the_forwarding_of_the_capture() -> None:
    captured = Forwarding()
    assert (captured.control, captured.timeout) == (0x6B, 0xBC)
    inner = bytes.fromhex("68611001301215681104333334337B16")
    data = bytes.fromhex("1F6BBC0A1000") + inner
    assert encode_forwarding(captured, inner) == data
    assert decode_forwarding(data) == (captured, inner)
    assert decode_forwarded(bytes.fromhex("1f0200aabb")) == (31, b"\xaa\xbb")
    assert encode_forwarded(31, b"\xaa\xbb").hex() == "1f0200aabb"


@given(
    st.builds(
        Forwarding,
        port=st.integers(1, 31),
        baud=st.sampled_from(BAUDS),
        parity=st.sampled_from(["none", "even", "odd"]),
        data_bits=st.integers(5, 8),
        stop_bits=st.integers(1, 2),
        timeout_ms=st.one_of(
            st.integers(1, 127).map(lambda n: n * 10), st.integers(1, 127).map(lambda n: n * 1000)
        ),
        byte_timeout_ms=st.integers(1, 255).map(lambda n: n * 10),
    ),
    st.binary(max_size=40),
)
def test_forwardings_return(forwarding: Forwarding, content: bytes) -> None:
    assert decode_forwarding(encode_forwarding(forwarding, content)) == (forwarding, content)


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": 0}, {"port": 32}, {"baud": 1}, {"parity": "mark"}, {"data_bits": 9},
        {"stop_bits": 3}, {"timeout_ms": 0}, {"timeout_ms": 1280}, {"timeout_ms": 128_000},
        {"timeout_ms": 15}, {"byte_timeout_ms": 5}, {"byte_timeout_ms": 2560},
        {"byte_timeout_ms": 0},
    ],
)  # fmt: skip
def test_a_wrong_forwarding_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        Forwarding(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "raw", ["", "1f6bbc0a", "1f6bbc0a0200aa", "1f6bbc0a0000aa", "006bbc0a0000"]
)
def test_a_wrong_forwarding_that_came_is_a_bad_reply(raw: str) -> None:
    with pytest.raises(BadReply, match="forwarding"):
        decode_forwarding(bytes.fromhex(raw))


@pytest.mark.parametrize("raw", ["", "1f", "1f0200aa", "1f0000aa"])
def test_a_wrong_forwarded_answer_is_a_bad_reply(raw: str) -> None:
    with pytest.raises(BadReply, match="forwarded answer"):
        decode_forwarded(bytes.fromhex(raw))


# -- what is stored ----------------------------------------------------------------------------


def came(raw: bytes) -> Frame:
    (found,) = FrameReader().feed(raw)
    assert isinstance(found, Frame)
    return found


def test_pw_and_its_checksum_are_masked() -> None:
    raw = OUTER["c05"]
    masked = masked_hex(came(raw))
    assert len(masked) == 2 * len(raw)
    assert masked.endswith("7b16" + "xx" * 16 + "001351232105" + "xx16")
    assert masked.count("xx") == 17
    assert kept(came(raw)).startswith(masked + "#")
    assert kept(came(OUTER["c06"])) == OUTER["c06"].hex()


def test_a_forwarded_relay_command_shows_no_password() -> None:
    trip = vectors.raw("f48")
    request = forward_request(Forwarding(), trip)
    raw = encode_frame(frame_of(request, parse_address("0200-1234"), 3), b"P" * 16)
    masked = masked_hex(came(raw))
    assert masked.count("xx") == 16 + 1 + 4  # PW, outer checksum, P0..P2 and the inner checksum
    assert "50" * 16 not in masked


def test_meter_passwords_of_the_archive_are_masked_both_ways() -> None:
    raw = encode_frame(frame_of(archive_setting([ENTRY, ENTRY]), parse_address("0200-1234"), 3))
    assert masked_hex(came(raw)).count("xx") == 16 + 1 + 12
    answer = up("0A", "00 00 02 01" + RAW)
    masked = masked_hex(came(answer))
    assert "112233445566" not in masked
    assert masked.count("xx") == 7
    other = up("0A", "00 00 04 01" + RAW)
    assert masked_hex(came(other)) == other.hex()
