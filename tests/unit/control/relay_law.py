"""The law of the relay, checked from recorded events alone.

Written from the brief and the statute, not from the code that decides: own constants, own
arithmetic, no import of control's decisions. Feed it the own events of one account in order; it
fails at the first command that must not be there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from services.control import correction_events as c
from services.control import events as e
from services.control import permit_events as p
from services.control import prepaid_events as q
from services.control import safety_events as s
from services.control.order_events import OrdersNoted

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
# category -> served at least, at most before the cut; final notice at least before the cut
PERIODS = {
    "residential": (7 * DAY, 15 * DAY, 30 * MINUTE),
    "non_residential": (3 * DAY, 7 * DAY, 60 * MINUTE),
    "industrial": (3 * DAY, 7 * DAY, 60 * MINUTE),
    "agricultural": (3 * DAY, 7 * DAY, 60 * MINUTE),
}
MUST_BE_JUDGED = {
    "debt_still_open",
    "debt_old_enough",
    "debt_is_the_noticed_one",
    "notice_served",
    "notice_period",
    "notice_not_expired",
    "final_notice",
    "within_window",
    "permitted_hour",
    "not_protected",
    "approvals_by_three_different_people",
    "point_matches",
    "not_cut_already",
    "no_payment_in_flight",
    "no_case_unknown",
    "permit_reserved",
    "no_correction_open",
    "no_open_dispute",
    "no_protection_in_force",
    "notice_in_form",
    "final_notice_in_form",
    "no_weather_alarm",
    "data_fresh",
    "meter_reachable",
    "match_verified",
    "not_kept_supplied",
    "clearance_fresh",
    "switching_method_remote",
}
OF_DEBTS = {
    *("debt_still_open", "debt_old_enough", "debt_is_the_noticed_one", "notice_served"),
    *("notice_period", "notice_in_form", "notice_not_expired", "final_notice"),
    "final_notice_in_form",
}
OF_PREPAID = {
    *("agreement_signed", "below_credit_limit", "warnings_served", "estimate_fresh"),
    *("estimate_was_read", "category_known"),
}
ENDED = {"refused", "confirmed", "waiting_for_button", "not_confirmed", "crossed"}


def instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007


def shanghai_day(text: str) -> date:
    return (instant(text) + timedelta(hours=8)).date()


@dataclass
class PointRecord:
    """What the record says about a point."""

    holds: set[tuple[str, str]] = field(default_factory=set)
    locks: set[str] = field(default_factory=set)
    last_seq: int = 0
    unfinished: e.CommandIssued | None = None
    cancelled: bool = False
    off: bool = False
    kept: bool = False


@dataclass
class CaseRecord:
    """What the record says about a case."""

    opened: e.CaseOpened
    notice: e.NoticeIssued | None = None
    served: e.NoticeServed | None = None
    final: e.NoticeServed | None = None
    approvals: dict[str, e.ApprovalGiven] = field(default_factory=dict)
    closed: str = ""


@dataclass
class PermitRecord:
    """What the record says about a permit."""

    asked: p.PermitAsked
    noted: p.PermitNoted | None = None
    ended: str = ""

    def is_out(self, case_id: str) -> bool:
        """Whether it is a case's, and neither refused nor ended."""
        refused = self.noted is not None and self.noted.answer == "refused"
        return self.asked.case_id == case_id and not refused and not self.ended


