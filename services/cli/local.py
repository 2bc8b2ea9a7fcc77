"""`gridledger local`: a whole installation on this machine, without containers."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console
from rich.table import Table

from libs.events.errors import BadInput
from services.cli.local_lines import line_rows, lines_table
from services.local import control_socket, files, installation
from services.local.installation import UpOptions
from services.settings import load_settings

FIELD = "ingest-field"
"""The service that talks on meter lines."""
app = typer.Typer(no_args_is_help=True, help="A whole installation on this machine.")
Data = Annotated[
    Path | None,
    typer.Option("--data", help="Data directory; default: the setting data_dir.", metavar="DIR"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(epilog="Example: gridledger local up --nodes 3 --database postgres")
def up(
    nodes: Annotated[int | None, typer.Option(help="Kafka nodes, 1 or 3.", metavar="1|3")] = None,
    database: Annotated[
        str | None, typer.Option(help="Where views lie.", metavar="sqlite|postgres")
    ] = None,
    data: Data = None,
    start_by: Annotated[
        str, typer.Option(help="How services are started.", metavar="auto|spawn")
    ] = "auto",
    as_json: AsJson = False,
) -> None:
    """Start Kafka, the database, the topics and every service, and keep them running.

    Options that are left out are as at the last start on the same data directory.
    """
    if nodes not in {None, 1, 3}:
        raise BadInput("--nodes", f"{nodes} nodes", "1, or 3 to survive the death of one")
    if start_by not in {"auto", "spawn"}:
        raise BadInput("--start-by", f"{start_by} is not known", "auto or spawn")
    options = UpOptions(data_dir=data, nodes=nodes, database=database, start_by=start_by)
    made = installation.bring_up(options, _progress)
    if as_json:
        typer.echo(json.dumps({**asdict(made), "data_dir": str(made.data_dir)}))
        return
    typer.echo(
        f"up: Kafka {made.kafka_bootstrap_servers}, database {made.database}, "
        f"{made.service_count} services, data in {made.data_dir}"
    )
    typer.echo("see `gridledger local status`; end it with `gridledger local down`")


@app.command(epilog="Example: gridledger local down --data .data")
def down(data: Data = None) -> None:
    """End the services (SIGTERM, SIGKILL after 10 s), then the database and Kafka."""
    data_dir = _data_dir(data)
    ran = installation.take_down(data_dir, _progress)
    typer.echo(f"down: {data_dir}" if ran else f"nothing ran in {data_dir}")


@app.command(epilog="Example: gridledger local status --json | jq '.services[].lag_records'")
def status(
    data: Data = None,
    lines: Annotated[
        bool, typer.Option("--lines", help="Also what every meter line was asked.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show every server and service: pid, restarts, partitions, lag, recovery.

    `health` is the port of its /live, /ready and /metrics.
    """
    answer = control_socket.ask(_data_dir(data), {"command": "status"})
    if lines:
        answer["lines"] = _line_rows(answer["services"])
    if as_json:
        typer.echo(json.dumps(answer, indent=1, ensure_ascii=False))
        return
    supervisor = answer["supervisor"]
    typer.echo(f"supervisor {supervisor['pid']}, up {_span(supervisor['uptime_s'])}")
    rows = [*answer["servers"], *answer["services"]]
    Console().print(_status_table(rows))
    for row in rows:
        if row["state"] == "waiting" and row["last_exit"]:
            why = row.get("last_error") or "see its log"
            name = f"{row['service']}-{row['ordinal']}"
            typer.echo(f"{name} ended with {row['last_exit']}: {why}")
    if lines:
        Console().print(lines_table(answer["lines"]))


@app.command(epilog="Example: gridledger local logs billing --lines 50 --follow")
def logs(
    service: Annotated[
        str, typer.Argument(help="A service, one member (billing-0), kafka, postgres, supervisor.")
    ],
    data: Data = None,
    lines: Annotated[int, typer.Option(help="How many last lines.", min=0)] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
) -> None:
    """Print the last lines of a service's log."""
    found = log_files(_data_dir(data), service)
    for log_file in found:
        for line in _last_lines(log_file, lines):
            typer.echo(_prefixed(log_file, line, found))
    if follow:
        _follow(found)


@app.command(epilog="Example: gridledger local scale billing 2")
def scale(
    service: Annotated[str, typer.Argument(help="Name of the service.")],
    count: Annotated[int, typer.Argument(help="How many members.", min=0)],
    data: Data = None,
) -> None:
    """Run another number of members of a service; partitions move by themselves."""
    request = {"command": "scale", "service": service, "count": count}
    control_socket.ask(_data_dir(data), request)
    typer.echo(f"{service}: {count} {'member' if count == 1 else 'members'}")


