"""The events of one decision as they are decided, with the state they lead to.

draft = Draft(account, "1000000042", "2026-03-02T02:00:00Z", policy)
draft.note(CaseOpened(...))         an own event; draft.account follows it
draft.send(command, COMMANDS, key)  an own event, and the same for others
draft.emits                         what the decision yields
"""

from __future__ import annotations

from typing import Any

from libs.events.core import Emit
from services.control.events import CaseClosed, FieldTicketOpened, HoldReleased
from services.control.identifiers import ticket_id_of
from services.control.instant import local_day
from services.control.permit_events import PermitEnded
from services.control.policy import Policy
from services.control.prepaid_state import agreement_of
from services.control.safety_facts import Weather
from services.control.state import PREPAID, Account, Case, Hold, Point, evolve_account

PERMIT_REQUESTS = "control.permit_requests"
MONEY_REASONS = ("arrears", "prepaid_balance")
"""Holds that money releases."""


class Draft:
    """One decision about one account. Not shared, not kept: it lives as long as the decision."""

    def __init__(
        self,
        account: Account | None,
        key: str,
        at: str,
        policy: Policy,
        weather: tuple[Weather, ...] = (),
    ) -> None:
        self.account = account or Account()
        self.key = key
        self.at = at
        self.policy = policy
        self.weather = weather
        self.emits: list[Emit] = []

    @property
    def today_on(self) -> str:
        """The day of the decision in the utility's zone."""
        return local_day(self.at, self.policy.utc_offset_minutes)

    def note(self, event: Any) -> None:
        """An own event."""
        self.emits.append(Emit(event))
        self.account = evolve_account(self.account, event)

    def send(self, event: Any, topic: str, key: str) -> None:
        """An own event that others read too, on `topic` under `key`."""
        self.note(event)
        self.emits.append(Emit(event, topic=topic, key=key))

    def point(self, usage_point: str) -> Point:
        """The point as it stands after the events so far."""
        return self.account.point(usage_point)

    def is_settled(self, invoice_nos: tuple[str, ...]) -> bool:
        """Whether payments said that no more than the threshold is open of these debts."""
        account = self.account
        if not account.arrears_known or not invoice_nos:
            return False
        return account.open_fen(invoice_nos) <= self.policy.threshold_fen

    def is_over(self, case: Case) -> bool:
        """Whether what a case is about is settled: its debts, or the account is within its credit
        again."""
        if case.kind != PREPAID:
            return self.is_settled(case.invoice_nos)
        terms = agreement_of(self.account.terms_on(self.today_on))
        known = self.account.balance.available
        if terms is None or known is None:
            return False
        return known.available_fen >= -terms.credit_limit_fen

    def release(self, usage_point: str, hold: Hold, released_by: str) -> None:
        """A hold ends. Whether the point is closed then is decided by `reconnect`."""
        self.note(
            HoldReleased(
                usage_point=usage_point,
                account_no=self.key,
                reason=hold.reason,
                released_by=released_by,
                released_at=self.at,
                owner=hold.owner,
            )
        )

    def release_case_hold(self, usage_point: str, case_id: str, released_by: str) -> None:
        """The hold that a case placed ends, if it is still there."""
        for hold in self.point(usage_point).holds:
            if case_id and hold.case_id == case_id:
                self.release(usage_point, hold, released_by)

    def ticket(self, usage_point: str, task: str, reason: str, case_id: str) -> None:
        """Somebody must go."""
        self.note(
            FieldTicketOpened(
                ticket_id=ticket_id_of(self.key, self.account.ticket_count + 1),
                account_no=self.key,
                usage_point=usage_point,
                task=task,
                reason=reason,
                case_id=case_id,
            )
        )

    def close_case(self, case_id: str, usage_point: str, outcome: str, reason: str) -> None:
        """A case ends, or says how it went on. A permit that it did not use goes back."""
        case = self.account.cases.get(case_id)
        if case is not None and case.permit is not None and case.permit.is_out:
            self.end_permit(case, "returned")
        self.note(
            CaseClosed(
                case_id=case_id,
                account_no=self.key,
                usage_point=usage_point,
                outcome=outcome,
                closed_at=self.at,
                reason=reason,
            )
        )

    def end_permit(self, case: Case, how: str, command_id: str = "") -> None:
        """The permit of a case is used, or returned; the limit stage is told."""
        permit = case.permit
        assert permit is not None, case
        ended = PermitEnded(
            permit_id=permit.permit_id,
            area=permit.area,
            account_no=self.key,
            case_id=case.case_id,
            how=how,
            command_id=command_id,
            ended_at=self.at,
        )
        self.send(ended, PERMIT_REQUESTS, permit.area)

    def cases(self) -> list[Case]:
        """The open cases in a fixed order."""
        return [case for _, case in sorted(self.account.cases.items())]

    def points(self) -> list[Point]:
        """The points in a fixed order."""
        return [point for _, point in sorted(self.account.points.items())]
