"""What validation remembers of voltages: what each sample of the last months counted as.

A sample is kept in some 20 bytes: the interval it stands for, its side of the band and, outside,
the extreme. A reading that counts brings one, so with a reading a day a month costs 0.6 KB; the
open month and three closed ones are kept, 2.5 KB a point, and no more with time.

    months = months_with({}, accepted, KEEP_DAYS)
    months["2026-03"].samples[""]      ((86_400, JudgedSample("over", 2410, "a")),)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from libs.events.policy import UNCONFIRMED, Term
from services.validation.events import ReadingAccepted, VoltageMonthClosed, VoltageNoted
from services.validation.instant import seconds_between
from services.validation.voltage_band import PHASE_NOMINAL_DV
from services.validation.voltage_quality import (
    DAY_S,
    INSIDE,
    OUTAGE,
    QUALITY_TERMS,
    JudgedSample,
    QualityRules,
    month_of,
    month_span,
)

SAMPLED_DAILY = QualityRules(interval_s=DAY_S)
"""A sample a day stands for the day, so that a rate of daily readings means a share of days."""

VOLTAGE_TERMS: dict[str, Term] = {
    f"voltage.{name}": term for name, term in QUALITY_TERMS.items()
} | {
    "voltage.interval_s": Term(
        "seconds that one sample stands for: how often a point's voltages are read",
        f"{UNCONFIRMED}: one reading a day",
        1,
        DAY_S,
    )
}
"""What each value means and where it comes from."""

Samples = Mapping[int, JudgedSample]
"""By the end of the interval, in seconds since the month began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoltageMonth:
    """A month of a point: its samples by phase ("" for all together) in order of time, and its last
    revision, 0 until it is closed."""

    samples: dict[str, tuple[tuple[int, JudgedSample], ...]] = field(default_factory=dict)
    revision: int = 0


def months_with(
    months: dict[str, VoltageMonth], event: Any, keep_days: int
) -> dict[str, VoltageMonth]:
    """The months after an own event; the same object when it says nothing of voltages. Closing one
    forgets those that ended `keep_days` before its end."""
    match event:
        case ReadingAccepted(voltage=VoltageNoted() as noted):
            month = month_of(noted.at)
            return {**months, month: _with_sample(months.get(month), month, noted)}
        case VoltageMonthClosed():
            end_at = month_span(event.month)[1]
            kept = {
                month: found
                for month, found in months.items()
                if seconds_between(month_span(month)[1], end_at) <= keep_days * DAY_S
            }
            return {**kept, event.month: replace(kept[event.month], revision=event.revision)}
    return months


def _with_sample(known: VoltageMonth | None, month: str, noted: VoltageNoted) -> VoltageMonth:
    before = known or VoltageMonth()
    offset_s = seconds_between(month_span(month)[0], noted.at)
    samples = dict(before.samples)
    for counted in noted.counted:
        sample = JudgedSample(counted.side, counted.extreme_dv, counted.extreme_phase)
        of_phase = with_sample(dict(samples.get(counted.phase, ())), offset_s, sample)
        samples[counted.phase] = tuple(sorted(of_phase.items()))
    return replace(before, samples=samples)


def with_sample(samples: Samples, offset_s: int, sample: JudgedSample) -> dict[int, JudgedSample]:
    """Samples with one more. An interval that was read several times counts as its worst, whatever
    came first: farther from nominal, inside, outage (there was supply in between)."""
    known = samples.get(offset_s)
    return {**samples, offset_s: sample if known is None else max(known, sample, key=_badness)}


def _badness(sample: JudgedSample) -> tuple[int, int, JudgedSample]:
    rank = {OUTAGE: 0, INSIDE: 1}.get(sample.side, 2)
    return rank, abs(sample.extreme_dv - PHASE_NOMINAL_DV), sample
