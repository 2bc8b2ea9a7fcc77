"""What the area stage judges by: how long it waits for readings, and the rules of a loss.

DEFAULT_POLICY.rules.area_most_e2_pct    700
"""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.events.policy import UNCONFIRMED, Term, check_ranges
from libs.events.quantities import ROUNDING
from services.validation.areas.loss_rules import DEFAULT_LOSS_RULES, LOSS_TERMS, LossRules
from services.validation.areas.state import KEEP_DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaPolicy:
    """What the stage judges by. TERMS says what each value means and where it comes from."""

    grace_min: int = 10 * 60
    usual_days: int = 7
    rules: LossRules = field(default_factory=lambda: DEFAULT_LOSS_RULES)

    def __post_init__(self) -> None:
        check_ranges(self, TERMS)


TERMS: dict[str, Term] = {
    "grace_min": Term(
        "minutes after 24:00 until a day is judged though points are missing",
        f"{UNCONFIRMED}: ten hours, two after validation estimates",
        1,
        7 * 24 * 60,
    ),
    "usual_days": Term(
        "so many latest days on which a point was read and used anything make its usual day",
        f"{UNCONFIRMED}: a week",
        1,
        KEEP_DAYS,
    ),
    **{f"rules.{name}": term for name, term in LOSS_TERMS.items()},
    "rules.rounding": Term(
        f"how a per cent is rounded: {', '.join(ROUNDING)}", f"{UNCONFIRMED}: half up"
    ),
}
"""What each value means and where it comes from."""

DEFAULT_POLICY = AreaPolicy()