@app.command(epilog="Example: gridledger local reset --yes")
def reset(
    data: Data = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete the logs, topics and databases of an installation that is down. No way back."""
    data_dir = _data_dir(data)
    if not yes:
        if not sys.stdin.isatty():
            raise BadInput("--yes", "nobody is there to confirm", "give it to delete all data")
        typer.confirm(f"Delete all data of {data_dir}?", abort=True)
    deleted = installation.reset(data_dir)
    names = ", ".join(part.name for part in deleted) or "nothing was there"
    typer.echo(f"reset: {data_dir} ({names})")


def log_files(data_dir: Path, service: str) -> list[Path]:
    """The log files of a service, a member or a server; BadInput names those there are."""
    places = {
        "kafka": sorted((data_dir / "kafka" / "logs").glob("node-*.log")),
        "postgres": sorted((data_dir / "postgres").glob("postgres.log")),
    }
    own = sorted((data_dir / "logs").glob("*.log"))
    found = places.get(service) or [
        log_file
        for log_file in own
        if log_file.stem == service or log_file.stem.rpartition("-")[0] == service
    ]
    if not found:
        known = [name for name, there in places.items() if there] + [file.stem for file in own]
        fix = f"one of {', '.join(known)}" if known else f"nothing ran in {data_dir}, see --data"
        raise BadInput("service", f"no log of {service}", fix)
    return found


def _progress(text: str) -> None:
    typer.echo(text, err=True)


def _data_dir(given: Path | None) -> Path:
    return load_settings(data_dir=given).settings.data_dir.resolve()


def _line_rows(services: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines of the one process that talks on them; BadInput when it does not run."""
    for row in services:
        port = (row.get("report") or {}).get("health_port")
        if row["service"] == FIELD and port:
            return line_rows(port)
    raise BadInput("--lines", f"{FIELD} does not run", "gridledger local scale ingest-field 1")


def _status_table(rows: Iterable[dict[str, Any]]) -> Table:
    # One space between columns: with all of them a line fits a terminal of 80.
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    numbers = ("restarts", "uptime", "partitions", "lag", "behind", "health")
    for title in ("service", "pid", "state", *numbers):
        table.add_column(title, justify="left" if title in {"service", "state"} else "right")
    for row in rows:
        report = row.get("report") or {}
        partitions = report.get("partitions")
        lag_s = report.get("lag_s")
        table.add_row(
            f"{row['service']}-{row['ordinal']}",
            str(row["pid"] or ""),
            _state(row, report),
            str(row["restarts"]),
            _span(row["uptime_s"]),
            ",".join(map(str, partitions)) if isinstance(partitions, list) else "",
            "" if report.get("lag_records") is None else str(report["lag_records"]),
            "" if lag_s is None else _span(lag_s),
            str(report.get("health_port") or ""),
        )
    return table


def _state(row: dict[str, Any], report: dict[str, Any]) -> str:
    """The supervisor's word, else the process's own (recovering 40%, ready, ...)."""
    if row["state"] == "waiting":
        return f"starts in {_span(row['next_start_s'])}"
    if row["state"] != "running" or not report:
        return str(row["state"])
    if report["age_s"] > 10:
        return f"silent for {_span(report['age_s'])}"
    if report.get("recovering"):
        return f"recovering {_recovering(report['recovering'])}"
    return str(report.get("state") or row["state"])


def _recovering(left: Any) -> str:
    """How much is left to fold, of all partitions together."""
    if not isinstance(left, dict):
        return str(left)
    return f"{sum(left.values())} left"


def _span(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.0f}s"
    if seconds < 3600:
        return f"{seconds // 60:.0f}m{seconds % 60:02.0f}s"
    return f"{seconds // 3600:.0f}h{seconds % 3600 // 60:02.0f}m"


def _last_lines(log_file: Path, count: int) -> list[str]:
    start = max(0, log_file.stat().st_size - 2_000_000)
    return files.read_from(log_file, start).splitlines()[-count:] if count else []


def _prefixed(log_file: Path, line: str, found: list[Path]) -> str:
    return f"{log_file.stem} | {line}" if len(found) > 1 else line


def _follow(found: list[Path]) -> None:
    open_logs: list[tuple[Path, TextIO]] = []
    for log_file in found:
        stream: TextIO = log_file.open(encoding="utf-8", errors="replace")
        stream.seek(0, 2)
        open_logs.append((log_file, stream))
    while True:
        for log_file, stream in open_logs:
            if log_file.stat().st_size < stream.tell():  # it was rotated
                stream.seek(0)
            for line in stream:
                typer.echo(_prefixed(log_file, line.rstrip("\n"), found))
        time.sleep(0.2)
