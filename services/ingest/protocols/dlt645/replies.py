"""Replies of DL/T 645-2007: judged by us, built by a (simulated) meter.

A frame is a reply to a request only when direction, function, address, DI and follow-up number all
match; an address may differ only where the request asked any meter (wildcard).

    >>> parse_reply(read_request("000000000161", "00010000"), answer).payload.hex()  # vector f02
    '26000000'
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from services.ingest.protocols.dlt645.frame import (
    ABNORMAL,
    AUTHENTICATE,
    CHANGE_BAUD,
    CHANGE_PASSWORD,
    FROM_METER,
    FUNCTION,
    MORE,
    OUTPUT,
    READ,
    READ_ADDRESS,
    READ_FOLLOW_UP,
    Frame,
    address_matches,
)
from services.ingest.protocols.dlt645.identifiers import di_bytes
from services.ingest.protocols.failures import BadReply

ERROR_BITS = (
    "other",
    "no_such_data",
    "not_authorised",
    "baud_fixed",
    "year_zones_exceeded",
    "day_slots_exceeded",
    "rates_exceeded",
    "bit_7",
)
"""The error word of an abnormal reply, bit 0 first (domain.md 1.1; f42 and f61 agree)."""
_READS = (READ, READ_FOLLOW_UP)
_ECHOES = {CHANGE_BAUD: 0, CHANGE_PASSWORD: 8, OUTPUT: 0}
"""97H, 98H, 9DH say again what was set; where that begins in the request (UNCONFIRMED)."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A matching reply. `refused`: the names of the error bits, empty when the meter obeyed.

    payload: what follows the DI of a read (without SEQ), the address of 13H, or the setting that
    97H and 9DH repeat. The password that 98H repeats is compared and dropped.
    """

    address: str
    payload: bytes = b""
    more: bool = False
    refused: tuple[str, ...] = ()


def error_names(word: int) -> tuple[str, ...]:
    """The names of the bits set in an error word."""
    return tuple(name for bit, name in enumerate(ERROR_BITS) if word >> bit & 1)


def error_word(names: Iterable[str]) -> int:
    """The error word with these bits set; ValueError for a name that is none."""
    return sum(1 << ERROR_BITS.index(name) for name in set(names))


def is_reply(request: Frame, frame: Frame) -> bool:
    """Whether `frame` answers `request`."""
    control = frame.control
    if control & ~(ABNORMAL | MORE) != request.control | FROM_METER:
        return False
    if not address_matches(request.address, frame.address):
        return False
    if control & ABNORMAL or request.control not in _READS:
        return True
    if frame.data[:4] != request.data[:4]:
        return False
    return request.control == READ or frame.data[4:][-1:] == request.data[4:]


def parse_reply(request: Frame, frame: Frame) -> Reply:
    """What the meter answered; BadReply when it is no answer to this request."""
    if not is_reply(request, frame):
        raise BadReply(f"{frame.control:02X}H of {frame.address} answers another request")
    data = frame.data
    if frame.abnormal:
        names = error_names(data[0]) if data else ()
        if not names or len(data) > 2:
            raise BadReply(f"a refusal with the error word {data.hex() or 'missing'}")
        return Reply(frame.address, refused=names)
    more = frame.more
    if request.control == READ:
        return Reply(frame.address, data[4:], more)
    if request.control == READ_FOLLOW_UP:
        return Reply(frame.address, data[4:-1], more)
    if request.control == AUTHENTICATE:
        if data[:4] != request.data[:4]:
            raise BadReply("the reply to an authentication names another identifier")
        return Reply(frame.address, data[4:])
    if more:
        raise BadReply(f"{frame.control:02X}H cannot have follow-up frames")
    if request.control in _ECHOES:
        return _echoed(request, frame)
    if request.control == READ_ADDRESS:
        if data[::-1].hex() != frame.address:
            raise BadReply("the address in the reply is not that of its frame")
        return Reply(frame.address, data)
    if data:
        raise BadReply(f"{len(data)} bytes in an acknowledgement that has none")
    return Reply(frame.address)


def _echoed(request: Frame, frame: Frame) -> Reply:
    """97H, 98H, 9DH: what was set is said again, or nothing."""
    wanted = request.data[_ECHOES[request.control] :]
    if frame.data not in (wanted, b""):
        raise BadReply(f"{frame.control:02X}H repeats another setting than was asked")
    told = b"" if request.control == CHANGE_PASSWORD else frame.data
    return Reply(frame.address, told)


def data_reply(
    address: str, di: str, payload: bytes, *, seq: int | None = None, more: bool = False
) -> Frame:
    """91H/B1H or, with `seq`, 92H/B2H: a meter's answer to a read."""
    function = READ if seq is None else READ_FOLLOW_UP
    tail = b"" if seq is None else bytes((seq,))
    control = function | FROM_METER | (MORE if more else 0)
    return Frame(address, control, di_bytes(di) + payload + tail)


def address_reply(address: str) -> Frame:
    """93H: a meter's answer to "who is there"."""
    return Frame(address, READ_ADDRESS | FROM_METER, bytes.fromhex(address)[::-1])


def ack_reply(request: Frame, address: str) -> Frame:
    """94H to 9DH: accepted; says nothing of what the meter then did."""
    start = _ECHOES.get(request.control)
    data = b"" if start is None else request.data[start:]
    return Frame(address, request.control & FUNCTION | FROM_METER, data)


def refusal_reply(request: Frame, address: str, *errors: str) -> Frame:
    """D1H, DCH, ...: refused, for the named reasons."""
    control = request.control & FUNCTION | FROM_METER | ABNORMAL
    return Frame(address, control, bytes((error_word(errors),)))
