"""The thresholds of payments, each a documented default that a utility may change.

Another policy is another decider: replay compares only what the same policy decided.

    DEFAULT_POLICY.clearance_min    5
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.errors import BadInput
from libs.events.policy import Term, check_ranges, digest_of
from services.payments.seen import RETENTION_DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The thresholds of payments. TERMS says what each means and where it comes from."""

    horizon_days: int = 400
    clearance_min: int = 5
    reversal_due_days: int = 30
    refund_window_days: int = 365
    query_after_min: tuple[int, ...] = (1, 2, 5, 10, 30, 60, 120, 360, 1440)
    order_life_min: int = 120
    order_close_min: int = 5

    def __post_init__(self) -> None:
        check_ranges(self, TERMS)
        after_min = self.query_after_min
        if not after_min or list(after_min) != sorted(set(after_min)):
            problem = "does not rise from one query to the next"
            raise BadInput("query_after_min", problem, "write it like [1, 2, 5]")


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
    "query_after_min": Term(
        "minutes after an order was opened, or a refund sent, at which its channel is asked when "
        "nothing was heard; once more so after an order has expired",
        "payments.md 5: 1m, 2m, 5m, 10m, 30m, 1h, 2h, 6h, 24h, then the file",
        1,
        30 * 1440,
    ),
    "order_life_min": Term(
        "minutes until an order that nobody paid is closed, where its opener says nothing else",
        "UNCONFIRMED: as most cashiers, two hours",
        1,
        30 * 1440,
    ),
    "order_close_min": Term(
        "minutes for which an order is not closed after it was opened",
        "payments.md 1.3: WeChat Pay wants 5",
        1,
        1440,
    ),
}
"""What each value means and where it comes from."""

DEFAULT_POLICY = Policy()


def policy_digest(policy: Policy) -> str:
    """Eight hex digits that differ when any value differs; "" for the default policy."""
    return digest_of(policy, DEFAULT_POLICY)
