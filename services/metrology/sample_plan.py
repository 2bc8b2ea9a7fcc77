"""Acceptance of a delivered batch by a sample: how many are verified, how many may fail.

    600 meters: n = 80, c = 2     2 failed of 80: accepted     3 failed: rejected
    batch of 10: all 10 are verified, none may fail

Single sampling as data. The default numbers are those of ISO 2859-1 (GB/T 2828.1), general level
II, normal, AQL 1.0; that they apply to a utility's meters is UNCONFIRMED (domain.md §4.3).
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.errors import BadInput

ACCEPTED = "accepted"
REJECTED = "rejected"
INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplePlan:
    """A batch of up to `batch` devices: `n` are verified, at most `c` of them may fail."""

    batch: int
    n: int
    c: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplePlans:
    """Plans by size of the batch, the smallest first; a larger batch than all is divided."""

    id: str
    version: int
    plans: tuple[SamplePlan, ...]
    source: str


DEFAULT_PLANS = SamplePlans(
    id="gb-2828.1-II-aql-1.0",
    version=1,
    plans=(
        SamplePlan(batch=150, n=13, c=0),
        SamplePlan(batch=500, n=50, c=1),
        SamplePlan(batch=1_200, n=80, c=2),
        SamplePlan(batch=3_200, n=125, c=3),
        SamplePlan(batch=10_000, n=200, c=5),
        SamplePlan(batch=35_000, n=315, c=7),
        SamplePlan(batch=150_000, n=500, c=10),
    ),
    source="UNCONFIRMED: GB/T 2828.1, level II, normal, AQL 1.0 (from memory)",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What a sample says about its batch: accepted, rejected, or incomplete (go on verifying)."""

    plan: SamplePlan
    verified: int
    failed: int
    verdict: str
    reason: str


def plan_for(batch: int, plans: SamplePlans = DEFAULT_PLANS) -> SamplePlan:
    """The plan of a batch; where n is not below the batch, all of it is verified. BadInput for a
    batch without devices, or larger than any plan."""
    if batch <= 0:
        raise BadInput("batch", f"is {batch}", "give the number of devices delivered")
    found = next((plan for plan in plans.plans if batch <= plan.batch), None)
    if found is None:
        most = plans.plans[-1].batch
        raise BadInput("batch", f"is {batch}, larger than any plan", f"divide it: at most {most}")
    return SamplePlan(batch=batch, n=min(found.n, batch), c=found.c)


def accept(plan: SamplePlan, verified: int, failed: int) -> Acceptance:
    """The verdict on a batch: rejected as soon as more than c failed, accepted once n were
    verified. BadInput for counts that cannot be."""
    if not 0 <= failed <= verified:
        raise BadInput("failed", f"is {failed} of {verified}", "give 0 to the number verified")
    if verified > plan.batch:
        raise BadInput("verified", f"is {verified} of {plan.batch}", "at most the whole batch")
    if failed > plan.c:
        verdict, reason = REJECTED, f"{failed} failed, at most {plan.c} may"
    elif verified < plan.n:
        verdict, reason = INCOMPLETE, f"{verified} of {plan.n} are verified"
    else:
        verdict, reason = ACCEPTED, f"{failed} failed of {verified}, at most {plan.c} may"
    return Acceptance(plan=plan, verified=verified, failed=failed, verdict=verdict, reason=reason)
