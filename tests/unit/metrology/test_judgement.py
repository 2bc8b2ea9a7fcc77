"""The verdict: rounding first, then the limits, then everything that keeps a meter from passing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.metrology.error_limits import MeasuredPoint, MeterRating
from services.metrology.judgement import (
    DEFAULT_RULES,
    Judgement,
    content_hash,
    format_error,
    judge,
    judge_point,
    local_day,
    round_error,
)
from tests.unit.metrology.samples import LIMITS, METER, PLAN, TESTS, bench_run, measured


def verdict_of(**changes: object) -> Judgement:
    return judge(bench_run(**changes), METER, LIMITS, DEFAULT_RULES)


@pytest.mark.parametrize(
    ("error", "accuracy_class", "rounded"),
    [
        (10_500, "1", 10_000),  # halves to the even interval: 10.5 is 10
        (10_501, "1", 11_000),
        (11_500, "1", 12_000),
        (-10_500, "1", -10_000),
        (-10_501, "1", -11_000),
        (499, "1", 0),
        (2_100, "0.2S", 2_000),  # 10.5 intervals of 0.02 %
        (2_101, "0.2S", 2_200),
        (5_250, "0.5S", 5_000),
        (21_000, "2", 20_000),
    ],
)
def test_errors_are_rounded_half_even_to_a_tenth_of_the_class(
    error: int, accuracy_class: str, rounded: int
) -> None:
    assert round_error(error, accuracy_class, DEFAULT_RULES) == rounded


def test_a_class_without_an_interval_is_named() -> None:
    with pytest.raises(BadInput, match=r"^accuracy_class: '3' has no rounding interval"):
        round_error(1, "3", DEFAULT_RULES)


@given(st.integers(-200_000, 200_000), st.sampled_from(["0.2S", "0.5S", "1", "2"]))
def test_rounding_is_symmetric_and_stays_within_half_an_interval(error: int, name: str) -> None:
    rounded = round_error(error, name, DEFAULT_RULES)
    assert rounded == -round_error(-error, name, DEFAULT_RULES)
    assert 2 * abs(rounded - error) <= DEFAULT_RULES.interval_e4_pct[name]
    assert round_error(rounded, name, DEFAULT_RULES) == rounded


@pytest.mark.parametrize(
    ("error", "verdict", "reason"),
    [
        (10_500, "pass", "+1 % against +-1 %"),
        (10_501, "fail", "+1.1 % against +-1 %"),
        (-10_600, "fail", "-1.1 % against +-1 %"),
        (0, "pass", "0 % against +-1 %"),
    ],
)
def test_a_point_is_judged_after_rounding(error: int, verdict: str, reason: str) -> None:
    judged = judge_point(measured("1Ib", error), METER, LIMITS, DEFAULT_RULES)
    assert (judged.verdict, judged.reason) == (verdict, reason)
    assert judged.error_e4_pct == error
    assert judged.row == f"{LIMITS.id} line 3"
    assert judged.source.startswith("page cshnkj.com")


def test_an_error_is_written_for_people() -> None:
    assert [format_error(value) for value in (10_500, -7, 0)] == ["+1.05 %", "-0.0007 %", "0 %"]


def test_a_meter_that_passes() -> None:
    judgement = verdict_of()
    assert (judgement.verdict, judgement.reasons) == ("pass", ())
    assert [point.verdict for point in judgement.points] == ["pass"] * 6
    assert [(test.test, test.verdict) for test in judgement.tests] == [
        ("start", "pass"),
        ("creep", "pass"),
        ("constant", "pass"),
    ]
    assert judgement.rules == f"jjg-596-2012 v1 {content_hash(DEFAULT_RULES)[:12]}"
    assert judgement.limits == LIMITS.id
    assert (judgement.run_id, judgement.meter_no, judgement.accuracy_class) == (
        "B1-0001",
        "M1",
        "1",
    )


def test_one_point_beyond_its_limit_fails_the_meter() -> None:
    points = (*PLAN[:3], measured("Imax", 30_000), *PLAN[4:])
    judgement = verdict_of(points=points)
    assert judgement.verdict == "fail"
    assert judgement.reasons == ("Imax 1.0 balanced: +3 % against +-1 %",)


def test_a_failure_outweighs_what_was_not_judged() -> None:
    points = (measured("Imax", 30_000),)
    judgement = verdict_of(points=points, tests={})
    assert judgement.verdict == "fail"
    assert {point.verdict for point in judgement.points} == {"fail", "not_judged"}


def test_a_point_that_nobody_measured_is_not_judged() -> None:
    judgement = verdict_of(points=PLAN[1:])
    assert judgement.verdict == "not_judged"
    assert judgement.reasons == ("0.05Ib 1.0 balanced: demanded by the plan, not measured",)
    absent = judgement.points[-1]
    assert (absent.error_e4_pct, absent.rounded_e4_pct, absent.limit_e4_pct) == (None, None, None)


@pytest.mark.parametrize(
    "point",
    [
        measured("0.01Ib", 0),
        measured("1Ib", 0, "0.7L"),
        measured("99Ib", 0),
        measured("5 A", 0),
        measured("1Ib", 0, load="crossed"),
    ],
)
def test_an_unknown_point_is_never_passed(point: MeasuredPoint) -> None:
    judgement = verdict_of(points=(*PLAN, point))
    assert judgement.verdict == "not_judged"
    judged = judgement.points[len(PLAN)]
    assert (judged.verdict, judged.limit_e4_pct, judged.row) == ("not_judged", None, "")
    assert len(judgement.reasons) == 1


def test_an_equal_repeat_counts_once_and_a_contradiction_not_at_all() -> None:
    same = verdict_of(points=(*PLAN, measured("1Ib", 2_000)))
    assert (same.verdict, len(same.points)) == ("pass", 6)
    other = verdict_of(points=(*PLAN, measured("1Ib", 2_001)))
    assert other.verdict == "not_judged"
    assert [point.verdict for point in other.points].count("not_judged") == 2
    assert other.reasons[0] == "1.0Ib 1.0 balanced: measured more than once with different errors"


def test_imax_and_its_multiple_are_one_place() -> None:
    points = (*PLAN[:3], measured("12Ib", -1_000), *PLAN[4:])
    assert verdict_of(points=points).verdict == "pass"


@pytest.mark.parametrize(
    ("tests", "verdict", "reason"),
    [
        ({**TESTS, "creep": "fail"}, "fail", "creep: the bench reports fail"),
        ({**TESTS, "start": "not_done"}, "not_judged", "start: not done"),
        ({"start": "pass", "creep": "pass"}, "not_judged", "constant: not done"),
        ({**TESTS, "creep": "maybe"}, "not_judged", "creep: the bench reports 'maybe'"),
        ({**TESTS, "clock": "fail"}, "fail", "clock: the bench reports fail"),
    ],
)
def test_tests_are_judged_as_given(tests: dict[str, str], verdict: str, reason: str) -> None:
    judgement = verdict_of(tests=tests)
    assert (judgement.verdict, judgement.reasons) == (verdict, (reason,))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"accuracy_class": "2"}, "the bench was set to class 2, not 1"),
        (
            {"reference_due_on": "2026-02-28"},
            "reference meter R1 was due on 2026-02-28, measured on 2026-03-01",
        ),
        ({"reference_class": "0.5"}, "reference class 0.5 is weaker than 0.2"),
    ],
)
def test_a_bench_that_was_not_entitled_judges_nothing(
    changes: dict[str, object], reason: str
) -> None:
    for points in (PLAN, (*PLAN[:3], measured("Imax", 30_000), *PLAN[4:])):
        judgement = verdict_of(points=points, **changes)
        assert judgement.verdict == "not_judged"
        assert judgement.reasons[0] == reason


def test_the_due_date_and_the_weakest_class_are_still_good() -> None:
    # 16:00 UTC of 28 February is 00:00 of 1 March in Shanghai.
    at = "2026-02-28T15:59:59Z"
    assert verdict_of(reference_due_on="2026-02-28", measured_at=at).verdict == "pass"
    later = verdict_of(reference_due_on="2026-02-28", measured_at="2026-02-28T16:00:00Z")
    assert later.verdict == "not_judged"
    assert verdict_of(reference_class="0.2S").verdict == "pass"


def test_a_class_or_connection_without_rules_is_not_judged() -> None:
    meter = MeterRating(accuracy_class="3", connection="direct")
    judgement = judge(bench_run(accuracy_class="3"), meter, LIMITS, DEFAULT_RULES)
    assert judgement.verdict == "not_judged"
    assert judgement.reasons[:2] == (
        "no reference class is stated for class 3",
        "no plan of points is stated for class 3, direct",
    )


def test_a_wrong_instant_is_named() -> None:
    assert local_day("2026-02-28T16:00:00Z", 480) == "2026-03-01"
    with pytest.raises(BadInput, match=r"^measured_at: 'today' is no instant"):
        local_day("today", 480)
    with pytest.raises(BadInput, match="is no instant"):
        local_day("2026-3-1T2:0:0Z", 480)
    for text in ("2026-02-29T00:00:00Z", "2026-02-28T24:00:00Z", "0999-01-01T00:00:00Z"):
        with pytest.raises(BadInput, match="is no instant"):
            local_day(text, 480)


def test_the_hash_of_the_rules_changes_with_them() -> None:
    assert content_hash(replace(DEFAULT_RULES, rounding="half_up")) != content_hash(DEFAULT_RULES)
    assert content_hash(replace(DEFAULT_RULES)) == content_hash(DEFAULT_RULES)


@pytest.mark.parametrize("name", sorted(DEFAULT_RULES.plans))
def test_every_planned_point_has_a_limit_and_the_representative_points(name: str) -> None:
    accuracy_class, connection = name.split("/")
    meter = MeterRating(accuracy_class=accuracy_class, connection=connection, imax_multiple="4")
    plan = DEFAULT_RULES.plans[name]
    points = tuple(measured(each.current, 0, each.power_factor, each.load) for each in plan)
    run = bench_run(accuracy_class=accuracy_class, points=points)
    assert judge(run, meter, LIMITS, DEFAULT_RULES).verdict == "pass"
