"""The master's side of a connection, frame by frame and without a socket."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.ingest.protocols.qgdw376.frame import Frame, FrameReader, encode_frame, parse_address
from services.ingest.protocols.qgdw376.link import MAX_ANSWER_FRAMES, MAX_KEPT_NOISE, MasterLink
from services.ingest.protocols.qgdw376.profile import ConcentratorProfile
from services.ingest.protocols.qgdw376.requests import (
    HEARTBEAT,
    LOGIN,
    LOGOUT,
    current_request,
    link_frame,
    trip_request,
)
from tests.unit.ingest.protocols.qgdw376.captures import CAPTURES as OUTER
from tests.unit.ingest.protocols.qgdw376.captures import wire

HERE = parse_address("0200-1234")
THERE = parse_address("0200-9999")
NOON = datetime(2026, 1, 31, 12, 0, 5)  # noqa: DTZ001 (civil)
ASK = current_request((1,), (129,))


def answer(number: int, body: str = "0101011000", *, afn: str = "0C", flags: int = 0x60) -> bytes:
    return wire(bytes.fromhex(f"88 00 02 34 12 04 {afn} {flags | number:02x} {body}"))


@pytest.fixture
def link() -> MasterLink:
    found = MasterLink()
    assert found.receive(OUTER["c01"]) == OUTER["c02"]
    return found


def came(raw: bytes) -> Frame:
    (found,) = FrameReader().feed(raw)
    assert isinstance(found, Frame)
    return found


def test_login_heartbeat_and_logout_are_acknowledged(link: MasterLink) -> None:
    assert link.logged_in
    assert str(link.address) == "0200-1234"
    assert link.receive(OUTER["c03"]) == OUTER["c02"]
    link.receive(encode_frame(link_frame(HERE, LOGOUT, 2)))
    assert not link.logged_in
    assert link.links_seen == 3


def test_nothing_is_asked_before_the_login() -> None:
    link = MasterLink()
    heartbeat = encode_frame(link_frame(HERE, HEARTBEAT, 1))
    assert came(link.receive(heartbeat)).body.hex() == "00000200"  # denied: log in first
    assert link.skipped["other_terminal"] == 1
    with pytest.raises(BadInput, match="no concentrator"):
        link.begin(ASK, NOON)


def test_another_terminal_on_the_same_connection_is_denied(link: MasterLink) -> None:
    denial = link.receive(encode_frame(link_frame(THERE, LOGIN, 1)))
    assert came(denial).body.hex() == "00000200"
    assert str(link.address) == "0200-1234"
    other = encode_frame(replace(came(answer(0)), address=THERE))
    assert link.receive(other) == b""
    assert link.skipped["other_terminal"] == 2


def test_a_group_address_never_logs_in() -> None:
    link = MasterLink()
    group = replace(came(OUTER["c01"]), address=replace(HERE, group=True))
    link.receive(encode_frame(group))
    assert link.address is None


def test_one_request_at_a_time_and_numbers_count_up(link: MasterLink) -> None:
    first = came(link.begin(ASK, NOON))
    assert (first.sequence.number, first.address.master) == (0, 2)
    with pytest.raises(BadInput, match="unanswered"):
        link.begin(ASK, NOON)
    link.receive(answer(0))
    assert link.answer is not None
    assert link.answer.frames[0].body.hex() == "0101011000"
    assert came(link.begin(ASK, NOON)).sequence.number == 1
    assert link.answer is None


def test_a_profile_may_want_time_tags() -> None:
    link = MasterLink(ConcentratorProfile(time_tag=True), HERE)
    assert link.logged_in
    tag = came(link.begin(ASK, NOON)).time_tag
    assert tag is not None
    assert (tag.sent, tag.delay_minutes) == ("31 12:00:05", 5)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (answer(5), "wrong_number"),
        (answer(0, afn="0D"), "wrong_function"),
        (answer(0, flags=0x20), "out_of_order"),
        (OUTER["c02"], "echo"),
    ],
)
def test_what_is_not_the_answer_is_counted(link: MasterLink, raw: bytes, reason: str) -> None:
    link.begin(ASK, NOON)
    assert link.receive(raw) == b""
    assert link.answer is None
    assert link.skipped == {reason: 1}
    link.receive(answer(0))
    assert link.answer is not None


def test_an_acknowledgement_answers_any_request(link: MasterLink) -> None:
    link.begin(trip_request(1), NOON)
    link.receive(answer(0, "00000100", afn="00"))
    assert link.answer is not None
    assert link.answer.is_acknowledgement


def test_a_second_copy_and_a_late_answer_are_told_apart(link: MasterLink) -> None:
    link.begin(ASK, NOON)
    link.receive(answer(0) + answer(0))
    assert link.skipped == {"duplicate": 1}
    link.begin(ASK, NOON)
    link.give_up()
    link.give_up()
    link.receive(answer(1))
    link.begin(ASK, NOON)  # number 2
    link.receive(answer(1) + answer(0))
    assert link.skipped == {"duplicate": 2, "late": 2}
    assert link.answer is None
    link.receive(answer(2))
    link.receive(answer(9))
    assert link.skipped["unexpected"] == 1


def test_a_number_that_comes_round_again_is_no_longer_late(link: MasterLink) -> None:
    link.begin(ASK, NOON)
    link.give_up()
    for number in range(1, 16):
        link.begin(ASK, NOON)
        link.receive(answer(number))
        assert link.answer is not None
    link.begin(ASK, NOON)
    link.receive(answer(0))
    assert link.answer is not None


@pytest.mark.parametrize("step", [0, 1])
def test_a_long_answer_may_count_its_frames_or_not(link: MasterLink, step: int) -> None:
    link.begin(ASK, NOON)
    parts = [answer(0, "01010110aa", flags=0x40), answer(step, "01010110bb", flags=0)]
    parts.append(answer(2 * step, "01010110cc", flags=0x20))
    link.receive(parts[0] + parts[0])
    assert link.skipped == {"duplicate": 1}
    link.receive(parts[1])
    assert link.answer is None
    link.receive(parts[2])
    assert link.answer is not None
    assert [frame.body[-1:].hex() for frame in link.answer.frames] == ["aa", "bb", "cc"]


def test_an_endless_answer_is_not_collected(link: MasterLink) -> None:
    link.begin(ASK, NOON)
    for number in range(MAX_ANSWER_FRAMES + 3):
        link.receive(answer(0, f"01010110 {number:04x}", flags=0x00 if number else 0x40))
    assert link.skipped == {"too_long": 3}
    assert link.answer is None


def test_what_wants_to_be_confirmed_is_confirmed(link: MasterLink) -> None:
    link.begin(ASK, NOON)
    reply = link.receive(answer(0, flags=0x70))
    assert came(reply).afn == 0
    assert link.answer is not None


def test_reports_are_kept_and_events_noticed(link: MasterLink) -> None:
    report = wire(bytes.fromhex("E4 00 02 34 12 00 0E 71 00000100 05020304 0500"))
    assert came(link.receive(report)).body.hex() == "00000100"
    assert [frame.afn for frame in link.reports] == [0x0E]
    assert link.events_waiting == (5, 0)
    quiet = wire(bytes.fromhex("C4 00 02 34 12 00 02 61 0000"))
    assert link.receive(quiet) == b""
    assert len(link.reports) == 2


def test_noise_is_counted_hidden_and_limited(link: MasterLink) -> None:
    link.receive(b"\x01\x02")
    assert link.receive(OUTER["c03"]) == OUTER["c02"]
    link.receive(OUTER["c01"][:12])
    assert link.pending == 12
    link.quiet()
    assert link.pending == 0
    received, noise, skipped = link.take_evidence()
    assert received == ()
    assert noise[0].startswith("xxxx#")
    assert skipped == {"noise": 1, "incomplete": 1}
    assert link.take_evidence() == ((), (), {})
    for _ in range(MAX_KEPT_NOISE + 5):
        link.receive(b"\x01")
    assert len(link.noise) == MAX_KEPT_NOISE
    assert link.skipped["noise"] == MAX_KEPT_NOISE + 5


def test_evidence_masks_the_password_we_sent(link: MasterLink) -> None:
    link.begin(trip_request(1), NOON, b"topsecretpassw0r")
    assert b"topsecretpassw0r".hex() not in link.sent
    assert "xx" * 16 in link.sent


@given(
    st.lists(
        st.one_of(
            st.sampled_from(sorted(OUTER.values())),
            st.integers(0, 15).map(answer),
            st.binary(max_size=20),
        ),
        max_size=8,
    )
)
def test_whatever_comes_only_our_answer_counts(pieces: list[bytes]) -> None:
    link = MasterLink(address=HERE)
    link.begin(ASK, NOON)
    for piece in pieces:
        link.receive(piece)
    link.quiet()
    if link.answer is not None:
        (frame,) = link.answer.frames
        assert frame.sequence.number == 0
        assert frame.afn in (0, 0x0C)
        assert not frame.starter
