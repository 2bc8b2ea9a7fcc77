"""`gridledger metrology judge` and what it says of one run; certificates are made from the same.

With --json one object a line, as the runs come:

    type        "meter_judgement" or "transformer_judgement"
    run_id, accuracy_class, verdict (pass, fail, not_judged), reasons, rules, limits
    meter_no | device_no, device
    points      current, power_factor, load | at_e3_pct, burden; errors, rounded errors, limits
                (null or "" where there is none), verdict, reason, row (table and line), source
    tests       test, verdict, reason (meters only)
    measured_on, next_due_on ("" unless passed)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from textwrap import fill
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from libs.events.codec import to_document
from libs.events.errors import BadInput
from libs.events.quantities import format_scaled
from services.cli.metrology_runs import (
    Case,
    MeterCase,
    TransformerCase,
    class_of,
    read_cases,
    scaled,
)
from services.cli.row_file import read_rows
from services.cli.row_values import today_on
from services.metrology.bench_standing import (
    BENCH,
    REFERENCE,
    Standard,
    outside_conditions,
    refused,
    standing,
)
from services.metrology.due_list import DEFAULT_PERIODS
from services.metrology.error_limits import ErrorLimits
from services.metrology.error_limits_file import (
    SHIPPED,
    SHIPPED_REACTIVE,
    SHIPPED_TRANSFORMERS,
    load_error_limits,
    load_transformer_limits,
)
from services.metrology.function_tests import (
    CREEP_RULES,
    DEFAULT_FUNCTION_RULES,
    FunctionRules,
    judge_clock,
    judge_creep,
    judge_dial,
    judge_start,
)
from services.metrology.judgement import (
    DEFAULT_RULES,
    FAILED,
    NOT_JUDGED,
    PASSED,
    JudgedTest,
    Judgement,
    format_error,
    judge,
    local_day,
)
from services.metrology.rule_sets import REACTIVE_RULES, THREE_PHASE_RULES
from services.metrology.transformer_judgement import (
    DEFAULT_TRANSFORMER_RULES,
    PCT_SCALE,
    TransformerJudgement,
    TransformerLimits,
    format_phase,
    judge_transformer,
)
from services.metrology.verification_cycle import DEFAULT_CYCLES, later_by_months, next_due_on

UTC_OFFSET_MIN = DEFAULT_RULES.utc_offset_minutes
MICRO = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedRun:
    """A run's judgement with the days that follow from it."""

    judgement: Judgement | TransformerJudgement
    measured_on: str
    next_due_on: str

    @property
    def device_no(self) -> str:
        """The number of the meter or transformer."""
        found = self.judgement
        return found.meter_no if isinstance(found, Judgement) else found.device_no

    @property
    def device(self) -> str:
        """Meter, CT or VT."""
        return "meter" if isinstance(self.judgement, Judgement) else self.judgement.device

    def document(self) -> dict[str, Any]:
        """What --json prints."""
        kind = "meter" if isinstance(self.judgement, Judgement) else "transformer"
        days = {"measured_on": self.measured_on, "next_due_on": self.next_due_on}
        return {"type": f"{kind}_judgement", **to_document(self.judgement), **days}


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedBy:
    """The tables, and the register of standards (None: only what the run states is looked at)."""

    active: ErrorLimits
    reactive: ErrorLimits
    transformers: TransformerLimits
    standards: Mapping[tuple[str, str], Standard] | None
    functions: FunctionRules


def day_option(text: str, name: str = "--on") -> str:
    """A day given as an option; today when it is none."""
    if not text:
        return today_on()
    try:
        if date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise BadInput(name, f"{text!r} is no day", "write it as 2026-01-31")


def judged_by(
    standards: Path | None,
    limits: Path | None = None,
    transformer_limits: Path | None = None,
    creep: str = DEFAULT_FUNCTION_RULES.creep.id,
) -> JudgedBy:
    """The tables shipped or given, and the register of standards in a file."""
    if creep not in CREEP_RULES:
        raise BadInput("--creep", f"{creep!r} is unknown", f"use {' or '.join(CREEP_RULES)}")
    return JudgedBy(
        active=load_error_limits(limits or SHIPPED),
        reactive=load_error_limits(SHIPPED_REACTIVE),
        transformers=load_transformer_limits(transformer_limits or SHIPPED_TRANSFORMERS),
        standards=None if standards is None else read_standards(str(standards)),
        functions=replace(DEFAULT_FUNCTION_RULES, creep=CREEP_RULES[creep]),
    )


