"""What metrology judges and reminds by besides the error limits, each a documented default.

Another policy is another decider: replay compares only what the same policy decided.

    DEFAULT_POLICY.notice_days              30
    DEFAULT_POLICY.cycle_months["0.5S"]     72
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from libs.events.policy import Term, check_ranges
from services.metrology.due_list import DEFAULT_PERIODS, CheckPeriods
from services.metrology.representative_error import (
    DEFAULT_RULE,
    RepresentativeRule,
    WeightedPoint,
)
from services.metrology.verification_cycle import DEFAULT_CYCLES

_CYCLES = DEFAULT_CYCLES.cycle_months
_WEIGHTS = {point.current: point.weight for point in DEFAULT_RULE.weights}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The numbers of the laboratory. TERMS says what each means and where it comes from."""

    notice_days: int = 30
    bench_clock_ahead_min: int = 60
    cycle_months: dict[str, int] = field(default_factory=lambda: dict(_CYCLES))
    on_site_months: dict[str, int] = field(
        default_factory=lambda: dict(DEFAULT_PERIODS.on_site_months)
    )
    rotation_months: dict[str, int] = field(
        default_factory=lambda: dict(DEFAULT_PERIODS.rotation_months)
    )
    first_check_months: int = DEFAULT_PERIODS.first_check_months
    error_weights: dict[str, int] = field(default_factory=lambda: dict(_WEIGHTS))

    def __post_init__(self) -> None:
        check_ranges(self, TERMS)

    @property
    def periods(self) -> CheckPeriods:
        """The periods of all duties."""
        return replace(
            DEFAULT_PERIODS,
            on_site_months=self.on_site_months,
            rotation_months=self.rotation_months,
            first_check_months=self.first_check_months,
            cycles=replace(DEFAULT_CYCLES, cycle_months=self.cycle_months),
        )

    @property
    def representative_rule(self) -> RepresentativeRule:
        """How the one error that stands for a meter is weighted."""
        weights = tuple(
            WeightedPoint(current=current, weight=weight)
            for current, weight in self.error_weights.items()
        )
        name = DEFAULT_RULE.id if weights == DEFAULT_RULE.weights else "weights-of-the-policy"
        return replace(DEFAULT_RULE, id=name, weights=weights)


def _months(meaning: str, source: str) -> Term:
    return Term(f"{meaning}; months", source, 1, 600)


TERMS: dict[str, Term] = {
    "notice_days": Term(
        "a duty is told so many days before it is due",
        "UNCONFIRMED: a month, to plan the crew and the bench",
        0,
        3_660,
    ),
    "bench_clock_ahead_min": Term(
        "a run dated so many minutes after its receipt is still believed, a later one is rejected",
        "UNCONFIRMED: an hour, for clocks of benches that nobody sets",
        0,
        1_440,
    ),
    **{
        f"cycle_months.{name}": _months(
            f"between two verifications of a meter of class {name}",
            DEFAULT_CYCLES.sources[name],
        )
        for name in _CYCLES
    },
    **{
        f"on_site_months.{name}": _months(
            f"between two checks on site, category {name}",
            DEFAULT_PERIODS.sources["on_site_months"],
        )
        for name in DEFAULT_PERIODS.on_site_months
    },
    **{
        f"rotation_months.{name}": _months(
            f"until an installed meter is replaced, category {name}",
            DEFAULT_PERIODS.sources["rotation_months"],
        )
        for name in DEFAULT_PERIODS.rotation_months
    },
    "first_check_months": _months(
        "from the installation to the first check on site, high voltage",
        DEFAULT_PERIODS.sources["first_check_months"],
    ),
    **{
        f"error_weights.{name}": Term(
            f"how much the point at {'Imax' if name == 'Imax' else name + ' of the base current'} "
            "weighs in the representative error",
            "UNCONFIRMED: 1:3:1 (domain.md 3.6)",
            1,
            1_000,
        )
        for name in _WEIGHTS
    },
}
"""What each value means and where it comes from."""

DEFAULT_POLICY = Policy()
