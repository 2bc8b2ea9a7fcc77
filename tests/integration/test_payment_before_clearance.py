"""A payment that a gateway was told is safe, and a payments core that is dead while people approve.

Two accounts of a town on real Kafka live the same case side by side: debt, request, notice, two
approvals, final notice, window. One of them pays after the first approval; the edge acknowledges it
while the payments core is killed, and until after the second approval nobody decides that money.
Clearance is granted by fence only, so the payer must never be cut. The neighbour, who differs in
nothing but the payment, is cut: so every step of this history does lead to an open relay.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from libs.events.edge import broadcast
from services.control import events as control
from services.control.instant import plus
from services.payments.events import catalogue as payments_catalogue
from services.payments.order_number import make_order_number
from services.payments.reactions import InvoiceIssued
from simulators.gateways.callbacks import Payment, Twist, build
from simulators.gateways.keys import generate_keys, load_keys
from tests.integration.town import INSTALLED_AT, PARTITIONS, Town, opened_town, own_kafka
from tests.simulation.told import contact, match_details, published, weather
from tests.unit.control.samples import FINAL, IN_WINDOW, SERVED, START, WINDOW_FROM, service

__all__ = ["own_kafka"]
pytestmark = pytest.mark.kafka
PAYER, NEIGHBOUR = "1000000042", "1000000043"
METERS = {PAYER: "000000000042", NEIGHBOUR: "000000000043"}
OWED_FEN = 12_000
PAID_AT = "2026-03-03T02:00:00Z"
CORES = ("control", "control.limits", "payments", "ingest.effect")
RETRY_S = 360
"""Longer than control waits before it asks for a clearance again."""


@dataclass
class Office:
    """The people of the utility, the gateway, and what both accounts are told and told of."""

    town: Town
    keys: Path
    now_at: str = START
    asked: int = 0

    def tick(self, at: str) -> None:
        """Time passes, and everybody who runs takes note."""
        self.now_at = at
        self.town.tick(at)

    def know(self, account: str) -> None:
        """Agreement, meter and debt of an account."""
        town, address = self.town, METERS[account]
        agreement = published(account, {})
        point = replace(
            agreement.switch_points[0],
            meter_no=f"M{address}",
            address=address,
            installed_from_at=INSTALLED_AT,
        )
        told = replace(agreement, switch_points=(point,))
        debt = InvoiceIssued(
            invoice_no=f"INV{account}",
            account_no=account,
            total_fen=OWED_FEN,
            due_on="2026-01-15",
        )
        town.supply(account, f"P{account}", address)
        town.write(control.catalogue, "customers.agreements", account, told)
        town.write(payments_catalogue, "billing.events", account, debt)

    def know_more(self, account: str, meter_no: str) -> None:
        """The meter answers and is the household's; the weather is fine."""
        told = contact(account, self.now_at, meter_no=meter_no)
        self.town.write(control.catalogue, "ingest.switching", account, told)
        seen = control.RequestMade(
            request_id="match",
            action="verify_match",
            account_no=account,
            usage_point=f"P{account}",
            case_id="",
            person="server",
            role="server",
            details=match_details(meter_no),
            requested_at=self.now_at,
        )
        self.town.write(control.edge_catalogue, "control.requests", account, seen)
        clock, edge = self.town.clock, control.edge_catalogue
        broadcast(clock, "control.edge", edge, "control.alarms", weather(), PARTITIONS)

    def ask(self, action: str, role: str, **details: str) -> None:
        """A person asks the same for both accounts; returns when control took it."""
        self.asked += 1
        for account in METERS:
            request = control.RequestMade(
                request_id=f"r{self.asked}",
                action=action,
                account_no=account,
                usage_point=f"P{account}",
                case_id="" if action == "request_disconnect" else self.case_of(account),
                person=role,
                role=role,
                details=details,
                requested_at=self.now_at,
            )
            self.town.write(control.edge_catalogue, "control.requests", account, request)
        for account in METERS:
            self.town.until(
                f"{action} of {role}",
                lambda account=account: self.told(  # type: ignore[misc]
                    "request_taken", account, request_id=f"r{self.asked}"
                ),
            )

    def case_of(self, account: str) -> str:
        """The case of an account; the request that opens it is the first one."""
        return f"{account}.r1"

    def told(self, name: str, account: str, **fields: object) -> list[dict[str, object]]:
        """Own events of control about an account."""
        found = self.town.facts("control.events", f"control.{name}", account_no=account, **fields)
        return [fact.body for fact in found]

    def decided(self, name: str, account: str) -> list[dict[str, object]]:
        """Own events of payments about an account."""
        found = self.town.facts("payments.events", f"payments.{name}", account_no=account)
        return [fact.body for fact in found]

    def pay(self, account: str) -> int:
        """A callback over the whole debt; the offset of the notice, once the edge has said 2xx."""
        payment = Payment(
            channel="wechat",
            order=make_order_number(account, "26030001"),
            amount_fen=OWED_FEN,
            at=datetime.fromisoformat(PAID_AT),
            txn_id="4200000000202603030000000001",
            payer="oPAYER",
        )
        keys = load_keys(self.keys)
        callback = build(keys, payment, Twist(), "EV-1", int(time.time()))
        edge = self.town.until_ready("payments-edge-0")
        url = f"http://127.0.0.1:{edge['port']}{callback.path}"
        answer = httpx.post(url, content=callback.body, headers=callback.headers, timeout=30)
        assert answer.is_success, answer.text
        notices = self.town.facts("payments.notices", "payments.notice_received", key=account)
        assert [notice.body["verdict"] for notice in notices] == ["accepted"]
        return notices[0].offset


