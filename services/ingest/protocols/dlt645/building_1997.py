"""Requests of DL/T 645-1997 from what a person types, for `gridledger encode`."""

from __future__ import annotations

from services.ingest.protocols.building import Builder, Field, hex_value, whole_value
from services.ingest.protocols.dlt645.address import parse_address
from services.ingest.protocols.dlt645.building_2007 import (
    ADDRESS,
    AT,
    CREDENTIALS,
    ZONE,
    Given,
    any_address,
    kind,
)
from services.ingest.protocols.dlt645.edition_1997 import (
    follow_up_request_1997,
    read_request_1997,
    time_sync_request_1997,
    write_request_1997,
)
from services.ingest.protocols.dlt645.frame import BROADCAST, Frame
from services.ingest.protocols.dlt645.requests import Credentials

DI = Field(name="di", meaning="DI1 DI0, 4 hex digits")


def _write(given: Given) -> Frame:
    data = hex_value("data", given["data"])
    password = given["password"]
    own = Credentials(level=given["level"], password=password) if password else None
    return write_request_1997(parse_address(given["address"]), given["di"], data, own)


def _time(given: Given) -> Frame:
    zone = whole_value("zone-minutes", given["zone-minutes"])
    return time_sync_request_1997(given["at"], zone, any_address(given["address"]))


def builder_1997() -> Builder:
    """The `Builder` of DL/T 645-1997."""
    return {
        "read": kind(
            "01H: read a data item",
            lambda given: read_request_1997(any_address(given["address"]), given["di"]),
            ADDRESS,
            DI,
        ),
        "follow-up": kind(
            "02H: the next frame of a long answer",
            lambda given: follow_up_request_1997(any_address(given["address"]), given["di"]),
            ADDRESS,
            DI,
        ),
        "write": kind(
            "04H: write a data item",
            _write,
            ADDRESS,
            DI,
            Field(name="data", meaning="the value as hex, low byte first, without the 33H"),
            CREDENTIALS[0],
            Field(name="password", meaning="6 digits, if any", default="", secret=True),
        ),
        "time": kind(
            "08H: set the clock, no answer",
            _time,
            Field(name="address", meaning=ADDRESS.meaning, default=BROADCAST),
            AT,
            ZONE,
        ),
    }
