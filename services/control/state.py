"""What control remembers of an account: terms, points, debts, holds and the cases under way.

A fold of own events only. A key is an account. Measured: 0.5 kB while nothing is wrong (one point),
50 bytes per debt, 0.7 kB more per case under way, what safety_state.py says, and at most 2.2 kB for
the ids of the last 64 requests. A closed case leaves nothing but its point's last command, so a key
does not grow with the years.

Example: a point with the holds {arrears, works} stays off when the arrears are paid.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from services.control.correction_events import PROPOSED, CorrectionNoted
from services.control.events import (
    AccountNoted,
    ApprovalGiven,
    ArrearsNoted,
    CaseClosed,
    CaseOpened,
    ClearanceAsked,
    ClearanceNoted,
    CommandCancelled,
    CommandIssued,
    FieldTicketOpened,
    HoldPlaced,
    HoldReleased,
    InterlocksJudged,
    NoticeIssued,
    NoticeServed,
    OpeningNoted,
    PointLocked,
    PointNoted,
    RequestRejected,
    RequestTaken,
    SwitchingNoted,
    TermsNoted,
)
from services.control.order_events import OrdersNoted
from services.control.permit_events import OverCapApproved, PermitAsked, PermitEnded, PermitNoted
from services.control.policy import CLOSE_ACTIONS
from services.control.prepaid_events import AvailableNoted, WarningDue, WarningServed
from services.control.prepaid_state import Balance, follow
from services.control.safety_events import (
    ContactNoted,
    DisputeNoted,
    MatchNoted,
    ProtectionNoted,
    WeatherNoted,
)
from services.control.safety_facts import Contact, Dispute, Match, Protection, Service, Weather
from services.control.safety_state import form_of, note_safety, note_weather
from services.control.switching_state import cancelled, switched, ticketed

REQUESTS_KEPT = 64
"""A request id is recognised as repeated among so many later ones of its account."""

OPEN = "open"
ARREARS, PREPAID = "arrears", "prepaid_balance"
"""Kinds of cases, and the reasons of the holds that they place."""
RESERVED, REFUSED = "reserved", "refused"
UNFINISHED = ("", "unknown")
"""Outcomes of a command that is under way: nothing heard yet, or nothing certain."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What is true for all accounts of a partition: the last statement of each area's weather."""

    weather: tuple[Weather, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Debt:
    """One debt as payments last told it."""

    invoice_no: str
    open_fen: int
    due_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A reason why the point must be off. awaiting: named debts not yet heard of from payments."""

    reason: str
    owner: str
    case_id: str = ""
    invoice_nos: tuple[str, ...] = ()
    awaiting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """The last command of a point. cancelled: why it must not be sent any more, "" if it may."""

    command_id: str
    seq: int
    action: str
    case_id: str
    clearance_id: str
    valid_until_at: str
    cancelled: str = ""
    outcome: str = ""
    ticketed: bool = False

    @property
    def is_under_way(self) -> bool:
        """Whether its outcome is still to come."""
        return self.outcome in UNFINISHED


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A usage point of the account.

    relay: open, closed or "" as last told; cut: something of ours had it switched off, so that it
    must be closed when the last hold goes; tried: that was done; case_id: the case it was cut for;
    kept: the command that keeps it supplied, "" for none.
    """

    usage_point: str
    noted: PointNoted | None = None
    holds: tuple[Hold, ...] = ()
    locks: tuple[str, ...] = ()
    relay: str = ""
    cut: bool = False
    tried: bool = False
    case_id: str = ""
    command: Command | None = None
    found_at: str = ""
    contact: Contact | None = None
    matched: Match | None = None
    kept: str = ""

    @property
    def under_way(self) -> Command | None:
        """The command whose outcome is still to come."""
        return self.command if self.command is not None and self.command.is_under_way else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearance:
    """The last clearance of a case. answer: "" asked, granted, refused, withdrawn."""

    clearance_id: str
    asked_at: str
    invoice_nos: tuple[str, ...]
    answer: str = ""
    fence_offset: int = -1
    valid_until_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """The last permit of a case, for the hour from hour_at on. answer: "" asked, reserved, refused
    (for `reason`), used, returned."""

    permit_id: str
    area: str
    answer: str = ""
    hour_at: str = ""
    reason: str = ""

    @property
    def is_out(self) -> bool:
        """Whether the limit stage counts it, or may do so when it reads what was asked."""
        return self.answer in ("", RESERVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A disconnection under way. noticed: what the written notice names; over_cap_by:
    who approved it above the cap of its area."""

    case_id: str
    usage_point: str
    requested_by: str
    invoice_nos: tuple[str, ...]
    opened_at: str
    meter_no: str
    installed_from_at: str
    noticed: tuple[str, ...] = ()
    noticed_fen: int = 0
    window_from_at: str = ""
    window_to_at: str = ""
    expires_at: str = ""
    served_at: str = ""
    final_served_at: str = ""
    final_counts_at: str = ""
    reviewer: str = ""
    unit_head: str = ""
    approved_at: str = ""
    clearance: Clearance | None = None
    clearance_count: int = 0
    permit: Permit | None = None
    permit_count: int = 0
    over_cap_by: str = ""
    notice_form: Service | None = None
    final_form: Service | None = None
    denied_by: tuple[str, ...] = ()
    kind: str = ARREARS

    @property
    def ends_at(self) -> str:
        """From when on nothing may be cut on this notice."""
        return min(self.window_to_at, self.expires_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account. arrears_known: payments said something about it; corrections: cases of metrology
    that wait for their decision; open_orders: of payments, that may still be paid; balance: of who
    pays ahead."""

    version: int = 0
    terms: tuple[TermsNoted, ...] = ()
    points: dict[str, Point] = field(default_factory=dict)
    cases: dict[str, Case] = field(default_factory=dict)
    arrears_known: bool = False
    debts: tuple[Debt, ...] = ()
    overdue_fen: int = 0
    prepayment_fen: int = 0
    requests: tuple[str, ...] = ()
    openings: tuple[str, ...] = ()
    ticket_count: int = 0
    corrections: tuple[str, ...] = ()
    open_orders: tuple[str, ...] = ()
    disputes: tuple[Dispute, ...] = ()
    protections: tuple[Protection, ...] = ()
    balance: Balance = field(default_factory=Balance)

    def point(self, usage_point: str) -> Point:
        """A point, an empty one when nothing is known of it."""
        return self.points.get(usage_point) or Point(usage_point=usage_point)

    def terms_on(self, day_on: str) -> TermsNoted | None:
        """The terms in force on a day; None before the first."""
        begun = [terms for terms in self.terms if terms.valid_from_on <= day_on]
        return max(begun, key=lambda terms: terms.valid_from_on) if begun else None

    def open_fen(self, invoice_nos: tuple[str, ...]) -> int:
        """What is open of the named debts."""
        return sum(debt.open_fen for debt in self.debts if debt.invoice_no in invoice_nos)

    def case_at(self, usage_point: str) -> Case | None:
        """The case under way at a point."""
        return next((case for case in self.cases.values() if case.usage_point == usage_point), None)


def evolve(state: Account | Shared | None, event: Any) -> Account | Shared:
    """What an own event does to an account, or to what the partition knows."""
    if isinstance(event, WeatherNoted):
        return note_weather(state if isinstance(state, Shared) else Shared(), event)
    assert not isinstance(state, Shared), event
    return evolve_account(state or Account(), event)


def evolve_account(account: Account, event: Any) -> Account:
    """What an own event does to an account."""
    match event:
        case RequestTaken() | RequestRejected():
            kept = (*account.requests, event.request_id)[-REQUESTS_KEPT:]
            return replace(account, requests=kept)
        case AccountNoted():
            return _note_account(account, event)
        case CorrectionNoted():
            left = tuple(name for name in account.corrections if name != event.case_id)
            opened = (event.case_id,) if event.state == PROPOSED else ()
            return replace(account, corrections=(*left, *opened))
        case OrdersNoted():
            return replace(account, open_orders=event.open_orders)
        case ContactNoted() | DisputeNoted() | MatchNoted() | ProtectionNoted():
            return note_safety(account, event)
        case AvailableNoted() | WarningDue() | WarningServed():
            return replace(account, balance=follow(account.balance, event))
        case OpeningNoted():
            return replace(account, openings=(*account.openings, event.opening_id))
        case ArrearsNoted():
            return _note_arrears(account, event)
        case HoldPlaced() | HoldReleased() | PointLocked():
            return _with_point(account, _evolve_holds(account, event))
        case CommandIssued():
            return _with_point(account, _issue(account.point(event.usage_point), event))
        case CommandCancelled():
            return _with_point(account, cancelled(account.point(event.usage_point), event))
        case SwitchingNoted():
            return _with_point(account, switched(account.point(event.usage_point), event))
        case FieldTicketOpened():
            counted = replace(account, ticket_count=account.ticket_count + 1)
            return _with_point(counted, ticketed(account.point(event.usage_point), event))
        case CaseOpened():
            return _with_case(account, _open_case(event))
        case CaseClosed():
            cases = {name: case for name, case in account.cases.items() if name != event.case_id}
            return replace(account, cases=cases)
        case NoticeIssued() | NoticeServed() | ApprovalGiven() | ClearanceAsked():
            return _with_case(account, _evolve_case(account.cases[event.case_id], event))
        case PermitAsked() | PermitNoted() | PermitEnded() | OverCapApproved():
            return _with_case(account, _evolve_permit(account.cases[event.case_id], event))
        case _:
            return _evolve_closed_or_open(account, event)


def _evolve_closed_or_open(account: Account, event: ClearanceNoted | InterlocksJudged) -> Account:
    """Verdicts and answers may come before a case opens and after it closed."""
    assert isinstance(event, ClearanceNoted | InterlocksJudged), event
    case = account.cases.get(event.case_id)
    return account if case is None else _with_case(account, _evolve_case(case, event))


def _with_point(account: Account, point: Point) -> Account:
    return replace(account, points={**account.points, point.usage_point: point})


def _with_case(account: Account, case: Case) -> Account:
    return replace(account, cases={**account.cases, case.case_id: case})


def _note_account(account: Account, event: AccountNoted) -> Account:
    """A point no longer published keeps its holds and last command; without any it is forgotten."""
    left = {name: replace(point, noted=None) for name, point in account.points.items()}
    points = {name: point for name, point in left.items() if point != Point(usage_point=name)}
    for noted in event.points:
        points[noted.usage_point] = replace(account.point(noted.usage_point), noted=noted)
    return replace(account, version=event.version, terms=event.terms, points=points)


def _note_arrears(account: Account, event: ArrearsNoted) -> Account:
    debts = tuple(
        Debt(invoice_no=number, open_fen=open_fen, due_on=due_on)
        for number, open_fen, due_on in zip(
            event.invoice_nos, event.open_fen, event.due_on, strict=True
        )
    )
    points = {
        name: replace(point, holds=tuple(_heard_of(hold, event) for hold in point.holds))
        for name, point in account.points.items()
    }
    return replace(
        account,
        arrears_known=True,
        debts=debts,
        overdue_fen=event.overdue_fen,
        prepayment_fen=event.prepayment_fen,
        points=points,
    )


def _heard_of(hold: Hold, event: ArrearsNoted) -> Hold:
    if not hold.awaiting:
        return hold
    left = tuple(number for number in hold.awaiting if number not in event.invoice_nos)
    return replace(hold, awaiting=left)


def _evolve_holds(account: Account, event: HoldPlaced | HoldReleased | PointLocked) -> Point:
    point = account.point(event.usage_point)
    if isinstance(event, PointLocked):
        others = tuple(person for person in point.locks if person != event.person)
        locks = tuple(sorted((*others, event.person))) if event.locked else others
        return replace(point, locks=locks, tried=point.tried and not event.locked)
    others_held = tuple(
        hold for hold in point.holds if (hold.reason, hold.owner) != (event.reason, event.owner)
    )
    if isinstance(event, HoldReleased):
        return replace(point, holds=others_held)
    known = {debt.invoice_no for debt in account.debts}
    hold = Hold(
        reason=event.reason,
        owner=event.owner,
        case_id=event.case_id,
        invoice_nos=event.invoice_nos,
        # An opening position may come before payments tell of its debts. A case never does, and
        # names some that may be settled by now.
        awaiting=()
        if event.case_id
        else tuple(number for number in event.invoice_nos if number not in known),
    )
    # The hold of a case cuts when its command is confirmed; any other is carried out on site.
    cut = point.cut or not event.case_id
    return replace(point, holds=(*others_held, hold), cut=cut, tried=False)


def _issue(point: Point, event: CommandIssued) -> Point:
    command = Command(
        command_id=event.command_id,
        seq=event.seq,
        action=event.action,
        case_id=event.case_id,
        clearance_id=event.clearance_id,
        valid_until_at=event.valid_until_at,
    )
    return replace(point, command=command, tried=point.tried or event.action in CLOSE_ACTIONS)


def _open_case(event: CaseOpened) -> Case:
    return Case(
        case_id=event.case_id,
        usage_point=event.usage_point,
        requested_by=event.requested_by,
        invoice_nos=event.invoice_nos,
        opened_at=event.opened_at,
        meter_no=event.meter_no,
        installed_from_at=event.installed_from_at,
        kind=event.kind,
    )


def _evolve_case(
    case: Case,
    event: NoticeIssued
    | NoticeServed
    | ApprovalGiven
    | ClearanceAsked
    | ClearanceNoted
    | InterlocksJudged,
) -> Case:
    match event:
        case NoticeIssued():
            return replace(
                case,
                noticed=event.invoice_nos,
                noticed_fen=event.amount_fen,
                window_from_at=event.window_from_at,
                window_to_at=event.window_to_at,
                expires_at=event.expires_at,
            )
        case NoticeServed(final=True):
            return replace(
                case,
                final_served_at=event.served_at,
                final_counts_at=event.counts_from_at,
                final_form=form_of(event),
            )
        case NoticeServed():
            return replace(case, served_at=event.served_at, notice_form=form_of(event))
        case ApprovalGiven(role="reviewer"):
            return replace(case, reviewer=event.person, approved_at=event.approved_at)
        case ApprovalGiven():
            return replace(case, unit_head=event.person, approved_at=event.approved_at)
        case ClearanceAsked():
            asked = Clearance(
                clearance_id=event.clearance_id,
                asked_at=event.asked_at,
                invoice_nos=event.invoice_nos,
            )
            return replace(case, clearance=asked, clearance_count=case.clearance_count + 1)
        case ClearanceNoted():
            return _note_clearance(case, event)
        case _:
            denied = tuple(verdict.name for verdict in event.verdicts if not verdict.allows)
            return replace(case, denied_by=denied)


def _evolve_permit(
    case: Case, event: PermitAsked | PermitNoted | PermitEnded | OverCapApproved
) -> Case:
    if isinstance(event, PermitAsked):
        asked = Permit(permit_id=event.permit_id, area=event.area)
        return replace(case, permit=asked, permit_count=case.permit_count + 1)
    if isinstance(event, OverCapApproved):
        # What was refused does not stand any more: the case asks again as an approved one.
        return replace(case, permit=None, over_cap_by=event.person)
    known = case.permit
    assert known is not None, event
    assert known.permit_id == event.permit_id, event
    if isinstance(event, PermitEnded):
        return replace(case, permit=replace(known, answer=event.how))
    told = replace(known, answer=event.answer, hour_at=event.hour_at, reason=event.reason)
    return replace(case, permit=told)


def _note_clearance(case: Case, event: ClearanceNoted) -> Case:
    known = case.clearance
    assert known is not None, event
    assert known.clearance_id == event.clearance_id, event
    answered = replace(
        known,
        answer=event.answer,
        fence_offset=event.fence_offset,
        valid_until_at=event.valid_until_at,
    )
    return replace(case, clearance=answered)
