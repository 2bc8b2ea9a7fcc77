"""Cells of contract and usage files: quantities in the units of a bill, as exact decimals.

A quantity is a text or a number as it is written (never a binary float), such as "523.4" kWh; it is
checked here and becomes whole Wh, VA, W or fen. What is wrong is one `BadInput` that names place,
field and fix.

    checked(UsageModel, {"account": "A1", ...}, "usage.jsonl line 3")
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, Field, ValidationError, WithJsonSchema

from libs.events.errors import BadInput
from libs.events.quantities import FEN_PER_YUAN, PRICE_SCALE, WH_PER_KWH, parse_scaled
from libs.tou_calendar import PERIODS

M = TypeVar("M", bound=BaseModel)

KILO = WH_PER_KWH
KILO_MOST = 10**15
"""A terawatt-hour, in Wh: no point uses it in a month."""

FIRST_ON = "1970-01-02"
NEAR_FIXES = {
    "missing": "add the field",
    "extra_forbidden": "remove it, or see `--schema` for the fields",
}


def parse_kilo(text: str) -> int:
    """A quantity in kWh, kvarh, kVA or kW as whole Wh, varh, VA or W; ValueError: not possible."""
    return _scaled(text, KILO, least=0)


def parse_fen(text: str) -> int:
    """An amount in yuan as fen; below zero where it is to the customer's credit."""
    return _scaled(text, FEN_PER_YUAN, least=-KILO_MOST)


def _scaled(text: str, scale: int, least: int) -> int:
    try:
        found = parse_scaled(text, scale, "")
    except BadInput as wrong:
        raise ValueError(f"{wrong.problem}: {wrong.fix}") from None
    if not least <= found <= KILO_MOST:
        raise ValueError(f"{text} is impossible: check the number and its unit")
    return found


def _text_of(parse: Callable[[str], int]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text:
            parse(text)
        return text

    return check


def _given_kilo(text: str) -> str:
    if not text:
        raise ValueError("is empty: give the quantity, 0 for none")
    return _text_of(parse_kilo)(text)


def _capacity(text: str) -> str:
    if not parse_kilo(text):
        raise ValueError(f"{text} is no capacity: give kVA above zero")
    return text


def _name(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError(f"{text!r} is no name: write it without blanks around it, in one line")
    return text


def _day(text: str) -> str:
    try:
        same = not text or date.fromisoformat(text).isoformat() == text
    except ValueError:
        same = False
    if not same:
        raise ValueError(f"{text!r} is no day: write it like 2026-01-31")
    if text and text < FIRST_ON:
        raise ValueError(f"{text} is before there were meters: at least {FIRST_ON}")
    return text


def _month(text: str) -> str:
    try:
        _day(f"{text}-01" if text else "")
    except ValueError:
        raise ValueError(f"{text!r} is no month: write it like 2026-01") from None
    return text


def _price(text: str) -> str:
    _scaled(text, PRICE_SCALE, least=-KILO_MOST)
    return text


def _share(text: str) -> str:
    if text and not 0 <= _scaled(text, PRICE_SCALE, least=0) <= PRICE_SCALE:
        raise ValueError(f"{text} is no share: give 0 to 1")
    return text


def _factor(text: str) -> str:
    if text and not 0 < _scaled(text, 100, least=0) <= 100:
        raise ValueError(f"{text} is no power factor: give 0.01 to 1.00")
    return text


def _period(text: str) -> str:
    if text not in PERIODS:
        raise ValueError(f"{text!r} is no period: one of {', '.join(PERIODS)}")
    return text


def _shown(what: str) -> WithJsonSchema:
    return WithJsonSchema({"type": ["string", "number"], "description": what})


Kilo = Annotated[
    str, AfterValidator(_text_of(parse_kilo)), _shown("exact decimal, at most 3 decimals")
]
"""kWh, kvarh, kVA or kW; "" is not given."""

GivenKilo = Annotated[
    str, AfterValidator(_given_kilo), _shown("exact decimal, at most 3 decimals; 0 for none")
]
"""A quantity that must be said: an empty one would be billed as none."""

Capacity = Annotated[str, AfterValidator(_capacity), _shown("kVA above zero, at most 3 decimals")]
Yuan = Annotated[str, AfterValidator(_text_of(parse_fen)), _shown("yuan, at most 2 decimals")]
Price = Annotated[str, AfterValidator(_price), _shown("yuan, at most 6 decimals")]
Ratio = Annotated[str, AfterValidator(_share), _shown("exact decimal, 0 to 1")]
Factor = Annotated[str, AfterValidator(_factor), _shown("power factor, 0.01 to 1.00")]
Period = Annotated[str, AfterValidator(_period), WithJsonSchema({"enum": list(PERIODS)})]
Day = Annotated[
    str, AfterValidator(_day), Field(json_schema_extra={"pattern": r"^(\d{4}-\d\d-\d\d)?$"})
]
"""A day of the utility's zone, 2026-01-31; "" is open."""

Month = Annotated[
    str, AfterValidator(_month), Field(json_schema_extra={"pattern": r"^(\d{4}-\d\d)?$"})
]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_name)]


def wh(text: str) -> int:
    """A checked quantity in whole units; "" is none."""
    return parse_kilo(text) if text else 0


def checked(model: type[M], document: Any, place: str) -> M:
    """A document as its model; BadInput names the place, the first wrong field and the fix."""
    try:
        return model.model_validate(document)
    except ValidationError as wrong:
        errors = wrong.errors()
        first = errors[0]
        field = ".".join(str(each) for each in first["loc"]) or "the document"
        problem, _, fix = first["msg"].removeprefix("Value error, ").partition(": ")
        if first["type"] == "string_type":
            fix = "write a text or a number"
        more = f"; {len(errors) - 1} more" if len(errors) > 1 else ""
        fix = NEAR_FIXES.get(first["type"], fix) or "`--schema` prints what there is"
        raise BadInput(f"{place} {field}", problem + more, fix) from None


def require_order(place: str, names: str, from_on: str, until_on: str) -> None:
    """BadInput when an end is not after its beginning; empty ends are open."""
    if from_on and until_on and from_on >= until_on:
        problem = f"{until_on} is not after {from_on}"
        raise BadInput(f"{place} {names}", problem, "give the day after the last one")
