"""`gridledger vee`: validation, estimation and editing of intervals, on files, without a broker."""

from __future__ import annotations

import typer

from services.cli.vee_check import check
from services.cli.vee_edit import edit
from services.cli.vee_estimate import estimate

app = typer.Typer(no_args_is_help=True, help="Readings in files: check, estimate, edit.")
app.command(
    epilog="Example: gridledger vee check readings.csv --context points.jsonl --class residential"
)(check)
app.command(
    epilog="Example: gridledger vee estimate intervals.csv --registers registers.csv --json"
)(estimate)
app.command(
    epilog="Example: gridledger vee edit intervals.csv edits.csv --output new.csv "
    "--audit trail.jsonl"
)(edit)


@app.callback()
def vee() -> None:
    """Readings in files: check, estimate, edit."""
