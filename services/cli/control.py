"""`gridledger control explain`: may a relay be switched, and which interlock says what.

CASE is a JSON file with what the interlocks look at (services/control/case_file.py; `--schema`
prints its JSON Schema); the functions of control's core judge it, by the policy of --policy, else
of GRIDLEDGER_POLICY_FILE, else the documented defaults. `--case ID` shows instead what the core
recorded of a case, from an export or the cluster, oldest first.

`--json` prints one object:

    {"case_id", "judgements": [{"stage", "judged_at", "allowed",
      "interlocks": [{"name", "zh", "en", "allows", "looked_at", "reason", "source",
        "inputs": {field of Facts: value}, "values": {value of the policy: value}}]}]}

`inputs` and `values` are what the interlock reads; of a recorded case they are empty, `looked_at`
says it there. An interlock that this release does not have any more has no `zh` and `en`.

Status 0: allowed (of a recorded case: by the last judgement). 1: denied. 2: wrong input.
"""

from __future__ import annotations

import json
import sys
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from libs.events.codec import Codec, to_document
from libs.events.documents import parse_json
from libs.events.errors import BadInput
from libs.events.policy import values_of
from libs.events.record import partition_of
from services.cli.records import known_events, open_records
from services.cli.row_file import STANDARD_INPUT
from services.control.case_file import CaseFile, case_schema, read_case
from services.control.core import make_core
from services.control.events import InterlocksJudged, InterlockVerdict
from services.control.facts import Facts, Interlock
from services.control.identifiers import account_of
from services.control.interlocks import STAGES, allows, judge
from services.control.policy import DEFAULT_POLICY, Policy
from services.policy_file import policy_of
from services.settings import load_settings

LANGUAGES = ("zh", "en")
BYTES_MOST = 1_000_000
WIDTH = 80
INTERLOCKS: dict[str, Interlock] = {each.name: each for stage in STAGES.values() for each in stage}
STAGE_NAMES = {
    "request": ("申请停电时", "when a cut is asked for"),
    "notice": ("通知送达时", "when the notice is served"),
    "before_clearance": ("请求收费放行前", "before payments are asked"),
    "before_command": ("发出跳闸命令前", "before the command to open"),
    "reconnect": ("复电前", "before the command to close"),
    "supply": ("保电或限荷前", "before keep-supply or a load limit"),
    "prepaid_request": ("预付费停电申请时", "when a prepaid cut is asked for"),
    "prepaid_before_clearance": ("预付费请求收费放行前", "prepaid, before payments are asked"),
    "prepaid_before_command": ("预付费跳闸命令前", "prepaid, before the command to open"),
}


class Words(NamedTuple):
    """What people read: the answer of a stage, of an interlock, and what stands behind it."""

    allowed: str
    denied: str
    allows: str
    denies: str
    labels: tuple[str, ...]


WORDS = {
    "zh": Words("允许", "不允许", "通过", "拒绝", ("要求", "所见", "原因", "依据")),
    "en": Words("allowed", "denied", "allows", "DENIES", ("rule", "saw", "why", "from")),
}

COUNTS = {"zh": "共 {} 项，拒绝 {} 项", "en": "{} judged, {} deny"}

app = typer.Typer(no_args_is_help=True, help="Relays: what the interlocks say of a case.")


@app.callback()
def control() -> None:
    """Relays: what the interlocks say of a case."""


@app.command(epilog="Example: gridledger control explain case.json --language en")
def explain(
    file: Annotated[
        str, typer.Argument(help="The case; -: standard input.", metavar="[CASE]")
    ] = "",
    policy: Annotated[Path | None, typer.Option(help="A policy file.", metavar="FILE")] = None,
    case: Annotated[str, typer.Option(help="What was recorded of this case.", metavar="ID")] = "",
    from_files: Annotated[
        Path | None, typer.Option(help="With --case: an export instead of the cluster.")
    ] = None,
    language: Annotated[str, typer.Option(help="zh or en.")] = "zh",
    schema: Annotated[bool, typer.Option("--schema", help="Print the schema of CASE.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of text.")] = False,
) -> int:
    """Say of each interlock what it looked at, whether it allows, why not, and its source.

    The same functions as in control's core decide. Status 1 when it is denied.
    """
    if schema:
        print(json.dumps(case_schema(), ensure_ascii=False, indent=1))
        return 0
    if language not in LANGUAGES:
        raise BadInput("--language", f"{language!r} is not known", "zh or en")
    if bool(file) == bool(case):
        raise BadInput("CASE", "give a file or --case, one of them", "- reads standard input")
    if case:
        found = recorded(from_files, case)
    elif from_files is not None:
        raise BadInput("--from-files", "is for --case", "a file of its own needs no log")
    else:
        found = judged(_read(file), _policy(policy))
    if as_json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        show(found, language)
    return int(not found["judgements"][-1]["allowed"])


