"""Which points and kinds of a frozen day go into one request."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.protocols.qgdw376.plan import (
    FreezeOrder,
    Need,
    cut_points,
    plan_freezes,
)

MON, TUE = "2026-02-02", "2026-02-03"


def needs(day_on: str, pns: range, fns: tuple[int, ...] = (161,)) -> list[Need]:
    return [Need(day_on, fn, pn) for pn in pns for fn in fns]


def test_what_was_never_asked_is_asked_of_the_concentrator() -> None:
    assert plan_freezes(needs(MON, range(1, 51)), 24) == [
        FreezeOrder(MON, (161,), tuple(range(1, 25))),
        FreezeOrder(MON, (161,), tuple(range(25, 49))),
        FreezeOrder(MON, (161,), (49, 50)),
    ]


def test_kinds_of_the_same_points_go_together_and_share_the_room() -> None:
    assert plan_freezes(needs(MON, range(1, 17), (161, 163)), 24) == [
        FreezeOrder(MON, (161, 163), tuple(range(1, 9))),
        FreezeOrder(MON, (161, 163), tuple(range(9, 17))),
    ]


def test_points_are_cut_between_groups_of_eight() -> None:
    assert cut_points([1, 2, 8, 9, 10], 4) == [(1, 2, 8), (9, 10)]
    assert cut_points(range(1, 11), 4) == [(1, 2, 3, 4), (5, 6, 7, 8), (9, 10)]
    assert cut_points([], 4) == []


@given(
    st.sets(
        st.builds(
            Need, st.sampled_from([MON, TUE]), st.sampled_from([161, 163]), st.integers(1, 60)
        ),
        max_size=80,
    )
)
def test_every_need_is_met_exactly_once(wanted: set[Need]) -> None:
    plan = plan_freezes(wanted, 24)
    asked = [Need(order.day_on, fn, pn) for order in plan for fn in order.fns for pn in order.pns]
    assert sorted(asked) == sorted(wanted)
    assert all(len(order.pns) * len(order.fns) <= 24 for order in plan)
