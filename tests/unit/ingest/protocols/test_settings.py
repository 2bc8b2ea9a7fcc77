"""15H to 1BH and 1DH: the requests that set or clear something, both ways, with their replies."""

from __future__ import annotations

import pytest

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645 import requests
from services.ingest.protocols.dlt645.address import MeterAddress
from services.ingest.protocols.dlt645.frame import Frame, encode_frame
from services.ingest.protocols.dlt645.masking import mask_frame, secret_data
from services.ingest.protocols.dlt645.replies import Reply, ack_reply, parse_reply, refusal_reply
from services.ingest.protocols.dlt645.requests import (
    Asked,
    BaudAsked,
    ClearAsked,
    Credentials,
    NewAddressAsked,
    OutputAsked,
    PasswordAsked,
    parse_request,
)
from services.ingest.protocols.failures import BadReply

METER = MeterAddress("000000000161")
OLD = Credentials(level="02", password="123456", operator="00000007")
NEW = Credentials(level="04", password="654321")
NO_OPERATOR = Credentials(level="02", password="123456")

CASES: list[tuple[Frame, int, str, Asked]] = [
    (
        requests.write_address_request(METER, MeterAddress("000000000162")),
        0x15,
        "620100000000",
        NewAddressAsked(address="000000000162"),
    ),
    (requests.baud_request(METER, 9600), 0x17, "20", BaudAsked(baud=9600)),
    (
        requests.password_request(METER, OLD, NEW),
        0x18,
        "050c0004" + "02563412" + "04214365",
        PasswordAsked(di="04000C05", old=NO_OPERATOR, new=NEW),
    ),
    (
        requests.clear_request(METER, "demand", OLD),
        0x19,
        "02563412" + "07000000",
        ClearAsked(what="demand", credentials=OLD),
    ),
    (
        requests.clear_request(METER, "meter", OLD),
        0x1A,
        "02563412" + "07000000",
        ClearAsked(what="meter", credentials=OLD),
    ),
    (
        requests.clear_request(METER, "events", OLD, "03300DFF"),
        0x1B,
        "02563412" + "07000000" + "ff0d3003",
        ClearAsked(what="events", credentials=OLD, di="03300DFF"),
    ),
    (
        requests.output_request(METER, "demand_period"),
        0x1D,
        "01",
        OutputAsked(output="demand_period"),
    ),
]
IDS = ["15H", "17H", "18H", "19H", "1AH", "1BH", "1DH"]


@pytest.mark.parametrize(("frame", "control", "data_hex", "asked"), CASES, ids=IDS)
def test_both_ways(frame: Frame, control: int, data_hex: str, asked: Asked) -> None:
    assert frame == Frame("000000000161", control, bytes.fromhex(data_hex))
    assert parse_request(frame) == asked
    accepted = ack_reply(frame, "000000000161")
    assert accepted.control == control | 0x80
    reply = parse_reply(frame, accepted)
    assert reply.refused == ()
    refused = refusal_reply(frame, "000000000161", "not_authorised")
    assert refused.control == control | 0xC0
    assert parse_reply(frame, refused) == Reply("000000000161", refused=("not_authorised",))


def test_what_a_meter_says_again_is_what_was_set() -> None:
    baud, _, password, *_ = (CASES[n][0] for n in (1, 0, 2))
    assert ack_reply(baud, "000000000161").data == b"\x20"
    assert ack_reply(password, "000000000161").data.hex() == "04214365"
    assert parse_reply(baud, ack_reply(baud, "000000000161")).payload == b"\x20"
    for told in (b"", bytes.fromhex("04214365")):
        reply = parse_reply(password, Frame("000000000161", 0x98, told))
        assert reply == Reply("000000000161")
    with pytest.raises(BadReply, match="repeats another setting"):
        parse_reply(password, Frame("000000000161", 0x98, bytes.fromhex("04214366")))
    with pytest.raises(BadReply, match="repeats another setting"):
        parse_reply(baud, Frame("000000000161", 0x97, b"\x08"))
    with pytest.raises(BadReply, match="follow-up"):
        parse_reply(baud, Frame("000000000161", 0xB7, b"\x20"))


@pytest.mark.parametrize(
    ("control", "data_hex"),
    [
        (0x15, "aaaaaaaaaaaa"),
        (0x15, "999999999999"),
        (0x15, "6201"),
        (0x17, "03"),
        (0x17, "2000"),
        (0x18, "050c00040256341204"),
        (0x18, "050c0004" + "025634ff" + "04214365"),
        (0x19, "02563412"),
        (0x1B, "0256341207000000"),
        (0x1D, "07"),
    ],
)
def test_what_a_meter_cannot_read_is_no_request(control: int, data_hex: str) -> None:
    with pytest.raises(BadReply):
        parse_request(Frame("000000000161", control, bytes.fromhex(data_hex)))


def test_what_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="use one of 600, 1200"):
        requests.baud_request(METER, 300)
    with pytest.raises(BadInput, match="use one of demand"):
        requests.clear_request(METER, "all", OLD)
    with pytest.raises(BadInput, match="use one of clock_seconds"):
        requests.output_request(METER, "light")


@pytest.mark.parametrize("control", [0x14, 0x15, 0x17, 0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1D])
@pytest.mark.parametrize("address", ["999999999999", "AAAAAAAAAAAA", "AAAAAA000161"])
def test_nothing_that_changes_a_meter_can_go_to_many(control: int, address: str) -> None:
    with pytest.raises(BadInput, match="more than one meter"):
        encode_frame(Frame(address, control, b""))


@pytest.mark.parametrize(
    ("control", "di", "hidden"),
    [
        (0x14, "04000C01", {5, 6, 7, 12, 13, 14, 15}),
        (0x14, "04000D01", {5, 6, 7}),
        (0x91, "04000C01", set(range(4, 16))),
        (0xD1, "04000C01", set(range(4, 16))),
        (0x91, "04000D01", set()),
        (0x11, "04000C01", set()),
    ],
)
def test_passwords_that_are_values_are_hidden_too(control: int, di: str, hidden: set[int]) -> None:
    data = bytes.fromhex(di)[::-1] + bytes(range(12))
    frame = Frame("000000000161", control, data)
    assert secret_data(frame) == hidden
    assert ("xx" in mask_frame(encode_frame(frame))) is bool(hidden)
