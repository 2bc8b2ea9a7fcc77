"""Requests of DL/T 645-2007: built by us, read by a (simulated) meter.

    >>> encode_frame(read_request("000000000161", "00010000")).hex()
    '68610100000000681104333334331416'

What changes one meter (write, relay, baud rate, password, clearing) takes a `MeterAddress`, which
cannot be wildcard or broadcast. 12H with SEQ, 15H to 1BH and 1DH are as the standard is remembered
and other code builds them: UNCONFIRMED (domain.md 1.1). The standard lets 15H go to the wildcard,
so that a meter with an unknown address can be given one; here it is read first (13H).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.address import MeterAddress
from services.ingest.protocols.dlt645.frame import (
    CHANGE_BAUD,
    CHANGE_PASSWORD,
    CLEAR_DEMAND,
    CLEAR_EVENTS,
    CLEAR_METER,
    FREEZE,
    OUTPUT,
    READ,
    READ_ADDRESS,
    READ_FOLLOW_UP,
    RELAY,
    TIME_SYNC,
    WILDCARD,
    WRITE,
    WRITE_ADDRESS,
    Frame,
    is_meter_address,
)
from services.ingest.protocols.dlt645.identifiers import check_di, di_bytes, di_text
from services.ingest.protocols.dlt645.values import (
    BadValue,
    civil_time,
    decode_bcd,
    decode_stamp,
    encode_bcd,
    encode_stamp,
)
from services.ingest.protocols.failures import BadReply

RELAY_COMMANDS = {
    "trip": 0x1A,
    "permit_close": 0x1B,
    "close": 0x1C,
    "alarm": 0x2A,
    "alarm_off": 0x2B,
    "keep_supply": 0x3A,
    "keep_supply_off": 0x3B,
}
"""N1 of 1CH. 1AH and 1BH are confirmed by a capture; alarm and keep-supply are UNCONFIRMED."""
_COMMAND_NAMES = {code: name for name, code in RELAY_COMMANDS.items()}
BAUD_RATES = {600: 0x02, 1200: 0x04, 2400: 0x08, 4800: 0x10, 9600: 0x20, 19200: 0x40}
"""Bits of the word of 17H (domain.md 1.1 for 1200 to 19200; 600 UNCONFIRMED)."""
_BAUD_WORDS = {word: baud for baud, word in BAUD_RATES.items()}
OUTPUTS = {"clock_seconds": 0x00, "demand_period": 0x01, "slot_switching": 0x02}
"""What 1DH puts on the multi-function terminal (UNCONFIRMED)."""
_OUTPUT_NAMES = {code: name for name, code in OUTPUTS.items()}
CLEARINGS = {"demand": CLEAR_DEMAND, "meter": CLEAR_METER, "events": CLEAR_EVENTS}
_CLEARING_NAMES = {code: name for name, code in CLEARINGS.items()}
ALL_EVENTS = "FFFFFFFF"
LEVELS_DI = "04000C"
"""DI3 DI2 DI1 of the passwords; DI0 is the level plus 1."""
ANY_TIME = "99"
"""Two digits of a freeze time that mean "every"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Password level PA (2 digits), password (6 digits) and operator code (8 digits).

    Never printed: only the level and the operator are in its repr.
    """

    level: str = "02"
    password: str = field(default="000000", repr=False)
    operator: str = "00000000"

    def __post_init__(self) -> None:
        for name, size in (("level", 2), ("password", 6), ("operator", 8)):
            text = getattr(self, name)
            if len(text) != size or not (text.isascii() and text.isdecimal()):
                raise BadInput(name, "wrong length or no digits", f"give {size} digits")

    def encode(self) -> bytes:
        """PA P0 P1 P2 C0 C1 C2 C3."""
        return (
            bytes.fromhex(self.level)
            + bytes.fromhex(self.password)[::-1]
            + bytes.fromhex(self.operator)[::-1]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayOrder:
    """What one relay is told, and until when the meter may obey, by its own clock."""

    address: MeterAddress
    command: str
    valid_until_at: str


def read_request(address: str, di: str, extra: bytes = b"") -> Frame:
    """11H; `extra` is what follows the DI (a load profile: block count and time)."""
    return Frame(address, READ, di_bytes(check_di(di)) + extra)


def follow_up_request(address: str, di: str, seq: int) -> Frame:
    """12H: the frame number `seq` (1..255) of an answer that did not fit one frame."""
    if not 1 <= seq <= 255:
        raise BadInput("seq", f"{seq} is no follow-up number", "use 1 to 255")
    return Frame(address, READ_FOLLOW_UP, di_bytes(check_di(di)) + bytes((seq,)))


def read_address_request(address: str = WILDCARD) -> Frame:
    """13H: which meter is on this line (point to point)."""
    return Frame(address, READ_ADDRESS, b"")


def write_request(address: MeterAddress, di: str, credentials: Credentials, data: bytes) -> Frame:
    """14H: DI, PA P0..P2, C0..C3, data."""
    return Frame(str(address), WRITE, di_bytes(check_di(di)) + credentials.encode() + data)


def freeze_request(address: str, month: str, day: str, hour: str, minute: str) -> Frame:
    """16H: freeze at MMDDhhmm; "99" is a wildcard: 99 99 99 99 means at once."""
    digits = month + day + hour + minute
    if len(digits) != 8 or not digits.isdecimal():
        raise BadInput("freeze time", f"{digits!r}", 'give two digits each, "99" for every')
    return Frame(address, FREEZE, bytes.fromhex(digits)[::-1])


def time_sync_request(address: str, at: str, zone_minutes: int) -> Frame:
    """08H: the time, as the meter's civil time; no meter answers."""
    return Frame(address, TIME_SYNC, encode_stamp(civil_time(at, zone_minutes), 6))


