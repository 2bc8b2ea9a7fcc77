"""While a correction of the account's usage is open nobody is cut; a command under way stops."""

from __future__ import annotations

import pytest

from services.control.correction_events import CorrectionNoted
from services.control.events import CommandCancelled, InterlocksJudged
from tests.unit.control.samples import ACCOUNT, POINT, Desk, corrected, granted, names


def denied(desk: Desk) -> list[str]:
    last = desk.noted(InterlocksJudged)[-1]
    return [verdict.name for verdict in last.verdicts if not verdict.allows]


def test_a_correction_is_noted_once_and_forgotten_when_it_is_decided() -> None:
    desk = Desk()
    noted = CorrectionNoted(
        case_id="r7/P1", account_no=ACCOUNT, usage_point=POINT, state="proposed"
    )
    assert desk.give(corrected()) == [noted]
    assert desk.give(corrected()) == [], "with other days"
    assert desk.give(corrected("refused", "r8/P1")) == [], "nobody proposed it here"
    desk.give(corrected(case_id="r9/P1"))
    assert desk.account.corrections == ("r7/P1", "r9/P1")
    assert names(desk.give(corrected("approved"))) == ["CorrectionNoted"]
    assert desk.account.corrections == ("r9/P1",)


def test_no_case_is_opened_meanwhile() -> None:
    desk = Desk()
    desk.know()
    desk.give(corrected())
    desk.open_case()
    assert denied(desk) == ["no_correction_open"]
    assert desk.account.cases == {}
    desk.give(corrected("refused"))
    desk.open_case()
    assert len(desk.account.cases) == 1


def test_a_case_that_is_ready_waits_for_the_decision() -> None:
    desk = Desk()
    clearance_id = desk.up_to_clearance()
    desk.give(corrected())
    desk.give(granted(clearance_id, "2026-03-12T02:11:00Z"))
    assert (denied(desk), desk.commands) == (["no_correction_open"], [])
    desk.tick("2026-03-12T02:15:00Z")
    assert denied(desk) == ["no_correction_open"]
    desk.give(corrected("refused"))
    desk.tick("2026-03-12T02:20:00Z")
    desk.give(granted(desk.clearance_id, "2026-03-12T02:21:00Z"))
    assert len(desk.commands) == 1


@pytest.mark.parametrize("decision", ["", "approved"])
def test_a_command_under_way_is_cancelled_by_a_new_correction_only(decision: str) -> None:
    desk = Desk()
    desk.give(corrected())
    desk.give(corrected("refused"))
    desk.up_to_command()
    desk.give(corrected(decision))
    cancelled = [event.reason for event in desk.noted(CommandCancelled)]
    assert cancelled == ([] if decision else ["no_correction_open"])
