"""`gridledger audit`: the balance of every hop, the replay of every decision, and an export."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from libs.events.audit import CoreBalance, ReplayResult, balance, replay
from libs.events.errors import BadInput
from libs.events.topics import TopicTable, load_topics
from services.audit.files import FileReader, export_topics
from services.audit.mirror import open_reader
from services.cli.records import open_cluster
from services.cores import CORES, EFFECTS, load_core
from services.settings import load_settings

app = typer.Typer(help="Prove from the topics alone that nothing was lost, doubled or altered.")

FromFiles = Annotated[
    Path | None,
    typer.Option("--from-files", help="Read an export instead of the broker.", metavar="DIR"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def _open(from_files: Path | None) -> tuple[Any, TopicTable]:
    if from_files is not None:
        files = FileReader(from_files)
        return files, load_topics(files.partition_count)
    settings = load_settings().settings
    table = load_topics(settings.partitions)
    open_cluster(settings).close()
    return open_reader(settings.kafka(), table), table


@app.command("balance", epilog="Example: gridledger audit balance --json")
def balance_command(from_files: FromFiles = None, as_json: AsJson = False) -> None:
    """Lay the recorded runs over every input: nothing may be passed over or decided twice."""
    reader, table = _open(from_files)
    results = []
    for name in CORES:
        known = load_core(name, table.count)
        results.append(balance(reader, known.core, table.partitions, known.written))
    bad = any(result.lost or result.doubled or result.problems for result in results)
    if as_json:
        print(json.dumps(balance_document(results), indent=1))
    else:
        _print_balance(results)
    raise typer.Exit(1 if bad else 0)


def balance_document(results: list[CoreBalance]) -> dict[str, Any]:
    """The balance as stable data: totals, cores, and the input topics of each."""
    return {
        "lost": sum(result.lost for result in results),
        "doubled": sum(result.doubled for result in results),
        "cores": [
            {
                "core": result.core,
                "events": result.events,
                "verdicts": result.verdicts,
                "problems": result.problems,
                "hops": hops_of(result),
            }
            for result in results
        ],
    }


def hops_of(result: CoreBalance) -> list[dict[str, Any]]:
    """One row per input topic, its partitions added up."""
    rows: dict[str, dict[str, Any]] = {}
    for hop in result.hops:
        row = rows.setdefault(
            hop.topic,
            {"topic": hop.topic, "inputs": 0, "decided": 0, "lag": 0, "lost": 0, "doubled": 0},
        )
        for name in ("inputs", "decided", "lag", "lost", "doubled"):
            row[name] += getattr(hop, name)
    return list(rows.values())


def _print_balance(results: list[CoreBalance]) -> None:
    table = Table(title="Balance per hop", title_justify="left")
    for column in ("core", "input", "records", "decided", "waiting", "lost", "doubled"):
        table.add_column(column, justify="left" if column in ("core", "input") else "right")
    for result in results:
        for row in hops_of(result):
            numbers = [row[name] for name in ("inputs", "decided", "lag", "lost", "doubled")]
            table.add_row(result.core, row["topic"], *(f"{number:,}" for number in numbers))
    console = Console()
    console.print(table)
    for result in results:
        for problem in result.problems[:20]:
            console.print(f"{result.core}: {problem}", style="red", highlight=False)
    lost = sum(result.lost for result in results)
    doubled = sum(result.doubled for result in results)
    console.print(f"lost {lost}, doubled {doubled}", highlight=False)


@app.command("replay", epilog="Example: gridledger audit replay --from-files export/")
def replay_command(
    from_files: FromFiles = None,
    decider: Annotated[
        list[str] | None,
        typer.Option(
            help="An older release for the runs that it decided: HASH=WHEEL; repeatable.",
            metavar="HASH=WHEEL",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Decide every recorded input again, silent ones too, and compare byte for byte."""
    wheels = [_parse_decider(text) for text in decider or []]
    reader, table = _open(from_files)
    results = []
    for name in CORES:
        if name in EFFECTS:
            continue
        known = load_core(name, table.count)
        results.append(replay(reader, known.core, table.partitions, known.written))
    for wheel in wheels:
        _add_older(results, wheel, from_files)
    identical = all(result.is_identical for result in results)
    if as_json:
        print(json.dumps(replay_document(results), indent=1))
    else:
        _print_replay(results)
    raise typer.Exit(0 if identical else 1)


def replay_document(results: list[ReplayResult]) -> dict[str, Any]:
    """The replay as stable data."""
    return {
        "identical": all(result.is_identical for result in results),
        "compared": sum(result.compared for result in results),
        "not_comparable": sum(result.not_comparable for result in results),
        "cores": [
            {
                "core": result.core,
                "inputs": result.inputs,
                "compared": result.compared,
                "not_comparable": result.not_comparable,
                "differences": result.differences,
            }
            for result in results
        ],
    }


def _print_replay(results: list[ReplayResult]) -> None:
    table = Table(title="Replay", title_justify="left")
    for column in ("core", "inputs", "compared", "not comparable", "first difference"):
        table.add_column(column, justify="right" if column[0] in "icn" else "left")
    for result in results:
        first = result.differences[0] if result.differences else ""
        numbers = (result.inputs, result.compared, result.not_comparable)
        table.add_row(result.core, *(f"{number:,}" for number in numbers), first)
    console = Console()
    console.print(table)
    compared = sum(result.compared for result in results)
    rest = sum(result.not_comparable for result in results)
    identical = all(result.is_identical for result in results)
    verdict = "IDENTICAL" if identical else "DIFFERENT"
    if not identical and not any(result.differences for result in results):
        verdict = "NOT PROVEN"
    console.print(
        f"replay: {verdict} ({compared} compared, {rest} not comparable)", highlight=False
    )


def _parse_decider(text: str) -> tuple[str, Path]:
    digest, _, wheel = text.partition("=")
    path = Path(wheel)
    if not digest or not wheel or not path.is_file():
        raise BadInput("--decider", f"{text!r} names no wheel", "HASH=FILE.whl")
    return digest, path


def _add_older(
    results: list[ReplayResult], wheel: tuple[str, Path], from_files: Path | None
) -> None:
    """Let an older release replay what it decided; its comparisons replace `not comparable`."""
    _, path = wheel
    command = [sys.executable, "-m", "services.cli.main", "audit", "replay", "--json"]
    if from_files is not None:
        command += ["--from-files", str(from_files)]
    environment = {**os.environ, "PYTHONPATH": str(path.resolve())}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    try:
        document = json.loads(done.stdout)
    except ValueError:
        problem = done.stderr.strip().splitlines()[-1:] or ["no output"]
        raise BadInput("--decider", f"{path.name}: {problem[0]}", "a wheel of ours") from None
    older = {row["core"]: row for row in document["cores"]}
    for result in results:
        row = older.get(result.core)
        if row is None:
            continue
        compared = int(row["compared"])
        result.compared += compared
        result.not_comparable = max(0, result.not_comparable - compared)
        result.differences += [f"{path.name}: {text}" for text in row["differences"]]


@app.command("export", epilog="Example: gridledger audit export export/")
def export_command(
    directory: Annotated[Path, typer.Argument(help="Where to write.", metavar="DIR")],
    as_json: AsJson = False,
) -> None:
    """Write all topics to files that an auditor can take away and replay."""
    reader, table = _open(None)
    manifest = export_topics(reader, table.partitions, table.topics, directory)
    records = sum(row["records"] for row in manifest["files"].values())
    if as_json:
        print(json.dumps({"directory": str(directory), "records": records}))
    else:
        print(f"{records} records of {len(table.topics)} topics in {directory}")
