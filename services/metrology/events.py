"""What the lab found: measured points, judgements, certificates, and proposed corrections.

Names here are the storage format. Errors are integers of 1e-4 percent (+1.23 % is 12300).
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.core import Tick
from libs.events.registry import Catalogue
from services.metrology.certificate import Certificate
from services.metrology.device_store import DeviceMove, StoredDevice
from services.metrology.judgement import BenchRun, Judgement
from services.metrology.seal_custody import Seal, SealEvent
from services.metrology.standards_register import CertifiedStandard

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
    """A person approved or refused a proposed correction, or closed the case of a broken seal
    (metrology.bench, by meter)."""

    case_id: str
    meter_no: str
    decision: str
    decided_by: str
    reason: str


@edge_catalogue.event("metrology.case_opened")
@dataclass(frozen=True, slots=True, kw_only=True)
class CaseOpened:
    """A person found a meter wired, or billed, wrongly: a case by hand (metrology.bench, by meter).

    kind: wiring or ratio; true energy is recorded energy times factor_num / factor_den on the days
    from `from_on` to before `to_on`, as the meter served the point; findings: what it rests on.
    """

    request_id: str
    meter_no: str
    usage_point: str
    kind: str
    factor_num: int
    factor_den: int
    from_on: str
    to_on: str
    opened_by: str
    findings: str
    requested_at: str


@edge_catalogue.event("metrology.move_requested")
@dataclass(frozen=True, slots=True, kw_only=True)
class MoveRequested:
    """A person moved a device (metrology.bench, by device).

    accuracy_class and connection come with a delivery: until the device is installed somewhere,
    they are what its runs are judged by. The same request_id is the same request.
    """

    request_id: str
    move: DeviceMove
    requested_at: str
    accuracy_class: str = ""
    connection: str = ""


@edge_catalogue.event("metrology.seal_reported")
@dataclass(frozen=True, slots=True, kw_only=True)
class SealReported:
    """An entry of the trail of a seal (metrology.bench, by seal). The same request_id is the same
    entry."""

    request_id: str
    entry: SealEvent
    reported_at: str


@edge_catalogue.event("metrology.standard_registered")
@dataclass(frozen=True, slots=True, kw_only=True)
class StandardRegistered:
    """A certificate of a bench or a reference meter (metrology.standards, every partition)."""

    standard: CertifiedStandard
    registered_by: str
    registered_at: str


for _type, _body in (
    ("metrology.run_measured", RunMeasured),
    ("metrology.run_garbled", RunGarbled),
    ("metrology.case_decided", CaseDecided),
    ("metrology.case_opened", CaseOpened),
    ("metrology.move_requested", MoveRequested),
    ("metrology.seal_reported", SealReported),
    ("metrology.standard_registered", StandardRegistered),
):
    catalogue.reads(_type)(_body)


@dataclass(frozen=True, slots=True, kw_only=True)
class UseNoted:
    """Where the meter served the account, from an instant to an instant ("" open).

    removed_at: when it was taken away from the point, "" while it is there: an account that moves
    out leaves the meter where it is.
    """

    usage_point: str
    account_no: str
    from_at: str
    to_at: str
    removed_at: str = ""


@catalogue.event("metrology.meter_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class MeterNoted:
    """A meter's class and its uses by one account (content of customers.meters).

    capacity_va: of the account's transformers in use, 0 when there are none; voltage_class: of the
    point it is at, "" when it is nowhere.
    """

    meter_no: str
    account_no: str
    version: int
    accuracy_class: str
    connection: str
    verified_on: str
    uses: tuple[UseNoted, ...]
    capacity_va: int = 0
    voltage_class: str = ""


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
    representative_rule: the rule that weighted it; next_due_on: of the next verification, ""
    unless it passed; measured_at, bench_no and operator are the run's.
    """

    judgement: Judgement
    representative_e4_pct: int | None
    representative_text: str
    measured_on: str
    next_due_on: str
    representative_rule: str = ""
    measured_at: str = ""
    bench_no: str = ""
    operator: str = ""


@catalogue.event("metrology.run_repeated")
@dataclass(frozen=True, slots=True, kw_only=True)
class RunRepeated:
    """A run that was judged already: a bench repeats it until it is answered."""

    run_id: str
    meter_no: str


