"""`gridledger audit`: the balance of every hop, the replay of every decision, and an export."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from libs.events.audit import CoreBalance, Reader, balance
from libs.events.errors import BadInput
from libs.events.replay import IDENTICAL, ReplayResult, replay, verdict_of
from libs.events.topics import TopicTable, load_topics
from services.audit.files import FileReader, export_topics
from services.audit.manifest import Committed
from services.audit.mirror import open_reader
from services.audit.releases import add_older, describe_other, open_releases
from services.cli.records import open_cluster
from services.cores import CORES, EFFECTS, load_core
from services.settings import PREFIX, load_settings

app = typer.Typer(help="Prove from the topics alone that nothing was lost, doubled or altered.")

FromFiles = Annotated[
    Path | None,
    typer.Option("--from-files", help="Read an export instead of the broker.", metavar="DIR"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def _open(from_files: Path | None, cores: Iterable[str]) -> tuple[Reader, TopicTable, Committed]:
    """The log, its topics, and what the groups of the cores had committed before it was read."""
    if from_files is not None:
        files = FileReader(from_files)
        return files, load_topics(files.partition_count), files.committed(cores)
    settings = load_settings().settings
    table = load_topics(settings.partitions)
    open_cluster(settings).close()
    reader, committed = open_reader(settings.kafka(), table, cores)
    return reader, table, committed


@app.command("balance", epilog="Example: gridledger audit balance --json")
def balance_command(from_files: FromFiles = None, as_json: AsJson = False) -> None:
    """Lay the recorded runs over every input: nothing may be passed over or decided twice."""
    reader, table, committed = _open(from_files, CORES)
    results = []
    for name in CORES:
        known = load_core(name, table.count)
        results.append(
            balance(reader, known.core, table.partitions, known.written, committed[name])
        )
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


def balance_table(document: dict[str, Any]) -> Table:
    """The hops of a `balance_document`; whole topic names fit a terminal of 80 columns."""
    table = Table(
        title="Balance per hop",
        title_justify="left",
        box=None,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for column in ("core", "input", "records", "decided", "lag", "lost", "doubled"):
        is_name = column in ("core", "input")
        table.add_column(column, justify="left" if is_name else "right", no_wrap=True)
    for core in document["cores"]:
        for row in core["hops"]:
            numbers = [row[name] for name in ("inputs", "decided", "lag", "lost", "doubled")]
            table.add_row(core["core"], row["topic"], *(f"{number:,}" for number in numbers))
    return table


def _print_balance(results: list[CoreBalance]) -> None:
    console = Console()
    console.print(balance_table(balance_document(results)))
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
            help="The release that decided with HASH, as a wheel that you trust; repeatable, also "
            "with one wheel for several cores. Without it replay names each HASH.",
            metavar="HASH=WHEEL",
        ),
    ] = None,
    core: Annotated[
        list[str] | None,
        typer.Option(help="Only this core; repeatable.", metavar="CORE"),
    ] = None,
    policy: Annotated[
        Path | None,
        # By its variable too: an export is replayed without the settings of this machine.
        typer.Option(
            help="The policy file by which it was decided.",
            metavar="FILE",
            envvar=f"{PREFIX}POLICY_FILE",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Decide every recorded input again, silent ones too, and compare byte for byte.

    IDENTICAL: all is as decided. DIFFERENT: something is not. NOT PROVEN: other
    releases decided some of it, and their wheels are missing. The status is 0 for
    IDENTICAL only. What was decided by a policy file is proven with the same
    file.
    """
    names = _replayed(core)
    policy_file = policy
    if policy is None and from_files is None:
        policy_file = load_settings().settings.policy_file
    with TemporaryDirectory(prefix="gridledger-audit-") as scratch:
        releases = open_releases(decider or [], Path(scratch))
        reader, table, committed = _open(from_files, names)
        export = from_files
        if releases and export is None:
            # A running cluster goes on: both releases must judge the same records.
            export = Path(scratch) / "export"
            export_topics(reader, table.partitions, table.topics, export, committed)
            reader = FileReader(export)
        results = []
        for name in names:
            known = load_core(name, table.count, policy_file)
            results.append(
                replay(
                    reader,
                    known.core,
                    table.partitions,
                    known.written,
                    table.writers,
                    committed[name],
                )
            )
        if export is not None:
            add_older(results, releases, export)
    if as_json:
        print(json.dumps(replay_document(results), indent=1))
    else:
        _print_replay(results)
    raise typer.Exit(0 if verdict_of(results) == IDENTICAL else 1)


def _replayed(wanted: list[str] | None) -> list[str]:
    """The cores to replay: all whose events are decided, or those asked for."""
    names = [name for name in CORES if name not in EFFECTS]
    for name in wanted or []:
        if name not in names:
            raise BadInput("--core", f"{name} is not replayed", f"one of {', '.join(names)}")
    return [name for name in names if not wanted or name in wanted]


def replay_document(results: list[ReplayResult]) -> dict[str, Any]:
    """The replay as stable data. An auditor's newer release reads it: keep what is there."""
    return {
        "verdict": verdict_of(results),
        "identical": verdict_of(results) == IDENTICAL,
        "compared": sum(result.compared for result in results),
        "not_comparable": sum(result.not_comparable for result in results),
        "cores": [
            {
                "core": result.core,
                "decider": result.decider,
                "inputs": result.inputs,
                "steps": result.steps,
                "compared": result.compared,
                "not_comparable": result.not_comparable,
                "others": {decider: asdict(share) for decider, share in result.others.items()},
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
    for result in results:
        for decider, share in result.others.items():
            text = describe_other(result.core, decider, share)
            console.print(text, highlight=False, soft_wrap=True)
    compared = sum(result.compared for result in results)
    rest = sum(result.not_comparable for result in results)
    counts = f"({compared} compared, {rest} not comparable)"
    console.print(f"replay: {verdict_of(results)} {counts}", highlight=False)


@app.command("export", epilog="Example: gridledger audit export export/")
def export_command(
    directory: Annotated[Path, typer.Argument(help="Where to write.", metavar="DIR")],
    as_json: AsJson = False,
) -> None:
    """Write all topics to files that an auditor can take away and replay."""
    reader, table, committed = _open(None, CORES)
    manifest = export_topics(reader, table.partitions, table.topics, directory, committed)
    if as_json:
        print(json.dumps({"directory": str(directory), "records": manifest.records}))
    else:
        print(f"{manifest.records} records of {len(table.topics)} topics in {directory}")
