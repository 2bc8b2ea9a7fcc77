"""What people do in the city: pay, serve notices, approve, read meters, publish books.

Every act goes through the same door a real person or gateway would use: HTTP with a password, a
signed callback, a command's function. Nothing here writes to a topic that people cannot write to.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from libs.events.edge import EdgeProducer
from libs.events.kafka import TransactionalWriter
from libs.events.quantities import format_yuan
from services.billing.api import SOURCE, decide_release, publish_book
from services.billing.events import edge_catalogue as billing_edge
from services.billing.price_book import PriceBook
from services.billing.price_book_file import BOOKS, load_book
from services.cli import metrology_desk
from services.cli.payments import make_request
from services.cli.payments_import import give_file
from services.cli.payments_order import order_request
from services.cli.payments_refund import rebinding_request
from services.control.accounts import add_account
from services.customers.api import submit
from services.customers.events import catalogue as customers_catalogue
from services.customers.import_files import read_import
from services.customers.opening_files import read_opening
from services.ingest.api import enter_reading
from services.ingest.events import edge_catalogue as ingest_edge
from services.metrology.events import CaseDecided
from services.metrology.events import edge_catalogue as metrology_edge
from services.metrology.seal_custody import SealEvent
from services.metrology.standards_register import CertifiedStandard
from services.payments.events import edge_catalogue as payments_edge
from services.payments.order_number import make_order_number
from services.payments.payable_events import TRANSFER, PayoutRecorded
from services.settings import Settings
from services.wiring import open_producer
from simulators.city.stage import ControlPort, Stage, insist, post
from simulators.gateways.keys import MCHID

STAFF = {
    "requester": ("chen", "collection"),
    "reviewer": ("li.na", "collection"),
    "unit_head": ("wang", "collection"),
    "server": ("zhou", "field"),
    "works": ("sun", "works"),
    "other_head": ("zhao", "safety"),
    "editor": ("luo", "metering"),
}
PLAYED = {"works": "requester", "other_head": "unit_head"}
"""In which role somebody signs in, where their name here is another."""
PASSWORD = "demo-password-2026"


def write_operators(path: Path) -> None:
    """The local accounts of the demo's people, with argon2 hashes."""
    for role, (person, unit) in STAFF.items():
        add_account(path, person, PLAYED.get(role, role), PASSWORD, unit)


