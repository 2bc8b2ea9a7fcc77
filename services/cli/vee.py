"""`gridledger vee`: validation, estimation and editing of readings, on files, without a broker."""

from __future__ import annotations

import typer

from services.cli.vee_basis import basis
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
app.command(
    epilog="Example: gridledger vee basis table.csv --book cq_commercial.yaml "
    "--price-list commercial_tou --from 2026-02-01 --to 2026-02-28 --clock-offset-s 12"
)(basis)


@app.callback()
def vee() -> None:
    """Readings in files: check, estimate, edit."""