@catalogue.event("metrology.run_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class RunRejected:
    """What a bench sent is no run, or the bench may not judge: nothing is judged.

    rule: bench_standing when bench or reference may not judge, with one reason each and the run,
    which is judged after all when a certificate comes that covers it; "" otherwise.
    """

    run_id: str
    meter_no: str
    problem: str
    rule: str = ""
    reasons: tuple[str, ...] = ()
    run: BenchRun | None = None


@catalogue.event("metrology.correction_proposed")
@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionProposed:
    """A failed meter that was installed at an account's point (own, and on metrology.findings).

    case_id: run, point, and the day the meter came to it; the same case is proposed again with
    other days when it turns out, before it is decided, that the meter was used otherwise;
    rule: the legal rule's name; from_on and to_on: the period that is corrected (half of the time
    since the last verification or installation); error_e4_pct: the representative error;
    broken_seals: seals of the meter that were found broken, for the person who decides.
    kind: error, or wiring or ratio where a person opened the case by hand: then it has no run, and
    true energy is recorded energy times factor_num / factor_den.
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
    broken_seals: tuple[str, ...] = ()
    kind: str = "error"
    factor_num: int = 1
    factor_den: int = 1
    opened_by: str = ""
    reason: str = ""


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
    kind: str = "error"
    factor_num: int = 1
    factor_den: int = 1


@catalogue.event("metrology.case_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRejected:
    """A decision on a case that is not open, or a case that nobody can open."""

    case_id: str
    meter_no: str
    problem: str


# -- certificates ---------------------------------------------------------------------------------


@catalogue.event("metrology.certificate_issued")
@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateIssued:
    """The content of a certificate, or of a notice of result, and the SHA-256 (hex) of its
    canonical bytes. It is signed outside, where the key is: no event holds a key or needs one."""

    certificate: Certificate
    sha256: str


# -- benches and references -----------------------------------------------------------------------


@catalogue.event("metrology.standard_adopted")
@dataclass(frozen=True, slots=True, kw_only=True)
class StandardAdopted:
    """The certificate of a bench or reference counts in this partition from now on."""

    standard: CertifiedStandard
    registered_by: str


@catalogue.event("metrology.standard_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class StandardRejected:
    """What was registered is no certificate, or contradicts one of the same number."""

    standard: CertifiedStandard
    registered_by: str
    problem: str


@catalogue.event("metrology.standard_awaited")
@dataclass(frozen=True, slots=True, kw_only=True)
class StandardAwaited:
    """A run whose bench or reference has no certificate yet that had begun when it measured: the
    run is held, and judged or rejected when one is registered. missing: as `bench B1`."""

    run_id: str
    meter_no: str
    missing: tuple[str, ...]
    run: BenchRun


# -- devices and seals ----------------------------------------------------------------------------


@catalogue.event("metrology.device_moved")
@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMoved:
    """A device of the store moved; `device` is where it is now.

    source: request, register (customers.meters says so, whatever the store knew) or verdict.
    """

    request_id: str
    source: str
    move: DeviceMove
    before: str
    device: StoredDevice
    accuracy_class: str = ""
    connection: str = ""


@catalogue.event("metrology.move_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class MoveRejected:
    """A move that the state of the device does not allow, or that lacks something; all stays."""

    request_id: str
    move: DeviceMove
    state: str
    field: str
    problem: str


@catalogue.event("metrology.seal_moved")
@dataclass(frozen=True, slots=True, kw_only=True)
class SealMoved:
    """An entry of a seal's trail; `seal` is where it is now."""

    request_id: str
    entry: SealEvent
    seal: Seal


@catalogue.event("metrology.seal_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class SealRejected:
    """An entry that cannot be, with the rule it breaks (used_again, not_the_holder, wrong_entry);
    the seal stays as it was."""

    request_id: str
    entry: SealEvent
    rule: str
    problem: str


@catalogue.event("metrology.seal_broken")
@dataclass(frozen=True, slots=True, kw_only=True)
class SealBroken:
    """A seal was found broken on a device (metrology.custody, by device: from the seal's stream to
    the meter's)."""

    seal_no: str
    kind: str
    device_no: str
    location: str
    found_by: str
    found_at: str
    reason: str
    photo: str


@catalogue.event("metrology.seal_broken_found")
@dataclass(frozen=True, slots=True, kw_only=True)
class SealBrokenFound:
    """A case that somebody must look at: a broken seal on a meter, and whose meter it was then.

    usage_point and account_no are "" while nobody is known; told again when they become known.
    """

    case_id: str
    broken: SealBroken
    usage_point: str
    account_no: str


@catalogue.event("metrology.seal_case_closed")
@dataclass(frozen=True, slots=True, kw_only=True)
class SealCaseClosed:
    """A person looked at the broken seal, and says what it was."""

    case_id: str
    meter_no: str
    account_no: str
    closed_by: str
    reason: str


# -- what is due ----------------------------------------------------------------------------------


@catalogue.event("metrology.verification_due")
@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationDue:
    """A duty of an installed meter comes within the notice: verification, rotation, first_check,
    on_site_check. Once for each day it is due by; so are the other two."""

    meter_no: str
    duty: str
    last_on: str
    due_on: str
    category: str
    rule: str


@catalogue.event("metrology.verification_overdue")
@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationOverdue:
    """The day passed and the duty was not met."""

    meter_no: str
    duty: str
    last_on: str
    due_on: str
    category: str
    rule: str


@catalogue.event("metrology.verification_untracked")
@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationUntracked:
    """An installed meter has no day to count from: it is tracked by nobody until one is known."""

    meter_no: str
    duty: str
    category: str
    rule: str
