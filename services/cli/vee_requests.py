"""`gridledger vee submit|decide|history`: edits of a day's usage by people, through the log.

FILE is CSV with a header or one JSON object a line; the rows of one point and day are one edit:

    usage_point, day_on, based_on (the revision that was looked at), after_wh (Wh or varh after
    ratio), reason_code, reason; optional register (1-0:1.8.0)

Who edits or decides signs in with the password of the operators file, and has the role editor or
approver. What became of it is in `gridledger vee history`; --json there prints one object a line:

    {"event": "edit_taken", ...}     validation's event as docs/schemas has it, usage included
"""

from __future__ import annotations

import getpass
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from libs.events.codec import Codec
from libs.events.documents import read_text
from libs.events.edge import EdgeProducer
from libs.events.errors import BadInput
from libs.events.record import partition_of
from services.cli.reading import require_point
from services.cli.records import known_bodies, named, open_cluster, open_records
from services.cli.row_file import Row, read_rows
from services.cli.vee_files import energy_of, register_of
from services.control.accounts import PASSWORD_LENGTH_MOST, Accounts
from services.cores import load_policy
from services.customers.cells import read_code
from services.settings import PREFIX, Settings, load_settings
from services.validation.api import EditWanted, Staff, decide_edit, point_of, submit_edit
from services.validation.edit_events import (
    EditDecisionRejected,
    EditHeld,
    EditOverruled,
    EditRefused,
    EditRejected,
    EditTaken,
    edge_catalogue,
)
from services.validation.edit_rules import EditRules
from services.validation.edits import APPROVED, REASON_LENGTH_MOST, REFUSED
from services.validation.events import UsageEstablished, catalogue
from services.wiring import open_producer

