"""The path from a supply to an invoice over simulated Kafka: ingest, validation and billing.

`World` plays everybody outside: customers publish agreements and supplies, meters answer the orders
that ingest writes, people read meters and release bills, the clock ticks once every core is
through. What happens is a `Story` drawn from a seed of its own, so that the same story can be lived
through with and without faults. Meters count 10 Wh a minute unless the story says otherwise.
"""

from __future__ import annotations

import random
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from libs.events.codec import Codec, encode
from libs.events.core import Core, Tick
from libs.events.record import Envelope, Record, envelope_headers
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
from services.wiring import on_table

BOOKS = Path(billing.__file__).parent / "books"
PARTITIONS = 2
WRITTEN = {
    "ingest": ("ingest.switching",),
    "validation": ("validation.usage", "validation.area_usage"),
    "billing": (),
}


_BOOKS: dict[str, PriceBook] = {}


def load_residential() -> PriceBook:
    """The example book of Chongqing, residential."""
    if "residential" not in _BOOKS:
        _BOOKS["residential"] = load_book(BOOKS / "cq_residential.yaml")
    return _BOOKS["residential"]


def path_cores() -> tuple[Core, ...]:
    """The three cores, each with the types it may ignore."""
    made = (make_ingest("i"), make_validation("v"), make_billing("b"))
    return tuple(on_table(core, PARTITIONS) for core in made)


IMPORT = "1-0:1.8.0"
FIRST_ON = date(2026, 1, 1)
EXCHANGE_MINUTE = 600
NEW_INITIAL = 500
"""What a new meter shows when it is put there, in Wh."""


def day_on(index: int) -> str:
    """The day so many days after 2026-01-01."""
    return (FIRST_ON + timedelta(days=index)).isoformat()


def local_at(index: int, minute: int = 0) -> str:
    """An instant by local time, days and minutes after 2026-01-01 00:00."""
    days, rest = divmod(index * 1440 + minute - 480, 1440)
    return f"{day_on(days)}T{rest // 60:02d}:{rest % 60:02d}:00Z"


@dataclass(frozen=True, slots=True)
class PointStory:
    """What happens at one point. used: Wh by day; outages: days (from, to) in which its meter
    answers nobody; spiked: days whose freeze shows far too much; exchanged: the day (10:00) of a
    meter exchange, 0 for none; reader: whether a person comes when ingest asks for one."""

    account_no: str
    point: str
    used: tuple[int, ...]
    outages: tuple[tuple[int, int], ...] = ()
    spiked: frozenset[int] = frozenset()
    exchanged: int = 0
    reader: bool = True

    def shown(self, day: int, meter_no: str) -> int:
        """The register of one of its meters at the end of a day (-1: at the very beginning)."""
        total = sum(self.used[: day + 1])
        if meter_no == self.new_meter:
            return NEW_INITIAL + total - self.at_exchange
        return total

    @property
    def at_exchange(self) -> int:
        """What the old meter showed when it went: 10/24 of the day's usage."""
        return sum(self.used[: self.exchanged]) + self.used[self.exchanged] * 10 // 24

    @property
    def old_meter(self) -> str:
        return f"M-{self.point}"

    @property
    def new_meter(self) -> str:
        return f"N-{self.point}"

    def is_silent(self, now: int) -> bool:
        return any(first <= now <= last for first, last in self.outages)

    def meter_at(self, now: tuple[int, int]) -> str:
        """The meter that is there at a day and minute: only that one answers."""
        is_new = self.exchanged and now >= (self.exchanged, EXCHANGE_MINUTE)
        return self.new_meter if is_new else self.old_meter


@dataclass(frozen=True, slots=True)
class Story:
    """What happens in one history: its points, the ticks as (day, minute), and when the price book
    and the agreements are published (index of a tick)."""

    points: tuple[PointStory, ...]
    ticks: tuple[tuple[int, int], ...]
    book_tick: int
    agreement_tick: int


def daily_story(*points: PointStory, days: int = 40) -> Story:
    """A story with a tick every night and everything published before the first."""
    ticks = tuple((day, 30) for day in range(1, days + 1))
    return Story(points=points, ticks=ticks, book_tick=0, agreement_tick=0)


EVEN = (14_400,) * 60
"""Ten watt-hours a minute."""


