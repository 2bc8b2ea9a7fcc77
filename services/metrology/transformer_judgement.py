"""The verdict on an instrument transformer: ratio error and phase displacement at every point.

    CT class 0.2S at 5 % of rated current: limits +-0.35 % and +-15'
    ratio error +0.35 %:  at the limit, passes (rounded half even to 0.02 % it would be +0.36 %)
    ratio error +0.351 %: rounded it is +0.36 %, and fails
    ratio error +0.209 % at 100 %, limit +-0.2 %: rounded it is +0.2 %, and passes

Errors are rounded to the interval of the class before they are judged. A limit such as 0.35 % is no
multiple of its interval, so rounding never fails an error that is within its limit as measured.
Errors are integers: 1e-4 per cent (`_e4_pct`) and 1e-3 minutes of arc (`_e3_min`).
Limits are a table of percentages of the rated current (CT) or voltage (VT). What lies between two
rows is judged by a named rule: `flat` only where both rows have the same limits (20 to 120 % of
class 0.2S), `linear` by interpolation; otherwise it is `not_judged`, never passed.

All of it is data: `TransformerLimits` (domain.md §4.2) and `TransformerRules`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from libs.events.errors import BadInput
from libs.events.quantities import ROUNDING, format_scaled, parse_scaled
from services.metrology.error_limits import ERROR_SCALE
from services.metrology.judgement import (
    FAILED,
    NOT_JUDGED,
    PASSED,
    VERDICTS,
    class_number,
    format_error,
    local_day,
)
from services.metrology.verification_cycle import is_overdue

MINUTE_SCALE = 1_000
PCT_SCALE = 1_000
DEVICES = ("CT", "VT")
BURDENS = ("rated", "lower")
BETWEEN = ("flat", "linear")
COLUMNS = (
    "device",
    "class",
    "pct_of_rated",
    "ratio_error_pct_pm",
    "phase_displacement_min_pm",
    "source",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerLimit:
    """One row: at `at_e3_pct` of the rated value, the limits of both errors."""

    line: int
    device: str
    accuracy_class: str
    at_e3_pct: int
    ratio_e4_pct: int
    phase_e3_min: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerLimits:
    """A table of limits with the id under which verdicts name it."""

    id: str
    rows: tuple[TransformerLimit, ...]


def parse_transformer_limits(
    table_id: str, lines: Iterable[Mapping[str, str]]
) -> TransformerLimits:
    """The table of a file's lines (column name to text, the first is line 2); BadInput names line
    and column, also of a point that an earlier line has."""
    rows: list[TransformerLimit] = []
    for line, texts in enumerate(lines, start=2):
        row = _parse_row(line, texts)
        key = (row.device, row.accuracy_class, row.at_e3_pct)
        for earlier in rows:
            if key == (earlier.device, earlier.accuracy_class, earlier.at_e3_pct):
                field_name = f"line {line}, column pct_of_rated"
                problem = f"repeats line {earlier.line}"
                raise BadInput(field_name, problem, "give each point one limit")
        rows.append(row)
    if not rows:
        raise BadInput("lines", "the table is empty", f"give rows of {', '.join(COLUMNS)}")
    return TransformerLimits(id=table_id, rows=tuple(rows))


def _parse_row(line: int, texts: Mapping[str, str]) -> TransformerLimit:
    absent = [name for name in COLUMNS if not texts.get(name)]
    if absent:
        raise BadInput(f"line {line}, column {absent[0]}", "is empty or missing", "fill it in")
    if texts["device"] not in DEVICES:
        problem = f"{texts['device']!r} is unknown"
        raise BadInput(f"line {line}, column device", problem, f"use {', '.join(DEVICES)}")

    def positive(column: str, scale: int) -> int:
        name = f"line {line}, column {column}"
        value = parse_scaled(texts[column], scale, name)
        if value <= 0:
            raise BadInput(name, f"is {texts[column]}", "give a number above zero")
        return value

    return TransformerLimit(
        line=line,
        device=texts["device"],
        accuracy_class=texts["class"],
        at_e3_pct=positive("pct_of_rated", PCT_SCALE),
        ratio_e4_pct=positive("ratio_error_pct_pm", ERROR_SCALE),
        phase_e3_min=positive("phase_displacement_min_pm", MINUTE_SCALE),
        source=texts["source"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerRules:
    """How a transformer is judged, as data.

    Rounding intervals of both errors by class; `rounding`, a rule of `quantities.ROUNDING`;
    `between`, the rule for points between two rows; `standard_class_max`, the weakest standard for
    a class; `full_burden_only_e3_pct`, from where on the lower burden is not demanded, by device.
    """

    id: str
    version: int
    ratio_interval_e4_pct: dict[str, int]
    phase_interval_e3_min: dict[str, int]
    rounding: str
    between: str
    standard_class_max: dict[str, str]
    full_burden_only_e3_pct: dict[str, int]
    utc_offset_minutes: int = 480
    sources: dict[str, str] = field(default_factory=dict)


DEFAULT_TRANSFORMER_RULES = TransformerRules(
    id="jjg-313-314",
    version=1,
    ratio_interval_e4_pct={
        "0.1": 100, "0.2": 200, "0.2S": 200, "0.5": 500, "0.5S": 500, "1": 1_000
    },
    phase_interval_e3_min={
        "0.1": 500, "0.2": 1_000, "0.2S": 1_000, "0.5": 2_000, "0.5S": 2_000, "1": 5_000
    },
    rounding="half_even",
    between="flat",
    standard_class_max={
        "0.1": "0.02", "0.2": "0.05", "0.2S": "0.05", "0.5": "0.1", "0.5S": "0.1", "1": "0.2"
    },
    full_burden_only_e3_pct={"CT": 120_000, "VT": 120_000},
    sources={
        "ratio_interval_e4_pct": "UNCONFIRMED: a tenth of the class, as for meters",
        "phase_interval_e3_min": "UNCONFIRMED: JJG 313 and JJG 314 (from memory)",
        "between": "UNCONFIRMED: a limit holds between rows that agree (domain.md §4.2)",
        "standard_class_max": "UNCONFIRMED: two classes better than the transformer",
        "full_burden_only_e3_pct": "UNCONFIRMED: at 120 % only the rated burden is measured",
    },
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerPoint:
    """A measured point: percentage of the rated current or voltage, burden (rated, lower), and
    both errors."""

    at_e3_pct: int
    burden: str
    ratio_e4_pct: int
    phase_e3_min: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerRun:
    """What was measured on one transformer, against which standard."""

    run_id: str
    device_no: str
    device: str
    accuracy_class: str
    standard_no: str
    standard_class: str
    standard_due_on: str
    measured_at: str
    operator: str
    points: tuple[TransformerPoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedTransformerPoint:
    """A point with both rounded errors (None where there is no limit), the limits as exact texts
    (a whole number or a fraction such as 40000/3; "" where there is none), the verdict, the
    reason, and the rows of the table with their source."""

    at_e3_pct: int
    burden: str
    ratio_e4_pct: int | None
    phase_e3_min: int | None
    rounded_ratio_e4_pct: int | None = None
    rounded_phase_e3_min: int | None = None
    ratio_limit_e4_pct: str = ""
    phase_limit_e3_min: str = ""
    verdict: str = NOT_JUDGED
    reason: str = ""
    row: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerJudgement:
    """The verdict on a transformer (pass, fail, not_judged), its reasons, and all it rests on."""

    run_id: str
    device_no: str
    device: str
    accuracy_class: str
    verdict: str
    reasons: tuple[str, ...]
    points: tuple[JudgedTransformerPoint, ...]
    rules: str
    limits: str


@dataclass(frozen=True, slots=True)
class _PointLimit:
    """The limits at a point, exact, and the rows that give them."""

    ratio_e4_pct: Fraction
    phase_e3_min: Fraction
    rows: tuple[TransformerLimit, ...]


def _limit_at(rows: list[TransformerLimit], at_e3_pct: int, between: str) -> _PointLimit:
    """BadInput when no row, and no rule between two rows, gives a limit here."""
    below = [row for row in rows if row.at_e3_pct <= at_e3_pct]
    above = [row for row in rows if row.at_e3_pct >= at_e3_pct]
    shown = f"{format_scaled(at_e3_pct, PCT_SCALE)} %"
    if not below or not above:
        raise BadInput("pct_of_rated", f"the table does not reach {shown}", "measure within it")
    low, high = below[-1], above[0]
    ratio, phase = Fraction(low.ratio_e4_pct), Fraction(low.phase_e3_min)
    if low is high:
        return _PointLimit(ratio, phase, (low,))
    if between == "linear":
        share = Fraction(at_e3_pct - low.at_e3_pct, high.at_e3_pct - low.at_e3_pct)
        ratio += (high.ratio_e4_pct - low.ratio_e4_pct) * share
        phase += (high.phase_e3_min - low.phase_e3_min) * share
    elif (low.ratio_e4_pct, low.phase_e3_min) != (high.ratio_e4_pct, high.phase_e3_min):
        problem = f"the table has no row for {shown}, and its neighbours differ"
        raise BadInput("pct_of_rated", problem, "measure at a point of the table")
    return _PointLimit(ratio, phase, (low, high))


def format_phase(phase_e3_min: int) -> str:
    """A phase displacement for people: 10500 is `+10.5'`."""
    sign = "+" if phase_e3_min > 0 else ""
    return f"{sign}{format_scaled(phase_e3_min, MINUTE_SCALE)}'"


def judge_transformer_point(
    point: TransformerPoint,
    device: str,
    accuracy_class: str,
    limits: TransformerLimits,
    rules: TransformerRules,
) -> JudgedTransformerPoint:
    """One point against its limits; not_judged with the reason where the table has none."""
    rows = [r for r in limits.rows if (r.device, r.accuracy_class) == (device, accuracy_class)]
    rows.sort(key=lambda row: row.at_e3_pct)
    interval = rules.ratio_interval_e4_pct.get(accuracy_class)
    phase_interval = rules.phase_interval_e3_min.get(accuracy_class)
    measured = {
        "at_e3_pct": point.at_e3_pct,
        "burden": point.burden,
        "ratio_e4_pct": point.ratio_e4_pct,
        "phase_e3_min": point.phase_e3_min,
    }
    if not rows or interval is None or phase_interval is None:
        reason = f"no limits are stated for {device} class {accuracy_class}"
        return JudgedTransformerPoint(**measured, reason=reason)  # type: ignore[arg-type]
    try:
        limit = _limit_at(rows, point.at_e3_pct, rules.between)
    except BadInput as error:
        return JudgedTransformerPoint(**measured, reason=str(error))  # type: ignore[arg-type]
    rounding = ROUNDING[rules.rounding]
    ratio = rounding(point.ratio_e4_pct, interval) * interval
    phase = rounding(point.phase_e3_min, phase_interval) * phase_interval
    inside = (
        min(abs(ratio), abs(point.ratio_e4_pct)) <= limit.ratio_e4_pct
        and min(abs(phase), abs(point.phase_e3_min)) <= limit.phase_e3_min
    )
    shown = (
        f"{format_error(ratio)} against +-{_shown(limit.ratio_e4_pct / ERROR_SCALE)} %, "
        f"{format_phase(phase)} against +-{_shown(limit.phase_e3_min / MINUTE_SCALE)}'"
    )
    return JudgedTransformerPoint(
        **measured,  # type: ignore[arg-type]
        rounded_ratio_e4_pct=ratio,
        rounded_phase_e3_min=phase,
        ratio_limit_e4_pct=str(limit.ratio_e4_pct),
        phase_limit_e3_min=str(limit.phase_e3_min),
        verdict=PASSED if inside else FAILED,
        reason=shown,
        row=f"{limits.id} line {' to '.join(str(row.line) for row in limit.rows)}",
        source=limit.rows[0].source,
    )


def _shown(value: Fraction) -> str:
    """A limit as a decimal where it is one, else as the fraction it is."""
    scaled = value * ERROR_SCALE
    if scaled.denominator == 1:
        return format_scaled(scaled.numerator, ERROR_SCALE)
    return str(value)


def judge_transformer(
    run: TransformerRun,
    device: str,
    accuracy_class: str,
    limits: TransformerLimits,
    rules: TransformerRules,
) -> TransformerJudgement:
    """The verdict on a transformer whose kind and class the register of devices gives.

    As for meters: a standard that is too weak or past its due date judges nothing; a demanded
    point that is missing, or was measured twice with different errors, keeps it from passing.
    """
    points = (
        *_measured(run, device, accuracy_class, limits, rules),
        *_absent(run, device, accuracy_class, limits, rules),
    )
    refusals = tuple(_refusals(run, device, accuracy_class, rules))
    verdicts = {point.verdict for point in points}
    verdict = next(name for name in VERDICTS if name in verdicts or name == PASSED)
    if not points:
        verdict, refusals = NOT_JUDGED, (*refusals, "no point was measured")
    reasons = tuple(
        f"{format_scaled(point.at_e3_pct, PCT_SCALE)} % {point.burden} burden: {point.reason}"
        for point in points
        if point.verdict == verdict != PASSED
    )
    return TransformerJudgement(
        run_id=run.run_id,
        device_no=run.device_no,
        device=device,
        accuracy_class=accuracy_class,
        verdict=NOT_JUDGED if refusals else verdict,
        reasons=refusals + reasons,
        points=points,
        rules=f"{rules.id} v{rules.version}",
        limits=limits.id,
    )


def _refusals(
    run: TransformerRun, device: str, accuracy_class: str, rules: TransformerRules
) -> Iterable[str]:
    if (run.device, run.accuracy_class) != (device, accuracy_class):
        found = f"{run.device} {run.accuracy_class}"
        yield f"was measured as {found}, the register says {device} {accuracy_class}"
    measured_on = local_day(run.measured_at, rules.utc_offset_minutes)
    if is_overdue(run.standard_due_on, measured_on):
        yield (
            f"standard {run.standard_no} was due on {run.standard_due_on}, "
            f"measured on {measured_on}"
        )
    weakest = rules.standard_class_max.get(accuracy_class)
    if weakest is None:
        yield f"no standard's class is stated for class {accuracy_class}"
    elif class_number(run.standard_class) > class_number(weakest):
        yield f"standard class {run.standard_class} is weaker than {weakest}"


def _measured(
    run: TransformerRun,
    device: str,
    accuracy_class: str,
    limits: TransformerLimits,
    rules: TransformerRules,
) -> Iterable[JudgedTransformerPoint]:
    """Every place once: equal repeats count once, contradicting ones are not judged."""
    kept: dict[tuple[int, str], list[TransformerPoint]] = {}
    for point in run.points:
        found = kept.setdefault((point.at_e3_pct, point.burden), [])
        if point not in found:
            found.append(point)
    for repeats in kept.values():
        for point in repeats:
            if len(repeats) == 1:
                yield judge_transformer_point(point, device, accuracy_class, limits, rules)
                continue
            yield JudgedTransformerPoint(
                at_e3_pct=point.at_e3_pct,
                burden=point.burden,
                ratio_e4_pct=point.ratio_e4_pct,
                phase_e3_min=point.phase_e3_min,
                reason="measured more than once with different errors",
            )


def _absent(
    run: TransformerRun,
    device: str,
    accuracy_class: str,
    limits: TransformerLimits,
    rules: TransformerRules,
) -> Iterable[JudgedTransformerPoint]:
    """Every row of the table is demanded at both burdens, at the top only at the rated one."""
    measured = {(point.at_e3_pct, point.burden) for point in run.points}
    full_only = rules.full_burden_only_e3_pct.get(device)
    for row in limits.rows:
        if (row.device, row.accuracy_class) != (device, accuracy_class):
            continue
        for burden in BURDENS:
            spared = burden == "lower" and full_only is not None and row.at_e3_pct >= full_only
            if not spared and (row.at_e3_pct, burden) not in measured:
                yield JudgedTransformerPoint(
                    at_e3_pct=row.at_e3_pct,
                    burden=burden,
                    ratio_e4_pct=None,
                    phase_e3_min=None,
                    reason="demanded by the table, not measured",
                )
