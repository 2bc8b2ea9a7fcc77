"""A desk to try control's core at: one account, its inputs, and all that was decided.

The account 1000000042 (residential, one low-voltage point P1 with a relay) owes INV1, 120 yuan, due
on 2026-01-15. Business time starts on Monday 2026-03-02, 09:00 in Shanghai; the planned window is
Thursday 2026-03-12, 10:00 to 14:00.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from libs.events.core import Core, Item, Tick
from libs.events.fold import Fold
from services.control.core import make_core
from services.control.corrections import CorrectionDecided, CorrectionProposed
from services.control.events import CommandIssued, RequestMade
from services.control.instant import hour_of
from services.control.order_reactions import OrdersChanged
from services.control.permit_events import (
    PermitAsked,
    PermitEnded,
    PermitNoted,
    PermitRefused,
    PermitReserved,
)
from services.control.reactions import (
    AccountOverdue,
    AgreementPublished,
    BalanceChanged,
    ClearanceGranted,
    ClearanceRefused,
    ClearanceWithdrawn,
    OpenDebt,
    PaymentCaptured,
    PointTerms,
    SwitchingReported,
    SwitchPoint,
    Terms,
)
from services.control.safety import ContactChanged
from services.control.safety_events import WeatherTold
from services.control.state import Account

T = TypeVar("T")

ACCOUNT = "1000000042"
POINT = "P1"
START = "2026-03-02T01:00:00Z"
SERVED = "2026-03-03T01:00:00Z"
WINDOW_FROM = "2026-03-12T02:00:00Z"
WINDOW_TO = "2026-03-12T06:00:00Z"
FINAL = "2026-03-12T01:00:00Z"
IN_WINDOW = "2026-03-12T02:10:00Z"
PAID_LATER = "2026-03-13T03:00:00Z"

PEOPLE = {"requester": "wang", "reviewer": "li", "unit_head": "zhao", "server": "chen"}

TOPICS = {
    RequestMade: "control.requests",
    Tick: "calendar",
    SwitchingReported: "ingest.switching",
    AgreementPublished: "customers.agreements",
    PermitReserved: "control.permit_answers",
    CorrectionProposed: "metrology.findings",
    CorrectionDecided: "metrology.findings",
    PermitRefused: "control.permit_answers",
    WeatherTold: "control.alarms",
    ContactChanged: "ingest.switching",
}
PERMITS = (PermitAsked, PermitNoted, PermitEnded)


def agreement(**changes: Any) -> AgreementPublished:
    """The agreement; `category`, `protected`, `moved_out_on`, `method`, `voltage`, `meter_no`,
    `area` and fields of the event can be changed."""
    values: dict[str, Any] = {
        "category": "residential",
        "point_category": "",
        "protected": "",
        "moved_out_on": "",
        "method": "meter_relay",
        "voltage": "lt1kv",
        "meter_no": "M1",
        "area": "A1",
        "to_on": "",
        "version": 1,
        "mode": "postpaid",
        "prepaid": None,
        "usage_points": (POINT,),
        **changes,
    }
    return AgreementPublished(
        account_no=ACCOUNT,
        version=values["version"],
        terms=(
            Terms(
                valid_from_on="2025-01-01",
                category=values["category"],
                payment_mode=values["mode"],
                protected=values["protected"],
                moved_out_on=values["moved_out_on"],
                prepaid=values["prepaid"],
            ),
        ),
        points=tuple(
            PointTerms(
                usage_point=point,
                category=values["point_category"],
                from_on="2025-01-01",
                to_on=values["to_on"],
            )
            for point in values["usage_points"]
        ),
        switch_points=tuple(
            SwitchPoint(
                usage_point=point,
                meter_no=values["meter_no"],
                address="000000000042",
                installed_from_at="2025-01-01T00:00:00Z",
                switching_method=values["method"],
                voltage_class=values["voltage"],
                area=values["area"],
            )
            for point in values["usage_points"]
        ),
    )


def debts(*rows: tuple[str, int, str]) -> tuple[OpenDebt, ...]:
    """Debts as (invoice_no, open_fen, due_on)."""
    return tuple(
        OpenDebt(invoice_no=number, open_fen=open_fen, due_on=due_on)
        for number, open_fen, due_on in rows
    )


INV1 = ("INV1", 12_000, "2026-01-15")


def overdue(*rows: tuple[str, int, str]) -> AccountOverdue:
    """Payments say which debts are overdue."""
    found = debts(*(rows or (INV1,)))
    return AccountOverdue(
        account_no=ACCOUNT,
        overdue_fen=sum(debt.open_fen for debt in found),
        oldest_due_on=min(debt.due_on for debt in found),
        debts=found,
    )


def balance(*rows: tuple[str, int, str], prepayment_fen: int = 0) -> BalanceChanged:
    """Payments say how the account stands; without rows everything is paid."""
    found = debts(*rows)
    return BalanceChanged(
        account_no=ACCOUNT,
        prepayment_fen=prepayment_fen,
        overdue_fen=sum(debt.open_fen for debt in found),
        debts=found,
    )


def granted(clearance_id: str, valid_until_at: str, fence_offset: int = 7) -> ClearanceGranted:
    """Payments grant."""
    return ClearanceGranted(
        clearance_id=clearance_id,
        account_no=ACCOUNT,
        fence_offset=fence_offset,
        open_fen=12_000,
        valid_until_at=valid_until_at,
    )


def refused(clearance_id: str, open_fen: int) -> ClearanceRefused:
    """Payments refuse."""
    return ClearanceRefused(
        clearance_id=clearance_id,
        account_no=ACCOUNT,
        fence_offset=7,
        open_fen=open_fen,
        reason="settled",
    )


def withdrawn(clearance_id: str) -> ClearanceWithdrawn:
    """Payments withdraw."""
    return ClearanceWithdrawn(clearance_id=clearance_id, account_no=ACCOUNT, payment_id="wx:1")


def captured() -> PaymentCaptured:
    """Money reached the account."""
    return PaymentCaptured(payment_id="wx:1", account_no=ACCOUNT, amount_fen=100)


class Desk:
    """One account at one core: give it inputs, look at what was decided.

    The limit stage is played here: it gives every permit at once, unless `cap` is False. What is
    said to it and by it is in `permits`, and not in `outgoing` or what `names` lists.
    """

    def __init__(self, core: Core | None = None, at: str = START, *, cap: bool = True) -> None:
        self.cap = cap
        self.permits: list[PermitAsked | PermitEnded] = []
        self.core = core or make_core()
        self.fold = Fold(self.core, 0)
        self.fold.as_of = at
        self.own: list[Any] = []
        self.outgoing: list[tuple[str, str, Any]] = []
        self.last: Any = None
        self.requests = 0
        self.offset = 0

    @property
    def account(self) -> Account:
        """The account as it stands."""
        return self.fold.get(ACCOUNT) or Account()

    def give(self, body: Any) -> list[Any]:
        """Decide one input; the own events that follow."""
        self.last = body
        said = len(self.permits)
        noted = self._decide(body)
        if self.cap:
            for asked in self.permits[said:]:
                if isinstance(asked, PermitAsked):
                    noted += self._decide(reserved(asked.permit_id, hour_of(self.fold.as_of)))
        return noted

    def _decide(self, body: Any) -> list[Any]:
        if isinstance(body, Tick):
            self.fold.as_of = max(self.fold.as_of, body.at)
        topic = TOPICS.get(type(body), "payments.events")
        key = "" if isinstance(body, Tick | WeatherTold) else ACCOUNT
        item = Item(topic, self.offset, key, "", body, self.fold.as_of)
        self.offset += 1
        noted: list[Any] = []
        for key in self.core.concerned(self.fold, item):
            for emit in self.core.decide(self.fold, key, item):
                if emit.topic == "control.permit_requests":
                    self.permits.append(emit.body)
                elif emit.topic:
                    self.outgoing.append((emit.topic, emit.key, emit.body))
                else:
                    self.fold.apply(key, emit.body)
                    noted.append(emit.body)
        self.own += noted
        return noted

    def tick(self, at: str) -> list[Any]:
        """Time passes."""
        return self.give(Tick(at=at))

    def ask(self, action: str, role: str, **details: str) -> list[Any]:
        """A person asks; `person`, `unit`, `case_id`, `usage_point`, `request_id` may be given."""
        self.requests += 1
        case_id = next(iter(self.account.cases), "")
        values: dict[str, str] = {
            "request_id": f"r{self.requests}",
            "person": PEOPLE.get(role, role),
            "unit": "",
            "case_id": "" if action.startswith("request_") else case_id,
            "usage_point": POINT,
            "account_no": ACCOUNT,
        }
        own = {name: details.pop(name) for name in list(details) if name in values}
        values |= own
        return self.give(
            RequestMade(
                action=action, role=role, details=details, requested_at=self.fold.as_of, **values
            )
        )

    def noted(self, kind: type[T]) -> list[T]:
        """All own events of a kind, in order."""
        return [event for event in self.own if isinstance(event, kind)]

    # -- the chain, step by step ------------------------------------------------------------

    def know(self, **changes: Any) -> None:
        """Agreement and debts are known, and all that must be known besides."""
        self.give(agreement(**changes))
        self.give(overdue())
        for point in changes.get("usage_points", (POINT,)):
            self.know_more(point, changes.get("meter_no", "M1"))

    def know_more(self, usage_point: str = POINT, meter_no: str = "M1") -> list[Any]:
        """The weather of the day of the cut, and that the meter answers and is the household's."""
        return [
            *self.give(weather()),
            *self.give(contact(usage_point=usage_point, meter_no=meter_no)),
            *self.match(usage_point, meter_no),
        ]

    def match(self, usage_point: str = POINT, meter_no: str = "M1") -> list[Any]:
        """Somebody saw which meter measures the household."""
        request = RequestMade(
            request_id=f"match-{usage_point}-{meter_no}",
            action="verify_match",
            account_no=ACCOUNT,
            usage_point=usage_point,
            case_id="",
            person=PEOPLE["server"],
            role="server",
            details=seen(meter_no),
            requested_at=self.fold.as_of,
        )
        return self.give(request)

    def open_case(self, **details: str) -> list[Any]:
        """The requester asks for the disconnection."""
        return self.ask(
            "request_disconnect", "requester", **{"window_from_at": WINDOW_FROM, **details}
        )

    def serve(self, served_at: str = SERVED) -> list[Any]:
        """The notice was served."""
        self.tick(max(served_at, self.fold.as_of))
        return self.ask("serve_notice", "server", **service(served_at))

    def approve(self) -> None:
        """Both others approve."""
        self.ask("approve", "reviewer")
        self.ask("approve", "unit_head")

    def serve_final(self, served_at: str = FINAL) -> list[Any]:
        """The final notice was served."""
        self.tick(max(served_at, self.fold.as_of))
        return self.ask("serve_final_notice", "server", **service(served_at))

    def up_to_clearance(self, **changes: Any) -> str:
        """The whole chain until clearance was asked; the clearance's id."""
        self.know(**changes)
        self.open_case()
        self.serve()
        self.approve()
        self.serve_final()
        self.tick(IN_WINDOW)
        return self.clearance_id

    @property
    def clearance_id(self) -> str:
        """The id of the last clearance asked."""
        asked = [body for topic, _, body in self.outgoing if topic == "control.clearances"]
        return str(asked[-1].clearance_id)

    def up_to_command(self, **changes: Any) -> CommandIssued:
        """The whole chain until the command was issued."""
        clearance_id = self.up_to_clearance(**changes)
        self.give(granted(clearance_id, "2026-03-12T02:11:00Z"))
        return self.command

    def up_to_cut(self) -> CommandIssued:
        """The whole chain until the relay was read back open."""
        command = self.up_to_command()
        self.report("confirmed", "open")
        return command

    @property
    def commands(self) -> list[CommandIssued]:
        """All commands that went out."""
        return [body for _, _, body in self.outgoing if isinstance(body, CommandIssued)]

    @property
    def command(self) -> CommandIssued:
        """The last command that went out."""
        return self.commands[-1]

    def report(self, outcome: str, state: str = "", **changes: Any) -> list[Any]:
        """Ingest reports what became of the last command."""
        command = self.command
        report = SwitchingReported(
            command_id=command.command_id,
            seq=command.seq,
            account_no=ACCOUNT,
            usage_point=command.usage_point,
            action=command.action,
            outcome=outcome,
            state=state,
            reason="",
            reported_at=self.fold.as_of,
        )
        return self.give(replace(report, **changes))


