"""Which meter was where: chains of installations and exchanges, cut to the days supplied."""

from __future__ import annotations

from services.customers.events import Installation
from services.customers.meter_chain import meter_chain, points_of, supplied_stays
from services.customers.state import Account
from tests.unit.customers.samples import (
    account,
    agreement,
    exchange,
    household,
    installation,
    known,
    meter,
    point,
    removal,
)


def chain(state: Account) -> list[tuple[str, str, str]]:
    (points,) = points_of(state)
    return [(stay.meter_no, stay.from_at, stay.to_at) for stay in meter_chain(state, points)]


def test_an_exchange_ends_one_stay_and_begins_the_next() -> None:
    state = known([*household(), meter("M2", digits="5"), exchange(capacity_kw="12")])
    (points,) = points_of(state)
    first, second = meter_chain(state, points)
    assert first == Installation(
        meter_no="M1",
        from_at="2025-05-31T16:00:00Z",
        to_at="2026-02-10T02:30:00Z",
        ratio="1",
        protocol="dlt645_2007",
        line="tcp:127.0.0.1:9600",
        address="000000000001",
        digits=6,
        capacity_w=8_000,
        initial={},
        final={"1-0:1.8.0": 500_500},
    )
    assert second == Installation(
        meter_no="M2",
        from_at="2026-02-10T02:30:00Z",
        to_at="",
        ratio="1",
        protocol="dlt645_2007",
        line="tcp:127.0.0.1:9600",
        address="000000000002",
        digits=5,
        capacity_w=12_000,
        initial={"1-0:1.8.0": 120},
        final={},
    )


def test_another_ratio_is_an_exchange_of_the_meter_with_itself() -> None:
    other = exchange(
        new_meter_no="M1", new_ratio="40", new_initial="1-0:1.8.0=500.5", address="", line=""
    )
    state = known([*household(), other])
    (points,) = points_of(state)
    before, after = meter_chain(state, points)
    assert (before.ratio, after.ratio) == ("1", "40")
    assert after.address == before.address == "000000000001"
    assert after.line == before.line
    assert before.final == after.initial == {"1-0:1.8.0": 500_500}


def test_a_meter_that_was_taken_away_leaves_the_point_without_one() -> None:
    state = known([*household(), removal("2026-02-10"), installation("2026-03-01")])
    assert chain(state) == [
        ("M1", "2025-05-31T16:00:00Z", "2026-02-10T02:30:00Z"),
        ("M1", "2026-02-28T16:00:00Z", ""),
    ]


def test_a_stay_of_no_time_is_none() -> None:
    at_once = installation("2026-03-01", installed_at="2026-03-01 10:30")
    state = known([account(), agreement(), point(), meter(), at_once, removal("2026-03-01")])
    assert chain(state) == []


def test_stays_are_cut_to_the_days_supplied() -> None:
    gone = account(moved_out_on="2026-03-16")
    state = known([gone, *household()[1:], meter("M2"), exchange()])
    (points,) = points_of(state)
    assert [
        (each.stay.meter_no, each.from_at, each.to_at) for each in supplied_stays(state, points)
    ] == [
        ("M1", "2025-12-31T16:00:00Z", "2026-02-10T02:30:00Z"),
        ("M2", "2026-02-10T02:30:00Z", "2026-03-15T16:00:00Z"),
    ]


def test_what_ended_before_the_first_day_served_somebody_else() -> None:
    removed = removal("2025-09-01", old_final="1-0:1.8.0=10")
    again = installation("2025-10-01", name="M2", initial="1-0:1.8.0=0")
    state = known([*household(), meter("M2"), removed, again])
    (points,) = points_of(state)
    assert [each.stay.meter_no for each in supplied_stays(state, points)] == ["M2"]
    assert len(meter_chain(state, points)) == 2
