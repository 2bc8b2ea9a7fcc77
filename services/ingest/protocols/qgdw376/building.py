"""Requests of Q/GDW 376.1 from what a person types, for `gridledger encode`.

Points and kinds are numbers with commas (`1,2,17`). What the terminal obeys only with PW takes it
as a secret field of 32 hex digits; zeros, as capture c05 has them, are the default.
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
from services.ingest.protocols.qgdw376.forwarding import Forwarding
from services.ingest.protocols.qgdw376.frame import PW_BYTES, encode_frame, parse_address
from services.ingest.protocols.qgdw376.masking import secret_content
from services.ingest.protocols.qgdw376.requests import (
    Request,
    archive_query,
    clock_request,
    current_request,
    curve_request,
    day_freeze_request,
    event_request,
    forward_request,
    frame_of,
    month_freeze_request,
)

Given = Mapping[str, str]
MAX_NUMBERS = 64
"""So many points or kinds are plenty for one frame."""

COMMON = (
    Field(name="address", meaning="the terminal, like 0200-1234"),
    Field(name="master", meaning="station address MSA", default="2"),
    Field(name="function", meaning="function code of C", default="11"),
    Field(name="number", meaning="PSEQ, 0 to 15", default="0"),
)
PW = Field(name="pw", meaning="PW, 32 hex digits", default="00" * PW_BYTES, secret=True)
PN = Field(name="pn", meaning="points, like 1,2,17")
ZONE = Field(name="zone-minutes", meaning="the terminal's zone, east of Greenwich", default="480")


def builder_376() -> Builder:
    """The `Builder` of Q/GDW 376.1."""
    return _reads() | _carried()


def _reads() -> dict[str, RequestKind]:
    return {
        "read": _kind(
            "0CH: current data",
            lambda given: current_request(*_points(given)),
            PN,
            Field(name="fn", meaning="kinds, like 129"),
        ),
        "day-freeze": _kind(
            "0DH: the freeze at 24:00 of a day",
            lambda given: day_freeze_request(*_points(given), given["day"]),
            PN,
            Field(name="fn", meaning="kinds", default="161"),
            Field(name="day", meaning="like 2026-01-31"),
        ),
        "month-freeze": _kind(
            "0DH: the freeze at the end of a month",
            lambda given: month_freeze_request(*_points(given), given["month"]),
            PN,
            Field(name="fn", meaning="kinds", default="177"),
            Field(name="month", meaning="like 2026-01"),
        ),
        "curve": _kind(
            "0DH: the points of a curve from a time on",
            _curve,
            PN,
            Field(name="fn", meaning="kinds, like 81"),
            Field(name="from", meaning="the first one's time, like 2026-01-31T16:00:00Z"),
            Field(name="density", meaning="1: 15 min, 2: 30, 3: 60, 254: 5, 255: 1", default="1"),
            Field(name="count", meaning="points wanted, 1 to 255", default="96"),
            ZONE,
        ),
        "archive": _kind(
            "0AH F10: which meter is behind which Pn",
            lambda given: archive_query(_numbers("numbers", given["numbers"])),
            Field(name="numbers", meaning="archive entries, like 1,2,3"),
        ),
        "events": _kind(
            "0EH: event records",
            lambda given: event_request(
                *(whole_value(name, given[name]) for name in ("kind", "first", "last"))
            ),
            Field(name="kind", meaning="1 important, 2 general", default="1"),
            Field(name="first", meaning="pointer of the first, 0 to 255"),
            Field(name="last", meaning="pointer behind the last, 0 to 255"),
        ),
    }


def _carried() -> dict[str, RequestKind]:
    """What needs PW."""
    return {
        "forward": _kind(
            "10H F1: carry a meter's frame that reads",
            _forward,
            Field(name="frame", meaning="the meter's frame as hex"),
            Field(name="port", meaning="1 to 31, 31 is the power line", default="31"),
            Field(name="baud", meaning="speed on the meter's side", default="2400"),
            PW,
        ),
        "clock": _kind(
            "05H F31: set the terminal's clock",
            lambda given: clock_request(
                given["at"], whole_value("zone-minutes", given["zone-minutes"])
            ),
            Field(name="at", meaning="the time, like 2026-01-31T16:00:00Z"),
            ZONE,
            PW,
        ),
    }


def _kind(summary: str, make: Callable[[Given], Request], *fields: Field) -> RequestKind:
    """A request whose data units `make` builds; every request takes the common fields."""
    return RequestKind(
        summary=summary,
        fields=(*COMMON, *fields),
        make=lambda given: _on_wire(make(given), given),
    )


def _on_wire(request: Request, given: Given) -> bytes:
    values = {name: whole_value(name, given[name]) for name in ("master", "function", "number")}
    for name in ("function", "number"):
        if values[name] > 15:
            raise BadInput(name, f"{values[name]} does not fit", "use 0 to 15")
    address = parse_address(given["address"], values["master"])
    frame = frame_of(request, address, values["number"], values["function"])
    return encode_frame(frame, hex_value("pw", given["pw"]) if "pw" in given else bytes(PW_BYTES))


def _numbers(name: str, text: str) -> tuple[int, ...]:
    found = tuple(whole_value(name, each.strip()) for each in text.split(","))
    if len(found) > MAX_NUMBERS:
        raise BadInput(name, f"{len(found)} numbers", f"at most {MAX_NUMBERS}")
    return found


def _points(given: Given) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return _numbers("pn", given["pn"]), _numbers("fn", given["fn"])


def _curve(given: Given) -> Request:
    density, count, zone = (
        whole_value(name, given[name]) for name in ("density", "count", "zone-minutes")
    )
    return curve_request(*_points(given), given["from"], density, count, zone_minutes=zone)


def _forward(given: Given) -> Request:
    port, baud = (whole_value(name, given[name]) for name in ("port", "baud"))
    content = hex_value("frame", given["frame"])
    if secret_content(content, hide_noise=True):  # everybody can see an argument
        raise BadInput(
            "frame", "carries a password, or is no DL/T 645 frame", "give one that reads"
        )
    return forward_request(Forwarding(port=port, baud=baud), content)
