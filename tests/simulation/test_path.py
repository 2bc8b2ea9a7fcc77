"""From a meter's register to an invoice, over three cores at once, whatever breaks on the way.

Each seed is a story of its own: one or two points, outages, spikes, a meter exchange, held bills.
It is lived through undisturbed, and again with crashes, zombies, lost checkpoints and another order
of what people publish. What every month comes to must be the same, and what is billed must be what
the registers moved by.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from libs.events.testing.driver import Faults
from libs.events.testing.laws import check
from tests.simulation.path import (
    FIRST_ON,
    IMPORT,
    PARTITIONS,
    WRITTEN,
    PointStory,
    Story,
    World,
    date,
    day_on,
    decoded,
    draw_story,
    events_of,
    new_world,
)

SEEDS = 100
TURNS = 12
met: Counter[str] = Counter()


def lived(story: Story, seed: int, faults: Faults | None, turns: int = 0) -> World:
    """The world after a story."""
    world = new_world(seed, faults)
    world.live(story, turns)
    return world


def permuted(story: Story, seed: int) -> Story:
    """The same story with the price book and the agreement published at other times: before, in
    between, or after all usage is known."""
    draw = Random(f"order/{seed}")
    ticks = range(len(story.ticks))
    return replace(
        story,
        book_tick=draw.choice((0, draw.choice(ticks), ticks[-1])),
        agreement_tick=draw.choice((0, draw.choice(ticks[: len(ticks) // 2]))),
    )


def standing(world: World) -> Counter[tuple[str, str]]:
    """What every account's months come to: the invoice and all rounds, in fen."""
    totals: Counter[tuple[str, str]] = Counter()
    for invoice in events_of(world.sim, "billing", "billing.invoice_issued"):
        totals[invoice.account_no, invoice.month] += invoice.total_fen
    for found in events_of(world.sim, "billing", "billing.correction_issued"):
        for bill in found.correction.bills:
            month = bill.bill_id.removeprefix(f"{found.account_no}-")
            totals[found.account_no, month] += bill.total_fen
    return totals


def established(world: World, story: PointStory) -> dict[str, tuple[str, int]]:
    """Quality and energy in Wh of each day, by its newest revision."""
    core = next(core for core in world.sim.cores if core.name == "validation")
    newest: dict[str, tuple[int, str, int]] = {}
    for partition in range(PARTITIONS):
        records = world.sim.broker.read("validation.usage", partition, 0, 1 << 30).records
        for usage in decoded(core, records, ("validation.usage_established",)):
            if usage.usage_point == story.point:
                energy_wh = usage.energy[IMPORT]
                known = newest.get(usage.day_on, (0, "", 0))
                assert usage.revision != known[0], f"{usage.day_on}: one revision twice"
                newest[usage.day_on] = max(known, (usage.revision, usage.quality, energy_wh))
    return {on: (quality, energy_wh) for on, (_, quality, energy_wh) in newest.items()}


def check_registers(world: World, story: PointStory) -> None:
    """Between two measured days, estimates or not, the usage is what the register moved by; a day
    that was measured is its own usage."""
    usage = established(world, story)
    total_wh = 0
    for index in range(len(usage)):
        quality, energy_wh = usage[day_on(index)]
        total_wh += energy_wh
        if quality == "actual":
            assert total_wh == sum(story.used[: index + 1]), f"{story.point} up to {day_on(index)}"


@pytest.mark.parametrize("seed", range(SEEDS))
def test_faults_and_order_change_no_bill(seed: int) -> None:
    story = draw_story(seed)
    calm = lived(story, seed, None)
    torn = lived(permuted(story, seed), seed, Faults(), TURNS)
    check(torn.sim, WRITTEN)
    met.update(torn.sim.counts)
    met.update(corrections=len(events_of(torn.sim, "billing", "billing.correction_issued")))
    assert len(standing(calm)) == len(story.points), "every account has one whole month"
    assert standing(torn) == standing(calm)
    for point in story.points:
        check_registers(torn, point)
        first, last = min(established(torn, point)), max(established(torn, point))
        days = (date.fromisoformat(last) - date.fromisoformat(first)).days + 1
        assert (first, days) == (FIRST_ON.isoformat(), len(established(torn, point)))


def test_everything_that_can_break_broke() -> None:
    """Runs after the histories; alone it makes some of its own."""
    if not met:
        for seed in range(0, 12, 3):
            test_faults_and_order_change_no_bill(seed)
    wanted = {"SimCrash", "Unknown", "Fenced", "stall", "freeze", "lose_checkpoints", "corrections"}
    assert wanted - {name for name, count in met.items() if count} == set()
