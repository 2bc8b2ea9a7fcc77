"""The relay opens in one corner only: the product of everything that the interlocks look at.

Goal: with right, wrong and unreadable values of every field at once, in any mixture, an open
command is allowed by nothing but what is right in every field. Method: an interlock depends on its
declared fields alone (test_interlock_reads.py), so its verdict is found once for each combination
of these, and what it allows is joined with what the next interlock allows. What is left was allowed
by all of them: a walk over the whole product, of 4 * 10^12 combinations, that goes through some
thousands. What the core itself does with single, paired and fourteen wrong inputs is in
test_corners.py.

A new interlock needs nothing here but values of its new fields in `VALUES`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache, reduce
from itertools import product
from math import prod
from typing import Any

import pytest

from services.control.facts import Interlock
from services.control.interlocks import STAGES
from services.control.policy import DEFAULT_POLICY
from tests.unit.control.test_interlock_reads import VALUES, with_field
from tests.unit.control.test_interlocks import GOOD

Assignment = tuple[tuple[str, int], ...]
"""Fields with the place of their value in `WALKED`; sorted by the field."""

ALSO_RIGHT: dict[str, tuple[Any, ...]] = {
    "moved_out_on": ("2026-03-13",),
    "debts": VALUES["debts"][-1:],
    "protections": VALUES["protections"][1:2],
    "notice_form": tuple(each for each in VALUES["notice_form"] if each and each.authority_copy_at),
}
"""Besides the first value: a customer who moves out tomorrow, a second debt that nobody named, a
protection that is over, a copy to an authority that needs none."""

RIGHT_IN: dict[str, dict[str, tuple[Any, ...]]] = {
    "before_command": ALSO_RIGHT,
    "prepaid_before_command": {
        **ALSO_RIGHT,
        "category": ("industrial",),
        "prepaid": VALUES["prepaid"][5:6],
    },
}
"""A shop that pays ahead needs no other notice; an agreement may be signed today."""

NOT_WALKED: dict[str, tuple[Any, ...]] = {"reviewer": ("Wang",), "case_meter_no": ("",)}
"""Right together with another one that is wrong alone: roles swapped, a case without a meter."""

NOT_WALKED_IN: dict[str, dict[str, tuple[Any, ...]]] = {
    "before_command": NOT_WALKED,
    "prepaid_before_command": {**NOT_WALKED, "invoice_nos": (("INV9",),)},
}
"""A clearance of the same debt, which no prepaid case names any more than another one."""

PROFILES = {"before_command": 4 * 10**12, "prepaid_before_command": 3 * 10**11}
"""What a relay opens on, and how many combinations each has at least."""

WALKED: dict[str, dict[str, tuple[Any, ...]]] = {
    stage: {
        name: tuple(value for value in values if value not in left_out.get(name, ()))
        for name, values in VALUES.items()
    }
    for stage, left_out in NOT_WALKED_IN.items()
}


def allowed_by(interlock: Interlock, stage: str) -> Iterator[Assignment]:
    """The combinations of its own fields that one interlock allows."""
    names, walked = sorted(interlock.reads), WALKED[stage]
    for places in product(*(range(len(walked[name])) for name in names)):
        facts = GOOD
        for name, place in zip(names, places, strict=True):
            facts = with_field(facts, name, walked[name][place])
        if interlock.verdict(facts, DEFAULT_POLICY).allows:
            yield tuple(zip(names, places, strict=True))


def joined(left: set[Assignment], right: set[Assignment]) -> set[Assignment]:
    """All combinations that are in both: those that agree in the fields that both have."""
    common = {name for name, _ in next(iter(left))} & {name for name, _ in next(iter(right))}
    by_common: dict[Assignment, list[Assignment]] = {}
    for each in right:
        by_common.setdefault(part_of(each, common), []).append(each)
    return {
        tuple(sorted({*one, *other}))
        for one in left
        for other in by_common.get(part_of(one, common), [])
    }


def part_of(assignment: Assignment, names: set[str]) -> Assignment:
    return tuple(each for each in assignment if each[0] in names)


def allowed_by_all(allowed: Iterable[set[Assignment]]) -> set[Assignment]:
    return reduce(joined, allowed)


@cache
def allowed_in(stage: str) -> dict[str, set[Assignment]]:
    """By interlock: the combinations of its own fields that it allows."""
    return {each.name: set(allowed_by(each, stage)) for each in STAGES[stage]}


def read_in(stage: str) -> list[str]:
    return sorted({name for interlock in STAGES[stage] for name in interlock.reads})


def right_places(stage: str, name: str) -> list[int]:
    return [0, *(WALKED[stage][name].index(value) for value in RIGHT_IN[stage].get(name, ()))]


@pytest.mark.parametrize("stage", PROFILES)
def test_only_what_is_right_in_every_field_opens(stage: str) -> None:
    read, walked = read_in(stage), WALKED[stage]
    right = [right_places(stage, name) for name in read]
    assert prod(len(walked[name]) for name in read) > PROFILES[stage]
    assert all(len(walked[name]) > len(places) for name, places in zip(read, right, strict=True))
    corner = {tuple(zip(read, places, strict=True)) for places in product(*right)}
    assert allowed_by_all(allowed_in(stage).values()) == corner


@pytest.mark.parametrize(
    ("stage", "name"), [(stage, each.name) for stage in PROFILES for each in STAGES[stage]]
)
def test_the_walk_sees_an_interlock_that_is_left_out(stage: str, name: str) -> None:
    """But for `notice_served`: all that it denies `notice_period` denies as well."""
    whole = allowed_by_all(allowed_in(stage).values())
    rest = allowed_by_all(them for other, them in allowed_in(stage).items() if other != name)
    left = {field for field, _ in next(iter(rest))}
    is_seen = left != set(read_in(stage)) or rest != {part_of(each, left) for each in whole}
    assert is_seen != (name == "notice_served")
