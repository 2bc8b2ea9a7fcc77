"""What a line loss is judged by: every threshold with its meaning and source.

All defaults are UNCONFIRMED (domain.md 5 gives ranges); a utility replaces them by its own. Per
cent have two decimals: 700 is 7.00 %.

    DEFAULT_LOSS_RULES.area_most_e2_pct      700
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.errors import BadInput
from libs.events.policy import UNCONFIRMED, Term, check_ranges
from libs.events.quantities import ROUNDING

PERCENT_E2 = 10_000
"""100 per cent with two decimals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossRules:
    """What a loss is judged by. LOSS_TERMS says what each value means and where it comes from."""

    complete_least_e2_pct: int = 9_800
    area_least_e2_pct: int = 0
    area_most_e2_pct: int = 700
    feeder_least_e2_pct: int = 0
    feeder_most_e2_pct: int = 1_000
    moved_within_days: int = 1
    zero_usage_most_wh: int = 0
    usual_least_wh: int = 1_000
    neighbours_least_e2_pct: int = 5_000
    clock_off_least_s: int = 300
    wrong_area_candidates: int = 3
    rounding: str = "half_up"

    def __post_init__(self) -> None:
        check_ranges(self, LOSS_TERMS)
        for place in ("area", "feeder"):
            least = getattr(self, f"{place}_least_e2_pct")
            most = getattr(self, f"{place}_most_e2_pct")
            if least > most:
                fix = f"give at most {place}_most_e2_pct, {most}"
                raise BadInput(f"{place}_least_e2_pct", f"is {least}", fix)
        if self.rounding not in ROUNDING:
            fix = f"one of {', '.join(ROUNDING)}"
            raise BadInput("rounding", f"{self.rounding!r} is not known", fix)


LOSS_TERMS: dict[str, Term] = {
    "complete_least_e2_pct": Term(
        "least share of points read (not estimated) for a loss to be published, 1/100 %",
        f"{UNCONFIRMED}: domain.md 5 says 98 to 99 %",
        0,
        PERCENT_E2,
    ),
    "area_least_e2_pct": Term(
        "a loss of an area below this is an alarm, 1/100 %",
        f"{UNCONFIRMED}: domain.md 5, a negative loss",
        -PERCENT_E2,
        PERCENT_E2,
    ),
    "area_most_e2_pct": Term(
        "a loss of an area above this is an alarm, 1/100 %",
        f"{UNCONFIRMED}: domain.md 5 says 0 to 7 or 10 %",
        -PERCENT_E2,
        PERCENT_E2,
    ),
    "feeder_least_e2_pct": Term(
        "a loss of a feeder below this is an alarm, 1/100 %",
        f"{UNCONFIRMED}: domain.md 5, a negative loss",
        -PERCENT_E2,
        PERCENT_E2,
    ),
    "feeder_most_e2_pct": Term(
        "a loss of a feeder with its areas above this is an alarm, 1/100 %",
        f"{UNCONFIRMED}: domain.md 5 says 0 to 7 or 10 %",
        -PERCENT_E2,
        PERCENT_E2,
    ),
    "moved_within_days": Term(
        "a member that came or left so many days ago may be in the wrong area",
        f"{UNCONFIRMED}: the day itself",
        1,
        366,
    ),
    "zero_usage_most_wh": Term(
        "usage up to this counts as none", f"{UNCONFIRMED}: the register stood still", 0, 10**9
    ),
    "usual_least_wh": Term(
        "a point whose usual day is below this may well use nothing", f"{UNCONFIRMED}", 1, 10**12
    ),
    "neighbours_least_e2_pct": Term(
        "the other members used at least this share of their usual day, 1/100 %: no outage",
        f"{UNCONFIRMED}: half",
        0,
        PERCENT_E2,
    ),
    "clock_off_least_s": Term(
        "a meter whose clock is off by so much freezes another day than its neighbours",
        f"{UNCONFIRMED}: domain.md 2 rule 1, 5 min",
        1,
        86_400,
    ),
    "wrong_area_candidates": Term(
        "so many members that would explain two areas at once are named", f"{UNCONFIRMED}", 0, 100
    ),
}
"""What each number means and where it comes from."""

DEFAULT_LOSS_RULES = LossRules()
