"""No stored frame tells a password."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.protocols.dlt645.address import MeterAddress
from services.ingest.protocols.dlt645.edition_1997 import secret_data_1997
from services.ingest.protocols.dlt645.frame import Frame, FrameReader, encode_frame
from services.ingest.protocols.dlt645.masking import (
    has_secret,
    kept_text,
    mask_frame,
    masked_hex,
    masked_noise,
)
from services.ingest.protocols.dlt645.requests import (
    Credentials,
    RelayOrder,
    relay_request,
    write_request,
)
from tests.unit.ingest.protocols.vectors import raw, wire

METER = MeterAddress("151230011061")


def test_golden_trip_frame() -> None:
    masked = "68611001301215681c1035xxxxxx343333334d333333336345ccxx16"
    assert mask_frame(raw("f48")) == masked
    digest = hashlib.sha256(raw("f48")).hexdigest()
    assert kept_text(masked, raw("f48")) == f"{masked}#{digest}"


@pytest.mark.parametrize("name", ["f01", "f02", "f21", "f49", "f56"])
def test_frames_without_a_password_stay_as_they_are(name: str) -> None:
    assert mask_frame(raw(name)) == raw(name).hex()
    assert kept_text(raw(name).hex(), raw(name), b"key") == raw(name).hex()


@settings(deadline=None)
@given(st.integers(0, 999_999), st.integers(0, 999_999), st.integers(0, 4), st.booleans())
def test_two_passwords_give_the_same_masked_frame(
    one: int, other: int, lead: int, write: bool
) -> None:
    def sent(password: int) -> bytes:
        credentials = Credentials(password=f"{password:06d}", operator="00000001")
        if write:
            return encode_frame(write_request(METER, "04000103", credentials, b"\x15"), lead)
        order = RelayOrder(address=METER, command="trip", valid_until_at="2026-01-01T00:00:00Z")
        return encode_frame(relay_request(order, credentials, 480), lead)

    masked = mask_frame(sent(one))
    assert masked == mask_frame(sent(other))
    assert (kept_text(masked, sent(one)) == kept_text(masked, sent(other))) is (one == other)


@pytest.mark.parametrize(
    ("control", "size", "hidden"),
    [
        (0x14, 16, {5, 6, 7}),
        (0x18, 12, {5, 6, 7, 9, 10, 11}),
        (0x19, 8, {1, 2, 3}),
        (0x1A, 8, {1, 2, 3}),
        (0x1B, 12, {1, 2, 3}),
        (0x1C, 16, {1, 2, 3}),
        (0x1C, 2, {1}),
        (0x98, 4, {0, 1, 2, 3}),
        (0x98, 0, set()),
        (0xDC, 1, set()),
        (0x04, 8, {2, 3, 4, 5, 6, 7}),
        (0x0F, 4, {0, 1, 2, 3}),
        (0x10, 4, {0, 1, 2, 3}),
        (0x1C, 17, {1, 2, 3, *range(8, 17)}),
        (0x11, 16, set()),
    ],
)
def test_which_bytes_are_hidden(control: int, size: int, hidden: set[int]) -> None:
    sent = wire("000000000161", control, bytes(range(1, size + 1)))
    frame = FrameReader().feed(sent)[0]
    assert isinstance(frame, Frame)
    pairs = [masked_hex(frame)[n : n + 2] for n in range(0, 2 * len(sent), 2)]
    checksum = {len(sent) - 2} if hidden else set()
    expected = {10 + n for n in hidden} | checksum
    assert {n for n, pair in enumerate(pairs) if pair == "xx"} == expected
    assert has_secret(frame) is bool(hidden)


def test_a_key_makes_the_digest_one_that_cannot_be_searched() -> None:
    key = b"kept apart"
    expected = hmac.new(key, raw("f48"), hashlib.sha256).hexdigest()
    assert kept_text("68xx", raw("f48"), key) == f"68xx#{expected}"


def test_two_frames_in_one_piece_are_both_masked() -> None:
    masked = mask_frame(raw("f48") + raw("f49") + raw("f52"))
    assert masked.count("xx") == 8


def test_a_trip_frame_looked_at_as_1997_tells_no_password() -> None:
    (frame,) = FrameReader().feed(raw("f48"))
    assert isinstance(frame, Frame)
    assert secret_data_1997(frame) == frozenset({1, 2, 3})


TRIP = "68611001301215681c10"


@pytest.mark.parametrize(
    ("broken", "shown"),
    [
        (raw("f48")[:24], TRIP + "xx" * 14),
        (raw("f48")[1:24], TRIP[2:] + "xx" * 14),  # the first byte was lost
        (raw("f48")[:-2] + b"\0\x16", TRIP + "xx" * 18),
        (raw("f48")[:9], TRIP[:18]),
        (raw("f48")[:11], TRIP + "xx"),
        (raw("f01")[:-2], raw("f01")[:-2].hex()),
        (b"", ""),
        (
            wire("000000000161", 0x91, bytes.fromhex("030c0004563412"))[:-2],
            "68610100000000689107" + "xx" * 7,
        ),
    ],
)
def test_broken_frames_tell_no_password(broken: bytes, shown: str) -> None:
    assert masked_noise(broken) == shown
