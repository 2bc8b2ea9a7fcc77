"""The verdict on a meter from what a bench measured: every point against its limit, then the whole.

    error +1.05 %, class 1, limit +-1.0 %: rounded half even to 0.1 % it is +1.0 %, and passes
    error +1.06 %:                         rounded it is +1.1 %, and fails

An error is rounded to an interval of a tenth of the class before it is judged (domain.md §4.1). A
point that no row of the table covers, that was measured twice with different errors, or that the
plan demands and nobody measured, is `not_judged` with the reason; a bench that is too weak or past
its due date judges nothing. A meter passes only when everything demanded was judged and passed; one
point that fails, fails it.

All settings of the judgement are data (`JudgementRules`); what domain.md marks UNCONFIRMED is a
documented default there.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from functools import cache, lru_cache
from typing import NoReturn

from libs.events.errors import BadInput
from libs.events.quantities import ROUNDING, format_scaled, parse_scaled
from services.metrology.error_limits import (
    ERROR_SCALE,
    ErrorLimits,
    LimitRow,
    MeasuredPoint,
    MeterRating,
    comparable_current,
    find_limit,
)
from services.metrology.verification_cycle import is_overdue

PASSED = "pass"
FAILED = "fail"
NOT_JUDGED = "not_judged"
VERDICTS = (FAILED, NOT_JUDGED, PASSED)
"""From the strongest to the weakest: the verdict on the meter is the first one found."""

NOT_DONE = "not_done"
_INSTANT = re.compile(r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPoint:
    """A load point that must have been measured."""

    current: str
    power_factor: str
    load: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgementRules:
    """How measured errors are judged, as data.

    `interval_e4_pct`: rounding interval by accuracy class; `rounding`: a rule of
    `quantities.ROUNDING`; `reference_class_max`: the weakest reference class for a meter's class;
    `plans`: the points demanded, by "class/connection"; `tests`: the tests demanded; `sources`:
    where each setting comes from.
    """

    id: str
    version: int
    interval_e4_pct: dict[str, int]
    rounding: str
    reference_class_max: dict[str, str]
    plans: dict[str, tuple[PlannedPoint, ...]]
    tests: tuple[str, ...]
    utc_offset_minutes: int = 480
    sources: dict[str, str] = field(default_factory=dict)


def _plan(*points: str) -> tuple[PlannedPoint, ...]:
    """Points written as `current power_factor`, balanced load."""
    split = (point.split() for point in points)
    return tuple(
        PlannedPoint(current=current, power_factor=factor, load="balanced")
        for current, factor in split
    )


_DIRECT = _plan("0.05Ib 1.0", "0.2Ib 1.0", "1Ib 1.0", "Imax 1.0", "0.2Ib 0.5L", "1Ib 0.5L")
_CT = _plan("0.05In 1.0", "0.2In 1.0", "1In 1.0", "Imax 1.0", "0.1In 0.5L", "1In 0.5L")

DEFAULT_RULES = JudgementRules(
    id="jjg-596-2012",
    version=1,
    interval_e4_pct={"0.2S": 200, "0.5S": 500, "1": 1_000, "2": 2_000},
    rounding="half_even",
    reference_class_max={"0.2S": "0.05", "0.5S": "0.1", "1": "0.2", "2": "0.3"},
    plans={
        "1/direct": _DIRECT,
        "2/direct": _DIRECT,
        "1/ct": _CT,
        "2/ct": _CT,
        "0.2S/ct": (*_plan("0.01In 1.0"), *_CT),
        "0.5S/ct": (*_plan("0.01In 1.0"), *_CT),
    },
    tests=("start", "creep", "constant"),
    sources={
        "interval_e4_pct": "UNCONFIRMED: a tenth of the class (domain.md §4.1)",
        "rounding": "UNCONFIRMED: half even to the interval (domain.md §4.1)",
        "reference_class_max": "UNCONFIRMED: a third to a quarter of the class (domain.md §4.3)",
        "plans": "UNCONFIRMED: ends of the ranges of the table, and the representative points",
        "tests": "domain.md §4.1: start, creep, constant",
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRun:
    """What a bench measured on one meter, and with what.

    `tests` gives pass, fail or not_done by test; `accuracy_class` is the class the bench was set
    to, which must be that of the meter.
    """

    run_id: str
    meter_no: str
    accuracy_class: str
    bench_no: str
    reference_meter_no: str
    reference_class: str
    reference_due_on: str
    measured_at: str
    operator: str
    points: tuple[MeasuredPoint, ...]
    tests: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPoint:
    """A point with its rounded error and its limit (1e-4 per cent; None where there is none), the
    verdict (pass, fail, not_judged), the reason, and the row of the table with its source."""

    current: str
    power_factor: str
    load: str
    error_e4_pct: int | None
    rounded_e4_pct: int | None
    limit_e4_pct: int | None
    verdict: str
    reason: str
    row: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedTest:
    """A test as the bench reported it: start, creep, constant."""

    test: str
    verdict: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdict on a meter (pass, fail, not_judged), its reasons, and all it rests on."""

    run_id: str
    meter_no: str
    accuracy_class: str
    verdict: str
    reasons: tuple[str, ...]
    points: tuple[JudgedPoint, ...]
    tests: tuple[JudgedTest, ...]
    rules: str
    limits: str


