"""Laws: order within an import does not matter, repeating changes nothing, a fold is a fold."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.codec import decode_as, encode, encode_state, state_decoder
from services.customers.admission import judge_rows
from services.customers.decide import AGREEMENTS, METERS, SUPPLY
from services.customers.events import Row, RowRejected, RowTaken
from services.customers.meter_chain import points_of
from services.customers.publication import agreement_of, meter_of, supply_of
from services.customers.state import Account, due, evolve
from tests.unit.customers.samples import (
    ANNA,
    Desk,
    account,
    agreement,
    exchange,
    household,
    installation,
    meter,
    on_topic,
    point,
    relation,
    removal,
    row,
    transformer,
    types,
)

DAYS = ("2026-01-01", "2026-01-20", "2026-02-10", "2026-03-01", "2026-03-16")
KINDS = ("", "", "correction", "change")

on = st.sampled_from(DAYS)
kind = st.sampled_from(KINDS)


def make(build: object, **cells: st.SearchStrategy[str]) -> st.SearchStrategy[Row]:
    return st.builds(build, on, kind, **cells)  # type: ignore[arg-type]


def choice(*texts: str) -> st.SearchStrategy[str]:
    return st.sampled_from(texts)


def was(day: str, other: str) -> Row:
    return row(
        "points",
        day,
        "correction",
        valid_from_was=other,
        account_no=ANNA,
        usage_point="P1",
        area="A7",
    )


ROWS = st.one_of(
    st.sampled_from([*household(), meter("M2"), point(name="P2")]),
    make(account, household_size=choice("3", "5"), moved_out_on=choice("", "2026-03-16")),
    make(agreement, payment_mode=choice("", "prepaid_remote"), category=choice("residential", "?")),
    make(
        point, area=choice("A1", "A2"), name=choice("P1", "P2"), valid_to=choice("", "2026-03-16")
    ),
    make(
        relation,
        usage_point=choice("P1", "P2"),
        relation=choice("check", "deducted"),
        parent_point=choice("P1", "P2"),
    ),
    make(transformer, no=st.just(ANNA), state=choice("in_use", "suspended")),
    st.builds(meter, choice("M1", "M2"), on, kind, verified_on=choice("2024-01-01", "2025-01-01")),
    st.builds(installation, on, choice("", "correction"), choice("P1", "P2"), choice("M1", "M2")),
    st.builds(
        exchange, on, choice("", "correction"), choice("P1", "P2"), new_ratio=choice("1", "40")
    ),
    st.builds(removal, on, choice("P1", "P2"), choice("M1", "M2")),
    st.builds(was, on, on),
)
IMPORTS = st.lists(st.lists(ROWS, min_size=1, max_size=8), min_size=1, max_size=5)


def distinct(rows: list[Row]) -> list[Row]:
    """As the border sends them: each thing once for each day, no day called wrong."""
    seen: dict[tuple[str, str, str], Row] = {}
    for each in rows:
        seen.setdefault((each.file, each.natural_key, each.valid_from_on), each)
    wrong = {
        (each.file, each.natural_key, each.values["valid_from_was"])
        for each in rows
        if each.values.get("valid_from_was", each.valid_from_on) != each.valid_from_on
    }
    return [each for key, each in seen.items() if key not in wrong]


@settings(max_examples=150, deadline=None)
@given(st.lists(ROWS, max_size=14), st.randoms(use_true_random=False))
def test_the_order_within_an_import_does_not_matter(rows: list[Row], random: object) -> None:
    rows = distinct(rows)
    mixed = list(rows)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert judge_rows(Account(), ANNA, mixed).state == judge_rows(Account(), ANNA, rows).state


@settings(max_examples=150, deadline=None)
@given(IMPORTS)
def test_any_history_is_consistent(imports: list[list[Row]]) -> None:
    desk = Desk()
    desk.tick("2026-01-20T00:00:00Z")
    for submitted in [household(), *imports]:
        rows = distinct(submitted)
        emits = desk.rows(rows)
        taken = [emit.body for emit in emits if isinstance(emit.body, RowTaken)]
        rejected = [emit.body.row for emit in emits if isinstance(emit.body, RowRejected)]
        assert all(each in rows for each in rejected)
        # The same import again takes nothing.
        before = desk.states[ANNA]
        assert "RowTaken" not in types(desk.rows(rows))
        assert desk.states[ANNA] is before
        assert len(taken) <= len(rows)
    desk.tick("2026-02-15T00:00:00Z")
    state = desk.states[ANNA]
    check_published(desk, state)
    check_fold(desk, state)


def check_published(desk: Desk, state: Account) -> None:
    """The last fact of every key is what the state says now; versions only rise."""
    agreements = [emit.body for emit in desk.written if emit.topic == AGREEMENTS]
    assert [each.version for each in agreements] == list(range(1, len(agreements) + 1))
    current = agreement_of(state, ANNA, state.day_on)
    assert current is not None
    assert encode(agreements[-1]).replace(
        b'"version":%d' % len(agreements), b'"version":0'
    ) == encode(current)
    for points in points_of(state):
        usage_point = points[0].usage_point
        facts = [each for each in on_topic(desk.written, SUPPLY) if each.usage_point == usage_point]
        versions = [each.version for each in facts]
        assert versions == sorted(set(versions))
        assert bool(facts) == (usage_point in state.supply_versions)
        if facts:
            expected = supply_of(state, points, state.agreement_version, state.day_on)
            assert facts[-1].version == state.supply_versions[usage_point]
            assert facts[-1].installations == expected.installations
            assert facts[-1].area == expected.area
            assert facts[-1].agreement_version == state.agreement_version
    for meter_no in state.meter_versions:
        facts = [each for each in on_topic(desk.written, METERS) if each.meter_no == meter_no]
        assert facts[-1].uses == meter_of(state, ANNA, meter_no, state.day_on).uses
    assert due(state) == "" or due(state) > "2026-02-14T16:00:00Z"


def check_fold(desk: Desk, state: Account) -> None:
    """Live fold = rebuilt from encoded events = read back from a checkpoint."""
    rebuilt = None
    for event in desk.own:
        rebuilt = evolve(rebuilt, decode_as(type(event), encode(event)))
    assert rebuilt == state
    assert state_decoder(Account)(encode_state(state)) == state


@given(IMPORTS)
@settings(deadline=None)
def test_an_account_or_a_point_that_is_known_is_never_forgotten(imports: list[list[Row]]) -> None:
    """So an opening position that was checked against them is still good when it is decided."""
    state = Account()
    for rows in imports:
        after = judge_rows(state, ANNA, rows).state
        assert bool(after.accounts) >= bool(state.accounts)
        known, still = ({row.usage_point for row in each.points} for each in (state, after))
        assert known <= still
        state = after
