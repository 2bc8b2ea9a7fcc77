"""`gridledger vee estimate`: the gaps of load profiles filled by a plan, kept to the register.

What has no row between the first and the last interval (or register reading) is a gap too.

Files are CSV with a header or one JSON object a line, sorted by usage point:

    FILE          usage_point, end_at, energy_wh (empty: missing); optional register (1-0:1.8.0),
                  interval_minutes (else --minutes), quality (actual, edited, manual, missing,
                  failed, estimated, outage), source (meter, check, scada), profile_class,
                  and what `vee edit` adds: version, is_final, superseded_by (not read then)
    --registers   usage_point, meter_no, taken_at, value_wh (before the ratio); optional register,
                  kind (read, final, initial), ratio, digits, capacity_w, source (remote, manual)
    --holidays    day_on; optional name
    --plan        YAML or JSON, as --print-plan shows it

An estimate that is read again is a gap again, so the same command on the --output (with the same
check rows and classes) changes nothing. `energy_wh` is Wh or varh, as the register says.

With --json one object a line for each series:

    {"usage_point", "register", "interval_minutes", "plan",
     "filled": [{"end_at", "energy_wh", "method", "references": [...], "shape", "scale", "shift"}],
     "unfilled": [end_at, ...],
     "balances": [{"from_at", "to_at", "delta_wh", "outcome", "source", "known_wh",
                   "estimated_wh", "kept"}],
     "findings": [{"rule", "severity", "text", "numbers": {...}, "slots": [...]}]}

and one at the end: {"summary": {"points", "series", "filled", "unfilled", "balances", "kept",
"failed", "plan"}}. shape, scale and shift are exact, "7/3"; null where nothing was scaled. Status:
0, or 1 when a slot stayed empty or a finding fails, or 2 for wrong input.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from libs.events.documents import parse_yaml, read_text
from libs.events.errors import BadInput
from libs.events.quantities import format_scaled, half_up_div
from services.cli.row_file import Row, read_rows
from services.cli.vee_files import (
    Group,
    at_row,
    by_point,
    energy_of,
    past_of,
    read_days,
    read_now,
    read_zone,
    refuse_same,
    register_of,
    side_by_side,
    written,
)
from services.cli.watched import watched
from services.validation.estimation_plan import (
    DEFAULT_PLAN,
    EstimationPlan,
    plan_document,
    plan_of,
)
from services.validation.finding import FAIL, Finding
from services.validation.interval_estimation import SeriesEstimate, estimate_series
from services.validation.interval_series import (
    ACTUAL,
    MISSING,
    QUALITIES,
    Slot,
    check_interval,
    interval_series,
    slot_end,
)
from services.validation.register_bracket import (
    KINDS,
    READ_BY,
    Bracket,
    RegisterRow,
    brackets_of,
    check_row,
)

METER, CHECK_SOURCES = "meter", ("check", "scada")
INTERVAL_COLUMNS = ("usage_point", "end_at", "energy_wh")
INTERVAL_OPTIONAL = (
    "register",
    "interval_minutes",
    "quality",
    "source",
    "profile_class",
    "version",
    "is_final",
    "superseded_by",
)
REGISTER_COLUMNS = ("usage_point", "meter_no", "taken_at", "value_wh")
REGISTER_OPTIONAL = ("register", "kind", "ratio", "digits", "capacity_w", "source")
OUTPUT_COLUMNS = ("usage_point", "register", "interval_minutes", "end_at", "energy_wh", "quality")
DECIMALS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the options say."""

    plan: EstimationPlan
    holidays: frozenset[str]
    zone: tzinfo
    minutes: int
    signed: bool
    now: str


@dataclass(slots=True)
class Gathered:
    """The rows of one series, as they are read."""

    row: Row
    minutes: int
    profile_class: str
    slots: dict[str, Slot] = field(default_factory=dict)
    check: dict[str, Slot] = field(default_factory=dict)


