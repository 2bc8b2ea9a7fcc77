"""Replies: what answers what, refusals, and the meter's side."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.protocols.dlt645 import replies
from services.ingest.protocols.dlt645.address import MeterAddress
from services.ingest.protocols.dlt645.frame import Frame, FrameReader, encode_frame
from services.ingest.protocols.dlt645.replies import Reply, is_reply, parse_reply
from services.ingest.protocols.dlt645.requests import (
    Credentials,
    RelayOrder,
    follow_up_request,
    read_address_request,
    read_request,
    relay_request,
)
from services.ingest.protocols.failures import BadReply
from tests.unit.ingest.protocols.vectors import raw

ASKED = read_request("000000000161", "00010000")


def frame_of(name: str) -> Frame:
    """One golden frame, read."""
    found = FrameReader().feed(raw(name))[0]
    assert isinstance(found, Frame)
    return found


def test_golden_replies() -> None:
    assert parse_reply(ASKED, frame_of("f02")) == Reply("000000000161", b"\x26\x00\x00\x00")
    refused = parse_reply(read_request("123456789012", "00010000"), frame_of("f61"))
    assert refused == Reply("123456789012", refused=("no_such_data",))
    strange = parse_reply(read_request("003411001043", "00010000"), frame_of("f25"))
    assert strange.refused == replies.ERROR_BITS[1:]  # FEH: all but bit 0
    told = parse_reply(read_address_request("AAAAAAAAAAAA"), frame_of("f57"))
    assert (told.address, told.payload.hex()) == ("000000000001", "010000000000")


def test_golden_relay_acknowledgements() -> None:
    for name, address in (("f45", "111111111111"), ("f49", "151230011061")):
        order = RelayOrder(
            address=MeterAddress(address), command="trip", valid_until_at="2026-01-01T00:00:00Z"
        )
        request = relay_request(order, Credentials(), 480)
        assert parse_reply(request, frame_of(name)) == Reply(address)
        assert encode_frame(replies.ack_reply(request, address)) == raw(name)


@pytest.mark.parametrize(
    "name",
    ["f01", "f04", "f59", "f12", "f49"],
    ids=["a request", "another DI", "another meter", "another item", "another function"],
)
def test_what_answers_something_else_is_no_reply(name: str) -> None:
    assert not is_reply(ASKED, frame_of(name))
    with pytest.raises(BadReply, match="answers another request"):
        parse_reply(ASKED, frame_of(name))


def test_a_wildcard_read_takes_the_address_from_the_reply() -> None:
    wide = read_request("AAAAAAAAAAAA", "00010000")
    assert parse_reply(wide, frame_of("f02")).address == "000000000161"


def test_follow_up_frames_must_have_the_number_asked() -> None:
    asked = follow_up_request("000000000161", "03300D01", 1)
    good = replies.data_reply("000000000161", "03300D01", b"\x01\x02", seq=1, more=True)
    assert good.control == 0xB2
    assert parse_reply(asked, good) == Reply("000000000161", b"\x01\x02", True)
    other = replies.data_reply("000000000161", "03300D01", b"\x01\x02", seq=2)
    assert not is_reply(asked, other)
    first = replies.data_reply("000000000161", "03300D01", b"\x01", more=True)
    assert first.control == 0xB1
    assert not is_reply(asked, first)


@pytest.mark.parametrize(
    ("control", "data_hex", "problem"),
    [
        (0xD1, "", "missing"),
        (0xD1, "00", "error word 00"),
        (0xD1, "020202", "error word 020202"),
        (0x9C, "00", "acknowledgement"),
        (0xBC, "", "follow-up"),
        (0x93, "020000000000", "address in the reply"),
    ],
)
def test_replies_that_make_no_sense(control: int, data_hex: str, problem: str) -> None:
    request = Frame("000000000001", control & 0x1F, b"")
    with pytest.raises(BadReply, match=problem):
        parse_reply(request, Frame("000000000001", control, bytes.fromhex(data_hex)))


@settings(deadline=None)
@given(st.sets(st.sampled_from(replies.ERROR_BITS), min_size=1))
def test_error_words_round_trip(names: set[str]) -> None:
    word = replies.error_word(names)
    assert set(replies.error_names(word)) == names
    refusal = replies.refusal_reply(ASKED, "000000000161", *names)
    assert refusal.control == 0xD1
    assert set(parse_reply(ASKED, refusal).refused) == names


def test_error_words_by_hand() -> None:
    assert replies.error_names(0x04) == ("not_authorised",)  # reference: vector f42
    assert replies.error_names(0x02) == ("no_such_data",)


def test_the_meter_tells_its_address() -> None:
    assert encode_frame(replies.address_reply("000000000001")) == raw("f57")
