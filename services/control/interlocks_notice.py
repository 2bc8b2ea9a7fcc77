"""Interlocks of the notices: served, in time, and still good."""

from __future__ import annotations

from services.control.facts import Facts, Finding, interlock, listed
from services.control.instant import seconds_between
from services.control.policy import DAY_S, Policy
from services.control.safety_facts import Service

PERIODS = (
    *("residential.least_s", "residential.most_s"),
    *("non_residential.least_s", "non_residential.most_s"),
)
FINAL_PERIODS = (
    *("residential.final_least_s", "residential.final_most_s"),
    *("non_residential.final_least_s", "non_residential.final_most_s"),
)


@interlock(
    reads=("now_at", "served_at"),
    terms=("clock_s",),
    rule="DESIGN 5: a notice counts when it is served",
    zh="停电通知书已送达",
    en="the written notice was served",
)
def notice_served(facts: Facts, policy: Policy) -> Finding:
    """The written notice was served; an issued one does not count (DESIGN 5)."""
    looked_at = f"served_at {facts.served_at or 'never'}"
    problem = ""
    if not facts.served_at:
        problem = "nobody reported that the notice was served"
    elif seconds_between(facts.served_at, facts.now_at, "served_at") < -policy.clock_s:
        problem = "it is said to be served in the future"
    return looked_at, problem


@interlock(
    reads=("now_at", "category", "served_at", "window_from_at"),
    terms=("categories", *PERIODS),
    zh="通知提前天数合规",
    en="it was served in time",
)
def notice_period(facts: Facts, policy: Policy) -> Finding:
    """Served long enough before the window and not too long before the cut (Art. 67, regional)."""
    rule = policy.notice_rule(facts.category)
    looked_at = f"{facts.category or 'no category'}: served {facts.served_at or 'never'}, "
    looked_at += f"window from {facts.window_from_at or 'never'}"
    if rule is None:
        return looked_at, f"no notice period for {facts.category!r}"
    if not facts.served_at or not facts.window_from_at:
        return looked_at, "not served, or no window"
    before_s = seconds_between(facts.served_at, facts.window_from_at, "window_from_at")
    until_now_s = seconds_between(facts.served_at, facts.now_at, "served_at")
    problem = ""
    if before_s < rule.least_s:
        problem = f"served less than {rule.least_s // DAY_S} days before the window"
    elif max(before_s, until_now_s) > rule.most_s:
        problem = f"served more than {rule.most_s // DAY_S} days before the cut"
    return looked_at, problem


@interlock(
    reads=("now_at", "category", "final_served_at"),
    terms=("categories", *FINAL_PERIODS),
    zh="停电前再次通知已送达",
    en="the final notice was served in time",
)
def final_notice(facts: Facts, policy: Policy) -> Finding:
    """The final notice was served at least 30 minutes (residential) or 1 hour ago, not long ago."""
    rule = policy.notice_rule(facts.category)
    looked_at = f"{facts.category or 'no category'}: final notice served "
    looked_at += f"{facts.final_served_at or 'never'}, now {facts.now_at}"
    if rule is None or not facts.final_served_at:
        return looked_at, "no final notice, or no rule for the category"
    ago_s = seconds_between(facts.final_served_at, facts.now_at, "final_served_at")
    problem = ""
    if ago_s < rule.final_least_s:
        problem = f"served less than {rule.final_least_s // 60} minutes ago"
    elif ago_s > rule.final_most_s:
        problem = f"served more than {rule.final_most_s // 60} minutes ago"
    return looked_at, problem


@interlock(
    reads=("now_at", "expires_at"),
    rule="DESIGN 5: a notice expires",
    zh="通知书未过期",
    en="the notice has not expired",
)
def notice_not_expired(facts: Facts, policy: Policy) -> Finding:
    """The notice is still good."""
    looked_at = f"expires_at {facts.expires_at or 'unknown'}, now {facts.now_at}"
    good = (
        bool(facts.expires_at) and seconds_between(facts.now_at, facts.expires_at, "expires_at") > 0
    )
    return looked_at, "" if good else "the notice expired"


@interlock(
    reads=("now_at", "point", "notice_form"),
    terms=("notice_channels", "evidence_kinds", "authority_copy_voltages", "clock_s"),
    zh="书面通知形式合规",
    en="the written notice has its form",
)
def notice_in_form(facts: Facts, policy: Policy) -> Finding:
    """Channel, recipient and evidence are right, and the authority has its copy (domain.md 5)."""
    looked_at, problem = _form(facts.notice_form, policy.notice_channels, policy)
    voltage = facts.point.voltage_class if facts.point is not None else ""
    if facts.notice_form is None or problem:
        return looked_at, problem
    if not voltage:
        return looked_at, "the voltage of the point is not known"
    if voltage not in policy.authority_copy_voltages:
        return looked_at, ""
    copy_at = facts.notice_form.authority_copy_at
    looked_at += f"; {voltage}, copy to the authority {copy_at or 'never'}"
    if not copy_at:
        problem = "the power authority has no copy"
    elif seconds_between(copy_at, facts.now_at, "authority_copy_at") < -policy.clock_s:
        problem = "the copy is said to be sent in the future"
    return looked_at, problem


@interlock(
    reads=("final_form",),
    terms=("final_channels", "evidence_kinds"),
    zh="停电前再次通知形式合规",
    en="the final notice has its form",
)
def final_notice_in_form(facts: Facts, policy: Policy) -> Finding:
    """Channel, recipient and evidence of the final notice are right."""
    return _form(facts.final_form, policy.final_channels, policy)


def _form(service: Service | None, channels: tuple[str, ...], policy: Policy) -> Finding:
    if service is None:
        return "not served", "nobody reported how it was served"
    looked_at = f"by {service.channel}, to {service.recipient}, evidence {service.evidence}"
    problem = ""
    if service.channel.strip().lower().replace(" ", "_") not in channels:
        problem = f"the channel is none of {listed(channels)}"
    elif not service.recipient.strip():
        problem = "nobody received it"
    elif service.evidence.strip().lower().partition(" ")[0] not in policy.evidence_kinds:
        problem = f"the evidence begins with none of {listed(policy.evidence_kinds)}"
    return looked_at, problem
