"""`gridledger metrology`: what a bench measured, who holds what, what is due; and corrections.

`judge`, `due`, `seals`, `store`, `correction`, `sample`, `match` and `certificate` work on files,
without a broker; their formats and --json schemas stand in the modules they come from. `cases`,
`decide`, `judgement` and `certificate issued` read the installation's own events, or an export of
them; `move`, `seal`, `register` and `decide` write a request that metrology decides.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from libs.events.audit import Reader
from libs.events.codec import Codec, to_document
from libs.events.edge import EdgeProducer
from libs.events.errors import BadInput
from services.billing.events import CaseEstimate
from services.cli import metrology_certificate, metrology_desk
from services.cli.metrology_case import open_case
from services.cli.metrology_correction import correction
from services.cli.metrology_due import due, match_file
from services.cli.metrology_estimates import case_estimates, energy_cell, money_cell
from services.cli.metrology_judge import judge_file
from services.cli.metrology_sample import sample
from services.cli.metrology_trails import seals, store
from services.cli.records import known_bodies, named, open_cluster, open_records
from services.metrology.cases import CLOSED, DECISIONS
from services.metrology.events import (
    CaseDecided,
    CorrectionDecided,
    CorrectionProposed,
    MeterJudged,
    SealBrokenFound,
    SealCaseClosed,
    catalogue,
    edge_catalogue,
)
from services.metrology.judgement import format_error
from services.settings import load_settings
from services.wiring import open_producer

EVENTS = "metrology.events"
BENCH = "metrology.bench"
SOURCE = "metrology.edge"

app = typer.Typer(no_args_is_help=True, help="Verification, seals, due lists, corrections.")
app.command("judge", epilog="Example: gridledger metrology judge runs.jsonl --standards lab.csv")(
    judge_file
)
app.command("due", epilog="Example: gridledger metrology due devices.csv --on 2026-03-31")(due)
app.command("seals", epilog="Example: gridledger metrology seals trail.csv --json")(seals)
app.command("store", epilog="Example: gridledger metrology store moves.csv")(store)
app.command("match", epilog="Example: gridledger metrology match points.csv")(match_file)
app.command("correction", epilog="Example: gridledger metrology correction cases.csv --json")(
    correction
)
app.command("sample", epilog="Example: gridledger metrology sample batch.csv")(sample)
app.command(
    "move", epilog="Example: gridledger metrology move M-1 reserve --place 'shelf 7' --by li"
)(metrology_desk.move)
app.command(
    "seal",
    epilog="Example: gridledger metrology seal S-1 break --device M-1 --by zhou --reason cut",
)(metrology_desk.seal)
app.command(
    "register",
    epilog="Example: gridledger metrology register bench B1 --certificate Z-7 "
    "--accuracy-class 0.05 --from-on 2026-01-01 --due-on 2027-12-31 --by li",
)(metrology_desk.register)
app.command(
    "open-case",
    epilog="Example: gridledger metrology open-case M-1 --point P-1 --kind wiring --reversed 1 "
    "--from-on 2026-01-01 --to-on 2026-03-01 --by li --findings 'protocol 17'",
)(open_case)
app.add_typer(metrology_certificate.app, name="certificate")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
FromFiles = Annotated[
    Path | None, typer.Option("--from-files", help="Read an export.", metavar="DIR")
]


@app.command(epilog="Example: gridledger metrology cases --json")
def cases(
    from_files: FromFiles = None,
    seals: Annotated[bool, typer.Option("--seals", help="Broken seals instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the corrections that a failed meter proposes, or broken seals, that nobody decided.

    kWh and yuan are what an approval would change, as billing estimated it when
    it was proposed: of the days whose usage was known, and on the bills that were
    issued.
    """
    reader, partitions = open_records(from_files)
    if seals:
        _show_broken(open_seal_cases(reader, partitions), as_json)
        return
    found = open_cases(reader, partitions)
    estimates = case_estimates(reader, partitions) if found else {}
    if as_json:
        rows = [with_estimate(case, estimates.get(case.case_id)) for case in found]
        print(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    table = Table("case", "account", "meter", "error", "from", "to", "kWh", "yuan")
    for case in found:
        estimate = estimates.get(case.case_id)
        table.add_row(
            case.case_id,
            case.account_no,
            case.meter_no,
            error_cell(case),
            case.from_on,
            case.to_on,
            energy_cell(estimate),
            money_cell(estimate),
        )
    Console().print(table)


def error_cell(case: CorrectionProposed) -> str:
    """The error of the meter, or the factor of a case that was opened by hand."""
    if case.kind == "error":
        return format_error(case.error_e4_pct)
    return f"{case.kind} x {Fraction(case.factor_num, case.factor_den)}"


def with_estimate(case: CorrectionProposed, estimate: CaseEstimate | None) -> dict[str, Any]:
    """A case as `--json` shows it: `correction_proposed` with the `estimate` of billing (energy_wh,
    amount_fen, months, problem), null while there is none."""
    return {**to_document(case), "estimate": to_document(estimate) if estimate else None}


def _show_broken(found: list[SealBrokenFound], as_json: bool) -> None:
    if as_json:
        print(json.dumps([to_document(case) for case in found], ensure_ascii=False, indent=1))
        return
    table = Table("case", "meter", "point", "account", "found at", "by", "where", "what")
    for case in found:
        broken = case.broken
        table.add_row(
            case.case_id,
            broken.device_no,
            case.usage_point or "-",
            case.account_no or "-",
            broken.found_at,
            broken.found_by,
            broken.location,
            broken.reason,
        )
    Console().print(table)


@app.command(
    epilog="Example: gridledger metrology decide B1-0007/P-0001/2024-01-01 --decision approved "
    "--by 'head of lab' --reason 'certificate 4711'"
)
def decide(
    case_id: Annotated[str, typer.Argument(help="The case, of `cases`.", metavar="CASE_ID")],
    decision: Annotated[str, typer.Option(help="approved or refused; closed for a seal.")],
    by: Annotated[str, typer.Option(help="Who decides.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    as_json: AsJson = False,
) -> None:
    """Decide a case, once.

    A proposed correction is approved (billing then makes it) or refused; the case
    of a broken seal is closed, saying what it was.
    """
    request = make_request(case_id, decision, by, reason)
    settings = load_settings().settings
    meter_no = find_case(open_cluster(settings), settings.partitions, case_id, decision)
    with closing(open_producer(settings, SOURCE, edge_catalogue)) as producer:
        send_request(producer, meter_no, request)
    if as_json:
        print(json.dumps(to_document(request) | {"meter_no": meter_no}, ensure_ascii=False))
        return
    print(f"{case_id}: {decision} by {request.decided_by} recorded; metrology decides")


@app.command(epilog="Example: gridledger metrology judgement B1-M1-20260301T020000Z --json")
def judgement(
    run_id: Annotated[str, typer.Argument(help="The bench's run.", metavar="RUN_ID")],
    from_files: FromFiles = None,
    as_json: AsJson = False,
) -> None:
    """Show every measured point of a run with its limit, the tests, and the verdict."""
    judged = find_judgement(*open_records(from_files), run_id)
    if as_json:
        print(json.dumps(to_document(judged), ensure_ascii=False, indent=1))
        return
    found = judged.judgement
    print(f"{found.run_id}: meter {found.meter_no}, class {found.accuracy_class}: {found.verdict}")
    table = Table("current", "power factor", "load", "error", "rounded", "limit", "verdict", "why")
    for point in found.points:
        limit = "" if point.limit_e4_pct is None else f"±{_error(point.limit_e4_pct).lstrip('+')}"
        table.add_row(
            point.current,
            point.power_factor,
            point.load,
            _error(point.error_e4_pct),
            _error(point.rounded_e4_pct),
            limit,
            point.verdict,
            point.reason,
        )
    Console().print(table)
    for test in found.tests:
        print(f"{test.test}: {test.verdict} ({test.reason})")
    for text in found.reasons:
        print(f"because {text}")
    error = _error(judged.representative_e4_pct) or "unknown"
    print(f"representative error {error}: {judged.representative_text}")
    if judged.next_due_on:
        print(f"next verification by {judged.next_due_on}")
    print(f"rules {found.rules}, limits {found.limits}")


def _error(error_e4_pct: int | None) -> str:
    return "" if error_e4_pct is None else format_error(error_e4_pct)


def _bodies(reader: Reader, partitions: int, *kinds: type) -> Iterator[Any]:
    """The events of these classes, in order for each meter."""
    for partition in range(partitions):
        for body in known_bodies(reader, Codec(catalogue), EVENTS, partition):
            if isinstance(body, kinds):
                yield body


Cases = dict[str, CorrectionProposed | SealBrokenFound]


def all_cases(reader: Reader, partitions: int) -> tuple[Cases, dict[str, str]]:
    """Every case as it was last told, and how those that were decided were."""
    told: Cases = {}
    decided: dict[str, str] = {}
    kinds = (CorrectionProposed, CorrectionDecided, SealBrokenFound, SealCaseClosed)
    for body in _bodies(reader, partitions, *kinds):
        if isinstance(body, CorrectionProposed | SealBrokenFound):
            told[body.case_id] = body
        else:
            decided[body.case_id] = getattr(body, "decision", CLOSED)
    return told, decided


def open_cases(reader: Reader, partitions: int) -> list[CorrectionProposed]:
    """The cases that nobody decided, by account."""
    told, decided = all_cases(reader, partitions)
    cases = [case for case in told.values() if isinstance(case, CorrectionProposed)]
    found = [case for case in cases if case.case_id not in decided]
    return sorted(found, key=lambda case: (case.account_no, case.case_id))


def open_seal_cases(reader: Reader, partitions: int) -> list[SealBrokenFound]:
    """The broken seals that nobody looked at, by meter."""
    told, decided = all_cases(reader, partitions)
    cases = [case for case in told.values() if isinstance(case, SealBrokenFound)]
    found = [case for case in cases if case.case_id not in decided]
    return sorted(found, key=lambda case: (case.broken.device_no, case.case_id))


def find_case(reader: Reader, partitions: int, case_id: str, decision: str) -> str:
    """The meter of a case that is open; BadInput when there is none, it was decided already, or
    the decision is none of its kind."""
    proposed, decided = all_cases(reader, partitions)
    if case_id not in proposed:
        fix = "see `gridledger metrology cases`"
        raise BadInput("CASE_ID", f"there is no case {case_id!r}", fix)
    if case_id in decided:
        fix = "a case is decided once"
        raise BadInput("CASE_ID", f"{case_id!r} was {decided[case_id]} already", fix)
    case = proposed[case_id]
    is_seal = isinstance(case, SealBrokenFound)
    if is_seal != (decision == CLOSED):
        fix = f"use {CLOSED}" if is_seal else f"use {' or '.join(DECISIONS)}"
        raise BadInput("--decision", f"{decision!r} is none of {case_id!r}", fix)
    return case.broken.device_no if isinstance(case, SealBrokenFound) else case.meter_no


def find_judgement(reader: Reader, partitions: int, run_id: str) -> MeterJudged:
    """The judgement of a run; BadInput when it was not judged."""
    for body in _bodies(reader, partitions, MeterJudged):
        if isinstance(body, MeterJudged) and body.judgement.run_id == run_id:
            return body
    fix = "give the bench's run id; a run waits until its meter is imported"
    raise BadInput("RUN_ID", f"no run {run_id!r} was judged", fix)


def make_request(case_id: str, decision: str, by: str, reason: str) -> CaseDecided:
    """A person's decision, not yet of a meter; BadInput names the option that is wrong."""
    if decision not in (*DECISIONS, CLOSED):
        fix = f"use {', '.join(DECISIONS)} or {CLOSED}"
        raise BadInput("--decision", f"{decision!r} is no decision", fix)
    return CaseDecided(
        case_id=case_id,
        meter_no="",
        decision=decision,
        decided_by=named("--by", by, "say who decides"),
        reason=named("--reason", reason, "say why"),
    )


def send_request(producer: EdgeProducer, meter_no: str, request: CaseDecided) -> int:
    """Write the decision where the meter's runs are; its offset. Raises Unavailable."""
    return producer.append(BENCH, meter_no, replace(request, meter_no=meter_no))
