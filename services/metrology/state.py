"""What metrology knows of a key: a meter with its device, or a seal; and of the standards.

A key is the number of a meter (or another device) or of a seal; should a meter and a seal bear the
same number, each has its own part of the entry. A meter costs about 1 KB with one use; each
verification (every 6 to 8 years) adds a run id and each failed one a case: it hardly grows. What
waits is bounded (`HELD_MOST`, about 1.5 KB a run), and so are the runs that were refused and the
request ids remembered. A seal costs 0.5 KB for ever, since it is never used again. The standards
are the same in every partition: 0.2 KB a certificate, at most 20 of each.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from services.metrology.correction_energy import WHOLE_ERROR
from services.metrology.device_store import StoredDevice
from services.metrology.error_limits import MeterRating
from services.metrology.events import (
    CorrectionDecided,
    CorrectionProposed,
    DeviceMoved,
    MeterAwaited,
    MeterJudged,
    MeterNoted,
    RunRejected,
    SealBrokenFound,
    SealCaseClosed,
    SealMoved,
    StandardAdopted,
    StandardAwaited,
    StandardRejected,
    VerificationDue,
    VerificationOverdue,
    VerificationUntracked,
)
from services.metrology.judgement import FAILED, PASSED, BenchRun
from services.metrology.seal_custody import Seal
from services.metrology.standards_register import CertifiedStandard, adopt

HELD_MOST = 16
"""So many runs of a meter wait at most; a further one is rejected and must be measured again."""
REFUSED_MOST = 4
"""So many refused runs are judged after all when a certificate comes for them: the last ones."""
REQUESTS_MOST = 8
"""A request that came twice is known among so many: an edge repeats its last one."""

DUE, OVERDUE, UNTRACKED = "due", "overdue", "untracked"


@dataclass(frozen=True, slots=True)
class Shared:
    """The register of benches and reference meters, by `register_key`."""

    standards: dict[str, tuple[CertifiedStandard, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A run that found the meter's error beyond its limit: what a correction rests on."""

    run_id: str
    meter_no: str
    error_e4_pct: int
    measured_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The last verdict on a meter, pass or fail, which may move it in the store."""

    run_id: str
    verdict: str
    measured_at: str
    bench_no: str
    operator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """One meter, or another device of the store.

    notes: what it is and where it was used, by account; held: runs that wait for it, or for a
    bench, to be known; refused: runs whose bench might not judge; run_ids: runs judged; passed_on:
    the days on which it passed here; failures: runs on which corrections rest; cases by id, with
    their status in `decided`; broken: seals found broken, by case, closed ones also in `decided`.
    device: where it is; delivered: what it is by its delivery; told: by duty, what was told of it.
    """

    notes: dict[str, MeterNoted] = field(default_factory=dict)
    held: tuple[BenchRun, ...] = ()
    refused: tuple[BenchRun, ...] = ()
    run_ids: tuple[str, ...] = ()
    passed_on: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    cases: dict[str, CorrectionProposed] = field(default_factory=dict)
    decided: dict[str, str] = field(default_factory=dict)
    broken: dict[str, SealBrokenFound] = field(default_factory=dict)
    verdict: Verdict | None = None
    device: StoredDevice | None = None
    delivered: MeterRating | None = None
    request_ids: tuple[str, ...] = ()
    told: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealTrail:
    """One seal: where it is, and the last entries, so that a repeated one is known."""

    seal: Seal
    request_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is known under one number."""

    meter: Meter = field(default_factory=Meter)
    trail: SealTrail | None = None


