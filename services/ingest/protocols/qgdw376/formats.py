"""The data formats of appendix A: packed BCD and times on the wire, exact integers here.

    >>> decode_value("A14", bytes.fromhex("7856341200")).number       # 001234.5678 kWh, 0.1 Wh
    12345678

EEH in every byte is "no value", as `guyingzhi/learngit` (dataisnull) and two terminals' firmwares
have it; FFH in every byte is refused the same way. Sizes, digits and signs are those of that
repository's getdataformat01 to 27 and of a Kaitai description of the 2009 text (code index id
22291531351).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from libs.events.errors import BadInput
from libs.events.quantities import truncate_div
from services.ingest.protocols.dlt645.identifiers import Format
from services.ingest.protocols.dlt645.values import (
    BAD_TIME,
    NON_BCD,
    BadValue,
    bad_value,
    decode_bcd,
    encode_bcd,
    instant,
)

FIRST_YEAR = 2000
"""Years have two digits: 00 is this one, 99 the last."""
NUMBERS: dict[str, Format] = {
    "A04": Format(1, signed=True),  # XX
    "A05": Format(2, scale=10, signed=True),  # XXX.X
    "A06": Format(2, scale=100, signed=True),  # XX.XX
    "A07": Format(2, scale=10),  # XXX.X
    "A08": Format(2),  # XXXX
    "A09": Format(3, scale=10, signed=True),  # XX.XXXX k, in 0.1 of the unit
    "A10": Format(3),  # XXXXXX
    "A11": Format(4, factor=10),  # XXXXXX.XX k, in whole units
    "A13": Format(4, scale=10),  # XXXX.XXXX k, in 0.1 of the unit
    "A14": Format(5, scale=10),  # XXXXXX.XXXX k, in 0.1 of the unit
    "A22": Format(1, scale=10),  # X.X
    "A23": Format(3, scale=10),  # XX.XXXX k, in 0.1 of the unit
    "A25": Format(3, scale=1000, signed=True),  # XXX.XXX
    "A26": Format(2, scale=1000),  # X.XXX
    "A27": Format(4),  # XXXXXXXX
}
"""Packed BCD, low byte first. "k" formats are given for a kilo-unit: A11 of kWh is whole Wh."""
BINARY = {"B1": 1, "B2": 2, "B4": 4}
"""Unsigned integers, low byte first."""
TIMES = {
    "A01": (6, "clock"),
    "A15": (5, "instant"),
    "A16": (4, "{3} {2}:{1}:{0}"),
    "A17": (4, "{3}-{2} {1}:{0}"),
    "A18": (3, "{2} {1}:{0}"),
    "A19": (2, "{1}:{0}"),
    "A20": (3, "20{2}-{1}-{0}"),
    "A21": (2, "20{1}-{0}"),
    "A24": (2, "{1} {0}"),
}
"""Times, low byte first: size, and how the digits are written out."""
ADDRESS = "A12"
EXPONENT, ENERGY_UNIT = "A02", "A03"
_DEMAND_AT = "A23+A17"
"""A demand and when it occurred, MMDDhhmm: the year comes from the tag before it."""


@dataclass(frozen=True, slots=True)
class Value:
    """What bytes say: an exact `number` of 1/`scale`, or a `text`, or why there is neither."""

    number: int | None = None
    scale: int = 1
    text: str = ""
    bad: str = ""
    at: str = ""


def size_of(kind: str) -> int:
    """How many bytes a format has; BadInput for a name that is none."""
    if kind in NUMBERS:
        return NUMBERS[kind].size
    if kind in BINARY:
        return BINARY[kind]
    if kind in TIMES:
        return TIMES[kind][0]
    sizes = {ADDRESS: 6, EXPONENT: 2, ENERGY_UNIT: 4, _DEMAND_AT: 7}
    if kind not in sizes:
        raise BadInput("format", f"{kind!r} is no format", "use A01 to A27, B1, B2, B4 or A23+A17")
    return sizes[kind]


def decode_value(kind: str, raw: bytes, zone_minutes: int = 480, near_on: str = "") -> Value:
    """The value of one field.

    near_on: the day or month the frame speaks of. A demand's time has no year: it is the last such
    moment not after the end of that day or month.
    """
    assert len(raw) == size_of(kind), f"{kind} in {len(raw)} bytes"
    if kind == _DEMAND_AT:
        return _decode_demand(raw, zone_minutes, near_on)
    if kind in BINARY:
        return Value(int.from_bytes(raw, "little"))
    number = _decode_number(kind, raw)
    if isinstance(number, BadValue):
        scale = NUMBERS[kind].scale if kind in NUMBERS else 1
        return Value(scale=scale, bad=number.reason)
    if number is not None:
        return number
    text = _decode_text(kind, raw, zone_minutes)
    return Value(bad=text.reason) if isinstance(text, BadValue) else Value(text=text)


def _decode_number(kind: str, raw: bytes) -> Value | BadValue | None:
    """The number of a numeric format; None for the others."""
    if kind in NUMBERS:
        form = NUMBERS[kind]
        number = decode_bcd(raw, signed=form.signed)
        if isinstance(number, BadValue):
            return number
        return Value(number * form.factor, form.scale)
    if kind not in (EXPONENT, ENERGY_UNIT):
        return None
    if bad_value("", raw).reason:
        return bad_value("", raw)
    digits = f"{raw[-1] & 0x0F:x}" + raw[-2::-1].hex()
    if not digits.isdecimal():
        return BadValue(NON_BCD, raw.hex())
    if kind == EXPONENT:  # kilo-units times 10^(4 - G); in whole units that is 10^(7 - G)
        size = int(digits) * 10 ** (7 - (raw[-1] >> 5))
    else:  # kilo-units, or mega-units
        size = int(digits) * (1_000_000 if raw[-1] & 0x40 else 1000)
    return Value(-size if raw[-1] & 0x10 else size)


def _decode_text(kind: str, raw: bytes, zone_minutes: int) -> str | BadValue:
    digits = raw.hex()
    if kind == "A01" and not bad_value("", raw).reason:  # weekday in the high bits of the month
        digits = f"{digits[:8]}{raw[4] & 0x1F:02x}{digits[10:]}"
    if not digits.isdecimal():
        return bad_value(NON_BCD, raw)
    if kind == ADDRESS:
        return raw[::-1].hex()
    pairs = [digits[n : n + 2] for n in range(0, len(digits), 2)]
    form = TIMES[kind][1]
    if form not in ("clock", "instant"):
        text = form.format(*pairs)
        return text if _exists(kind, text) else BadValue(BAD_TIME, raw.hex())
    seconds = [] if kind == "A15" else [pairs[0]]
    minute, hour, day, month, year = pairs[len(seconds) :]
    try:
        civil = datetime.combine(
            date(FIRST_YEAR + int(year), int(month), int(day)),
            time(int(hour), int(minute), sum(map(int, seconds))),
        )
    except ValueError:
        return BadValue(BAD_TIME, raw.hex())
    return instant(civil, zone_minutes)


_COMPLETED = {
    "A16": "2000-01-{}",
    "A17": "2000-{}:00",
    "A18": "2000-01-{}:00",
    "A19": "2000-01-01 {}:00",
    "A20": "{} 00:00:00",
    "A21": "{}-01 00:00:00",
    "A24": "2000-01-{}:00:00",
}
"""A time without year or day, filled up to one that can be checked."""


def _exists(kind: str, text: str) -> bool:
    try:
        datetime.fromisoformat(_COMPLETED[kind].format(text))
    except ValueError:
        return False
    return True


def _decode_demand(raw: bytes, zone_minutes: int, near_on: str) -> Value:
    demand = decode_value("A23", raw[:3])
    if demand.bad:
        return demand
    stamp = decode_value("A17", raw[3:])
    if stamp.bad or not near_on:
        # A demand of zero never occurred: any time of it is right. Another needs its time.
        return demand if not demand.number else Value(scale=demand.scale, bad=stamp.bad or BAD_TIME)
    limit = _end_of(near_on)
    for year in (limit.year, limit.year - 1):
        try:
            civil = datetime.fromisoformat(f"{year}-{stamp.text}")
        except ValueError:  # 29 February of a year that has none
            continue
        if civil <= limit:
            return Value(demand.number, demand.scale, at=instant(civil, zone_minutes))
    return Value(scale=demand.scale, bad=BAD_TIME)


def _end_of(near_on: str) -> datetime:
    """The first moment after a day or a month."""
    if len(near_on) == len("2026-01-31"):
        return datetime.fromisoformat(near_on) + timedelta(days=1)
    return (datetime.fromisoformat(f"{near_on}-01") + timedelta(days=32)).replace(day=1)


def encode_number(kind: str, value: int) -> bytes:
    """The bytes of a BCD number; `value` in the unit of its `Value` (cut down to what is shown)."""
    form = NUMBERS[kind]
    return encode_bcd(truncate_div(value, form.factor), form.size, signed=form.signed)


def encode_day(day_on: str) -> bytes:
    """A20: `2026-01-31` as DD MM YY; BadInput when it is no day of 2000 to 2099."""
    try:
        day = datetime.strptime(day_on, "%Y-%m-%d")  # noqa: DTZ007 (a date)
    except ValueError:
        day = None
    if day is None or not FIRST_YEAR <= day.year < FIRST_YEAR + 100:
        raise BadInput("day_on", f"{day_on!r} is no day", "write it like 2026-01-31")
    return bytes.fromhex(day.strftime("%d%m%y"))


def encode_month(month_on: str) -> bytes:
    """A21: `2026-01` as MM YY."""
    try:
        return encode_day(f"{month_on}-01")[1:]
    except BadInput:
        raise BadInput("month_on", f"{month_on!r} is no month", "write it like 2026-01") from None


def encode_clock(civil: datetime) -> bytes:
    """A01: ss mm hh DD, weekday and month, YY; Monday is 1."""
    month = int(f"{civil:%m}", 16) | civil.isoweekday() << 5
    return bytes.fromhex(f"{civil:%S%M%H%d}") + bytes((month,)) + bytes.fromhex(f"{civil:%y}")


def encode_minute(civil: datetime) -> bytes:
    """A15: mm hh DD MM YY."""
    return bytes.fromhex(f"{civil:%M%H%d%m%y}")
