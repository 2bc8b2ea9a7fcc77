"""What happened on the way to an open relay and back: holds, notices, approvals, verdicts.

Names here are the storage format. A point is cut while its set of holds is not empty; only a hold's
owner releases it. Every command carries the verdict it rests on.
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.core import Tick
from libs.events.registry import Catalogue

edge_catalogue = Catalogue("control.edge")
catalogue = Catalogue("control")
catalogue.reads("clock.ticked")(Tick)

HOLD_REASONS = (
    "arrears",
    "prepaid_balance",
    "safety_defect",
    "works",
    "vacated",
    "theft_case",
    "customer_request",
    "fire_service",
)


@edge_catalogue.event("control.request_made")
@dataclass(frozen=True, slots=True, kw_only=True)
class RequestMade:
    """A person asks for something (control.requests, by account).

    action: request_disconnect, serve_notice, serve_final_notice, approve, approve_over_cap,
    refuse, place_hold, release_hold, cancel, lock_point, unlock_point, and those of safety.py and
    supply.py; role: as authenticated by the edge (requester, reviewer, unit_head, server);
    case_id: of an open case, "" for a new one; details: what the action needs (channel, recipient,
    evidence, served_at, invoices, reason, window_from_at, ...); unit: the person's organisational
    unit as authenticated ("" none), which owns the holds that person places.
    """

    request_id: str
    action: str
    account_no: str
    usage_point: str
    case_id: str
    person: str
    role: str
    details: dict[str, str]
    requested_at: str
    unit: str = ""


catalogue.reads("control.request_made")(RequestMade)


@catalogue.event("control.request_taken")
@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTaken:
    """A request was carried out: who asked, and in which role. What followed stands before it."""

    request_id: str
    action: str
    account_no: str
    case_id: str
    usage_point: str
    person: str
    role: str
    unit: str
    reason: str


@catalogue.event("control.request_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRejected:
    """A request that is not possible now, and why."""

    request_id: str
    action: str
    account_no: str
    case_id: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PointNoted:
    """What control needs to know of a point to cut or reconnect it.

    category: of the point under the agreement; from_on, to_on: when it belongs to the account;
    area: the transformer area that supplies it, "" where nobody said.
    """

    usage_point: str
    meter_no: str
    address: str
    switching_method: str
    voltage_class: str
    agreement_version: int
    installed_from_at: str
    category: str = ""
    from_on: str = ""
    to_on: str = ""
    area: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsNoted:
    """What control needs of the agreement, from a day on. moved_out_on: "" while supplied."""

    valid_from_on: str
    category: str
    protected: str
    payment_mode: str
    moved_out_on: str = ""
    prepaid_agreement_no: str = ""
    prepaid_signed_on: str = ""
    credit_limit_fen: int = 0


@catalogue.event("control.account_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class AccountNoted:
    """Category, protection and points of an account (content of customers.agreements).

    category, protected and payment_mode are those of the day of noting; terms has all days.
    """

    account_no: str
    version: int
    category: str
    protected: str
    payment_mode: str
    points: tuple[PointNoted, ...]
    terms: tuple[TermsNoted, ...] = ()


@catalogue.event("control.opening_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningNoted:
    """The utility brought holds along for this account; they follow one by one."""

    opening_id: str
    account_no: str
    hold_count: int


@catalogue.event("control.arrears_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class ArrearsNoted:
    """How an account stands with payments: open debts by invoice, each with its due date."""

    account_no: str
    overdue_fen: int
    oldest_due_on: str
    invoice_nos: tuple[str, ...]
    open_fen: tuple[int, ...]
    due_on: tuple[str, ...] = ()
    prepayment_fen: int = 0


@catalogue.event("control.hold_placed")
@dataclass(frozen=True, slots=True, kw_only=True)
class HoldPlaced:
    """A reason why the point must be off.

    case_id: of an arrears hold that a case placed; invoice_nos: the debt whose settlement ends it.
    """

    usage_point: str
    account_no: str
    reason: str
    owner: str
    placed_at: str
    case_id: str = ""
    invoice_nos: tuple[str, ...] = ()


@catalogue.event("control.hold_released")
@dataclass(frozen=True, slots=True, kw_only=True)
class HoldReleased:
    """A reason ended; the point is reconnected when no other is left."""

    usage_point: str
    account_no: str
    reason: str
    released_by: str
    released_at: str
    owner: str = ""


@catalogue.event("control.point_locked")
@dataclass(frozen=True, slots=True, kw_only=True)
class PointLocked:
    """Somebody locked (or unlocked) the point: while locked nothing closes it.

    person: whose lock it is; asked_by: who placed or removed it.
    """

    usage_point: str
    account_no: str
    locked: bool
    person: str
    asked_by: str = ""


@catalogue.event("control.case_opened")
@dataclass(frozen=True, slots=True, kw_only=True)
class CaseOpened:
    """A disconnection was requested: the debt it is about, and who asked. kind: arrears, or
    prepaid_balance for what was used beyond the agreed credit, which names no invoices.

    meter_no, installed_from_at: what is installed at the point now; another meter needs a new case.
    """

    case_id: str
    account_no: str
    usage_point: str
    requested_by: str
    invoice_nos: tuple[str, ...]
    amount_fen: int
    opened_at: str
    meter_no: str = ""
    installed_from_at: str = ""
    kind: str = "arrears"


@catalogue.event("control.notice_issued")
@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeIssued:
    """The written notice: invoices, amount, planned window, expiry. It counts only when served."""

    case_id: str
    account_no: str
    usage_point: str
    invoice_nos: tuple[str, ...]
    amount_fen: int
    window_from_at: str
    window_to_at: str
    expires_at: str


@catalogue.event("control.notice_served")
@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeServed:
    """The notice (or the final one) reached the customer: who says so and with what evidence.

    counts_from_at: of a final notice, the earliest instant at which the point may be cut;
    authority_copy_at: when the power authority got its copy, "" for never.
    """

    case_id: str
    account_no: str
    final: bool
    channel: str
    recipient: str
    served_at: str
    evidence: str
    served_by: str
    counts_from_at: str = ""
    authority_copy_at: str = ""


@catalogue.event("control.approval_given")
@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalGiven:
    """An authenticated person approved in one role."""

    case_id: str
    account_no: str
    role: str
    person: str
    approved_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InterlockVerdict:
    """One interlock: its name, what it looked at, whether it allows and else why not.

    source: where the rule comes from.
    """

    name: str
    allows: bool
    looked_at: str
    reason: str
    source: str = ""


@catalogue.event("control.interlocks_judged")
@dataclass(frozen=True, slots=True, kw_only=True)
class InterlocksJudged:
    """The recorded verdict: every interlock by name with its input. stage: request, notice,
    before_clearance, before_command, reconnect; of prepaid cases prepaid_request,
    prepaid_before_clearance, prepaid_before_command."""

    case_id: str
    account_no: str
    usage_point: str
    stage: str
    allowed: bool
    verdicts: tuple[InterlockVerdict, ...]


@catalogue.event("control.clearance_asked")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClearanceAsked:
    """ "May we?" (own, and on control.clearances, by account)."""

    clearance_id: str
    account_no: str
    case_id: str
    invoice_nos: tuple[str, ...]
    threshold_fen: int
    asked_at: str
    kind: str = "arrears"


@catalogue.event("control.clearance_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClearanceNoted:
    """The answer of payments: granted, refused, withdrawn."""

    clearance_id: str
    account_no: str
    case_id: str
    answer: str
    fence_offset: int
    valid_until_at: str


@catalogue.event("control.command_issued")
@dataclass(frozen=True, slots=True, kw_only=True)
class CommandIssued:
    """What ingest must send to a meter (own by account; by usage point
    on control.commands, or on control.reconnections to close).

    action: open, permit_close, close, and keep_supply, keep_supply_off, limit_load (to limit_w
    watts), which leave the relay as it is; seq rises per usage point; verdict: the interlocks
    judged; clearance_id "" but to open; priority: reconnection goes first.
    """

    command_id: str
    seq: int
    case_id: str
    account_no: str
    usage_point: str
    meter_no: str
    address: str
    installed_from_at: str
    agreement_version: int
    switching_method: str
    action: str
    clearance_id: str
    fence_offset: int
    approvals: tuple[str, ...]
    verdicts: tuple[InterlockVerdict, ...]
    issued_at: str
    valid_until_at: str
    priority: int
    limit_w: int = 0


@catalogue.event("control.command_cancelled")
@dataclass(frozen=True, slots=True, kw_only=True)
class CommandCancelled:
    """A command must not be sent any more (own, and on the topic of the command)."""

    command_id: str
    seq: int
    account_no: str
    usage_point: str
    reason: str


@catalogue.event("control.switching_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchingNoted:
    """What became of a command: refused, confirmed, waiting_for_button, not_confirmed, unknown,
    crossed (switched although the command was cancelled, as when money came), found."""

    command_id: str
    case_id: str
    account_no: str
    usage_point: str
    action: str
    outcome: str
    state: str
    reason: str
    reported_at: str = ""


@catalogue.event("control.field_ticket_opened")
@dataclass(frozen=True, slots=True, kw_only=True)
class FieldTicketOpened:
    """Somebody must go: a relay that does not move, or a point without a remote method.

    task: disconnect, reconnect, isolate (a hold that is no arrears), inspect_relay, read_relay;
    keep_supply, keep_supply_off, limit_load: what the meter was not told from afar.
    """

    ticket_id: str
    account_no: str
    usage_point: str
    task: str
    reason: str
    case_id: str = ""


@catalogue.event("control.case_closed")
@dataclass(frozen=True, slots=True, kw_only=True)
class CaseClosed:
    """outcome: cancelled_paid, cancelled, disconnected, not_confirmed, refused, reconnected,
    crossed, expired, field_ticket (everything allows, and there is no remote method).

    A disconnected or crossed case says `reconnected` once more when the point is back.
    """

    case_id: str
    account_no: str
    usage_point: str
    outcome: str
    closed_at: str
    reason: str = ""
