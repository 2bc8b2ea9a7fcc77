"""The thresholds of payments, each a documented default that a utility may change.

Another policy is another decider: replay compares only what the same policy decided.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from services.payments.seen import RETENTION_DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """horizon_days: evidence of an older payment is a suspense case, never a capture (DESIGN 4);
    clearance_min: how long a clearance is valid, in minutes of business time, which ticks by the
    minute (DESIGN 4 says "about a minute"; UNCONFIRMED); reversal_due_days: when a debt is due
    that a reversal opened in its own name (UNCONFIRMED)."""

    horizon_days: int = 400
    clearance_min: int = 5
    reversal_due_days: int = 30

    def __post_init__(self) -> None:
        assert 0 < self.horizon_days < RETENTION_DAYS, "what may be captured must still be known"
        assert self.clearance_min > 0, "a clearance must be valid for a while"


DEFAULT_POLICY = Policy()


def policy_digest(policy: Policy) -> str:
    """Eight hex digits that differ when any value differs; "" for the default policy."""
    if policy == DEFAULT_POLICY:
        return ""
    return hashlib.sha256(repr(policy).encode()).hexdigest()[:8]
