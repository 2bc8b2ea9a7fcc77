"""A person's edits of a day before the core; all values worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.validation.edit_events import (
    EditDecided,
    EditDecisionRejected,
    EditEntry,
    EditHeld,
    EditOverruled,
    EditRefused,
    EditRejected,
    EditRequested,
    EditTaken,
)
from services.validation.edit_rules import EditRules
from services.validation.edit_state import WAITING_MOST
from services.validation.events import EstimateSuperseded, UsageEstablished
from services.validation.policy import DEFAULT_POLICY
from tests.unit.validation.desk import (
    POINT,
    Desk,
    names,
    only,
    opened,
    reading,
)
from tests.unit.validation.samples import IMPORT, at, day_on

ALWAYS_TWO = replace(DEFAULT_POLICY, edits=EditRules(second_person="always"))


def request(day: int, value: int, based_on: int = 1, **changes: Any) -> EditRequested:
    """Li edits a day so many days after the first of January."""
    values: dict[str, Any] = {
        "edit_id": f"{POINT}/{day_on(day)}/edit/{value}",
        "usage_point": POINT,
        "day_on": day_on(day),
        "based_on": based_on,
        "after": {IMPORT: value},
        "reason_code": "bad_estimate",
        "reason": "the tenant moved in on this day",
        "person": "li",
        "role": "editor",
        "requested_at": "2026-11-01T00:00:00Z",
        **changes,
    }
    return EditRequested(**values)


def decision(edit: EditRequested, word: str = "approved", **changes: Any) -> EditDecided:
    """Zhao decides about an edit."""
    values: dict[str, Any] = {
        "edit_id": edit.edit_id,
        "usage_point": POINT,
        "decision": word,
        "reason": "seen on site",
        "person": "zhao",
        "role": "approver",
        "requested_at": "2026-11-02T00:00:00Z",
        **changes,
    }
    return EditDecided(**values)


def with_gap(last: int = 4) -> Desk:
    """10,000 Wh on each of the first two days; the next ones are split over a later reading."""
    desk = opened()
    for day, value in ((0, 10_000), (1, 20_000), (last, 20_000 + 10_000 * (last - 1))):
        desk.take(reading(day, value))
    return desk


def settled() -> Desk:
    """Three days that were read and are settled."""
    desk = opened()
    for day in range(3):
        desk.take(reading(day, 10_000 * (day + 1)))
    return desk


def why(own: list[Any]) -> tuple[str, str, str]:
    """Field, problem and fix of the one rejection."""
    found = own[0]
    assert len(own) == 1
    assert isinstance(found, EditRejected | EditDecisionRejected), own
    return found.field, found.problem, found.fix


def test_an_edited_day_stands_and_the_others_share_the_rest() -> None:
    desk = with_gap()
    own = desk.take(request(2, 16_000))
    assert own[0] == EditTaken(
        edit_id="P1/2026-01-03/edit/16000",
        usage_point=POINT,
        day_on="2026-01-03",
        reason_code="bad_estimate",
        reason="the tenant moved in on this day",
        edited_by="li",
        edited_at=at(400),
        approved_by="",
        approved_at="",
        was_final=False,
        outranks_register=False,
        energy={IMPORT: 16_000},
        entries=(
            EditEntry(
                register=IMPORT,
                version_before=1,
                version_after=2,
                energy_before=10_000,
                energy_after=16_000,
                quality_before="estimated",
                quality_after="edited",
            ),
        ),
    )
    assert only(own, EstimateSuperseded).days_on == (day_on(2), day_on(3), day_on(4))
    assert [desk.energy()[day_on(day)] for day in (2, 3, 4)] == [16_000, 7_000, 7_000]
    assert [desk.quality()[day_on(day)] for day in (2, 3, 4)] == [
        "edited",
        "estimated",
        "estimated",
    ]
    edited = desk.usage()[day_on(2)]
    assert (edited.revision, edited.method) == (2, "edit P1/2026-01-03/edit/16000")
    assert edited.change == {IMPORT: 6_000}
    assert desk.summed() == desk.energy()


def test_the_same_edit_again_is_silent() -> None:
    desk = with_gap()
    desk.take(request(2, 16_000))
    assert desk.take(request(2, 16_000)) == []


def test_an_edit_of_what_stands_no_more_is_rejected() -> None:
    desk = with_gap()
    desk.take(request(2, 16_000))
    stood = dict(desk.usage())
    own = desk.take(request(3, 9_000))
    assert why(own) == (
        "based_on",
        "is 1, the day has revision 2",
        "look at it again, then edit",
    )
    assert own[0].person == "li"
    assert desk.usage() == stood
    assert names(desk.take(request(3, 9_000, 2)))[0] == "EditTaken"
    assert [desk.energy()[day_on(day)] for day in (2, 3, 4)] == [16_000, 9_000, 5_000]


def test_a_late_reading_leaves_the_edit_and_moves_the_others() -> None:
    desk = with_gap()
    desk.take(request(2, 16_000))
    desk.take(reading(3, 43_000))  # 23,000 over two days, one of them edited
    assert [desk.energy()[day_on(day)] for day in (2, 3, 4)] == [16_000, 7_000, 7_000]
    assert desk.quality()[day_on(4)] == "actual"
    assert desk.summed() == desk.energy()


@pytest.mark.parametrize(("late", "stands"), [(36_000, True), (30_000, False)])
def test_a_register_of_the_edited_day_itself_confirms_or_overrules_it(
    late: int, stands: bool
) -> None:
    desk = with_gap()
    edit = request(2, 16_000)
    desk.take(edit)
    own = desk.take(reading(2, late))
    told = [event for event in own if isinstance(event, EditOverruled)]
    assert [found.because for found in told] == ([] if stands else ["r2"])
    expected = ("edited", 16_000) if stands else ("actual", 10_000)
    assert (desk.quality()[day_on(2)], desk.energy()[day_on(2)]) == expected
    assert desk.summed() == desk.energy()
    assert sum(desk.energy().values()) == 50_000


def test_an_edit_that_says_the_register_is_wrong_holds_against_it() -> None:
    desk = with_gap()
    desk.take(request(2, 35_000, reason_code="meter_fault"))
    assert [desk.energy()[day_on(day)] for day in (2, 3, 4)] == [35_000, 0, 0]
    own = desk.take(reading(2, 30_000))
    assert not any(isinstance(event, EditOverruled) for event in own)
    assert [desk.energy()[day_on(day)] for day in (2, 3, 4)] == [35_000, 10_000, 10_000]
    assert desk.quality()[day_on(2)] == "edited"
    assert desk.summed() == desk.energy()


def test_an_overruled_edit_stands_again_when_the_register_fits_it() -> None:
    """Two edits that leave day 4 less than nothing once day 3 is closed; then day 2 is read."""
    desk = with_gap(6)
    desk.take(request(2, 16_000))
    desk.take(request(3, 8_000, 2))
    own = desk.take(reading(3, 46_000))  # 26,000, edited 24,000
    assert {found.day_on for found in own if isinstance(found, EditOverruled)} == {
        day_on(2),
        day_on(3),
    }
    desk.take(reading(2, 36_000))  # 16,000 as edited, so day 3 had 10,000
    assert [desk.energy()[day_on(day)] for day in (2, 3)] == [16_000, 10_000]
    assert [desk.quality()[day_on(day)] for day in (2, 3)] == ["edited", "actual"]
    assert desk.summed() == desk.energy()


@pytest.mark.parametrize("value", [30_001, 400_000])
def test_an_edit_must_leave_the_other_days_something(value: int) -> None:
    desk = with_gap()
    field, problem, fix = why(desk.take(request(2, value)))
    assert field == "after"
    if value > 288_000:
        assert problem == "1-0:1.8.0: 400000 is more than the connection can carry"
        assert fix == "give at most 288000"
    else:
        assert problem == "contradicts what the register moved by on 2026-01-03 to 2026-01-05"
        assert fix == (
            "give what it leaves, or a reason that says it is wrong: "
            "meter_fault, tampering, wrong_register"
        )
    assert names(desk.take(request(2, 30_000)))[0] == "EditTaken"
    assert [desk.energy()[day_on(day)] for day in (2, 3, 4)] == [30_000, 0, 0]


def test_an_estimate_behind_the_last_reading_is_edited_by_itself() -> None:
    desk = settled()
    desk.tick(at(5, 8))
    assert desk.quality()[day_on(4)] == "estimated"
    own = desk.take(request(3, 4_000))
    assert names(own) == ["EditTaken", "UsageEstablished"]
    edited = only(own, UsageEstablished)
    assert (edited.energy, edited.quality, edited.readings) == (
        {IMPORT: 4_000},
        "edited",
        ("P1/2026-01-04/edit/4000",),
    )
    desk.take(reading(4, 50_000))
    assert [desk.energy()[day_on(day)] for day in (3, 4)] == [4_000, 16_000]
    assert desk.summed() == desk.energy()


# -- the second person ----------------------------------------------------------------------------


def test_a_settled_day_needs_a_second_person() -> None:
    desk = settled()
    edit = request(1, 14_000, reason_code="meter_fault")
    own = desk.take(edit)
    assert own == [EditHeld(usage_point=POINT, edit=edit, held_at=at(400), because="settled")]
    assert desk.take(edit) == [], "it waits already"
    assert desk.energy()[day_on(1)] == 10_000
    desk.as_of = at(401)
    own = desk.take(decision(edit))
    taken = only(own, EditTaken)
    assert (taken.edited_by, taken.edited_at) == ("li", at(400))
    assert (taken.approved_by, taken.approved_at, taken.was_final) == ("zhao", at(401), True)
    edited = desk.usage()[day_on(1)]
    assert (edited.energy, edited.revision, edited.quality) == ({IMPORT: 14_000}, 2, "edited")
    assert (edited.meter_no, edited.account_no) == ("M1", "A1")
    assert desk.summed() == desk.energy()
    assert desk.point.edits.waiting == ()
    assert why(desk.take(decision(edit)))[0] == "edit_id"


def test_a_settled_day_is_edited_again_only_for_a_reason_against_the_register() -> None:
    desk = settled()
    first = request(1, 14_000, reason_code="meter_fault")
    desk.take(first)
    desk.take(decision(first))
    assert why(desk.take(request(1, 13_000, 2)))[0] == "after", "the register says something else"
    assert desk.take(replace(first, based_on=2)) == [], "it stands"
    second = request(1, 13_000, 2, reason_code="tampering")
    assert only(desk.take(second), EditHeld).because == "settled"
    desk.take(decision(second))
    assert desk.usage()[day_on(1)].revision == 3
    assert desk.summed()[day_on(1)] == 13_000
    desk.take(reading(3, 40_000))
    assert desk.point.edits.settled[day_on(1)].energy == {IMPORT: 13_000}


def test_a_measured_value_may_be_signed_by_two_people() -> None:
    desk = settled()
    edit = request(1, 10_000)
    assert names(desk.take(edit)) == ["EditHeld"]
    desk.take(decision(edit))
    assert (desk.quality()[day_on(1)], desk.summed()[day_on(1)]) == ("edited", 10_000)


def test_nobody_approves_their_own_edit_however_they_write_their_name() -> None:
    desk = settled()
    edit = request(1, 14_000, reason_code="meter_fault", role="approver")
    desk.take(edit)
    assert why(desk.take(decision(edit, person=" LI"))) == (
        "person",
        "is  LI, who edits",
        "have another person approve",
    )
    assert why(desk.take(decision(edit, person=" "))) == ("person", "is empty", "say who decides")
    assert why(desk.take(decision(edit, role="editor"))) == (
        "role",
        "'editor' may not do this",
        "be one of approver",
    )
    assert why(desk.take(decision(edit, "maybe")))[0] == "decision"
    assert desk.point.edits.waiting[0].edit == edit, "it still waits"
    assert desk.energy()[day_on(1)] == 10_000


@pytest.mark.parametrize(("person", "role"), [("zhao", "approver"), ("li", "editor")])
def test_a_refused_edit_changes_nothing_and_its_author_may_take_it_back(
    person: str, role: str
) -> None:
    desk = settled()
    stood = dict(desk.usage())
    edit = request(1, 14_000, reason_code="meter_fault")
    desk.take(edit)
    own = desk.take(decision(edit, "refused", person=person, role=role))
    assert own == [
        EditRefused(
            edit_id=edit.edit_id,
            usage_point=POINT,
            day_on=day_on(1),
            refused_by=person,
            reason="seen on site",
        )
    ]
    assert desk.usage() == stood
    assert desk.point.edits.waiting == ()


def test_an_edit_that_waited_while_the_day_changed_is_rejected() -> None:
    desk = with_gap()
    desk.policy = ALWAYS_TWO
    edit = request(2, 16_000)
    assert only(desk.take(edit), EditHeld).because == "always"
    desk.take(reading(2, 31_000))
    field, problem, _ = why(desk.take(decision(edit)))
    assert (field, problem) == ("based_on", "is 1, the day has revision 2")
    assert desk.point.edits.waiting == ()
    assert desk.energy()[day_on(2)] == 11_000


def test_what_two_people_edited_needs_two_again() -> None:
    desk = with_gap()
    desk.policy = ALWAYS_TWO
    edit = request(2, 16_000)
    desk.take(edit)
    desk.take(decision(edit))
    assert desk.energy()[day_on(2)] == 16_000
    desk.policy = DEFAULT_POLICY
    again = request(2, 17_000, 2)
    assert only(desk.take(again), EditHeld).because == "approved"
    desk.take(decision(again))
    assert [desk.energy()[day_on(day)] for day in (2, 3, 4)] == [17_000, 6_500, 6_500]


def test_one_edit_of_a_day_waits_and_not_too_many_at_a_point() -> None:
    desk = opened()
    for day in range(WAITING_MOST + 2):
        desk.take(reading(day, 10_000 * (day + 1)))
    first = request(0, 9_000, reason_code="meter_fault")
    desk.take(first)
    own = desk.take(request(0, 8_000, reason_code="meter_fault"))
    assert why(own)[:2] == ("edit_id", f"{first.edit_id} waits")
    for day in range(1, WAITING_MOST):
        desk.take(request(day, 9_000, reason_code="meter_fault"))
    own = desk.take(request(WAITING_MOST, 9_000, reason_code="meter_fault"))
    assert why(own)[:2] == ("edit_id", "8 edits wait at this point")


# -- what is wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"role": "viewer"}, "role"),
        ({"person": " "}, "edited_by"),
        ({"reason": " "}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"reason_code": "mood"}, "reason_code"),
        ({"after": {}}, "after"),
        ({"after": {"1-0:2.8.0": 1}}, "after"),
        ({"after": {IMPORT: -1}}, "after_wh"),
        ({"day_on": "yesterday"}, "day_on"),
        ({"day_on": "2026-02-30"}, "day_on"),
        ({"day_on": "2025-12-01"}, "day_on"),
        ({"day_on": "2027-01-01"}, "day_on"),
        ({"based_on": 0}, "based_on"),
    ],
)
def test_wrong_edits_are_rejected_by_field(changes: dict[str, Any], field: str) -> None:
    desk = with_gap()
    stood = dict(desk.usage())
    assert why(desk.take(replace(request(2, 9_000), **changes)))[0] == field
    assert desk.usage() == stood


def test_an_edit_that_changes_nothing_is_rejected() -> None:
    desk = with_gap()
    desk.take(request(2, 16_000))
    own = desk.take(request(2, 16_000, 2, edit_id="another"))
    assert why(own)[:2] == ("after_wh", "is 16000 already")


def test_an_edit_at_a_point_that_nobody_knows_is_rejected() -> None:
    desk = Desk()
    assert why(desk.take(request(2, 9_000)))[0] == "day_on"
