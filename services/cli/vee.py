"""`gridledger vee`: validation, estimation and editing: of files, and of the days in the log."""

from __future__ import annotations

import typer

from services.cli.vee_basis import basis
from services.cli.vee_check import check
from services.cli.vee_edit import edit
from services.cli.vee_estimate import estimate
from services.cli.vee_requests import decide, history, submit

app = typer.Typer(no_args_is_help=True, help="Readings: check, estimate, edit; edits by people.")
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
app.command(epilog="Example: gridledger vee submit edits.csv --by li.na")(submit)
app.command(
    epilog="Example: gridledger vee decide P-0001/2026-03-05/edit/0f3a1b2c4d5e --decision approved "
    '--reason "seen on site" --by wang'
)(decide)
app.command(epilog="Example: gridledger vee history P-0001 --day 2026-03-05")(history)


@app.callback()
def vee() -> None:
    """Readings: check, estimate, edit; edits by people."""
