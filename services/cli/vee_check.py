"""`gridledger vee check`: the rules that judge readings, on files, without a broker.

Rows of `check` (CSV with a header, or JSON lines), sorted by `usage_point` and `at`, and for one
instant as they came; only these two are needed, an empty cell is not known:

    usage_point, at     where and when; for an interval its end, an instant 2026-01-31T16:00:00Z
    register            OBIS code, 1-0:1.8.0 unless given
    minutes, energy_wh  an interval: its length (1, 5, 10, 15, 30, 60) and energy, primary side
    value_wh, meter_no  a register reading: what the meter shows, in Wh or varh
    unit, ratio         Wh or varh, and the multiplier, as the meter or the file says them
    source              remote_register, concentrator_register, remote_profile or manual: whose
                        rules judge it
    condition           missing, estimated, manual, actual or edited; received_at: when it came
    flags, drift_s      words of the meter about itself; its clock less ours, in seconds
    flaw                why there is no usable value: non_bcd, no_value, negative, out_of_range
    voltage_a_dv .. current_a_ma .. active_a_w .. (a, b, c), active_w, reactive_var, apparent_va,
    power_factor_permille                          what it showed at that moment

Master data of `--context`, one JSON object a line, sorted by `usage_point`; all else is optional:
class, interval_minutes, capacity_w, is_producer, voltage_class, nominal_dv, registers (what every
reading has), interval_registers (what has intervals from from_at to to_at), from_at, to_at,
last_actual_at, outages and disconnected [{from_at, to_at}], history {register: {energy_wh, days,
outage_s}}, installations [{meter_no, from_at, to_at, ratio, digits, capacity_w, initial, final}].

A register that falls is a roll-over only up to capacity_w x time: without capacity_w it never is.

`--json` prints one object:

    {"days": [{"usage_point", "class", "day_on", "status", "slots": {slot: status},
               "findings": [{"rule", "severity", "register", "rule_set", "text", "slots": [],
                             "numbers": {name: text}}]}],
     "summary": {"points", "days", "rows", "warn", "fail", "rules": {rule: {"warn", "fail"}},
                 "rule_sets": {name: SHA-256 of its content}}}

with the days that have findings only; no slot is named whose status is pass. Status 0 without a
finding that fails, 1 with one, 2 for wrong input, which ends the output where it is found.
"""

from __future__ import annotations

import json
import shutil
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer
from rich.console import Console
from rich.table import Table

from libs.events.errors import BadInput
from services.cli.vee_points import Points
from services.cli.vee_rows import Reading, point_days
from services.cli.watched import watched
from services.validation.default_rules import DEFAULT_RULE_BOOK
from services.validation.finding import FAIL, WARN
from services.validation.instant import format_instant, parse_instant
from services.validation.point_check import DayCheck, check_day
from services.validation.point_facts import PointFacts, PointHistory, Told, active, statuses, told
from services.validation.rule_book import (
    REMOTE_PROFILE,
    USAGE_CLASSES,
    RuleBook,
    rule_set_for,
)
from services.validation.rule_book_file import read_rule_book
from services.validation.rule_set import RuleSet, content_hash
from services.validation.rules import missing


