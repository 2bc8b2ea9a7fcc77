"""What becomes of a bench run: judged, held until meter and bench are known, or refused.

    no rating of the meter known        meter_awaited
    no certificate of the bench         standard_awaited
    bench or reference may not judge    run_rejected, rule bench_standing; nothing is judged
    measured after it was received      run_rejected: the bench's clock is wrong
    else                                meter_judged; certificate_issued on pass and fail

`bench_standing` asks our register of standards, not what the run claims. What was held or refused
is looked at again when the meter's note changes or a certificate comes (`retry`).
"""

from __future__ import annotations

from libs.events.errors import BadInput
from services.metrology.bench_standing import standing
from services.metrology.certificate import KINDS, certificate_of, content_digest
from services.metrology.dated_ahead import check_past
from services.metrology.draft import Draft, rating_of
from services.metrology.error_limits import MeterRating
from services.metrology.events import (
    CertificateIssued,
    MeterAwaited,
    MeterJudged,
    RunMeasured,
    RunRejected,
    RunRepeated,
    StandardAwaited,
)
from services.metrology.judgement import DEFAULT_RULES, PASSED, BenchRun, judge, local_day
from services.metrology.representative_error import representative_error
from services.metrology.standards_register import standards_of
from services.metrology.state import HELD_MOST
from services.metrology.verification_cycle import next_due_on

STANDING = "bench_standing"
UTC_OFFSET_MIN = DEFAULT_RULES.utc_offset_minutes


def take_run(draft: Draft, measured: RunMeasured) -> None:
    """Decide about a run that a bench sent; one that is held already is silent."""
    meter, run = draft.meter, measured.run
    ahead_min = draft.by.policy.bench_clock_ahead_min
    try:
        check_past("measured_at", run.measured_at, measured.received_at, ahead_min)
    except BadInput as problem:
        draft.own(RunRejected(run_id=run.run_id, meter_no=run.meter_no, problem=str(problem)))
        return
    if run.run_id in meter.run_ids or _is_among(run, meter.refused):
        draft.own(RunRepeated(run_id=run.run_id, meter_no=run.meter_no))
    elif not _is_among(run, meter.held):
        _decide(draft, run)


def retry(draft: Draft) -> None:
    """Decide again about what is held or was refused, the earliest measurement first."""
    waiting = (*draft.meter.held, *draft.meter.refused)
    for run in sorted(waiting, key=lambda run: (run.measured_at, run.run_id)):
        _decide(draft, run)


def _is_among(run: BenchRun, runs: tuple[BenchRun, ...]) -> bool:
    return any(each.run_id == run.run_id for each in runs)


def _decide(draft: Draft, run: BenchRun) -> None:
    rating = rating_of(draft.meter)
    if rating is None:
        _hold(draft, run, MeterAwaited(meter_no=run.meter_no, run=run))
        return
    try:
        measured_on = local_day(run.measured_at, UTC_OFFSET_MIN)
        known, missing = standards_of(draft.by.shared.standards, run, measured_on)
        if missing:
            awaited = StandardAwaited(
                run_id=run.run_id, meter_no=run.meter_no, missing=missing, run=run
            )
            _hold(draft, run, awaited)
            return
        reasons = standing(run, rating.accuracy_class, known, DEFAULT_RULES)
        if reasons:
            _refuse(draft, run, reasons)
            return
        judged = _judged(draft, run, rating, measured_on)
    except BadInput as problem:
        draft.own(RunRejected(run_id=run.run_id, meter_no=run.meter_no, problem=str(problem)))
        return
    for body in judged:
        draft.own(body)


def _hold(draft: Draft, run: BenchRun, awaited: MeterAwaited | StandardAwaited) -> None:
    if _is_among(run, draft.meter.held):
        return
    if len(draft.meter.held) < HELD_MOST:
        draft.own(awaited)
        return
    problem = f"{HELD_MOST} runs of this meter wait already: measure again when they are judged"
    draft.own(RunRejected(run_id=run.run_id, meter_no=run.meter_no, problem=problem))


def _refuse(draft: Draft, run: BenchRun, reasons: tuple[str, ...]) -> None:
    if _is_among(run, draft.meter.refused):
        return
    draft.own(
        RunRejected(
            run_id=run.run_id,
            meter_no=run.meter_no,
            problem="; ".join(reasons),
            rule=STANDING,
            reasons=reasons,
            run=run,
        )
    )


def _judged(
    draft: Draft, run: BenchRun, rating: MeterRating, measured_on: str
) -> list[MeterJudged | CertificateIssued]:
    """The judgement and its certificate; BadInput for what cannot be judged at all."""
    policy = draft.by.policy
    judgement = judge(run, rating, draft.by.limits, DEFAULT_RULES)
    error = representative_error(run.points, rating, policy.representative_rule)
    due_on = ""
    if judgement.verdict == PASSED:
        due_on = next_due_on(measured_on, rating.accuracy_class, policy.periods.cycles)
    judged = MeterJudged(
        judgement=judgement,
        representative_e4_pct=error.error_e4_pct,
        representative_text=error.text,
        measured_on=measured_on,
        next_due_on=due_on,
        representative_rule=error.rule,
        measured_at=run.measured_at,
        bench_no=run.bench_no,
        operator=run.operator,
    )
    if judgement.verdict not in KINDS:
        return [judged]
    content = certificate_of(judgement, measured_on, due_on, run.operator)
    return [judged, CertificateIssued(certificate=content, sha256=content_digest(content))]
