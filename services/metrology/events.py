"""What the lab found: measured points, judgements, certificates, and proposed corrections.

Names here are the storage format. Errors are integers of 1e-4 percent (+1.23 % is 12300).
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.core import Tick
from libs.events.registry import Catalogue
from services.metrology.judgement import BenchRun, Judgement

edge_catalogue = Catalogue("metrology.edge")
catalogue = Catalogue("metrology")
catalogue.reads("clock.ticked")(Tick)


@edge_catalogue.event("metrology.run_measured")
@dataclass(frozen=True, slots=True, kw_only=True)
class RunMeasured:
    """A whole bench run on one meter, with its lines as they came (metrology.bench, by meter)."""

    run: BenchRun
    lines: tuple[str, ...]
    received_at: str


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


for _type, _body in (
    ("metrology.run_measured", RunMeasured),
    ("metrology.run_garbled", RunGarbled),
    ("metrology.case_decided", CaseDecided),
):
    catalogue.reads(_type)(_body)


@dataclass(frozen=True, slots=True, kw_only=True)
class UseNoted:
    """Where the meter served the account, from an instant to an instant ("" open)."""

    usage_point: str
    account_no: str
    from_at: str
    to_at: str


@catalogue.event("metrology.meter_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class MeterNoted:
    """A meter's class and its uses by one account (content of customers.meters)."""

    meter_no: str
    account_no: str
    version: int
    accuracy_class: str
    connection: str
    verified_on: str
    uses: tuple[UseNoted, ...]


@catalogue.event("metrology.meter_awaited")
@dataclass(frozen=True, slots=True, kw_only=True)
class MeterAwaited:
    """A run on a meter that is not known yet: it is held, and judged when the meter is."""

    meter_no: str
    run: BenchRun


@catalogue.event("metrology.meter_judged")
@dataclass(frozen=True, slots=True, kw_only=True)
class MeterJudged:
    """The judgement of a run: pass, fail, not_judged, with every point and its limit.

    representative_e4_pct: the error that stands for the meter, None when it cannot be told;
    next_due_on: of the next verification, "" unless it passed.
    """

    judgement: Judgement
    representative_e4_pct: int | None
    representative_text: str
    measured_on: str
    next_due_on: str


@catalogue.event("metrology.run_repeated")
@dataclass(frozen=True, slots=True, kw_only=True)
class RunRepeated:
    """A run that was judged already: a bench repeats it until it is answered."""

    run_id: str
    meter_no: str


@catalogue.event("metrology.run_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class RunRejected:
    """What a bench sent is no run."""

    run_id: str
    meter_no: str
    problem: str


@catalogue.event("metrology.correction_proposed")
@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionProposed:
    """A failed meter that was installed at an account's point (own, and on metrology.findings).

    case_id: run, point, and the day the meter came to it; the same case is proposed again with
    other days when it turns out, before it is decided, that the meter was used otherwise;
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
    reason: str = ""


@catalogue.event("metrology.case_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRejected:
    """A decision on a case that is not open."""

    case_id: str
    meter_no: str
    problem: str
