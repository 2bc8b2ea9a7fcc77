"""Load shapes and energy: the published profiles, exact integers, laws."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.errors import BadInput
from simulators.load_shapes import SHAPES, dynamic_factor_e12, load_shape
from simulators.meters.energy import DAY_S, Load, parse_day_table

YEAR_2026 = int(datetime(2025, 12, 31, 16, tzinfo=UTC).timestamp())  # 2026 in Shanghai
TABLE = parse_day_table(
    [("00:00", 4), ("08:00", 3), ("10:00", 2), ("15:00", 3), ("18:00", 1), ("20:00", 3)]
)
HOUSE = Load("H25", 2_400_000, TABLE, 480)
INSTANTS = st.integers(YEAR_2026 - 400 * DAY_S, YEAR_2026 + 800 * DAY_S)


@pytest.mark.filterwarnings("ignore")  # demandlib uses what pandas 3 deprecates
@pytest.mark.parametrize("name", sorted(SHAPES))
def test_the_weights_are_those_of_demandlib(name: str) -> None:
    pandas = pytest.importorskip("pandas")
    bdew = pytest.importorskip("demandlib.bdew")
    index = pandas.date_range("2026-01-01", periods=365 * 96, freq="15min")
    holidays = [date(2026, 1, 1), date(2026, 10, 1)]
    published = getattr(bdew, name)(index, holidays=holidays)
    ours = load_shape(name).weights(2026, holidays)
    assert len(ours) == len(published) == 35_040
    for place in range(0, 35_040, 7):
        # theirs is power in kW of 1 GWh a year, ours 1e-9 kWh per quarter of an hour
        assert ours[place] == pytest.approx(published.iloc[place] * 10**9 / 4, rel=1e-9, abs=1)


def test_the_dynamic_factor_by_hand() -> None:
    # -3.92e-10 + 3.2e-7 - 7.02e-5 + 0.0021 + 1.24
    assert dynamic_factor_e12(1) == 1_242_030_119_608
    assert dynamic_factor_e12(200) == pytest.approx(
        (-3.92e-10 * 200**4 + 3.2e-7 * 200**3 - 7.02e-5 * 200**2 + 0.0021 * 200 + 1.24) * 1e12
    )


def test_an_unknown_shape_is_refused() -> None:
    with pytest.raises(BadInput, match="G25"):
        load_shape("H0")


def test_a_year_has_its_energy() -> None:
    found = HOUSE.energy_wh(0, YEAR_2026, YEAR_2026 + 365 * DAY_S)
    assert 2_400_000 - 4 <= found <= 2_400_000
    assert Load("G25", 10**9, TABLE, 480).energy_wh(0, YEAR_2026, YEAR_2026) == 0


@given(INSTANTS, INSTANTS, INSTANTS)
@settings(max_examples=60, deadline=None)
def test_energy_grows_and_adds_up(one: int, two: int, three: int) -> None:
    first, middle, last = sorted((one, two, three))
    for rate in range(5):
        whole = HOUSE.energy_wh(rate, first, last)
        early = HOUSE.energy_wh(rate, first, middle)
        assert 0 <= early <= whole
        assert abs(early + HOUSE.energy_wh(rate, middle, last) - whole) <= 12  # floors, per rate
    rates = [HOUSE.energy_wh(rate, first, last) for rate in (1, 2, 3, 4)]
    assert sum(rates) == HOUSE.energy_wh(0, first, last)


def test_each_hour_goes_to_the_rate_of_the_day_table() -> None:
    for hour, rate in ((3, 4), (9, 3), (12, 2), (16, 3), (19, 1), (22, 3)):
        start = YEAR_2026 + 40 * DAY_S + hour * 3600
        taken = {r: HOUSE.energy_wh(r, start, start + 3600) for r in (1, 2, 3, 4)}
        assert [r for r, wh in taken.items() if wh] == [rate]


def test_the_peak_is_the_highest_quarter_of_the_month() -> None:
    until = YEAR_2026 + 20 * DAY_S + 5 * 3600
    demand, when_s = HOUSE.peak(0, until)
    quarters = [HOUSE.energy_wh(0, t, t + 900) * 40 for t in range(YEAR_2026, until - 899, 900)]
    assert abs(demand - max(quarters)) <= 4 * 40  # the registers floor each rate to whole Wh
    assert (when_s - YEAR_2026) % 900 == 0
    assert YEAR_2026 < when_s <= until
    assert HOUSE.peak(0, YEAR_2026 + 31 * DAY_S)[1] <= YEAR_2026 + 31 * DAY_S
    assert HOUSE.peak(0, YEAR_2026 + 31 * DAY_S + 60) == (0, 0)  # the new month has no quarter yet
    assert HOUSE.peak(7, until) == (0, 0)


@pytest.mark.parametrize(
    "rows",
    [
        [("01:00", 1)],
        [("00:00", 1), ("08:10", 2)],
        [("00:00", 1), ("09:00", 2), ("08:00", 3)],
        [("00:00", 1), ("24:00", 2)],
        [("00:00", 0)],
        [("noon", 1)],
    ],
)
def test_wrong_day_tables_are_refused(rows: list[tuple[str, int]]) -> None:
    with pytest.raises(BadInput, match="day_tables"):
        parse_day_table(rows)


def test_no_day_table_is_one_rate() -> None:
    assert set(parse_day_table([])) == {1}
