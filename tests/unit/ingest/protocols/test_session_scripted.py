"""A meter session against scripted replies: what a well-behaved simulator never sends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.ingest.protocols.dlt645.frame import Frame, address_matches
from services.ingest.protocols.dlt645.load_records import encode_load_record
from services.ingest.protocols.dlt645.profile import Dlt645Profile
from services.ingest.protocols.dlt645.replies import data_reply, is_reply, refusal_reply
from services.ingest.protocols.dlt645.requests import ReadAsked, parse_request
from services.ingest.protocols.dlt645.values import decode_stamp, encode_bcd
from services.ingest.protocols.drivers import Exchanged
from services.ingest.protocols.failures import BadReply, Exchange
from services.ingest.protocols.session import MeterSession
from tests.unit.ingest.protocols.test_load_records import STORED


class Scripted:
    """A line whose meter is a function: what it answers to each request."""

    def __init__(self, answer: Callable[[Frame], Frame]) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def exchange(self, request: Frame, expect: Any, **_: Any) -> Exchanged:
        asked = parse_request(request)
        assert isinstance(asked, ReadAsked)
        self.asked.append(asked.di)
        frame = self.answer(request)
        assert expect(frame)
        assert address_matches(request.address, frame.address)
        assert is_reply(request, frame)
        exchange = Exchange(sent_hex="")
        return Exchanged(frame=frame, exchange=exchange)


def scripted(answers: dict[str, list[str]]) -> tuple[MeterSession, Scripted]:
    """A session with a meter that gives these payloads, in order; the last one again and again."""

    def answer(request: Frame) -> Frame:
        asked = parse_request(request)
        assert isinstance(asked, ReadAsked)
        found = answers.get(asked.di)
        if found is None:
            return refusal_reply(request, request.address, "no_such_data")
        payload = found.pop(0) if len(found) > 1 else found[0]
        return data_reply(request.address, asked.di, bytes.fromhex(payload))

    line = Scripted(answer)
    return MeterSession(line, "000000000161"), line  # type: ignore[arg-type]


def test_the_date_is_read_again_just_after_midnight() -> None:
    session, line = scripted({"04000101": ["06310126", "00010226"], "04000102": ["050000"]})
    assert session.read_clock().meter_at == "2026-01-31T16:00:05Z"
    assert line.asked == ["04000101", "04000102", "04000101"]


def test_a_clock_without_a_time() -> None:
    session, _ = scripted({"04000101": ["ffffffff"]})
    assert (session.read_clock().bad, session.read_clock().meter_at) == ("no_value", "")
    session, _ = scripted({"04000101": ["06310126"], "04000102": ["ffffff"]})
    assert session.read_clock().bad == "no_value"
    session, _ = scripted({"04000101": ["06310126"]})
    assert session.read_clock().refused == ("no_such_data",)


def test_a_freeze_that_happens_while_it_is_read_is_read_again() -> None:
    registers = {f"0506{part:02X}01": ["10000000"] for part in (1, 2, 5, 6, 7, 8)}
    session, _ = scripted({"05060001": ["0000310126", "0000010226"], **registers})
    freeze = session.read_daily_freeze()
    assert freeze.day_on == "2026-01-31"
    assert freeze.missing == ("09",)
    assert len(freeze.exchanges) == 2 * (2 + 7)
    moving = ["0000300126", "0000310126", "0000010226", "0000020226"]
    session, _ = scripted({"05060001": moving, **registers})
    with pytest.raises(BadReply, match="moved"):
        session.read_daily_freeze()


def test_a_freeze_that_is_not_at_midnight_has_no_day() -> None:
    session, _ = scripted({"05060001": ["3012310126"]})
    freeze = session.read_daily_freeze()
    assert (freeze.day_on, freeze.stamp_at) == ("", "2026-01-31T04:30:00Z")
    session, _ = scripted({"05060001": ["0000000000"]})
    assert session.read_daily_freeze().refused == ("no_such_data",)
    session, _ = scripted({"05060001": ["0000320126"]})
    with pytest.raises(BadReply, match="bad_time"):
        session.read_daily_freeze()


def test_a_wrong_length_is_no_reply() -> None:
    session, _ = scripted({"00010000": ["1000"], "04000503": ["500000"]})
    with pytest.raises(BadReply, match="never has"):
        session.read("00010000")
    with pytest.raises(BadReply, match="never has"):
        session.read_relay_status()


def test_a_status_that_is_refused_or_no_value_is_unknown() -> None:
    session, _ = scripted({})
    status = session.read_relay_status()
    assert (status.state, status.is_open, status.refused) == ("unknown", None, ("no_such_data",))
    session, _ = scripted({"04000503": ["ffff"]})
    assert (session.read_relay_status().state, session.read_relay_status().is_open) == (
        "unknown",
        None,
    )


def test_follow_ups_that_fail_or_never_end() -> None:
    def endless(request: Frame) -> Frame:
        asked = parse_request(request)
        assert isinstance(asked, ReadAsked)
        return data_reply(request.address, asked.di, b"\x01", seq=asked.seq or None, more=True)

    session = MeterSession(Scripted(endless), "000000000161")  # type: ignore[arg-type]
    with pytest.raises(BadReply, match="never ends"):
        session.read("00010000")

    def stops(request: Frame) -> Frame:
        asked = parse_request(request)
        assert isinstance(asked, ReadAsked)
        if asked.seq:
            return refusal_reply(request, request.address, "no_such_data")
        return data_reply(request.address, asked.di, b"\x01", more=True)

    session = MeterSession(Scripted(stops), "000000000161")  # type: ignore[arg-type]
    with pytest.raises(BadReply, match="follow-up 1 of 00010000 refused"):
        session.read("00010000")


def test_a_profile_with_records_off_the_grid_and_contradictions() -> None:
    day = "2026-02-01"
    one = Dlt645Profile(load_classes=(4,), load_records_per_request=97)
    odd = STORED.replace(bytes.fromhex("0012010226"), bytes.fromhex("0712010226"))
    odd = odd[:-2] + bytes((sum(odd[:-2]) % 256, 0xE5))
    session, _ = scripted({"06040001": [(STORED + odd).hex()]})
    session.profile = one
    block = session.read_profile(day)
    assert block.registers["1-0:1.8.0"][48] == 1_234_560
    assert block.off_grid == ("2026-02-01T04:07:00Z",)
    wrong = STORED[:-2] + bytes((STORED[-2] ^ 1, 0xE5))
    session, _ = scripted({"06040001": [wrong.hex()]})
    session.profile = one
    assert session.read_profile(day).bad["1-0:1.8.0"] == {"48": "record_checksum"}
    other = STORED.replace(bytes.fromhex("56341200"), bytes.fromhex("57341200"))
    other = other[:-2] + bytes((sum(other[:-2]) % 256, 0xE5))
    session, _ = scripted({"06040001": [(STORED + other).hex()]})
    session.profile = one
    with pytest.raises(BadReply, match="differ"):
        session.read_profile(day)


def test_a_profile_goes_on_behind_hours_without_power() -> None:
    """Records 18 to 35 were never stored: those behind them are read all the same."""
    begins = datetime.fromisoformat("2026-02-01T00:00:00")

    def answer(request: Frame) -> Frame:
        asked = parse_request(request)
        assert isinstance(asked, ReadAsked)
        civil = decode_stamp(asked.extra[1:])
        assert isinstance(civil, datetime)
        first = (civil - begins) // timedelta(minutes=15)
        if first in (18, 27) or first >= 72:
            return refusal_reply(request, request.address, "no_such_data")
        stored = b"".join(
            encode_load_record(
                begins + place * timedelta(minutes=15), {4: encode_bcd(place, 4) + bytes(12)}, 4
            )
            for place in (first, first + 8)
        )
        return data_reply(request.address, asked.di, stored)

    session = MeterSession(Scripted(answer), "000000000161")  # type: ignore[arg-type]
    session.profile = Dlt645Profile(load_classes=(4,))
    block = session.read_profile("2026-02-01")
    column = block.registers["1-0:1.8.0"]
    assert block.refused == ()
    assert [place for place, value in enumerate(column) if value is not None] == [
        *(0, 8, 9, 17, 36, 44, 45, 53, 54, 62, 63, 71)
    ]


def test_a_refusal_without_a_reason_is_no_reply() -> None:
    def empty(request: Frame) -> Frame:
        return Frame(request.address, 0xD1, b"\x00")

    session = MeterSession(Scripted(empty), "000000000161")  # type: ignore[arg-type]
    with pytest.raises(BadReply, match="error word 00"):
        session.read("00010000")


def test_a_class_of_records_the_meter_must_not_give() -> None:
    def refuses(request: Frame) -> Frame:
        return refusal_reply(request, request.address, "not_authorised")

    session = MeterSession(Scripted(refuses), "000000000161")  # type: ignore[arg-type]
    block = session.read_profile("2026-02-01")
    assert block.refused == ("not_authorised",)
    assert len(block.exchanges) == 2  # one per class: it is not asked eleven times
