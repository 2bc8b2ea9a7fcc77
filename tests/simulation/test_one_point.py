"""One usage point with everything at once, through the whole core of validation and the area stage.

Each seed draws a point (or gate meter) with rates, load profiles with holes, slot tables right and
wrong, books late and superseded, a meter exchange, a change of account, a move to another area,
spikes, edits by people (by what they saw, with a second person where one is asked for) and ticks,
mixed in any order and some of it twice. Whatever comes, the laws hold: the state is the fold of the
own events and survives a checkpoint, lived again it is the same, nothing is raised, the
changes that an account (or the area stage) sums up are the latest revision, and every edit says
what its author saw.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest

from libs.events.codec import decode_as, encode
from libs.events.core import SHARED, Core, Item, Tick
from libs.events.step import EPOCH
from services.validation.area_places import area_places, place_on, units_on
from services.validation.areas.core import make_core as make_areas
from services.validation.areas.reactions import EnergyPublished, PlacesPublished
from services.validation.core import make_core
from services.validation.edit_events import EditHeld, EditTaken
from services.validation.events import UsageEstablished
from services.validation.reactions import PublishedList, SuppliedPlace
from services.validation.state import Shared, evolve
from tests.unit.validation.basis_desk import (
    PEAK,
    PERIODS,
    RIGHT,
    VALLEY,
    WRONG,
    book,
    calendar,
    table,
    tariff,
)
from tests.unit.validation.desk import POINT, meter, profile, reading, supply
from tests.unit.validation.samples import IMPORT, at, day_on
from tests.unit.validation.test_edits import ALWAYS_TWO, decision, request

SEEDS = 200
DAYS = 5
CORES, AREAS = (make_core("v"), make_core("v", ALWAYS_TWO)), make_areas("a")
READ_AS = {"PlacesPublished": PlacesPublished, "EnergyPublished": EnergyPublished}
met: Counter[str] = Counter()


@dataclass
class World:
    """Both cores without a log; `told`: by account, what billing sums up."""

    core: Core
    as_of: str = EPOCH
    shared: Any = field(default_factory=Shared)
    state: Any = None
    events: list[tuple[str, Any]] = field(default_factory=list)
    told: list[UsageEstablished] = field(default_factory=list)
    units: dict[str, Any] = field(default_factory=dict)
    latest: dict[str, UsageEstablished] = field(default_factory=dict)

    def get(self, key: str) -> Any:
        return self.state

    def keys(self) -> tuple[str, ...]:
        return (POINT,) if self.state is not None else ()

    def keys_due(self, until: str) -> tuple[str, ...]:
        due = self.core.due(self.state) if self.state is not None else ""
        return (POINT,) if due and due <= until else ()

    def take(self, body: Any) -> None:
        if isinstance(body, Tick):
            self.as_of = body.at
        item = Item("any", 0, POINT, "", body, self.as_of)
        for key in tuple(self.core.concerned(self, item)):
            emits = list(self.core.decide(self, key, item))
            for emit in emits:
                met[type(emit.body).__name__] += 1
                if emit.topic == "validation.usage":
                    assert emit.key == emit.body.account_no
                    self.told.append(emit.body)
                elif emit.topic:
                    self._area(emit.key, emit.body)
                else:
                    self._own(key, decode_as(type(emit.body), encode(emit.body)), emit.body)

    def _own(self, key: str, event: Any, body: Any) -> None:
        assert event == body, "as it is stored"
        if isinstance(body, EditTaken):
            seen = self.latest[body.day_on]
            for entry in body.entries:
                assert entry.energy_before == seen.energy[entry.register], body
                assert entry.version_before == seen.revision
        if isinstance(body, UsageEstablished):
            known = self.latest.get(body.day_on)
            assert body.revision == (known.revision if known else 0) + 1, body
            before = known.energy if known else {}
            for name in {*before, *body.energy}:
                change = body.energy.get(name, 0) - before.get(name, 0)
                assert body.change.get(name, 0) == change, (body, known)
            self.latest[body.day_on] = body
        self.events.append((key, event))
        if key == SHARED:
            self.shared = evolve(self.shared, event)
        else:
            self.state = evolve(self.state, event)

    def _area(self, unit: str, published: Any) -> None:
        body = decode_as(READ_AS[type(published).__name__], encode(published))
        view = _Unit(self.units.get(unit))
        emits = AREAS.decide(view, unit, Item("any", 0, unit, "", body, self.as_of))  # type: ignore[arg-type]
        for emit in emits:
            self.units[unit] = AREAS.evolve(self.units.get(unit), emit.body)


@dataclass
class _Unit:
    state: Any

    def get(self, key: str) -> Any:
        return self.state


# -- a point, and what comes of it -----------------------------------------------------------------


@dataclass(frozen=True)
class Tale:
    """hours: Wh by day and hour; exchange: the day after which M2 stands there (DAYS for never);
    leaver: the last day of the first account; moved: from when in another area; role: its place."""

    hours: tuple[tuple[int, ...], ...]
    exchange: int
    leaver: int
    moved: int
    role: str
    wrong_days: int

    def meter_on(self, day: int) -> str:
        return "M1" if day <= self.exchange else "M2"

    def first_of(self, meter_no: str) -> int:
        return 0 if meter_no == "M1" else self.exchange + 1

    def shown(self, day: int) -> dict[str, int]:
        """What the meter of a day shows at its end: peak from 8 to 22 by the right table."""
        first = self.first_of(self.meter_on(day))
        found = {IMPORT: 0, PEAK: 0, VALLEY: 0}
        for each in range(first, day + 1):
            begin = 7 if each < self.wrong_days else 8
            peak = sum(self.hours[each][begin:22])
            found[IMPORT] += sum(self.hours[each])
            found[PEAK] += peak
            found[VALLEY] += sum(self.hours[each]) - peak
        return found

    def column(self, day: int) -> tuple[int, ...]:
        begin = self.shown(day)[IMPORT] - sum(self.hours[day])
        found = [begin]
        for wh in self.hours[day]:
            found += [found[-1] + wh * part // 4 for part in (1, 2, 3)] + [found[-1] + wh]
        return tuple(found)


def draw_tale(draw: Random) -> Tale:
    return Tale(
        hours=tuple(tuple(draw.randrange(20, 90) for _ in range(24)) for _ in range(DAYS)),
        exchange=draw.choice((1, 2, 3, DAYS, DAYS)),
        leaver=draw.choice((1, 2, 3, DAYS, DAYS)),
        moved=draw.choice((1, 2, 4, DAYS, DAYS)),
        role=draw.choice(("member", "member", "member", "gate")),
        wrong_days=draw.choice((0, 0, 3, DAYS)),
    )


def supplies(tale: Tale, draw: Random) -> Iterator[Any]:
    """The versions of the supply, each of which knows more than the one before."""
    zero = {IMPORT: 0, PEAK: 0, VALLEY: 0}
    values: dict[str, Any] = {
        "registers": (IMPORT, PEAK, VALLEY),
        "rate_periods": PERIODS,
        "tariffs": (tariff(tou_basis=draw.choice(("rate_registers", "load_profile"))),),
    }
    here = SuppliedPlace(area="T1", feeder="F", role=tale.role, from_on=day_on(0), to_on="")
    meters = (meter(initial=zero),)
    version = 1
    yield supply(*meters, places=(here,), version=version, **values)
    places: tuple[SuppliedPlace, ...] = (here,)
    if tale.exchange < DAYS:
        moment = at(tale.exchange + 1)
        old = replace(meters[0], to_at=moment, final=tale.shown(tale.exchange))
        meters = (old, meter("M2", from_at=moment, initial=zero))
        version += 1
        yield supply(*meters, places=places, version=version, **values)
    if tale.moved < DAYS:
        left = replace(here, to_on=day_on(tale.moved))
        places = (left, replace(here, area="T2", feeder="", from_on=day_on(tale.moved)))
        version += 1
        yield supply(*meters, places=places, version=version, **values)
    if tale.leaver < DAYS:
        first = {"supplied_to_on": day_on(tale.leaver), "version": version + 1}
        yield supply(*meters, places=places, **first, **values)
        then = {"supplied_from_on": day_on(tale.leaver + 1), "version": version + 2}
        yield supply(*meters, places=places, account_no="A2", **then, **values)


def readings(tale: Tale, draw: Random) -> Iterator[Any]:
    for day in range(DAYS):
        shown, meter_no = tale.shown(day), tale.meter_on(day)
        if draw.random() < 0.8:
            offset = draw.choice((0, 0, 0, 400, None))
            values = {"registers": shown, "meter_no": meter_no, "clock_offset_s": offset}
            yield reading(day, 0, **values)
        if draw.random() < 0.15:
            wild = {name: value + 90_000 for name, value in shown.items()}
            yield reading(day, 0, reading_id=f"w{day}", registers=wild, meter_no=meter_no)
        if draw.random() < 0.7:
            column = tale.column(day)
            holes = {draw.randrange(97) for _ in range(draw.choice((0, 0, 2, 20)))}
            given = tuple(None if at in holes else each for at, each in enumerate(column))
            yield profile(day, given, meter_no=meter_no)
            if holes and draw.random() < 0.7:
                yield profile(day, column, reading_id=f"q{day}", meter_no=meter_no)
        if draw.random() < 0.3:
            slots = WRONG if day < tale.wrong_days else RIGHT
            yield table(slots, day, meter_no=meter_no)


def inputs(tale: Tale, draw: Random) -> list[Any]:
    """Everything that comes, mostly in order, some of it late and some of it twice."""
    late = {"cal": calendar("09:00")}
    books = [book()]
    if draw.random() < 0.4:
        books.append(book(2, from_on=day_on(3), calendars=late))
    if draw.random() < 0.2:
        books.append(book(1, price_lists={"tou": PublishedList()}))
    found = [*supplies(tale, draw), *readings(tale, draw), *books]
    found += [Tick(at=at(day + 1, 9)) for day in range(DAYS)]
    found += draw.sample(found, len(found) // 5)
    if draw.random() < 0.3:
        draw.shuffle(found)
        return found
    placed = [(_comes(body, number, draw), number, body) for number, body in enumerate(found)]
    return [body for _, _, body in sorted(placed, key=lambda each: each[:2])]


def _comes(body: Any, number: int, draw: Random) -> str:
    """When an input comes: what is of a day soon after it, else at any time of the first days."""
    if isinstance(body, Tick):
        return body.at
    day = getattr(body, "day_on", "") or day_on(draw.choice((0, 0, 0, 1, 3)))
    moment = next(each for each in range(DAYS) if day_on(each) == day)
    late = draw.choice((0, 0, 0, 1, 3))
    is_early = not hasattr(body, "day_on") and moment == 0
    return "" if is_early and number < 9 else at(moment + late + 1, draw.randrange(1, 12))


# -- people ----------------------------------------------------------------------------------------


def edit_of(world: World, number: int, draw: Random) -> Any:
    """A person changes a day as it stands: a part of it, or all of it, or what fits no register."""
    day = draw.choice(sorted(world.latest))
    seen = world.latest[day]
    more = draw.choice((-300, 0, 60, 500))
    after = {IMPORT: seen.energy.get(IMPORT, 0) + more}
    if PEAK in seen.energy:
        after[draw.choice((PEAK, VALLEY))] = max(seen.energy[PEAK] + more, 0)
        after = draw.choice((after, {**seen.energy, IMPORT: after[IMPORT], PEAK: after[PEAK]}
                             if PEAK in after else {PEAK: seen.energy[PEAK] + 30,
                                                    VALLEY: seen.energy[VALLEY] - 30}))  # fmt: skip
        for name in (PEAK, VALLEY):
            if draw.random() < 0.8 and name in after:
                other = VALLEY if name == PEAK else PEAK
                total = after.get(IMPORT, seen.energy[IMPORT])
                after[name] = total - after.get(other, seen.energy[other])
    changed = {name: max(wh, -1) for name, wh in after.items()}
    return request(
        next(each for each in range(DAYS) if day_on(each) == day),
        0,
        edit_id=f"e{number}",
        based_on=draw.choice((seen.revision,) * 6 + (seen.revision - 1,)),
        after=changed,
        reason_code=draw.choice(("bad_estimate", "wrong_register", "meter_fault")),
    )


def live(seed: int) -> World:
    draw = Random(f"one point/{seed}")
    tale = draw_tale(draw)
    world = World(CORES[seed % 4 == 0])
    for number, body in enumerate(inputs(tale, draw)):
        world.take(body)
        if world.latest and draw.random() < 0.25:
            world.take(edit_of(world, number, draw))
        for held in world.state.edits.waiting if world.state is not None else ():
            if draw.random() < 0.7:
                person = draw.choice(("zhao", "zhao", "zhao", "li"))
                word = draw.choice(("approved", "approved", "refused"))
                world.take(decision(held.edit, word, person=person))
    world.take(Tick(at=at(DAYS + 1, 9)))
    return world


# -- laws ------------------------------------------------------------------------------------------


def check_state(world: World) -> None:
    """The state is the fold of the stored events, and a checkpoint gives it back."""
    shared, state = Shared(), None
    for key, event in world.events:
        if key == SHARED:
            shared = evolve(shared, event)
        else:
            state = evolve(state, event)
    assert (shared, state) == (world.shared, world.state)
    for kind, kept in zip(world.core.state_types, (shared, state), strict=True):
        assert kept is None or decode_as(kind, encode(kept)) == kept


def check_accounts(world: World) -> None:
    """What accounts sum up is what stands; nobody is told of a gate."""
    sums: dict[str, Counter[str]] = {}
    for body in world.told:
        sums.setdefault(body.day_on, Counter()).update(body.change)
    places = area_places(world.state.supplies)
    gates = any(place.role == "gate" for place in places)
    assert not (gates and world.told)
    for day, body in world.latest.items():
        if not gates:
            found = {name: wh for name, wh in sums[day].items() if wh}
            assert found == {name: wh for name, wh in body.energy.items() if wh}, day


def check_areas(world: World) -> None:
    """Every unit that must know a day knows its total and quality as they stand."""
    places = area_places(world.state.supplies)
    for day, body in world.latest.items():
        place = place_on(places, day)
        for unit in units_on(places, day) if place is not None else ():
            known = world.units[unit].days[day].energies[POINT]
            assert (known.import_wh, known.quality) == (body.energy[IMPORT], body.quality), day
            met["area"] += 1


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_meets_at_a_point_keeps_every_law(seed: int) -> None:
    world = live(seed)
    assert seed % 10 or world == live(seed), "decided again, the same"
    check_state(world)
    check_accounts(world)
    check_areas(world)
    for body in world.latest.values():
        met[body.quality] += 1
        met[f"basis/{body.basis.used}" if body.basis else "no basis"] += 1
    for _, event in world.events:
        if isinstance(event, EditHeld):
            met[event.because] += 1


def test_everything_met() -> None:
    """Runs after the histories; alone it makes some of its own."""
    if not met:
        for seed in range(30):
            test_whatever_meets_at_a_point_keeps_every_law(seed)
    wanted = {"EditTaken", "EditHeld", "EditRejected", "EditRefused", "EditDecisionRejected"}
    wanted |= {"EditOverruled", "SupplyAwaited", "ReadingRejected", "CalendarsRejected", "area"}
    wanted |= {"basis/load_profile", "basis/rate_registers", "settled", "approved", "edited"}
    assert wanted - met.keys() == set()
