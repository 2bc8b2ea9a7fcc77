"""Voltage quality of a point in a month: the qualified rate, and every event with its extreme.

    qualified rate = time inside the band / time measured        (GB/T 12325 bands, voltage_band.py)

A sample stands for one interval that ends at its instant. Time is counted in whole samples, so the
rate is an exact fraction, rounded by a named rule: down, unless configured, so that 100.00 % means
every sample. An event is a run of samples on the same side of the band; a gap ends it and is said.
Samples near zero on all phases are an outage: counted apart, neither inside nor outside.

    quality = voltage_quality("P1", "2026-01", samples, supply, rules, DEFAULT_BAND)
    quality.rate_e2_pct     9967

The same in two steps, for those who keep what a sample counted as and no voltages: `SampleJudge`
says on which side of the band one lies, `MonthFold` counts them in order of time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import NamedTuple

from libs.events.errors import BadInput
from libs.events.policy import UNCONFIRMED, Term, check_ranges
from libs.events.quantities import ROUNDING
from services.validation.default_rules import DEFAULT_RULE_BOOK
from services.validation.finding import FAIL, PASS, WARN
from services.validation.instant import (
    UTC_OFFSET_MINUTES,
    day_start,
    format_instant,
    seconds_between,
)
from services.validation.rule_set import RuleSettings
from services.validation.voltage_band import (
    LEVEL_DV,
    LOW_VOLTAGE,
    PHASE_NOMINAL_DV,
    VoltageWindow,
    deviation_pct,
    voltage_band,
)

PERCENT_E2 = 10_000
PERMILLE = 1000
DAY_S = 86_400

INSIDE, OVER, UNDER, OUTAGE, NO_BAND = "inside", "over", "under", "outage", "no_band"
QUALIFIED, UNQUALIFIED, NOT_COMPARABLE = "qualified", "unqualified", "not_comparable"

ANY_PHASE, WORST_PHASE = "any_phase", "worst_phase"
PHASE_RULES = (ANY_PHASE, WORST_PHASE)

DEFAULT_BAND = DEFAULT_RULE_BOOK.rules["voltage_band"]
"""The limits of GB/T 12325."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRules:
    """What a month is judged by. QUALITY_TERMS says what each value means.

    phase_rule: any_phase (a sample is outside when any phase is) or worst_phase (each phase by
    itself; the month is that of the phase with the lowest rate).
    """

    interval_s: int = 900
    complete_least_e2_pct: int = 9_000
    qualified_least_e2_pct: int = 9_800
    outage_below_permille: int = 100
    phase_rule: str = ANY_PHASE
    rounding: str = "floor"

    def __post_init__(self) -> None:
        check_ranges(self, QUALITY_TERMS)
        if DAY_S % self.interval_s:
            problem = f"a day is no multiple of {self.interval_s} s"
            raise BadInput("interval_s", problem, "give a divisor of 86400")
        for name, known in (("phase_rule", PHASE_RULES), ("rounding", tuple(ROUNDING))):
            value = getattr(self, name)
            if value not in known:
                raise BadInput(name, f"{value!r} is not known", f"one of {', '.join(known)}")


QUALITY_TERMS: dict[str, Term] = {
    "interval_s": Term("seconds that one sample stands for", f"{UNCONFIRMED}: 15 min", 1, DAY_S),
    "complete_least_e2_pct": Term(
        "least share of the month's samples for a rate to be published, 1/100 %",
        f"{UNCONFIRMED}: 90 %",
        0,
        PERCENT_E2,
    ),
    "qualified_least_e2_pct": Term(
        "a rate below this fails, 1/100 %", f"{UNCONFIRMED}: 98 %", 0, PERCENT_E2
    ),
    "outage_below_permille": Term(
        "all phases below this share of nominal: no supply, so no voltage quality",
        f"{UNCONFIRMED}: a tenth",
        0,
        PERMILLE,
    ),
    "phase_rule": Term(
        f"{ANY_PHASE}: outside when any phase is; {WORST_PHASE}: the phase with the lowest rate",
        f"{UNCONFIRMED}: all phases together",
    ),
    "rounding": Term(f"of the rate: {', '.join(ROUNDING)}", "ours: 100.00 % means every sample"),
}
"""What each value means and where it comes from."""