def draw_story(seed: int, days: int = 38) -> Story:
    """A story of a month and some days, with a point or two; every third has an outage over the
    end of the month, so that a bill is made from estimates and corrected later."""
    draw = random.Random(f"story/{seed}")
    points = []
    for number in range(draw.choice((1, 1, 2))):
        used = tuple(draw.randrange(8_000, 16_000) for _ in range(days + 2))
        outages = []
        if draw.random() < 0.7:
            first = 29 if seed % 3 == 0 else draw.randrange(3, days - 6)
            outages.append((first, first + (6 if first == 29 else draw.choice((0, 1, 3, 9)))))
        spiked = frozenset({draw.randrange(8, days - 3)} if draw.random() < 0.5 else ())
        exchanged = draw.randrange(5, days - 5) if draw.random() < 0.4 else 0
        points.append(
            PointStory(
                account_no=f"A{number}",
                point=f"P{seed % 7}-{number}",
                used=used,
                outages=tuple(outages),
                spiked=spiked - {exchanged},
                exchanged=exchanged,
                reader=draw.random() < 0.5,
            )
        )
    ticks, day, minute = [], 1, 30
    while day < days:
        ticks.append((day, minute))
        day += draw.choice((1, 2, 4, 5)) if day < 28 else draw.choice((1, 2))
        minute = draw.choice((30, 540))
    return Story(
        points=tuple(points),
        ticks=(*ticks, (days, 540)),
        book_tick=draw.choice((0, 0, 0, len(ticks) - 4, len(ticks) - 1)),
        agreement_tick=draw.choice((0, 0, 3)),
    )


@dataclass(slots=True)
class World:
    """Everybody outside the cores. `points`: the story of each point by its name."""

    sim: Simulation
    points: dict[str, PointStory] = field(default_factory=dict)
    read_to: dict[tuple[str, int], int] = field(default_factory=dict)
    now: tuple[int, int] = (0, 0)
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

    def supply(self, story: PointStory, *, version: int = 1, exchanged: bool = False) -> None:
        """An account with one residential point from 2026-01-01 on, with its meters so far."""
        old = self._meter(story.old_meter, local_at(0), {IMPORT: 0})
        meters = [old]
        if exchanged:
            moment = local_at(story.exchanged, EXCHANGE_MINUTE)
            meters = [
                self._meter(
                    story.old_meter, local_at(0), {IMPORT: 0}, moment, {IMPORT: story.at_exchange}
                ),
                self._meter(story.new_meter, moment, {IMPORT: NEW_INITIAL}),
            ]
        self.points[story.point] = story
        self.write(
            customers.catalogue,
            "customers.supply",
            story.point,
            customers.SupplyPublished(
                usage_point=story.point,
                version=version,
                account_no=story.account_no,
                area="A1",
                switching_method="meter_relay",
                voltage_class="lt1kv",
                registers=(IMPORT,),
                intervals=False,
                rate_periods={},
                supplied_from_on="2026-01-01",
                supplied_to_on="",
                agreement_version=1,
                installations=tuple(meters),
            ),
        )

    def _meter(
        self,
        meter_no: str,
        from_at: str,
        initial: dict[str, int],
        to_at: str = "",
        final: dict[str, int] | None = None,
    ) -> customers.Installation:
        return customers.Installation(
            meter_no=meter_no,
            from_at=from_at,
            to_at=to_at,
            ratio="1",
            protocol="dlt645_2007",
            line="tcp:127.0.0.1:1",
            address="000000000001",
            digits=6,
            capacity_w=20_000,
            initial=initial,
            final=final or {},
        )

    def agreement(self, story: PointStory, *, version: int = 1) -> None:
        """The agreement of the point's account."""
        account_no, point = story.account_no, story.point
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

    # -- meters and people --------------------------------------------------------------------

    def respond(self) -> bool:
        """Meters answer the orders, and people do what waits for them, once each; whether anybody
        did anything: read meters, release bills."""
        before = self.index
        for event in self._news():
            match event:
                case ingest.ReadingOrdered():
                    self._answer(event)
                case ingest.FieldReadingOrdered():
                    self._read_by_hand(event)
                case billing.BillCalculated() if event.hits:
                    self.release(event)
        return self.index > before

    def _news(self) -> list[Any]:
        """What ingest and billing decided since the last time."""
        found = []
        for core in self.sim.cores:
            for partition in range(PARTITIONS if core.name in WATCHED else 0):
                at = self.read_to.get((core.own_topic, partition), 0)
                piece = self.sim.broker.read(core.own_topic, partition, at, 1 << 30)
                self.read_to[core.own_topic, partition] = piece.next_offset
                found += decoded(core, piece.records, WATCHED[core.name])
        return found

    def _answer(self, order: ingest.ReadingOrdered) -> None:
        story = self.points[order.usage_point]
        if story.is_silent(self.now[0]) or order.meter_no != story.meter_at(self.now):
            body: object = ingest.ReadFailed(
                order_id=order.order_id,
                usage_point=order.usage_point,
                meter_no=order.meter_no,
                day_on=order.day_on,
                attempt=order.attempt,
                cause="no_reply",
                detail="silent",
                failed_at=local_at(self.now[0]),
            )
        else:
            day = (date.fromisoformat(order.day_on) - FIRST_ON).days
            spike = 900_000 if day in story.spiked else 0
            body = self.reading(story, day, order.meter_no, spike)
        self.write(ingest.edge_catalogue, "ingest.readings", order.usage_point, body)

    def reading(
        self, story: PointStory, day: int, meter_no: str, more: int = 0, **person: str
    ) -> ingest.RegistersRead:
        """What a meter showed at the end of a day."""
        kind = "manual" if person else "daily_freeze"
        return ingest.RegistersRead(
            reading_id=f"{story.point}/{day_on(day)}/{kind}/{meter_no}",
            usage_point=story.point,
            meter_no=meter_no,
            kind=kind,
            source="manual" if person else "dlt645_2007",
            day_on=day_on(day),
            read_at=local_at(day + 1),
            order_id="",
            registers={IMPORT: story.shown(day, meter_no) + more},
            **person,
        )

    def _read_by_hand(self, order: ingest.FieldReadingOrdered) -> None:
        story = self.points[order.usage_point]
        if story.reader:
            yesterday = self.now[0] - 1
            reading = self.reading(story, yesterday, order.meter_no, entered_by="zhou")
            self.write(ingest.edge_catalogue, "ingest.readings", story.point, reading)

    def release(self, bill: billing.BillCalculated) -> None:
        """A person looks at a held bill and lets it go."""
        body = billing.ReleaseDecided(
            request_id=f"release/{bill.bill_id}/{bill.calculation}",
            account_no=bill.account_no,
            bill_id=bill.bill_id,
            decision="release",
            decided_by="wang",
            reason="looked at",
            calculation=bill.calculation,
        )
        self.write(billing.edge_catalogue, "billing.requests", bill.account_no, body)

    # -- time -----------------------------------------------------------------------------------

    def rest(self, turns: int = 0) -> None:
        """Let everything be decided, meters and people answering, until nothing moves. With `turns`
        each step begins with as many turns of faults. Nobody answers before every core has taken
        what was there: as in simulated time, a kill stretches wall time and nothing else."""
        while True:
            if turns:
                self.sim.calm = False
                self.sim.run(turns)
                self.sim.broker.down = False
            self.sim.finish()
            if not self.respond():
                return

    def advance(self, day: int, minute: int, turns: int = 0) -> None:
        """Business time moves to a local time of a day."""
        self.now = (day, minute)
        self.tick(local_at(day, minute))
        self.rest(turns)

    def live(self, story: Story, turns: int = 0) -> None:
        """Live through a story; `turns` of faults in each step. What people publish is taken before
        the clock goes on."""
        before = (0, 0)
        for number, moment in enumerate(story.ticks):
            self._publish_due(story, number, before, moment)
            self.rest(turns)
            self.advance(*moment, turns)
            before = moment

    def _publish_due(
        self, story: Story, number: int, before: tuple[int, int], moment: tuple[int, int]
    ) -> None:
        """What customers and the tariff desk publish before a tick."""
        if number == story.book_tick:
            self.publish(load_residential())
        for each in story.points:
            if number == story.agreement_tick:
                self.agreement(each)
            if number == 0:
                self.supply(each)
            if each.exchanged and before < (each.exchanged, EXCHANGE_MINUTE) <= moment:
                self.supply(each, version=2, exchanged=True)


