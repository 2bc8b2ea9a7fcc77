"""`gridledger tariff`: what follows from tariffs, on files."""

from __future__ import annotations

import typer

from services.cli.tariff_late_fee import late_fee_file

app = typer.Typer(no_args_is_help=True, help="Tariffs on files: late fees.")


@app.callback()
def tariff() -> None:
    """Tariffs on files."""


app.command("late-fee", epilog="Example: gridledger tariff late-fee payments.csv --json")(
    late_fee_file
)