DEFAULT_QUALITY_RULES = QualityRules()


@dataclass(frozen=True, slots=True, kw_only=True)
class VoltageSample:
    """The voltages by phase (l1, l2, l3) in 0.1 V of the interval that ends at `at`."""

    at: str
    voltages_dv: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class VoltageSupply:
    """What is measured: the voltage class (LEVEL_DV), what a phase should show, 1 or 3 phases."""

    voltage_class: str = LOW_VOLTAGE
    nominal_dv: int = PHASE_NOMINAL_DV
    phases: int = 3

    def __post_init__(self) -> None:
        if self.voltage_class not in LEVEL_DV:
            fix = f"use {', '.join(LEVEL_DV)}"
            raise BadInput("voltage_class", f"{self.voltage_class!r} is unknown", fix)
        if self.nominal_dv <= 0:
            raise BadInput("nominal_dv", f"is {self.nominal_dv}", "give it in 0.1 V")
        if self.phases not in {1, 3}:
            raise BadInput("phases", f"is {self.phases}", "use 1 or 3")


@dataclass(frozen=True, slots=True, kw_only=True)
class VoltageEvent:
    """A run of samples outside the band, on one side, from the start of the first to the end of the
    last; extreme_dv is the voltage farthest from nominal. ended_by: inside, other_side, outage, gap
    (samples are missing), month_end, or "" while it lasts."""

    side: str
    start_at: str
    end_at: str
    samples: int
    extreme_dv: int
    extreme_deviation_pct: str
    ended_by: str
    extreme_phase: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoltageQuality:
    """A point's month. Times are whole samples x interval; rate_e2_pct is None unless comparable.

    phase: the phase that it is about, "" for all together.
    """

    usage_point: str
    month: str
    phase: str
    expected_samples: int
    found_samples: int
    inside_s: int
    over_s: int
    under_s: int
    outage_s: int
    rate_e2_pct: int | None
    status: str
    reason: str
    events: tuple[VoltageEvent, ...]

    @property
    def missing_samples(self) -> int:
        """Samples of the month that are not there."""
        return self.expected_samples - self.found_samples


def voltage_quality(
    usage_point: str,
    month: str,
    samples: Iterable[VoltageSample],
    supply: VoltageSupply,
    rules: QualityRules = DEFAULT_QUALITY_RULES,
    band: RuleSettings = DEFAULT_BAND,
) -> VoltageQuality:
    """The quality of a month (2026-01) from its samples in order of time; holds no sample.

    BadInput when a sample is outside the month, out of order, off the grid, or has no voltage.
    """
    judge = SampleJudge(supply, rules, band)
    month_so_far = MonthFold(usage_point, month, supply.nominal_dv, rules)
    for sample in samples:
        if not sample.voltages_dv:
            raise BadInput("voltages", f"there are none at {sample.at}", "leave the sample out")
        month_so_far.add(sample.at, judge.judged(sample.voltages_dv))
    return worst_of(month_so_far.qualities())


def worst_of(qualities: Iterable[VoltageQuality]) -> VoltageQuality:
    """The month of the phase with the lowest rate; the first one where no rate is published."""
    return min(qualities, key=lambda found: (found.rate_e2_pct is None, found.rate_e2_pct))


def month_span(month: str) -> tuple[str, str]:
    """The instants at which a month of the utility's zone begins and ends."""
    try:
        begins = date.fromisoformat(f"{month}-01")
    except ValueError:
        raise BadInput("month", f"{month!r} is no month", "write it as 2026-01") from None
    ends = (begins + timedelta(days=31)).replace(day=1)
    return tuple(format_instant(day_start(day.isoformat())) for day in (begins, ends))  # type: ignore[return-value]


def month_of(at: str) -> str:
    """The month of the interval that ends at an instant: 24:00 of the 31st is still that month."""
    before = day_start("1970-01-01", 0) + timedelta(
        seconds=seconds_between("1970-01-01T00:00:00Z", at) - 1, minutes=UTC_OFFSET_MINUTES
    )
    return before.date().isoformat()[:7]


class JudgedSample(NamedTuple):
    """What one sample counts as. extreme_dv and its phase: where it is outside, else 0 and ""."""

    side: str
    extreme_dv: int = 0
    phase: str = ""


