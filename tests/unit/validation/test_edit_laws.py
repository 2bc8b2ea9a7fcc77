"""Laws of edits: what stands in the end depends on what came, not on the order of the readings."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.validation.edit_state import DayEdit
from services.validation.edited_days import standing, with_edits
from services.validation.estimation import DayUsage
from tests.unit.validation.desk import Desk, opened, reading
from tests.unit.validation.samples import IMPORT, day_on
from tests.unit.validation.test_edits import request

DAYS = 6
usages = st.lists(st.integers(8_000, 16_000), min_size=DAYS, max_size=DAYS)
wanted = st.dictionaries(
    st.integers(1, DAYS - 1), st.tuples(st.integers(0, 30_000), st.booleans()), max_size=4
)


def edited(used: list[int], edits: dict[int, tuple[int, bool]]) -> Desk:
    """Two days that were read, a gap over the others, and those edits that are taken."""
    desk = opened()
    desk.take(reading(0, used[0]))
    desk.take(reading(DAYS - 1, sum(used)))
    for day, (value, outranks) in sorted(edits.items()):
        code = "meter_fault" if outranks else "bad_estimate"
        revision = desk.usage()[day_on(day)].revision
        desk.take(request(day, value, revision, reason_code=code))
    return desk


@settings(max_examples=60, deadline=None)
@given(usages, wanted, st.permutations(range(1, DAYS - 1)), st.permutations(range(1, DAYS - 1)))
def test_late_readings_lead_to_the_same_end_in_any_order(
    used: list[int], edits: dict[int, tuple[int, bool]], one: list[int], other: list[int]
) -> None:
    ends = []
    for order in (one, other):
        desk = edited(used, edits)
        for day in order:
            desk.take(reading(day, sum(used[: day + 1])))
        assert desk.summed() == desk.energy()
        ends.append((desk.energy(), desk.quality(), desk.point.anchor_on))
    assert ends[0] == ends[1]


@settings(max_examples=60, deadline=None)
@given(usages, wanted, st.lists(st.integers(1, DAYS - 2), unique=True))
def test_days_add_up_to_the_registers_unless_a_reason_speaks_against_them(
    used: list[int], edits: dict[int, tuple[int, bool]], read: list[int]
) -> None:
    mild = {day: (value, False) for day, (value, _) in edits.items()}
    desk = edited(used, mild)
    for day in read:
        desk.take(reading(day, sum(used[: day + 1])))
        for end in (0, *read[: read.index(day) + 1], DAYS - 1):
            energy = sum(desk.energy()[day_on(each)] for each in range(end + 1))
            assert energy == sum(used[: end + 1])
    assert desk.summed() == desk.energy()


def edit(energy: dict[str, int], *, outranks: bool = False) -> DayEdit:
    return DayEdit(edit_id="e", energy=energy, outranks_register=outranks, is_approved=False)


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=5),
    st.dictionaries(st.integers(0, 4), st.tuples(st.integers(0, 20), st.booleans())),
)
def test_edits_that_stand_still_stand_without_the_others(
    used: list[int], drawn: dict[int, tuple[int, bool]]
) -> None:
    days = [day_on(index) for index in range(len(used))]
    edits = {
        days[index]: edit({IMPORT: wh}, outranks=outranks)
        for index, (wh, outranks) in drawn.items()
        if index < len(days)
    }
    energy = {IMPORT: sum(used)}
    stand = standing(days, energy, edits)
    assert standing(days, energy, stand) == stand
    made = with_edits(
        tuple(
            DayUsage(day_on=day, energy={IMPORT: wh}, quality="estimated")
            for day, wh in zip(days, used, strict=True)
        ),
        energy,
        edits,
    )
    for day in made:
        assert (day.quality == "edited") == (day.day_on in stand)
        if day.day_on in stand:
            assert day.energy == stand[day.day_on].energy
    if not any(each.outranks_register for each in stand.values()):
        assert sum(day.energy[IMPORT] for day in made) == sum(used)


def test_a_register_that_nobody_edited_is_shared_as_before() -> None:
    days = tuple(
        DayUsage(day_on=day_on(index), energy={IMPORT: 10, "1-0:5.8.0": 3}, quality="estimated")
        for index in range(2)
    )
    made = with_edits(days, {IMPORT: 20, "1-0:5.8.0": 6}, {day_on(0): edit({IMPORT: 14})})
    assert [day.energy for day in made] == [
        {IMPORT: 14, "1-0:5.8.0": 3},
        {IMPORT: 6, "1-0:5.8.0": 3},
    ]


def test_without_edits_the_days_are_the_same() -> None:
    days = (DayUsage(day_on=day_on(0), energy={IMPORT: 10}, quality="actual"),)
    assert with_edits(days, {IMPORT: 10}, {}) is days
