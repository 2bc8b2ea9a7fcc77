"""Requests of DL/T 645-2007 from what a person types, for `gridledger encode`.

Addresses are 1 to 12 digits, padded on the left; reads also take the wildcard AAAAAAAAAAAA, freeze
and time sync the broadcast 999999999999. Everything that changes one meter refuses both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from libs.events.errors import BadInput
from services.ingest.protocols.building import (
    Builder,
    Field,
    RequestKind,
    hex_value,
    whole_value,
)
from services.ingest.protocols.dlt645.address import parse_address
from services.ingest.protocols.dlt645.frame import (
    BROADCAST,
    WILDCARD,
    Frame,
    encode_frame,
    is_wildcard,
)
from services.ingest.protocols.dlt645.requests import (
    ALL_EVENTS,
    BAUD_RATES,
    OUTPUTS,
    RELAY_COMMANDS,
    Credentials,
    RelayOrder,
    baud_request,
    clear_request,
    follow_up_request,
    freeze_request,
    load_record_extra,
    output_request,
    password_request,
    read_address_request,
    read_request,
    relay_request,
    time_sync_request,
    write_address_request,
    write_request,
)
from services.ingest.protocols.dlt645.values import civil_time

Given = Mapping[str, str]
LEAD_BYTES_MAX = 16

ADDRESS = Field(name="address", meaning="the meter's 12 digits")
LEAD = Field(name="lead", meaning="bytes FEH before the frame", default="0")
ZONE = Field(name="zone-minutes", meaning="the meter's zone, east of Greenwich", default="480")
DI = Field(name="di", meaning="DI3..DI0, 8 hex digits")
CREDENTIALS = (
    Field(name="level", meaning="password level, 2 digits", default="02"),
    Field(name="operator", meaning="operator code, 8 digits", default="00000000"),
    Field(name="password", meaning="6 digits", secret=True),
)
AT = Field(name="at", meaning="the time, like 2026-01-31T16:00:00Z")


def any_address(text: str) -> str:
    """An address of a request that may go to many: digits are padded, the wildcard is not."""
    address = text.strip().upper()
    if address == BROADCAST or is_wildcard(address):
        return address
    return str(parse_address(text))


def on_wire(frame: Frame, given: Given) -> bytes:
    """The frame with the lead bytes asked for."""
    lead = whole_value("lead", given["lead"])
    if lead > LEAD_BYTES_MAX:
        raise BadInput("lead", f"{lead} bytes", f"at most {LEAD_BYTES_MAX} make sense")
    return encode_frame(frame, lead)


def credentials(given: Given) -> Credentials:
    """Level, password and operator."""
    return Credentials(level=given["level"], password=given["password"], operator=given["operator"])


def _read(given: Given) -> Frame:
    extra = b""
    if given["count"]:
        at = given["from"]
        civil = civil_time(at, whole_value("zone-minutes", given["zone-minutes"])) if at else None
        extra = load_record_extra(whole_value("count", given["count"]), civil)
    return read_request(any_address(given["address"]), given["di"], extra)


def _follow_up(given: Given) -> Frame:
    seq = whole_value("seq", given["seq"])
    return follow_up_request(any_address(given["address"]), given["di"], seq)


def _write(given: Given) -> Frame:
    data = hex_value("data", given["data"])
    return write_request(parse_address(given["address"]), given["di"], credentials(given), data)


def _freeze(given: Given) -> Frame:
    times = (given[name] for name in ("month", "day", "hour", "minute"))
    return freeze_request(any_address(given["address"]), *times)


def _time(given: Given) -> Frame:
    zone = whole_value("zone-minutes", given["zone-minutes"])
    return time_sync_request(any_address(given["address"]), given["at"], zone)


def _password(given: Given) -> Frame:
    old = Credentials(level=given["level"], password=given["password"])
    new = Credentials(level=given["new-level"] or given["level"], password=given["new-password"])
    return password_request(parse_address(given["address"]), old, new)


def _clear(given: Given) -> Frame:
    address = parse_address(given["address"])
    return clear_request(address, given["what"], credentials(given), given["di"])


def _relay(given: Given) -> Frame:
    order = RelayOrder(
        address=parse_address(given["address"]),
        command=given["command"],
        valid_until_at=given["valid-until"],
    )
    zone = whole_value("zone-minutes", given["zone-minutes"])
    return relay_request(order, credentials(given), zone)


def kind(summary: str, make: Callable[[Given], Frame], *fields: Field) -> RequestKind:
    """A request whose frame `make` builds; every request takes lead bytes."""
    return RequestKind(
        summary=summary,
        fields=(*fields, LEAD),
        make=lambda given: on_wire(make(given), given),
    )


def builder_2007() -> Builder:
    """The `Builder` of DL/T 645-2007."""
    return _reads() | _broadcasts() | _settings()


def _reads() -> dict[str, RequestKind]:
    anyone = Field(name="address", meaning=ADDRESS.meaning, default=WILDCARD)
    return {
        "read": kind(
            "11H: read a data item or a load profile",
            _read,
            ADDRESS,
            DI,
            Field(name="count", meaning="load profile: records wanted", default=""),
            Field(name="from", meaning="load profile: the first one's time", default=""),
            ZONE,
        ),
        "follow-up": kind(
            "12H: the next frame of a long answer",
            _follow_up,
            ADDRESS,
            DI,
            Field(name="seq", meaning="its number, 1 to 255"),
        ),
        "read-address": kind(
            "13H: who is on this line",
            lambda given: read_address_request(any_address(given["address"])),
            anyone,
        ),
    }


def _broadcasts() -> dict[str, RequestKind]:
    """What one meter or all may be told."""
    everyone = Field(name="address", meaning=ADDRESS.meaning, default=BROADCAST)
    every = [
        Field(name=name, meaning="2 digits, 99 for every", default="99")
        for name in ("month", "day", "hour", "minute")
    ]
    return {
        "freeze": kind("16H: freeze now or at a time", _freeze, everyone, *every),
        "time": kind("08H: set the clock, no answer", _time, everyone, AT, ZONE),
    }


def _settings() -> dict[str, RequestKind]:
    """What changes one meter."""
    return {
        "write": kind(
            "14H: write a data item",
            _write,
            ADDRESS,
            DI,
            Field(name="data", meaning="the value as hex, low byte first, without the 33H"),
            *CREDENTIALS,
        ),
        "write-address": kind(
            "15H: give the meter another address",
            lambda given: write_address_request(
                parse_address(given["address"]), parse_address(given["new-address"])
            ),
            ADDRESS,
            Field(name="new-address", meaning="12 digits"),
        ),
        "baud": kind(
            "17H: the speed of the line",
            lambda given: baud_request(
                parse_address(given["address"]), whole_value("baud", given["baud"])
            ),
            ADDRESS,
            Field(name="baud", meaning=f"one of {', '.join(map(str, BAUD_RATES))}"),
        ),
        "password": kind(
            "18H: change a password",
            _password,
            ADDRESS,
            CREDENTIALS[0],
            Field(name="new-level", meaning="level of the new one, as before", default=""),
            CREDENTIALS[2],
            Field(name="new-password", meaning="6 digits", secret=True),
        ),
        "clear": kind(
            "19H to 1BH: clear demand, the meter or its events",
            _clear,
            ADDRESS,
            Field(name="what", meaning="demand, meter or events"),
            Field(name="di", meaning="which events", default=ALL_EVENTS),
            *CREDENTIALS,
        ),
        "relay": kind(
            "1CH: open, close or keep the supply, valid until a time",
            _relay,
            ADDRESS,
            Field(name="command", meaning=f"one of {', '.join(RELAY_COMMANDS)}"),
            Field(name="valid-until", meaning=AT.meaning),
            *CREDENTIALS,
            ZONE,
        ),
        "output": kind(
            "1DH: the multi-function terminal",
            lambda given: output_request(parse_address(given["address"]), given["output"]),
            ADDRESS,
            Field(name="output", meaning=f"one of {', '.join(OUTPUTS)}"),
        ),
    }
