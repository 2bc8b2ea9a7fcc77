"""When months are billed and bills fall due: configuration with documented defaults."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.billing.bill_checks import CheckRules


@dataclass(frozen=True, slots=True)
class BillingPolicy:
    """bill_after_days: days after the month's end until it is billed, so that late readings still
    count; pay_within_days: from issue to the due date; checks: thresholds before release."""

    bill_after_days: int = 2
    pay_within_days: int = 15
    checks: CheckRules = field(default_factory=CheckRules)


DEFAULT = BillingPolicy()
