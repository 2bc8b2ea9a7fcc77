"""The customers core under seeded faults: imports, corrections, move-outs, openings, days."""

from __future__ import annotations

from collections import Counter

import pytest

from libs.events.codec import Codec, encode, envelope_of
from libs.events.core import Tick
from libs.events.record import Envelope, envelope_headers
from libs.events.testing.driver import Simulation
from libs.events.testing.laws import check, rebuild
from libs.events.testing.simlog import SimReader
from services.customers.core import WRITTEN, make_core
from services.customers.events import (
    AgreementPublished,
    MeterPublished,
    Row,
    RowsSubmitted,
    SupplyPublished,
    catalogue,
)
from services.customers.meter_chain import points_of
from services.customers.publication import agreement_of, supply_of
from services.customers.state import Account
from tests.unit.customers.samples import (
    account,
    agreement,
    exchange,
    installation,
    meter,
    opening,
    point,
    removal,
)

SEEDS = 100
ACCOUNTS = ("1000000001", "1000000002", "1000000003", "1000000004")
occurred: Counter[str] = Counter()


def first_import(no: str) -> list[Row]:
    name = no[-1]
    return [
        account(no=no),
        agreement(no=no),
        point(no=no, name=f"P{name}"),
        meter(f"M{name}"),
        installation(at=f"P{name}", name=f"M{name}"),
    ]


def some_rows(sim: Simulation, no: str) -> list[Row]:
    """Changes, corrections, what must be refused, and what is known already."""
    name = no[-1]
    choices = [
        first_import(no),
        [agreement(no=no, payment_mode="prepaid_remote")],
        [agreement("2026-03-01", "change", no=no, payment_mode="prepaid_remote")],
        [agreement(no=no, kind="correction", price_list="other")],
        [account("2026-02-01", "change", no=no, household_size="5")],
        [account("2026-03-16", "change", no=no, moved_out_on="2026-03-16")],
        [point("2026-02-20", "change", no=no, name=f"P{name}", area="A2")],
        [
            meter(f"N{name}"),
            exchange(at=f"P{name}", old_meter_no=f"M{name}", new_meter_no=f"N{name}"),
        ],
        [removal("2026-04-01", at=f"P{name}", old=f"N{name}")],
        [installation(at=f"P{name}", name=f"M{name}", kind="correction", ratio="40")],
    ]
    return sim.random.choice(choices)


def feed_some(sim: Simulation, index: int) -> None:
    """One input: mostly imports, some openings, days and poison."""
    roll = sim.random.random()
    no = sim.random.choice(ACCOUNTS)
    if roll < 0.70:
        rows = tuple(first_import(no) if index < 6 else some_rows(sim, no))
        submitted = RowsSubmitted(
            import_id=f"import-{index}", account_no=no, rows=rows, submitted_by="wang"
        )
        sim.feed(catalogue, "customers.requests", no, submitted, index)
    elif roll < 0.80:
        total_fen = sim.random.choice((12_300, 12_300, 1))
        position = opening(no, readings=(), holds=(), control_total_fen=total_fen)
        sim.feed(catalogue, "customers.requests", no, position, index)
    elif roll < 0.83:
        sim.append("customers.requests", sim.random.randrange(2), no.encode(), b"\xff", ())
    else:
        month, day = 1 + index // 14, 1 + index % 14 * 2
        send_tick(sim, f"2026-{month:02d}-{day:02d}T00:00:00Z", index)


def send_tick(sim: Simulation, at: str, index: int) -> None:
    headers = envelope_headers(Envelope(f"tick/{index}", "clock.ticked.v1", "clock", at, ""))
    for partition in range(sim.partitions):
        sim.append("calendar", partition, None, encode(Tick(at=at)), headers)


def run_history(seed: int) -> Simulation:
    sim = Simulation(seed, (make_core(),), topics=WRITTEN)
    for index in range(60):
        if not sim.broker.down:
            feed_some(sim, index)
        sim.run(sim.random.randrange(1, 5))
    sim.broker.down = False
    send_tick(sim, "2026-12-31T00:00:00Z", 1000)
    sim.finish()
    return sim


def published(sim: Simulation, topic: str) -> list[object]:
    """All bodies of a topic, in order for each key."""
    reader = SimReader(sim.broker)
    codec = Codec(catalogue)
    bodies = []
    for partition in range(sim.partitions):
        for record in reader.read(topic, partition, 0, 100_000).records:
            kind = envelope_of(record.headers).type
            occurred[kind.split(".")[1]] += 1
            bodies.append(codec.decode(kind, record.value))
    return bodies


def latest(bodies: list[object], key: str) -> dict[str, object]:
    """The last body of each key; versions only rise."""
    last: dict[str, object] = {}
    for body in bodies:
        name = getattr(body, key)
        if name in last:
            assert body.version > last[name].version  # type: ignore[attr-defined]
        last[name] = body
    return last


def check_published(sim: Simulation) -> None:
    """The last published facts are what the rebuilt state says on its day."""
    core = sim.cores[0]
    agreements = [
        each for each in published(sim, WRITTEN[0]) if isinstance(each, AgreementPublished)
    ]
    supplies = [each for each in published(sim, WRITTEN[1]) if isinstance(each, SupplyPublished)]
    meters = [each for each in published(sim, WRITTEN[2]) if isinstance(each, MeterPublished)]
    by_account, by_point = latest(agreements, "account_no"), latest(supplies, "usage_point")  # type: ignore[arg-type]
    by_meter = latest(meters, "meter_no")  # type: ignore[arg-type]
    states: dict[str, Account] = {}
    for partition in range(sim.partitions):
        fold = rebuild(sim, core, partition, None)
        states |= {key: state for key, state in fold.states.items() if key}
    for no, state in states.items():
        assert by_account[no].version == state.agreement_version  # type: ignore[attr-defined]
        expected = agreement_of(state, no, state.day_on)
        assert expected is not None
        assert by_account[no].terms == expected.terms  # type: ignore[attr-defined]
        assert by_account[no].switch_points == expected.switch_points  # type: ignore[attr-defined]
        for points in points_of(state):
            supply = supply_of(state, points, state.agreement_version, state.day_on)
            last = by_point[supply.usage_point]
            assert last.installations == supply.installations  # type: ignore[attr-defined]
            assert last.supplied_to_on == supply.supplied_to_on  # type: ignore[attr-defined]
            assert last.area == supply.area  # type: ignore[attr-defined]
        for meter_no, version in state.meter_versions.items():
            assert by_meter[meter_no].version == version  # type: ignore[attr-defined]
    published(sim, "customers.events")


@pytest.mark.parametrize("seed", range(SEEDS))
def test_any_history_keeps_the_laws(seed: int) -> None:
    sim = run_history(seed)
    check(sim, {"customers": WRITTEN})
    check_published(sim)


def test_every_type_occurred() -> None:
    """Runs after the histories; alone it makes some of its own."""
    if not occurred:
        for seed in range(10):
            check_published(run_history(seed))
    own = {name.split(".")[1] for name in catalogue.by_name if name.startswith("customers.")}
    assert own - occurred.keys() == {"rows_submitted", "opening_submitted"}
