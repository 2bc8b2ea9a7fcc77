"""`gridledger kpi`: how many readings came at once, in time, at all; and who pulls them down.

FILE, sorted by day_on (memory holds the points of one day), one row an expected reading:

    day_on, usage_point         the day whose freeze was expected, of which point
    concentrator, area, model   what it is counted by; the one of --by must not be empty
    collected_at                when it came, an instant in UTC; empty: it did not come
    attempts                    the attempt that brought it (1 unless given)

Without FILE the rows come from the services: of the running installation, or of an export with
--from-files DIR. A day's freeze that was ordered is one row, and so is one told missing without an
order; behind a concentrator `concentrator` is its address, else the line (`services.console`, whose
page counts the same rows); what a person read at the meter does not count. "?" is a group nobody
knows yet. The rows are sorted in a temporary file.

--rules FILE: a JSON object with those fields of KpiRules that differ from the defaults.

`--json` prints one object a line: rates of each day, then of all days (day_on ""), then outliers:

    {"kind": "rate", "day_on", "key", "expected", "once", "on_time", "freeze", "missing",
     "once_pct", "on_time_pct", "freeze_pct", "below_target": []}
    {"kind": "outlier", "key", "expected", "missing", "missing_pct", "peers_expected",
     "peers_missing", "peers_missing_pct", "share_of_missing_pct"}

key is "" for all points together, which every day has. Status 1 when a day's rate of all points is
below its target, or a group is an outlier.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from libs.events.codec import Codec
from libs.events.errors import BadInput
from libs.read_success import GROUPS, RATES, ReadRate, add_rates
from services.cli.records import known_events, open_records
from services.cli.row_file import Row, read_rows
from services.cli.row_values import (
    between,
    fixed_line,
    in_row,
    past_day,
    past_instant,
    per_cent,
    read_rules,
)
from services.cli.watched import watched
from services.console.policy import DEFAULT_POLICY
from services.console.reactions import catalogue
from services.console.read_view import ReadView
from services.ingest.read_rates import (
    ExpectedRead,
    KpiRules,
    Outlier,
    below_target,
    outliers,
    read_rates,
)

NEEDED = ("day_on", "usage_point", "collected_at")
KNOWN = ("concentrator", "area", "model", "attempts")
WIDTHS = (10, 22, -8, -8, -8, -8, -8)
HEADER = ("day", "group", "expected", "missing", "once %", "on time%", "freeze %")
ATTEMPTS_MOST = 1_000_000
TOPICS = ("customers.supply", "customers.meters", "ingest.events")
UNKNOWN = "?"

app = typer.Typer(help="Remote-read success by day, concentrator, area or meter model.")


@app.command(epilog="Example: gridledger kpi --from-files export/ --by concentrator")
def kpi(
    file: Annotated[
        str,
        typer.Argument(
            help="Expected readings, CSV or JSON lines; -: standard input. Without it: what the "
            "services collected."
        ),
    ] = "",
    by: Annotated[str, typer.Option(help=f"Compare groups: {', '.join(GROUPS)}.")] = "",
    rules: Annotated[Path | None, typer.Option(help="Your definitions.", metavar="FILE")] = None,
    from_files: Annotated[
        Path | None, typer.Option("--from-files", help="Read an export.", metavar="DIR")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one object a line.")] = False,
) -> int:
    """Once-read, on-time and day-freeze success by day, and groups far below their peers.

    FILE must be sorted by day_on: the points of one day are held at a time.
    Its columns: day_on, usage_point, collected_at (empty: it did not come);
    concentrator, area, model, attempts. Without FILE: the running
    installation, or an export. Status 1 when a day is below its target
    (marked !) or a group stands out.
    """
    if by and by not in GROUPS:
        raise BadInput("--by", f"{by!r} is not known", f"one of {', '.join(GROUPS)}")
    if file and from_files is not None:
        raise BadInput("--from-files", f"{file} is given too", "give one of them")
    judged_by = read_rules(rules, KpiRules)
    found_days = days_of(file, by) if file else logged_days(from_files)
    totals: dict[str, ReadRate] = {}
    whole: dict[str, ReadRate] = {}
    is_failed = False
    is_first = True
    for reads in found_days:
        (all_points,) = read_rates(reads, "", judged_by)
        groups = read_rates(reads, by, judged_by) if by else ()
        whole = add_rates(whole, (all_points,))
        totals = add_rates(totals, groups)
        is_failed |= bool(below_target(all_points, judged_by))
        if is_first and not as_json:
            print(fixed_line(HEADER, WIDTHS))
        is_first = False
        for rate in (all_points, *groups):
            show(rate, judged_by, as_json)
    for rate in (*whole.values(), *(totals[key] for key in sorted(totals))):
        show(rate, judged_by, as_json)
    found = outliers(totals.values(), judged_by)
    for outlier in found:
        show_outlier(outlier, by, as_json)
    return int(is_failed or bool(found))


def days_of(file: str, by: str) -> Iterator[list[ExpectedRead]]:
    """The expected readings of one day after the other."""
    last_on = ""
    rows = watched(read_rows(file, NEEDED, KNOWN), "rows")
    for day_on, of_day in groupby(rows, key=lambda row: past_day(row, "day_on")):
        reads: dict[str, ExpectedRead] = {}
        for row in of_day:
            if day_on < last_on:
                raise row.wrong("day_on", f"{day_on} comes after {last_on}", "sort by day_on")
            read = expected_read(row)
            if read.usage_point in reads:
                problem = f"{read.usage_point} comes twice on {day_on}"
                raise row.wrong("usage_point", problem, "give one row for a point and day")
            if by and not getattr(read, by):
                raise row.wrong(by, "is empty", f"name it, or leave out --by {by}")
            reads[read.usage_point] = read
        last_on = day_on
        yield list(reads.values())
    if not last_on:
        raise BadInput(file, "has no rows", f"give rows of {', '.join(NEEDED)}")


def logged_days(from_files: Path | None) -> Iterator[list[ExpectedRead]]:
    """The readings that ingest expected, one day after the other, out of the log."""
    reader, partitions = open_records(from_files)
    codec = Codec(catalogue)
    view = ReadView(DEFAULT_POLICY, keeps_all=True)
    places = [(topic, number) for topic in TOPICS for number in range(partitions)]
    for topic, number in places:
        for at, body in watched(known_events(reader, codec, topic, number), "events"):
            view.note(body, at)
    source = str(from_files) if from_files is not None else "the installation"
    if not view.days:
        raise BadInput(source, "has no expected readings", "import customers, and let a day end")
    for _, of_day in groupby(view.reads(), key=lambda read: read.day_on):
        yield [
            ExpectedRead(
                usage_point=read.usage_point,
                day_on=read.day_on,
                concentrator=read.concentrator or UNKNOWN,
                area=read.area or UNKNOWN,
                model=read.model or UNKNOWN,
                collected_at=read.collected_at,
                attempts=read.attempts,
            )
            for read in of_day
        ]


def expected_read(row: Row) -> ExpectedRead:
    """One row as an expected reading."""
    try:
        return ExpectedRead(
            usage_point=row.text("usage_point"),
            day_on=row.day("day_on"),
            concentrator=row.optional("concentrator"),
            area=row.optional("area"),
            model=row.optional("model"),
            collected_at=past_instant(row, "collected_at") if row.optional("collected_at") else "",
            attempts=between(row, "attempts", 1, ATTEMPTS_MOST) if row.optional("attempts") else 1,
        )
    except BadInput as error:
        named = error.field.startswith(f"{row.file} line ")
        raise (error if named else in_row(row, error)) from None


def show(rate: ReadRate, rules: KpiRules, as_json: bool) -> None:
    """The rates of a group on a day, or over all days."""
    if as_json:
        print(json.dumps(document(rate, rules), ensure_ascii=False))
        return
    below = below_target(rate, rules) if not rate.key else ()
    shares = [per_cent(rate.rate_e2_pct(name)) + ("!" if name in below else "") for name in RATES]
    cells = (rate.day_on or "all days", rate.key or "(all)", str(rate.expected))
    print(fixed_line((*cells, str(rate.missing), *shares), WIDTHS))


def document(rate: ReadRate, rules: KpiRules) -> dict[str, Any]:
    """A rate as `--json` prints it."""
    return {
        "kind": "rate",
        "day_on": rate.day_on,
        "key": rate.key,
        **rate.shown(),
        "below_target": list(below_target(rate, rules)),
    }


def show_outlier(outlier: Outlier, by: str, as_json: bool) -> None:
    """A group far below its peers."""
    shares = {
        "missing_pct": per_cent(outlier.missing_e2_pct),
        "peers_missing_pct": per_cent(outlier.peers_missing_e2_pct),
        "share_of_missing_pct": per_cent(outlier.share_of_missing_e2_pct),
    }
    if as_json:
        counts = {
            name: getattr(outlier, name)
            for name in ("key", "expected", "missing", "peers_expected", "peers_missing")
        }
        print(json.dumps({"kind": "outlier", **counts, **shares}, ensure_ascii=False))
        return
    print(f"{by} {outlier.key}: {outlier.missing} of {outlier.expected} missing")
    print(
        f"  {shares['missing_pct']} % against {shares['peers_missing_pct']} % of its peers"
        f" ({outlier.peers_missing} of {outlier.peers_expected});"
        f" {shares['share_of_missing_pct']} % of all missing"
    )
