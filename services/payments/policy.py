"""The thresholds of payments, each a documented default that a utility may change.

Another policy is another decider: replay compares only what the same policy decided.

    DEFAULT_POLICY.clearance_min    5
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.policy import Term, check_ranges, digest_of
from services.payments.seen import RETENTION_DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The thresholds of payments. TERMS says what each means and where it comes from."""

    horizon_days: int = 400
    clearance_min: int = 5
    reversal_due_days: int = 30
    refund_window_days: int = 365

    def __post_init__(self) -> None:
        check_ranges(self, TERMS)


TERMS: dict[str, Term] = {
    "horizon_days": Term(
        "evidence of a payment older than so many days is a suspense case, never a capture",
        "DESIGN 4: 400 days; what may be captured must still be known",
        1,
        RETENTION_DAYS - 1,
    ),
    "clearance_min": Term(
        "how long a clearance is valid; minutes of business time, which ticks by the minute",
        "UNCONFIRMED: DESIGN 4 says about a minute",
        1,
        60,
    ),
    "reversal_due_days": Term(
        "days until a debt is due that a reversal opened in its own name",
        "UNCONFIRMED: about a month, as no reference says",
        0,
        3_650,
    ),
    "refund_window_days": Term(
        "days after a payment in which its channel gives it back; later by bank transfer",
        "UNCONFIRMED: WeChat Pay and Alipay say a year; acquirers have shorter windows",
        1,
        RETENTION_DAYS - 1,
    ),
}
"""What each value means and where it comes from."""

DEFAULT_POLICY = Policy()


def policy_digest(policy: Policy) -> str:
    """Eight hex digits that differ when any value differs; "" for the default policy."""
    return digest_of(policy, DEFAULT_POLICY)
