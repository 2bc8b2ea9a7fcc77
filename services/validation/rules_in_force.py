"""Which rules judge a point's data: by the class of the usage point, and where the data comes from.

The class follows from the supply: a point at 10 kV or above is `dedicated` (a customer with a line
or transformer of its own), below that the category of use decides. What nobody said is "", which
has the rules of the book without variants.

    rules = rules_for(policy.rule_book, supply)
    rules("manual").id == "default+manual"
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from services.validation.events import Finding, HeldReading, SupplyNoted
from services.validation.finding import Finding as RuleFinding
from services.validation.instant import day_end_at, day_start, format_instant
from services.validation.point_facts import PointDay, PointFacts, Rules, Told
from services.validation.register_usage import Installation, parse_register
from services.validation.rule_book import (
    CONCENTRATOR_REGISTER,
    MANUAL,
    REMOTE_REGISTER,
    RuleBook,
    rule_set_for,
)
from services.validation.rule_set import RuleSet
from services.validation.timeline import latest_supply, supply_on
from services.validation.voltage_band import LEVEL_DV, LOW_VOLTAGE, PHASE_NOMINAL_DV

PROFILE_KIND = "profile"
CONCENTRATOR_PREFIX = "qgdw376"
"""Sources of readings that begin so are what a concentrator froze of its meters (Q/GDW 376.1)."""

EXPORT = 2
"""The quantity of the register that counts what flows back (2.8.x)."""

CLASS_BY_CATEGORY: Mapping[str, str] = {
    "residential": "residential",
    "non_residential": "commercial",
    "industrial": "industrial",
    "agricultural": "commercial",
}
"""The usage class of a low-voltage point by its category of use; pumps have none of their own."""


def usage_class_of(supply: SupplyNoted) -> str:
    """The class of a usage point, one of `rule_book.USAGE_CLASSES`, or ""."""
    if supply.voltage_class not in ("", LOW_VOLTAGE):
        return "dedicated"
    return CLASS_BY_CATEGORY.get(supply.category, "")


def rules_for(book: RuleBook, supply: SupplyNoted) -> Rules:
    """The rule set for each source of data of a point."""
    return partial(rule_set_for, book, usage_class_of(supply))


def point_rules(book: RuleBook, supplies: Mapping[str, SupplyNoted]) -> RuleSet:
    """The rules of a point for all that does not depend on who read it: what a register says
    between two marks, and estimates of days. By the supply of who has or had it last."""
    if not supplies:
        return rule_set_for(book, "", REMOTE_REGISTER)
    return rules_for(book, latest_supply(supplies))(REMOTE_REGISTER)


def source_of(reading: HeldReading) -> str:
    """Where register readings come from, as the rule book calls it."""
    if MANUAL in (reading.kind, reading.source):
        return MANUAL
    is_concentrator = reading.source.startswith(CONCENTRATOR_PREFIX)
    return CONCENTRATOR_REGISTER if is_concentrator else REMOTE_REGISTER


# -- a point and a day as the rules take them ------------------------------------------------------


def supply_of_day(supplies: Mapping[str, SupplyNoted], day_on: str) -> SupplyNoted:
    """The supply by which data of a day is judged."""
    return supply_on(supplies, day_on) or latest_supply(supplies)


def facts_of(
    key: str, supply: SupplyNoted, meters: tuple[Installation, ...], expected: tuple[str, ...] = ()
) -> PointFacts:
    """The master data of a point. Who has a register for what flows back produces; `expected` are
    the registers of a reading when the supply names none. What a phase should show is known at low
    voltage only: above, a meter is behind a voltage transformer whose ratio nobody told."""
    has_level = supply.voltage_class in LEVEL_DV
    registers = tuple(name for name in supply.registers if parse_register(name).cumulative)
    return PointFacts(
        usage_point=key,
        usage_class=usage_class_of(supply),
        capacity_w=meters[-1].capacity_w,
        is_producer=any(parse_register(name).quantity == EXPORT for name in registers),
        voltage_class=supply.voltage_class if has_level else "",
        nominal_dv=PHASE_NOMINAL_DV if supply.voltage_class == LOW_VOLTAGE else 0,
        installations=meters,
        registers=registers or expected,
    )


def point_day(day_on: str, ends_at: Mapping[int, tuple[str, ...]] | None = None) -> PointDay:
    """A day of the utility's zone."""
    return PointDay(
        day_on=day_on,
        from_at=format_instant(day_start(day_on)),
        to_at=day_end_at(day_on),
        ends_at=ends_at or {},
    )


def as_told(findings: Iterable[Told]) -> tuple[Finding, ...]:
    """Findings as events carry them."""
    return tuple(finding_noted(each.finding, each.register) for each in findings)


def finding_noted(found: RuleFinding, register: str = "") -> Finding:
    """A finding as events carry it; `register`: what it is about, "" for the whole point."""
    more = {"register": register} if register else {}
    slots = {"slots": ",".join(found.slots)} if found.slots else {}
    return Finding(
        rule=found.rule,
        severity=found.severity,
        text=found.text,
        numbers={**more, **found.numbers, **slots},
    )