def check(
    file: Annotated[str, typer.Argument(help="CSV or JSON lines; - for standard input.")],
    rules: Annotated[Path | None, typer.Option(help="Your rule book.", metavar="FILE")] = None,
    usage_class: Annotated[
        str, typer.Option("--class", help="Of points without one.", metavar="CLASS")
    ] = "",
    context: Annotated[str, typer.Option(help="Master data of points.", metavar="FILE")] = "",
    zone: Annotated[str, typer.Option(help="Where days begin.")] = "Asia/Shanghai",
    as_of: Annotated[
        str, typer.Option(help="Later rows are wrong; a day from now.", metavar="INSTANT")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Judge interval values and register readings by the 18 rules; status 1 when one fails.

    Columns: usage_point, at (end of an interval, or instant of a reading),
    sorted by both; then any of
    minutes, energy_wh (intervals), value_wh, meter_no (registers),
    register, unit, ratio, source, condition, received_at, flags, flaw, drift_s,
    voltage_a_dv, current_a_ma, active_a_w (also b, c),
    active_w, reactive_var, apparent_va, power_factor_permille.

    One day of one point is held at a time, however long the file is.
    """
    if usage_class and usage_class not in USAGE_CLASSES:
        raise BadInput("--class", f"{usage_class!r} is unknown", f"use {', '.join(USAGE_CLASSES)}")
    book = DEFAULT_RULE_BOOK if rules is None else read_rule_book(rules)
    reading = Reading(zone=_zone(zone), usage_class=usage_class, as_of=_as_of(as_of))
    run = CheckRun(book)
    printed = _Printed(as_json)
    checks = run.checks(Points(context, usage_class), file, reading)
    for facts, checked in watched(checks, "days", prints=True):
        if checked.findings:
            printed.day(facts, checked)
    printed.end(run)
    if run.count[FAIL]:
        raise typer.Exit(1)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        fix = "use a name such as Asia/Shanghai"
        raise BadInput("--zone", f"{name!r} is no time zone", fix) from None


def _as_of(text: str) -> str:
    if text:
        parse_instant(text, "--as-of")
        return text
    return format_instant(datetime.now(UTC) + timedelta(days=1))


@dataclass(slots=True)
class CheckRun:
    """One run over a file: the rule sets that it used and the counts of what it found."""

    book: RuleBook
    points: int = 0
    days: int = 0
    rows: int = 0
    count: Counter[str] = field(default_factory=Counter)
    by_rule: dict[str, Counter[str]] = field(default_factory=dict)
    rule_sets: dict[tuple[str, str], RuleSet] = field(default_factory=dict)

    def rules(self, usage_class: str, source: str) -> RuleSet:
        """The rule set of a class and a source."""
        found = self.rule_sets.get((usage_class, source))
        if found is None:
            found = rule_set_for(self.book, usage_class, source)
            self.rule_sets[usage_class, source] = found
        return found

    def checks(
        self, points: Points, file: str, reading: Reading
    ) -> Iterator[tuple[PointFacts, DayCheck]]:
        """Every day of every point, judged; a point of which nothing came has one without a day."""
        history, before = PointHistory(), ""
        for facts, day, rows in point_days(points, file, reading):
            if facts.usage_point != before:
                history, before = PointHistory(), facts.usage_point
                self.points += 1
            if day is None:
                checked = self._nothing_came(facts)
            else:
                self.days += 1
                self.rows += len(rows)
                checked = check_day(
                    facts,
                    day,
                    rows,
                    history,
                    partial(self.rules, facts.usage_class),
                )
                history = checked.history
            self._note(checked.findings)
            yield facts, checked

    def _nothing_came(self, facts: PointFacts) -> DayCheck:
        rules = self.rules(facts.usage_class, REMOTE_PROFILE)
        settings = active(rules, "missing")
        findings: tuple[Told, ...] = ()
        if settings is not None:
            findings = tuple(told("", rules, (missing((facts.usage_point,), (), settings),)))
        return DayCheck(
            day_on="",
            status=findings[0].finding.severity if findings else "pass",
            slots=statuses(findings),
            findings=findings,
            history=PointHistory(),
        )

    def _note(self, findings: tuple[Told, ...]) -> None:
        for each in findings:
            self.count[each.finding.severity] += 1
            self.by_rule.setdefault(each.finding.rule, Counter())[each.finding.severity] += 1

    def summary(self) -> dict[str, Any]:
        """The object `summary` of the JSON output."""
        return {
            "points": self.points,
            "days": self.days,
            "rows": self.rows,
            "warn": self.count[WARN],
            "fail": self.count[FAIL],
            "rules": {
                rule: {"warn": count[WARN], "fail": count[FAIL]}
                for rule, count in sorted(self.by_rule.items())
            },
            "rule_sets": {
                rules.name: content_hash(rules) for _, rules in sorted(self.rule_sets.items())
            },
        }


class _Printed:
    """What is printed, as it is found: lines for people, or one JSON object."""

    def __init__(self, as_json: bool) -> None:
        self._as_json, self._begun = as_json, False
        self._width = min(shutil.get_terminal_size((80, 24)).columns, 120)

    def day(self, facts: PointFacts, checked: DayCheck) -> None:
        """A day that has findings."""
        if self._as_json:
            print(",\n" if self._begun else '{"days": [\n', end="")
            print(json.dumps(day_document(facts, checked), ensure_ascii=False), end="")
            self._begun = True
            return
        print(f"{facts.usage_point}  {checked.day_on or 'nothing came'}  {checked.status}")
        for each in checked.findings:
            self._wrap(f"{each.finding.severity.upper()} {each.finding.rule}", _said(each), 2)
            numbers = ", ".join(f"{k} {v}" for k, v in each.finding.numbers.items() if v)
            self._wrap("", numbers, 7)

    def _wrap(self, label: str, text: str, indent: int) -> None:
        lead = " " * indent + (f"{label}  " if label else "")
        lines = textwrap.wrap(
            text,
            self._width,
            initial_indent=lead,
            subsequent_indent=" " * 7,
            break_on_hyphens=False,
        )
        print("\n".join(lines) if lines else lead.rstrip())

    def end(self, run: CheckRun) -> None:
        """The summary."""
        summary = run.summary()
        if self._as_json:
            print("\n], " if self._begun else '{"days": [], ', end="")
            print(f'"summary": {json.dumps(summary, ensure_ascii=False)}}}')
            return
        if summary["rules"]:
            table = Table("rule", "warn", "fail")
            for rule, count in summary["rules"].items():
                table.add_row(rule, str(count["warn"]), str(count["fail"]))
            Console().print(table)
        print(
            f"{summary['points']} points, {summary['days']} days, {summary['rows']} rows: "
            f"{summary['fail']} fail, {summary['warn']} warn"
        )


def _said(each: Told) -> str:
    found = each.finding
    text = f"{each.register}: {found.text}" if each.register else found.text
    if not found.slots or any(slot in text for slot in found.slots):
        return text
    more = f" and {len(found.slots) - 1} more" if len(found.slots) > 1 else ""
    return f"{text} at {found.slots[0]}{more}"


def day_document(facts: PointFacts, checked: DayCheck) -> dict[str, Any]:
    """One element of `days` of the JSON output."""
    return {
        "usage_point": facts.usage_point,
        "class": facts.usage_class,
        "day_on": checked.day_on,
        "status": checked.status,
        "slots": dict(checked.slots),
        "findings": [
            {
                "rule": each.finding.rule,
                "severity": each.finding.severity,
                "register": each.register,
                "rule_set": each.rule_set,
                "text": each.finding.text,
                "slots": list(each.finding.slots),
                "numbers": each.finding.numbers,
            }
            for each in checked.findings
        ],
    }