def read_standards(path: str) -> dict[tuple[str, str], Standard]:
    """The register of benches and references: standard_no, kind, accuracy_class, due_on."""
    found: dict[tuple[str, str], Standard] = {}
    columns = ("standard_no", "kind", "accuracy_class", "due_on")
    for row in read_rows(path, columns):
        standard = Standard(
            standard_no=row.text("standard_no"),
            kind=row.one_of("kind", (BENCH, REFERENCE)),
            accuracy_class=class_of(row, "accuracy_class"),
            due_on=row.day("due_on"),
        )
        key = (standard.kind, standard.standard_no)
        if key in found:
            raise row.wrong("standard_no", f"{standard.standard_no!r} is there twice", "keep one")
        found[key] = standard
    return found


def judged_runs(path: str, on: str, by: JudgedBy) -> Iterator[JudgedRun]:
    """The judgement of every run of a file, one at a time; BadInput for one measured after `on`."""
    for case in read_cases(path):
        measured_on = local_day(case.run.measured_at, UTC_OFFSET_MIN)
        if measured_on > on:
            problem = f"{case.run.measured_at} is after {on}"
            raise case.row.wrong("measured_at", problem, "give the instant it was measured at")
        try:
            yield _judged(case, measured_on, by)
        except BadInput as wrong:
            if wrong.field.startswith(f"{case.row.file} line "):
                raise  # it names its place already
            raise case.row.wrong(wrong.field, wrong.problem, wrong.fix) from None


def _judged(case: Case, measured_on: str, by: JudgedBy) -> JudgedRun:
    judgement: Judgement | TransformerJudgement
    due_on = ""
    if isinstance(case, TransformerCase):
        judgement = judge_transformer(
            case.run, case.device, case.accuracy_class, by.transformers, DEFAULT_TRANSFORMER_RULES
        )
        if judgement.verdict == PASSED:
            due_on = later_by_months(measured_on, DEFAULT_PERIODS.transformer_months)
    else:
        judgement = _judged_meter(case, by)
        if judgement.verdict == PASSED and case.quantity == "active":
            due_on = next_due_on(measured_on, judgement.accuracy_class, DEFAULT_CYCLES)
    return JudgedRun(judgement=judgement, measured_on=measured_on, next_due_on=due_on)


def _judged_meter(case: MeterCase, by: JudgedBy) -> Judgement:
    limits, rules = by.active, THREE_PHASE_RULES if case.phases == 3 else DEFAULT_RULES
    if case.quantity == "reactive":
        limits, rules = by.reactive, REACTIVE_RULES
    seen = observed_tests(case, by.functions)
    run = replace(case.run, tests={**case.run.tests, **{each.test: each.verdict for each in seen}})
    judgement = judge(run, case.rating, limits, rules)
    # The judgement only knows the result of a test; what was seen in it stands in its place.
    told = {each.test: each for each in seen}
    judgement = replace(
        judgement,
        tests=tuple(told.get(each.test, each) for each in judgement.tests),
        reasons=tuple(_told(reason, told) for reason in judgement.reasons),
    )
    reasons: tuple[str, ...] = ()
    if by.standards is not None:
        reasons += standing(run, case.rating.accuracy_class, by.standards, rules)
    if case.temperature_c is not None:
        reasons += outside_conditions(case.temperature_c)
    return refused(judgement, tuple(each for each in reasons if each not in judgement.reasons))


def _told(reason: str, told: Mapping[str, JudgedTest]) -> str:
    name = reason.partition(":")[0]
    return f"{name}: {told[name].reason}" if name in told else reason


def observed_tests(case: MeterCase, rules: FunctionRules) -> tuple[JudgedTest, ...]:
    """The tests that were observed, judged; one that the bench reports otherwise is not judged."""
    seen, plate = case.observed, case.plate
    if seen is None or plate is None:
        return ()
    judged = []
    if "observed.start" in seen.cells:
        at = "observed.start."
        first = seen.optional(f"{at}first_pulse_s")
        current_ua = scaled(seen, f"{at}current_a", MICRO)
        pulse_s = seen.whole(f"{at}first_pulse_s") if first else None
        judged.append(judge_start(plate, current_ua, seen.whole(f"{at}observed_s"), pulse_s, rules))
    if "observed.creep" in seen.cells:
        at = "observed.creep."
        volts, pulses = scaled(seen, f"{at}voltage_v", 1_000), seen.whole(f"{at}pulses")
        judged.append(judge_creep(plate, volts, seen.whole(f"{at}observed_s"), pulses, rules))
    if "observed.constant" in seen.cells:
        at = "observed.constant."
        register_wh = scaled(seen, f"{at}register_kwh", 1_000)
        step_wh = scaled(seen, f"{at}resolution_kwh", 1_000)
        pulses = seen.whole(f"{at}pulses")
        judged.append(judge_dial(plate, pulses, register_wh, step_wh, rules))
    if "observed.clock" in seen.cells:
        drift_ms = seen.whole("observed.clock.drift_ms")
        judged.append(judge_clock(drift_ms, seen.whole("observed.clock.observed_s"), rules))
    return tuple(_agreed(each, case.run.tests.get(each.test)) for each in judged)


