"""What a master asks, and what a terminal says of itself: application function, and data units.

    day_freeze_request((1, 2), (161,), "2026-01-31").body.hex()
    frame_of(request, address, number=3)            # what `frame.encode_frame` sends

A wrong argument is BadInput with its name. `building` offers them to people (`encode`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.values import civil_time
from services.ingest.protocols.qgdw376.archive import ArchiveEntry, encode_entries, encode_numbers
from services.ingest.protocols.qgdw376.formats import (
    encode_clock,
    encode_day,
    encode_minute,
    encode_month,
)
from services.ingest.protocols.qgdw376.forwarding import Forwarding, encode_forwarding
from services.ingest.protocols.qgdw376.frame import (
    ACK,
    CONTROL,
    CURRENT,
    EVENTS,
    FORWARD,
    FROZEN,
    LINK,
    QUERY,
    SET,
    Address,
    Frame,
    TimeTag,
)
from services.ingest.protocols.qgdw376.frame import Sequence as FrameSequence
from services.ingest.protocols.qgdw376.layouts import INTERVALS_S
from services.ingest.protocols.qgdw376.points import encode_identifier, group_points

LOGIN, LOGOUT, HEARTBEAT = 1, 2, 3
ALL_ACCEPTED, ALL_DENIED, ONE_BY_ONE = 1, 2, 3
ARCHIVE_FN = 10
TRIP_FN, PERMIT_CLOSE_FN, CLOCK_FN = 1, 2, 31
FORWARD_FN = 1
IMPORTANT, GENERAL = 1, 2
MAX_ROUND = 8
_TERMINAL_LINK_FUNCTION, _MASTER_LINK_FUNCTION = 9, 11
"""Function codes of login and of its acknowledgement (captures c01 and c02)."""


@dataclass(frozen=True, slots=True)
class Request:
    """An application function and its data units. commands: whether it changes something, so that
    an unanswered one must never be repeated blindly."""

    afn: int
    body: bytes
    commands: bool = False


def frame_of(
    request: Request,
    address: Address,
    number: int,
    function: int = 11,
    time_tag: TimeTag | None = None,
) -> Frame:
    """The frame that carries a request; `number` is its PSEQ."""
    return Frame(
        address=address,
        afn=request.afn,
        sequence=FrameSequence(number & 0x0F),
        body=request.body,
        function=function,
        time_tag=time_tag,
    )


def current_request(pns: Sequence[int], fns: Sequence[int]) -> Request:
    """0CH: current data; a group of 8 points takes one identifier."""
    return Request(CURRENT, b"".join(_identifiers(pns, fns)))


def _identifiers(pns: Iterable[int], fns: Sequence[int]) -> list[bytes]:
    kinds = group_points(fns)
    found = [encode_identifier(group, kind) for group in group_points(pns) for kind in kinds]
    if not found:
        raise BadInput("pns", "no point, or no kind", "name at least one of each")
    return found


def _tagged(pns: Sequence[int], fns: Sequence[int], tag: bytes, *, single_points: bool) -> Request:
    if single_points:
        pairs = [((pn,), (fn,)) for pn in sorted(set(pns)) for fn in sorted(set(fns))]
        found = [encode_identifier(*pair) for pair in pairs]
    else:
        found = [_identifiers(group, (fn,))[0] for group in group_points(pns) for fn in fns]
    if not found:
        raise BadInput("pns", "no point, or no kind", "name at least one of each")
    return Request(FROZEN, b"".join(each + tag for each in found))


def day_freeze_request(
    pns: Sequence[int], fns: Sequence[int], day_on: str, *, single_points: bool = True
) -> Request:
    """0DH with a day: the freeze at 24:00 of `day_on`. single_points: an identifier
    names one Pn and one Fn, which leaves no doubt whose tag follows; else up to 8 points share one.
    """
    return _tagged(pns, fns, encode_day(day_on), single_points=single_points)


def month_freeze_request(
    pns: Sequence[int], fns: Sequence[int], month_on: str, *, single_points: bool = True
) -> Request:
    """0DH with a month: the freeze at the end of `month_on` ("2026-01")."""
    return _tagged(pns, fns, encode_month(month_on), single_points=single_points)


def curve_request(
    pns: Sequence[int],
    fns: Sequence[int],
    first_at: str,
    density: int,
    points: int,
    *,
    zone_minutes: int = 480,
    single_points: bool = True,
) -> Request:
    """0DH with a beginning (instant), a density (1: 15 minutes, 2: 30, 3: 60, 254: 5, 255: 1) and a
    count of points."""
    if density not in INTERVALS_S or not 1 <= points <= 255:
        raise BadInput(
            "density", f"{density} with {points} points", "use 1, 2, 3, 254 or 255; 1 to 255 points"
        )
    tag = encode_minute(civil_time(first_at, zone_minutes)) + bytes((density, points))
    return _tagged(pns, fns, tag, single_points=single_points)


def archive_query(numbers: Sequence[int]) -> Request:
    """0AH F10: the archive entries with these numbers."""
    return Request(QUERY, encode_identifier((0,), (ARCHIVE_FN,)) + encode_numbers(numbers))


def archive_setting(entries: Sequence[ArchiveEntry]) -> Request:
    """04H F10: write archive entries; Pn 0 takes one out."""
    body = encode_identifier((0,), (ARCHIVE_FN,)) + encode_entries(entries)
    return Request(SET, body, commands=True)


def event_request(fn: int, first: int, last: int) -> Request:
    """0EH F1 (important) or F2 (general): the records from pointer `first` up to `last`."""
    if fn not in (IMPORTANT, GENERAL) or not 0 <= first <= 255 or not 0 <= last <= 255:
        raise BadInput("events", f"F{fn} from {first} to {last}", "use F1 or F2 and 0 to 255")
    return Request(EVENTS, encode_identifier((0,), (fn,)) + bytes((first, last)))


def trip_request(round_number: int, alarm_minutes: int = 0, limit_half_hours: int = 0) -> Request:
    """05H F1: trip a round (1..8) of the terminal's own outputs.

    alarm_minutes: 0..15, how long it warns before; limit_half_hours: 0..15, 0 for no limit. That
    the byte holds these two in this order is UNCONFIRMED (code index id 41870032109 names them).
    """
    _check_round(round_number)
    if not 0 <= alarm_minutes <= 15 or not 0 <= limit_half_hours <= 15:
        raise BadInput("trip", f"{alarm_minutes} min, {limit_half_hours} half hours", "use 0 to 15")
    body = encode_identifier((round_number,), (TRIP_FN,))
    return Request(CONTROL, body + bytes((alarm_minutes << 4 | limit_half_hours,)), commands=True)


def permit_close_request(round_number: int) -> Request:
    """05H F2: a round may be closed again, by hand."""
    _check_round(round_number)
    return Request(CONTROL, encode_identifier((round_number,), (PERMIT_CLOSE_FN,)), commands=True)


def _check_round(number: int) -> None:
    if not 1 <= number <= MAX_ROUND:
        raise BadInput("round", f"{number} is none", f"use 1 to {MAX_ROUND}")


def clock_request(at: str, zone_minutes: int = 480) -> Request:
    """05H F31: set the terminal's clock to an instant."""
    tag = encode_clock(civil_time(at, zone_minutes))
    return Request(CONTROL, encode_identifier((0,), (CLOCK_FN,)) + tag, commands=True)


