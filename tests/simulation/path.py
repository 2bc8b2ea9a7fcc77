"""The path from a supply to an invoice over simulated Kafka: ingest, validation and billing.

`World` plays everybody outside: customers publish agreements and supplies, meters answer the orders
that ingest writes, the clock ticks once every core is through. Meters count 10 Wh a minute.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from libs.events.codec import Codec, encode, envelope_of
from libs.events.core import Core, Tick
from libs.events.record import Envelope, envelope_headers
from libs.events.testing.driver import Faults, Simulation
from libs.events.topics import load_topics
from services.billing import events as billing
from services.billing.core import make_core as make_billing
from services.billing.price_book import PriceBook, content_hash
from services.billing.price_book_file import load_book
from services.clock.events import catalogue as clock_catalogue
from services.customers import events as customers
from services.ingest import events as ingest
from services.ingest.core import make_core as make_ingest
from services.validation.core import make_core as make_validation
from services.wiring import with_ignored

BOOKS = Path(billing.__file__).parent / "books"
PARTITIONS = 2
WRITTEN = {
    "ingest": ("ingest.switching",),
    "validation": ("validation.usage",),
    "billing": (),
}


def load_residential() -> PriceBook:
    """The example book of Chongqing, residential."""
    return load_book(BOOKS / "cq_residential.yaml")


def path_cores() -> tuple[Core, ...]:
    """The three cores, each with the types it may ignore."""
    made = (make_ingest("i"), make_validation("v"), make_billing("b"))
    return tuple(with_ignored(core, PARTITIONS) for core in made)


@dataclass(slots=True)
class World:
    """Everybody outside the cores. `silent`: (point, day) that no meter answers."""

    sim: Simulation
    silent: set[tuple[str, str]] = field(default_factory=set)
    spiked: set[tuple[str, str]] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)
    index: int = 0

    def write(self, catalogue: Any, topic: str, key: str, body: object) -> None:
        """An edge's record."""
        self.index += 1
        self.sim.feed(catalogue, topic, key, body, self.index)

    def broadcast(self, catalogue: Any, topic: str, body: object) -> None:
        """A record on every partition."""
        self.index += 1
        kind = catalogue.type_of(body)
        for partition in range(PARTITIONS):
            headers = envelope_headers(
                Envelope(
                    f"all/{self.index}/{partition}",
                    kind.full_name,
                    catalogue.owner,
                    "2026-01-01T00:00:00Z",
                    "",
                )
            )
            self.sim.append(topic, partition, None, encode(body), headers)

    def supply(self, account_no: str, point: str, *, version: int = 1) -> None:
        """An account with one residential point from 2026-01-01 on."""
        self.write(
            customers.catalogue,
            "customers.supply",
            point,
            customers.SupplyPublished(
                usage_point=point,
                version=version,
                account_no=account_no,
                area="A1",
                switching_method="meter_relay",
                voltage_class="lt1kv",
                registers=("1-0:1.8.0",),
                intervals=False,
                rate_periods={},
                supplied_from_on="2026-01-01",
                supplied_to_on="",
                agreement_version=version,
                installations=(
                    customers.Installation(
                        meter_no=f"M-{point}",
                        from_at="2025-12-31T16:00:00Z",
                        to_at="",
                        ratio="1",
                        protocol="dlt645_2007",
                        line="tcp:127.0.0.1:1",
                        address="000000000001",
                        digits=6,
                        capacity_w=20_000,
                        initial={"1-0:1.8.0": 0},
                        final={},
                    ),
                ),
            ),
        )

    def agreement(self, account_no: str, point: str, *, version: int = 1) -> None:
        """The agreement of that account."""
        self.write(
            customers.catalogue,
            "customers.agreements",
            account_no,
            customers.AgreementPublished(
                account_no=account_no,
                version=version,
                terms=(
                    customers.Terms(
                        valid_from_on="2026-01-01",
                        category="residential",
                        region="Chongqing",
                        price_list="residential",
                        voltage_class="lt1kv",
                        metering_side="low",
                        demand_mode="none",
                        contract_demand_w=0,
                        pf_standard="",
                        payment_mode="postpaid",
                        household_size=3,
                        language="zh",
                        protected="",
                        moved_out_on="",
                    ),
                ),
                transformers=(),
                points=(
                    customers.PointTerms(
                        usage_point=point,
                        relation="main",
                        parent_point="",
                        share="",
                        quantity_wh=0,
                        price_list="residential",
                        category="residential",
                        voltage_class="lt1kv",
                        metering_side="low",
                        rate_periods={},
                        from_on="2026-01-01",
                        to_on="",
                    ),
                ),
            ),
        )

    def publish(self, book: PriceBook) -> None:
        """A price book, on every partition."""
        body = billing.BookPublished(
            book=book, content_hash=content_hash(book), published_by="tariff desk"
        )
        self.broadcast(billing.edge_catalogue, "tariffs", body)

    def tick(self, at: str) -> None:
        """Business time."""
        self.broadcast(clock_catalogue, "calendar", Tick(at=at))

    def answer_orders(self) -> bool:
        """Meters answer all orders that were not answered yet; whether there were any."""
        codec = Codec(ingest.catalogue)
        found = False
        for partition in range(PARTITIONS):
            for record in self.sim.broker.read("ingest.events", partition, 0, 1 << 30).records:
                envelope = envelope_of(record.headers)
                if envelope.type != "ingest.reading_ordered.v1":
                    continue
                order = codec.decode(envelope.type, record.value)
                if order.order_id in self.answered:
                    continue
                self.answered.add(order.order_id)
                self._answer(order)
                found = True
        return found

    def _answer(self, order: ingest.ReadingOrdered) -> None:
        where = (order.usage_point, order.day_on)
        if where in self.silent:
            body: object = ingest.ReadFailed(
                order_id=order.order_id,
                usage_point=order.usage_point,
                meter_no=order.meter_no,
                day_on=order.day_on,
                attempt=order.attempt,
                cause="no_reply",
                detail="silent",
                failed_at="2026-01-01T00:00:00Z",
            )
        else:
            days = (date.fromisoformat(order.day_on) - date(2025, 12, 31)).days
            value = days * 1440 * 10 + (900_000 if where in self.spiked else 0)
            body = ingest.RegistersRead(
                reading_id=order.order_id,
                usage_point=order.usage_point,
                meter_no=order.meter_no,
                kind="daily_freeze",
                source="dlt645_2007",
                day_on=order.day_on,
                read_at="2026-01-01T00:00:00Z",
                order_id=order.order_id,
                registers={"1-0:1.8.0": value},
            )
        self.write(ingest.edge_catalogue, "ingest.readings", order.usage_point, body)

    def rest(self) -> None:
        """Let everything be decided, meters answering, until nothing moves."""
        while True:
            self.sim.finish()
            if not self.answer_orders():
                return

    def live_through(self, first_on: date, days: int, *, turns: int = 0) -> None:
        """One tick a day, at 00:30 of the next day; `turns` of faults after each."""
        for number in range(days):
            day = first_on + timedelta(days=number)
            self.tick(f"{day.isoformat()}T16:30:00Z")
            if turns:
                self.sim.calm = False
                for _ in range(turns):
                    self.sim.run(1)
                    if self.sim.random.random() < 0.1 and not self.sim.broker.down:
                        self.answer_orders()
                self.sim.broker.down = False
            self.rest()


def new_world(seed: int, faults: Faults | None = None) -> World:
    """A world with the three cores."""
    table = load_topics(PARTITIONS)
    sim = Simulation(
        seed,
        path_cores(),
        partitions=PARTITIONS,
        members=1 if seed % 3 else 2,
        topics=tuple(table.topics),
        faults=faults or Faults(),
    )
    sim.calm = faults is None
    return World(sim)


def events_of(sim: Simulation, core: str, name: str) -> list[Any]:
    """All own events of one type, in the order of their partitions."""
    made = next(found for found in sim.cores if found.name == core)
    codec = Codec(made.catalogue)
    bodies = []
    for partition in range(PARTITIONS):
        for record in sim.broker.read(made.own_topic, partition, 0, 1 << 30).records:
            envelope = envelope_of(record.headers)
            if envelope.type.rpartition(".v")[0] == name:
                bodies.append(codec.decode(envelope.type, record.value))
    return bodies
