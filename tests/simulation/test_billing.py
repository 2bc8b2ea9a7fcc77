"""The billing core under seeded faults: any order, crashes anywhere, the same bills in the end.

Three accounts with supply from 27 January to 4 February: two bills each. Most feed in and have
statements of their own, whatever else they have. Some have points with a fixed ratio or quantity,
transferred supply, or a two-part list with transformers that are shared, rest and lose energy.
Books, agreements, usage with revisions, openings, cases, releases, payments and ticks come in a
seeded order with poison in between; what stands in the end (invoice or statement plus all rounds)
is what an undisturbed core comes to that was told everything first, and the late fees are those of
the payments that stand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
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
from services.billing.agreement import TRANSFORMER_STATES
from services.billing.core import make_core
from services.billing.events import (
    BillReleased,
    CorrectionIssued,
    FeedInCorrected,
    FeedInStated,
    InvoiceIssued,
    LateFeeCharged,
    ReleaseDecided,
    catalogue,
)
from services.billing.late_fee import late_fee
from services.billing.payment_reactions import Allocation, PaymentCaptured, PaymentReversed
from services.billing.price_book import LossRow, LossTable, PriceBook
from services.billing.reactions import (
    AccountOpened,
    CorrectionDecided,
    ForeignPoint,
    ForeignTerms,
    ForeignTransformer,
)
from services.cli.bill import held_bills
from tests.unit.billing.builders import book, component, power_factor, price_list, two_part
from tests.unit.billing_core.office import (
    HOME,
    IMPORT,
    Office,
    agreement,
    days,
    decided,
    demand,
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

SEEDS = 120
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
    "PaymentCaptured": "payments.allocations",
    "PaymentReversed": "payments.allocations",
}
BASIS = {"fixed_wh", "fixed_ratio", "fixed_quantity_wh", "deducted_wh", "transformer_loss_wh"}
BASIS |= {"measured_w", "power_factor", "price_percent"}
"""What lines of every kind of account must rest on in some history."""

occurred: Counter[str] = Counter()

Input = tuple[str, Any]
"""The account, "" for all partitions, and the body."""


INDUSTRY = price_list(
    component(price="0.60"),
    component("capacity", "16", unit="kVA"),
    component("demand", "40", unit="kW"),
    code="industry",
    category="large_industry",
    voltage_class="1_10kv",
    two_part=two_part(40, load_hours_kwh_per_kva=1, price_percent_above=90),
    power_factor_applies=True,
)
LOSSES = LossTable(
    rows=(LossRow(above_wh=0, loss_wh=30_000), LossRow(above_wh=10**6, loss_wh=50_000))
)
KINDS = ("", "fixed", "passing_on", "capacity", "measured")


@cache
def city_book(price: str = "0.50", **changes: Any) -> PriceBook:
    """The home book with a two-part list, a loss table and the power-factor table."""
    lists = home_book(price).price_lists
    more = {"loss_tables": {"S11": LOSSES}, "power_factor": power_factor()}
    return book(*lists.values(), INDUSTRY, **more, **changes)


def points_of(kind: str, name: str, **main: Any) -> list[ForeignPoint]:
    """The main point, and what is behind it or shares its energy."""
    found = [point(name, SUPPLY[0], **main)]
    behind = {"parent_point": name}
    if kind == "fixed":
        found.append(point(f"{name}F", "2026-01-30", relation="fixed_ratio", share="0.3", **behind))
        quantity = {"quantity_wh": 31_000, **behind}
        found.append(point(f"{name}Q", SUPPLY[0], relation="fixed_quantity", **quantity))
    if kind == "passing_on":
        found.append(point(f"{name}T", SUPPLY[0], relation="transferred", **behind))
    return found


def rows_of(kind: str, moved_out_on: str = SUPPLY[1], **sold: str) -> list[ForeignTerms]:
    if kind not in ("capacity", "measured"):
        return [terms(SUPPLY[0], moved_out_on=moved_out_on, **sold)]
    industry = {"category": "industrial", "price_list": "industry", "voltage_class": "10kv"}
    industry |= {"demand_mode": kind, "pf_standard": "0.90", "moved_out_on": moved_out_on}
    return [terms(SUPPLY[0], **industry, **sold)]


def transformers(random: Random) -> tuple[ForeignTransformer, ...]:
    """A whole one with a table, and a part of one with a plate that rests from some day on."""
    days_on = {"from_on": SUPPLY[0], "to_on": ""}
    rests_on = random.choice(("2026-01-30", "2026-02-02"))
    shared = {"transformer_no": "T2", "kva": 30, "model": "", "share": "0.4", "shared_with": "A9"}
    shared |= {"iron_loss_w": 90, "copper_loss_w": 600}
    return (
        ForeignTransformer(transformer_no="T1", kva=20, model="S11", state="in_use", **days_on),
        ForeignTransformer(**shared, state="in_use", from_on=SUPPLY[0], to_on=rests_on),
        ForeignTransformer(
            **shared, state=random.choice(TRANSFORMER_STATES), from_on=rests_on, to_on=""
        ),
    )


def used(
    day: str,
    wh: int,
    name: str,
    no: str,
    revision: int = 1,
    energy: dict[str, int] | None = None,
    **changes: Any,
) -> Any:
    """A day's usage; every meter has reactive registers and a demand, `energy` is what else."""
    registers = {IMPORT: wh, "1-0:5.8.0": wh // 3, "1-0:8.8.0": wh // 10, **(energy or {})}
    peak = (demand(wh // 10, f"{day}T04:00:00Z"),)
    at = {"point": name, "account_no": no, "energy": registers, "demands": peak}
    return usage(day, revision=revision, **at, **changes)


def inputs_of(random: Random, no: str) -> list[Input]:
    """What is told about one account, in whatever order it will come."""
    name, kind = f"P{no[1:]}", random.choice(KINDS)
    is_producer = random.random() < 0.6
    sold = {"feed_in_price_list": "sold"} if is_producer else {}
    if no == "A2":
        sold["payment_mode"] = "prepaid_remote"
    rows = rows_of(kind, **sold)
    own = {"price_list": "", "category": "", "voltage_class": "", "metering_side": ""}
    main = own if kind in ("capacity", "measured") else {}
    agreed: dict[str, Any] = {"account_no": no}
    if main:
        agreed["transformers"] = transformers(random)
    points = points_of(kind, name, **main)
    first = agreement(*points, rows=rows, **agreed)
    told: list[Any] = [first, first]
    for day in days(*SUPPLY):
        energy = export(random, is_producer)
        told.append(used(day, random.choice((9_000, 60_000)), name, no, energy=energy))
        if kind == "passing_on":
            told.append(used(day, random.choice((1_000, 9_400)), f"{name}T", no))
    for day in random.sample(days(*SUPPLY), 3):
        told.append(used(day, 12_000, name, no, 2, quality="estimated"))
        energy = export(random, is_producer)
        told.append(used(day, random.choice((12_000, 12_100, 250_000)), name, no, 3, energy=energy))
    if main and random.random() < 0.5:
        told.append(agreement(*points, rows=rows, **agreed | {"transformers": transformers(random)},
                              version=2))  # fmt: skip
    elif not main and random.random() < 0.4:
        cut = "2026-02-03"
        others = points[1:]
        halves = point(name, SUPPLY[0], to_on=cut), point(name, cut, **AS_SHOP)
        told.append(agreement(*halves, *others, rows=rows, version=2, **agreed))
    if random.random() < 0.3:
        gone = rows_of(kind, "2026-02-02", **sold)
        told.append(agreement(*points, rows=gone, version=3, **agreed))
    if random.random() < 0.5:
        as_of = random.choice(("2025-12-31", "2026-01-28"))
        made = opening(as_of, 900_000)
        told.append(replace(made, opening=replace(made.opening, account_no=no)))
    if random.random() < 0.5:
        case = {"account_no": no, "usage_point": name, "from_on": "2026-01-29"}
        case |= {"to_on": "2026-02-03"}
        if random.random() < 0.5:
            case |= {"kind": "wiring", "error_e4_pct": 0, "factor_num": 3, "factor_den": 2}
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
    home = city_book()
    told = [published(home), published(home), published(city_book("0.70"), digest="0" * 64)]
    if random.random() < 0.5:
        told.append(published(city_book("0.60", version=2, from_on="2026-01-30")))
    sold = price_list(component("sold", "0.40"), code="sold", kind="feed_in")
    told += [published(book(sold, id="sold"))] * 2
    if random.random() < 0.3:
        dear = replace(sold, components=(component("sold", "0.45"),))
        told.append(published(book(dear, id="sold", version=2, from_on="2026-02-02")))
    return [("", body) for body in told]


def payments_of(random: Random, events: list[Any]) -> list[Input]:
    """Money for what is issued, in pieces, in time or late; some of it is taken back later."""
    told: list[Input] = []
    for body in events:
        if not isinstance(body, (InvoiceIssued, CorrectionIssued)):
            continue
        number = body.invoice_no if isinstance(body, InvoiceIssued) else body.correction_no
        for piece in range(random.choice((0, 1, 1, 2))):
            allocation = Allocation(invoice_no=number, amount_fen=random.choice((90, 4_000, 7_777)))
            captured = PaymentCaptured(
                payment_id=f"w:{number}/{piece}",
                account_no=body.account_no,
                occurred_at=f"2026-{random.choice(('03-20', '04-01', '05-02'))}T02:00:00Z",
                allocations=(allocation,),
                transfer_id=random.choice(("", f"t:{number}/{piece}")),
            )
            told.append((body.account_no, captured))
            if random.random() < 0.3:
                back = PaymentReversed(
                    payment_id=captured.payment_id,
                    transfer_id=captured.transfer_id,
                    account_no=body.account_no,
                )
                told.append((body.account_no, back))
    return told


def mixed(random: Random, *queues: list[Input]) -> list[Input]:
    """The queues in one seeded order; each keeps its own."""
    waiting, found = [list(each) for each in queues if each], []
    while waiting:
        queue = random.choice(waiting)
        found.append(queue.pop(0))
        waiting = [each for each in waiting if each]
    return found


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
    ticks = iter(days("2026-01-25", "2026-03-09"))
    for each in soon:
        tell_on(world, each, ticks)
    world.settle()
    paid = payments_of(random, world.events())
    world.sim.calm = False
    for each in mixed(random, late, paid):
        tell_on(world, each, ticks)
    world.sim.broker.down = False
    world.settle()
    return world, soon + late + paid


def tell_on(world: World, each: Input, ticks: Iterator[str]) -> None:
    """An input, perhaps a tick and poison after it, and some steps of the core."""
    world.tell(each)
    random = world.random
    if random.random() < 0.5:
        world.tell(("", Tick(at=f"{next(ticks, '2026-03-09')}T16:30:00Z")))
    if random.random() < 0.02:
        world.poison()
    world.sim.run(random.randrange(1, 6))


def undisturbed(told: list[Input], no: str) -> list[Any]:
    """What happens to an account in a core that is told all first."""
    made = Office()
    for account, body in told:
        is_decision = isinstance(body, (ReleaseDecided, PaymentCaptured, PaymentReversed))
        if account in ("", no) and not is_decision:
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


def fees_due(events: list[Any], told: list[Input], no: str) -> dict[str, int]:
    """What the payments that stand bear, by invoice; nothing is said of those without a fee."""
    due_on = {
        body.invoice_no: body.due_on
        for body in events
        if isinstance(body, InvoiceIssued) and body.total_fen > 0
    }
    due_on |= {
        body.correction_no: body.due_on
        for body in events
        if isinstance(body, CorrectionIssued) and body.difference_fen > 0
    }
    gone = {body.transfer_id or body.payment_id for _, body in told
            if isinstance(body, PaymentReversed)}  # fmt: skip
    shops = {body.invoice_no for body in events if isinstance(body, LateFeeCharged)
             and body.shares and body.shares[0].permille == 2}  # fmt: skip
    found: Counter[str] = Counter()
    for account, body in told:
        if account != no or not isinstance(body, PaymentCaptured):
            continue
        part = body.allocations[0]
        if part.invoice_no in due_on and (body.transfer_id or body.payment_id) not in gone:
            fee = late_fee(
                part.amount_fen,
                due_on[part.invoice_no],
                body.occurred_at[:10],
                replace(HOME.late_fee, minimum_fen=0),
                residential=part.invoice_no not in shops,
            )
            found[part.invoice_no] += fee.amount_fen
    return {number: max(100, fen) for number, fen in found.items() if fen}


def fees_charged(events: list[Any], no: str) -> dict[str, int]:
    charged: Counter[str] = Counter()
    for body in events:
        if isinstance(body, LateFeeCharged) and body.account_no == no:
            charged[body.invoice_no] += body.amount_fen
    return {number: fen for number, fen in charged.items() if fen}


def note(events: list[Any]) -> None:
    """Count the types, and what the lines of invoices rest on."""
    occurred.update(catalogue.type_of(body).name for body in events)
    for body in events:
        if isinstance(body, InvoiceIssued):
            occurred.update(key for line in body.bill.lines for key in line.basis)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_any_history_keeps_the_laws_and_the_bills(seed: int) -> None:
    world, told = run_history(seed)
    check(world.sim, {})
    events = world.events()
    note(events)
    for no in ACCOUNTS:
        calm = undisturbed(told, no)
        assert stands(events, no) == stands(calm, no), f"seed {seed}, {no}"
        assert fed_in(events, no) == fed_in(calm, no), f"seed {seed}, {no}"
        assert fees_charged(events, no) == fees_due(events, told, no), f"seed {seed}, {no}"
    invoices = [body.invoice_no for body in events if isinstance(body, InvoiceIssued)]
    assert len(invoices) == len(set(invoices)), "an invoice was issued twice"
    numbers = [body.statement_no for body in events if isinstance(body, FeedInStated)]
    numbers += [body.correction_no for body in events if isinstance(body, FeedInCorrected)]
    assert len(numbers) == len(set(numbers)), "a statement or a correction was made twice"
    numbers = [body.fee_no for body in events if isinstance(body, LateFeeCharged)]
    assert len(numbers) == len(set(numbers)), "a fee was charged twice"
    released = [body.bill_id for body in events if isinstance(body, BillReleased)]
    assert sorted(released) == sorted(invoices)


def test_every_type_occurred() -> None:
    """Runs after the histories; alone it makes some of its own."""
    if not occurred:
        for seed in range(8):
            world, _ = run_history(seed)
            note(world.events())
    own = {kind.name for kind in catalogue.by_name.values() if not kind.foreign}
    assert (own | BASIS) - occurred.keys() == set()
