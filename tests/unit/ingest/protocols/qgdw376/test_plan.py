"""Which requests first: freezes, then few forwards; relays before all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.protocols.qgdw376.plan import (
    ABSENT,
    FROZEN_HERE,
    ForwardOrder,
    FreezeOrder,
    Need,
    cut_points,
    plan_reads,
)

MON, TUE = "2026-02-02", "2026-02-03"


def needs(day_on: str, pns: range, fns: tuple[int, ...] = (161,)) -> list[Need]:
    return [Need(day_on, fn, pn) for pn in pns for fn in fns]


def test_what_was_never_asked_is_asked_of_the_concentrator() -> None:
    plan = plan_reads(needs(MON, range(1, 51)), {})
    assert plan.freezes == (
        FreezeOrder(MON, (161,), tuple(range(1, 25))),
        FreezeOrder(MON, (161,), tuple(range(25, 49))),
        FreezeOrder(MON, (161,), (49, 50)),
    )
    assert plan.forwards == plan.relays == ()


def test_kinds_of_the_same_points_go_together_and_share_the_room() -> None:
    plan = plan_reads(needs(MON, range(1, 17), (161, 163)), {}, points_per_request=24)
    assert plan.freezes == (
        FreezeOrder(MON, (161, 163), tuple(range(1, 9))),
        FreezeOrder(MON, (161, 163), tuple(range(9, 17))),
    )


def test_gaps_are_forwarded_the_oldest_day_first_and_few_at_a_time() -> None:
    wanted = needs(TUE, range(1, 5)) + needs(MON, range(3, 5))
    answers = {
        Need(TUE, 161, 1): FROZEN_HERE,
        Need(TUE, 161, 2): ABSENT,
        Need(TUE, 161, 3): ABSENT,
        Need(MON, 161, 3): ABSENT,
        Need(TUE, 161, 4): FROZEN_HERE,
        Need(MON, 161, 4): ABSENT,
    }
    plan = plan_reads(wanted, answers, relays=[9, 7, 9])
    assert plan.freezes == ()
    assert plan.forwards == (
        ForwardOrder(3, "gap", (MON, TUE)),
        ForwardOrder(4, "gap", (MON,)),
        ForwardOrder(2, "gap", (TUE,)),
    )
    assert plan.relays == (ForwardOrder(7, "relay"), ForwardOrder(9, "relay"))
    few = plan_reads(wanted, answers, most_forwards=1)
    assert (few.forwards, few.postponed) == (plan.forwards[:1], 2)


def test_a_point_whose_archive_differs_is_asked_itself_even_if_it_was_frozen() -> None:
    plan = plan_reads(needs(MON, range(1, 3)), {Need(MON, 161, 1): FROZEN_HERE}, unsafe_pns={1})
    assert plan.forwards == (ForwardOrder(1, "archive", (MON,)),)
    assert plan.freezes == (FreezeOrder(MON, (161,), (2,)),)


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
    ),
    st.data(),
)
def test_every_need_is_met_exactly_once(wanted: set[Need], data: st.DataObject) -> None:
    answers = {
        need: data.draw(st.sampled_from([ABSENT, FROZEN_HERE]))
        for need in sorted(wanted)
        if data.draw(st.booleans())
    }
    plan = plan_reads(wanted, answers, most_forwards=1000)
    asked = [
        Need(order.day_on, fn, pn) for order in plan.freezes for fn in order.fns for pn in order.pns
    ]
    assert len(asked) == len(set(asked))
    assert set(asked) == {need for need in wanted if need not in answers}
    forwarded = {(day, order.pn) for order in plan.forwards for day in order.days_on}
    gaps = {(n.day_on, n.pn) for n in wanted if answers.get(n) == ABSENT}
    assert forwarded == gaps
    assert all(len(order.pns) * len(order.fns) <= 24 for order in plan.freezes)