def new_world(
    seed: int, faults: Faults | None = None, cores: tuple[Core, ...] | None = None
) -> World:
    """A world with the three cores, or those given; without faults nothing goes wrong."""
    table = load_topics(PARTITIONS)
    sim = Simulation(
        seed,
        cores or path_cores(),
        partitions=PARTITIONS,
        members=2 if faults is not None and seed % 3 == 0 else 1,
        topics=tuple(table.topics),
        faults=faults or Faults(),
    )
    sim.calm = faults is None
    return World(sim)


WATCHED = {
    "ingest": frozenset({"ingest.reading_ordered", "ingest.field_reading_ordered"}),
    "billing": frozenset({"billing.bill_calculated"}),
}
_CODECS: dict[str, Codec] = {}


def decoded(core: Core, records: Iterable[Record], names: Container[str]) -> list[Any]:
    """The bodies of the records of some types."""
    codec = _CODECS.setdefault(core.name, Codec(core.catalogue))
    bodies = []
    for record in records:
        kind = dict(record.headers)["ce_type"].decode()
        if kind.rpartition(".v")[0] in names:
            bodies.append(codec.decode(kind, record.value))
    return bodies


def events_of(sim: Simulation, core: str, name: str) -> list[Any]:
    """All own events of one type, in the order of their partitions."""
    made = next(found for found in sim.cores if found.name == core)
    return [
        body
        for partition in range(PARTITIONS)
        for body in decoded(
            made, sim.broker.read(made.own_topic, partition, 0, 1 << 30).records, (name,)
        )
    ]