class RelayLaw:
    """The record of one account, and the law it must obey."""

    def __init__(self) -> None:
        self.account: e.AccountNoted | None = None
        self.debts: dict[str, tuple[int, str]] = {}
        self.points: dict[str, PointRecord] = {}
        self.cases: dict[str, CaseRecord] = {}
        self.judged: e.InterlocksJudged | None = None
        self.clearances: dict[str, e.ClearanceNoted] = {}
        self.asked: dict[str, e.ClearanceAsked] = {}
        self.permits: dict[str, PermitRecord] = {}
        self.corrections: set[str] = set()
        self.open_orders: tuple[str, ...] = ()
        self.safety: dict[tuple[str, str], Any] = {}
        self.disputes: dict[str, s.DisputeNoted] = {}
        self.left: q.AvailableNoted | None = None
        self.warned: dict[str, q.WarningServed] = {}
        self.unused: e.CommandIssued | None = None
        self.previous: Any = None
        self.released: list[e.HoldReleased] = []
        self.opened_count = 0
        self.closed_count = 0

    def feed(self, event: Any) -> None:
        """One own event, in order."""
        match event:
            case e.AccountNoted():
                self.account = event
            case e.ArrearsNoted():
                rows = zip(event.invoice_nos, event.open_fen, event.due_on, strict=True)
                self.debts = {number: (fen, due) for number, fen, due in rows}
            case c.CorrectionNoted(state="proposed"):
                self.corrections.add(event.case_id)
            case c.CorrectionNoted():
                self.corrections.remove(event.case_id)
            case OrdersNoted():
                self.open_orders = event.open_orders
            case s.WeatherNoted():
                self.safety["weather", event.area] = event
            case s.ContactNoted():
                self.safety["contact", event.usage_point] = event
            case s.MatchNoted():
                self.safety["match", event.usage_point] = event
            case s.ProtectionNoted():
                self.safety["protection", event.kind] = event
            case s.DisputeNoted():
                self._dispute(event)
            case q.AvailableNoted():
                self.left = event
            case q.WarningDue():
                self.warned.pop(event.stage, None)
            case q.WarningServed():
                self.warned[event.stage] = event
            case e.CaseOpened():
                assert event.case_id not in self.cases
                self.cases[event.case_id] = CaseRecord(event)
            case e.NoticeIssued():
                self.cases[event.case_id].notice = event
            case e.NoticeServed():
                self._served(event)
            case e.ApprovalGiven():
                approvals = self.cases[event.case_id].approvals
                assert event.role not in approvals
                approvals[event.role] = event
            case e.InterlocksJudged():
                assert event.allowed == all(v.allows for v in event.verdicts), event
                assert event.verdicts, event
                self.judged = event
            case e.ClearanceAsked():
                assert event.clearance_id not in self.asked
                self.asked[event.clearance_id] = event
            case e.ClearanceNoted():
                self._clearance(event)
            case e.CaseClosed():
                self.cases[event.case_id].closed = event.outcome
            case p.PermitAsked() | p.PermitNoted() | p.PermitEnded() | p.OverCapApproved():
                self._permit(event)
            case _:
                self._point_event(event)
        assert self.unused is None or event is self.unused, "a command on no permit"
        self.previous = event

    def _permit(self, event: Any) -> None:
        """Asked for once, answered once, ended once; used for the command just issued."""
        if isinstance(event, p.OverCapApproved):
            case = self.cases[event.case_id]
            people = {case.opened.requested_by, *(a.person for a in case.approvals.values())}
            known = {person.strip().lower() for person in people}
            assert event.person.strip().lower() not in known, "one of the case's people"
            return
        if isinstance(event, p.PermitAsked):
            assert event.permit_id not in self.permits
            assert not [each for each in self.permits.values() if each.is_out(event.case_id)]
            self.permits[event.permit_id] = PermitRecord(event)
            return
        permit = self.permits[event.permit_id]
        assert not permit.ended, "ended twice"
        if isinstance(event, p.PermitNoted):
            assert permit.noted is None, "answered twice"
            permit.noted = event
            assert event.answer == "refused" or permit.asked.area
            return
        permit.ended = event.how
        assert event.area == permit.asked.area
        if event.how == "used":
            assert self.unused is not None, "used for nothing"
            assert permit.noted is not None, "used without an answer"
            assert permit.noted.answer == "reserved"
            assert permit.noted.hour_at[:13] == self.unused.issued_at[:13], "another hour"
            assert event.command_id == self.unused.command_id
            assert event.case_id == self.unused.case_id
            self.unused = None

    def _dispute(self, event: s.DisputeNoted) -> None:
        """Raised once, decided once, by somebody else."""
        if event.state == "raised":
            assert event.dispute_id not in self.disputes
            self.disputes[event.dispute_id] = event
        else:
            raised = self.disputes.pop(event.dispute_id)
            assert raised.person.strip().lower() != event.person.strip().lower()

    def _surroundings(self, noted: e.PointNoted, now: datetime) -> None:
        """Weather, meter, match and protections allow it at this moment."""
        assert not self.disputes, "a dispute is open"
        stated = [self.safety.get(("weather", area)) for area in {"", noted.area}]
        of_now = [
            each
            for each in stated
            if each is not None and instant(each.from_at) <= now < instant(each.until_at)
        ]
        assert of_now, "nobody stated the weather"
        assert not [each.alarm for each in of_now if each.alarm], "an alarm is raised"
        contact = self.safety["contact", noted.usage_point]
        assert contact.reachable, "its meter does not answer"
        match = self.safety["match", noted.usage_point]
        assert match.meter_no == contact.meter_no == noted.meter_no, "told of another meter"
        today = (now + timedelta(hours=8)).date()
        assert (today - date.fromisoformat(match.verified_on)).days in range(367)
        assert (today - date.fromisoformat(contact.data_to_on)).days in range(36)
        for (kind, _), known in self.safety.items():
            assert kind != "protection" or date.fromisoformat(known.until_on) < today

    def _served(self, event: e.NoticeServed) -> None:
        case = self.cases[event.case_id]
        assert event.channel
        assert event.recipient
        assert event.evidence
        assert event.served_by
        if event.final:
            case.final = event
        else:
            assert case.served is None
            case.served = event

    def _clearance(self, event: e.ClearanceNoted) -> None:
        assert event.clearance_id in self.asked
        if event.answer == "withdrawn":
            assert self.clearances[event.clearance_id].answer == "granted"
        else:
            assert event.clearance_id not in self.clearances, "answered twice"
        self.clearances[event.clearance_id] = event

    def _point_event(self, event: Any) -> None:
        name = getattr(event, "usage_point", "")
        point = self.points.setdefault(name, PointRecord())
        match event:
            case e.HoldPlaced():
                assert (event.reason, event.owner) not in point.holds
                point.holds.add((event.reason, event.owner))
            case e.HoldReleased():
                point.holds.remove((event.reason, event.owner))
                self._released(event)
            case e.PointLocked(locked=True):
                point.locks.add(event.person)
            case e.PointLocked():
                point.locks.remove(event.person)
            case e.CommandIssued():
                self._command(point, event)
            case e.CommandCancelled():
                assert point.unfinished is not None
                assert point.unfinished.command_id == event.command_id
                assert not point.cancelled, "cancelled twice"
                point.cancelled = True
            case e.SwitchingNoted():
                self._switching(point, event)
            case e.RequestTaken(action="release_hold"):
                assert self.released, "a hold was released by nobody's request"
                owner = event.unit or event.person
                assert self.released[-1].owner == owner, "only a hold's owner releases it"

    def _released(self, event: e.HoldReleased) -> None:
        self.released.append(event)
        if event.reason not in ("arrears", "prepaid_balance"):
            assert event.released_by not in ("payments", "control"), "money releases only its own"

    def _switching(self, point: PointRecord, event: e.SwitchingNoted) -> None:
        if event.outcome == "found":
            return
        if event.outcome in ("confirmed", "crossed") and event.action == "open":
            self.opened_count += 1
            assert event.outcome != "confirmed" or not point.cancelled, "money came: it is crossed"
        if event.action in ("keep_supply", "keep_supply_off") and event.state:
            point.kept = event.state == "kept"
        if event.outcome in ("confirmed", "waiting_for_button") and "close" in event.action:
            self.closed_count += 1
            assert not point.holds, "confirmed closed under a hold is crossed"
        if event.outcome in ENDED and point.unfinished is not None:
            assert point.unfinished.command_id == event.command_id
            point.unfinished = None

    # -- commands ---------------------------------------------------------------------------

    def _command(self, point: PointRecord, command: e.CommandIssued) -> None:
        assert command.seq > point.last_seq, "seq must rise strictly"
        assert point.unfinished is None, "two commands of one point under way"
        point.last_seq = command.seq
        point.unfinished = command
        point.cancelled = False
        assert self.judged is not None
        assert command.verdicts == self.judged.verdicts
        assert self.judged.allowed
        assert self.judged.usage_point == command.usage_point
        assert self.judged.case_id == command.case_id
        noted = {noted.usage_point: noted for noted in self.account.points}[command.usage_point]  # type: ignore[union-attr]
        assert command.meter_no == noted.meter_no
        assert command.address == noted.address
        assert command.agreement_version == self.account.version  # type: ignore[union-attr]
        assert command.switching_method == "meter_relay"
        assert noted.voltage_class == "lt1kv"
        if command.action == "open":
            self._open(point, command)
        elif command.action in ("keep_supply", "keep_supply_off", "limit_load"):
            assert self.judged.stage == "supply"
            assert not command.case_id
        else:
            assert command.action in ("permit_close", "close")
            assert not point.holds, "closed under a hold"
            assert not point.locks, "closed under a lock"
            assert self.judged.stage == "reconnect"
            assert command.priority > 0

    def _open(self, point: PointRecord, command: e.CommandIssued) -> None:
        case = self.cases[command.case_id]
        now = instant(command.issued_at)
        assert not case.closed, "its case was closed"
        assert not self.corrections, "a correction is open"
        assert not self.open_orders, "a payment may be in flight"
        assert not point.kept, "its meter keeps the supply"
        assert command.usage_point == case.opened.usage_point
        assert self.judged is not None
        assert isinstance(self.previous, e.HoldPlaced), "the case's hold comes with the command"
        assert {reason for reason, _ in point.holds} == {case.opened.kind}
        self._people(case, command)
        if case.opened.kind == "prepaid_balance":
            self._beyond_credit(case, command, now)
            self.unused = command
            return
        assert self.judged.stage == "before_command"
        assert {verdict.name for verdict in command.verdicts} == MUST_BE_JUDGED
        category = self._protection(now)
        noted = {noted.usage_point: noted for noted in self.account.points}[command.usage_point]  # type: ignore[union-attr]
        if noted.category == "residential":
            category = "residential"  # the stricter of the two
        self._surroundings(noted, now)
        self._debt(case, now)
        self._notices(case, command, category, now)
        self._grant(case, command)
        self.unused = command

    def _beyond_credit(self, case: CaseRecord, command: e.CommandIssued, now: datetime) -> None:
        """Who pays ahead: agreed, warned a day before, beyond the credit by a read estimate."""
        assert self.judged is not None
        assert self.judged.stage == "prepaid_before_command"
        wanted = (MUST_BE_JUDGED - OF_DEBTS) | OF_PREPAID
        assert {verdict.name for verdict in command.verdicts} == wanted
        self._protection(now)
        assert self.account is not None
        terms = self.account.terms[-1]
        assert terms.payment_mode == "prepaid_remote"
        assert terms.prepaid_signed_on
        assert self.left is not None
        assert self.left.available_fen < -terms.credit_limit_fen
        assert self.left.missing_days + self.left.estimated_days < 3
        estimated = date.fromisoformat(self.left.estimate_until_on)
        assert timedelta(0) <= shanghai_day(command.issued_at) - estimated <= DAY
        for stage in ("warn1", "warn2"):
            assert now - instant(self.warned[stage].served_at) >= DAY
        assert case.notice is not None
        window = instant(case.notice.window_from_at), instant(case.notice.window_to_at)
        assert window[0] <= now < window[1], "outside the window"
        noted = {noted.usage_point: noted for noted in self.account.points}[command.usage_point]
        self._surroundings(noted, now)
        self._grant(case, command)

    def _people(self, case: CaseRecord, command: e.CommandIssued) -> None:
        people = [
            case.opened.requested_by,
            case.approvals["reviewer"].person,
            case.approvals["unit_head"].person,
        ]
        assert len({person.strip().lower() for person in people}) == 3
        assert command.approvals == (
            f"requester:{people[0]}",
            f"reviewer:{people[1]}",
            f"unit_head:{people[2]}",
        )

    def _protection(self, now: datetime) -> str:
        assert self.account is not None
        today = (now + timedelta(hours=8)).date().isoformat()
        begun = [terms for terms in self.account.terms if terms.valid_from_on <= today]
        terms = sorted(begun, key=lambda row: row.valid_from_on)[-1]
        assert not terms.protected, "a protected customer"
        assert not terms.moved_out_on or terms.moved_out_on > today, "moved out"
        return terms.category

    def _debt(self, case: CaseRecord, now: datetime) -> None:
        assert case.notice is not None
        named = [self.debts[number] for number in case.notice.invoice_nos if number in self.debts]
        open_fen = sum(fen for fen, _ in named)
        assert open_fen > 0, "the noticed debt is settled"
        assert open_fen <= case.notice.amount_fen, "a new debt needs a new notice"
        today = (now + timedelta(hours=8)).date()
        assert all((today - date.fromisoformat(due)).days > 30 for _, due in named)

    def _notices(
        self, case: CaseRecord, command: e.CommandIssued, category: str, now: datetime
    ) -> None:
        least, most, final_least = PERIODS[category]
        assert case.notice is not None
        assert case.served is not None, "the notice was never served"
        assert case.final is not None, "the final notice was never served"
        served = instant(case.served.served_at)
        start, end = instant(case.notice.window_from_at), instant(case.notice.window_to_at)
        assert start <= now < end, "outside the window"
        assert now < instant(case.notice.expires_at)
        assert start - served >= least, "served too late"
        assert now - served <= most, "served too early"
        assert now - instant(case.final.served_at) >= final_least
        approved = [instant(given.approved_at) for given in case.approvals.values()]
        assert min(approved) >= served - 5 * MINUTE, "approved before the notice was served"
        assert instant(case.final.served_at) >= max(approved), "final notice before the approvals"

    def _grant(self, case: CaseRecord, command: e.CommandIssued) -> None:
        grant = self.clearances[command.clearance_id]
        assert grant.answer == "granted"
        assert grant.case_id == case.opened.case_id
        assert self.asked[command.clearance_id].invoice_nos == case.notice.invoice_nos  # type: ignore[union-attr]
        assert command.fence_offset == grant.fence_offset
        assert command.fence_offset >= 0
        assert command.issued_at < command.valid_until_at <= grant.valid_until_at
