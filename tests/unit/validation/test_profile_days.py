"""Load profiles of days: estimated so that the register is kept; all values worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.validation.default_rules import DEFAULT_RULE_BOOK
from services.validation.events import IntervalsEstablished, QualityFound, ReadingRejected
from services.validation.policy import Policy
from services.validation.rule_set import OFF, RuleSettings
from services.validation.state import PROFILE_DAYS, ProfileDay, evolve
from tests.unit.validation.desk import (
    Desk,
    meter,
    names,
    only,
    opened,
    profile,
    reading,
    rules_of,
    supply,
)
from tests.unit.validation.samples import IMPORT, at, day_on

DAY_WH = 9_600
"""100 Wh in every quarter of an hour."""

Column = tuple[int | None, ...]


def column(day: int, *holes: int, step: int = 100) -> Column:
    """The snapshots of a steady day, but for holes."""
    full = [day * 96 * step + step * index for index in range(97)]
    return tuple(None if index in holes else value for index, value in enumerate(full))


def steady(*days: int, holes: tuple[int, ...] = (), last_holed: bool = True) -> Desk:
    """A point with profiles and registers of days; the holes are in the last."""
    desk = opened()
    for day in days:
        is_holed = last_holed and day == days[-1]
        desk.take(profile(day, column(day, *(holes if is_holed else ()))))
        desk.take(reading(day, DAY_WH * (day + 1)))
    return desk


def block(desk: Desk, day: int) -> IntervalsEstablished:
    """The latest revision of a day."""
    found = [
        event
        for event in desk.events
        if isinstance(event, IntervalsEstablished) and event.day_on == day_on(day)
    ]
    assert [event.revision for event in found] == list(range(1, len(found) + 1))
    return found[-1]


def standing(desk: Desk) -> dict[str, Any]:
    """What stands of every day, whatever it was called on the way."""
    return {
        day: (known.energies, known.qualities, known.findings)
        for day, known in desk.point.profiles.items()
    }


# -- gaps ------------------------------------------------------------------------------------------


def test_a_hole_is_estimated_when_the_registers_of_both_ends_are_there() -> None:
    desk = opened()
    first = only(desk.take(profile(0, column(0, 40))), IntervalsEstablished)
    assert first.qualities == "a" * 39 + "mm" + "a" * 55
    assert (first.energies[39], first.energies[40], first.register_wh) == (None, None, None)
    own = desk.take(reading(0, DAY_WH))
    assert names(own) == ["ReadingAccepted", "UsageEstablished", "IntervalsEstablished"]
    second = own[-1]
    assert (second.revision, second.reading_id, second.register_wh) == (2, "p0", DAY_WH)
    assert second.qualities == "a" * 39 + "ee" + "a" * 55
    assert second.energies == (100,) * 96
    assert (second.methods, second.plan) == ({"linear": (39, 40)}, "default.v1")
    assert second.rule_set == "default.v1"
    assert desk.point.profiles[day_on(0)].energies == (100,) * 96


def test_what_the_snapshots_leave_open_the_registers_close_exactly() -> None:
    """No snapshot from 23:15 on: three intervals and an end. The register says 9,701 Wh: 501 for
    four intervals. Like the day before they share evenly, and the odd Wh goes to the first."""
    desk = steady(0)
    desk.take(profile(1, column(1, 93, 94, 95, 96)))
    desk.take(reading(1, DAY_WH + 9_701))
    found = block(desk, 1)
    assert found.energies[92:] == (126, 125, 125, 125)
    assert sum(e for e in found.energies if e is not None) == 9_701
    assert found.qualities[92:] == "eeee"
    assert found.methods == {"flat_average": (92, 93, 94, 95)}


def test_a_profile_after_its_registers_is_estimated_at_once() -> None:
    desk = opened()
    desk.take(reading(0, DAY_WH))
    assert names(desk.take(profile(0, column(0, 40)))) == ["IntervalsEstablished"]
    assert block(desk, 0).energies == (100,) * 96


def test_a_hole_between_two_snapshots_has_what_they_say() -> None:
    """100 Wh in each interval but 700 in those around 10:00, whatever the other hole got."""
    full = list(column(0))
    for index in range(40, 97):
        value = full[index]
        assert value is not None
        full[index] = value + 1_200
    full[40] = full[80] = None
    desk = opened()
    desk.take(profile(0, tuple(full)))
    desk.take(reading(0, DAY_WH + 1_200))
    found = block(desk, 0)
    assert found.energies[39:41] == (700, 700)
    assert found.energies[79:81] == (100, 100)


def test_a_late_actual_brings_the_estimates_to_the_register() -> None:
    desk = steady(0)
    desk.take(profile(2, column(2, 96)))
    desk.take(reading(2, 3 * DAY_WH))
    assert block(desk, 2).energies[-1] is None, "two days between the readings: neither is known"
    own = desk.take(reading(1, 2 * DAY_WH - 50))
    assert names(own)[-1] == "IntervalsEstablished"
    assert block(desk, 2).register_wh == DAY_WH + 50
    assert block(desk, 2).energies[-1] == 150


def test_known_intervals_above_the_register_are_told_and_nothing_is_guessed() -> None:
    desk = opened()
    desk.take(profile(0, column(0, 96)))
    desk.take(reading(0, 9_000))
    found = block(desk, 0)
    assert found.energies[-1] is None
    assert found.status == "fail"
    assert "above_register" in {each.rule for each in found.findings}


def test_intervals_that_do_not_add_up_to_the_register_are_told() -> None:
    desk = opened()
    desk.take(profile(0, column(0)))
    desk.take(reading(0, DAY_WH + 1_001))
    found = block(desk, 0)
    assert [each.rule for each in found.findings] == ["interval_sum"]
    assert (found.status, found.qualities) == ("fail", "a" * 96)
    desk = opened()
    desk.take(profile(0, column(0)))
    assert "IntervalsEstablished" not in names(desk.take(reading(0, DAY_WH + 1_000)))


def test_a_snapshot_that_was_too_high_is_estimated_with_the_one_after() -> None:
    wrong = list(column(0))
    wrong[40] = 50_000
    desk = opened()
    first = only(desk.take(profile(0, tuple(wrong))), IntervalsEstablished)
    assert first.qualities[39:41] == "ff"
    assert (first.energies[39], first.energies[40]) == (46_100, None)
    assert {each.rule for each in first.findings} >= {"spike", "capacity", "bad_value"}
    desk.take(reading(0, DAY_WH))
    assert block(desk, 0).energies == (100,) * 96
    assert block(desk, 0).qualities[39:41] == "ee"


def test_a_peak_that_the_registers_confirm_is_believed() -> None:
    peaked = tuple(
        value + 2_000 if i >= 40 else value for i, value in enumerate(range(0, 9_700, 100))
    )
    desk = opened()
    first = only(desk.take(profile(0, peaked)), IntervalsEstablished)
    assert first.qualities[39] == "f"
    assert first.energies[39] == 2_100
    desk.take(reading(0, DAY_WH + 2_000))
    found = block(desk, 0)
    assert found.qualities == "a" * 96
    assert "spike" in {each.rule for each in found.findings}


def test_a_day_before_the_meter_came_has_zeros_until_then() -> None:
    desk = opened(meter(from_at=at(0, 6)))
    holed = tuple(None if index < 24 else 100 * (index - 24) for index in range(97))
    desk.take(profile(0, (*holed[:50], None, *holed[51:])))
    desk.take(reading(0, 7_200))
    found = block(desk, 0)
    assert found.qualities == "o" * 24 + "a" * 25 + "ee" + "a" * 45
    assert found.energies == (0,) * 24 + (100,) * 72


# -- references ------------------------------------------------------------------------------------


def test_three_days_of_the_same_weekday_give_the_shape() -> None:
    """Every day uses 10 Wh in each interval before noon and 30 after; on the 22nd day everything
    from noon on is missing, and the register says 480 + 1,500."""
    shape = [10] * 48 + [30] * 48
    rising = tuple(sum(shape[:index]) for index in range(97))
    desk = opened()
    for day in range(21):
        desk.take(profile(day, tuple(1_920 * day + value for value in rising)))
        desk.take(reading(day, 1_920 * (day + 1)))
    desk.take(profile(21, (*(40_320 + value for value in rising[:49]), *(None,) * 48)))
    desk.take(reading(21, 40_320 + 1_980))
    found = block(desk, 21)
    assert list(found.methods) == ["same_weekday"]
    assert sum(e for e in found.energies if e is not None) == 1_980
    assert set(found.energies[48:]) == {31, 32}, "1,500 over 48 equal shapes"
    desk.take(profile(14, tuple(1_920 * 14 + value for value in rising), reading_id="again"))
    assert block(desk, 21).revision == 2


def test_a_day_between_days_of_another_length_stands_alone() -> None:
    desk = opened()
    for day, hours in ((0, 96), (1, 24), (3, 24)):
        whole = range(day * DAY_WH, (day + 1) * DAY_WH + 1, DAY_WH // hours)
        desk.take(profile(day, (*whole[:-1], None) if day == 3 else tuple(whole)))
        desk.take(reading(day, DAY_WH * (day + 1)))
    desk.take(reading(2, DAY_WH * 3))
    assert block(desk, 3).interval_minutes == 60
    assert block(desk, 3).energies == (400,) * 24


# -- the rules of intervals ------------------------------------------------------------------------


def test_the_day_before_is_what_steps_and_zeros_are_judged_by() -> None:
    desk = opened()
    desk.take(profile(1, (0,) * 97))
    assert [each.rule for each in block(desk, 1).findings] == ["zero_run"]
    assert block(desk, 1).findings[0].numbers["longest_minutes"] == "1440"
    desk.take(profile(0, (0,) * 97))
    assert block(desk, 1).revision == 2
    assert block(desk, 1).findings[0].numbers["longest_minutes"] == "2880"
    desk.take(profile(2, (*range(0, 96_001, 1_000), 98_000)[1:]))
    rules = {each.rule: each for each in block(desk, 2).findings}
    assert set(rules) == {"demand_step", "historical_peak"}
    assert rules["demand_step"].numbers["previous_wh"] == "0"


def test_a_settled_day_keeps_its_intervals_as_the_day_before() -> None:
    desk = opened()
    for day in (0, 1, 2, 12):
        desk.take(profile(day, (0,) * 97))
    assert desk.point.profiles[day_on(1)].snapshots == ()
    assert desk.point.profiles[day_on(2)].snapshots == (0,) * 97
    desk.take(profile(3, (0,) * 97))
    assert block(desk, 3).findings[0].numbers["longest_minutes"] == "5760"
    assert names(desk.take(supply(version=2, area="T2"))) == ["SupplyNoted"]
    desk.take(supply(version=3, category="industrial"))
    assert block(desk, 3).findings[0].numbers["longest_minutes"] == "5760"
    assert block(desk, 3).rule_set == "default+industry.v1"


def test_the_sum_is_not_told_when_its_rule_is_off() -> None:
    rules = {**DEFAULT_RULE_BOOK.rules}
    rules["interval_sum"] = replace(rules["interval_sum"], severity=OFF)
    desk = Desk(policy=Policy(rule_book=replace(DEFAULT_RULE_BOOK, id="east", rules=rules)))
    desk.take(supply())
    desk.take(profile(0, column(0)))
    assert names(desk.take(reading(0, DAY_WH + 5_000))) == ["ReadingAccepted", "UsageEstablished"]
    assert block(desk, 0).rule_set == "east.v1"
    assert isinstance(rules["interval_sum"], RuleSettings)


# -- more than one profile -------------------------------------------------------------------------


def test_two_profiles_fill_each_others_holes() -> None:
    desk = opened()
    desk.take(profile(0, column(0, 10, 40)))
    own = desk.take(profile(0, column(0, 40, 70), reading_id="concentrator"))
    found = only(own, IntervalsEstablished)
    assert (found.revision, found.reading_id) == (2, "concentrator")
    assert [index for index, letter in enumerate(found.qualities) if letter == "m"] == [39, 40]
    assert desk.take(profile(0, column(0, 10, 40))) == []
    assert desk.point.profiles[day_on(0)].reading_ids == ("p0", "concentrator")


def test_a_second_profile_that_says_nothing_new_or_otherwise() -> None:
    desk = opened()
    desk.take(profile(0, column(0)))
    same = only(desk.take(profile(0, column(0, 3), reading_id="again")), QualityFound)
    assert rules_of(same)["duplicate"].severity == "warn"
    assert rules_of(same)["duplicate"].text.endswith("; p0 came first")
    coarse = desk.take(profile(0, column(0)[::4], reading_id="hours"))
    assert names(coarse) == ["QualityFound"]
    other = (*column(0)[:96], 9_601)
    rejected = only(desk.take(profile(0, other, reading_id="other")), ReadingRejected)
    assert rules_of(rejected)["duplicate"].severity == "fail"
    assert block(desk, 0).revision == 1


def test_the_finer_profile_stands() -> None:
    desk = opened()
    desk.take(profile(0, column(0)[::4], reading_id="hours"))
    assert block(desk, 0).interval_minutes == 60
    desk.take(profile(0, column(0)))
    assert block(desk, 0).interval_minutes == 15
    assert names(desk.take(profile(0, (*column(0), 1), reading_id="odd"))) == ["ReadingRejected"]


def test_a_profile_that_was_held_and_says_nothing_new_is_held_no_more() -> None:
    desk = Desk()
    desk.take(profile(0, column(0)))
    desk.take(profile(0, column(0), reading_id="again"))
    assert names(desk.take(supply())) == ["SupplyNoted", "IntervalsEstablished", "QualityFound"]
    assert desk.point.held == ()


def test_a_profile_of_long_ago_is_told_and_forgotten() -> None:
    desk = opened()
    desk.take(profile(PROFILE_DAYS + 5, column(PROFILE_DAYS + 5)))
    assert names(desk.take(profile(0, column(0)))) == ["IntervalsEstablished"]
    assert list(desk.point.profiles) == [day_on(PROFILE_DAYS + 5)]
    late = desk.take(profile(PROFILE_DAYS - 9, column(PROFILE_DAYS - 9)))
    assert names(late) == ["IntervalsEstablished"]
    again = profile(PROFILE_DAYS - 9, column(PROFILE_DAYS - 9), reading_id="again")
    assert names(desk.take(again)) == ["QualityFound"]


# -- supply ----------------------------------------------------------------------------------------


def test_another_ratio_makes_other_energies() -> None:
    desk = opened()
    desk.take(profile(0, column(0)))
    own = desk.take(supply(meter(ratio="10"), version=2))
    assert only(own, IntervalsEstablished).energies == (1_000,) * 96
    own = desk.take(supply(meter(ratio="none"), version=3))
    remarks = [event for event in own if isinstance(event, QualityFound)]
    assert "ratio" in rules_of(remarks[-1])["bad_value"].text
    assert block(desk, 0).energies == (1_000,) * 96


def test_the_meter_that_stands_there_at_the_end_of_the_day_has_the_profile() -> None:
    desk = opened()
    desk.take(profile(0, column(0)))
    desk.take(profile(1, column(1)))
    moved = (
        meter(to_at=at(1, 10), final={IMPORT: 13_600}),
        meter("M2", from_at=at(1, 10), initial={IMPORT: 0}),
    )
    desk.take(supply(*moved, version=2))
    assert block(desk, 1).meter_no == "M1", "until the other one was read"
    new = tuple(None if index < 40 else 100 * (index - 40) for index in range(97))
    desk.take(profile(1, new, meter_no="M2", reading_id="m2"))
    assert (block(desk, 1).meter_no, block(desk, 1).qualities[:40]) == ("M2", "m" * 40)
    desk.take(profile(2, column(2), meter_no="M2"))
    desk.take(reading(0, DAY_WH))
    desk.take(reading(1, 5_600, meter_no="M2"))
    found = block(desk, 1)
    assert found.register_wh == 4_000 + 5_600
    assert sum(e for e in found.energies if e is not None) == 9_600
    assert found.qualities == "e" * 40 + "a" * 56


def test_a_day_before_of_a_meter_that_was_never_there_is_no_day_before() -> None:
    desk = opened()
    desk.take(profile(0, column(0)))
    desk.take(supply(meter("M7"), version=2))
    desk.take(profile(1, column(1, step=1_000), meter_no="M7"))
    assert [each.rule for each in block(desk, 1).findings] == [], "no peak to compare with"


def test_the_register_of_a_day_is_remembered_with_what_was_made_of_it() -> None:
    """The history of registers goes on without profiles; the estimate stays."""
    desk = steady(0, holes=(40,))
    for day in range(1, 40):
        desk.take(reading(day, DAY_WH * (day + 1)))
    assert all(day.day_on > day_on(0) for day in desk.point.history)
    desk.take(supply(version=2, area="T2"))
    assert block(desk, 0).revision == 2
    assert block(desk, 0).qualities[39:41] == "ee"


def test_intervals_of_an_older_release_are_read() -> None:
    old = IntervalsEstablished(
        usage_point="P1",
        day_on=day_on(0),
        register=IMPORT,
        interval_minutes=720,
        energies=(5, None),
        flags=("good", "missing"),
        status="fail",
        findings=(),
        reading_id="p0",
    )
    state = evolve(None, old)
    assert state.profiles == {
        day_on(0): ProfileDay(
            reading_ids=("p0",),
            meter_no="",
            revision=1,
            interval_minutes=720,
            energies=(5, None),
            qualities="am",
        )
    }
    desk = Desk(state=state, events=[old])
    assert names(desk.take(supply())) == ["SupplyNoted"]


# -- laws ------------------------------------------------------------------------------------------

USED = st.lists(st.integers(0, 400), min_size=24, max_size=24)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_whatever_the_order_the_same_intervals_stand(data: st.DataObject) -> None:
    """Profiles with holes, registers and the supply of some days, in any order; and between two
    registers what is known and what is estimated add up to the usage."""
    days = data.draw(st.integers(2, 5))
    inputs: list[object] = [supply()]
    shown = 0
    usage: dict[str, int] = {}
    for day in range(days):
        used = data.draw(USED)
        full = [shown + sum(used[:index]) for index in range(25)]
        holes = data.draw(st.sets(st.integers(0, 24), max_size=6))
        holed = tuple(None if index in holes else value for index, value in enumerate(full))
        inputs.append(profile(day, holed))
        shown += sum(used)
        usage[day_on(day)] = sum(used)
        if data.draw(st.booleans()):
            inputs.append(reading(day, shown))
        if data.draw(st.booleans()):
            more = tuple(None if i in holes and i % 2 else v for i, v in enumerate(full))
            inputs.append(profile(day, more, reading_id=f"more{day}"))
    in_order, mixed = Desk(), Desk()
    for each in inputs:
        in_order.take(each)
    for each in data.draw(st.permutations(inputs)):
        mixed.take(each)
    assert standing(mixed) == standing(in_order)
    mixed.check()
    for at_day, known in mixed.point.profiles.items():
        assert "m" not in known.qualities or known.register_wh is None
        if known.register_wh is not None:
            assert sum(e for e in known.energies if e is not None) == usage[at_day]
