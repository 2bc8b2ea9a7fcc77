"""The time-of-use basis under faults: whatever comes when, and whatever breaks, one result.

A point with four rates has a meter that may be programmed with a wrong slot table for some days, a
clock that may be off, and a load profile that may have days missing. Its inputs are taken in the
order in which they were made, undisturbed, and again in any order with crashes, zombies and lost
checkpoints. What stands of each day must be the same, and where it may be billed, be the truth.
The last test goes all the way to a bill that waits for a person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Any

import pytest

from libs.events.codec import Codec, encode
from libs.events.testing.driver import Faults
from libs.events.testing.laws import check
from libs.tou_calendar import DayPattern, TouCalendar, day_periods
from services.billing import events as billing
from services.billing.price_book import PriceBook, content_hash
from services.billing.price_book_file import load_book
from services.customers import events as customers
from services.ingest import events as ingest
from services.validation.core import make_core
from services.wiring import on_table
from tests.simulation.path import (
    BOOKS,
    PARTITIONS,
    WRITTEN,
    PointStory,
    Story,
    World,
    day_on,
    decoded,
    events_of,
    local_at,
    new_world,
)
from tests.unit.validation.basis_desk import BasisDesk
from tests.unit.validation.desk import CORE, POINT

SEEDS = 200
TURNS = 10
DAYS = 3
IMPORT = "1-0:1.8.0"
RATES = {"1": "sharp", "2": "peak", "3": "flat", "4": "valley"}
RIGHT = (
    "00:00=4", "07:00=3", "11:00=2", "12:00=1", "14:00=2", "17:00=3", "20:00=2", "22:00=3",
    "23:00=4",
)  # fmt: skip
WRONG = ("00:00=4", "08:00=3", *RIGHT[2:])
"""January of the example book, and the same with the morning an hour late."""

met: Counter[str] = Counter()


@cache
def tou_book() -> PriceBook:
    return load_book(BOOKS / "cq_commercial.yaml")


def late_morning(book: PriceBook) -> PriceBook:
    """The next version of the book: from the third day on the morning begins at 08:00."""
    calendar = book.calendars["commercial_industrial"]
    patterns = tuple(_late(pattern) for pattern in calendar.patterns)
    made = replace(
        book,
        version=2,
        from_on=day_on(2),
        calendars={"commercial_industrial": TouCalendar(patterns=patterns)},
        content_hash="",
    )
    return replace(made, content_hash=content_hash(made))


def _late(pattern: DayPattern) -> DayPattern:
    moved = {("07:00", "11:00"): ("08:00", "11:00"), ("23:00", "07:00"): ("23:00", "08:00")}
    slots = []
    for slot in pattern.slots:
        start, end = moved.get((slot.start, slot.end), (slot.start, slot.end))
        slots.append(replace(slot, start=start, end=end))
    return replace(pattern, slots=tuple(slots))


@cache
def rate_at(table: tuple[str, ...], minute: int) -> int:
    """The rate in which a meter counts at a minute of the day."""
    found = 0
    for text in table:
        time, _, rate = text.partition("=")
        if int(time[:2]) * 60 + int(time[3:]) <= minute:
            found = int(rate)
    return found


@dataclass(frozen=True, slots=True)
class Tale:
    """One point: Wh by day and quarter of an hour, the table of each day, what is read when."""

    quarters: tuple[tuple[int, ...], ...]
    tables: tuple[tuple[str, ...], ...]
    table_days: tuple[int, ...]
    profile_days: frozenset[int]
    offsets: tuple[int | None, ...]
    has_second_book: bool

    def energy(self, day: int) -> dict[str, int]:
        """What the meter counts on a day, total and by rate."""
        found = {IMPORT: sum(self.quarters[day]), **{f"1-0:1.8.{rate}": 0 for rate in RATES}}
        for number, wh in enumerate(self.quarters[day]):
            found[f"1-0:1.8.{rate_at(self.tables[day], number * 15)}"] += wh
        return found

    def shown(self, day: int) -> dict[str, int]:
        """The registers at the end of a day."""
        sums: Counter[str] = Counter()
        for number in range(day + 1):
            sums.update(self.energy(number))
        return dict(sums)

    def truth(self, day: int) -> dict[str, int]:
        """What should be billed of a day, by the book in force."""
        book = tou_book()
        if self.has_second_book and day >= 2:
            book = late_morning(book)
        periods = day_periods(book.calendars["commercial_industrial"], day_on(day))
        rate_of = {period: rate for rate, period in RATES.items()}
        found = {IMPORT: sum(self.quarters[day]), **{f"1-0:1.8.{rate}": 0 for rate in RATES}}
        for number, wh in enumerate(self.quarters[day]):
            found[f"1-0:1.8.{rate_of[periods[number // 2]]}"] += wh
        return found


def draw_tale(seed: int, days: int = DAYS) -> Tale:
    draw = Random(f"basis/{seed}")
    first = draw.choice((RIGHT, WRONG))
    changed = draw.choice((0, days // 2, days))
    tables = tuple(first if day < changed else RIGHT for day in range(days))
    return Tale(
        quarters=tuple(tuple(draw.randrange(0, 90) for _ in range(96)) for _ in range(days)),
        tables=tables,
        table_days=tuple(day for day in range(days) if draw.random() < 0.4),
        profile_days=frozenset(day for day in range(days) if draw.random() < 0.7),
        offsets=tuple(draw.choice((0, 0, 0, 20, 400, None)) for _ in range(days)),
        has_second_book=draw.random() < 0.5,
    )


def rated_supply(point: str, account_no: str, *, intervals: bool = False) -> Any:
    """The point with its rates, list and one meter."""
    return customers.SupplyPublished(
        usage_point=point,
        version=1,
        account_no=account_no,
        area="A1",
        switching_method="none",
        voltage_class="lt1kv",
        registers=(IMPORT, *(f"1-0:1.8.{rate}" for rate in RATES)),
        intervals=intervals,
        rate_periods=RATES,
        supplied_from_on=day_on(0),
        supplied_to_on="",
        agreement_version=1,
        installations=(
            customers.Installation(
                meter_no="M1",
                from_at=local_at(0),
                to_at="",
                ratio="1",
                protocol="dlt645_2007",
                line="tcp:127.0.0.1:1",
                address="000000000001",
                digits=6,
                capacity_w=20_000,
                initial={IMPORT: 0, **{f"1-0:1.8.{rate}": 0 for rate in RATES}},
                final={},
            ),
        ),
        tariffs=(
            customers.PointTariff(
                from_on=day_on(0),
                region="Chongqing",
                price_list="commercial_tou",
                rate_periods=RATES,
            ),
        ),
    )


def freeze_of(tale: Tale, point: str, day: int) -> ingest.RegistersRead:
    return ingest.RegistersRead(
        reading_id=f"r{day}",
        usage_point=point,
        meter_no="M1",
        kind="daily_freeze",
        source="dlt645_2007",
        day_on=day_on(day),
        read_at=local_at(day + 1, 10),
        order_id="",
        registers=tale.shown(day),
        clock_offset_s=tale.offsets[day],
    )


def profile_of(tale: Tale, point: str, day: int) -> ingest.ProfileRead:
    counted = tale.shown(day - 1).get(IMPORT, 0) if day else 0
    column = [counted]
    for wh in tale.quarters[day]:
        column.append(column[-1] + wh)
    return ingest.ProfileRead(
        reading_id=f"p{day}",
        usage_point=point,
        meter_no="M1",
        source="dlt645_2007",
        day_on=day_on(day),
        read_at=local_at(day + 1, 11),
        order_id="",
        snapshots={IMPORT: tuple(column)},
    )


def table_of(tale: Tale, point: str, day: int) -> ingest.SlotTableRead:
    return ingest.SlotTableRead(
        reading_id=f"t{day}",
        usage_point=point,
        meter_no="M1",
        source="dlt645_2007",
        day_on=day_on(day),
        read_at=local_at(day + 1, 12),
        order_id="",
        zones=("01-01=1",),
        day_tables={"1": tale.tables[day]},
    )


def inputs(tale: Tale, point: str) -> list[Any]:
    """Everything that comes, in the order in which it was made; books are for all points."""
    found: list[Any] = [tou_book(), rated_supply(point, f"A-{point}")]
    if tale.has_second_book:
        found.append(late_morning(tou_book()))
    for day in range(len(tale.quarters)):
        found.append(freeze_of(tale, point, day))
        found += [profile_of(tale, point, day)] if day in tale.profile_days else []
        found += [table_of(tale, point, day)] if day in tale.table_days else []
    return found


def give(world: World, point: str, body: Any) -> None:
    """One input into the log."""
    if isinstance(body, PriceBook):
        world.publish(body)
    elif isinstance(body, customers.SupplyPublished):
        world.write(customers.catalogue, "customers.supply", point, body)
    else:
        world.write(ingest.edge_catalogue, "ingest.readings", point, body)


def told(tale: Tale) -> list[Any]:
    """What accounts are told when everything comes in the order in which it was made."""
    desk = BasisDesk(as_of=local_at(DAYS + 1))
    codec = Codec(CORE.catalogue)
    for given in inputs(tale, POINT):
        body: Any = given
        catalogue: Any = ingest.edge_catalogue
        if isinstance(given, PriceBook):
            catalogue, body = billing.edge_catalogue, book_published(given)
        elif isinstance(body, customers.SupplyPublished):
            catalogue = customers.catalogue
        desk.take(codec.decode(catalogue.type_of(body).full_name, encode(body)))
    return desk.told


def book_published(book: PriceBook) -> billing.BookPublished:
    return billing.BookPublished(
        book=book, content_hash=content_hash(book), published_by="tariff desk"
    )


def torn_world(tale: Tale, seed: int) -> World:
    """A world with validation alone that took everything in any order, with faults."""
    draw = Random(f"order/{seed}")
    world = new_world(seed, Faults(), (on_table(make_core("v"), PARTITIONS),))
    point = f"P{seed % 5}"
    world.tick(local_at(DAYS + 1))
    world.sim.finish()
    given = inputs(tale, point)
    draw.shuffle(given)
    for body in given:
        give(world, point, body)
        if draw.random() < 0.4:
            world.sim.calm = False
            world.sim.run(TURNS)
            world.sim.broker.down = False
    world.sim.finish()
    return world


def usages(world: World) -> Iterator[Any]:
    """All revisions that were told, in order."""
    core = next(core for core in world.sim.cores if core.name == "validation")
    for partition in range(PARTITIONS):
        records = world.sim.broker.read("validation.usage", partition, 0, 1 << 30).records
        yield from decoded(core, records, ("validation.usage_established",))


def standing(revisions: Iterable[Any]) -> dict[str, Any]:
    """What counts of every day; revisions count on by one, and their changes add up."""
    newest: dict[str, Any] = {}
    sums: dict[str, Counter[str]] = {}
    for usage in revisions:
        known = newest.get(usage.day_on)
        assert usage.revision == (known.revision if known else 0) + 1, usage
        newest[usage.day_on] = usage
        sums.setdefault(usage.day_on, Counter()).update(usage.change)
    for on, usage in newest.items():
        assert {name: wh for name, wh in sums[on].items() if wh} == {
            name: wh for name, wh in usage.energy.items() if wh
        }, on
    return {
        on: (
            {name: wh for name, wh in usage.energy.items() if wh},
            usage.basis is not None and usage.basis.blocked,
            usage.basis.used if usage.basis and usage.basis.blocked else "",
            sorted(f.text for f in usage.findings if f.rule[:4] == "tou_" and f.severity == "fail"),
        )
        for on, usage in newest.items()
    }


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_order_and_no_fault_changes_what_a_day_rests_on(seed: int) -> None:
    tale = draw_tale(seed)
    calm = standing(told(tale))
    torn = torn_world(tale, seed)
    check(torn.sim, WRITTEN)
    met.update(torn.sim.counts)
    assert standing(usages(torn)) == calm
    assert sorted(calm) == [day_on(day) for day in range(DAYS)]
    for day in range(DAYS):
        energy, blocked, used, _ = calm[day_on(day)]
        assert energy[IMPORT] == sum(tale.quarters[day])
        met[f"{blocked}/{used}"] += 1
        if used == "load_profile":
            assert energy == {name: wh for name, wh in tale.truth(day).items() if wh}
        elif blocked:
            assert energy == {name: wh for name, wh in tale.energy(day).items() if wh}


def test_everything_that_can_break_broke_and_every_outcome_was_met() -> None:
    """Runs after the histories; alone it makes some of its own."""
    if not met:
        for seed in range(0, 40, 3):
            test_no_order_and_no_fault_changes_what_a_day_rests_on(seed)
    wanted = {"SimCrash", "Unknown", "Fenced", "lose_checkpoints"}
    wanted |= {"False/", "True/", "True/load_profile"}
    assert wanted - {name for name, count in met.items() if count} == set()


# -- from the order for a table to the bill --------------------------------------------------------


class TouWorld(World):
    """A world of one point with rates whose meter answers every kind of order."""

    tale: Tale

    def supply(self, story: PointStory, *, version: int = 1, exchanged: bool = False) -> None:
        self.points[story.point] = story
        body = rated_supply(story.point, story.account_no, intervals=True)
        self.write(customers.catalogue, "customers.supply", story.point, body)

    def _answer(self, order: ingest.ReadingOrdered) -> None:
        day = int(order.day_on[8:]) - 1 + 31 * (int(order.day_on[5:7]) - 1)
        made = {"daily_freeze": freeze_of, "profile": profile_of, "slot_table": table_of}
        body = made[order.kind](self.tale, order.usage_point, day)
        self.write(ingest.edge_catalogue, "ingest.readings", order.usage_point, body)


@pytest.mark.parametrize("seed", range(3))
def test_a_wrong_table_holds_the_bill_and_the_profile_is_billed(seed: int) -> None:
    """Ingest orders the table, validation finds the difference, billing waits for a person."""
    days = 34
    draw = Random(seed)
    quarters = tuple(tuple(draw.randrange(0, 90) for _ in range(96)) for _ in range(days))
    tale = Tale(
        quarters=quarters,
        tables=(WRONG,) * days,
        table_days=(),
        profile_days=frozenset(),
        offsets=(0,) * days,
        has_second_book=False,
    )
    plain = new_world(seed, Faults() if seed else None)
    world = TouWorld(plain.sim)
    world.tale = tale
    story = PointStory(account_no="A0", point=f"P{seed}-0", used=(1,) * days)
    world.publish(tou_book())
    _agree(world, story)
    ticks = tuple((day, 30) for day in range(1, days))
    world.live(Story(points=(story,), ticks=ticks, book_tick=-1, agreement_tick=-1), 6 * bool(seed))
    check(world.sim, WRITTEN)
    (bill,) = events_of(world.sim, "billing", "billing.bill_calculated")[-1:]
    assert ("tou_basis", 31) in [(hit.check, hit.observed) for hit in bill.hits]
    (released,) = events_of(world.sim, "billing", "billing.bill_released")
    assert released.released_by == "wang"
    (invoice,) = events_of(world.sim, "billing", "billing.invoice_issued")
    billed: Counter[str] = Counter()
    for part in invoice.inputs:
        for point in part.usage.points:
            billed.update(point.import_wh_by_rate)
    truth: Counter[str] = Counter()
    for day in range(31):
        energy = tale.truth(day)
        truth.update({rate: energy[f"1-0:1.8.{rate}"] for rate in RATES})
    assert billed == truth


def _agree(world: World, story: PointStory) -> None:
    """The agreement of the account with the list that has periods."""
    terms = customers.Terms(
        valid_from_on=day_on(0),
        category="non_residential",
        region="Chongqing",
        price_list="commercial_tou",
        voltage_class="lt1kv",
        metering_side="low",
        demand_mode="none",
        contract_demand_w=0,
        pf_standard="",
        payment_mode="postpaid",
        household_size=0,
        language="zh",
        protected="",
        moved_out_on="",
    )
    point = customers.PointTerms(
        usage_point=story.point,
        relation="main",
        parent_point="",
        share="",
        quantity_wh=0,
        price_list="commercial_tou",
        category="non_residential",
        voltage_class="lt1kv",
        metering_side="low",
        rate_periods=RATES,
        from_on=day_on(0),
        to_on="",
    )
    body = customers.AgreementPublished(
        account_no=story.account_no, version=1, terms=(terms,), transformers=(), points=(point,)
    )
    world.write(customers.catalogue, "customers.agreements", story.account_no, body)