class SampleJudge:
    """On which side of the band samples lie; equal voltages are judged once."""

    def __init__(
        self, supply: VoltageSupply, rules: QualityRules, band: RuleSettings = DEFAULT_BAND
    ) -> None:
        self._supply = supply
        self._is_each = rules.phase_rule == WORST_PHASE
        self._outage_below = supply.nominal_dv * rules.outage_below_permille
        self._settings = RuleSettings(severity=FAIL, parameters=band.parameters)
        self._known: dict[tuple[int, int], str] = {}

    def judged(self, voltages_dv: Mapping[str, int]) -> dict[str, JudgedSample]:
        """What the voltages of one sample count as: "" for all together, or each phase by itself,
        as the rules say."""
        is_outage = self.is_outage(max(voltages_dv.values()))
        if self._is_each:
            return {
                phase: self._counted({phase: value}, is_outage)
                for phase, value in voltages_dv.items()
            }
        return {"": self._counted(voltages_dv, is_outage)}

    def _counted(self, voltages_dv: Mapping[str, int], is_outage: bool) -> JudgedSample:
        if is_outage:
            return JudgedSample(OUTAGE)
        side = self.side(max(voltages_dv.values()), min(voltages_dv.values()))
        if side not in (OVER, UNDER):
            return JudgedSample(side)
        farthest = max if side == OVER else min
        phase = farthest(sorted(voltages_dv), key=lambda name: voltages_dv[name])
        return JudgedSample(side, voltages_dv[phase], phase)

    def is_outage(self, highest_dv: int) -> bool:
        """Whether the highest of all phases is so low that there was no supply."""
        return highest_dv * PERMILLE < self._outage_below

    def side(self, highest_dv: int, lowest_dv: int) -> str:
        """The side of a window of voltages; no_band where the standard states none."""
        key = (highest_dv, lowest_dv)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._judge(highest_dv, lowest_dv)
        return found

    def _judge(self, highest_dv: int, lowest_dv: int) -> str:
        severity = self._severity(highest_dv, lowest_dv)
        if severity == PASS:
            return INSIDE
        if severity == WARN:
            return NO_BAND  # the standard states none for this level
        if self._severity(highest_dv, highest_dv) == PASS:
            nominal = self._supply.nominal_dv
            alone = self._severity(lowest_dv, lowest_dv) == FAIL
            return UNDER if alone or nominal - lowest_dv > highest_dv - nominal else OVER
        nominal = self._supply.nominal_dv
        return OVER if highest_dv - nominal >= nominal - lowest_dv else UNDER

    def _severity(self, highest_dv: int, lowest_dv: int) -> str:
        window = VoltageWindow(
            level_dv=LEVEL_DV[self._supply.voltage_class],
            phases=self._supply.phases,
            nominal_dv=self._supply.nominal_dv,
            highest_dv=highest_dv,
            lowest_dv=lowest_dv,
        )
        return voltage_band(window, self._settings).severity


class MonthFold:
    """A month sample by sample, in order of time: what it keeps are counts and events."""

    def __init__(self, usage_point: str, month: str, nominal_dv: int, rules: QualityRules) -> None:
        self._point, self._month, self._rules = usage_point, month, rules
        self._nominal_dv = nominal_dv
        self._first, self._last = month_span(month)
        self._previous_at = ""
        self._series: dict[str, _Series] = {}

    def add(self, at: str, judged: Mapping[str, JudgedSample]) -> None:
        """Count the sample that ends at an instant. BadInput when that is outside the month, out of
        order or off the grid."""
        self._check(at)
        self._previous_at = at
        for phase, sample in judged.items():
            series = self._series.get(phase)
            if series is None:
                series = self._series[phase] = _Series(self._rules.interval_s, self._nominal_dv)
            series.add(at, sample)

    def qualities(self, *, is_over: bool = True) -> tuple[VoltageQuality, ...]:
        """The month of all together, or of each phase. Unless it is over, an event that nothing has
        ended yet lasts. To be asked once, at the end."""
        seconds = seconds_between(self._first, self._last)
        expected = seconds // self._rules.interval_s
        known = self._series or {"": _Series(self._rules.interval_s, self._nominal_dv)}
        return tuple(
            each.closed(self._point, self._month, phase, expected, self._rules, is_over)
            for phase, each in sorted(known.items())
        )

    def _check(self, at: str) -> None:
        first, last, previous_at = self._first, self._last, self._previous_at
        interval_s = self._rules.interval_s
        if seconds_between(first, at) <= 0 or seconds_between(at, last) < 0:
            raise BadInput("at", f"{at} is outside the month", f"after {first}, up to {last}")
        if previous_at and seconds_between(previous_at, at) <= 0:
            fix = "sort the samples by time, each once"
            raise BadInput("at", f"{at} is not after {previous_at}", fix)
        if seconds_between(first, at) % interval_s:
            problem = f"{at} is not at a multiple of {interval_s} s"
            raise BadInput("at", problem, "give the interval of the samples")


