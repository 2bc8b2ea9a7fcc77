"""What metrology decides: the verdict on a bench run, and the corrections that a failure proposes.

    customers.meters  -> meter_noted, and the runs that waited for it
    metrology.bench   -> meter_judged | run_repeated | run_rejected | meter_awaited
                         correction_proposed (own, and by account on metrology.findings)
                         correction_decided | case_rejected, when a person decided

Only a meter whose error is beyond its limit and that was installed at an account's point proposes a
correction; only a person approves. Where a meter was used, and when it was verified before, may
become known after its run: proposals follow from all that is known, in any order, until decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from libs.events.core import Emit, Item, View
from libs.events.errors import BadInput
from services.metrology.correction_energy import METER_ERROR, correction_period
from services.metrology.error_limits import ErrorLimits, MeterRating
from services.metrology.events import (
    CaseDecided,
    CaseRejected,
    CorrectionDecided,
    CorrectionProposed,
    MeterAwaited,
    MeterJudged,
    RunGarbled,
    RunMeasured,
    RunRejected,
    RunRepeated,
    UseNoted,
)
from services.metrology.judgement import DEFAULT_RULES, PASSED, BenchRun, judge, local_day
from services.metrology.reactions import MeterPublished, meter_noted
from services.metrology.representative_error import representative_error
from services.metrology.state import Failure, Meter, evolve
from services.metrology.verification_cycle import DEFAULT_CYCLES, next_due_on

FINDINGS = "metrology.findings"
DECISIONS = ("approved", "refused")
UTC_OFFSET_MIN = DEFAULT_RULES.utc_offset_minutes

Decide = Callable[[View, str, Item], Sequence[Emit]]


def deciding_with(limits: ErrorLimits) -> Decide:
    """`decide` with a table of error limits, which is data of the installation."""

    def decide(view: View, key: str, item: Item) -> Sequence[Emit]:
        meter: Meter = view.get(key) or Meter()
        match item.body:
            case MeterPublished():
                return list(_on_meter(meter, item.body, limits))
            case RunMeasured():
                return list(_on_run(meter, item.body.run, limits))
            case RunGarbled():
                garbled = item.body
                rejected = RunRejected(run_id=garbled.run_id, meter_no=key, problem=garbled.problem)
                return [Emit(rejected)]
            case CaseDecided():
                return list(_on_case(meter, item.body))
        return []

    return decide


def _on_meter(meter: Meter, published: MeterPublished, limits: ErrorLimits) -> Iterator[Emit]:
    known = meter.notes.get(published.account_no)
    if known is not None and published.version <= known.version:
        return
    noted = meter_noted(published)
    yield Emit(noted)
    held = meter.held
    meter = evolve(meter, noted)
    for run in held:
        for body in _judge(meter, run, limits):
            yield Emit(body)
            meter = evolve(meter, body)
    yield from _propose(meter)


def _on_run(meter: Meter, run: BenchRun, limits: ErrorLimits) -> Iterator[Emit]:
    if run.run_id in meter.run_ids:
        yield Emit(RunRepeated(run_id=run.run_id, meter_no=run.meter_no))
    elif not meter.notes:
        if all(held.run_id != run.run_id for held in meter.held):
            yield Emit(MeterAwaited(meter_no=run.meter_no, run=run))
    else:
        for body in _judge(meter, run, limits):
            yield Emit(body)
            meter = evolve(meter, body)
        yield from _propose(meter)


def _judge(meter: Meter, run: BenchRun, limits: ErrorLimits) -> Iterator[MeterJudged | RunRejected]:
    newest = max(meter.notes.values(), key=lambda noted: (noted.version, noted.account_no))
    rating = MeterRating(accuracy_class=newest.accuracy_class, connection=newest.connection)
    try:
        judgement = judge(run, rating, limits, DEFAULT_RULES)
        error = representative_error(run.points, rating)
        measured_on = local_day(run.measured_at, UTC_OFFSET_MIN)
        passed = judgement.verdict == PASSED
        due_on = next_due_on(measured_on, rating.accuracy_class, DEFAULT_CYCLES) if passed else ""
    except BadInput as problem:
        yield RunRejected(run_id=run.run_id, meter_no=run.meter_no, problem=str(problem))
        return
    yield MeterJudged(
        judgement=judgement,
        representative_e4_pct=error.error_e4_pct,
        representative_text=error.text,
        measured_on=measured_on,
        next_due_on=due_on,
    )


def _propose(meter: Meter) -> Iterator[Emit]:
    """A case for each place where a failed meter counted; again when its days turn out otherwise
    before it is decided."""
    notes = sorted(meter.notes.values(), key=lambda noted: noted.account_no)
    uses = [use for noted in notes for use in noted.uses]
    found = (_proposal(meter, failure, use) for failure in meter.failures for use in uses)
    by_id = {proposed.case_id: proposed for proposed in found if proposed is not None}
    for case_id, proposed in by_id.items():
        if case_id not in meter.decided and meter.cases.get(case_id) != proposed:
            yield Emit(proposed)
            yield Emit(proposed, topic=FINDINGS, key=proposed.account_no)


def _proposal(meter: Meter, failure: Failure, use: UseNoted) -> CorrectionProposed | None:
    """The case of one place; None when nothing was billed there by the wrong meter: it came there,
    or was verified, after it was taken away or measured."""
    installed_on = local_day(use.from_at, UTC_OFFSET_MIN, "from_at")
    until_on = failure.measured_on
    if use.to_at:
        until_on = min(until_on, local_day(use.to_at, UTC_OFFSET_MIN, "to_at"))
    known_on = (*meter.passed_on, *(noted.verified_on for noted in meter.notes.values()))
    verified = [on for on in known_on if on <= failure.measured_on]
    try:
        period = correction_period(max(verified, default=""), installed_on, until_on)
    except BadInput:
        return None
    if not period.half_days:
        return None
    return CorrectionProposed(
        case_id=f"{failure.run_id}/{use.usage_point}/{installed_on}",
        meter_no=failure.meter_no,
        run_id=failure.run_id,
        account_no=use.account_no,
        usage_point=use.usage_point,
        error_e4_pct=failure.error_e4_pct,
        rule=METER_ERROR,
        from_on=period.half_from_on,
        to_on=period.until_on,
    )


def _on_case(meter: Meter, decision: CaseDecided) -> Iterator[Emit]:
    case = meter.cases.get(decision.case_id)
    problem = ""
    if case is None:
        problem = "no such case about this meter"
    elif decision.case_id in meter.decided:
        problem = f"it was {meter.decided[decision.case_id]} already"
    elif decision.decision not in DECISIONS:
        problem = f"{decision.decision!r} is no decision: {' or '.join(DECISIONS)}"
    elif not decision.decided_by.strip():
        problem = "nobody is named who decided"
    if problem or case is None:
        yield Emit(
            CaseRejected(case_id=decision.case_id, meter_no=decision.meter_no, problem=problem)
        )
        return
    decided = CorrectionDecided(
        case_id=case.case_id,
        meter_no=case.meter_no,
        account_no=case.account_no,
        usage_point=case.usage_point,
        error_e4_pct=case.error_e4_pct,
        rule=case.rule,
        from_on=case.from_on,
        to_on=case.to_on,
        decision=decision.decision,
        decided_by=decision.decided_by,
        reason=decision.reason,
    )
    yield Emit(decided)
    yield Emit(decided, topic=FINDINGS, key=case.account_no)
