"""Load profiles with holes and the registers around them, in any order, whatever breaks on the way.

Each seed is some days of one or two points, one with a meter exchange now and then. They are lived
through in order and undisturbed, and again in another order with crashes, zombies and lost
checkpoints: the same intervals must stand, and where both registers of a day were read, what is
known and what is estimated must be what the register moved by. The readings show voltages, some of
them outside the band: the same events must stand, and the same month.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest

from libs.events.testing.driver import Faults
from libs.events.testing.laws import check
from services.ingest import events as ingest
from services.validation.core import make_core
from services.validation.events import (
    IntervalsEstablished,
    VoltageFound,
    VoltageMonthClosed,
)
from services.wiring import on_table
from tests.simulation.path import (
    EXCHANGE_MINUTE,
    IMPORT,
    PARTITIONS,
    PointStory,
    World,
    day_on,
    events_of,
    local_at,
    new_world,
)

SEEDS = 200
HOURS = 8
"""Intervals of three hours: as many as a fast history needs."""
CLOSED_EVERY = 10
WRITTEN: dict[str, tuple[str, ...]] = {"validation": ("validation.usage", "validation.area_usage")}
CORE = on_table(make_core("v"), PARTITIONS)
Sent = tuple[Any, str, str, object]
"""Catalogue, topic, key and body of a record."""

met: Counter[str] = Counter()


def story_of(draw: Random, number: int) -> PointStory:
    days = draw.randrange(3, 5)
    return PointStory(
        account_no=f"A{number}",
        point=f"P{number}",
        used=tuple(draw.randrange(10, 20) * 240 for _ in range(days)),
        exchanged=draw.randrange(1, days - 1) if draw.random() < 0.4 else 0,
    )


def profile_of(story: PointStory, day: int, draw: Random) -> ingest.ProfileRead:
    """A day with holes; on the day of an exchange only those of the new meter."""
    is_new = bool(story.exchanged) and day >= story.exchanged
    meter_no = story.new_meter if is_new else story.old_meter
    begin = 0 if day == 0 else story.shown(day - 1, meter_no)
    hours = [begin + story.used[day] * hour // HOURS for hour in range(HOURS + 1)]
    holes = {draw.randrange(HOURS + 1) for _ in range(draw.choice((0, 1, 3, 6)))}
    if is_new and day == story.exchanged:
        holes |= set(range(EXCHANGE_MINUTE * HOURS // 1440 + 1))
    return ingest.ProfileRead(
        reading_id=f"{story.point}/{day_on(day)}/profile/{draw.randrange(10**9)}",
        usage_point=story.point,
        meter_no=meter_no,
        source="dlt645_2007",
        day_on=day_on(day),
        read_at=local_at(day + 1),
        order_id="",
        snapshots={IMPORT: tuple(None if i in holes else v for i, v in enumerate(hours))},
    )


@dataclass(slots=True)
class Notebook(World):
    """A world in which nobody writes: what it would write is noted."""

    sent: list[Sent] = field(default_factory=list)

    def write(self, catalogue: Any, topic: str, key: str, body: object) -> None:
        self.sent.append((catalogue, topic, key, body))


def inputs_of(world: Notebook, story: PointStory, draw: Random) -> list[Sent]:
    """All that comes of a point."""
    found: list[Sent] = [
        (ingest.edge_catalogue, "ingest.readings", story.point, body)
        for day in range(len(story.used))
        for body in (
            profile_of(story, day, draw),
            *((profile_of(story, day, draw),) if draw.random() < 0.3 else ()),
            *((registers_of(world, story, day, draw),) if draw.random() < 0.8 else ()),
        )
    ]
    world.supply(story)
    if story.exchanged:
        world.supply(story, version=2, exchanged=True)
    supplies, world.sent = world.sent, []
    return [*supplies, *found]


def registers_of(world: World, story: PointStory, day: int, draw: Random) -> ingest.RegistersRead:
    is_new = bool(story.exchanged) and day >= story.exchanged
    read = world.reading(story, day, story.new_meter if is_new else story.old_meter)
    return replace(read, voltages={"1-0:32.7.0": draw.choice((2_200, 2_400, 2_450, 1_900, 0))})


def lived(records: list[Sent], seed: int, faults: Faults | None) -> World:
    """The world after all records; ticks come first, so that every day is over. In some the month
    is closed at the end."""
    world = new_world(seed, faults, (CORE,))
    world.tick(local_at(40))
    world.rest(0)
    for number, (catalogue, topic, key, body) in enumerate(records):
        world.write(catalogue, topic, key, body)
        if faults is not None and number % 5 == 0:
            world.sim.calm = False
            world.sim.run(4)
            world.sim.broker.down = False
    world.sim.finish()
    if seed % CLOSED_EVERY == 0:
        world.tick(local_at(40, 1))
        world.rest(0)
    return world


def standing(world: World) -> dict[tuple[str, str], IntervalsEstablished]:
    """The newest revision of each point and day."""
    newest: dict[tuple[str, str], IntervalsEstablished] = {}
    for body in events_of(world.sim, "validation", "validation.intervals_established"):
        known = newest.get((body.usage_point, body.day_on))
        assert body.revision == (known.revision + 1 if known is not None else 1)
        newest[body.usage_point, body.day_on] = body
    return newest


def voltages(world: World) -> tuple[set[VoltageFound], dict[str, VoltageMonthClosed]]:
    """The events and months that stand, whatever revision they are."""
    events = {
        (body.usage_point, body.begun_at, body.side): body
        for body in events_of(world.sim, "validation", "validation.voltage_found")
    }
    months = {
        body.usage_point: replace(body, revision=0)
        for body in events_of(world.sim, "validation", "validation.voltage_month_closed")
    }
    return {body for body in events.values() if body.ended_by != "withdrawn"}, months


@pytest.mark.parametrize("seed", range(SEEDS))
def test_faults_and_order_change_no_interval(seed: int) -> None:
    draw = Random(f"profiles/{seed}")
    stories = [story_of(draw, number) for number in range(draw.choice((1, 1, 2)))]
    aside = Notebook(new_world(seed, None, (CORE,)).sim)
    records = [record for story in stories for record in inputs_of(aside, story, draw)]
    calm = lived(records, seed, None)
    draw.shuffle(records)
    torn = lived(records, seed, Faults())
    check(torn.sim, WRITTEN)
    met.update(torn.sim.counts)
    stood, stands = voltages(calm), voltages(torn)
    assert _known_of(stood[0]) == _known_of(stands[0])
    assert stood[1] == stands[1]
    met.update(out_of_band=len(stood[0]), months=len(stood[1]))
    before, after = standing(calm), standing(torn)
    assert before.keys() == after.keys()
    for (point, day), one in before.items():
        other = after[point, day]
        assert (one.energies, one.qualities, one.findings) == (
            other.energies,
            other.qualities,
            other.findings,
        )
        story = next(each for each in stories if each.point == point)
        used = story.used[[day_on(index) for index in range(len(story.used))].index(day)]
        if one.register_wh is not None:
            assert one.register_wh == used
            assert sum(energy or 0 for energy in one.energies) == used
            assert "m" not in one.qualities
        met.update(estimated="e" in one.qualities, exchanged=one.qualities.startswith("mmm"))


def _known_of(events: set[VoltageFound]) -> set[VoltageFound]:
    """Events without what is told only when they end."""
    return {
        body if body.ended_at else replace(body, samples=0, extreme_dv=0, extreme_deviation_pct="")
        for body in events
    }


def test_everything_that_can_break_broke() -> None:
    """Runs after the histories; alone it makes some of its own."""
    if not met:
        for seed in range(40):
            test_faults_and_order_change_no_interval(seed)
    wanted = {"SimCrash", "Unknown", "Fenced", "stall", "freeze", "lose_checkpoints", "estimated"}
    wanted |= {"out_of_band", "months"}
    assert wanted - {name for name, count in met.items() if count} == set()
