"""What metrology knows of a meter: its class and uses, the runs judged, the cases about it.

A key costs about 1 KB with one use; each verification (every 6 to 8 years) adds a run id and each
failed one a case: it hardly grows.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from services.metrology.correction_energy import WHOLE_ERROR
from services.metrology.events import (
    CorrectionDecided,
    CorrectionProposed,
    MeterAwaited,
    MeterJudged,
    MeterNoted,
)
from services.metrology.judgement import FAILED, PASSED, BenchRun


@dataclass(frozen=True, slots=True)
class Shared:
    """Nothing is true for all meters of a partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A run that found the meter's error beyond its limit: what a correction rests on."""

    run_id: str
    meter_no: str
    error_e4_pct: int
    measured_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """One meter.

    notes: what it is and where it was used, by account; held: runs that wait for it to be known;
    run_ids: runs judged; passed_on: the days on which it passed here; failures: runs on which
    corrections rest; cases by id, with their status in `decided`.
    """

    notes: dict[str, MeterNoted] = field(default_factory=dict)
    held: tuple[BenchRun, ...] = ()
    run_ids: tuple[str, ...] = ()
    passed_on: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    cases: dict[str, CorrectionProposed] = field(default_factory=dict)
    decided: dict[str, str] = field(default_factory=dict)


def evolve(state: Any, event: Any) -> Any:
    """Fold one own event into the state of its meter."""
    meter: Meter = state or Meter()
    match event:
        case MeterNoted():
            return replace(meter, notes={**meter.notes, event.account_no: event}, held=())
        case MeterAwaited():
            return replace(meter, held=(*meter.held, event.run))
        case MeterJudged():
            return _judged(meter, event)
        case CorrectionProposed():
            return replace(meter, cases={**meter.cases, event.case_id: event})
        case CorrectionDecided():
            return replace(meter, decided={**meter.decided, event.case_id: event.decision})
    return state


def _judged(meter: Meter, event: MeterJudged) -> Meter:
    judgement = event.judgement
    meter = replace(meter, run_ids=(*meter.run_ids, judgement.run_id))
    if judgement.verdict == PASSED:
        return replace(meter, passed_on=(*meter.passed_on, event.measured_on))
    error = event.representative_e4_pct
    is_beyond = any(point.verdict == FAILED for point in judgement.points)
    if judgement.verdict != FAILED or not is_beyond or not is_correctable(error):
        return meter
    assert error is not None, "no correction rests on an error that is not known"
    failure = Failure(
        run_id=judgement.run_id,
        meter_no=judgement.meter_no,
        error_e4_pct=error,
        measured_on=event.measured_on,
    )
    return replace(meter, failures=(*meter.failures, failure))


def is_correctable(error_e4_pct: int | None) -> bool:
    """Whether energy can be corrected by an error: it is known, not zero, and above -100 %."""
    return error_e4_pct is not None and error_e4_pct > -WHOLE_ERROR and error_e4_pct != 0
