"""The area stage: when a day is judged, what is told, late actuals, moves, what is forgotten."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.core import Item, Tick
from libs.events.errors import BadInput
from services.validation.areas.core import make_core
from services.validation.areas.decide import NEXT_TICK, decide, due
from services.validation.areas.events import DayJudged, EnergyNoted, LossCalculated, PlacesNoted
from services.validation.areas.policy import DEFAULT_POLICY, AreaPolicy
from services.validation.areas.reactions import AreaPlace, EnergyPublished, PlacesPublished
from services.validation.areas.state import KEEP_DAYS, Unit, evolve
from tests.unit.validation.samples import at, day_on

UNIT = "F"
CORE = make_core("test")


@dataclass
class Desk:
    """One unit before the core: inputs in, events out, the state folded along the way."""

    unit: str = UNIT
    policy: AreaPolicy = DEFAULT_POLICY
    state: Any = None
    as_of: str = at(0)
    events: list[Any] = field(default_factory=list)

    def get(self, key: str) -> Any:
        return self.state

    def take(self, body: Any) -> list[Any]:
        """One input; the own events that follow."""
        item = Item("any", 0, self.unit, "", body, self.as_of)
        found = [emit.body for emit in decide(self, self.unit, item, self.policy)]  # type: ignore[arg-type]
        for event in found:
            self.state = evolve(self.state, event)
        self.events += found
        return found

    def tick(self, moment: str) -> list[Any]:
        """Business time passes, as the loop would tell it: only when the unit is due."""
        self.as_of = moment
        when = due(self.state, self.policy) if self.state is not None else ""
        return self.take(Tick(at=moment)) if when and when <= moment else []

    def place(self, point: str, area: str = "A", role: str = "member", **more: Any) -> list[Any]:
        """A point is in an area from the first day on."""
        return self.take(PlacesPublished(usage_point=point, places=(stay(area, role, **more),)))

    def energy(self, point: str, day: int, import_wh: int, **more: Any) -> list[Any]:
        """What a point measured on a day."""
        values: dict[str, Any] = {
            "quality": "actual",
            "export_wh": None,
            "ratio": "1",
            "after_exchange": False,
            "rolled_over": False,
            "clock_offset_s": None,
            **more,
        }
        return self.take(
            EnergyPublished(usage_point=point, day_on=day_on(day), import_wh=import_wh, **values)
        )

    def losses(self) -> dict[tuple[str, str], LossCalculated]:
        """The latest of every day and area."""
        return {
            (event.day_on, event.area): event
            for event in self.events
            if isinstance(event, LossCalculated)
        }


def stay(area: str = "A", role: str = "member", **more: Any) -> AreaPlace:
    values: dict[str, Any] = {
        "feeder": UNIT,
        "from_on": day_on(0),
        "to_on": "",
        "ratio": "",
        "has_pv": False,
        **more,
    }
    return AreaPlace(area=area, role=role, **values)


def area() -> Desk:
    """An area with a gate and two members on a feeder without a meter."""
    desk = Desk()
    desk.place("G", role="gate")
    desk.place("P1")
    desk.place("P2")
    return desk


def full_day(desk: Desk, day: int, gate_wh: int = 20_400) -> None:
    """Everybody is read: two members with 10 kWh each."""
    desk.energy("G", day, gate_wh)
    desk.energy("P1", day, 10_000)
    desk.energy("P2", day, 10_000)


def told(events: list[Any]) -> list[tuple[str, str, str, int]]:
    """Day, area, status and revision of the losses told; the judged days as they are."""
    return [
        (each.day_on, each.area, each.status, each.revision)
        if isinstance(each, LossCalculated)
        else (each.day_on, "", "judged", 0)
        for each in events
    ]


# -- when -----------------------------------------------------------------------------------------


def test_a_day_is_judged_at_the_next_tick_once_everybody_was_read() -> None:
    desk = area()
    assert due(desk.state, DEFAULT_POLICY) == ""
    desk.energy("G", 0, 20_400)
    desk.energy("P1", 0, 10_000)
    assert desk.tick(at(1, 9)) == []
    desk.energy("P2", 0, 10_000)
    assert due(desk.state, DEFAULT_POLICY) == NEXT_TICK
    assert told(desk.tick(at(1, 9))) == [
        (day_on(0), "", "not_comparable", 1),
        (day_on(0), "A", "ok", 1),
        (day_on(0), "", "judged", 0),
    ]
    loss = desk.losses()[day_on(0), "A"]
    assert (loss.gate_wh, loss.sold_wh, loss.loss_wh) == (20_400, 20_000, 400)
    assert loss.loss_e2_pct == 196
    assert (loss.least_wh, loss.most_wh, loss.expected_points, loss.read_points) == (0, 1_428, 3, 3)
    assert desk.losses()[day_on(0), ""].reason == "it has no gate meter"
    assert desk.tick(at(1, 9)) == []


def test_a_day_with_a_point_missing_waits_for_its_grace_time() -> None:
    desk = area()
    desk.energy("G", 0, 20_400)
    desk.energy("P1", 0, 10_000)
    desk.energy("P2", 0, 10_000, quality="estimated")
    assert due(desk.state, DEFAULT_POLICY) == at(1, 10)
    assert desk.tick(at(1, 9)) == []
    desk.tick(at(1, 10))
    loss = desk.losses()[day_on(0), "A"]
    assert (loss.status, loss.reason) == ("not_comparable", "2 of 3 points read")
    assert (loss.loss_wh, loss.loss_e2_pct, loss.causes) == (None, None, ())


def test_a_day_of_which_nothing_came_is_judged_too() -> None:
    desk = area()
    full_day(desk, 0)
    desk.tick(at(1, 1))
    assert due(desk.state, DEFAULT_POLICY) == at(2, 10)
    assert told(desk.tick(at(4))) == [
        (day_on(1), "", "not_comparable", 1),
        (day_on(1), "A", "not_comparable", 1),
        (day_on(1), "", "judged", 0),
        (day_on(2), "", "not_comparable", 1),
        (day_on(2), "A", "not_comparable", 1),
        (day_on(2), "", "judged", 0),
    ]
    assert desk.losses()[day_on(2), "A"].reason == "gate meter G was not read"


def test_a_grace_time_of_ones_own() -> None:
    desk = replace(area(), policy=AreaPolicy(grace_min=60))
    desk.energy("G", 0, 20_400)
    assert due(desk.state, desk.policy) == at(1, 1)
    with pytest.raises(BadInput, match="grace_min"):
        AreaPolicy(grace_min=0)


def test_other_inputs_and_units_without_days_are_silent() -> None:
    desk = Desk()
    assert desk.take(object()) == []
    assert evolve(None, object()) is None
    assert desk.take(Tick(at=at(9))) == []
    desk.place("P1")
    assert desk.take(Tick(at=at(9))) == []


# -- again ----------------------------------------------------------------------------------------


def test_a_late_actual_makes_a_new_revision_at_the_next_tick() -> None:
    desk = area()
    for day in range(3):
        full_day(desk, day)
    desk.energy("P2", 1, 500, quality="estimated")
    desk.tick(at(4))
    assert desk.losses()[day_on(1), "A"].status == "not_comparable"
    desk.energy("P2", 1, 9_000)
    assert due(desk.state, DEFAULT_POLICY) == NEXT_TICK
    assert told(desk.tick(at(4))) == [
        (day_on(1), "", "not_comparable", 2),
        (day_on(1), "A", "ok", 2),
        (day_on(1), "", "judged", 0),
        (day_on(2), "", "judged", 0),
    ]
    assert desk.losses()[day_on(1), "A"].loss_wh == 1_400


def test_what_is_known_already_is_silent() -> None:
    desk = area()
    full_day(desk, 0)
    desk.energy("P1", 0, 10_000, clock_offset_s=3)
    desk.tick(at(1, 1))
    assert desk.energy("P1", 0, 10_000) == []
    assert desk.place("P1") == []
    assert desk.state.days[day_on(0)].energies["P1"].clock_offset_s == 3


def test_a_day_between_that_was_not_told_of_is_kept_in_order() -> None:
    desk = area()
    full_day(desk, 3)
    full_day(desk, 0)
    assert list(desk.state.days) == [day_on(day) for day in range(4)]
    assert [day.waiting for day in desk.state.days.values()] == [0, 3, 3, 0]


# -- why ------------------------------------------------------------------------------------------


def test_a_bypassed_meter_is_named_with_its_usual_day() -> None:
    desk = area()
    for day, used_wh in enumerate((9_000, 0, 8_001, 11_000)):
        full_day(desk, day, 10_400 + used_wh)
        desk.energy("P1", day, used_wh, quality="edited" if day == 3 else "actual")
    full_day(desk, 4, 20_400)
    desk.energy("P1", 4, 0)
    desk.tick(at(5, 1))
    loss = desk.losses()[day_on(4), "A"]
    (cause,) = loss.causes
    assert (loss.status, loss.excess_wh) == ("high", 10_400 - 1_428)
    assert (cause.name, cause.usage_point, cause.effect_wh) == ("zero_usage", "P1", 9_333)
    assert cause.numbers["usual_wh"] == "9333"  # of days 0, 2 and 3, rounded down


def test_only_the_latest_days_make_a_usual_day() -> None:
    desk = replace(area(), policy=AreaPolicy(usual_days=1))
    for day, used_wh in enumerate((9_000, 11_000, 0)):
        full_day(desk, day, 20_400)
        desk.energy("P1", day, used_wh)
    desk.tick(at(3, 1))
    assert desk.losses()[day_on(2), "A"].causes[0].numbers["usual_wh"] == "11000"


def test_export_has_a_usual_day_too() -> None:
    desk = Desk()
    desk.place("G", role="gate")
    desk.place("P1", has_pv=True)
    for day, export_wh in ((0, 4_000), (1, None)):
        desk.energy("G", day, 1_000)
        desk.energy("P1", day, 5_000, export_wh=export_wh)
    desk.tick(at(2, 1))
    (cause,) = desk.losses()[day_on(1), "A"].causes
    assert (cause.name, cause.numbers) == ("pv_not_counted", {"usual_export_wh": "4000"})


def test_two_areas_of_a_feeder_name_who_is_listed_in_the_wrong_one() -> None:
    desk = area()
    desk.place("H", "B", "gate")
    desk.place("Q1", "B")
    full_day(desk, 0, 30_600)
    desk.energy("H", 0, 5_200)
    desk.energy("Q1", 0, 15_000)
    desk.tick(at(1, 1))
    high, low = desk.losses()[day_on(0), "A"], desk.losses()[day_on(0), "B"]
    assert (high.status, low.status) == ("high", "negative")
    assert {cause.name for cause in high.causes} == {"unexplained"}
    desk.energy("Q1", 0, 10_000)
    desk.place("Q2", "B")
    desk.energy("Q2", 0, 5_000)
    desk.tick(at(1, 1))
    causes = desk.losses()[day_on(0), "A"].causes
    assert [(cause.name, cause.usage_point) for cause in causes] == [("wrong_area", "Q1")]


def test_a_feeder_with_its_own_meter_is_judged_with_its_areas() -> None:
    desk = area()
    desk.place("FG", "", "gate")
    full_day(desk, 0)
    desk.energy("FG", 0, 21_000)
    desk.tick(at(1, 1))
    loss = desk.losses()[day_on(0), ""]
    assert (loss.status, loss.loss_wh, loss.gate_difference_wh) == ("ok", 1_000, 600)


def test_an_area_that_stands_alone_has_no_feeder_to_judge() -> None:
    desk = Desk(unit="A")
    desk.place("G", role="gate", feeder="")
    desk.place("P1", feeder="")
    desk.energy("G", 0, 10_400)
    desk.energy("P1", 0, 10_000)
    assert [each[1:3] for each in told(desk.tick(at(1, 1)))] == [("A", "ok"), ("", "judged")]


# -- moves ----------------------------------------------------------------------------------------


def test_a_move_within_the_feeder_is_judged_by_date() -> None:
    desk = area()
    desk.place("H", "B", "gate")
    for day in range(2):
        full_day(desk, day, 20_400 if day == 0 else 10_200)
        desk.energy("H", day, 0 if day == 0 else 10_200)
    both = (stay("A", to_on=day_on(0)), stay("B", from_on=day_on(1)))
    desk.take(PlacesPublished(usage_point="P2", places=both))
    desk.tick(at(2, 1))
    found = desk.losses()
    assert (found[day_on(0), "A"].expected_points, found[day_on(0), "A"].status) == (3, "ok")
    assert (found[day_on(1), "A"].expected_points, found[day_on(1), "A"].status) == (2, "ok")
    assert (found[day_on(1), "B"].sold_wh, found[day_on(1), "B"].status) == (10_000, "ok")


def test_a_correction_of_who_belongs_there_reopens_the_days() -> None:
    desk = area()
    desk.place("P3")
    full_day(desk, 0)
    desk.tick(at(1, 10))
    assert desk.losses()[day_on(0), "A"].reason == "3 of 4 points read"
    desk.take(PlacesPublished(usage_point="P3", places=(stay("X", feeder="E"),)))
    assert due(desk.state, DEFAULT_POLICY) == NEXT_TICK
    desk.tick(at(1, 10))
    loss = desk.losses()[day_on(0), "A"]
    assert (loss.status, loss.revision) == ("ok", 2)
    assert "P3" not in desk.state.places


def test_a_day_waits_for_those_who_belong_there_as_it_stands_now() -> None:
    desk = area()
    desk.place("P3")
    full_day(desk, 0)
    assert due(desk.state, DEFAULT_POLICY) == at(1, 10)
    desk.take(PlacesPublished(usage_point="P3", places=()))
    assert due(desk.state, DEFAULT_POLICY) == NEXT_TICK
    desk.place("P4")
    assert due(desk.state, DEFAULT_POLICY) == at(1, 10)


def test_a_place_where_nobody_was_after_all_is_told_so_once() -> None:
    desk = area()
    desk.place("Q1", "B")
    full_day(desk, 0)
    desk.energy("Q1", 0, 7_000)
    desk.tick(at(1, 1))
    desk.take(PlacesPublished(usage_point="Q1", places=()))
    desk.tick(at(1, 1))
    loss = desk.losses()[day_on(0), "B"]
    assert (loss.revision, loss.status) == (2, "not_comparable")
    assert (loss.reason, loss.expected_points) == ("nobody belongs there any more", 0)
    desk.energy("P1", 0, 9_999)
    assert (day_on(0), "B") not in {each[:2] for each in told(desk.tick(at(1, 1)))}


def test_the_energy_of_who_is_elsewhere_explains_the_area_it_left() -> None:
    desk = area()
    full_day(desk, 0)
    both = (stay("A", to_on=day_on(0)), stay("X", feeder="E", from_on=day_on(1)))
    desk.take(PlacesPublished(usage_point="P2", places=both))
    full_day(desk, 1)  # P2 is still fed from here
    desk.tick(at(2, 1))
    (cause,) = desk.losses()[day_on(1), "A"].causes
    assert (cause.name, cause.usage_point) == ("member_moved", "P2")
    assert {(each.day_on, each.area) for each in desk.losses().values()} == {
        (day_on(day), name) for day in (0, 1) for name in ("", "A")
    }


# -- what is forgotten ----------------------------------------------------------------------------


def test_the_state_is_bounded() -> None:
    desk = area()
    gone = (stay("A", to_on=day_on(2)),)
    desk.take(PlacesPublished(usage_point="P9", places=gone))
    for day in range(KEEP_DAYS + 5):
        full_day(desk, day)
        if day < 3:
            desk.energy("P9", day, 100)
        desk.tick(at(day + 1, 1))
    assert len(desk.state.days) == KEEP_DAYS
    assert sorted(desk.state.places) == ["G", "P1", "P2"]
    newest = KEEP_DAYS + 4
    assert desk.energy("P1", newest - KEEP_DAYS, 1) == []
    assert len(desk.energy("P1", newest - KEEP_DAYS + 1, 1)) == 1


def test_a_day_before_business_time_minus_what_is_kept_is_not_begun() -> None:
    desk = area()
    desk.as_of = at(100)
    assert desk.energy("P1", 99 - KEEP_DAYS, 1) == []
    assert len(desk.energy("P1", 100 - KEEP_DAYS, 1)) == 1


def test_a_unit_that_everybody_left_comes_to_rest() -> None:
    desk = area()
    full_day(desk, 0)
    desk.tick(at(1, 1))
    for point, role in (("G", "gate"), ("P1", "member"), ("P2", "member")):
        ended = (stay(role=role, to_on=day_on(0)), stay("X", role, feeder="E", from_on=day_on(1)))
        desk.take(PlacesPublished(usage_point=point, places=ended))
    for day in range(2, 80):
        desk.tick(at(day))
    assert isinstance(desk.state, Unit)
    assert desk.state.places == {}
    assert due(desk.state, DEFAULT_POLICY) == ""
    assert len(desk.state.days) <= KEEP_DAYS


def test_the_core_is_put_together() -> None:
    assert (CORE.name, CORE.own_topic, CORE.dlq_topic) == (
        "validation.areas",
        "validation.losses",
        "validation.areas.dlq",
    )
    assert {PlacesNoted, EnergyNoted, LossCalculated, DayJudged} <= CORE.catalogue.by_class.keys()


# -- laws -----------------------------------------------------------------------------------------

ENERGIES = [(point, day) for point in ("G", "P1", "P2") for day in range(3)]


@settings(deadline=None, max_examples=60)
@given(st.permutations(ENERGIES), st.sets(st.integers(0, 8)), st.integers(0, 2))
def test_the_order_of_energies_and_ticks_does_not_matter_in_the_end(
    order: list[tuple[str, int]], ticks: set[int], zero_day: int
) -> None:
    """The same losses stand with the same causes, whatever was told in between."""

    def lived(steps: list[tuple[str, int]], told_at: set[int]) -> dict[tuple[str, str], Any]:
        desk = area()
        for number, (point, day) in enumerate(steps):
            if number in told_at:
                desk.tick(at(number // 3 + 1, 12))
            used_wh = 0 if (point, day) == ("P1", zero_day) else 10_000 + 10 * day
            desk.energy(point, day, 20_800 if point == "G" else used_wh)
        desk.tick(at(3, 12))
        return {place: replace(loss, revision=0) for place, loss in desk.losses().items()}

    assert lived(order, ticks) == lived(sorted(ENERGIES, key=lambda each: each[1]), set())
