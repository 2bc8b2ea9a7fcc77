"""A policy decides what control does: notice periods, days on which nobody is cut."""

from __future__ import annotations

from dataclasses import replace

import pytest

from libs.events.errors import BadInput
from services.control.core import make_core
from services.control.events import RequestRejected
from services.control.policy import DAY_S, DEFAULT_POLICY, Policy
from tests.unit.control.samples import IN_WINDOW, WINDOW_FROM, Desk, names


def asked(policy: Policy, window_from_at: str = WINDOW_FROM) -> Desk:
    """A desk that decides by the policy, at which the disconnection was asked for."""
    desk = Desk(make_core(policy=policy))
    desk.know()
    desk.open_case(window_from_at=window_from_at)
    return desk


def problem(desk: Desk) -> str:
    return desk.noted(RequestRejected)[-1].problem


def test_a_longer_notice_period_refuses_what_the_default_allows() -> None:
    """The window is ten days and an hour after the request."""
    assert asked(DEFAULT_POLICY).account.cases != {}
    longer = replace(DEFAULT_POLICY.residential, least_s=11 * DAY_S)
    desk = asked(Policy(residential=longer))
    assert desk.account.cases == {}
    assert "at least 11 days" in problem(desk)


def test_a_shorter_notice_period_allows_what_the_default_refuses() -> None:
    """Friday, 6 March, is four days after the request."""
    early = "2026-03-06T02:00:00Z"
    assert "at least 7 days" in problem(asked(DEFAULT_POLICY, early))
    shorter = replace(DEFAULT_POLICY.residential, least_s=3 * DAY_S)
    assert asked(Policy(residential=shorter), early).account.cases != {}


def test_nobody_is_cut_on_a_day_that_the_policy_names() -> None:
    holiday = Policy(no_cut_on=("2026-03-12",))
    assert "nobody is cut on that day" in problem(asked(holiday))
    # A day that is named after the notice went out forbids the cut just the same.
    desk = Desk()
    desk.know()
    desk.open_case()
    desk.serve()
    desk.approve()
    desk.core = make_core(policy=holiday)
    desk.serve_final()
    desk.tick(IN_WINDOW)
    assert desk.commands == []
    assert [topic for topic, _, _ in desk.outgoing if topic == "control.clearances"] == []
    assert "CommandIssued" not in names(desk.own)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"overdue_days": -1}, r"overdue_days: -1 is out of range \(give 0 to 3650\)"),
        ({"weekdays": (1, 8)}, "weekdays: 8 is out of range"),
        ({"no_cut_on": ("1 October",)}, "no_cut_on: '1 October' is no day"),
        ({"no_cut_on": ("20261001",)}, "no_cut_on: '20261001' is no day"),
        ({"hours_from": 1020}, "hours_from: 1020 is not before hours_to 1020"),
        ({"window_s_default": 30_000}, "window_s_default: 30000 is more than window_s_most"),
    ],
)
def test_a_policy_that_cannot_be_kept_is_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(BadInput, match=told):
        replace(DEFAULT_POLICY, **changes)  # type: ignore[arg-type]