def forward_request(forwarding: Forwarding, frame: bytes) -> Request:
    """10H F1: carry a meter's frame; whether that commands something, the frame says."""
    body = encode_identifier((0,), (FORWARD_FN,)) + encode_forwarding(forwarding, frame)
    return Request(FORWARD, body, commands=True)


def link_frame(address: Address, fn: int, number: int, civil: datetime | None = None) -> Frame:
    """A terminal's login (F1), logout (F2) or heartbeat (F3), as in captures c01 and c03.

    civil: of a heartbeat of terminals that send their clock in it (`guyingzhi/learngit`).
    """
    body = encode_identifier((0,), (fn,)) + (b"" if civil is None else encode_clock(civil))
    return Frame(
        address=address,
        afn=LINK,
        sequence=FrameSequence(number & 0x0F, confirm=True),
        body=body,
        function=_TERMINAL_LINK_FUNCTION,
        from_terminal=True,
    )


def acknowledgement(received: Frame, fn: int = ALL_ACCEPTED) -> Frame:
    """Our acknowledgement of what a terminal sent with CON, as in capture c02; F2 denies it."""
    return Frame(
        address=received.address,
        afn=ACK,
        sequence=FrameSequence(received.sequence.number),
        body=encode_identifier((0,), (fn,)),
        function=_MASTER_LINK_FUNCTION,
        starter=False,
    )
