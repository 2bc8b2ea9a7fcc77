"""What came of the two shops whose meters count by another slot table than the book's calendar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from libs.tou_calendar import SLOTS_PER_DAY, day_periods
from services.billing.price_book_file import BOOKS, load_book
from simulators.city.people import MONTHS, TOU_RATES
from simulators.city.population import MISPROGRAMMED

if TYPE_CHECKING:
    from simulators.city.facts import Facts

ROUNDING_WH = 3
"""A day's rates are rounded down, and the last one takes the rest: less than 3 Wh with four."""


def days_of(facts: Facts, role: str) -> dict[str, dict[str, Any]]:
    """The latest revision of every day of the first month."""
    latest = {body["day_on"]: body for body in facts.of("validation.usage_established", role)}
    return {day_on: body for day_on, body in latest.items() if day_on.startswith(MONTHS[0])}


def used_by(days: Mapping[str, Mapping[str, Any]]) -> Counter[str]:
    """On how many blocked days which basis stood in, "" for none."""
    bases = (body["basis"] for body in days.values())
    return Counter(basis["used"] for basis in bases if basis and basis["blocked"])


def holder(facts: Facts, role: str) -> str:
    """Who released the first month's bill after the basis held it; "" for nobody or nothing."""
    bills = facts.of("billing.bill_calculated", role, month=MONTHS[0])
    hits = {hit["check"] for body in bills for hit in body["hits"]}
    released = facts.of("billing.bill_released", role, month=MONTHS[0])
    return str(released[0]["released_by"]) if released and "tou_basis" in hits else ""


def billed_wh(facts: Facts, role: str) -> dict[str, int]:
    """The energy of the first month's invoice by period."""
    periods = dict(pair.split("=") for pair in TOU_RATES.split(";"))
    found: Counter[str] = Counter()
    for body in facts.of("billing.invoice_issued", role, month=MONTHS[0]):
        for part in body["inputs"]:
            for point in part["usage"]["points"]:
                for rate, wh in point["import_wh_by_rate"].items():
                    found[periods[rate]] += wh
    return {period: wh for period, wh in found.items() if wh}


def profile_wh(facts: Facts, role: str, days: Iterable[str]) -> dict[str, int]:
    """The energy of the profile's intervals by the periods of the book."""
    book = load_book(BOOKS / "cq_commercial.yaml")
    calendar = book.calendars[book.price_lists["commercial_tou"].calendar]
    found: Counter[str] = Counter()
    for body in facts.of("validation.intervals_established", role):
        if body["day_on"] in days:
            each = len(body["energies"]) // SLOTS_PER_DAY
            for number, wh in enumerate(body["energies"]):
                found[day_periods(calendar, body["day_on"])[number // each]] += wh or 0
    return dict(found)


def sound_points(facts: Facts) -> tuple[int, list[str]]:
    """How many other points have days with a basis, and those that a day of is blocked."""
    planted = {facts.city.point_of(role).usage_point for role in MISPROGRAMMED.values()}
    latest = {
        (body["usage_point"], body["day_on"]): body["basis"]
        for body in facts.memory.of("validation.usage_established")
        if body["basis"] and body["usage_point"] not in planted
    }
    blocked = {point for (point, _), basis in latest.items() if basis["blocked"]}
    return len({point for point, _ in latest}), sorted(blocked)
