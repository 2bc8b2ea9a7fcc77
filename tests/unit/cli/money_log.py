"""A small log about bills and money, by the writers' own cores: docs/examples/money.

One account draws and feeds in: its January bill is released and issued, its statement of feed-in is
corrected and paid out. Payments has a callback for the bill, money that names no order, and
a refund that waits for a second person; a day of WeChat Pay lacks what the channel has.

`python -m tests.unit.cli.money_log` writes that export again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from libs.events.codec import encode
from libs.events.record import Envelope, envelope_headers
from libs.events.registry import Catalogue
from libs.events.testing.simlog import SimBroker, SimReader
from services.audit.files import export_topics
from services.billing.core import make_core as make_billing
from services.billing.events import InvoiceIssued
from services.ingest.events import RegistersRead
from services.ingest.events import edge_catalogue as ingest_catalogue
from services.payments.bookings import BookingNoted
from services.payments.core import make_core as make_payments
from services.payments.settlement.events import catalogue as settlement_catalogue
from tests.unit.billing_core.test_feed_in import EXPORT, IMPORT, january, release_all, usage
from tests.unit.payments_core.settling import DAY, KEY, ORDER, Desk, row
from tests.unit.payments_core.test_refunds import ask
from tests.unit.payments_core.world import A, B, World, order_of, received

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "money"
TOPICS = (
    "ingest.readings",
    "billing.events",
    "payments.events",
    "payments.settlement",
    "payments.postings",
)
AT = {
    "ingest.readings": "2026-02-01T00:00:00Z",
    "billing.events": "2026-02-10T00:00:00Z",
    "payments.events": "2026-03-02T02:00:00Z",
    "payments.settlement": "2026-03-02T03:00:00Z",
    "payments.postings": "2026-03-02T01:00:00Z",
}
TOPICS = tuple(AT)


READ = {"P1@2025-12-31": ("2025-12-31", 12_000_000), "P1@2026-01-31": ("2026-01-31", 12_310_000)}
"""The readings that the invoice names."""


def reading(reading_id: str, read: tuple[str, int]) -> RegistersRead:
    day_on, import_wh = read
    return RegistersRead(
        reading_id=reading_id,
        usage_point="P1",
        meter_no="M1",
        kind="daily_freeze",
        source="dlt645_2007",
        day_on=day_on,
        read_at=f"{day_on}T16:05:00Z",
        order_id="",
        registers={IMPORT: import_wh},
    )


def events() -> Iterator[tuple[str, str, Any]]:
    """Topic, key and body, in the order in which each topic has them."""
    office = january()
    office.feed(usage("2026-01-07", energy={IMPORT: 10_000, EXPORT: 4_501}, revision=2))
    office.tick("2026-02-10")
    release_all(office)
    yield from (("billing.events", A, body) for _, body in office.log)
    (invoice,) = (body for _, body in office.log if isinstance(body, InvoiceIssued))
    yield from (("ingest.readings", "P1", reading(*each)) for each in READ.items())
    world = World()
    world.invoice(A, f"{A}-2026-01", invoice.total_fen, invoice.due_on)
    world.take(received("T1", 10_000, ORDER))
    world.take(received("T9", 4_200, evidence_id="ev-9"))
    world.run()
    ask(world, 3_000, reason="paid twice")
    world.state_feed_in(A, f"{A}-F2026-01", 4_961)
    world.state_feed_in(A, f"{A}-F2026-02", 700)
    world.pay_out(A, f"{A}-F2026-01", 4_900)
    world.run()
    yield from (("payments.events", key, body) for key, body in world.events)
    desk = Desk()
    desk.book("T1", 10_000, order=ORDER)
    desk.bill(DAY, row("T1", 10_000, order=ORDER, fee_fen=60), row("T2", 8_000, order=order_of(B)))
    desk.tick(DAY)
    yield from (("payments.settlement", KEY, body) for body in desk.told_all)
    booked = BookingNoted(
        booking_id="wechat:T1", row=row("T1", 10_000, order=ORDER), source="callback"
    )
    yield "payments.postings", KEY, booked


def catalogues() -> dict[str, Catalogue]:
    payments = make_payments().catalogue
    return {
        "ingest.readings": ingest_catalogue,
        "billing.events": make_billing().catalogue,
        "payments.events": payments,
        "payments.settlement": settlement_catalogue,
        "payments.postings": payments,
    }


def write(directory: Path) -> None:
    """The log as an export; without commits of cores, so nothing can be audited on it."""
    broker, known = SimBroker(dict.fromkeys(TOPICS, 1)), catalogues()
    for number, (topic, key, body) in enumerate(events()):
        kind = known[topic].type_of(body).full_name
        envelope = Envelope(f"e/{number}", kind, topic, AT[topic], key)
        # The office calls its account A1, people may not.
        value = encode(body).replace(b'"A1', f'"{A}'.encode())
        broker.append(topic, 0, key.encode(), value, envelope_headers(envelope))
    export_topics(SimReader(broker), lambda topic: 1, list(TOPICS), directory, {})


if __name__ == "__main__":
    shutil.rmtree(EXAMPLE, ignore_errors=True)
    write(EXAMPLE)
