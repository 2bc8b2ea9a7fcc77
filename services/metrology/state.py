"""What metrology knows of a meter: its class and uses, the runs judged, the cases about it.

A key costs about 1 KB with one use; each verification (every 6 to 8 years) adds a run id and each
failed one a case: it hardly grows.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from services.metrology.events import (
    CorrectionDecided,
    CorrectionProposed,
    MeterAwaited,
    MeterJudged,
    MeterNoted,
)
from services.metrology.judgement import BenchRun


@dataclass(frozen=True, slots=True)
class Shared:
    """Nothing is true for all meters of a partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """One meter; `notes` by account, `cases` by id with their status in `decided`."""

    notes: dict[str, MeterNoted] = field(default_factory=dict)
    held: tuple[BenchRun, ...] = ()
    run_ids: tuple[str, ...] = ()
    verified_on: str = ""
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
            passed = event.judgement.verdict == "pass"
            return replace(
                meter,
                run_ids=(*meter.run_ids, event.judgement.run_id),
                verified_on=event.measured_on if passed else meter.verified_on,
            )
        case CorrectionProposed():
            return replace(meter, cases={**meter.cases, event.case_id: event})
        case CorrectionDecided():
            return replace(meter, decided={**meter.decided, event.case_id: event.decision})
    return state
