"""Whether a supply can be reasoned with: days, instants and registers that are some.

    check_supply(noted)      BadInput names the first value that is none

A ratio that is none is not looked at here: it concerns the days of its meter, and is told there.
"""

from __future__ import annotations

from libs.events.errors import BadInput
from services.validation.events import SupplyNoted
from services.validation.instant import parse_day, parse_instant
from services.validation.register_usage import parse_register
from services.validation.tou_basis import BASES

FIRST_ON, LAST_ON = "1900-01-01", "9999-12-01"
"""Days that can still be counted from, either way."""


def check_supply(supply: SupplyNoted) -> None:
    """BadInput when a day, an instant, a register or a basis is none."""
    _check_day("supplied_from_on", supply.supplied_from_on)
    for field, day_on in (
        ("supplied_to_on", supply.supplied_to_on),
        *(("places.from_on", place.from_on) for place in supply.places),
        *(("places.to_on", place.to_on) for place in supply.places),
    ):
        if day_on:
            _check_day(field, day_on)
    for register in supply.registers:
        parse_register(register)
    for meter in supply.installations:
        _check_instant("installations.from_at", meter.from_at)
        if meter.to_at:
            _check_instant("installations.to_at", meter.to_at)
    for tariff in supply.tariffs:
        if tariff.tou_basis not in BASES:
            raise BadInput("tou_basis", f"{tariff.tou_basis!r} is unknown", "use a known basis")
        for rate in tariff.rate_periods:
            if not (rate.isascii() and rate.isdigit()):
                raise BadInput("rate_periods", f"{rate!r} is no rate", "give its number")


def _check_day(field: str, day_on: str) -> None:
    parse_day(day_on, field)
    _check_range(field, day_on)


def _check_instant(field: str, at: str) -> None:
    parse_instant(at, field)
    _check_range(field, at)


def _check_range(field: str, text: str) -> None:
    if not FIRST_ON <= text < LAST_ON:
        raise BadInput(field, f"{text} is out of range", f"{FIRST_ON} to {LAST_ON}")
