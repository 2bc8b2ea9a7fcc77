"""Points behind another one's meter: a metered flat in a shop, and a share of a home without one.

Both are planted with the population and nothing is done about them: the bills must show that every
kWh of the main meter is billed once, and where.
"""

from __future__ import annotations

from collections import Counter
from decimal import ROUND_HALF_UP, Decimal

from simulators.city.facts import Check, Expectation, Facts, expect
from simulators.city.people import MONTHS, Point

IMPORT = "1-0:1.8.0"
SHARE = Decimal("0.2")
FLAT_PRICE = Decimal("0.54")
"""Of the flat in the shop: residential, shared meter, Chongqing."""


def deducted_meter(facts: Facts) -> Expectation:
    """Every month the shop is billed its main meter without the flat's, and the flat by its own
    price."""
    main, sub = (point.usage_point for point in _points(facts, "deducted"))
    billed, flat_fen = _billed(facts, "deducted"), _amounts(facts, "deducted", sub)
    holds, told = True, []
    for month in MONTHS:
        whole, flat = _kwh(facts, main, month), _kwh(facts, sub, month)
        told.append(f"{whole}-{flat}")
        holds = holds and flat > 0 and billed[month, main] == whole - flat
        holds = holds and billed[month, sub] == flat
        holds = holds and flat_fen[month] == _rounded(flat * FLAT_PRICE * 100)
    found = f"{', '.join(told)} kWh, flat {sum(flat_fen.values())} fen"
    return expect("deducted sub-meter", "main less sub, each at its price", found, holds)


def fixed_ratio(facts: Facts) -> Expectation:
    """Every month a fifth of the main meter is billed to the point without a meter, and the rest to
    the main point."""
    main, share = (point.usage_point for point in _points(facts, "fixed_ratio"))
    billed = _billed(facts, "fixed_ratio")
    holds, told = True, []
    for month in MONTHS:
        whole = _kwh(facts, main, month)
        part = _rounded(whole * SHARE)
        told.append(f"{whole}={billed[month, main]}+{billed[month, share]}")
        holds = holds and part > 0 and billed[month, share] == part
        holds = holds and billed[month, main] == whole - part
    return expect("fixed ratio", f"{SHARE} of the main, and the rest", ", ".join(told), holds)


def _points(facts: Facts, role: str) -> tuple[Point, Point]:
    account_no = facts.city.cast[role]
    main, behind = (each for each in facts.city.points if each.account_no == account_no)
    return main, behind


def _kwh(facts: Facts, usage_point: str, month: str) -> int:
    """What the meter of a point counted in a month, in whole kWh."""
    latest = {
        body["day_on"]: body["energy"][IMPORT]
        for body in facts.memory.of("validation.usage_established", usage_point=usage_point)
        if body["day_on"].startswith(month)
    }
    return _rounded(Decimal(sum(latest.values())) / 1000)


def _billed(facts: Facts, role: str) -> Counter[tuple[str, str]]:
    """The kWh of invoices by month and point: lines of energy, without what is added above a
    tier."""
    found: Counter[tuple[str, str]] = Counter()
    for body in facts.of("billing.invoice_issued", role):
        for line in body["bill"]["lines"]:
            if line["code"].split(".")[0] == "energy":
                found[body["month"], line["point"]] += line["quantity"] // 1000
    return found


def _amounts(facts: Facts, role: str, usage_point: str) -> Counter[str]:
    """The fen of invoices by month for one point."""
    found: Counter[str] = Counter()
    for body in facts.of("billing.invoice_issued", role):
        for line in body["bill"]["lines"]:
            if line["point"] == usage_point:
                found[body["month"]] += line["amount_fen"]
    return found


def _rounded(value: Decimal) -> int:
    return int(value.quantize(Decimal(1), ROUND_HALF_UP))


CHECKS: tuple[Check, ...] = (deducted_meter, fixed_ratio)
