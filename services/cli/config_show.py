"""`gridledger config show`: every setting, its value, and where the value came from."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from services.settings import PREFIX, LoadedSettings, Settings, load_settings, shown_value

app = typer.Typer(no_args_is_help=True, help="Show every setting and where it came from.")
Row = dict[str, str | int | None]


@app.callback()
def config() -> None:
    """Show every setting and where it came from."""


@app.command(
    epilog="Example: gridledger config show --json | jq '.[] | select(.source != \"default\")'"
)
def show(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False,
) -> None:
    """List the settings with value and source; secrets are masked.

    A source is environment, .env, gridledger.yaml, local installation (one that `gridledger local
    up` started in the data directory) or default.
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
