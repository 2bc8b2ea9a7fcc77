"""Rule sets of the judgement besides the one for active single-phase meters: data, no code.

    judge(run, meter, limits, THREE_PHASE_RULES)       each phase alone is measured as well
    judge(run, meter, reactive_limits, REACTIVE_RULES) classes 2 and 3, points by sin phi

A reactive meter's class 2 is not an active one's: it has its own table
(`data/reactive_error_limits.csv`), intervals, plans and weakest references.
"""

from __future__ import annotations

from dataclasses import replace

from services.metrology.judgement import DEFAULT_RULES, JudgementRules, PlannedPoint

PHASES = ("a", "b", "c")


def _points(*points: str, load: str = "balanced") -> tuple[PlannedPoint, ...]:
    """Points written as `current power_factor`."""
    split = (point.split() for point in points)
    return tuple(
        PlannedPoint(current=current, power_factor=factor, load=load) for current, factor in split
    )


def _each_phase(*points: str) -> tuple[PlannedPoint, ...]:
    return tuple(
        point for phase in PHASES for point in _points(*points, load=f"single_phase_{phase}")
    )


_BASES = {"direct": "1Ib", "ct": "1In"}

THREE_PHASE_RULES = replace(
    DEFAULT_RULES,
    id="jjg-596-2012-three-phase",
    plans={
        name: (*points, *_each_phase(f"{_BASES[name.partition('/')[2]]} 1.0"))
        for name, points in DEFAULT_RULES.plans.items()
    },
    sources={
        **DEFAULT_RULES.sources,
        "plans": "UNCONFIRMED: as for one phase, and each phase alone at the base current",
    },
)
"""Active three-phase meters: the plan also demands each phase alone (unbalanced load)."""

_DIRECT = _points("0.05Ib sin1.0", "1Ib sin1.0", "Imax sin1.0", "0.2Ib sin0.5", "1Ib sin0.5")
_CT = _points("0.02In sin1.0", "1In sin1.0", "Imax sin1.0", "0.1In sin0.5", "1In sin0.5")

REACTIVE_RULES = JudgementRules(
    id="jjg-596-2012-reactive",
    version=1,
    interval_e4_pct={"2": 2_000, "3": 3_000},
    rounding="half_even",
    reference_class_max={"2": "0.5", "3": "0.5"},
    plans={"2/direct": _DIRECT, "3/direct": _DIRECT, "2/ct": _CT, "3/ct": _CT},
    tests=DEFAULT_RULES.tests,
    sources={
        "interval_e4_pct": "UNCONFIRMED: a tenth of the class (domain.md §4.1)",
        "rounding": "UNCONFIRMED: half even to the interval (domain.md §4.1)",
        "reference_class_max": "UNCONFIRMED: at least four times better than class 2",
        "plans": "UNCONFIRMED: ends of the ranges of the table",
        "tests": "domain.md §4.1: start, creep, constant",
    },
)
"""Reactive meters, classes 2 and 3."""
