"""Line loss: sums worked out by hand, the gate of completeness, causes by evidence, and laws."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.validation.areas.line_loss import Loss, LossDay, area_losses
from services.validation.areas.loss_causes import CAUSES, Cause, causes_of
from services.validation.areas.loss_rules import DEFAULT_LOSS_RULES, LossRules
from services.validation.areas.membership import Membership, Places, PointDay, places_of

DAY = "2026-01-31"
RULES = DEFAULT_LOSS_RULES


def place(usage_point: str, area: str = "A", role: str = "member", **more: object) -> Membership:
    values = {"feeder": "F", "from_on": "2025-01-01"} | more
    return Membership(usage_point=usage_point, area=area, role=role, **values)  # type: ignore[arg-type]


def read(usage_point: str, import_wh: int | None, **more: object) -> PointDay:
    quality = {} if import_wh is not None else {"quality": "missing"}
    return PointDay(usage_point=usage_point, import_wh=import_wh, **quality, **more)  # type: ignore[arg-type]


BASE = (place("FG", "", "gate"), place("GA", "A", "gate"), place("A1"), place("A2"))


def places(*more: Membership) -> Places:
    return places_of((*BASE, *more))


def losses(found: Places, *points: PointDay, rules: LossRules = RULES) -> LossDay:
    return area_losses(DAY, found, points, rules)


def causes(found: Places, *points: PointDay, rules: LossRules = RULES) -> tuple[Cause, ...]:
    day = losses(found, *points, rules=rules)
    return causes_of(day.areas[0], day, found, rules)


def named(found: tuple[Cause, ...]) -> list[tuple[str, str, int | None]]:
    return [(cause.name, cause.usage_point, cause.effect_wh) for cause in found]


# -- sums -----------------------------------------------------------------------------------------


def test_supplied_sold_and_per_cent_are_exact() -> None:
    day = losses(
        places(place("D1", "")),
        read("FG", 1_200_000),
        read("GA", 95_000, export_wh=1_000),
        read("A1", 60_000),
        read("A2", 35_000, export_wh=6_000),
        read("D1", 1_100_000),
    )
    (area,), (feeder,) = day.areas, day.feeders
    assert (area.gate_wh, area.pv_wh, area.sold_wh) == (94_000, 6_000, 95_000)
    assert (area.supplied_wh, area.loss_wh, area.loss_e2_pct) == (100_000, 5_000, 500)
    assert (area.status, area.excess_wh, area.read_e2_pct) == ("ok", 0, 10_000)
    assert (feeder.supplied_wh, feeder.sold_wh, feeder.loss_wh) == (1_206_000, 1_195_000, 11_000)
    assert feeder.gate_difference_wh == 6_000
    assert feeder.loss_e2_pct == 91  # 0.912 %
    assert area.gate_difference_wh is None


@pytest.mark.parametrize(
    ("sold_wh", "status", "excess_wh", "pct"),
    [
        (93_000, "ok", 0, 700),
        (92_999, "high", 1, 700),
        (100_000, "ok", 0, 0),
        (100_001, "negative", -1, 0),
        (100_050, "negative", -50, -5),
    ],
)
def test_the_limit_itself_is_no_alarm(sold_wh: int, status: str, excess_wh: int, pct: int) -> None:
    day = losses(places(), read("GA", 100_000), read("A1", sold_wh), read("A2", 0), read("FG", 1))
    (area,) = day.areas
    assert (area.status, area.excess_wh, area.loss_e2_pct) == (status, excess_wh, pct)


def test_a_rounding_has_a_name() -> None:
    points = (read("GA", 80_000), read("A1", 79_995), read("A2", 1))  # 0.005 % lost
    (half_up,) = losses(places(), *points).areas
    (even,) = losses(places(), *points, rules=LossRules(rounding="half_even")).areas
    assert (half_up.loss_wh, half_up.loss_e2_pct, even.loss_e2_pct) == (4, 1, 0)


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ((read("GA", 9), read("A1", 5)), "2 of 3 points read"),
        ((read("GA", 9), read("A1", 5), read("A2", 4, quality="estimated")), "2 of 3 points read"),
        ((read("A1", 5), read("A2", 4)), "gate meter GA was not read"),
        ((read("GA", 9, quality="estimated"), read("A1", 5), read("A2", 4)), "gate meter GA"),
        ((read("GA", 0), read("A1", 0), read("A2", 0)), "supplied is 0 Wh"),
        ((read("GA", 1, export_wh=5), read("A1", 0), read("A2", 0)), "supplied is -4 Wh"),
    ],
)
def test_what_is_not_comparable_has_no_per_cent(points: tuple[PointDay, ...], reason: str) -> None:
    day = losses(places(), *points)
    (area,) = day.areas
    assert (area.status, area.loss_e2_pct, area.excess_wh) == ("not_comparable", None, 0)
    assert area.reason.startswith(reason)
    assert causes_of(area, day, places(), RULES) == ()


def test_completeness_is_a_threshold_and_edited_counts_as_read() -> None:
    points = (read("GA", 100), read("A1", 98, quality="edited"))
    (area,) = losses(places(), *points, rules=LossRules(complete_least_e2_pct=6_666)).areas
    assert (area.status, area.read_points, area.read_e2_pct) == ("ok", 2, 6_666)
    (area,) = losses(places(), *points, rules=LossRules(complete_least_e2_pct=6_667)).areas
    assert area.status == "not_comparable"


def test_without_a_gate_nothing_is_compared() -> None:
    found = places_of((place("A1"),))
    day = losses(found, read("A1", 5))
    assert [loss.reason for loss in (*day.areas, *day.feeders)] == ["it has no gate meter"] * 2


def test_only_members_of_the_day_count() -> None:
    found = places(place("OLD", to_on="2026-01-30"), place("NEW", from_on="2026-02-01"))
    day = losses(found, read("GA", 100), read("A1", 50), read("A2", 45), read("OLD", 40))
    assert (day.areas[0].sold_wh, day.areas[0].expected_points) == (95, 3)


def test_what_contradicts_itself_is_refused() -> None:
    with pytest.raises(BadInput, match="X is in no area"):
        losses(places(), read("X", 1))
    with pytest.raises(BadInput, match="A1 comes twice"):
        losses(places(), read("A1", 1), read("A1", 1))
    with pytest.raises(BadInput, match="A1 is in two places on 2026-01-01"):
        places(place("A1", "B", from_on="2026-01-01"))
    with pytest.raises(BadInput, match="A is in F and in F2"):
        places(place("Z", feeder="F2"))
    for wrong in ({"role": "chief"}, {"to_on": "2024-01-01"}, {"ratio": "0"}):
        with pytest.raises(BadInput):
            place("Z", **wrong)  # type: ignore[arg-type]
    for values in (
        {"import_wh": -1},
        {"import_wh": 1, "export_wh": -1},
        {"import_wh": 1, "quality": "good"},
        {"import_wh": None},
        {"import_wh": 1, "ratio": "x"},
    ):
        with pytest.raises(BadInput):
            PointDay(usage_point="P", **values)  # type: ignore[arg-type]
    for rules in (
        {"rounding": "up"},
        {"area_least_e2_pct": 701},
        {"feeder_most_e2_pct": -1},
        {"complete_least_e2_pct": 10_001},
    ):
        with pytest.raises(BadInput):
            LossRules(**rules)  # type: ignore[arg-type]


# -- causes ---------------------------------------------------------------------------------------


def test_nothing_found_is_said() -> None:
    (cause,) = causes(places(), read("GA", 100_000), read("A1", 50_000), read("A2", 0))
    assert (cause.name, cause.numbers) == ("unexplained", {"excess_wh": "43000"})


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (  # an exchange at a member that shows too little, and one that pushes the other way
            (
                read("A1", 10_000, usual_wh=50_000, after_exchange=True),
                read("A2", 40_000, usual_wh=30_000, after_exchange=True),
            ),
            [("meter_exchanged", "A1", 40_000)],
        ),
        (
            (read("A1", 50_000, after_exchange=True), read("A2", 0)),
            [("meter_exchanged", "A1", None)],
        ),
        (
            (read("A1", 50_000, rolled_over=True, usual_wh=90_000), read("A2", 0)),
            [("register_rolled_over", "A1", 40_000)],
        ),
        (
            (read("A1", 50_000, quality="estimated", usual_wh=60_000), read("A2", 0)),
            [("reading_estimated", "A1", 10_000)],
        ),
        ((read("A1", 50_000),), [("reading_missing", "A2", None)]),
        (
            (read("A1", 50_000), read("A2", None, usual_wh=45_000)),
            [("reading_missing", "A2", 45_000)],
        ),
        (  # the usual day equals the value: nothing is explained
            (read("A1", 50_000, rolled_over=True, usual_wh=50_000), read("A2", 0)),
            [("unexplained", "", None)],
        ),
        (
            (read("A1", 50_000, clock_offset_s=-3_600), read("A2", 0, clock_offset_s=299)),
            [("clock_off", "A1", None)],
        ),
    ],
)
def test_causes_of_a_high_loss(
    points: tuple[PointDay, ...], expected: list[tuple[str, str, int | None]]
) -> None:
    rules = LossRules(complete_least_e2_pct=0)
    assert named(causes(places(), read("GA", 100_000), *points, rules=rules)) == expected


def test_the_size_of_a_clock_error_is_its_share_of_the_day() -> None:
    points = (read("A1", 48_000, clock_offset_s=3_600), read("A2", 0))
    (cause,) = causes(places(), read("GA", 100_000), *points)
    assert (cause.effect_wh, cause.explained_wh) == (None, 2_000)
    assert cause.numbers == {"clock_offset_s": "3600", "import_wh": "48000"}


def test_a_ratio_that_is_not_the_archives() -> None:
    found = places_of(
        (
            place("FG", "", "gate"),
            place("GA", "A", "gate", ratio="80"),
            place("A1", ratio="20"),
            place("A2", ratio="20.0"),
        )
    )
    points = (
        read("GA", 100_000, ratio="100"),
        read("A1", 60_000, ratio="15"),
        read("A2", 10_000, ratio="20"),
    )
    found_causes = causes(found, *points)
    assert named(found_causes) == [
        ("ratio_mismatch", "A1", 20_000),
        ("ratio_mismatch", "GA", 20_000),
    ]
    assert found_causes[1].numbers == {
        "used_ratio": "100",
        "archive_ratio": "80",
        "import_wh": "100000",
        "by_archive_wh": "80000",
    }
    points = (read("GA", 100_000, ratio="80"), read("A1", 0, ratio="15"), read("A2", 5))
    assert named(causes(found, *points)) == [("unexplained", "", None)]


@pytest.mark.parametrize(
    ("a1", "a2_wh", "suspected"),
    [
        ({"current_seen": True}, 0, True),
        ({"current_seen": None}, 40_000, True),
        ({"current_seen": None}, 19_999, False),  # the neighbours use less than half: an outage
        ({"current_seen": False}, 40_000, False),
        ({"usual_wh": 999}, 40_000, False),
        ({"usual_wh": None}, 40_000, False),
        ({"import_wh": 1}, 40_000, False),
    ],
)
def test_zero_usage_against_all_signs(a1: dict[str, object], a2_wh: int, suspected: bool) -> None:
    first = {"import_wh": 0, "usual_wh": 30_000} | a1
    points = (read("GA", 100_000), read("A1", **first), read("A2", a2_wh, usual_wh=40_000))  # type: ignore[arg-type]
    assert ("zero_usage", "A1", 30_000) in named(causes(places(), *points)) or not suspected
    assert suspected or "A1" not in {cause.usage_point for cause in causes(places(), *points)}


def test_an_exchange_or_an_estimate_is_no_suspicion_of_theft() -> None:
    for more in ({"after_exchange": True}, {"quality": "estimated"}):
        points = (read("A1", 0, usual_wh=30_000, current_seen=True, **more), read("A2", 40_000))
        rules = LossRules(complete_least_e2_pct=0)
        (cause,) = causes(places(), read("GA", 100_000), *points, rules=rules)
        assert cause.name != "zero_usage"


def test_pv_that_was_not_read_makes_a_loss_negative() -> None:
    found = places(place("PV", has_pv=True), place("PX", has_pv=True), place("PY", has_pv=True))
    points = (
        read("GA", 50_000),
        read("A1", 60_000),
        read("A2", 0),
        read("PV", 0, usual_export_wh=12_000),
        read("PX", 0),
        read("PY", 0, export_wh=0),
    )
    assert named(causes(found, *points)) == [
        ("pv_not_counted", "PV", -12_000),
        ("pv_not_counted", "PX", None),
    ]


def moved_places(from_on: str) -> Places:
    before = {"2026-01-31": "2026-01-30", "2026-01-30": "2026-01-29"}[from_on]
    return places(
        place("GB", "B", "gate"),
        place("B1", "B"),
        place("M", "A", to_on=before),
        place("M", "B", from_on=from_on),
    )


def test_a_member_that_moved_is_named_on_both_sides() -> None:
    points = (
        read("GA", 30_000),
        read("A1", 15_000),
        read("A2", 5_000),
        read("GB", 20_000),
        read("B1", 19_000),
        read("M", 9_500),
        read("FG", 50_000),
    )
    for from_on, count in (("2026-01-31", 1), ("2026-01-30", 0)):
        found = moved_places(from_on)
        day = losses(found, *points)
        high, negative = (causes_of(loss, day, found, RULES) for loss in day.areas)
        wrong = [("wrong_area", "M", 9_500)]
        assert named(high) == [*wrong, *[("member_moved", "M", 9_500)] * count]
        assert named(negative) == [
            ("wrong_area", "M", -9_500),
            *[("member_moved", "M", -9_500)] * count,
        ]
    assert high[0].numbers == {
        "import_wh": "9500",
        "listed_in": "B",
        "fed_from": "A",
        "high_loss_wh": "10000",
        "low_loss_wh": "-8500",
    }


def test_a_new_customer_did_not_move() -> None:
    found = places(place("N", from_on=DAY))
    points = (read("GA", 10_000), read("A1", 9_000), read("A2", 0), read("N", 5_000))
    assert named(causes(found, *points)) == [("unexplained", "", None)]


def test_an_area_of_another_feeder_explains_nothing_and_a_member_may_leave_to_it() -> None:
    found = places(
        place("GB", "B", "gate", feeder="F2"),
        place("M", "A", to_on="2026-01-30"),
        place("M", "B", feeder="F2", from_on=DAY),
        place("FG2", "", "gate", feeder="F2"),
    )
    points = (
        read("FG", 50_000), read("GA", 50_000), read("A1", 20_000), read("A2", 20_000),
        read("FG2", 5_000), read("GB", 5_000), read("M", 8_000),
    )  # fmt: skip
    day = losses(found, *points)
    assert named(causes_of(day.areas[0], day, found, RULES)) == [("member_moved", "M", 8_000)]
    first, second = day.feeders
    inside = moved_places(DAY)
    whole = losses(inside, read("FG", 9), *(read(name, 9) for name in ("A1", "A2", "GA", "GB")),
                   read("B1", 9), read("M", 9))  # fmt: skip
    assert named(causes_of(whole.feeders[0], whole, inside, RULES)) == [("unexplained", "", None)]
    assert named(causes_of(first, day, found, RULES)) == [("member_moved", "M", 8_000)]
    assert named(causes_of(second, day, found, RULES)) == [("member_moved", "M", -8_000)]


def test_every_cause_has_a_chinese_name_and_a_meaning() -> None:
    assert all(rule.chinese and rule.meaning and rule.find.__doc__ for rule in CAUSES.values())


# -- laws -----------------------------------------------------------------------------------------

ENERGY = st.integers(0, 10**9)
FEEDER = (
    place("FG", "", "gate"), place("D", ""),
    place("GA", "A", "gate"), place("A1"), place("A2"),
    place("GB", "B", "gate"), place("B1", "B"), place("B2", "B"),
)  # fmt: skip
POINTS = tuple(sorted(each.usage_point for each in FEEDER))


@st.composite
def feeder_days(draw: st.DrawFn) -> list[PointDay]:
    points = [
        read(name, draw(st.one_of(st.none(), ENERGY)), export_wh=draw(ENERGY)) for name in POINTS
    ]
    return draw(st.permutations(points))


@given(feeder_days())
def test_areas_and_gate_difference_are_the_feeder(points: list[PointDay]) -> None:
    day = losses(places_of(FEEDER), *points)
    (feeder,) = day.feeders
    assert feeder.gate_difference_wh is not None
    assert feeder.loss_wh == sum(loss.loss_wh for loss in day.areas) + feeder.gate_difference_wh
    assert all(0 <= loss.read_e2_pct <= 10_000 for loss in (*day.areas, feeder))


@given(feeder_days(), st.sampled_from(("2026-01-31", "2026-02-01", "2025-06-01")))
def test_a_move_between_areas_conserves_the_feeder(points: list[PointDay], from_on: str) -> None:
    last = {"2026-01-31": "2026-01-30", "2026-02-01": "2026-01-31", "2025-06-01": "2025-05-31"}
    stays = [replace(each, to_on=last[from_on]) if each.usage_point == "A1" else each
             for each in FEEDER]  # fmt: skip
    moved = places_of((*stays, place("A1", "B", from_on=from_on)))
    before, after = losses(places_of(FEEDER), *points), losses(moved, *points)
    assert before.feeders == after.feeders
    assert (before.areas == after.areas) == (from_on > DAY)


@given(feeder_days(), st.randoms(use_true_random=False))
def test_the_order_of_rows_is_irrelevant(points: list[PointDay], random: object) -> None:
    shuffled = list(points)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    found = places_of(FEEDER)
    one, other = losses(found, *points), losses(found, *shuffled)
    assert one == other

    def told(day: LossDay) -> list[tuple[Loss, tuple[Cause, ...]]]:
        return [(loss, causes_of(loss, day, found, RULES)) for loss in (*day.areas, *day.feeders)]

    assert told(one) == told(other)
