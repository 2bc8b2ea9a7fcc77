"""From the payload behind a DI to quantities, and from quantities' numbers to a payload.

    >>> decode_payload("00010000", bytes.fromhex("26000000"))[0].value
    260

A payload of another length than its DI has is `BadReply`; a value that is none (non-BCD, "no
value", no such time) becomes a quantity with a reason and no number, so that the others of its
block stay usable.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from libs.events.quantities import truncate_div
from services.ingest.protocols.dlt645.identifiers import (
    FORMATS,
    Format,
    Item,
    item_size,
    layout_of,
)
from services.ingest.protocols.dlt645.profile import STANDARD, Dlt645Profile
from services.ingest.protocols.dlt645.status import status_bits
from services.ingest.protocols.dlt645.values import (
    HIDDEN,
    NON_BCD,
    BadValue,
    Quantity,
    bad_value,
    civil_time,
    decode_ascii,
    decode_bcd,
    decode_clock,
    decode_date,
    decode_pattern,
    decode_stamp,
    encode_bcd,
    encode_stamp,
    instant,
    quantity,
)
from services.ingest.protocols.failures import BadReply

_SHAPES = {
    "zone": "{}-{}={}",  # MMDDNN: from this day, which day table
    "slot": "{}:{}={}",  # hhmmNN: from this time, which rate
    "holiday": "20{}-{}-{}={}",  # YYMMDDNN: on this day, which day table
    "month_minute": "{}-{} {}:{}",  # MMDDhhmm
}
"""Times without a zone or a year, as people write them; behind "=" is what begins there."""


Layout = tuple[tuple[Item, Format | None, int], ...]
Number = tuple[str, str, str, int, int, int, int, bool]
"""obis, name, unit, scale and factor of a number, where its digits begin and end, and whether its
first digit has the sign."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What every decoding of one DI and length needs. `numbers`: all its items, where they are
    nothing but digits; then the payload is turned into digits once, and cut."""

    layout: Layout
    numbers: tuple[Number, ...]


@lru_cache(maxsize=4096)
def _plan(di: str, size: int, extra_items: tuple[Item, ...]) -> _Plan:
    items = layout_of(di, size, extra_items)
    layout = tuple((item, FORMATS.get(item.format), item_size(item)) for item in items)
    numbers: list[Number] = []
    last = 2 * size  # low byte first: the first item has the last digits
    for item, known, item_bytes in layout:
        if known is None or known.stamp:
            return _Plan(layout, ())
        first = last - 2 * item_bytes
        head = item.obis, item.name, item.unit, known.scale, known.factor
        numbers.append((*head, first, last, known.signed))
        last = first
    return _Plan(layout, tuple(numbers))


def decode_payload(
    di: str, payload: bytes, profile: Dlt645Profile = STANDARD
) -> tuple[Quantity, ...]:
    """The quantities in what a meter answered to a read of `di` (payload without the DI itself).

    Raises BadReply when the length is wrong, BadInput when nobody knows the DI.
    """
    plan = _plan(di, len(payload), profile.extra_items)
    if not plan.layout:
        raise BadReply(f"{di} answered with {len(payload)} bytes, which it never has")
    if plan.numbers:
        found = _plain_numbers(plan.numbers, payload)
        if found:
            return found
    quantities = []
    offset = 0
    for item, known, size in plan.layout:
        end = offset + size
        quantities.append(_decode_item(item, known, payload[offset:end], profile))
        offset = end
    return tuple(quantities)


def _plain_numbers(numbers: tuple[Number, ...], payload: bytes) -> tuple[Quantity, ...]:
    """The numbers of a payload of digits; none when one is negative or no number, which takes a
    closer look."""
    digits = payload[::-1].hex()
    if not digits.isdecimal():
        return ()
    found = []
    for obis, name, unit, scale, factor, first, last, signed in numbers:
        if signed and digits[first] > "7":
            return ()
        found.append(quantity(obis, name, unit, scale, int(digits[first:last]) * factor))
    return tuple(found)


def decode_items(
    items: tuple[Item, ...], payload: bytes, profile: Dlt645Profile = STANDARD
) -> tuple[Quantity, ...]:
    """The quantities of known items, one behind the other."""
    quantities = []
    offset = 0
    for item in items:
        end = offset + item_size(item)
        known = FORMATS.get(item.format)
        quantities.append(_decode_item(item, known, payload[offset:end], profile))
        offset = end
    return tuple(quantities)


def _decode_item(item: Item, known: Format | None, raw: bytes, profile: Dlt645Profile) -> Quantity:
    if known is None:
        return _decode_text(item, raw, profile)
    number = decode_bcd(raw[: known.size] if known.stamp else raw, signed=known.signed)
    if isinstance(number, BadValue):
        return _bad(item, known.scale, number.reason)
    at = ""
    if known.stamp:
        civil = decode_stamp(raw[known.size :])
        if isinstance(civil, BadValue):
            # A demand of zero never occurred: zeros for its time are right. Any other demand
            # needs its time, since that decides the period it is billed in.
            if number or raw[known.size :].strip(b"\x00"):
                return _bad(item, known.scale, civil.reason)
        else:
            at = instant(civil, profile.zone_minutes)
    return quantity(item.obis, item.name, item.unit, known.scale, number * known.factor, at=at)


def _bad(item: Item, scale: int, reason: str) -> Quantity:
    return Quantity(
        obis=item.obis, name=item.name, unit=item.unit, scale=scale, value=None, bad=reason
    )


def _decode_text(item: Item, raw: bytes, profile: Dlt645Profile) -> Quantity:
    if item.format == "status":
        return _decode_status(item, raw)
    text = _text_of(item.format, raw, profile)
    if isinstance(text, BadValue):
        return _bad(item, 1, text.reason)
    return Quantity(obis=item.obis, name=item.name, unit="", scale=1, value=None, text=text)


def _decode_status(item: Item, raw: bytes) -> Quantity:
    word = int.from_bytes(raw, "little")
    if word == 0xFFFF:  # every flag at once, opposites included: "no value"
        return _bad(item, 1, bad_value(NON_BCD, raw).reason)
    names = ",".join(status_bits(int(item.pattern[-1], 16), word))
    return Quantity(obis=item.obis, name=item.name, unit="", scale=1, value=word, text=names)


def _text_of(kind: str, raw: bytes, profile: Dlt645Profile) -> str | BadValue:
    if kind == "date":
        day = decode_date(raw)
        return day if isinstance(day, BadValue) else day.isoformat()
    if kind == "clock":
        return decode_clock(raw)
    if kind in ("stamp", "stamp_s"):
        civil = decode_stamp(raw)
        return civil if isinstance(civil, BadValue) else instant(civil, profile.zone_minutes)
    if kind == "secret":
        return BadValue(HIDDEN, "")
    if kind.startswith("ascii"):
        return decode_ascii(raw)
    if kind in ("di", "word"):
        return decode_pattern(raw)
    digits = raw[::-1].hex()  # an address, an operator, the settlement day DDhh
    if not digits.isdecimal():
        return bad_value(NON_BCD, raw)
    shape = _SHAPES.get(kind)
    if shape is None:
        return digits
    return shape.format(*(digits[n : n + 2] for n in range(0, len(digits), 2)))


def encode_quantity(item: Item, value: int, at: str = "", zone_minutes: int = 480) -> bytes:
    """The bytes of one numeric item: `value` in the unit of its `Quantity`; a meter's side.

    Energy is cut down to the meter's 10 Wh, as a register shows it. BadInput when it does not fit.
    """
    known: Format = FORMATS[item.format]
    shown = truncate_div(value, known.factor)
    raw = encode_bcd(shown, known.size, signed=known.signed)
    if not known.stamp:
        return raw
    if not at:
        return raw + bytes(known.stamp)
    return raw + encode_stamp(civil_time(at, zone_minutes), known.stamp)
