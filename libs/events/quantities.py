"""Units and rounding. Energy and money are scaled integers; prices and ratios exact decimals.

    energy_wh * price (1e-6 yuan per kWh) -> amount_fen:
    1,234,000 Wh at 0.52 yuan/kWh is 64,168 fen (641.68 yuan).

Every rounding is a named function; a price book names the rule it wants (domain.md 3.6).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from libs.events.errors import BadInput

PRICE_SCALE = 10**6
"""A price is an integer of 1e-6 yuan per kWh (or per kVA or kW of demand)."""

SCALED_MAX = 2**63 - 1
"""What a database's whole number holds; more is a slip of the pen, never a quantity."""

# Neither exponents (1e999999 has a million digits) nor the digits of other scripts.
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})")
_SHOWN_LENGTH = 40

FEN_PER_YUAN = 100
WH_PER_KWH = 1000


def floor_div(numerator: int, denominator: int) -> int:
    """The quotient rounded towards minus infinity."""
    assert denominator > 0
    return numerator // denominator


def ceil_div(numerator: int, denominator: int) -> int:
    """The quotient rounded towards plus infinity."""
    assert denominator > 0
    return -((-numerator) // denominator)


def half_up_div(numerator: int, denominator: int) -> int:
    """The quotient rounded to the nearest integer, halves away from zero (四舍五入)."""
    assert denominator > 0
    if numerator >= 0:
        return (2 * numerator + denominator) // (2 * denominator)
    return -((-2 * numerator + denominator) // (2 * denominator))


def half_even_div(numerator: int, denominator: int) -> int:
    """The quotient rounded to the nearest integer, halves to the even one (GB/T 8170)."""
    assert denominator > 0
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and quotient % 2 == 1):
        return quotient + 1
    return quotient


def truncate_div(numerator: int, denominator: int) -> int:
    """The quotient rounded towards zero."""
    assert denominator > 0
    return numerator // denominator if numerator >= 0 else -((-numerator) // denominator)


def exact_div(numerator: int, denominator: int) -> int:
    """The quotient where it must be whole; AssertionError otherwise."""
    quotient, rest = divmod(numerator, denominator)
    assert rest == 0, f"{numerator} / {denominator} is not whole"
    return quotient


Rounding = Callable[[int, int], int]

ROUNDING: dict[str, Rounding] = {
    "half_up": half_up_div,
    "half_even": half_even_div,
    "floor": floor_div,
    "ceil": ceil_div,
    "truncate": truncate_div,
}
"""Rounding rules by the name a price book uses."""


def parse_scaled(text: str, scale: int, field: str) -> int:
    """An exact decimal string as an integer of 1/scale; BadInput when it has more digits, or is
    larger than a database holds."""
    text = text.strip()
    if not _DECIMAL.fullmatch(text):
        shown = repr(text[:_SHOWN_LENGTH])
        raise BadInput(field, f"{shown} is no decimal number", "write it like 0.5283")
    whole, _, decimals = text.lstrip("+-").partition(".")
    parts: int = 10 ** len(decimals)
    scaled, rest = divmod(int(whole + decimals) * scale, parts)
    if rest:
        raise BadInput(field, f"{text!r} has more digits than 1/{scale}", "use fewer decimals")
    if scaled > SCALED_MAX:
        most = format_scaled(SCALED_MAX // scale, 1)
        raise BadInput(field, f"{text!r} is too large", f"give at most {most}")
    return -scaled if text.startswith("-") else scaled


def format_scaled(value: int, scale: int) -> str:
    """The shortest exact decimal string of an integer of 1/scale (a power of ten)."""
    digits = len(str(scale)) - 1
    sign = "-" if value < 0 else ""
    whole, rest = divmod(abs(value), scale)
    if digits == 0 or rest == 0:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{str(rest).zfill(digits).rstrip('0')}"


def parse_price(text: str, field: str = "price") -> int:
    """A price in yuan as 1e-6 yuan."""
    return parse_scaled(text, PRICE_SCALE, field)


def parse_yuan(text: str, field: str = "amount") -> int:
    """An amount in yuan as fen."""
    return parse_scaled(text, FEN_PER_YUAN, field)


def format_yuan(amount_fen: int) -> str:
    """An amount in fen as yuan with two decimals."""
    sign = "-" if amount_fen < 0 else ""
    whole, rest = divmod(abs(amount_fen), FEN_PER_YUAN)
    return f"{sign}{whole}.{rest:02d}"


def energy_amount_fen(energy_wh: int, price_e6: int, rounding: Rounding = half_up_div) -> int:
    """Energy times price, rounded once to fen."""
    return rounding(energy_wh * price_e6 * FEN_PER_YUAN, WH_PER_KWH * PRICE_SCALE)
