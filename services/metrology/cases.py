"""Cases that a person decides: corrections that a failed meter proposes, and broken seals.

Where a meter was used, when it was verified before, and which of its seals were broken may become
known after its run: cases follow from all that is known, in any order, and are told again when that
changes, until a person decides.
"""

from __future__ import annotations

from libs.events.errors import BadInput
from services.metrology.correction_energy import METER_ERROR, correction_period
from services.metrology.draft import Draft
from services.metrology.events import (
    CaseDecided,
    CaseRejected,
    CorrectionDecided,
    CorrectionProposed,
    SealBroken,
    SealBrokenFound,
    SealCaseClosed,
    UseNoted,
)
from services.metrology.judgement import local_day
from services.metrology.runs import UTC_OFFSET_MIN
from services.metrology.state import Failure, Meter

FINDINGS = "metrology.findings"
DECISIONS = ("approved", "refused")
CLOSED = "closed"


def note_broken(draft: Draft, broken: SealBroken) -> None:
    """Open the case of a seal that was found broken on this meter; a seal breaks once."""
    case_id = f"seal/{broken.seal_no}"
    if case_id not in draft.meter.broken:
        draft.own(_found(draft.meter, case_id, broken))


def follow_cases(draft: Draft) -> None:
    """Tell all cases that follow from what is known now and were not told so."""
    for case_id, case in sorted(draft.meter.broken.items()):
        found = _found(draft.meter, case_id, case.broken)
        if found != case and case_id not in draft.meter.decided:
            draft.own(found)
    _propose(draft)


def uses_of(meter: Meter) -> list[UseNoted]:
    """Where the meter counted, as far as is known."""
    notes = sorted(meter.notes.values(), key=lambda noted: noted.account_no)
    return [use for noted in notes for use in noted.uses]


def _found(meter: Meter, case_id: str, broken: SealBroken) -> SealBrokenFound:
    """The case of a broken seal, with the point and account that the meter served then."""
    at = broken.found_at
    served = [
        use for use in uses_of(meter) if use.from_at <= at and (not use.to_at or at < use.to_at)
    ]
    use = served[0] if served else UseNoted(usage_point="", account_no="", from_at="", to_at="")
    return SealBrokenFound(
        case_id=case_id, broken=broken, usage_point=use.usage_point, account_no=use.account_no
    )


def _propose(draft: Draft) -> None:
    """A case for each place where a failed meter counted; again when its days turn out otherwise
    before it is decided."""
    meter = draft.meter
    uses = uses_of(meter)
    found = (_proposal(meter, failure, use) for failure in meter.failures for use in uses)
    by_id = {proposed.case_id: proposed for proposed in found if proposed is not None}
    for case_id, proposed in by_id.items():
        if case_id not in meter.decided and meter.cases.get(case_id) != proposed:
            draft.own(proposed)
            draft.tell(FINDINGS, proposed.account_no, proposed)


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
        broken_seals=tuple(sorted(case.broken.seal_no for case in meter.broken.values())),
    )


def decide_case(draft: Draft, decision: CaseDecided) -> None:
    """What a person decided: a correction is approved or refused, the case of a seal is closed."""
    meter = draft.meter
    case = meter.cases.get(decision.case_id)
    seal_case = meter.broken.get(decision.case_id)
    words = DECISIONS if seal_case is None else (CLOSED,)
    problem = ""
    if case is None and seal_case is None:
        problem = "no such case about this meter"
    elif decision.case_id in meter.decided:
        problem = f"it was {meter.decided[decision.case_id]} already"
    elif decision.decision not in words:
        problem = f"{decision.decision!r} is no decision: {' or '.join(words)}"
    elif not decision.decided_by.strip():
        problem = "nobody is named who decided"
    if problem:
        rejected = CaseRejected(
            case_id=decision.case_id, meter_no=decision.meter_no, problem=problem
        )
        draft.own(rejected)
    elif case is not None:
        _decide_correction(draft, case, decision)
    else:
        assert seal_case is not None, "a case is about a correction or a seal"
        closed = SealCaseClosed(
            case_id=decision.case_id,
            meter_no=decision.meter_no,
            account_no=seal_case.account_no,
            closed_by=decision.decided_by,
            reason=decision.reason,
        )
        draft.own(closed)


def _decide_correction(draft: Draft, case: CorrectionProposed, decision: CaseDecided) -> None:
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
        kind=case.kind,
        factor_num=case.factor_num,
        factor_den=case.factor_den,
    )
    draft.own(decided)
    draft.tell(FINDINGS, case.account_no, decided)