@dataclass(slots=True)
class Acts:
    """The doors of the installation, opened once."""

    stage: Stage
    settings: Settings
    gateways: ControlPort
    bench: ControlPort
    meters: ControlPort
    concentrator: ControlPort
    orders: int = 0
    producers: dict[str, EdgeProducer] = field(default_factory=dict)
    writer: TransactionalWriter | None = None
    lab_writer: TransactionalWriter | None = None

    def producer(self, source: str, catalogue: Any) -> EdgeProducer:
        """One producer per edge."""
        if source not in self.producers:
            self.producers[source] = open_producer(self.settings, source, catalogue)
        return self.producers[source]

    # -- files ------------------------------------------------------------------------------

    def import_customers(self, directory: Path, by: str) -> tuple[int, int]:
        """Import a directory; good rows and bad rows."""
        found = read_import(directory, by)
        append = self.producer("customers.edge", customers_catalogue).append
        insist(lambda: submit(found.requests, append))
        return found.rows_good, len(found.defects)

    def open_positions(self, directory: Path, by: str) -> list[str]:
        """Send opening positions; the defects of the files, empty when all were sent."""
        found = read_opening(directory, by)
        append = self.producer("customers.edge", customers_catalogue).append
        insist(lambda: submit(found.requests, append))
        return [str(defect) for defect in found.defects]

    def publish(self, name: str) -> None:
        """Publish one of the shipped books."""
        self.publish_book(load_book(BOOKS / f"{name}.yaml"))

    def publish_book(self, book: PriceBook) -> None:
        """Publish a price book."""
        if self.writer is None:
            self.writer = TransactionalWriter(self.settings.kafka(), SOURCE)
        writer = self.writer
        insist(lambda: publish_book(writer, book, "tariff desk", self.settings.partitions))

    # -- money ------------------------------------------------------------------------------

    def pay(
        self,
        account_no: str,
        amount_fen: int,
        channel: str,
        at: str,
        faults: Mapping[str, Any] | None = None,
        *,
        orderless: bool = False,
    ) -> dict[str, Any]:
        """Somebody pays; the gateway calls us back, with faults on demand."""
        self.orders += 1
        order = "" if orderless else make_order_number(account_no, f"{self.orders:06d}")
        return self.gateways.ask(
            "pay",
            order=order,
            amount_fen=amount_fen,
            channel=channel,
            at=at,
            payer=f"payer-{account_no}",
            faults=dict(faults or {}),
        )

    def open_order(self, account_no: str, amount_fen: int) -> str:
        """A payer is shown an order; its number."""
        self.orders += 1
        yuan = format_yuan(amount_fen)
        body = order_request(account_no, yuan, "wechat", MCHID, "app", "", 0, f"{self.orders:06d}")
        producer = self.producer("payments.edge", payments_edge)
        insist(lambda: producer.append("payments.notices", account_no, body))
        return body.out_trade_no

    def bind(self, suspense_key: str, parts: Mapping[str, int]) -> None:
        """A clerk binds money in suspense to accounts."""
        to = [f"{account}={format_yuan(amount)}" for account, amount in parts.items()]
        reason = "the customer showed the slip"
        request = make_request(suspense_key, to, "clerk", reason, f"bind/{suspense_key}")
        producer = self.producer("payments.edge", payments_edge)
        insist(lambda: producer.append("payments.notices", suspense_key, request))

    def rebind(self, payment_id: str, old: str, parts: Mapping[str, int]) -> None:
        """Two clerks bind again what was bound to the wrong account."""
        to = [f"{account}={format_yuan(amount)}" for account, amount in parts.items()]
        request = rebinding_request(
            payment_id, old, to, "clerk", "supervisor", "the list of the payer", f"again/{old}"
        )
        producer = self.producer("payments.edge", payments_edge)
        insist(lambda: producer.append("payments.notices", payment_id, request))

    def import_settlement(
        self, file: Path, channel: str, mapping: Path | None, **known: str
    ) -> dict[str, Any]:
        """A clerk imports a settlement file by the command's function; what was given."""
        return insist(lambda: give_file(str(file), channel, "clerk", mapping, **known))

    def pay_out(self, account_no: str, statement_no: str, amount_fen: int, day: date) -> None:
        """The cashier transfers what is owed for feed-in, and records it with the bank's slip."""
        request = PayoutRecorded(
            request_id=f"transfer/{statement_no}/{day.isoformat()}",
            account_no=account_no,
            statement_no=statement_no,
            kind=TRANSFER,
            amount_fen=amount_fen,
            recorded_by="cashier",
            reason="",
            bank="operating",
            bank_ref=f"{statement_no}/{day.isoformat()}",
            paid_on=day.isoformat(),
            evidence=f"slip {statement_no}",
        )
        producer = self.producer("payments.edge", payments_edge)
        insist(lambda: producer.append("payments.notices", account_no, request))

    # -- billing, metering, lab --------------------------------------------------------------

    def release(self, bills: Iterable[Any], reason: str) -> int:
        """A clerk releases held bills."""
        producer = self.producer(SOURCE, billing_edge)
        count = 0
        for bill in bills:
            account_no, bill_id = bill.account_no, bill.bill_id
            insist(
                partial(decide_release, producer, account_no, bill_id, "release", "clerk", reason)
            )
            count += 1
        return count

    def read_by_hand(self, usage_point: str, meter_no: str, day_on: str, wh: int) -> None:
        """A field reader enters what the meter showed at the end of a day."""
        producer = self.producer("ingest.edge", ingest_edge)
        insist(
            lambda: enter_reading(
                producer,
                usage_point=usage_point,
                meter_no=meter_no,
                day_on=day_on,
                registers={"1-0:1.8.0": wh},
                entered_by="zhou",
            )
        )

    def decide_case(self, case_id: str, meter_no: str, decision: str) -> None:
        """The head of the lab decides a proposed correction."""
        body = CaseDecided(
            case_id=case_id,
            meter_no=meter_no,
            decision=decision,
            decided_by="lab head",
            reason="certificate checked",
        )
        producer = self.producer("metrology.edge", metrology_edge)
        insist(lambda: producer.append("metrology.bench", meter_no, body))

    def register_standard(self, standard: CertifiedStandard) -> None:
        """The lab registers the certificate of a bench or reference, on every partition."""
        if self.lab_writer is None:
            self.lab_writer = TransactionalWriter(self.settings.kafka(), metrology_desk.SOURCE)
        writer, body = self.lab_writer, metrology_desk.make_registration(standard, "lab head")
        insist(lambda: metrology_desk.send_registration(writer, body, self.settings.partitions))

    def report_seal(self, entry: SealEvent) -> None:
        """Somebody reports what was done with a seal."""
        body = metrology_desk.make_entry(entry)
        producer = self.producer("metrology.edge", metrology_edge)
        insist(lambda: metrology_desk.send(producer, entry.seal_no, body))

    # -- switching ---------------------------------------------------------------------------

    def ask_control(self, role: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """One request to the control edge, by an authenticated person."""
        person = STAFF[role][0]
        token = base64.b64encode(f"{person}:{PASSWORD}".encode()).decode()
        # The same request has the same key: a retry is recognised, and a seed gives the same cases.
        said = json.dumps([person, path, body], sort_keys=True).encode()
        key = hashlib.sha256(said).hexdigest()[:32]
        headers = {"Authorization": f"Basic {token}", "Idempotency-Key": key}
        url = self.stage.url("control", path)
        answer: dict[str, Any] = insist(lambda: post(url, body, headers=headers))
        return answer

    def close(self) -> None:
        """Hang up and write what waits."""
        for producer in self.producers.values():
            producer.close()
        for port in (self.gateways, self.bench, self.meters, self.concentrator):
            port.close()


def read_ready(path: Path) -> dict[str, Any]:
    """A ready file."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
