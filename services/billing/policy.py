"""When months are billed and bills fall due: configuration with documented defaults.

DEFAULT_POLICY.pay_within_days    15
"""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.events.errors import BadInput
from libs.events.policy import Term, check_ranges
from services.billing.audit_rules import AuditRules, audit_terms, check_audit
from services.billing.bill_checks import CheckRules

_RULE_4 = "UNCONFIRMED: domain.md 2, rule 4"


@dataclass(frozen=True, slots=True)
class BillingPolicy:
    """When bills are made, and what holds them. TERMS says what each value means and where it comes
    from."""

    bill_after_days: int = 2
    pay_within_days: int = 15
    feed_in_pay_within_days: int = 30
    estimate_minute: int = 12 * 60
    checks: CheckRules = field(default_factory=CheckRules)
    audit: AuditRules = field(default_factory=AuditRules)

    def __post_init__(self) -> None:
        check_ranges(self, terms_of(self))
        try:
            check_audit(self.audit)
        except BadInput as wrong:
            raise BadInput(f"audit.{wrong.field}", wrong.problem, wrong.fix) from None


_TERMS: dict[str, Term] = {
    "bill_after_days": Term(
        "days after the month's end until it is billed, so that late readings still count",
        "UNCONFIRMED: two days of reading again",
        0,
        60,
    ),
    "pay_within_days": Term(
        "days from issue to the due date", "UNCONFIRMED: as the agreements say", 0, 366
    ),
    "feed_in_pay_within_days": Term(
        "days from a statement of feed-in until the utility pays it",
        "UNCONFIRMED: as the agreements say",
        0,
        366,
    ),
    "estimate_minute": Term(
        "minute of the local day from which the day before is estimated for prepaid accounts",
        "UNCONFIRMED: DESIGN 5 says daily; by noon the night's readings are there",
        0,
        24 * 60 - 1,
    ),
    "checks.id": Term("the name of your set of checks", "DESIGN 3"),
    "checks.zero": Term("whether a bill without energy waits for a person", _RULE_4),
    "checks.negative": Term("whether a bill below nothing waits for a person", _RULE_4),
    "checks.estimated": Term("whether a bill of estimates waits for a person", _RULE_4),
    "checks.first": Term("whether an account's first bill waits for a person", _RULE_4),
    "checks.after_exchange": Term("whether a bill over an exchange waits for a person", _RULE_4),
    "checks.warning": Term("whether a bill with warnings waits for a person", _RULE_4),
    "checks.tou_basis": Term(
        "whether a bill with a finding on its time-of-use basis waits for a person",
        "DESIGN 5: rate registers only while the meter's slot table equals the book's calendar",
    ),
    "checks.jump_high_percent": Term(
        "daily use above this part of the past average is a jump; percent", _RULE_4, 100, 100_000
    ),
    "checks.jump_low_percent": Term(
        "daily use below this part of the past average is a jump; percent", _RULE_4, 0, 100
    ),
    "checks.jump_floor_wh": Term(
        "a smaller difference to the average is no jump; Wh a day", _RULE_4, 0, 1_000_000_000
    ),
    "checks.run_low_percent": Term(
        "a run below this part of the last one needs two people; percent", _RULE_4, 0, 100
    ),
    "checks.run_high_percent": Term(
        "a run above this part of the last one needs two people; percent", _RULE_4, 100, 100_000
    ),
}


def terms_of(policy: BillingPolicy) -> dict[str, Term]:
    """What each value means and where it comes from, those of added audit rules too."""
    return _TERMS | {f"audit.{name}": term for name, term in audit_terms(policy.audit)}


DEFAULT_POLICY = BillingPolicy()
TERMS = terms_of(DEFAULT_POLICY)
"""What each value means and where it comes from."""
