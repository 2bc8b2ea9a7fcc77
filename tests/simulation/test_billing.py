"""The billing core under seeded faults: any order, crashes anywhere, the same bills in the end.

Three accounts with supply from 27 January to 4 February: two bills each. Books, agreements, usage
with revisions, openings, cases, releases and ticks come in a seeded order with poison in between;
what stands in the end (invoice plus all rounds) is what an undisturbed core comes to that was told
everything first.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from libs.events.codec import Codec, encode, envelope_of
from libs.events.core import Tick
from libs.events.record import Envelope, envelope_headers
from libs.events.step import StepTaken
from libs.events.testing.driver import Simulation
from libs.events.testing.laws import check
from libs.events.testing.simlog import SimReader
from services.billing.core import make_core
from services.billing.events import (
    BillReleased,
    CorrectionIssued,
    FeedInCorrected,
    FeedInStated,
    InvoiceIssued,
    catalogue,
)
from services.billing.reactions import AccountOpened, CorrectionDecided
from services.cli.bill import held_bills
from tests.unit.billing.builders import book, component, price_list
from tests.unit.billing_core.office import (
    HOME,
    IMPORT,
    Office,
    agreement,
    days,
    decided,
    home_book,
    opening,
    point,
    proposed,
    published,
    release,
    terms,
    usage,
)
from tests.unit.billing_core.test_bills import AS_SHOP

SEEDS = 60
EXPORT = "1-0:2.8.0"
ACCOUNTS = ("A1", "A2", "A3")
SUPPLY = ("2026-01-27", "2026-02-05")
TOPICS = {
    "UsageEstablished": "validation.usage",
    "AgreementPublished": "customers.agreements",
    "AccountOpened": "customers.agreements",
    "CorrectionProposed": "metrology.findings",
    "CorrectionDecided": "metrology.findings",
    "ReleaseDecided": "billing.requests",
    "BookPublished": "tariffs",
}
occurred: Counter[str] = Counter()

Input = tuple[str, Any]
"""The account, "" for all partitions, and the body."""


def inputs_of(random: Random, no: str) -> list[Input]:
    """What is told about one account, in whatever order it will come."""
    is_producer = random.random() < 0.6
    sold = {"feed_in_price_list": "sold"} if is_producer else {}
    rows = [terms(SUPPLY[0], moved_out_on=SUPPLY[1], **sold)]
    name = f"P{no[1:]}"
    first = agreement(point(name, SUPPLY[0]), rows=rows, account_no=no)
    told: list[Any] = [first, first]
    for day in days(*SUPPLY):
        energy = {IMPORT: random.choice((9_000, 60_000)), **export(random, is_producer)}
        told.append(usage(day, energy=energy, point=name, account_no=no))
    for day in random.sample(days(*SUPPLY), 3):
        late = {"point": name, "account_no": no}
        told.append(usage(day, 12_000, revision=2, quality="estimated", **late))
        energy = {IMPORT: random.choice((12_000, 12_100, 250_000))}
        energy |= export(random, is_producer)
        told.append(usage(day, energy=energy, revision=3, **late))
    if random.random() < 0.4:
        cut = "2026-02-03"
        points = point(name, SUPPLY[0], to_on=cut), point(name, cut, **AS_SHOP)
        told.append(agreement(*points, rows=rows, account_no=no, version=2))
    if random.random() < 0.3:
        gone = [terms(SUPPLY[0], moved_out_on="2026-02-02", **sold)]
        told.append(agreement(point(name, SUPPLY[0]), rows=gone, account_no=no, version=3))
    if random.random() < 0.5:
        as_of = random.choice(("2025-12-31", "2026-01-28"))
        made = opening(as_of, 900_000)
        told.append(replace(made, opening=replace(made.opening, account_no=no)))
    if random.random() < 0.5:
        case = {"account_no": no, "usage_point": name, "from_on": "2026-01-29"}
        case |= {"to_on": "2026-02-03"}
        told += [proposed(**case), decided(**case), decided(decision="refused", **case)][
            : random.choice((1, 2, 3))
        ]
    for month in ("2026-01", "2026-02"):
        told.append(release(f"{no}-{month}", account_no=no))
    return [(no, body) for body in told]


def export(random: Random, is_producer: bool) -> dict[str, int]:
    """What a producer feeds in on a day."""
    return {EXPORT: random.choice((0, 1_001, 7_777))} if is_producer else {}


def books(random: Random) -> list[Input]:
    """The book, again, a wrong one under its name, and perhaps a dearer version."""
    told = [published(HOME), published(HOME), published(home_book("0.70"), digest="0" * 64)]
    if random.random() < 0.5:
        told.append(published(home_book("0.60", version=2, from_on="2026-01-30")))
    sold = price_list(component("sold", "0.40"), code="sold", kind="feed_in")
    told += [published(book(sold, id="sold"))] * 2
    if random.random() < 0.3:
        dear = replace(sold, components=(component("sold", "0.45"),))
        told.append(published(book(dear, id="sold", version=2, from_on="2026-02-02")))
    return [("", body) for body in told]


class World:
    """Everybody outside the core."""

    def __init__(self, seed: int) -> None:
        self.sim = Simulation(seed, (make_core("b"),))
        self.random = Random(seed)
        self.index = 0

    def tell(self, told: Input) -> None:
        no, body = told
        self.index += 1
        self.sim.broker.down = False  # an edge waits for it
        if no:
            topic = TOPICS[type(body).__name__]
            self.sim.feed(catalogue, topic, no, body, self.index)
            return
        kind = catalogue.type_of(body).full_name
        topic = "calendar" if isinstance(body, Tick) else "tariffs"
        headers = envelope_headers(
            Envelope(f"all/{self.index}", kind, "x", "2026-01-01T00:00:00Z", "")
        )
        for partition in range(self.sim.partitions):
            self.sim.append(topic, partition, None, encode(body), headers)

    def poison(self) -> None:
        topic = self.random.choice(("validation.usage", "tariffs", "billing.requests"))
        self.sim.append(topic, self.random.randrange(2), b"A1", b"\xff no json", ())

    def events(self) -> list[Any]:
        """All own events, in order for each account."""
        codec, reader = Codec(catalogue), SimReader(self.sim.broker)
        found = []
        for partition in range(self.sim.partitions):
            for record in reader.read("billing.events", partition, 0, 100_000).records:
                name = envelope_of(record.headers).type
                found.append(codec.decode(name, record.value))
        return found

    def settle(self) -> None:
        """Ticks, and a person who releases what is held, until nothing moves."""
        before: list[Any] = []
        for day in range(10, 31):
            self.tell(("", Tick(at=f"2026-03-{day}T00:00:00Z")))
            self.sim.finish()
            held = held_bills(SimReader(self.sim.broker), self.sim.partitions)
            for bill in held:
                body = release(bill.bill_id, account_no=bill.account_no)
                self.tell((bill.account_no, replace(body, calculation=bill.calculation)))
            self.sim.finish()
            events = [body for body in self.events() if not isinstance(body, StepTaken)]
            if events == before:
                return
            before = events
        raise AssertionError(f"seed {self.sim.seed}: billing never came to rest")


def is_late(random: Random, body: Any) -> bool:
    """Most of what changes a bill comes after it, and a little of what it needs."""
    is_needed = getattr(body, "revision", 1) == 1 and type(body) is not CorrectionDecided
    is_needed = is_needed and type(body) is not AccountOpened
    return random.random() < (0.02 if is_needed and getattr(body, "version", 1) == 1 else 0.6)


def run_history(seed: int) -> tuple[World, list[Input]]:
    world = World(seed)
    random = world.random
    told = [each for no in ACCOUNTS for each in inputs_of(random, no)] + books(random)
    random.shuffle(told)
    late = [each for each in told if is_late(random, each[1])]
    soon = [each for each in told if all(each is not other for other in late)]
    told, late_from = soon + late, len(soon)
    ticks = iter(days("2026-01-25", "2026-03-09"))
    for number, each in enumerate(told):
        if number == late_from:
            world.settle()
            world.sim.calm = False
        world.tell(each)
        if random.random() < 0.5:
            world.tell(("", Tick(at=f"{next(ticks, '2026-03-09')}T16:30:00Z")))
        if random.random() < 0.02:
            world.poison()
        world.sim.run(random.randrange(1, 6))
    world.sim.broker.down = False
    world.settle()
    return world, told


def undisturbed(told: list[Input], no: str) -> list[Any]:
    """What happens to an account in a core that is told all first."""
    made = Office()
    for account, body in told:
        if account in ("", no) and type(body).__name__ != "ReleaseDecided":
            made.feed(body, key=account)
    for day in range(10, 28):
        made.tick(f"2026-03-{day}")
        state = made.fold.get(no)
        if state is not None and state.draft is not None:
            made.feed(release(state.draft.bill_id, account_no=no), key=no)
    return [body for _, body in made.log]


def stands(events: list[Any], no: str) -> Counter[str]:
    """Invoice plus all rounds, by month; months at zero left out."""
    totals: Counter[str] = Counter()
    for body in events:
        if isinstance(body, InvoiceIssued) and body.account_no == no:
            totals[body.month] += body.total_fen
        elif isinstance(body, CorrectionIssued) and body.account_no == no:
            for each in body.correction.bills:
                totals[each.bill_id.removeprefix(f"{no}-")] += each.total_fen
    return Counter({month: total for month, total in totals.items() if total})


def fed_in(events: list[Any], no: str) -> Counter[tuple[str, str]]:
    """Energy and amount of statements with all their rounds, by month; those at zero left out."""
    totals: Counter[tuple[str, str]] = Counter()
    for body in events:
        if isinstance(body, FeedInStated) and body.account_no == no:
            totals[body.month, "wh"] += body.energy_wh
            totals[body.month, "fen"] += body.amount_fen
        elif isinstance(body, FeedInCorrected) and body.account_no == no:
            totals[body.month, "wh"] += body.energy_difference_wh
            totals[body.month, "fen"] += body.difference_fen
    return Counter({name: total for name, total in totals.items() if total})


@pytest.mark.parametrize("seed", range(SEEDS))
def test_any_history_keeps_the_laws_and_the_bills(seed: int) -> None:
    world, told = run_history(seed)
    check(world.sim, {})
    events = world.events()
    occurred.update(catalogue.type_of(body).name for body in events)
    for no in ACCOUNTS:
        calm = undisturbed(told, no)
        assert stands(events, no) == stands(calm, no), f"seed {seed}, {no}"
        assert fed_in(events, no) == fed_in(calm, no), f"seed {seed}, {no}"
    invoices = [body.invoice_no for body in events if isinstance(body, InvoiceIssued)]
    assert len(invoices) == len(set(invoices)), "an invoice was issued twice"
    numbers = [body.statement_no for body in events if isinstance(body, FeedInStated)]
    numbers += [body.correction_no for body in events if isinstance(body, FeedInCorrected)]
    assert len(numbers) == len(set(numbers)), "a statement or a correction was made twice"
    released = [body.bill_id for body in events if isinstance(body, BillReleased)]
    assert sorted(released) == sorted(invoices)


def test_every_type_occurred() -> None:
    """Runs after the histories; alone it makes some of its own."""
    if not occurred:
        for seed in range(8):
            world, _ = run_history(seed)
            occurred.update(catalogue.type_of(body).name for body in world.events())
    own = {kind.name for kind in catalogue.by_name.values() if not kind.foreign}
    assert own - occurred.keys() == set()
