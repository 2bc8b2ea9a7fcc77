"""Usage between readings: exact over ratios, rollovers, exchanges; else refused with a reason."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.validation.instant import parse_instant
from services.validation.register_usage import (
    Installation,
    Snapshot,
    parse_register,
    primary_value,
    usages_between,
)
from tests.unit.validation.samples import IMPORT, at, installed, snapshot


def test_usage_is_the_difference_times_the_ratio() -> None:
    used = usages_between(snapshot(0, 1_000_000), snapshot(1, 1_012_340), (installed(ratio="40"),))
    assert used[IMPORT].usage == 493_600
    assert used[IMPORT].outcome == "good"
    assert (used[IMPORT].from_at, used[IMPORT].to_at) == (at(0), at(1))


@pytest.mark.parametrize(
    ("register", "cumulative"),
    [
        ("1-0:1.8.0", True),
        ("1-0:1.8.4", True),
        ("1-0:2.8.0", True),
        ("1-0:3.8.0", True),
        ("1-0:5.8.0", True),
        ("1-0:8.8.0", True),
        ("1.8.0", True),
        ("1-0:1.6.0", False),
        ("1-0:15.8.0", False),
        ("1-0:16.8.0", False),
        ("1-0:9.8.0", False),
        ("1-0:32.7.0", False),
    ],
)
def test_only_energies_of_one_direction_are_differenced(register: str, cumulative: bool) -> None:
    assert parse_register(register).cumulative is cumulative
    before = Snapshot(meter_no="M1", taken_at=at(0), registers={register: 100})
    after = Snapshot(meter_no="M1", taken_at=at(1), registers={register: 150})
    assert (register in usages_between(before, after, (installed(),))) is cumulative


def test_a_register_belongs_to_the_total_of_its_quantity() -> None:
    assert parse_register("1-0:2.8.3").total == "1-0:2.8.0"
    with pytest.raises(BadInput, match="is no OBIS code"):
        parse_register("\N{FULLWIDTH DIGIT ONE}.8.0")
    with pytest.raises(BadInput, match="register: 'A\\+' is no OBIS code"):
        parse_register("A+")


def test_only_registers_that_both_readings_have_get_a_usage() -> None:
    before, after = snapshot(0, 5, rate1=5), snapshot(1, 9, rate2=1)
    assert list(usages_between(before, after, (installed(),))) == [IMPORT]


@pytest.mark.parametrize(
    ("value", "ratio", "expected"),
    [(12_340, "1", 12_340), (10, "0.5", 5), (15, "1.5", 22), (7, "0.000001", 0), (3, "2500", 7500)],
)
def test_a_primary_value_is_rounded_down(value: int, ratio: str, expected: int) -> None:
    assert primary_value(value, ratio) == expected


@pytest.mark.parametrize("ratio", ["0", "-1", "1.0000001", "forty"])
def test_a_wrong_ratio_is_named(ratio: str) -> None:
    with pytest.raises(BadInput, match=r"^ratio: "):
        primary_value(1, ratio)


@pytest.mark.parametrize("digits", [3, 13])
def test_wrong_digits_are_named(digits: int) -> None:
    with pytest.raises(BadInput, match=r"^digits: "):
        usages_between(snapshot(0, 1), snapshot(1, 2), (installed(digits=digits),))


def test_a_rollover_is_plausible_up_to_capacity_times_hours() -> None:
    # From 999,999.00 to 0.00 kWh is 1 kWh; 1 kWh in 24 h needs 1000/24 W = 41.67 W.
    before, after = snapshot(0, 999_999_000), snapshot(1, 0)
    good = usages_between(before, after, (installed(capacity_w=42),))[IMPORT]
    assert (good.outcome, good.usage) == ("rollover", 1000)
    assert good.segments[0].plausible_usage == 1008
    bad = usages_between(before, after, (installed(capacity_w=41),))[IMPORT]
    assert (bad.outcome, bad.usage) == ("negative", None)
    assert (bad.segments[0].rollover_usage, bad.segments[0].plausible_usage) == (1000, 984)
    margin = usages_between(before, after, (installed(capacity_w=41),), 1100)[IMPORT]
    assert (margin.outcome, margin.usage) == ("rollover", 1000)


def test_a_rollover_is_multiplied_by_the_ratio() -> None:
    meter = installed(ratio="1.5", capacity_w=1_000_000)
    used = usages_between(snapshot(0, 999_999_000), snapshot(1, 3), (meter,))[IMPORT]
    # 999,999,000 x 1.5 = 1,499,998,500; 3 x 1.5 rounded down = 4; range 10^9 x 1.5.
    assert used.usage == 4 - 1_499_998_500 + 1_500_000_000


def test_without_a_capacity_no_rollover_is_plausible() -> None:
    used = usages_between(snapshot(0, 999_999_990), snapshot(1, 0), (installed(capacity_w=0),))
    assert used[IMPORT].outcome == "negative"


@pytest.mark.parametrize(("before", "after"), [(0, 10**9), (10**9, 10**9 + 1), (-1, 5), (5, -1)])
def test_a_value_that_the_register_cannot_show_gives_no_usage(before: int, after: int) -> None:
    used = usages_between(snapshot(0, before), snapshot(1, after), (installed(),))[IMPORT]
    assert (used.outcome, used.usage) == ("out_of_range", None)


def exchange_at(day: int, final: int, initial: int) -> tuple[Installation, Installation]:
    old = installed(to_at=at(day), final={IMPORT: final}, ratio="10")
    new = installed("M2", from_at=at(day), initial={IMPORT: initial}, ratio="20")
    return old, new


def test_an_exchange_adds_both_meters_with_their_ratios() -> None:
    old, new = exchange_at(3, final=5_600, initial=100)
    used = usages_between(snapshot(0, 5_000), snapshot(5, 900, "M2"), (new, old))[IMPORT]
    # (5600 - 5000) x 10 + (900 - 100) x 20
    assert used.usage == 22_000
    assert [(part.meter_no, part.usage) for part in used.segments] == [
        ("M1", 6_000),
        ("M2", 16_000),
    ]


def test_several_exchanges_and_a_ratio_change_in_one_period() -> None:
    chain = (
        installed(to_at=at(2), final={IMPORT: 300}),
        installed(
            from_at=at(2), to_at=at(4), ratio="40", initial={IMPORT: 300}, final={IMPORT: 450}
        ),
        installed("M2", from_at=at(4), to_at=at(5), initial={IMPORT: 7}, final={IMPORT: 9}),
        installed("M3", from_at=at(5), ratio="2", initial={IMPORT: 0}),
    )
    used = usages_between(snapshot(1, 200), snapshot(6, 50, "M3"), chain)[IMPORT]
    # (300-200) x 1 + (450-300) x 40 + (9-7) x 1 + (50-0) x 2
    assert used.usage == 100 + 6_000 + 2 + 100
    assert len(used.segments) == 4


def test_the_time_without_a_meter_uses_nothing() -> None:
    old = installed(to_at=at(2), final={IMPORT: 300})
    new = installed("M2", from_at=at(9), initial={IMPORT: 1})
    used = usages_between(snapshot(1, 200), snapshot(10, 5, "M2"), (old, new))[IMPORT]
    assert used.usage == 104


def test_a_rollover_before_an_exchange_uses_the_hours_of_its_own_part() -> None:
    old = installed(to_at=at(1), final={IMPORT: 0}, capacity_w=42)
    new = installed("M2", from_at=at(1), initial={IMPORT: 0}, capacity_w=42)
    used = usages_between(snapshot(0, 999_999_000), snapshot(50, 10, "M2"), (old, new))[IMPORT]
    assert (used.outcome, used.usage) == ("rollover", 1010)
    slower = replace(old, capacity_w=41)
    used = usages_between(snapshot(0, 999_999_000), snapshot(50, 10, "M2"), (slower, new))[IMPORT]
    assert (used.outcome, used.usage) == ("negative", None)


def test_a_meter_that_no_installation_explains_is_foreign() -> None:
    for before, after, name in (
        (snapshot(0, 1, "M9"), snapshot(1, 2), "M9"),
        (snapshot(0, 1), snapshot(1, 2, "M8"), "M8"),
    ):
        used = usages_between(before, after, (installed(),))[IMPORT]
        assert (used.outcome, used.usage, used.segments) == ("foreign_meter", None, ())
        assert f"meter {name} was not installed at" in used.text


def test_a_reading_after_its_installation_ended_is_foreign() -> None:
    ended = installed(to_at=at(3), final={IMPORT: 9})
    used = usages_between(snapshot(1, 1), snapshot(4, 10), (ended,))[IMPORT]
    assert used.outcome == "foreign_meter"
    begins_later = installed(from_at=at(2))
    used = usages_between(snapshot(1, 1), snapshot(4, 10), (begins_later,))[IMPORT]
    assert used.outcome == "foreign_meter"


@pytest.mark.parametrize(
    ("final", "initial", "text"),
    [
        ({}, {IMPORT: 0}, "the final reading of 1-0:1.8.0 on M1 is missing"),
        ({IMPORT: 9}, {}, "the initial reading of 1-0:1.8.0 on M2 is missing"),
    ],
)
def test_an_exchange_without_a_reading_gives_no_usage(
    final: dict[str, int], initial: dict[str, int], text: str
) -> None:
    chain = (installed(to_at=at(2), final=final), installed("M2", from_at=at(2), initial=initial))
    used = usages_between(snapshot(1, 1), snapshot(3, 2, "M2"), chain)[IMPORT]
    assert (used.outcome, used.usage, used.text) == ("no_exchange_reading", None, text)


def test_readings_out_of_order_are_refused() -> None:
    with pytest.raises(BadInput, match=r"^taken_at: .* is before"):
        usages_between(snapshot(2, 1), snapshot(1, 2), (installed(),))


def test_a_reading_at_the_instant_of_a_ratio_change_counts_for_the_new_ratio() -> None:
    chain = (
        installed(to_at=at(2), final={IMPORT: 300}, ratio="10"),
        installed(from_at=at(2), initial={IMPORT: 300}, ratio="20"),
    )
    first = usages_between(snapshot(1, 200), snapshot(2, 300), chain)[IMPORT].usage
    second = usages_between(snapshot(2, 300), snapshot(3, 400), chain)[IMPORT].usage
    assert (first, second) == (1_000, 2_000)
    assert usages_between(snapshot(1, 200), snapshot(3, 400), chain)[IMPORT].usage == 3_000


RATIOS = st.sampled_from(["1", "1.5", "0.333333", "40", "2750.25"])


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Snapshot], tuple[Installation, ...]]:
    """Readings over a chain of installations, each less than once around its register."""
    capacity_w, digits = 10**9, 4
    modulus = 10**digits * 1000
    readings: list[Snapshot] = []
    chain: list[Installation] = []
    hour = 0
    for number in range(draw(st.integers(1, 4))):
        meter_no = f"M{number}"
        value = initial = draw(st.integers(0, modulus - 1))
        from_hour = hour
        for _ in range(draw(st.integers(1, 4))):
            readings.append(
                Snapshot(meter_no=meter_no, taken_at=at(0, hour), registers={IMPORT: value})
            )
            hour += draw(st.integers(1, 30))
            value = (value + draw(st.integers(0, modulus // 20))) % modulus
        readings.append(
            Snapshot(meter_no=meter_no, taken_at=at(0, hour), registers={IMPORT: value})
        )
        chain.append(
            Installation(
                meter_no=meter_no,
                from_at=at(0, from_hour),
                to_at=at(0, hour),
                ratio=draw(RATIOS),
                digits=digits,
                capacity_w=capacity_w,
                initial={IMPORT: initial},
                final={IMPORT: value},
            )
        )
    return readings, tuple(chain)


@given(histories())
def test_usage_is_additive_over_any_splitting(
    history: tuple[list[Snapshot], tuple[Installation, ...]],
) -> None:
    """Usage over [a, c] = usage over [a, b] + [b, c], for every b, to the watt-hour."""
    readings, chain = history
    whole = usages_between(readings[0], readings[-1], chain)[IMPORT]
    parts = [usages_between(a, b, chain)[IMPORT].usage for a, b in pairwise(readings)]
    assert None not in parts
    assert whole.usage == sum(part for part in parts if part is not None)


def test_an_instant_that_no_calendar_has_is_refused() -> None:
    with pytest.raises(BadInput, match="'2026-02-30T00:00:00Z' is no instant"):
        parse_instant("2026-02-30T00:00:00Z")
