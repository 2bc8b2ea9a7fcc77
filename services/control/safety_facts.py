"""What is known besides the debt: the weather, the meter's last words, disputes, protections.

Plain data, as the state keeps it and the interlocks look at it (standard library only).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

EVERYWHERE = ""
"""The area of a statement about the weather that holds for all areas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """The last statement about an area ("" everywhere). alarm: which one is raised, "" for none."""

    area: str
    alarm: str
    from_at: str
    until_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """What ingest last told of a point's meter. data_to_on: the newest day whose reading is in."""

    meter_no: str
    is_reachable: bool
    data_to_on: str
    told_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Somebody saw on site that this meter measures this household (户表对应)."""

    meter_no: str
    verified_on: str
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """In which form a notice was served. authority_copy_at: when the power authority got its copy,
    "" for never."""

    channel: str
    recipient: str
    evidence: str
    authority_copy_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A customer disputes what is owed; open until another person decides."""

    dispute_id: str
    raised_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """Nobody cuts the customer up to and including a day ("" without an end), and why."""

    kind: str
    until_on: str
    approved_by: str
    legal_basis: str


def weather_of(weather: Iterable[Weather], area: str) -> tuple[Weather, ...]:
    """What was said of an area, and of all areas."""
    return tuple(each for each in weather if each.area in (EVERYWHERE, area))