@pytest.fixture
def office(own_kafka: str, tmp_path: Path) -> Iterator[Office]:
    keys = generate_keys(tmp_path / "keys")
    addresses = list(METERS.values())
    with opened_town(own_kafka, tmp_path, addresses, payment_profiles_file=keys) as town:
        yield Office(town, keys.parent)


def test_money_that_was_acknowledged_is_decided_before_a_clearance(office: Office) -> None:
    town = office.town
    payments = town.start("payments")
    for service_name in ("control", "payments-edge", "ingest-field"):
        town.start(service_name)
    up_to_first_approval(office)

    # Killed before the callback: killed just after it the money might be decided already.
    payments.kill()
    paid_offset = office.pay(PAYER)
    office.ask("approve", "unit_head")
    ask_in_vain(office)

    town.start("payments")
    cut_the_neighbour(office)
    town.settle(*CORES)
    the_payer_was_never_cut(office, paid_offset)


def up_to_first_approval(office: Office) -> None:
    """Both accounts owe, are noticed, and a reviewer approves."""
    town = office.town
    office.tick(START)
    town.settle(*CORES)
    for account in METERS:
        office.know(account)
    town.settle(*CORES)
    office.ask("request_disconnect", "requester", window_from_at=WINDOW_FROM)
    office.tick(SERVED)
    town.settle("control")
    office.ask("serve_notice", "server", **service(SERVED))
    for account, address in METERS.items():
        office.know_more(account, f"M{address}")
    office.ask("approve", "reviewer")


def ask_in_vain(office: Office) -> None:
    """The window comes, clearance is asked for both, asked again, and nobody answers."""
    town = office.town
    office.tick(FINAL)
    town.settle("control")
    office.ask("serve_final_notice", "server", **service(FINAL))
    for number, at in enumerate((IN_WINDOW, plus(IN_WINDOW, RETRY_S)), start=1):
        office.tick(at)
        town.settle("control", "control.limits", "ingest.effect")
        for account in METERS:
            assert len(office.told("clearance_asked", account)) == number
    assert office.decided("payment_captured", PAYER) == []
    for account, address in METERS.items():
        assert office.decided("clearance_opened", account) == []
        assert office.told("clearance_noted", account) == []
        assert office.told("command_issued", account) == []
        assert town.relay(address) == "closed"


def cut_the_neighbour(office: Office) -> None:
    """Without a payment the same case reaches clearance, command and an open relay."""
    town = office.town
    town.settle("payments", "control", "control.limits")
    while not office.told("command_issued", NEIGHBOUR):
        # The answers may have come when their minutes were over: control asks again.
        office.tick(plus(office.now_at, RETRY_S))
        assert office.now_at < plus(IN_WINDOW, 3 * 3600), "the window ends"
        town.settle("payments", "control", "control.limits")
    (command,) = office.told("command_issued", NEIGHBOUR)
    granted = {body["clearance_id"] for body in office.decided("clearance_granted", NEIGHBOUR)}
    assert command["clearance_id"] in granted
    ended = town.until(
        "the outcome", lambda: town.facts("ingest.results", "ingest.attempt_ended", final=True)
    )
    assert [(fact.key, fact.body["outcome"]) for fact in ended] == [(f"P{NEIGHBOUR}", "confirmed")]
    assert town.relay(METERS[NEIGHBOUR]) == "open"
    assert len(town.relay_frames(METERS[NEIGHBOUR])) == 1


def the_payer_was_never_cut(office: Office, paid_offset: int) -> None:
    """Every clearance was refused behind the payment, and nothing ever went to the meter."""
    town = office.town
    (captured,) = office.decided("payment_captured", PAYER)
    assert captured["amount_fen"] == OWED_FEN
    asked = [body["clearance_id"] for body in office.told("clearance_asked", PAYER)]
    refused = office.decided("clearance_refused", PAYER)
    assert [body["clearance_id"] for body in refused] == asked
    assert {(body["reason"], body["open_fen"]) for body in refused} == {("settled", 0)}
    assert all(int(str(body["fence_offset"])) > paid_offset for body in refused)
    assert office.decided("clearance_granted", PAYER) == []
    (closed,) = office.told("case_closed", PAYER)
    assert closed["outcome"] == "cancelled_paid"
    assert office.told("command_issued", PAYER) == []
    point = f"P{PAYER}"
    assert town.facts("control.commands", "control.command_issued", usage_point=point) == []
    assert town.facts("ingest.results", "ingest.attempt_started", usage_point=point) == []
    assert town.relay(METERS[PAYER]) == "closed"
    assert [e for e in town.simulator.journal() if e["meter"] == METERS[PAYER]] == []