def _agreed(seen: JudgedTest, told: str | None) -> JudgedTest:
    if told not in {PASSED, FAILED} or told == seen.verdict:
        return seen
    reason = f"the bench reports {told}, but {seen.reason}"
    return replace(seen, verdict=FAILED if seen.verdict == FAILED else NOT_JUDGED, reason=reason)


def judge_file(
    file: Annotated[str, typer.Argument(help="Runs as JSON lines, - for standard input.")],
    on: Annotated[str, typer.Option(help="No run may be later than this day (today).")] = "",
    standards: Annotated[
        Path | None, typer.Option(help="Register of benches and references.", metavar="FILE")
    ] = None,
    limits: Annotated[
        Path | None, typer.Option(help="Another table of meter limits.", metavar="CSV")
    ] = None,
    transformer_limits: Annotated[
        Path | None, typer.Option(help="Another table of transformer limits.", metavar="CSV")
    ] = None,
    creep: Annotated[str, typer.Option(help="Rule of the creep time.")] = "iec-62053",
    points: Annotated[bool, typer.Option(help="Show the points of passed runs too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> int:
    """Judge bench runs of meters and transformers.

    Status 1 when one did not pass. Runs come one at a time: memory stays flat.
    """
    counts = dict.fromkeys((PASSED, FAILED, NOT_JUDGED), 0)
    by = judged_by(standards, limits, transformer_limits, creep)
    for judged in judged_runs(file, day_option(on), by):
        found = judged.judgement
        counts[found.verdict] += 1
        if as_json:
            print(json.dumps(judged.document(), ensure_ascii=False))
            continue
        _show(judged, points or found.verdict != PASSED)
    if not as_json:
        print(", ".join(f"{count} {name}" for name, count in counts.items()))
    return 0 if counts[FAILED] == counts[NOT_JUDGED] == 0 else 1


def _show(judged: JudgedRun, with_points: bool) -> None:
    found = judged.judgement
    due = f", next verification by {judged.next_due_on}" if judged.next_due_on else ""
    shown = f"{judged.device} {judged.device_no}, class {found.accuracy_class}"
    print(f"{found.run_id}: {shown}: {found.verdict}{due}")
    if not with_points:
        return
    table = _meter_rows(found) if isinstance(found, Judgement) else _transformer_rows(found)
    Console().print(table)
    for test in getattr(found, "tests", ()):
        print(f"  {test.test}: {test.verdict} ({test.reason})")
    said = [f"because {text}" for text in found.reasons]
    said += dict.fromkeys(f"source: {point.source}" for point in found.points if point.source)
    for text in (*said, f"rules {found.rules}, limits {found.limits}"):
        print(fill(text, 80, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False))


def _cells(table: Table, rows: Iterator[tuple[str, ...]]) -> Table:
    for row in rows:
        table.add_row(*row)
    return table


def _or_none(value: int | None, shown: Callable[[int], str]) -> str:
    return "" if value is None else shown(value)


def _meter_rows(found: Judgement) -> Table:
    table = Table("current", "pf", "load", "error", "rounded", "limit", "verdict", "row")
    return _cells(
        table,
        (
            (
                point.current,
                point.power_factor,
                point.load,
                _or_none(point.error_e4_pct, format_error),
                _or_none(point.rounded_e4_pct, format_error),
                _or_none(point.limit_e4_pct, lambda value: f"±{format_error(value).lstrip('+')}"),
                point.verdict,
                point.row.rpartition(" ")[2],
            )
            for point in found.points
        ),
    )


def _transformer_rows(found: TransformerJudgement) -> Table:
    table = Table("at", "burden", "ratio", "rounded", "phase", "rounded", "verdict", "row")
    return _cells(
        table,
        (
            (
                f"{format_scaled(point.at_e3_pct, PCT_SCALE)} %",
                point.burden,
                _or_none(point.ratio_e4_pct, format_error),
                _or_none(point.rounded_ratio_e4_pct, format_error),
                _or_none(point.phase_e3_min, format_phase),
                _or_none(point.rounded_phase_e3_min, format_phase),
                point.verdict,
                point.row.partition(" line ")[2],
            )
            for point in found.points
        ),
    )