def relay_request(order: RelayOrder, credentials: Credentials, zone_minutes: int) -> Frame:
    """1CH with a password: PA P0..P2, C0..C3, N1, N2 = 00, N3..N8 = ss mm hh DD MM YY."""
    code = RELAY_COMMANDS.get(order.command)
    if code is None:
        known = ", ".join(RELAY_COMMANDS)
        raise BadInput("command", f"{order.command!r} is no relay command", f"use one of {known}")
    until = encode_stamp(civil_time(order.valid_until_at, zone_minutes), 6)
    data = credentials.encode() + bytes((code, 0)) + until
    return Frame(str(order.address), RELAY, data)


def load_record_extra(count: int, civil: datetime | None) -> bytes:
    """What follows a load-profile DI: the count of records and, for a given time, mm hh DD MM YY.

    The count is BCD; up to 9 that is the same as binary (see `Dlt645Profile`).
    """
    stamp = b"" if civil is None else encode_stamp(civil, 5)
    return encode_bcd(count, 1) + stamp


def write_address_request(address: MeterAddress, new: MeterAddress) -> Frame:
    """15H: the meter gets another address (its button for programming must be pressed)."""
    return Frame(str(address), WRITE_ADDRESS, bytes.fromhex(str(new))[::-1])


def baud_request(address: MeterAddress, baud: int) -> Frame:
    """17H: the speed of the line, from the answer on. BadInput for a speed that has no bit."""
    word = BAUD_RATES.get(baud)
    if word is None:
        known = ", ".join(map(str, BAUD_RATES))
        raise BadInput("baud", f"{baud} is no speed of the standard", f"use one of {known}")
    return Frame(str(address), CHANGE_BAUD, bytes((word,)))


def password_request(address: MeterAddress, old: Credentials, new: Credentials) -> Frame:
    """18H: DI of the new password's level, PA P0..P2 of the old one, PA P0..P2 of the new one."""
    di = f"{LEVELS_DI}{int(new.level) + 1:02X}"
    return Frame(str(address), CHANGE_PASSWORD, di_bytes(di) + old.encode()[:4] + new.encode()[:4])


def clear_request(
    address: MeterAddress, what: str, credentials: Credentials, di: str = ALL_EVENTS
) -> Frame:
    """19H, 1AH, 1BH: clear maximum demand, the whole meter, or the events of `di`."""
    function = CLEARINGS.get(what)
    if function is None:
        raise BadInput("what", f"{what!r} cannot be cleared", f"use one of {', '.join(CLEARINGS)}")
    tail = di_bytes(check_di(di)) if what == "events" else b""
    return Frame(str(address), function, credentials.encode() + tail)