def content_hash(rules: JudgementRules) -> str:
    """SHA-256 (hex) over the rules in canonical JSON: the same data, the same hash."""
    return _hash_of_default() if rules is DEFAULT_RULES else _hash(rules)


@cache
def _hash_of_default() -> str:
    # Nearly every judgement is made by the rules that are a constant.
    return _hash(DEFAULT_RULES)


def _hash(rules: JudgementRules) -> str:
    text = json.dumps(asdict(rules), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def round_error(error_e4_pct: int, accuracy_class: str, rules: JudgementRules) -> int:
    """An error rounded to the interval of the class; BadInput for a class without one."""
    interval = rules.interval_e4_pct.get(accuracy_class)
    if interval is None:
        known = ", ".join(rules.interval_e4_pct)
        problem = f"{accuracy_class!r} has no rounding interval"
        raise BadInput("accuracy_class", problem, f"known are {known}")
    return ROUNDING[rules.rounding](error_e4_pct, interval) * interval


def format_error(error_e4_pct: int) -> str:
    """An error for people: 10500 is `+1.05 %`."""
    sign = "+" if error_e4_pct > 0 else ""
    return f"{sign}{format_scaled(error_e4_pct, ERROR_SCALE)} %"


def judge_point(
    point: MeasuredPoint, meter: MeterRating, limits: ErrorLimits, rules: JudgementRules
) -> JudgedPoint:
    """One point against its limit: `not_judged` with the reason where the table has none."""
    try:
        row = find_limit(limits, meter, point)
        rounded = round_error(point.error_e4_pct, meter.accuracy_class, rules)
    except BadInput as error:
        return _unjudged(point, str(error))
    inside = abs(rounded) <= row.limit_e4_pct
    text = f"{format_error(rounded)} against +-{format_error(row.limit_e4_pct).lstrip('+')}"
    return JudgedPoint(
        current=point.current,
        power_factor=point.power_factor,
        load=point.load,
        error_e4_pct=point.error_e4_pct,
        rounded_e4_pct=rounded,
        limit_e4_pct=row.limit_e4_pct,
        verdict=PASSED if inside else FAILED,
        reason=text,
        row=_row_name(limits, row),
        source=row.source,
    )


def _row_name(limits: ErrorLimits, row: LimitRow) -> str:
    return f"{limits.id} line {row.line}"


def _unjudged(point: MeasuredPoint, reason: str) -> JudgedPoint:
    return JudgedPoint(
        current=point.current,
        power_factor=point.power_factor,
        load=point.load,
        error_e4_pct=point.error_e4_pct,
        rounded_e4_pct=None,
        limit_e4_pct=None,
        verdict=NOT_JUDGED,
        reason=reason,
    )


def judge(
    run: BenchRun, meter: MeterRating, limits: ErrorLimits, rules: JudgementRules
) -> Judgement:
    """The verdict on a meter. `meter` is what the register of meters says, not what the bench says.

    A run that the bench was not entitled to make keeps its numbers and is `not_judged` as a whole,
    whatever they are: neither a pass nor a fail may rest on it.
    """
    points = (*_measured(run, meter, limits, rules), *_absent(run, meter, rules))
    tests = tuple(_test(name, run.tests.get(name, NOT_DONE)) for name in _test_names(run, rules))
    refusals = tuple(_refusals(run, meter, rules))
    verdicts = {point.verdict for point in points} | {test.verdict for test in tests}
    verdict = next(name for name in VERDICTS if name in verdicts or name == PASSED)
    reasons = tuple(
        f"{point.current} {point.power_factor} {point.load}: {point.reason}"
        for point in points
        if point.verdict == verdict != PASSED
    ) + tuple(f"{test.test}: {test.reason}" for test in tests if test.verdict == verdict != PASSED)
    return Judgement(
        run_id=run.run_id,
        meter_no=run.meter_no,
        accuracy_class=meter.accuracy_class,
        verdict=NOT_JUDGED if refusals else verdict,
        reasons=refusals + reasons,
        points=points,
        tests=tests,
        rules=f"{rules.id} v{rules.version} {content_hash(rules)[:12]}",
        limits=limits.id,
    )


def _refusals(run: BenchRun, meter: MeterRating, rules: JudgementRules) -> Iterable[str]:
    """Why the bench was not entitled to judge this meter."""
    if run.accuracy_class != meter.accuracy_class:
        yield f"the bench was set to class {run.accuracy_class}, not {meter.accuracy_class}"
    measured_on = local_day(run.measured_at, rules.utc_offset_minutes)
    if is_overdue(run.reference_due_on, measured_on):
        yield (
            f"reference meter {run.reference_meter_no} was due on {run.reference_due_on}, "
            f"measured on {measured_on}"
        )
    weakest = rules.reference_class_max.get(meter.accuracy_class)
    if weakest is None:
        yield f"no reference class is stated for class {meter.accuracy_class}"
    elif class_number(run.reference_class) > class_number(weakest):
        yield f"reference class {run.reference_class} is weaker than {weakest}"
    if f"{meter.accuracy_class}/{meter.connection}" not in rules.plans:
        yield f"no plan of points is stated for class {meter.accuracy_class}, {meter.connection}"


def class_number(text: str) -> int:
    """A reference class such as 0.05 or 0.05S, as an integer to compare."""
    return parse_scaled(text.removesuffix("S"), ERROR_SCALE, "reference_class")


def local_day(at: str, utc_offset_minutes: int, field_name: str = "measured_at") -> str:
    """The day of an instant in the utility's zone; BadInput names the field when it is none."""
    day_on = _local_day(at, utc_offset_minutes)
    return day_on if day_on is not None else _refuse_instant(at, field_name)


def parse_instant(at: str, field_name: str) -> datetime:
    """An instant of the wire; BadInput names the field when it is none."""
    instant = _instant(at)
    return instant if instant is not None else _refuse_instant(at, field_name)


def _refuse_instant(at: str, field_name: str) -> NoReturn:
    fix = "write it like 2026-01-31T16:00:00Z"
    raise BadInput(field_name, f"{at!r} is no instant", fix)


# The same few instants are asked for over and over, with every tick and every entry of a meter.
@lru_cache(maxsize=4096)
def _local_day(at: str, utc_offset_minutes: int) -> str | None:
    instant = _instant(at)
    if instant is None:
        return None
    try:
        return (instant + timedelta(minutes=utc_offset_minutes)).date().isoformat()
    except OverflowError:  # its local day is none of the calendar
        return None


@lru_cache(maxsize=4096)
def _instant(at: str) -> datetime | None:
    if not _INSTANT.fullmatch(at):  # 2026-3-1T2:0:0Z, say, which no comparison of texts bears
        return None
    try:
        return datetime.fromisoformat(at)
    except ValueError:
        return None


Place = tuple[Fraction | str | None, str, str]


def _place(point: MeasuredPoint | PlannedPoint, meter: MeterRating) -> Place:
    """Where a point lies: its current, power factor and load."""
    return comparable_current(point.current, meter), point.power_factor, point.load


def _measured(
    run: BenchRun, meter: MeterRating, limits: ErrorLimits, rules: JudgementRules
) -> Iterable[JudgedPoint]:
    """Every measured place once: equal repeats count once, contradicting ones are not judged."""
    errors: dict[Place, set[int]] = {}
    for point in run.points:
        errors.setdefault(_place(point, meter), set()).add(point.error_e4_pct)
    seen: set[tuple[Place, int]] = set()
    for point in run.points:
        place = _place(point, meter)
        if (place, point.error_e4_pct) in seen:
            continue
        seen.add((place, point.error_e4_pct))
        if len(errors[place]) > 1:
            yield _unjudged(point, "measured more than once with different errors")
        else:
            yield judge_point(point, meter, limits, rules)


def _absent(run: BenchRun, meter: MeterRating, rules: JudgementRules) -> Iterable[JudgedPoint]:
    """The points of the plan that nobody measured."""
    measured = {_place(point, meter) for point in run.points}
    for planned in rules.plans.get(f"{meter.accuracy_class}/{meter.connection}", ()):
        if _place(planned, meter) not in measured:
            yield JudgedPoint(
                current=planned.current,
                power_factor=planned.power_factor,
                load=planned.load,
                error_e4_pct=None,
                rounded_e4_pct=None,
                limit_e4_pct=None,
                verdict=NOT_JUDGED,
                reason="demanded by the plan, not measured",
            )


def _test_names(run: BenchRun, rules: JudgementRules) -> tuple[str, ...]:
    return (*rules.tests, *(name for name in run.tests if name not in rules.tests))


def _test(name: str, result: str) -> JudgedTest:
    """A test as the bench gives it; not done, or reported as something else, is not judged."""
    if result in {PASSED, FAILED}:
        return JudgedTest(test=name, verdict=result, reason=f"the bench reports {result}")
    reason = "not done" if result == NOT_DONE else f"the bench reports {result!r}"
    return JudgedTest(test=name, verdict=NOT_JUDGED, reason=reason)
