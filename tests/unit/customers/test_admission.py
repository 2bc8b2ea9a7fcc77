"""May a row be taken? What it states against what is known, its parents, contradictions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.customers.admission import Refusal, judge_row, judge_rows
from services.customers.events import Row
from services.customers.state import Account, closed_on
from tests.unit.customers.samples import (
    ANNA,
    MILL,
    account,
    agreement,
    exchange,
    household,
    installation,
    known,
    meter,
    point,
    relation,
    removal,
    row,
    transformer,
)


def refused(state: Account, given: Row, no: str = ANNA) -> Refusal:
    verdict = judge_row(state, no, given)
    assert isinstance(verdict, Refusal), verdict
    return verdict


def days(state: Account, file: str) -> list[str]:
    return [each.valid_from_on for each in getattr(state, file)]


# -- what a row states -----------------------------------------------------------------------------


def test_what_is_known_is_nothing_new_whatever_its_kind() -> None:
    state = known(household())
    for given in household():
        assert judge_row(state, ANNA, given) is None
    assert judge_row(state, ANNA, agreement(kind="correction")) is None
    assert judge_row(state, ANNA, agreement(kind="change")) is None
    # The same meaning in another spelling is the same.
    assert judge_row(state, ANNA, agreement(payment_mode="postpaid", demand_mode="none")) is None


def test_other_values_of_a_known_day_must_be_stated() -> None:
    state = known(household())
    verdict = refused(state, agreement(payment_mode="prepaid_remote"))
    assert verdict == Refusal(
        "kind",
        "1000000001 has other values from 2026-01-01 already; state correction, or change from "
        "another day",
    )
    assert refused(state, agreement(kind="change", price_list="x")).field == "kind"
    corrected = known([agreement(kind="correction", payment_mode="prepaid_remote")], state=state)
    assert [each.payment_mode for each in corrected.agreements] == ["prepaid_remote"]


def test_another_day_of_a_known_thing_must_be_stated() -> None:
    state = known(household())
    verdict = refused(state, agreement("2026-04-01", payment_mode="prepaid_remote"))
    assert verdict == Refusal(
        "kind",
        "1000000001 is known from 2026-01-01; state change from 2026-04-01, or correction of a "
        "known day",
    )
    changed = known([agreement("2026-04-01", "change", payment_mode="prepaid_remote")], state=state)
    assert days(changed, "agreements") == ["2026-01-01", "2026-04-01"]
    assert [each.payment_mode for each in changed.agreements] == ["postpaid", "prepaid_remote"]


def test_a_correction_needs_a_row_of_that_day() -> None:
    verdict = refused(known(household()), agreement("2026-02-01", "correction"))
    assert verdict == Refusal(
        "kind",
        "there is no row of 1000000001 from 2026-02-01 to correct; its rows are from: 2026-01-01",
    )
    nothing = refused(known([account()]), agreement("2026-02-01", "correction"))
    assert nothing.problem.endswith("its rows are from: none")


def test_a_correction_can_move_a_day_that_was_wrong() -> None:
    state = known([*household(), agreement("2026-03-01", "change", price_list="x")])
    moved = agreement("2026-03-05", "correction", price_list="x", valid_from_was="2026-03-01")
    state = known([moved], state=state)
    assert days(state, "agreements") == ["2026-01-01", "2026-03-05"]
    assert judge_row(state, ANNA, moved) is None
    # An old import does not bring the wrong day back.
    assert refused(state, agreement("2026-03-01", "change", price_list="x")) == Refusal(
        "valid_from",
        "2026-03-01 was corrected to another day; if it was right, correct that row back with "
        "valid_from_was",
    )
    back = agreement("2026-03-01", "correction", price_list="x", valid_from_was="2026-03-05")
    assert days(known([back], state=state), "agreements") == ["2026-01-01", "2026-03-01"]
    onto_another = agreement(
        "2026-01-01", "correction", price_list="x", valid_from_was="2026-03-05"
    )
    assert refused(state, onto_another) == Refusal(
        "valid_from_was", "there is a row from 2026-01-01 already; correct that one"
    )
    # The row that it says already is there, but so is the one that was wrong: still to do.
    both = known([agreement("2026-04-01", "change", price_list="y")], state=state)
    again = agreement("2026-04-01", "correction", price_list="y", valid_from_was="2026-03-05")
    assert refused(both, again).field == "valid_from_was"


def test_a_change_changes_something_known_from_a_later_day() -> None:
    assert refused(known([account()]), agreement(kind="change")) == Refusal(
        "kind", "nothing is known of 1000000001, so nothing changes; leave kind empty"
    )
    early = refused(known(household()), point("2025-12-01", "change"))
    assert early.field == "valid_from"
    assert "is known from 2026-01-01 on" in early.problem
    assert "valid_from_was" in early.problem


def test_happenings_are_new_each_on_its_day() -> None:
    state = known([*household(), meter("M2"), exchange("2026-02-10")])
    verdict = refused(state, exchange("2026-02-10", old_final="1-0:1.8.0=501"))
    assert verdict.field == "kind"
    assert "P1@2026-02-10 has other values" in verdict.problem
    later = exchange(
        "2026-05-05",
        old_meter_no="M2",
        old_final="1-0:1.8.0=30",
        new_meter_no="M1",
        new_initial="1-0:1.8.0=500.5",
    )
    assert days(known([later], state=state), "exchanges") == ["2026-02-10", "2026-05-05"]


def test_a_row_that_was_made_wrong_is_refused() -> None:
    state = known(household())
    assert refused(state, row("accounts", "2026-01-01", account_no="x")).field == "account_no"
    assert refused(state, row("cars", "2026-01-01")).field == "file"
    other = refused(state, account(no=MILL))
    assert other == Refusal("account_no", f"{MILL} is not {ANNA}, to which the row was sent")
    assert refused(state, replace(account(), natural_key="?")) == Refusal(
        "natural_key", f"is ?, the row's own is {ANNA}"
    )


# -- parents and ends ------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [agreement(), transformer(no=ANNA), point()])
def test_terms_need_their_account(given: Row) -> None:
    verdict = refused(Account(), given)
    assert verdict == Refusal(
        "account_no", f"account {ANNA} is not known; give its row in accounts.csv"
    )
    late = known([account("2026-02-01")])
    assert refused(late, given).field == "valid_from"
    assert "which is known from 2026-02-01 on" in refused(late, given).problem


def test_an_account_cannot_begin_after_what_it_has() -> None:
    state = known(household())
    verdict = refused(state, account("2026-02-01", "correction", valid_from_was="2026-01-01"))
    assert verdict.field == "valid_from"
    assert "2026-02-01 is after 1000000001, which is valid from 2026-01-01" in verdict.problem


def test_happenings_need_their_point_and_their_meters() -> None:
    state = known([account(), agreement(), meter()])
    assert refused(state, installation()).field == "usage_point"
    assert refused(state, exchange()).field == "usage_point"
    state = known([account(), agreement(), point()])
    assert refused(state, installation()) == Refusal(
        "meter_no", "meter M1 is not known; give its row in meters.csv"
    )
    assert refused(known(household()), exchange()) == Refusal(
        "new_meter_no", "meter M2 is not known; give its row in meters.csv"
    )


def test_relations_need_their_points() -> None:
    state = known(household())
    deducted = relation(usage_point="P2", relation="deducted", parent_point="P1")
    assert refused(state, deducted).field == "usage_point"
    upside_down = relation(usage_point="P1", relation="deducted", parent_point="P2")
    assert refused(state, upside_down).field == "parent_point"
    state = known([point("2026-02-01", name="P2")], state=state)
    assert refused(state, deducted) == Refusal(
        "valid_from", "P2 is known from 2026-02-01 on; correct the day of one of them"
    )
    from_february = relation("2026-02-01", usage_point="P2", relation="deducted", parent_point="P1")
    state = known([from_february], state=state)
    known([point("2026-03-01", "change", name="P2")], state=state)
    later = point("2026-02-05", "correction", name="P2", valid_from_was="2026-02-01")
    assert "its relation is valid from 2026-02-01" in refused(state, later).problem


def test_a_point_is_not_part_of_itself() -> None:
    state = known([*household(), point(name="P2"), point(name="P3")])
    state = known(
        [
            relation(usage_point="P2", relation="deducted", parent_point="P1"),
            relation("2026-03-01", usage_point="P3", relation="deducted", parent_point="P2"),
        ],
        state=state,
    )
    circle = relation(usage_point="P1", relation="deducted", parent_point="P3")
    verdict = refused(state, circle)
    assert verdict == Refusal(
        "parent_point",
        "from 2026-03-01 on P1 of P3 of P2 of P1; a point cannot be part of itself",
    )


def test_a_moved_day_must_not_leave_a_circle_before_it() -> None:
    state = known([*household(), point(name="P2")])
    state = known([relation(usage_point="P1", relation="deducted", parent_point="P2")], state=state)
    state = known(
        [
            relation("2026-02-01", "change", usage_point="P1", relation="main"),
            relation("2026-02-01", usage_point="P2", relation="deducted", parent_point="P1"),
        ],
        state=state,
    )
    later = row(
        "point_relations",
        "2026-03-01",
        "correction",
        valid_from_was="2026-02-01",
        account_no=ANNA,
        usage_point="P1",
        relation="main",
    )
    assert refused(state, later) == Refusal(
        "parent_point", "from 2026-02-01 on P1 of P2 of P1; a point cannot be part of itself"
    )


def test_nothing_begins_after_moving_out() -> None:
    gone = account("2026-03-01", "change", moved_out_on="2026-03-16")
    state = known([*household(), meter("M2"), gone])
    assert closed_on(state) == "2026-03-16"
    for given in (agreement("2026-03-16", "change", price_list="x"), exchange("2026-03-16")):
        verdict = refused(state, given)
        assert verdict.field == "valid_from"
        assert "the customer moved out on 2026-03-16" in verdict.problem
    known([exchange("2026-03-15")], state=state)
    back = account("2026-06-01", "change")
    assert "moved out on 2026-03-16" in refused(state, back).problem
    # A correction may still put the day off; what is known already stays known.
    known([account("2026-03-01", "correction", moved_out_on="2026-04-01")], state=state)
    assert judge_row(state, ANNA, agreement()) is None


def test_nothing_happens_at_a_point_that_went_from_the_account() -> None:
    state = known([account(), agreement(), meter(), point(valid_to="2026-03-16"), installation()])
    verdict = refused(state, removal("2026-03-20"))
    assert verdict.field == "valid_from"
    assert "P1 went from the account on 2026-03-16" in verdict.problem
    again = point("2026-06-01", "change")
    assert "the row from 2026-01-01 ends on 2026-03-16" in refused(state, again).problem


# -- contradictions --------------------------------------------------------------------------------


def test_a_point_has_one_meter_at_a_time() -> None:
    state = known([*household(), meter("M2")])
    assert refused(state, installation("2025-09-01", name="M2")) == Refusal(
        "meter_no",
        "P1 has meter M1 since 2025-05-31T16:00:00Z; give a row in exchanges.csv instead",
    )
    wrong = refused(state, exchange(old_meter_no="M2", new_meter_no="M1"))
    assert wrong.field == "old_meter_no"
    assert "P1 has meter M1 at 2026-02-10T02:30:00Z" in wrong.problem
    state = known([removal("2026-02-01")], state=state)
    assert "P1 has no meter" in refused(state, exchange("2026-02-10")).problem
    known([installation("2026-02-10", name="M2")], state=state)


def test_a_meter_is_at_one_point_at_a_time() -> None:
    state = known([*household(), point(name="P2")])
    verdict = refused(state, installation("2026-02-01", at="P2"))
    assert verdict == Refusal(
        "meter_no",
        "M1 is at P1 until further notice; take it away there before 2026-01-31T16:00:00Z, when it "
        "is to be at P2",
    )
    state = known([removal("2026-01-20"), installation("2026-02-01", at="P2")], state=state)
    # Correcting the day on which it was taken away must not make it be at both.
    too_late = row(
        "exchanges",
        "2026-02-03",
        "correction",
        valid_from_was="2026-01-20",
        **removal("2026-02-03").values,
    )
    verdict = refused(state, too_late)
    assert verdict.field == "old_meter_no"
    assert "M1 is at P1 until 2026-02-03T02:30:00Z" in verdict.problem


def test_an_exchange_gives_every_register_at_both_ends() -> None:
    registers = "1-0:1.8.0;1-0:1.8.2;1-0:1.6.0"
    state = known(
        [account(), agreement(), point(registers=registers), meter(), installation(), meter("M2")]
    )
    verdict = refused(state, exchange())
    assert verdict == Refusal(
        "old_final",
        "1-0:1.8.2 is missing, which is read at P1; give a value for every register of the point",
    )
    full = "1-0:1.8.0=500.5;1-0:1.8.2=300"
    assert refused(state, exchange(old_final=full)).field == "new_initial"
    known([exchange(old_final=full, new_initial="1-0:1.8.0=0;1-0:1.8.2=0")], state=state)
    known([removal("2026-02-10", old_final=full)], state=state)


def test_registers_of_an_installation_are_all_or_none() -> None:
    both = point(registers="1-0:1.8.0;1-0:1.8.2")
    state = known([account(), agreement(), both, meter()])
    half = installation("2026-02-01", initial="1-0:1.8.0=0")
    assert refused(state, half).field == "initial"
    known([installation("2026-02-01")], state=state)
    # Before the account had the point nothing is counted, so nothing must be given.
    known([installation("2025-02-01", initial="1-0:1.8.0=0")], state=state)


def test_values_fit_on_the_dial() -> None:
    state = known([account(), agreement(), point(), meter(digits="4"), meter("M2")])
    verdict = refused(state, installation(initial="1-0:1.8.0=10000"))
    assert verdict == Refusal(
        "initial",
        "1-0:1.8.0 has more than the 4 digits of M1; correct the value, or digits in meters.csv",
    )
    state = known([installation(initial="1-0:1.8.0=9999.99")], state=state)
    assert refused(state, exchange(old_final="1-0:1.8.0=12345")).field == "old_final"
    wide = known([exchange(new_initial="1-0:1.8.0=12345")], state=state)
    verdict = refused(wide, meter("M2", kind="correction", digits="4"))
    assert "has more than the 4 digits of M2" in verdict.problem


def test_a_new_meter_has_its_own_address() -> None:
    state = known([*household(), meter("M2")])
    assert refused(state, exchange(address="")) == Refusal(
        "address", "is missing; protocol dlt645_2007 needs it"
    )
    known([exchange(address="", protocol="manual")], state=state)
    manual = [account(), agreement(), point(), meter(), meter("M2")]
    by_hand = installation(protocol="manual", line="", address="")
    state = known([*manual, by_hand])
    assert refused(state, exchange(protocol="dlt645_2007")).field == "line"


def test_a_ratio_is_the_one_that_was_installed() -> None:
    state = known([*household(), meter("M2")])
    assert refused(state, exchange(old_ratio="40")) == Refusal(
        "old_ratio", "is 40; M1 was installed with ratio 1; correct the one that is wrong"
    )


# -- several rows ----------------------------------------------------------------------------------


def test_rows_are_taken_in_any_order() -> None:
    rows = [*household(), meter("M2"), exchange(), agreement("2026-04-01", "change", region="x")]
    state = judge_rows(Account(), ANNA, rows).state
    assert judge_rows(Account(), ANNA, rows[::-1]).state == state
    assert judge_rows(state, ANNA, rows).taken == ()


def test_good_rows_are_taken_and_what_depends_on_a_bad_one_is_named() -> None:
    rows = [*household(), replace(meter(), values={**meter().values, "digits": "99"})]
    rows = [each for each in rows if each != meter()]
    judged = judge_rows(Account(), ANNA, rows)
    assert [each.file for each in judged.taken] == ["accounts", "agreements", "points"]
    assert [(each.file, why.field) for each, why in judged.refused] == [
        ("meters", "digits"),
        ("installations", "meter_no"),
    ]


def test_two_corrections_that_go_in_one_order_only() -> None:
    """The stay at P1 can end later only when the one at P2 begins later; files come P1 first."""
    state = known([*household(), point(name="P2"), removal("2026-01-20")])
    state = known([installation("2026-02-01", at="P2")], state=state)
    later_end = row(
        "exchanges",
        "2026-02-03",
        "correction",
        valid_from_was="2026-01-20",
        **removal("2026-02-03").values,
    )
    later_start = row(
        "installations",
        "2026-02-05",
        "correction",
        valid_from_was="2026-02-01",
        **installation("2026-02-05", at="P2").values,
    )
    for rows in ([later_end, later_start], [later_start, later_end]):
        judged = judge_rows(state, ANNA, rows)
        assert judged.refused == ()
        assert days(judged.state, "exchanges") == ["2026-02-03"]


def test_a_wrong_ratio_is_corrected_in_both_rows_together() -> None:
    state = known([*household(), meter("M2"), exchange(new_ratio="1")])
    installed = installation(kind="correction", ratio="40")
    ended = exchange(kind="correction", old_ratio="40")
    assert refused(state, installed).field == "old_ratio"
    assert refused(state, ended).field == "old_ratio"
    judged = judge_rows(state, ANNA, [installed, ended])
    assert judged.refused == ()
    assert len(judged.taken) == 2
    assert judged.state.installations[0].ratio == "40"
    assert judge_rows(judged.state, ANNA, [installed, ended]).taken == ()


def test_rows_that_contradict_together_are_all_refused() -> None:
    state = known([*household(), meter("M2"), exchange()])
    installed = installation(kind="correction", ratio="40")
    ended = exchange(kind="correction", old_ratio="50")
    judged = judge_rows(state, ANNA, [installed, ended, row("exchanges", "2026-01-01")])
    assert judged.taken == ()
    assert len(judged.refused) == 3
    unreadable = row("exchanges", "2026-03-01", usage_point="P1")
    judged = judge_rows(state, ANNA, [installed, ended, unreadable])
    assert judged.taken == ()
