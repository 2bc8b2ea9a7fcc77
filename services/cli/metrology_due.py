"""`gridledger metrology due` and `match`: what is to be checked when, and what does not fit.

`due` reads device_no and kind (meter, ct, vt, bench, reference_meter, standard, site_standard) and,
as far as they are known, accuracy_class, category (or phases with monthly_energy_wh, capacity_va),
voltage_v, installed_on, verified_on, checked_on, drop_measured_on, compared_on, due_on. With --json
one object a line:

    obligation  device_no, kind, duty, last_on, due_on, status (overdue, untracked, due_soon, done),
                days_left (null when untracked), rule
    coverage    duty, counts (status -> count), total, coverage_pct: one for each duty
    summary     on, devices, obligations, counts, edition, periods

`match` reads usage_point, phases, voltage_v, connection, meter_class, base_a, imax_a and, as far as
there are any, capacity_kva, load_kva, ct_ratio (75/5), ct_class, vt_ratio (10000/100), vt_class,
category, account_no. With --json:

    match       usage_point, account_no, load_current_ma, ratio, findings (rule, found_e2_pct,
                bound_e2_pct in hundredths of a per cent or null, text), rules
    summary     points, findings (rule -> count)
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from libs.events.codec import to_document
from libs.events.errors import BadInput
from libs.events.quantities import parse_scaled
from services.cli.metrology_judge import day_option
from services.cli.metrology_runs import class_of, scaled
from services.cli.metrology_trails import AsJson, tell
from services.cli.row_file import Row, read_rows
from services.cli.watched import watched
from services.metrology.capacity_match import CONNECTIONS, MeteringSet, match
from services.metrology.due_list import (
    DEFAULT_PERIODS,
    DONE,
    KINDS,
    METER,
    OVERDUE,
    STANDARDS,
    STATUSES,
    UNTRACKED,
    Obligation,
    TrackedDevice,
    coverage,
    obligations,
)
from services.metrology.metering_category import (
    CATEGORIES,
    EDITIONS,
    CategoryRules,
    MeteringPoint,
    classify,
)

DAYS = (
    "installed_on", "verified_on", "checked_on", "drop_measured_on", "compared_on", "due_on"
)  # fmt: skip
KEYS = ("phases", "monthly_energy_wh", "capacity_va")
DUE_COLUMNS = ("device_no", "kind")
DUE_OPTIONAL = ("accuracy_class", "category", "voltage_v", *KEYS, *DAYS)
MATCH_COLUMNS = (
    "usage_point", "phases", "voltage_v", "connection", "meter_class", "base_a", "imax_a"
)  # fmt: skip
MATCH_OPTIONAL = (
    "capacity_kva", "load_kva", "ct_ratio", "ct_class", "vt_ratio", "vt_class", "category",
    "account_no",
)  # fmt: skip


def due(
    file: Annotated[str, typer.Argument(help="Devices, - for standard input.")],
    on: Annotated[str, typer.Option(help="The day to look from (today).")] = "",
    notice: Annotated[int, typer.Option(min=0, max=3660, help="Days before due.")] = 30,
    edition: Annotated[str, typer.Option(help="Rules of the categories.")] = "dlt-448-2000",
    limit: Annotated[int, typer.Option(min=1, help="Lines shown, the most urgent.")] = 40,
    as_json: AsJson = False,
) -> int:
    """List verifications, rotations and checks that are due, and the coverage of each.

    Status 1 when something is overdue, or has no day to count from. Devices come
    one at a time; only their numbers are kept, since each may stand there once.
    """
    day = day_option(on)
    if edition not in EDITIONS:
        raise BadInput("--edition", f"{edition!r} is unknown", f"use {' or '.join(EDITIONS)}")
    counts: Counter[tuple[str, str]] = Counter()
    devices: set[str] = set()

    def found() -> Iterator[Obligation]:
        for row in watched(read_rows(file, DUE_COLUMNS, DUE_OPTIONAL), "devices"):
            name = f"{row.text('kind')} {row.text('device_no')}"
            if name in devices:
                raise row.wrong("device_no", f"{name} stands there twice", "give each device once")
            devices.add(name)
            for each in _obligations(row, day, notice, EDITIONS[edition]):
                counts[each.duty, each.status] += 1
                if as_json:
                    tell({"type": "obligation", **asdict(each)})
                elif each.status != DONE:
                    yield each

    urgent = heapq.nsmallest(limit, found(), key=lambda each: each.due_on)
    if not devices:
        name = "standard input" if file == "-" else file
        raise BadInput(name, "has no device", "give one device a line after the header")
    _tell_due(day, len(devices), counts, urgent, edition, as_json)
    late = sum(count for (_, status), count in counts.items() if status in {OVERDUE, UNTRACKED})
    return 1 if late else 0


def _obligations(row: Row, on: str, notice: int, edition: CategoryRules) -> tuple[Obligation, ...]:
    try:
        return obligations(_device(row, edition), on, notice)
    except BadInput as wrong:
        if wrong.field.startswith(f"{row.file} line "):
            raise  # it names its place already
        raise row.wrong(wrong.field, wrong.problem, wrong.fix) from None


def _device(row: Row, edition: CategoryRules) -> TrackedDevice:
    kind = row.one_of("kind", KINDS)
    given = set(row.cells)
    voltage_v = row.whole("voltage_v") if "voltage_v" in given else 0
    category = row.one_of("category", CATEGORIES) if "category" in given else ""
    if kind == METER and not category and given & {*KEYS, "voltage_v"}:
        energy = row.whole("monthly_energy_wh") if "monthly_energy_wh" in given else None
        point = MeteringPoint(
            phases=row.whole("phases") if "phases" in given else 3,
            monthly_energy_wh=energy,
            capacity_va=row.whole("capacity_va") if "capacity_va" in given else None,
            voltage_v=voltage_v if "voltage_v" in given else None,
        )
        category = classify(point, edition)
    is_needed = kind == METER
    return TrackedDevice(
        device_no=row.text("device_no"),
        kind=kind,
        accuracy_class=(
            class_of(row, "accuracy_class") if is_needed else row.optional("accuracy_class")
        ),
        category="" if kind in STANDARDS else category,
        voltage_v=voltage_v,
        **{name: row.day(name) if name in given else "" for name in DAYS},
    )


def _tell_due(
    day: str,
    devices: int,
    counts: Counter[tuple[str, str]],
    urgent: list[Obligation],
    edition: str,
    as_json: bool,
) -> None:
    by_status = {
        status: sum(count for (_, each), count in counts.items() if each == status)
        for status in STATUSES
    }
    covered = coverage((duty, status, count) for (duty, status), count in counts.items())
    if as_json:
        for each in covered:
            tell({"type": "coverage", **asdict(each)})
        total = sum(by_status.values())
        sums = {"on": day, "devices": devices, "obligations": total, "counts": by_status}
        names = {"edition": edition, "periods": f"{DEFAULT_PERIODS.id} v{DEFAULT_PERIODS.version}"}
        tell({"type": "summary", **sums, **names})
        return
    if urgent:
        table = Table("device", "kind", "duty", "due", "days", "status")
        for one in urgent:
            days = "" if one.days_left is None else str(one.days_left)
            table.add_row(one.device_no, one.kind, one.duty, one.due_on or "-", days, one.status)
        Console().print(table)
        more = sum(by_status[status] for status in STATUSES if status != DONE) - len(urgent)
        if more:
            print(f"and {more} more (--limit shows more, --json all)")
    table = Table("duty", *STATUSES, "coverage")
    for cover in covered:
        cells = (str(cover.counts[status]) for status in STATUSES)
        table.add_row(cover.duty, *cells, f"{cover.coverage_pct} %")
    Console().print(table)
    print(f"{devices} devices on {day}, {edition}, {DEFAULT_PERIODS.id}")


def match_file(
    file: Annotated[str, typer.Argument(help="Metering sets, - for standard input.")],
    as_json: AsJson = False,
) -> int:
    """Find meters, CTs and transformers that are too large or too small for their customer.

    Status 1 when something does not fit. Points come one at a time: memory stays
    flat.
    """
    rules: Counter[str] = Counter()
    points = 0
    for row in watched(read_rows(file, MATCH_COLUMNS, MATCH_OPTIONAL), "points"):
        points += 1
        metering = _metering_set(row)
        try:
            found = match(metering)
        except BadInput as wrong:
            column = _COLUMN_OF.get(wrong.field, wrong.field)
            raise row.wrong(column, wrong.problem, wrong.fix) from None
        rules.update(each.rule for each in found.findings)
        if as_json:
            tell({"type": "match", **to_document(found)})
            continue
        for each in found.findings:
            print(f"{found.usage_point} {found.account_no} {each.rule}: {each.text}")
    if not points:
        name = "standard input" if file == "-" else file
        raise BadInput(name, "has no point", "give one point a line after the header")
    if as_json:
        tell({"type": "summary", "points": points, "findings": dict(sorted(rules.items()))})
    else:
        sums = ", ".join(f"{count} {rule}" for rule, count in sorted(rules.items()))
        print(f"{points} points: {sums or 'everything fits'}")
    return 1 if rules else 0


_COLUMN_OF = {
    "base_ma": "base_a",
    "imax_ma": "imax_a",
    "capacity_va": "capacity_kva",
    "load_va": "load_kva",
    "ct_primary_ma": "ct_ratio",
    "ct_secondary_ma": "ct_ratio",
    "vt_primary_v": "vt_ratio",
    "vt_secondary_v": "vt_ratio",
}
"""The column of the file in which a quantity stands."""


def _metering_set(row: Row) -> MeteringSet:
    given = row.cells
    ct = _ratio(row, "ct_ratio", 1_000)
    vt = _ratio(row, "vt_ratio", 1)
    return MeteringSet(
        usage_point=row.text("usage_point"),
        account_no=row.optional("account_no"),
        phases=row.whole("phases"),
        voltage_v=row.whole("voltage_v"),
        capacity_va=scaled(row, "capacity_kva", 1_000) if "capacity_kva" in given else 0,
        load_va=scaled(row, "load_kva", 1_000) if "load_kva" in given else 0,
        connection=row.one_of("connection", CONNECTIONS),
        meter_class=class_of(row, "meter_class"),
        base_ma=scaled(row, "base_a", 1_000),
        imax_ma=scaled(row, "imax_a", 1_000),
        ct_primary_ma=ct[0],
        ct_secondary_ma=ct[1],
        ct_class=class_of(row, "ct_class") if "ct_class" in given else "",
        vt_primary_v=vt[0],
        vt_secondary_v=vt[1],
        vt_class=class_of(row, "vt_class") if "vt_class" in given else "",
        category=row.one_of("category", CATEGORIES) if "category" in given else "",
    )


def _ratio(row: Row, column: str, scale: int) -> tuple[int, int]:
    """75/5 as both sides; (0, 0) when there is none."""
    text = row.optional(column)
    if not text:
        return 0, 0
    one, slash, other = text.partition("/")
    try:
        sides = parse_scaled(one, scale, column), parse_scaled(other, scale, column)
    except BadInput:
        sides = (0, 0)
    if not slash or min(sides) <= 0:
        raise row.wrong(column, f"{text!r} is no ratio", "write both sides, such as 75/5")
    return sides