def _policy(file: Path | None) -> Policy:
    """The policy that control would start with, or that of a file."""
    return policy_of(file or load_settings().settings.policy_file, "control", DEFAULT_POLICY)


def _read(path: str) -> CaseFile:
    name = "standard input" if path == STANDARD_INPUT else path
    try:
        return read_case(parse_json(_bytes(path, name), name))
    except BadInput as wrong:
        field = wrong.field if wrong.field == name else f"{name}: {wrong.field}"
        raise BadInput(field, wrong.problem, wrong.fix) from None


def _bytes(path: str, name: str) -> bytes:
    """What is in a file, no more of it than what tells that it is too large."""
    try:
        if path == STANDARD_INPUT:
            found = sys.stdin.buffer.read(BYTES_MOST + 1)
        else:
            with open(path, "rb") as file:
                found = file.read(BYTES_MOST + 1)
    except OSError as error:
        fix = "name a file that you may read, or - for standard input"
        raise BadInput(name, error.strerror or "cannot be read", fix) from None
    if len(found) > BYTES_MOST:
        raise BadInput(name, f"has over {BYTES_MOST} bytes", "a case has some thousand")
    return found


# -- judging --------------------------------------------------------------------------------------


def judged(case: CaseFile, policy: Policy) -> dict[str, Any]:
    """What the interlocks of the stage say of a case, as `--json` prints it."""
    interlocks = STAGES[case.stage]
    verdicts = judge(interlocks, case.facts, policy)
    judgement = {
        "stage": case.stage,
        "judged_at": case.facts.now_at,
        "allowed": allows(verdicts, interlocks),
        "interlocks": [
            _document(verdict) | _read_by(interlock, case.facts, policy)
            for interlock, verdict in zip(interlocks, verdicts, strict=True)
        ],
    }
    return {"case_id": case.case_id, "judgements": [judgement]}


def recorded(from_files: Path | None, case_id: str) -> dict[str, Any]:
    """What control recorded of a case; BadInput when it recorded nothing."""
    account_no = account_of(case_id)
    reader, partitions = open_records(from_files)
    codec = Codec(make_core().catalogue)
    partition = partition_of(account_no, partitions)
    judgements = [
        {
            "stage": body.stage,
            "judged_at": time,
            "allowed": body.allowed,
            "interlocks": [
                _document(verdict) | {"inputs": {}, "values": {}} for verdict in body.verdicts
            ],
        }
        for time, body in known_events(reader, codec, "control.events", partition)
        if isinstance(body, InterlocksJudged) and body.case_id == case_id
    ]
    if not judgements:
        raise BadInput("--case", f"{case_id} was never judged", "take the id from its notice")
    return {"case_id": case_id, "judgements": judgements}


def _document(verdict: InterlockVerdict) -> dict[str, Any]:
    known = INTERLOCKS.get(verdict.name)
    said = asdict(verdict)
    names = {"zh": known.zh if known else "", "en": known.en if known else ""}
    return {"name": said.pop("name")} | names | said


def _read_by(interlock: Interlock, facts: Facts, policy: Policy) -> dict[str, Any]:
    values = dict(values_of(policy))
    return {
        "inputs": {name: to_document(getattr(facts, name)) for name in interlock.reads},
        "values": {term: to_document(values[term]) for term in interlock.terms},
    }


# -- for people -----------------------------------------------------------------------------------


def show(found: dict[str, Any], language: str) -> None:
    """The judgements as people read them; what was recorded is shown in the words of the record."""
    place = LANGUAGES.index(language)
    words = WORDS[language]
    for judgement in found["judgements"]:
        interlocks = judgement["interlocks"]
        denied = [each for each in interlocks if not each["allows"]]
        stage = STAGE_NAMES.get(judgement["stage"], (judgement["stage"],) * 2)[place]
        answer = words.allowed if judgement["allowed"] else words.denied
        count = COUNTS[language].format(len(interlocks), len(denied))
        title = f"{found['case_id'] or '-'}  {judgement['judged_at']}"
        print(f"{title}\n{stage}: {answer} ({count})\n")
        for each in interlocks:
            print(f"{words.allows if each['allows'] else words.denies}  {each['name']}")
            texts = (each[language], each["looked_at"], each["reason"], each["source"])
            for label, text in zip(words.labels, texts, strict=True):
                _show_text(label, text, width=2 if language == "zh" else 1)
            print()


def _show_text(label: str, text: str, *, width: int) -> None:
    """A labelled text over as many lines as it needs; `width`: columns of a label's character."""
    head = f"  {label}" + " " * (6 - len(label) * width)
    lines = textwrap.wrap(text, WIDTH - len("  rule  "), break_on_hyphens=False)
    if lines:
        print(head + "\n        ".join(lines))
