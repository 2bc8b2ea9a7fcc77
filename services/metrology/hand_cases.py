"""Cases that a person opens: a meter that was wired wrongly, or billed by a wrong ratio.

No bench measures these. The person gives the factor from recorded to true energy, the days on which
it held and what it rests on; from there it is a case as any other: proposed to billing, which says
what it would change, and decided by somebody. What cannot be is rejected; it is asked for again
once the meter is known to have served the point.

    one of three current transformers reversed, 1 January to 1 March    factor 3/1
"""

from __future__ import annotations

from libs.events.errors import BadInput
from services.metrology.cases import FINDINGS, uses_of
from services.metrology.correction_energy import WRONG_RATIO, WRONG_WIRING
from services.metrology.draft import Draft
from services.metrology.events import CaseOpened, CaseRejected, CorrectionProposed, UseNoted
from services.metrology.judgement import local_day
from services.metrology.runs import UTC_OFFSET_MIN
from services.metrology.state import Meter
from services.metrology.verification_cycle import parse_day

RULES = {"wiring": WRONG_WIRING, "ratio": WRONG_RATIO}
"""By kind, the rule that counts; over which days is the person's to say."""


def check_request(request: CaseOpened) -> None:
    """BadInput names the field of a case that nobody could open, whatever the meter."""
    if request.kind not in RULES:
        raise BadInput("kind", f"{request.kind!r} is no kind", f"use {' or '.join(RULES)}")
    if request.factor_den <= 0 or request.factor_num == request.factor_den:
        factor = f"{request.factor_num}/{request.factor_den}"
        raise BadInput("factor", f"{factor} corrects nothing", "give true by recorded energy")
    if request.kind == "ratio" and request.factor_num <= 0:
        raise BadInput("factor", "a ratio is above zero", "give the real by the billed ratio")
    if parse_day(request.from_on, "from_on") >= parse_day(request.to_on, "to_on"):
        raise BadInput("to_on", f"is not after {request.from_on}", "give the day after the last")
    for name in ("opened_by", "findings"):
        if not getattr(request, name).strip():
            raise BadInput(name, "is empty", "say who found what")


def open_case(draft: Draft, request: CaseOpened) -> None:
    """Propose the case; a request that came before is silent."""
    case_id = f"{request.kind}/{request.request_id}"
    if case_id in draft.meter.cases:
        return
    try:
        check_request(request)
        use = _use(draft.meter, request)
    except BadInput as wrong:
        rejected = CaseRejected(case_id=case_id, meter_no=request.meter_no, problem=str(wrong))
        draft.own(rejected)
        return
    proposed = CorrectionProposed(
        case_id=case_id,
        meter_no=request.meter_no,
        run_id="",
        account_no=use.account_no,
        usage_point=use.usage_point,
        error_e4_pct=0,
        rule=RULES[request.kind],
        from_on=request.from_on,
        to_on=request.to_on,
        broken_seals=tuple(sorted(case.broken.seal_no for case in draft.meter.broken.values())),
        kind=request.kind,
        factor_num=request.factor_num,
        factor_den=request.factor_den,
        opened_by=request.opened_by,
        reason=request.findings,
    )
    draft.own(proposed)
    draft.tell(FINDINGS, proposed.account_no, proposed)


def _use(meter: Meter, request: CaseOpened) -> UseNoted:
    """The use of the meter at the point on all of the days."""
    for use in uses_of(meter):
        from_on = local_day(use.from_at, UTC_OFFSET_MIN, "from_at")
        to_on = local_day(use.to_at, UTC_OFFSET_MIN, "to_at") if use.to_at else ""
        is_within = from_on <= request.from_on and (not to_on or request.to_on <= to_on)
        if use.usage_point == request.usage_point and is_within:
            return use
    days = f"{request.from_on} to {request.to_on}"
    problem = f"the meter did not serve {request.usage_point} on all days of {days}"
    raise BadInput("usage_point", problem, "give the days of one use of the meter")