def service(served_at: str) -> dict[str, str]:
    """The details of a served notice."""
    return {
        "channel": "handed_over",
        "recipient": "the customer",
        "served_at": served_at,
        "evidence": "photo 17",
        "authority_copy_at": served_at,
    }


def weather(alarm: str = "", area: str = "", **changes: str) -> WeatherTold:
    """Somebody states the weather of the day of the cut."""
    told = WeatherTold(
        statement_id="w1",
        area=area,
        alarm=alarm,
        from_at="2026-03-11T16:00:00Z",
        until_at="2026-03-12T16:00:00Z",
        person="chen",
    )
    return replace(told, **changes)


def contact(**changes: Any) -> ContactChanged:
    """Ingest tells that the meter of the point answers."""
    told = ContactChanged(
        account_no=ACCOUNT,
        usage_point=POINT,
        meter_no="M1",
        reachable=True,
        data_to_on="2026-03-01",
        told_at=START,
    )
    return replace(told, **changes)


def seen(meter_no: str = "M1") -> dict[str, str]:
    """The details of a match of meter and household."""
    return {"meter_no": meter_no, "verified_on": "2026-03-01", "evidence": "photo 3"}


def names(events: list[Any]) -> list[str]:
    """The kinds of events, in order, without those about permits."""
    return [type(event).__name__ for event in events if not isinstance(event, PERMITS)]


def reserved(permit_id: str, hour_at: str, count: int = 1) -> PermitReserved:
    """The limit stage gives a permit."""
    return PermitReserved(
        permit_id=permit_id,
        account_no=ACCOUNT,
        case_id=permit_id.rpartition(".")[0],
        hour_at=hour_at,
        cap=3,
        count=count,
    )


def corrected(decision: str = "", case_id: str = "r7/P1") -> CorrectionProposed | CorrectionDecided:
    """Metrology proposes to correct the account's usage, or says what a person decided."""
    told = {"case_id": case_id, "account_no": ACCOUNT, "usage_point": POINT}
    if decision:
        return CorrectionDecided(decision=decision, **told)
    return CorrectionProposed(**told)


def ordered(*open_orders: str) -> OrdersChanged:
    """Payments tell which orders of the account may still be paid."""
    return OrdersChanged(account_no=ACCOUNT, open_orders=open_orders)


def capped(permit_id: str, hour_at: str) -> PermitRefused:
    """The limit stage refuses a permit: the area has three in this hour."""
    return PermitRefused(
        permit_id=permit_id,
        account_no=ACCOUNT,
        case_id=permit_id.rpartition(".")[0],
        hour_at=hour_at,
        cap=3,
        count=3,
    )