def output_request(address: MeterAddress, output: str) -> Frame:
    """1DH: what the multi-function terminal puts out."""
    code = OUTPUTS.get(output)
    if code is None:
        raise BadInput("output", f"{output!r} is none", f"use one of {', '.join(OUTPUTS)}")
    return Frame(str(address), OUTPUT, bytes((code,)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAsked:
    """A meter's view of 11H (seq 0) or 12H."""

    di: str
    seq: int = 0
    extra: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteAsked:
    """A meter's view of 14H."""

    di: str
    credentials: Credentials
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayAsked:
    """A meter's view of 1CH; `valid_until` is civil time by its own clock."""

    command: str
    credentials: Credentials
    valid_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeAsked:
    """A meter's view of 08H."""

    civil: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeAsked:
    """A meter's view of 16H: MMDDhhmm with 99 for every."""

    pattern: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressAsked:
    """A meter's view of 13H."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAddressAsked:
    """A meter's view of 15H: 12 digits."""

    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BaudAsked:
    """A meter's view of 17H: bits per second."""

    baud: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordAsked:
    """A meter's view of 18H; the operator code of both is zeros, the frame has none."""

    di: str
    old: Credentials
    new: Credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearAsked:
    """A meter's view of 19H (demand), 1AH (meter) and 1BH (events of `di`)."""

    what: str
    credentials: Credentials
    di: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputAsked:
    """A meter's view of 1DH."""

    output: str


Asked = (
    ReadAsked
    | WriteAsked
    | RelayAsked
    | TimeAsked
    | FreezeAsked
    | AddressAsked
    | NewAddressAsked
    | BaudAsked
    | PasswordAsked
    | ClearAsked
    | OutputAsked
)


def parse_request(frame: Frame) -> Asked:
    """What a request asks, as the meter reads it. BadReply when it is none this table knows."""
    data = frame.data
    if frame.control == READ and len(data) >= 4:
        return ReadAsked(di=di_text(data), extra=data[4:])
    if frame.control == READ_FOLLOW_UP and len(data) == 5:
        return ReadAsked(di=di_text(data), seq=data[4])
    if frame.control == READ_ADDRESS and not data:
        return AddressAsked()
    if frame.control == WRITE and len(data) >= 12:
        credentials = _credentials(data[4:12])
        return WriteAsked(di=di_text(data), credentials=credentials, data=data[12:])
    if frame.control == RELAY and len(data) == 16:
        return _relay_asked(data)
    if frame.control == FREEZE and len(data) == 4 and data.hex().isdecimal():
        return FreezeAsked(pattern=data[::-1].hex())
    if frame.control == TIME_SYNC:
        civil = decode_stamp(data)
        if len(data) == 6 and not isinstance(civil, BadValue):
            return TimeAsked(civil=civil)
    asked = _setting_asked(frame)
    if asked is not None:
        return asked
    raise BadReply(f"no request: control {frame.control:02X}H with {len(data)} bytes")


def _setting_asked(frame: Frame) -> Asked | None:
    """15H to 1BH and 1DH; None when it is none of them."""
    data, size = frame.data, len(frame.data)
    if frame.control == WRITE_ADDRESS and is_meter_address(data[::-1].hex()):
        return NewAddressAsked(address=data[::-1].hex())
    if frame.control == CHANGE_BAUD and size == 1 and data[0] in _BAUD_WORDS:
        return BaudAsked(baud=_BAUD_WORDS[data[0]])
    if frame.control == OUTPUT and size == 1 and data[0] in _OUTPUT_NAMES:
        return OutputAsked(output=_OUTPUT_NAMES[data[0]])
    if frame.control == CHANGE_PASSWORD and size == 12:
        none = bytes(4)  # 18H carries no operator
        old, new = _credentials(data[4:8] + none), _credentials(data[8:12] + none)
        return PasswordAsked(di=di_text(data), old=old, new=new)
    what = _CLEARING_NAMES.get(frame.control)
    if what is not None and size == (12 if what == "events" else 8):
        di = di_text(data[8:]) if what == "events" else ""
        return ClearAsked(what=what, credentials=_credentials(data[:8]), di=di)
    return None


def _credentials(raw: bytes) -> Credentials:
    level, password, operator = raw[:1].hex(), raw[3:0:-1].hex(), raw[7:3:-1].hex()
    try:
        return Credentials(level=level, password=password, operator=operator)
    except BadInput:
        raise BadReply("password, level or operator are no digits") from None


def _relay_asked(data: bytes) -> RelayAsked:
    until = decode_stamp(data[10:16])
    command = _COMMAND_NAMES.get(data[8])
    if isinstance(until, BadValue) or command is None:
        raise BadReply("no relay command, or no valid-until time")
    return RelayAsked(command=command, credentials=_credentials(data[:8]), valid_until=until)


def load_record_count(extra: bytes) -> int:
    """The count of records a load-profile read asks for; 1 where it says nothing."""
    count = decode_bcd(extra[:1])
    return count if isinstance(count, int) and count > 0 else 1
