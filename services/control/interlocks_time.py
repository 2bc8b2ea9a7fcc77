"""Interlocks of time: the window, and the days and hours in which people may be cut."""

from __future__ import annotations

from datetime import datetime

from services.control.facts import Facts, Finding, interlock, listed
from services.control.instant import local_time, seconds_between
from services.control.policy import DAY_S, Policy

LEAST = ("residential.least_s", "non_residential.least_s")


@interlock(
    reads=("now_at", "window_from_at", "window_to_at"),
    rule="domain.md 5: Art. 67, cut at the noticed time",
    zh="当前在通知的停电时段内",
    en="now lies in the noticed window",
)
def within_window(facts: Facts, policy: Policy) -> Finding:
    """Now lies in the window that the notice names: cut at the noticed time (Art. 67)."""
    looked_at = f"window {facts.window_from_at or '?'} to {facts.window_to_at or '?'}, "
    looked_at += f"now {facts.now_at}"
    if not facts.window_from_at or not facts.window_to_at:
        return looked_at, "no window"
    begun = seconds_between(facts.window_from_at, facts.now_at, "window_from_at") >= 0
    ended = seconds_between(facts.window_to_at, facts.now_at, "window_to_at") >= 0
    problem = "" if begun and not ended else "now is not in the window"
    return looked_at, problem


@interlock(
    reads=("now_at", "category", "window_from_at", "window_to_at"),
    terms=("categories", *LEAST, "window_s_most", "plan_ahead_s_most"),
    zh="停电时段可按期通知",
    en="a notice can be in time for the window",
)
def window_plannable(facts: Facts, policy: Policy) -> Finding:
    """A notice that is served from now on can still be in time for the window."""
    rule = policy.notice_rule(facts.category)
    looked_at = f"{facts.category or 'no category'}: window from {facts.window_from_at or '?'} "
    looked_at += f"to {facts.window_to_at or '?'}, now {facts.now_at}"
    if rule is None:
        return looked_at, f"no notice period for {facts.category!r}"
    ahead_s = seconds_between(facts.now_at, facts.window_from_at, "window_from_at")
    length_s = seconds_between(facts.window_from_at, facts.window_to_at, "window_to_at")
    problem = ""
    if not 0 < length_s <= policy.window_s_most:
        problem = f"the window must be longer than 0 and at most {policy.window_s_most} s"
    elif ahead_s < rule.least_s:
        problem = f"it must begin at least {rule.least_s // DAY_S} days from now"
    elif ahead_s > policy.plan_ahead_s_most:
        problem = f"it must begin at most {policy.plan_ahead_s_most // DAY_S} days from now"
    return looked_at, problem


@interlock(
    reads=("window_from_at", "window_to_at"),
    terms=("hours_from", "hours_to", "weekdays", "no_cut_on", "utc_offset_minutes"),
    zh="停电时段在允许的日子和钟点内",
    en="the window lies in permitted hours",
)
def permitted_hour(facts: Facts, policy: Policy) -> Finding:
    """The whole window lies in permitted hours of one permitted day."""
    looked_at = f"window {facts.window_from_at or '?'} to {facts.window_to_at or '?'}"
    if not facts.window_from_at or not facts.window_to_at:
        return looked_at, "no window"
    start = local_time(facts.window_from_at, policy.utc_offset_minutes, "window_from_at")
    end = local_time(facts.window_to_at, policy.utc_offset_minutes, "window_to_at")
    looked_at += f", local {start:%Y-%m-%d %H:%M} to {end:%H:%M}"
    problem = ""
    if start.date() != end.date() or start.isoweekday() not in policy.weekdays:
        problem = f"it must lie in one day, a weekday of {listed(map(str, policy.weekdays))}"
    elif start.date().isoformat() in policy.no_cut_on:
        problem = "nobody is cut on that day"
    elif _second_of(start) < policy.hours_from * 60 or _second_of(end) > policy.hours_to * 60:
        problem = f"it must lie from {_clock(policy.hours_from)} to {_clock(policy.hours_to)}"
    return looked_at, problem


def _second_of(local: datetime) -> int:
    return local.hour * 3600 + local.minute * 60 + local.second


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