COLUMNS = ("usage_point", "day_on", "based_on", "after_wh", "reason_code", "reason")
EVENTS = "validation.events"
REVISION_MAX = 1_000_000
Told = (
    UsageEstablished
    | EditHeld
    | EditTaken
    | EditRejected
    | EditRefused
    | EditDecisionRejected
    | EditOverruled
)
By = Annotated[str, typer.Option("--by", help="Your name in the operators file.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option(help="A file with your password; without it you are asked for it."),
]


def submit(
    file: Annotated[str, typer.Argument(help="The edits, or - for standard input.")],
    by: By,
    password_file: PasswordFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Submit edits of a day's usage: of the revision you looked at, with a reason.

    FILE has usage_point, day_on, based_on (that revision), after_wh, reason_code,
    reason, optionally register; rows of one point and day are one edit. A day
    that is settled, or was approved before, waits for a second person:
    `vee decide`.
    """
    settings, rules = _settings()
    wanted = read_edits(file, rules)
    staff = signed_in(settings, rules, by, password_file)
    reader = open_cluster(settings)
    for usage_point in sorted({edit.usage_point for edit in wanted}):
        require_point(reader, settings.partitions, usage_point)
    producer = _producer(settings)
    ids = [submit_edit(producer, staff, edit) for edit in wanted]
    producer.close()
    for edit_id in ids:
        print(json.dumps({"edit_id": edit_id}) if as_json else f"{edit_id} submitted")


def decide(
    edit_id: Annotated[str, typer.Argument(help="The edit that waits.", metavar="EDIT")],
    decision: Annotated[
        str, typer.Option("--decision", help=f"{APPROVED} or {REFUSED}.", metavar="WORD")
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    by: By,
    password_file: PasswordFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Approve or refuse an edit of another person that waits."""
    usage_point = point_of(edit_id)
    if decision not in (APPROVED, REFUSED):
        fix = f"give {APPROVED} or {REFUSED}"
        raise BadInput("--decision", f"{decision!r} is not known", fix)
    reason = named("--reason", reason, "say why")
    settings, rules = _settings()
    staff = signed_in(settings, rules, by, password_file)
    require_point(open_cluster(settings), settings.partitions, usage_point)
    producer = _producer(settings)
    decide_edit(producer, staff, edit_id, decision, reason)
    producer.close()
    done = {"edit_id": edit_id, "decision": decision}
    print(json.dumps(done) if as_json else f"{edit_id}: {decision} by {staff.person}")


def history(
    usage_point: Annotated[str, typer.Argument(help="The usage point.", metavar="POINT")],
    day_on: Annotated[str, typer.Option("--day", help="Only this day.")] = "",
    from_files: Annotated[
        Path | None, typer.Option("--from-files", help="An export instead of the cluster.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """All revisions of a point's days, and every edit with what became of it."""
    read_code(usage_point, "POINT")
    reader, partitions = open_records(from_files)
    place = partition_of(usage_point, partitions)
    bodies = known_bodies(reader, Codec(catalogue), EVENTS, place)
    found: list[Told] = [
        body
        for body in bodies
        if isinstance(body, Told)
        and body.usage_point == usage_point
        and day_on in ("", _day_of(body))
    ]
    if as_json:
        for body in found:
            kind = catalogue.type_of(body).name.partition(".")[2]
            print(json.dumps({"event": kind, **asdict(body)}, ensure_ascii=False))
        return
    _show(found)


def _show(found: list[Told]) -> None:
    console = Console()
    if not found:
        print("nothing is known of that")
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("day", no_wrap=True)
    for name in ("what", "by", "about"):
        table.add_column(name, overflow="fold")
    for body in found:
        table.add_row(*(Text(cell) for cell in (_day_of(body), *_cells(body))))
    console.print(table)


def _day_of(body: Told) -> str:
    if isinstance(body, EditHeld):
        return body.edit.day_on
    if isinstance(body, EditDecisionRejected):
        return body.edit_id.rpartition("/edit/")[0].rpartition("/")[2]
    return body.day_on


def _cells(body: Told) -> tuple[str, str, str]:
    """What happened, who did it, and what to know of it."""
    match body:
        case UsageEstablished():
            return f"revision {body.revision}", "", f"{body.quality} {_energies(body.energy)}"
        case EditHeld():
            about = f"{body.edit.edit_id}: {_energies(body.edit.after)}, {body.edit.reason}"
            return f"waits: {body.because}", body.edit.person, about
        case EditTaken():
            people = " + ".join(filter(None, (body.edited_by, body.approved_by)))
            return "edited", people, f"{body.reason_code}: {body.reason}"
        case EditRefused():
            return "refused", body.refused_by, body.reason
        case EditOverruled():
            return "overruled", "", f"by {body.because}"
        case EditRejected():
            return "rejected", body.person, f"{body.field}: {body.problem} ({body.fix})"
        case EditDecisionRejected():
            return "no decision", body.person, f"{body.field}: {body.problem} ({body.fix})"


def _energies(energy: dict[str, int]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(energy.items()))


# -- the file, and who it is ----------------------------------------------------------------------


def _settings() -> tuple[Settings, EditRules]:
    settings = load_settings().settings
    rules: EditRules = load_policy("validation", settings.policy_file).policy.edits
    return settings, rules


def read_edits(file: str, rules: EditRules) -> list[EditWanted]:
    """The edits of a file; BadInput names line and column, and refuses two opinions of one day."""
    found: dict[tuple[str, str], EditWanted] = {}
    for row in read_rows(file, COLUMNS, ("register",)):
        edit = _wanted(row, rules)
        known = found.setdefault((edit.usage_point, edit.day_on), edit)
        if known is edit:
            continue
        for name in ("based_on", "reason_code", "reason"):
            if getattr(known, name) != getattr(edit, name):
                problem = f"differs from that of an earlier row of {edit.day_on}"
                raise row.wrong(name, problem, "write the same in all rows of a day")
        (register,) = edit.after
        if register in known.after:
            raise row.wrong("register", f"{register} is given twice", "give each once")
        known.after.update(edit.after)
    if not found:
        raise BadInput(file, "has no edits", "give it a row")
    return list(found.values())


def _wanted(row: Row, rules: EditRules) -> EditWanted:
    usage_point = row.text("usage_point")
    try:
        read_code(usage_point, "usage_point")
    except BadInput as wrong:
        raise row.wrong(wrong.field, wrong.problem, wrong.fix) from None
    row.text("after_wh")
    after = energy_of(row, "after_wh")
    assert after is not None
    if after < 0:
        raise row.wrong("after_wh", f"is {after}", "give zero or more")
    based_on = row.whole("based_on")
    if not 1 <= based_on <= REVISION_MAX:
        raise row.wrong("based_on", f"is {based_on}", "copy it from `gridledger vee history`")
    reason = row.text("reason")
    if len(reason) > REASON_LENGTH_MOST:
        raise row.wrong("reason", "is too long", f"write at most {REASON_LENGTH_MOST} characters")
    return EditWanted(
        usage_point=usage_point,
        day_on=row.day("day_on"),
        based_on=based_on,
        after={register_of(row): after},
        reason_code=row.one_of("reason_code", rules.reasons),
        reason=reason,
    )


def signed_in(settings: Settings, rules: EditRules, by: str, password_file: Path | None) -> Staff:
    """The person as the operators file knows them; BadInput for a stranger or another role."""
    if settings.operators_file is None:
        fix = f"set {PREFIX}OPERATORS_FILE; see `gridledger operators add`"
        raise BadInput("--by", "there is no operators file", fix)
    person = named("--by", by, "say who you are")
    found = Accounts(settings.operators_file).authenticate(person, _password(password_file))
    if found is None:
        fix = "see `gridledger operators list`"
        raise BadInput("--by", f"{person} is not known with this password", fix)
    known = dict.fromkeys((*rules.editor_roles, *rules.approver_roles))
    if found.role not in known:
        raise BadInput("--by", f"{person} is {found.role}", f"be one of {', '.join(known)}")
    return Staff(found.person, found.role)


def _password(file: Path | None) -> str:
    if file is not None:
        return read_text(file).partition("\n")[0].rstrip("\r")[:PASSWORD_LENGTH_MOST]
    if not sys.stdin.isatty():
        raise BadInput("password", "there is no terminal to ask at", "say --password-file")
    return getpass.getpass("Password: ")


def _producer(settings: Settings) -> EdgeProducer:
    return open_producer(settings, "validation.edge", edge_catalogue)
