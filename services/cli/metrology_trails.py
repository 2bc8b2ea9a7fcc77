"""`gridledger metrology seals` and `store`: custody trails in, where everything is now out.

Both read entries in their order (CSV or JSON lines) and keep one record for each seal or device.

    seals   seal_no, action, by, at; kind, holder, device_no, location, reason, photo as the action
            needs them (services/metrology/seal_custody.py)
    store   device_no, action, by, at, place; reason (services/metrology/device_store.py)

With --json one object a line:

    violation   seal_no | device_no, at, action, by, rule, problem: as they are found
    break       seal_no, at, by, device_no, location, reason, photo; `loss` alike (seals only)
    seal        seal_no, kind, state, holder, device_no, location, applied_by, since_at,
                applications: each seal as it is at the end
    device      device_no, state, place, since_at, moves
    summary     entries, violations, breaks, losses, states (state -> count)
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from libs.events.errors import BadInput
from services.cli.metrology_judge import UTC_OFFSET_MIN, day_option
from services.cli.row_file import Row, read_rows
from services.cli.watched import watched
from services.metrology.device_store import DeviceMove, StoredDevice, check_move, move
from services.metrology.judgement import local_day
from services.metrology.seal_custody import BROKEN, Seal, SealEvent, follow

SEAL_COLUMNS = ("seal_no", "action", "by", "at")
SEAL_OPTIONAL = ("kind", "holder", "device_no", "location", "reason", "photo")
MOVE_COLUMNS = ("device_no", "action", "by", "at", "place")
FINDINGS_SHOWN = 1_000

OnOption = Annotated[str, typer.Option(help="No entry may be later than this day (today).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON lines.")]


@dataclass(slots=True)
class Findings:
    """What was found, counted, and told at once (--json) or kept for a table."""

    as_json: bool
    counts: Counter[str] = field(default_factory=Counter)
    kept: list[dict[str, Any]] = field(default_factory=list)

    def add(self, kind: str, found: dict[str, Any]) -> None:
        """One violation, break or loss."""
        self.counts[kind] += 1
        if self.as_json:
            tell({"type": kind, **found})
        elif len(self.kept) < FINDINGS_SHOWN:
            self.kept.append({"type": kind, **found})


def tell(document: dict[str, Any]) -> None:
    """One line of JSON."""
    print(json.dumps(document, ensure_ascii=False))


def seals(
    file: Annotated[str, typer.Argument(help="The trail in its order, - for standard input.")],
    on: OnOption = "",
    as_json: AsJson = False,
) -> int:
    """Follow the custody of seals: holders, breaks, losses and violations.

    Status 1 when there is a break, a loss or a violation. Keeps one record for each seal.
    """
    day = day_option(on)
    known: dict[str, Seal] = {}
    findings = Findings(as_json)
    entries = 0
    for row in watched(read_rows(file, SEAL_COLUMNS, SEAL_OPTIONAL), "entries"):
        entries += 1
        event = SealEvent(**_texts(row, (*SEAL_COLUMNS, *SEAL_OPTIONAL)))
        _not_after(row, event.at, day)
        before = known.get(event.seal_no)
        try:
            seal, violation = follow(before, event)
        except BadInput as wrong:
            raise row.wrong(wrong.field, wrong.problem, wrong.fix) from None
        if seal is not None:
            known[event.seal_no] = seal
        if violation is not None:
            findings.add("violation", asdict(violation))
        elif seal is not None and event.action in {"break", "lose"}:
            kind = "break" if seal.state == BROKEN else "loss"
            findings.add(kind, _broken(seal, event))
    _end(file, entries, findings, (asdict(seal) for seal in known.values()), "seal")
    if not as_json:
        _show_holders(known.values())
    return 1 if findings.counts else 0


def _broken(seal: Seal, event: SealEvent) -> dict[str, Any]:
    return {
        "seal_no": seal.seal_no,
        "at": event.at,
        "by": event.by,
        "device_no": seal.device_no,
        "location": seal.location,
        "reason": event.reason,
        "photo": event.photo,
    }


def store(
    file: Annotated[str, typer.Argument(help="Moves in their order, - for standard input.")],
    on: OnOption = "",
    as_json: AsJson = False,
) -> int:
    """Follow devices through the store: where each is, and moves that cannot be.

    Status 1 when there is a move that the table of transitions refuses. Keeps one record for each
    device.
    """
    day = day_option(on)
    known: dict[str, StoredDevice] = {}
    findings = Findings(as_json)
    entries = 0
    for row in watched(read_rows(file, MOVE_COLUMNS, ("reason",)), "moves"):
        entries += 1
        event = DeviceMove(**_texts(row, (*MOVE_COLUMNS, "reason")))
        _not_after(row, event.at, day)
        try:
            check_move(event)
        except BadInput as wrong:
            raise row.wrong(wrong.field, wrong.problem, wrong.fix) from None
        try:
            known[event.device_no] = move(known.get(event.device_no), event)
        except BadInput as refused:
            violation = {
                "device_no": event.device_no,
                "at": event.at,
                "action": event.action,
                "by": event.by,
                "rule": "transition" if refused.field == "action" else "before_last",
                "problem": f"{refused.problem} ({refused.fix})",
            }
            findings.add("violation", violation)
    _end(file, entries, findings, (asdict(device) for device in known.values()), "device")
    return 1 if findings.counts else 0


def _texts(row: Row, columns: Iterable[str]) -> dict[str, str]:
    texts = {}
    for column in columns:
        texts[column] = row.optional(column)
        value = row.cells.get(column, "")
        if not isinstance(value, str) or not value.isprintable():
            raise row.wrong(column, "is no printable text", "give a text")
    return texts


def _not_after(row: Row, at: str, day: str) -> None:
    if local_day(row.instant("at"), UTC_OFFSET_MIN, "at") > day:
        raise row.wrong("at", f"{at} is after {day}", "give the instant it was done at")


def _end(
    file: str, entries: int, findings: Findings, states: Iterable[dict[str, Any]], kind: str
) -> None:
    """The states at the end, the table of findings, and the sums."""
    if not entries:
        name = "standard input" if file == "-" else file
        raise BadInput(name, "has no entry", "give one entry a line after the header")
    counted: Counter[str] = Counter()
    for state in states:
        counted[state["state"]] += 1
        if findings.as_json:
            tell({"type": kind, **state})
    sums: dict[str, Any] = {
        "entries": entries,
        "violations": findings.counts["violation"],
        "breaks": findings.counts["break"],
        "losses": findings.counts["loss"],
        "states": dict(sorted(counted.items())),
    }
    if findings.as_json:
        tell({"type": "summary", **sums})
        return
    if findings.kept:
        table = Table(kind, "found", "at", "by", "what")
        for found in findings.kept:
            what = found.get("problem") or f"{found['device_no']} {found['reason']}"
            name = found.get("rule") or found["type"]
            table.add_row(found[f"{kind}_no"], name, found["at"], found["by"], what)
        Console().print(table)
    more = sum(findings.counts.values()) - len(findings.kept)
    if more:
        print(f"and {more} more (see all with --json)")
    states_text = ", ".join(f"{count} {state}" for state, count in sums["states"].items())
    print(f"{entries} entries: {states_text or 'nothing known'}")
    print(", ".join(f"{sums[name]} {name}" for name in ("violations", "breaks", "losses")))


def _show_holders(known: Iterable[Seal]) -> None:
    """Who holds how many seals in which state; those on devices are with nobody."""
    held = Counter((seal.holder or "-", seal.state, seal.kind) for seal in known)
    table = Table("holder", "state", "kind", "seals")
    for cells, count in sorted(held.items()):
        table.add_row(*cells, str(count))
    if held:
        Console().print(table)
