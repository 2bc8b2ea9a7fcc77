"""Household allowances: which of a book's rules a household has, from when until when.

sizes: five people from 1 January, four from 1 May; the book: a large household from five on
allowances_of(sizes, book.household_rules, "2026-03")
    (HouseholdAllowance(rule="large_household", from_on="2026-01-01", until_on="2026-05-01"),)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from services.billing.agreement import HouseholdAllowance, HouseholdSize
from services.billing.price_book import HouseholdRule


def allowances_of(
    sizes: Sequence[HouseholdSize], rules: Sequence[HouseholdRule], before_on: str
) -> tuple[HouseholdAllowance, ...]:
    """The allowances that begin before a day, by rule; sizes are in the order of their days.

    An end that is known already is kept wherever it lies: an annual boundary is raised by the
    months of the whole year. What begins later than the bill does not count for it.
    """
    found = [each for rule in rules for each in _of_rule(sizes, rule)]
    return tuple(each for each in found if each.from_on < before_on)


def _of_rule(sizes: Sequence[HouseholdSize], rule: HouseholdRule) -> list[HouseholdAllowance]:
    """The times in which the household is as large as the rule asks, whatever else changed."""
    found: list[HouseholdAllowance] = []
    for size in sizes:
        is_entitled = size.people >= rule.people_from and size.category == rule.category
        is_open = bool(found) and not found[-1].until_on
        if is_entitled and not is_open:
            found.append(HouseholdAllowance(rule=rule.allowance, from_on=size.from_on))
        elif is_open and not is_entitled:
            found[-1] = replace(found[-1], until_on=size.from_on)
    return found
