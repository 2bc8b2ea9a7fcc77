"""What follows from imports, opening positions and days."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from libs.events.core import Item
from services.customers.decide import AGREEMENTS, METERS, SUPPLY, decide
from services.customers.events import (
    AccountOpened,
    OpeningHold,
    OpeningReceivable,
    OpeningRejected,
    OpeningTaken,
    PublicationNoted,
    RowRejected,
    RowTaken,
)
from services.customers.state import due, evolve
from tests.unit.customers.samples import (
    ANNA,
    JANUARY_5,
    MILL,
    Desk,
    account,
    agreement,
    exchange,
    household,
    installation,
    meter,
    on_topic,
    opening,
    point,
    types,
)


def open_desk() -> Desk:
    """A desk on 5 January that knows a household."""
    desk = Desk()
    desk.tick(JANUARY_5)
    desk.rows(household())
    desk.written.clear()
    return desk


# -- imports ---------------------------------------------------------------------------------------


def test_an_import_is_taken_and_published() -> None:
    desk = Desk()
    desk.tick(JANUARY_5)
    emits = desk.rows(household())
    assert types(emits) == [
        *["RowTaken"] * 5,
        "PublicationNoted",
        "AgreementPublished",
        "SupplyPublished",
        "MeterPublished",
    ]
    assert emits[0].body == RowTaken(row=account(), import_id="import-1")
    assert emits[5].body == PublicationNoted(
        account_no=ANNA,
        day_on="2026-01-05",
        agreement_version=1,
        supply_versions={"P1": 202601010001},
        meter_versions={"M1": 202601010001},
    )
    assert [(emit.topic, emit.key) for emit in emits[6:]] == [
        (AGREEMENTS, ANNA),
        (SUPPLY, "P1"),
        (METERS, "M1"),
    ]
    (supply,) = on_topic(emits, SUPPLY)
    assert (supply.version, supply.agreement_version) == (202601010001, 1)


def test_the_same_import_again_is_silent() -> None:
    desk = open_desk()
    before = desk.states[ANNA]
    assert desk.rows(household()) == []
    assert desk.states[ANNA] is before


def test_good_rows_are_taken_and_bad_ones_rejected_by_column() -> None:
    desk = open_desk()
    bad = agreement(payment_mode="prepaid_remote")
    emits = desk.rows([account("2026-02-01", "change", household_size="5"), bad])
    assert types(emits)[:2] == ["RowTaken", "RowRejected"]
    rejected = emits[1].body
    assert isinstance(rejected, RowRejected)
    assert (rejected.row, rejected.import_id, rejected.field) == (bad, "import-1", "kind")
    assert "state correction, or change" in rejected.problem


def test_an_import_of_bad_rows_publishes_nothing() -> None:
    desk = open_desk()
    emits = desk.rows([agreement(payment_mode="prepaid_remote")])
    assert types(emits) == ["RowRejected"]
    assert desk.core.catalogue.type_of(emits[0].body).name == "customers.row_rejected"


def test_only_what_changed_is_published() -> None:
    desk = open_desk()
    emits = desk.rows([meter("M1", kind="correction", verified_on="2024-05-20")])
    assert types(emits) == ["RowTaken", "PublicationNoted", "MeterPublished"]
    (published,) = on_topic(emits, METERS)
    assert (published.version, published.verified_on) == (202601010002, "2024-05-20")
    noted = emits[1].body
    assert (noted.agreement_version, noted.supply_versions) == (1, {})
    # The agreement's version is part of the supply, which a switching command names.
    emits = desk.rows([agreement("2026-02-01", "change", payment_mode="prepaid_remote")])
    assert types(emits) == [
        "RowTaken",
        "PublicationNoted",
        "AgreementPublished",
        "SupplyPublished",
    ]
    (supply,) = on_topic(emits, SUPPLY)
    assert (supply.version, supply.agreement_version) == (202601010002, 2)


def test_a_row_that_changes_nothing_published_is_taken_alone() -> None:
    desk = open_desk()
    again = desk.rows([account("2026-02-01", "change")])
    assert types(again) == ["RowTaken"]
    unused = desk.rows([meter("M9")])
    assert types(unused) == ["RowTaken"]


def test_an_exchange_publishes_both_meters() -> None:
    desk = open_desk()
    desk.tick("2026-02-10T04:00:00Z")
    emits = desk.rows([meter("M2"), exchange()])
    assert [each.meter_no for each in on_topic(emits, METERS)] == ["M1", "M2"]
    (supply,) = on_topic(emits, SUPPLY)
    assert [each.meter_no for each in supply.installations] == ["M1", "M2"]
    (agreed,) = on_topic(emits, AGREEMENTS)
    assert agreed.switch_points[0].meter_no == "M2"


def test_a_meter_that_lost_its_use_is_published_without() -> None:
    desk = open_desk()
    # It was never M1 but M2 that was installed.
    emits = desk.rows([meter("M2"), installation(kind="correction", name="M2")])
    first, second = on_topic(emits, METERS)
    assert (first.meter_no, first.uses, first.account_no) == ("M1", (), ANNA)
    assert first.version == 202601010002
    assert [use.usage_point for use in second.uses] == ["P1"]


def test_the_next_account_has_the_higher_versions() -> None:
    """In whichever order the two are heard, the one who is there now wins."""
    desk = open_desk()
    desk.tick("2026-03-20T00:00:00Z")
    moves_in = [
        account("2026-03-16", no=MILL),
        agreement("2026-03-16", no=MILL),
        point("2026-03-16", no=MILL),
        meter(),
        installation(),
    ]
    (after,) = on_topic(desk.rows(moves_in, MILL), SUPPLY)
    gone = [account("2026-03-16", "change", moved_out_on="2026-03-16")]
    (before,) = on_topic(desk.rows(gone), SUPPLY)
    assert (before.account_no, before.supplied_to_on) == (ANNA, "2026-03-15")
    assert (after.account_no, after.supplied_from_on) == (MILL, "2026-03-16")
    assert after.version == 202603160001 > before.version == 202601010002
    published = [emit.body for emit in desk.written if emit.topic == METERS]
    assert [(each.account_no, each.uses[0].from_at, each.uses[0].to_at) for each in published] == [
        (MILL, "2026-03-15T16:00:00Z", ""),
        (ANNA, "2025-12-31T16:00:00Z", "2026-03-15T16:00:00Z"),
    ]


# -- days ------------------------------------------------------------------------------------------


def test_supply_is_published_on_the_first_day_supplied() -> None:
    desk = Desk()
    desk.tick(JANUARY_5)
    later = [account("2026-03-16"), agreement("2026-03-16"), point("2026-03-16"), meter()]
    emits = desk.rows([*later, installation()])
    assert types(emits)[5:] == ["PublicationNoted", "AgreementPublished"]
    assert due(desk.states[ANNA]) == "2026-03-15T16:00:00Z"
    assert desk.tick("2026-03-15T15:59:00Z") == []
    emits = desk.tick("2026-03-15T16:00:00Z")
    assert types(emits) == ["PublicationNoted", "SupplyPublished", "MeterPublished"]
    assert emits[0].body.day_on == "2026-03-16"
    assert due(desk.states[ANNA]) == ""


def test_a_later_row_is_published_on_its_day() -> None:
    desk = open_desk()
    emits = desk.rows([point("2026-02-01", "change", area="A2"), meter("M2"), exchange()])
    assert [each.area for each in on_topic(emits, SUPPLY)] == ["A1"]
    assert due(desk.states[ANNA]) == "2026-01-31T16:00:00Z"
    emits = desk.tick("2026-01-31T16:00:00Z")
    assert types(emits) == ["PublicationNoted", "AgreementPublished", "SupplyPublished"]
    assert on_topic(emits, SUPPLY)[0].area == "A2"
    assert on_topic(emits, AGREEMENTS)[0].switch_points[0].area == "A2"
    assert due(desk.states[ANNA]) == "2026-02-09T16:00:00Z"
    emits = desk.tick("2026-02-20T00:00:00Z")
    (agreed,) = on_topic(emits, AGREEMENTS)
    assert agreed.switch_points[0].meter_no == "M2"
    assert [each.meter_no for each in on_topic(emits, METERS)] == ["M2"]
    assert due(desk.states[ANNA]) == ""


def test_days_passed_at_once_are_caught_up_with() -> None:
    """One jump over all days ends with the same facts as a tick for each."""
    ends = []
    for ticks in (
        ["2026-06-01T00:00:00Z"],
        [f"2026-{month:02d}-15T00:00:00Z" for month in (2, 3, 4, 5, 6)],
    ):
        desk = open_desk()
        desk.rows([point("2026-02-01", "change", area="A2"), meter("M2"), exchange()])
        desk.rows([point("2026-05-01", "change", area="A3")])
        for at in ticks:
            desk.tick(at)
        last = [emit.body for emit in desk.written if emit.topic == SUPPLY][-1]
        ends.append(replace(last, version=0, agreement_version=0))
    assert ends[0] == ends[1]
    assert ends[0].area == "A3"


def test_a_day_that_brings_nothing_new_is_noted_once() -> None:
    desk = open_desk()
    desk.rows([point("2026-02-01", "change")])
    emits = desk.tick("2026-02-02T00:00:00Z")
    assert types(emits) == ["PublicationNoted"]
    assert desk.tick("2026-02-02T00:01:00Z") == []


def test_before_the_first_tick_everything_waits_for_its_day() -> None:
    desk = Desk()
    emits = desk.rows(household())
    assert types(emits)[5:] == ["PublicationNoted", "AgreementPublished"]
    assert on_topic(emits, AGREEMENTS)[0].switch_points == ()
    emits = desk.tick(JANUARY_5)
    assert types(emits) == [
        "PublicationNoted",
        "AgreementPublished",
        "SupplyPublished",
        "MeterPublished",
    ]


# -- opening positions -----------------------------------------------------------------------------


def test_an_opening_position_is_taken_once() -> None:
    desk = open_desk()
    emits = desk.take(ANNA, opening())
    assert emits[0].body == OpeningTaken(opening=opening())
    assert emits[1].body == AccountOpened(opening=opening())
    assert (emits[1].topic, emits[1].key) == (AGREEMENTS, ANNA)
    assert desk.take(ANNA, opening()) == []
    # The same position from another file, by another person.
    assert desk.take(ANNA, opening(opening_id="opening-2", submitted_by="li")) == []
    (rejected,) = desk.take(ANNA, opening(tier_year_to_date_wh=5))
    assert rejected.body == OpeningRejected(
        opening_id="opening-1",
        account_no=ANNA,
        problem="account_no: the account is open already; book what changed since as it happened",
    )


def test_an_unknown_account_is_not_opened() -> None:
    desk = Desk()
    (rejected,) = desk.take(ANNA, opening())
    assert rejected.body.problem == f"account_no: {ANNA} is not known; import it first"
    desk.rows(household())
    assert types(desk.take(ANNA, opening())) == ["OpeningTaken", "AccountOpened"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"account_no": MILL}, f"account_no: {MILL} was sent to {ANNA}"),
        ({"control_total_fen": 12_301}, "receivables less prepayment are 12300 (difference -1)"),
        (
            {"holds": (OpeningHold(usage_point="P9", reason="works", since_on="2025-12-01"),)},
            "usage_point: P9 is not known to the account; import it first",
        ),
        (
            {"prepayment_fen": -45, "control_total_fen": 12_390},
            "amounts: must not be negative",
        ),
        ({"tier_year_to_date_wh": -1}, "amounts: must not be negative"),
        (
            {
                "receivables": (
                    OpeningReceivable(
                        invoice_no="OLD-1",
                        amount_fen=0,
                        issued_on="2025-12-05",
                        due_on="2025-12-25",
                    ),
                ),
                "control_total_fen": -45,
            },
            "nor a receivable zero ['OLD-1']",
        ),
        (
            {"receivables": opening().receivables * 2, "control_total_fen": 24_645},
            "invoice_no: OLD-1 is there twice",
        ),
        ({"readings": opening().readings * 2}, "register: P1 1-0:1.8.0 is there twice"),
        ({"holds": opening().holds * 2}, "hold: P1 arrears is there twice"),
    ],
)
def test_a_position_that_does_not_hold_is_rejected(changes: dict[str, Any], problem: str) -> None:
    desk = open_desk()
    (rejected,) = desk.take(ANNA, opening(**changes))
    assert isinstance(rejected.body, OpeningRejected)
    assert problem in rejected.body.problem
    assert types(desk.take(ANNA, opening())) == ["OpeningTaken", "AccountOpened"]


# -- the rest --------------------------------------------------------------------------------------


def test_rejections_change_no_state() -> None:
    state = open_desk().states[ANNA]
    rejected = OpeningRejected(opening_id="o", account_no=ANNA, problem="p")
    assert evolve(state, rejected) is state
    assert evolve(None, rejected) is None


def test_an_input_of_another_kind_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        decide(Desk(), ANNA, Item("input", 0, ANNA, "", object(), JANUARY_5))
