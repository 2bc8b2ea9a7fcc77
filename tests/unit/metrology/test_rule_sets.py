"""Three-phase and reactive rule sets: every row of the reactive table, every planned point."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.metrology.error_limits import CURRENT_SCALE, LimitRow, MeasuredPoint, MeterRating
from services.metrology.error_limits_file import SHIPPED_REACTIVE, load_error_limits
from services.metrology.judgement import JudgementRules, judge, judge_point
from services.metrology.rule_sets import REACTIVE_RULES, THREE_PHASE_RULES
from tests.unit.metrology.samples import LIMITS, METER, PLAN, bench_run, measured

REACTIVE = load_error_limits(SHIPPED_REACTIVE)


def test_the_reactive_table_is_whole_and_says_what_it_rests_on() -> None:
    limits = {
        (row.accuracy_class, row.connection, row.load, row.power_factors[0], row.from_e6): (
            row.limit_e4_pct
        )
        for row in REACTIVE.rows
    }
    assert len(limits) == len(REACTIVE.rows) == 28
    assert all(row.source.startswith("UNCONFIRMED") for row in REACTIVE.rows)
    assert limits["2", "direct", "balanced", "sin1.0", 50_000] == 25_000
    assert limits["2", "direct", "balanced", "sin1.0", 100_000] == 20_000
    assert limits["2", "direct", "balanced", "sin0.25", 200_000] == 25_000
    assert limits["3", "ct", "balanced", "sin0.5", 50_000] == 40_000
    assert limits["3", "ct", "single_phase", "sin0.5", 100_000] == 40_000
    assert limits["2", "ct", "single_phase", "sin1.0", 50_000] == 30_000


@pytest.mark.parametrize("row", REACTIVE.rows, ids=lambda row: f"line{row.line}")
def test_each_reactive_row_at_its_limit(row: LimitRow) -> None:
    meter = MeterRating(
        accuracy_class=row.accuracy_class, connection=row.connection, imax_multiple="4"
    )
    base = "Ib" if row.connection == "direct" else "In"
    interval = REACTIVE_RULES.interval_e4_pct[row.accuracy_class]

    def verdict(error: int) -> tuple[str, str]:
        point = MeasuredPoint(
            current=f"{row.from_e6 / CURRENT_SCALE:g}{base}",
            power_factor=row.power_factors[0],
            load=row.load,
            error_e4_pct=error,
        )
        found = judge_point(point, meter, REACTIVE, REACTIVE_RULES)
        return found.verdict, found.row

    for sign in (1, -1):
        assert verdict(sign * row.limit_e4_pct) == ("pass", f"{REACTIVE.id} line {row.line}")
        assert verdict(sign * (row.limit_e4_pct + interval))[0] == "fail"


@pytest.mark.parametrize("rules", [THREE_PHASE_RULES, REACTIVE_RULES], ids=lambda rules: rules.id)
def test_every_planned_point_has_a_limit(rules: JudgementRules) -> None:
    limits = REACTIVE if rules is REACTIVE_RULES else LIMITS
    for name, plan in rules.plans.items():
        accuracy_class, connection = name.split("/")
        meter = MeterRating(accuracy_class=accuracy_class, connection=connection, imax_multiple="4")
        points = tuple(measured(each.current, 0, each.power_factor, each.load) for each in plan)
        found = bench_run(accuracy_class=accuracy_class, points=points)
        assert judge(found, meter, limits, rules).verdict == "pass", name


def test_a_three_phase_meter_needs_each_phase_alone() -> None:
    found = judge(bench_run(), METER, LIMITS, THREE_PHASE_RULES)
    assert found.verdict == "not_judged"
    assert found.reasons == tuple(
        f"1Ib 1.0 single_phase_{phase}: demanded by the plan, not measured" for phase in "abc"
    )
    phases = tuple(measured("1Ib", error, load=f"single_phase_{phase}")
                   for phase, error in (("a", 20_000), ("b", -20_500), ("c", 0)))  # fmt: skip
    assert judge(bench_run(points=(*PLAN, *phases)), METER, LIMITS, THREE_PHASE_RULES).verdict == (
        "pass"
    )
    beyond = (*PLAN, phases[0], replace(phases[1], error_e4_pct=-20_501), phases[2])
    failed = judge(bench_run(points=beyond), METER, LIMITS, THREE_PHASE_RULES)
    assert failed.reasons == ("1Ib 1.0 single_phase_b: -2.1 % against +-2 %",)
