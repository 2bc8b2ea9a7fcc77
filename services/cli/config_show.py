"""`gridledger config`: every setting and where it came from; every value of the policies."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from services.cli.policy_table import example_text, policy_rows, shown
from services.settings import PREFIX, LoadedSettings, Settings, load_settings, shown_value

app = typer.Typer(no_args_is_help=True, help="Show every setting, and what the cores decide by.")
Row = dict[str, str | int | None]


@app.callback()
def config() -> None:
    """Show every setting, and what the cores decide by."""


@app.command(
    epilog="Example: gridledger config show --json | jq '.[] | select(.source != \"default\")'"
)
def show(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False,
) -> None:
    """List the settings with value and source; secrets are masked.

    A source is environment, .env, gridledger.yaml, local installation (one that
    `gridledger local up` started in the data directory) or default.
    """
    rows = setting_rows(load_settings())
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    columns = [[str(row[c] or "") for row in rows] for c in ("variable", "value", "source")]
    widths = [max(map(len, column)) for column in columns]
    for row, *cells in zip(rows, *columns, strict=True):
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        typer.echo("  ".join([*padded, str(row["meaning"])]))


@app.command(epilog="Example: gridledger config policy --example > policy.yaml")
def policy(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False,
    example: Annotated[
        bool, typer.Option("--example", help="A policy file with every default, to be edited.")
    ] = False,
) -> None:
    """List what every core decides by: value, meaning and source, by GRIDLEDGER_POLICY_FILE.

    A value that differs from its default is followed by the default. UNCONFIRMED
    marks what no source settles: the utility must confirm it.
    """
    if example:
        typer.echo(example_text(), nl=False)
        return
    rows = policy_rows(load_settings().settings.policy_file)
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    width = max(len(str(row["name"])) for row in rows)
    for row in rows:
        value, default = shown(row["value"]), shown(row["default"])
        told = value if value == default else f"{value} (default {default})"
        typer.echo(f"{row['name']:<{width}}  {told}  {row['meaning']}. {row['source']}")


def setting_rows(loaded: LoadedSettings) -> list[Row]:
    """One row a setting: name, variable, value fit for the eye, source, meaning."""
    return [
        {
            "name": name,
            "variable": PREFIX + name.upper(),
            "value": shown_value(loaded.settings, name),
            "source": loaded.sources[name],
            "meaning": field.description,
        }
        for name, field in Settings.model_fields.items()
    ]