def estimate(
    file: Annotated[str, typer.Argument(help="Intervals, or - for standard input.")] = "-",
    plan: Annotated[str, typer.Option(help="An estimation plan.", metavar="FILE")] = "",
    registers: Annotated[str, typer.Option(help="Register readings.", metavar="FILE")] = "",
    holidays: Annotated[str, typer.Option(help="Days that are holidays.", metavar="FILE")] = "",
    zone: Annotated[str, typer.Option(help="The utility's zone.")] = "Asia/Shanghai",
    minutes: Annotated[int, typer.Option(help="Minutes of an interval.")] = 15,
    signed: Annotated[bool, typer.Option("--signed", help="Energies may be negative.")] = False,
    output: Annotated[
        str, typer.Option(help="Write all intervals, gaps filled, as CSV.", metavar="FILE")
    ] = "",
    as_of: Annotated[str, typer.Option(help="The instant that counts as now.")] = "",
    print_plan: Annotated[
        bool, typer.Option("--print-plan", help="Print the plan in use, and end.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Fill the gaps of load profiles, and keep every register reading exactly.

    FILE has usage_point, end_at (UTC), energy_wh (empty: missing), optionally
    register, interval_minutes, quality, source (check, scada: a second
    measurement), profile_class. The registers have usage_point, meter_no,
    taken_at, value_wh (before the ratio), optionally register, kind (read, final,
    initial), ratio, digits, capacity_w, source (remote, manual).

    Both are sorted by usage point; memory holds one point at a time. What has no
    row between the first and the last interval or reading is a gap. Status 1 when
    a slot stays empty.
    """
    chosen = read_plan(plan)
    if print_plan:
        document = plan_document(chosen)
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=78)
        print(json.dumps(document, ensure_ascii=False) if as_json else text.rstrip())
        return
    at_option("--minutes", minutes)
    refuse_same(file, plan, registers, holidays, output)
    settings = Settings(
        plan=chosen,
        holidays=read_days(holidays) if holidays else frozenset(),
        zone=read_zone(zone),
        minutes=minutes,
        signed=signed,
        now=read_now(as_of),
    )
    totals: Counter[str] = Counter()
    with ExitStack() as stack:
        out = None
        if output:
            out = stack.enter_context(written(output))
            csv.writer(out).writerow(OUTPUT_COLUMNS)
        for point, register, size, found in _estimates(file, registers, settings, totals):
            if as_json:
                print(json.dumps(_document(point, register, size, found), ensure_ascii=False))
            else:
                _show(point, register, size, found)
            if out is not None:
                _write(out, point, register, size, found)
            _count(totals, found)
    summary = {name: totals[name] for name in SUMMARY} | {"plan": chosen.name}
    print(json.dumps({"summary": summary}) if as_json else _sentence(summary))
    raise typer.Exit(1 if totals["unfilled"] or totals["failed"] else 0)


SUMMARY = ("points", "series", "filled", "unfilled", "balances", "kept", "failed")


def at_option(option: str, minutes: int) -> None:
    """BadInput of the option when a day is not made of such intervals."""
    try:
        check_interval(minutes)
    except BadInput as wrong:
        raise BadInput(option, wrong.problem, wrong.fix) from None


# -- reading ---------------------------------------------------------------------------------------


def read_plan(path: str) -> EstimationPlan:
    """The plan of a file, the default plan without one; BadInput names the file and the field."""
    if not path:
        return DEFAULT_PLAN
    document = parse_yaml(read_text(Path(path)), path, "see --print-plan")
    try:
        return plan_of(document)
    except BadInput as wrong:
        raise BadInput(f"{path} {wrong.field}", wrong.problem, wrong.fix) from None


def _estimates(
    file: str, registers: str, settings: Settings, totals: Counter[str]
) -> Iterator[tuple[str, str, int, SeriesEstimate]]:
    """Every series of every point, estimated, in the order of the files."""
    rows = by_point(read_rows(file, INTERVAL_COLUMNS, INTERVAL_OPTIONAL))
    read: Iterator[Group] = iter(())
    if registers:
        read = by_point(read_rows(registers, REGISTER_COLUMNS, REGISTER_OPTIONAL))
    for point, intervals, readings in watched(side_by_side(rows, read), "points", prints=True):
        totals["points"] += 1
        series = _gather(intervals, settings)
        known = _registers(readings, settings)
        for register in sorted({*series, *known}):
            gathered = series.get(register)
            marks = known.get(register, [])
            if gathered is None:
                yield point, register, settings.minutes, _without_intervals(settings)
                continue
            found = _estimate(point, register, gathered, marks, settings)
            yield point, register, gathered.minutes, found


def _gather(rows: list[Row], settings: Settings) -> dict[str, Gathered]:
    """The slots of a point by register; BadInput names the row of a slot that cannot be."""
    found: dict[str, Gathered] = {}
    for row in rows:
        if row.optional("superseded_by"):
            continue
        minutes = row.whole("interval_minutes") if row.optional("interval_minutes") else 0
        minutes = minutes or settings.minutes
        at_row(row, check_interval, minutes)
        name = row.optional("profile_class")
        if name and name not in settings.plan.class_profiles:
            known = ", ".join(settings.plan.class_profiles) or "none"
            problem = f"{name!r} is no class of plan {settings.plan.name}"
            raise row.wrong("profile_class", problem, f"known are {known}")
        series = found.setdefault(register_of(row), Gathered(row, minutes, name))
        if series.minutes != minutes:
            problem = f"is {minutes}, was {series.minutes} before"
            raise row.wrong("interval_minutes", problem, "give one size for a register")
        series.profile_class = series.profile_class or name
        slot = _slot(row, settings)
        at_row(row, slot_end, slot, minutes, settings.zone, signed=settings.signed)
        source = row.optional("source") and row.one_of("source", (METER, *CHECK_SOURCES))
        slots = series.check if source in CHECK_SOURCES else series.slots
        if slots.setdefault(slot.end_at, slot) != slot:
            problem = f"{slot.end_at} is there twice, with different values"
            raise row.wrong("end_at", problem, "keep the one that is true")
    return found


def _slot(row: Row, settings: Settings) -> Slot:
    energy = energy_of(row, "energy_wh")
    quality = MISSING if energy is None else ACTUAL
    if row.optional("quality"):
        quality = row.one_of("quality", QUALITIES)
    return Slot(end_at=past_of(row, "end_at", settings.now), energy=energy, quality=quality)


def _registers(rows: list[Row], settings: Settings) -> dict[str, list[RegisterRow]]:
    found: dict[str, list[RegisterRow]] = {}
    for row in rows:
        base = RegisterRow(
            meter_no=row.text("meter_no"),
            taken_at=past_of(row, "taken_at", settings.now),
            value=row.whole("value_wh"),
        )
        optional: dict[str, Any] = {
            column: row.whole(column) for column in ("digits", "capacity_w") if row.optional(column)
        }
        if row.optional("kind"):
            optional["kind"] = row.one_of("kind", KINDS)
        if row.optional("source"):
            optional["source"] = row.one_of("source", READ_BY)
        if row.optional("ratio"):
            optional["ratio"] = str(row.decimal("ratio"))
        made = replace(base, **optional)
        at_row(row, check_row, made)
        found.setdefault(register_of(row), []).append(made)
    return found


def _estimate(
    point: str, register: str, gathered: Gathered, marks: list[RegisterRow], settings: Settings
) -> SeriesEstimate:
    try:
        brackets: tuple[Bracket, ...] = ()
        if marks:
            brackets = brackets_of(
                marks, register, interval_minutes=gathered.minutes, zone=settings.zone
            )
        series = interval_series(
            gathered.slots.values(),
            interval_minutes=gathered.minutes,
            zone=settings.zone,
            bounds=(brackets[0].from_minute, brackets[-1].to_minute) if brackets else None,
            check=gathered.check.values(),
            profile_class=gathered.profile_class,
            signed=settings.signed,
        )
        return estimate_series(
            series, brackets, settings.plan, holidays=settings.holidays, zone=settings.zone
        )
    except BadInput as wrong:
        place = f"{gathered.row.file} {point} {register} {wrong.field}"
        raise BadInput(place, wrong.problem, wrong.fix) from None


def _without_intervals(settings: Settings) -> SeriesEstimate:
    text = "there are readings of the register, and no interval tells the size of its slots"
    finding = Finding(rule="no_intervals", severity=FAIL, text=text)
    return SeriesEstimate(
        plan=settings.plan.name,
        slots=(),
        filled=(),
        unfilled=(),
        balances=(),
        findings=(finding,),
    )


# -- telling ---------------------------------------------------------------------------------------


def _count(totals: Counter[str], found: SeriesEstimate) -> None:
    totals["series"] += 1
    totals["filled"] += len(found.filled)
    totals["unfilled"] += len(found.unfilled)
    totals["balances"] += len(found.balances)
    totals["kept"] += sum(balance.kept for balance in found.balances)
    totals["failed"] += sum(finding.severity == FAIL for finding in found.findings)


def _document(point: str, register: str, size: int, found: SeriesEstimate) -> dict[str, Any]:
    return {
        "usage_point": point,
        "register": register,
        "interval_minutes": size,
        "plan": found.plan,
        "filled": [
            {
                "end_at": slot.end_at,
                "energy_wh": slot.energy,
                "method": slot.method,
                "references": list(slot.references),
                "shape": str(slot.shape),
                "scale": None if slot.scale is None else str(slot.scale),
                "shift": None if slot.shift is None else str(slot.shift),
            }
            for slot in found.filled
        ],
        "unfilled": list(found.unfilled),
        "balances": [
            {
                "from_at": balance.from_at,
                "to_at": balance.to_at,
                "delta_wh": balance.delta,
                "outcome": balance.outcome,
                "source": balance.source,
                "known_wh": balance.known,
                "estimated_wh": balance.estimated,
                "kept": balance.kept,
            }
            for balance in found.balances
        ],
        "findings": [
            {
                "rule": finding.rule,
                "severity": finding.severity,
                "text": finding.text,
                "numbers": finding.numbers,
                "slots": list(finding.slots),
            }
            for finding in found.findings
        ],
    }


def _show(point: str, register: str, size: int, found: SeriesEstimate) -> None:
    console = Console()
    counts = f"{len(found.filled)} estimated, {len(found.unfilled)} left empty"
    console.print(Text(f"{point} {register}, {size} min: {counts}"))
    if found.filled:
        table = Table()
        table.add_column("end_at", min_width=20, no_wrap=True)
        table.add_column("energy_wh", justify="right", no_wrap=True)
        table.add_column("method", no_wrap=True)
        table.add_column("scale", no_wrap=True)
        table.add_column("references")
        above: tuple[str, ...] = ()
        for slot in found.filled:
            same = slot.references == above and slot is not found.filled[0]
            table.add_row(
                slot.end_at,
                str(slot.energy),
                slot.method,
                _factor(slot.scale, slot.shift),
                Text("same" if same else ", ".join(slot.references)),
            )
            above = slot.references
        console.print(table)
    for balance in found.balances:
        sign = "=" if balance.kept else "is not"
        delta = "unknown" if balance.delta is None else balance.delta
        console.print(
            Text(f"{balance.from_at} to {balance.to_at}, {balance.outcome}, {balance.source}")
        )
        sums = f"known {balance.known} + estimated {balance.estimated}"
        console.print(Text(f"  register {delta} {sign} {sums}"))
    for finding in found.findings:
        numbers = ", ".join(f"{name} {value}" for name, value in finding.numbers.items())
        line = f"{finding.severity} {finding.rule}: {finding.text}"
        console.print(Text(line + (f" ({numbers})" if numbers else "")))


def _factor(scale: Fraction | None, shift: Fraction | None) -> str:
    """The factor or shift with four decimals, for people; --json has it exactly."""
    if scale is not None:
        return f"x{_decimal(scale)}"
    return "none" if shift is None else f"{'+' if shift >= 0 else ''}{_decimal(shift)}"


def _decimal(value: Fraction) -> str:
    return format_scaled(half_up_div(value.numerator * DECIMALS, value.denominator), DECIMALS)


def _sentence(summary: dict[str, Any]) -> str:
    return (
        f"points {summary['points']}, series {summary['series']}, plan {summary['plan']}:"
        f" {summary['filled']} slots estimated, {summary['unfilled']} left empty\n"
        f"register kept in {summary['kept']} of {summary['balances']} periods"
    )


def _write(out: TextIO, point: str, register: str, size: int, found: SeriesEstimate) -> None:
    writer = csv.writer(out)
    for slot in found.slots:
        energy = "" if slot.energy is None else slot.energy
        writer.writerow((point, register, size, slot.end_at, energy, slot.quality))
