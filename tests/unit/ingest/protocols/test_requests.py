"""Requests as we build them and as a meter reads them."""
# ruff: noqa: DTZ001

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645 import requests
from services.ingest.protocols.dlt645.address import MeterAddress
from services.ingest.protocols.dlt645.frame import BROADCAST, Frame, FrameReader, encode_frame
from services.ingest.protocols.dlt645.requests import (
    RELAY_COMMANDS,
    AddressAsked,
    Credentials,
    FreezeAsked,
    ReadAsked,
    RelayAsked,
    RelayOrder,
    TimeAsked,
    WriteAsked,
    parse_request,
)
from services.ingest.protocols.dlt645.values import civil_time
from services.ingest.protocols.failures import BadReply
from tests.unit.ingest.protocols.vectors import IN_SCOPE, raw

METER = MeterAddress("151230011061")
LEVEL_2 = Credentials(level="02", password="000000", operator="00000001")
READS = [row for row in IN_SCOPE if row["control"] == "11"]


@pytest.mark.parametrize("row", READS, ids=lambda row: row["id"])
def test_golden_reads_are_what_we_send(row: dict[str, str]) -> None:
    frame = requests.read_request(row["address"], row["di"])
    assert encode_frame(frame) == bytes.fromhex(row["hex"]).lstrip(b"\xfe")
    assert parse_request(frame) == ReadAsked(di=row["di"])


@pytest.mark.parametrize(("name", "command"), [("f48", "trip"), ("f52", "permit_close")])
def test_golden_relay_commands_are_what_we_send(name: str, command: str) -> None:
    until = civil_time("2099-12-29T16:00:00Z", 480)
    assert until == datetime(2099, 12, 30)
    order = RelayOrder(address=METER, command=command, valid_until_at="2099-12-29T16:00:00Z")
    frame = requests.relay_request(order, LEVEL_2, 480)
    assert encode_frame(frame) == raw(name)
    assert parse_request(frame) == RelayAsked(
        command=command, credentials=LEVEL_2, valid_until=until
    )


def test_golden_address_read() -> None:
    assert encode_frame(requests.read_address_request()) == raw("f56")
    assert isinstance(parse_request(requests.read_address_request()), AddressAsked)


@settings(deadline=None)
@given(
    st.sampled_from(sorted(RELAY_COMMANDS)),
    st.datetimes(datetime(2001, 1, 1), datetime(2098, 1, 1)),
    st.integers(0, 999_999),
    st.integers(0, 99_999_999),
)
def test_a_meter_reads_what_we_ordered(
    command: str, moment: datetime, password: int, operator: int
) -> None:
    credentials = Credentials(level="04", password=f"{password:06d}", operator=f"{operator:08d}")
    at = moment.replace(microsecond=0).isoformat() + "Z"
    order = RelayOrder(address=METER, command=command, valid_until_at=at)
    sent = encode_frame(requests.relay_request(order, credentials, 480))
    frame = FrameReader().feed(sent)[0]
    assert isinstance(frame, Frame)
    asked = parse_request(frame)
    assert asked == RelayAsked(
        command=command,
        credentials=credentials,
        valid_until=civil_time(at, 480),
    )
    assert len(frame.data) == 16


def test_the_other_requests_by_hand() -> None:
    follow = requests.follow_up_request("000000000161", "03300D01", 2)
    assert (follow.control, follow.data.hex()) == (0x12, "010d300302")
    assert parse_request(follow) == ReadAsked(di="03300D01", seq=2)
    write = requests.write_request(METER, "04000103", LEVEL_2, b"\x15")
    assert (write.control, write.data.hex()) == (0x14, "03010004" + "02000000" + "01000000" + "15")
    assert parse_request(write) == WriteAsked(di="04000103", credentials=LEVEL_2, data=b"\x15")
    freeze = requests.freeze_request(BROADCAST, "99", "99", "00", "30")
    assert (freeze.control, freeze.data.hex()) == (0x16, "30009999")
    assert parse_request(freeze) == FreezeAsked(pattern="99990030")
    sync = requests.time_sync_request(BROADCAST, "2026-01-31T16:00:05Z", 480)
    assert (sync.control, sync.data.hex()) == (0x08, "050000010226")
    assert parse_request(sync) == TimeAsked(civil=datetime(2026, 2, 1, 0, 0, 5))
    extra = requests.load_record_extra(9, datetime(2026, 2, 1, 0, 15))
    assert extra.hex() == "09" + "1500010226"
    assert requests.load_record_count(extra) == 9
    assert requests.load_record_count(b"") == 1
    assert requests.load_record_extra(1, None) == b"\x01"


def test_credentials_are_not_printed() -> None:
    secret = Credentials(level="02", password="918273", operator="00000001")
    assert "918273" not in repr(secret)
    assert secret.encode().hex() == "02738291" + "01000000"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"level": "2"}, "level"),
        ({"password": "12345x"}, "password"),
        ({"operator": "1"}, "operator"),
    ],
)
def test_wrong_credentials_are_named_without_their_value(wrong: dict[str, str], field: str) -> None:
    with pytest.raises(BadInput) as caught:
        Credentials(**wrong)
    assert caught.value.field == field
    assert "12345x" not in str(caught.value)


def test_wrong_orders_are_refused() -> None:
    order = RelayOrder(address=METER, command="open", valid_until_at="2026-01-01T00:00:00Z")
    with pytest.raises(BadInput, match="use one of trip"):
        requests.relay_request(order, LEVEL_2, 480)
    with pytest.raises(BadInput, match="seq"):
        requests.follow_up_request("000000000161", "00010000", 0)
    with pytest.raises(BadInput, match="freeze time"):
        requests.freeze_request(BROADCAST, "1", "99", "99", "99")


@pytest.mark.parametrize(
    ("control", "data_hex"),
    [
        (0x11, "0000"),
        (0x12, "00000100"),
        (0x14, "00000100"),
        (0x1C, "02000000010000001a00"),
        (0x1C, "0200000001000000" + "5500" + "000000301299"),
        (0x1C, "0200000001000000" + "1a00" + "000000401299"),
        (0x1C, "02ffffff01000000" + "1a00" + "000000301299"),
        (0x16, "ff999999"),
        (0x08, "0000"),
        (0x08, "000000400126"),
        (0x1F, ""),
    ],
)
def test_what_a_meter_cannot_read_is_no_request(control: int, data_hex: str) -> None:
    with pytest.raises(BadReply):
        parse_request(Frame("000000000161", control, bytes.fromhex(data_hex)))
