"""What the meter lines of a running installation did, for `gridledger local status --lines`.

    for row in line_rows(health_port): print(row["line"], row["unanswered"])

The figures are those of the field process since its start, from its own /metrics.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterable
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from rich.table import Table

from libs.events.errors import Refused

TIMEOUT_S = 3.0
OUTCOMES = ("asked", "answered", "retried", "broken")
USES = ("busy", "lost", "held")


def line_rows(health_port: int, host: str = "127.0.0.1") -> list[dict[str, Any]]:
    """One row a line, by name: requests asked, answered, unanswered (time-outs and what was no
    answer), retried, and how often the line broke; busy_s, lost_s, held_s. Refused when nobody
    answers."""
    try:
        with urllib.request.urlopen(
            f"http://{host}:{health_port}/metrics", timeout=TIMEOUT_S
        ) as answer:
            text = answer.read().decode("utf-8")
    except (urllib.error.URLError, OSError) as reason:
        problem = f"{host}:{health_port} does not tell its metrics ({reason})"
        raise Refused(f"{problem}; see `gridledger local logs ingest-field`") from None
    return rows_of(text)


def rows_of(text: str) -> list[dict[str, Any]]:
    """The rows in the text of /metrics."""
    found: dict[str, dict[str, Any]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            line = sample.labels.get("line", "")
            if sample.name == "gridledger_line_requests_total":
                found.setdefault(line, {})[sample.labels["outcome"]] = int(sample.value)
            elif sample.name == "gridledger_line_seconds_total":
                use = f"{sample.labels['use']}_s"
                found.setdefault(line, {})[use] = round(sample.value, 3)
    return [_row(line, counts) for line, counts in sorted(found.items())]


def _row(line: str, counts: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"line": line}
    row |= {outcome: counts.get(outcome, 0) for outcome in OUTCOMES}
    row["unanswered"] = row["asked"] - row["answered"]
    row |= {f"{use}_s": counts.get(f"{use}_s", 0.0) for use in USES}
    return row


def lines_table(rows: Iterable[dict[str, Any]]) -> Table:
    """As people read it; busy: part of the time that somebody had the line."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("line", overflow="fold")
    for title in ("asked", "answered", "unanswered", "retried", "broken", "busy"):
        table.add_column(title, justify="right")
    for row in rows:
        held_s = row["held_s"]
        figures = (row["asked"], row["answered"], row["unanswered"], row["retried"], row["broken"])
        busy = f"{100 * row['busy_s'] / held_s:.0f}%" if held_s else ""
        table.add_row(row["line"], *map(str, figures), busy)
    return table
