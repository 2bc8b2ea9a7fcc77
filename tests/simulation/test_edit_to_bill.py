"""From a person's edit to the numbered correction of an issued bill, over all three cores."""

from __future__ import annotations

from services.billing.explanation import explain_correction
from services.validation.api import EditWanted
from services.validation.edit_events import EditDecided, EditRequested, edge_catalogue
from tests.simulation.path import (
    EVEN,
    IMPORT,
    PointStory,
    World,
    daily_story,
    day_on,
    events_of,
    new_world,
)

STORY = PointStory(account_no="A0", point="P0", used=EVEN)


def edited(world: World, day: int, energy_wh: int, approved_by: str) -> str:
    """Li says that a day was another one, somebody approves; the id of the edit."""
    wanted = EditWanted(
        usage_point=STORY.point,
        day_on=day_on(day),
        based_on=1,
        after={IMPORT: energy_wh},
        reason_code="meter_fault",
        reason="seen on site",
    )
    edit_id = wanted.edit_id("li")
    request = EditRequested(
        edit_id=edit_id,
        usage_point=wanted.usage_point,
        day_on=wanted.day_on,
        based_on=wanted.based_on,
        after=wanted.after,
        reason_code=wanted.reason_code,
        reason=wanted.reason,
        person="li",
        role="approver",
        requested_at="2026-02-03T00:00:00Z",
    )
    decision = EditDecided(
        edit_id=edit_id,
        usage_point=wanted.usage_point,
        decision="approved",
        reason="seen as well",
        person=approved_by,
        role="approver",
        requested_at="2026-02-03T00:00:00Z",
    )
    for body in (request, decision):
        world.write(edge_catalogue, "validation.requests", STORY.point, body)
        world.rest()
    world.advance(36, 30)
    return edit_id


def billed_january() -> World:
    """Ten watt-hours a minute, invoiced: 446.4 kWh."""
    world = new_world(1)
    world.live(daily_story(STORY, days=35))
    (invoice,) = events_of(world.sim, "billing", "billing.invoice_issued")
    assert invoice.month == "2026-01"
    assert events_of(world.sim, "billing", "billing.correction_issued") == []
    return world


def test_an_approved_edit_of_a_billed_day_corrects_the_bill() -> None:
    world = billed_january()
    edited(world, 30, 4_400, "zhao")
    (taken,) = events_of(world.sim, "validation", "validation.edit_taken")
    assert (taken.edited_by, taken.approved_by, taken.was_final) == ("li", "zhao", True)
    (round_1,) = events_of(world.sim, "billing", "billing.correction_issued")
    assert (round_1.cause, round_1.reference) == ("usage_edited", "P0/2026-01-31/2")
    (bill,) = round_1.correction.bills
    # 446 kWh were 436: 10 kWh less of the third tier, at 0.82 CNY.
    assert bill.total_fen == -820
    text = explain_correction("A0-K001", round_1.cause, bill.total_fen, "en")
    assert "a person corrected the usage" in text


def test_what_nobody_else_approved_corrects_nothing() -> None:
    world = billed_january()
    edited(world, 30, 4_400, "LI")
    assert len(events_of(world.sim, "validation", "validation.edit_held")) == 1
    (wrong,) = events_of(world.sim, "validation", "validation.edit_decision_rejected")
    assert (wrong.field, wrong.problem) == ("person", "is LI, who edits")
    assert events_of(world.sim, "validation", "validation.edit_taken") == []
    assert events_of(world.sim, "billing", "billing.correction_issued") == []
