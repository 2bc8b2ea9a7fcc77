"""What the lab found: measured points, judgements, certificates, and proposed corrections.

Names here are the storage format. Errors are integers of 1e-4 percent (+1.23 % is 12300).
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.core import Tick
from libs.events.registry import Catalogue

edge_catalogue = Catalogue("metrology.edge")
catalogue = Catalogue("metrology")
catalogue.reads("clock.ticked")(Tick)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredPoint:
    """One load point. current: 0.05Ib, 1.0In, Imax; power_factor: 1.0, 0.5L, 0.8C;
    load: balanced or single_phase."""

    current: str
    power_factor: str
    load: str
    error_e4_pct: int


@edge_catalogue.event("metrology.points_measured")
@dataclass(frozen=True, slots=True, kw_only=True)
class PointsMeasured:
    """A bench run on one meter (metrology.bench, by meter)."""

    run_id: str
    meter_no: str
    bench_no: str
    reference_meter_no: str
    reference_class: str
    reference_due_on: str
    measured_at: str
    operator: str
    points: tuple[MeasuredPoint, ...]
    starts: bool | None
    creeps: bool | None
    constant_ok: bool | None


@edge_catalogue.event("metrology.run_garbled")
@dataclass(frozen=True, slots=True, kw_only=True)
class RunGarbled:
    """A bench sent what is no run: the line as it came, and why it is none."""

    run_id: str
    meter_no: str
    line: str
    problem: str
    received_at: str


@edge_catalogue.event("metrology.case_decided")
@dataclass(frozen=True, slots=True, kw_only=True)
class CaseDecided:
    """A person approved or refused a proposed correction (metrology.bench, by meter)."""

    case_id: str
    meter_no: str
    decision: str
    decided_by: str
    reason: str


@catalogue.event("metrology.meter_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class MeterNoted:
    """A meter's class and uses (content of customers.meters)."""

    meter_no: str
    version: int
    accuracy_class: str
    connection: str
    verified_on: str
    uses: tuple[UseNoted, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UseNoted:
    """Where the meter was installed, from an instant to an instant ("" open)."""

    usage_point: str
    account_no: str
    from_at: str
    to_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PointJudged:
    """A measured point with its rounded error, its limit and the verdict: pass, fail,
    not_judged (with the reason)."""

    current: str
    power_factor: str
    load: str
    error_e4_pct: int
    rounded_e4_pct: int
    limit_e4_pct: int
    verdict: str
    reason: str


@catalogue.event("metrology.meter_judged")
@dataclass(frozen=True, slots=True, kw_only=True)
class MeterJudged:
    """The judgement of a run: passed, failed, not_judged."""

    run_id: str
    meter_no: str
    accuracy_class: str
    verdict: str
    points: tuple[PointJudged, ...]
    reasons: tuple[str, ...]
    representative_e4_pct: int | None
    judged_at: str
    next_due_on: str


@catalogue.event("metrology.run_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class RunRejected:
    """A run that cannot be judged at all: garbled, unknown meter, repeated, reference overdue."""

    run_id: str
    meter_no: str
    problem: str


@catalogue.event("metrology.correction_proposed")
@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionProposed:
    """A failed meter that was installed at an account's point (own, and on metrology.findings).

    rule: the legal rule's name; from_on and to_on: the period that is corrected (half of the time
    since the last verification or installation); error_e4_pct: the representative error.
    """

    case_id: str
    meter_no: str
    run_id: str
    account_no: str
    usage_point: str
    error_e4_pct: int
    rule: str
    from_on: str
    to_on: str


@catalogue.event("metrology.correction_decided")
@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionDecided:
    """The case was approved or refused by a person (own, and on metrology.findings)."""

    case_id: str
    meter_no: str
    account_no: str
    usage_point: str
    error_e4_pct: int
    rule: str
    from_on: str
    to_on: str
    decision: str
    decided_by: str


@catalogue.event("metrology.case_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRejected:
    """A decision on a case that is not open."""

    case_id: str
    meter_no: str
    problem: str
