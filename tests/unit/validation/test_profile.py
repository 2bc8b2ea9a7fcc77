"""Load profiles: 97 snapshots, 96 intervals by their ends, and never a lost watt-hour."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.validation.profile import (
    Gap,
    Profile,
    interval_block,
    interval_ends,
    recorded_usage,
)
from tests.unit.validation.samples import IMPORT, installed

STEADY = tuple(range(1_000, 1_000 + 97 * 10, 10))


def profile(snapshots: tuple[int | None, ...], minutes: int = 15) -> Profile:
    return Profile(
        day_on="2026-02-28",
        register=IMPORT,
        meter_no="M1",
        snapshots=snapshots,
        interval_minutes=minutes,
    )


def without(*indices: int) -> tuple[int | None, ...]:
    return tuple(None if index in indices else value for index, value in enumerate(STEADY))


def test_intervals_are_labelled_by_their_ends() -> None:
    ends = interval_ends("2026-02-28", 15)
    assert (len(ends), ends[0], ends[-1]) == (
        96,
        "2026-02-27T16:15:00Z",
        "2026-02-28T16:00:00Z",
    )
    assert interval_ends("2026-02-28", 720, utc_offset_minutes=0) == (
        "2026-02-28T12:00:00Z",
        "2026-03-01T00:00:00Z",
    )
    assert len(interval_ends("2026-02-28", 1)) == 1440


@pytest.mark.parametrize("minutes", [0, -15, 7])
def test_a_wrong_interval_is_named(minutes: int) -> None:
    with pytest.raises(BadInput, match=r"^interval_minutes: "):
        interval_ends("2026-02-28", minutes)


def test_a_full_block_adds_up_to_the_register() -> None:
    block = interval_block(profile(STEADY), installed(ratio="40"))
    assert block.usages == (400,) * 96
    assert set(block.flags) == {"good"}
    assert block.gaps == ()
    assert block.register_delta == recorded_usage(block) == 38_400
    assert (block.day_on, block.register, block.meter_no) == ("2026-02-28", IMPORT, "M1")


def test_a_missing_snapshot_spoils_both_intervals_and_keeps_their_sum() -> None:
    block = interval_block(profile(without(4, 5, 50)), installed())
    assert [index for index, flag in enumerate(block.flags) if flag == "missing"] == [
        3,
        4,
        5,
        49,
        50,
    ]
    assert block.gaps == (Gap(first=3, last=5, usage=30), Gap(first=49, last=50, usage=20))
    assert block.usages[3] is None
    assert recorded_usage(block) == block.register_delta == 960


def test_a_missing_end_leaves_an_open_gap() -> None:
    block = interval_block(profile(without(0, 96)), installed())
    assert block.gaps == (Gap(first=0, last=0, usage=None), Gap(first=95, last=95, usage=None))
    assert block.register_delta is None
    assert recorded_usage(block) == 940


def test_a_rollover_inside_the_day() -> None:
    values = tuple(value % 1_000 if value >= 1_500 else value + 9_998_500 for value in STEADY)
    assert values[50] == 500  # the register stood at 9,999,990 Wh and 10 Wh later at 0
    values = tuple((value + 9_998_500) % 10_000_000 for value in STEADY)
    block = interval_block(profile(values), installed(digits=4, capacity_w=40))
    assert block.flags[49] == "rollover"
    assert block.usages == (10,) * 96
    assert block.register_delta == 960
    slow = interval_block(profile(values), installed(digits=4, capacity_w=39))
    assert (slow.flags[49], slow.usages[49]) == ("negative", None)


def test_a_fall_and_an_impossible_value_are_flagged() -> None:
    values = list(STEADY)
    values[10] = 5
    values[20] = 10**9
    block = interval_block(profile(tuple(values)), installed())
    assert block.flags[9] == "negative"
    assert (block.flags[19], block.flags[20]) == ("out_of_range", "out_of_range")
    assert block.usages[9] is None


def test_a_wrong_block_is_named() -> None:
    with pytest.raises(BadInput, match=r"^snapshots: has 96 snapshots \(give 97"):
        interval_block(profile(STEADY[1:]), installed())
    with pytest.raises(BadInput, match=r"^meter_no: is M1, not M2"):
        interval_block(profile(STEADY), installed("M2"))
    with pytest.raises(BadInput, match=r"^snapshots: .* \(give 25"):
        interval_block(profile(STEADY, minutes=60), installed())


@given(
    st.lists(st.integers(0, 5_000), min_size=24, max_size=24),
    st.sets(st.integers(1, 23)),
    st.sampled_from(["1", "0.7", "40", "123.456"]),
)
def test_known_intervals_and_gaps_add_up_to_the_delta(
    steps: list[int], absent: set[int], ratio: str
) -> None:
    values, value = [], 9_950_000
    for step in (0, *steps):
        value += step
        values.append(value % 10_000_000)
    snapshots = tuple(None if index in absent else v for index, v in enumerate(values))
    meter = installed(digits=4, ratio=ratio, capacity_w=10**6)
    block = interval_block(profile(snapshots, minutes=60), meter)
    assert block.register_delta is not None
    assert recorded_usage(block) == block.register_delta
    complete = interval_block(profile(tuple(values), minutes=60), meter)
    assert complete.register_delta == block.register_delta