@dataclass(slots=True)
class _Series:
    """What was counted so far of one phase, or of all together; the open event last."""

    interval_s: int
    nominal_dv: int
    counts: dict[str, int] = field(default_factory=dict)
    events: list[VoltageEvent] = field(default_factory=list)
    side: str = ""
    first_at: str = ""
    last_at: str = ""
    run: int = 0
    extreme_dv: int = 0
    extreme_phase: str = ""

    def add(self, at: str, sample: JudgedSample) -> None:
        side = sample.side
        self.counts[side] = self.counts.get(side, 0) + 1
        is_next = self.last_at and seconds_between(self.last_at, at) == self.interval_s
        if self.side and not is_next:
            self._end("gap")
        elif self.side and side != self.side:
            self._end("other_side" if side in (OVER, UNDER) else side)
        self.last_at = at
        if side not in (OVER, UNDER):
            return
        if not self.side:
            self.side, self.first_at, self.run, self.extreme_dv = side, at, 0, self.nominal_dv
        self.run += 1
        farther = (sample.extreme_dv - self.extreme_dv) * (1 if side == OVER else -1)
        if farther > 0:
            self.extreme_dv, self.extreme_phase = sample.extreme_dv, sample.phase

    def _end(self, ended_by: str) -> None:
        start = day_start("1970-01-01", 0) + timedelta(
            seconds=seconds_between("1970-01-01T00:00:00Z", self.first_at) - self.interval_s
        )
        self.events.append(
            VoltageEvent(
                side=self.side,
                start_at=format_instant(start),
                end_at=self.last_at,
                samples=self.run,
                extreme_dv=self.extreme_dv,
                extreme_deviation_pct=deviation_pct(self.extreme_dv, self.nominal_dv),
                ended_by=ended_by,
                extreme_phase=self.extreme_phase,
            )
        )
        self.side = ""

    def closed(
        self,
        usage_point: str,
        month: str,
        phase: str,
        expected: int,
        rules: QualityRules,
        is_over: bool,
    ) -> VoltageQuality:
        if self.side:
            is_last = seconds_between(self.last_at, month_span(month)[1]) == 0
            self._end("month_end" if is_last else "gap" if is_over else "")
        found = sum(self.counts.values())
        inside, over, under = (self.counts.get(name, 0) for name in (INSIDE, OVER, UNDER))
        measured = inside + over + under
        reason = ""
        if self.counts.get(NO_BAND):
            reason = "no band is stated for this voltage"
        elif found * PERCENT_E2 < rules.complete_least_e2_pct * expected:
            reason = f"{found} of {expected} samples"
        elif not measured:
            reason = "no voltage was measured"
        rate = None if reason else ROUNDING[rules.rounding](inside * PERCENT_E2, measured)
        is_good = inside * PERCENT_E2 >= rules.qualified_least_e2_pct * measured
        status = NOT_COMPARABLE if reason else (QUALIFIED if is_good else UNQUALIFIED)
        return VoltageQuality(
            usage_point=usage_point,
            month=month,
            phase=phase,
            expected_samples=expected,
            found_samples=found,
            inside_s=inside * self.interval_s,
            over_s=over * self.interval_s,
            under_s=under * self.interval_s,
            outage_s=self.counts.get(OUTAGE, 0) * self.interval_s,
            rate_e2_pct=rate,
            status=status,
            reason=reason,
            events=tuple(self.events),
        )