def evolve(state: Any, event: Any) -> Any:
    """Fold one own event into the state of its key."""
    if isinstance(event, StandardAdopted):
        standards = adopt(state.standards, event.standard)
        assert standards is not None, "what is known already is not adopted"
        return Shared(standards=dict(standards))
    if isinstance(event, StandardRejected):
        return state
    entry: Entry = state or Entry()
    if isinstance(event, SealMoved):
        known = entry.trail.request_ids if entry.trail else ()
        ids = (*known, event.request_id)[-REQUESTS_MOST:]
        return replace(entry, trail=SealTrail(seal=event.seal, request_ids=ids))
    meter = evolve_meter(entry.meter, event)
    return state if meter is entry.meter else replace(entry, meter=meter)


def evolve_meter(meter: Meter, event: Any) -> Meter:
    """Fold one own event into the state of its meter."""
    match event:
        case MeterNoted():
            return replace(meter, notes={**meter.notes, event.account_no: event})
        case MeterAwaited() | StandardAwaited():
            return replace(meter, held=(*meter.held, event.run))
        case RunRejected():
            return _refused(meter, event)
        case MeterJudged():
            return _judged(meter, event)
        case CorrectionProposed():
            return replace(meter, cases={**meter.cases, event.case_id: event})
        case CorrectionDecided():
            return replace(meter, decided={**meter.decided, event.case_id: event.decision})
        case SealBrokenFound():
            return replace(meter, broken={**meter.broken, event.case_id: event})
        case SealCaseClosed():
            return replace(meter, decided={**meter.decided, event.case_id: "closed"})
        case DeviceMoved():
            return _moved(meter, event)
        case VerificationDue():
            return replace(meter, told={**meter.told, event.duty: f"{DUE} {event.due_on}"})
        case VerificationOverdue():
            return replace(meter, told={**meter.told, event.duty: f"{OVERDUE} {event.due_on}"})
        case VerificationUntracked():
            return replace(meter, told={**meter.told, event.duty: UNTRACKED})
    return meter


def _without(runs: tuple[BenchRun, ...], run_id: str) -> tuple[BenchRun, ...]:
    return tuple(run for run in runs if run.run_id != run_id)


def _refused(meter: Meter, event: RunRejected) -> Meter:
    """What is no run is forgotten; one that the bench might not judge may be judged later."""
    held = _without(meter.held, event.run_id)
    refused = _without(meter.refused, event.run_id)
    if event.run is not None:
        refused = (*refused, event.run)[-REFUSED_MOST:]
    if (held, refused) == (meter.held, meter.refused):
        return meter
    return replace(meter, held=held, refused=refused)


def _moved(meter: Meter, event: DeviceMoved) -> Meter:
    delivered, ids = meter.delivered, meter.request_ids
    if event.accuracy_class:
        delivered = MeterRating(accuracy_class=event.accuracy_class, connection=event.connection)
    if event.request_id:
        ids = (*ids, event.request_id)[-REQUESTS_MOST:]
    return replace(meter, device=event.device, delivered=delivered, request_ids=ids)


def _judged(meter: Meter, event: MeterJudged) -> Meter:
    judgement = event.judgement
    meter = replace(
        meter,
        run_ids=(*meter.run_ids, judgement.run_id),
        held=_without(meter.held, judgement.run_id),
        refused=_without(meter.refused, judgement.run_id),
        verdict=_last_verdict(meter.verdict, event),
    )
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


def _last_verdict(known: Verdict | None, event: MeterJudged) -> Verdict | None:
    """The verdict on the newest measurement, in whatever order they were judged."""
    judgement = event.judgement
    if judgement.verdict not in (PASSED, FAILED) or not event.measured_at:
        return known
    found = Verdict(
        run_id=judgement.run_id,
        verdict=judgement.verdict,
        measured_at=event.measured_at,
        bench_no=event.bench_no,
        operator=event.operator,
    )
    if known is None or (known.measured_at, known.run_id) < (found.measured_at, found.run_id):
        return found
    return known


def is_correctable(error_e4_pct: int | None) -> bool:
    """Whether energy can be corrected by an error: it is known, not zero, and above -100 %."""
    return error_e4_pct is not None and error_e4_pct > -WHOLE_ERROR and error_e4_pct != 0
