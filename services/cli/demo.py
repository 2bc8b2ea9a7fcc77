"""`gridledger demo`: three billing months of a small city, in minutes, on one screen."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from libs.events.errors import BadInput
from services.cli.audit import balance_table
from simulators.city.demo import DemoOptions, DemoResult, run_demo

DATABASES = ("sqlite", "postgres")

app = typer.Typer(help="Three billing months of a small city, with everything that goes wrong.")


class Bars:
    """Progress on a terminal."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.task = progress.add_task("starting", total=None)

    def say(self, text: str) -> None:
        """A line above the bar."""
        self.progress.console.print(text, highlight=False)

    def day(self, done: int, total: int, text: str) -> None:
        """Move the bar."""
        self.progress.update(self.task, completed=done, total=total, description=text)


class Lines:
    """Progress where nobody looks at a terminal: one line a week."""

    def say(self, text: str) -> None:
        """One line."""
        print(text, flush=True)

    def day(self, done: int, total: int, text: str) -> None:
        """Every seventh day."""
        if done % 7 == 0 or done == total:
            print(f"{text}  day {done} of {total}", flush=True)


@app.command(epilog="Example: gridledger demo --seed 7 --keep")
def demo(
    seed: Annotated[int, typer.Option(help="Another seed, another city.")] = 1,
    keep: Annotated[bool, typer.Option(help="Leave the installation running.")] = False,
    kills: Annotated[bool, typer.Option(help="SIGKILL services on the way.")] = True,
    database: Annotated[str, typer.Option(help="sqlite or postgres.")] = "sqlite",
    data: Annotated[Path, typer.Option(help="Where to write.", metavar="DIR")] = Path(".data/demo"),
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the result here.", metavar="FILE")
    ] = None,
) -> None:
    """Run the demo; status 0 only if every expectation holds."""
    if database not in DATABASES:
        raise BadInput("--database", f"{database} is not known", " or ".join(DATABASES))
    if json_file is not None:
        _require_writable(json_file)
    options = DemoOptions(data_dir=data, seed=seed, keep=keep, kills=kills, database=database)
    if sys.stdout.isatty():
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns) as progress:
            result = run_demo(options, Bars(progress))
    else:
        result = run_demo(options, Lines())
    if json_file is not None:
        text = json.dumps(result.document(), ensure_ascii=False, indent=1)
        json_file.write_text(text, encoding="utf-8")
    show(result, Console(), keep=keep, data=data)
    raise typer.Exit(0 if result.holds else 1)


def _require_writable(file: Path) -> None:
    """Said before the demo and not after it, when its result would be lost."""
    try:
        file.open("a").close()
    except OSError as error:
        fix = "name a file that can be written"
        raise BadInput("--json", f"{file}: {error.strerror}", fix) from None


def show(result: DemoResult, console: Console, *, keep: bool, data: Path) -> None:
    """The last screen."""
    console.print(balance_table(result.balance))
    console.print(_planted(result))
    balance = result.balance
    replay = result.replay
    journal = next((e.found for e in result.expectations if e.name == "journal"), "")
    console.print(f"journal: {journal}", highlight=False)
    console.print(f"lost {balance['lost']}, doubled {balance['doubled']}", highlight=False)
    counts = f"{replay['compared']} compared, {replay['not_comparable']} not comparable"
    console.print(f"replay: {replay['verdict']} ({counts})", highlight=False)
    for core in [*balance["cores"], *replay["cores"]]:
        for problem in [*core.get("problems", []), *core.get("differences", [])][:5]:
            console.print(f"{core['core']}: {problem}", style="red", highlight=False)
    times = ", ".join(f"{name} {seconds} s" for name, seconds in result.seconds.items())
    console.print(f"{times}; business result {result.digest[:16]}", highlight=False)
    console.print("look further:")
    export = f"--from-files {data / 'export'}"
    command = "  .venv/bin/gridledger"
    lines = [
        f"{command} bill explain {result.an_invoice} --language en --frames {export}",
        f"{command} audit balance {export}",
        f"{command} audit replay {export} --policy {data / 'files' / 'policy.yaml'}",
        f"{command} payments days {export}",
    ]
    if keep:
        lines.append(f"  the status page: {result.console_url}")
    console.print("\n".join(lines), highlight=False, soft_wrap=True)
    console.print("all expectations hold" if result.holds else "NOT all expectations hold")


def _planted(result: DemoResult) -> Table:
    table = Table(title="What was planted", title_justify="left")
    for column in ("case", "expected", "found", ""):
        table.add_column(column)
    for found in result.expectations:
        mark = "ok" if found.holds else "[red]NO[/red]"
        table.add_row(found.name, found.expected, found.found, mark)
    return table
