"""Interlocks of accounts that pay ahead: what takes the place of debt and notice in their cases."""

from __future__ import annotations

from services.control.facts import Facts, Finding, interlock
from services.control.instant import days_between, local_day, seconds_between
from services.control.policy import DAY_S, HOUR_S, Policy
from services.control.prepaid_events import WARNINGS


@interlock(
    reads=("now_at", "prepaid"),
    terms=("utc_offset_minutes",),
    rule="DESIGN 5: prepaid remote needs a signed agreement",
    zh="预付费协议已签订",
    en="a prepaid agreement is signed",
)
def agreement_signed(facts: Facts, policy: Policy) -> Finding:
    """The terms in force are prepaid remote, under an agreement signed by today."""
    terms = facts.prepaid
    if terms is None:
        return "no prepaid terms in force", "the account does not pay ahead"
    looked_at = f"agreement {terms.agreement_no or 'without a number'}, "
    looked_at += f"signed {terms.signed_on or 'never'}"
    if not terms.agreement_no or not terms.signed_on:
        return looked_at, "no agreement is signed"
    today = local_day(facts.now_at, policy.utc_offset_minutes)
    late = days_between(terms.signed_on, today, "signed_on") < 0
    return looked_at, "it is signed in the future" if late else ""


@interlock(
    reads=("now_at", "warnings"),
    terms=("prepaid_warned_s",),
    rule="DESIGN 5: thresholds warn 1 and warn 2; served warnings",
    zh="两次余额预警均已送达",
    en="both warnings of the balance were served",
)
def warnings_served(facts: Facts, policy: Policy) -> Finding:
    """Both warnings of this fall were served, each long enough ago."""
    served = {each.stage: each.served_at for each in facts.warnings}
    looked_at = ", ".join(f"{stage} served {served.get(stage) or 'never'}" for stage in WARNINGS)
    looked_at += f", now {facts.now_at}"
    for stage in WARNINGS:
        if not served.get(stage):
            return looked_at, f"nobody reported that {stage} was served"
        if seconds_between(served[stage], facts.now_at, stage) < policy.prepaid_warned_s:
            hours = policy.prepaid_warned_s // HOUR_S
            return looked_at, f"{stage} was served less than {hours} h ago"
    return looked_at, ""


@interlock(
    reads=("prepaid", "available"),
    rule="DESIGN 5: credit limit",
    zh="可用余额已低于信用额度",
    en="what is used is beyond the agreed credit",
)
def below_credit_limit(facts: Facts, policy: Policy) -> Finding:
    """Less is available than the agreed credit allows."""
    terms, known = facts.prepaid, facts.available
    if terms is None or known is None:
        return "no terms, or no balance", "payments never told what is left, or nothing is agreed"
    looked_at = f"available {known.available_fen} fen, credit limit {terms.credit_limit_fen} fen"
    is_below = known.available_fen < -terms.credit_limit_fen
    return looked_at, "" if is_below else "the agreed credit is not used up"


@interlock(
    reads=("now_at", "available"),
    terms=("prepaid_estimate_days", "utc_offset_minutes"),
    zh="电费测算为最新",
    en="the estimate is fresh",
)
def estimate_fresh(facts: Facts, policy: Policy) -> Finding:
    """The estimate reaches almost until today."""
    known = facts.available
    if known is None or not known.estimate_until_on:
        return "no estimate", "nothing was estimated"
    today = local_day(facts.now_at, policy.utc_offset_minutes)
    days = days_between(known.estimate_until_on, today, "estimate_until_on")
    looked_at = f"estimated until {known.estimate_until_on}, today {today}"
    most = policy.prepaid_estimate_days
    return looked_at, "" if 0 <= days <= most else f"it is not of the last {most} days"


@interlock(
    reads=("available",),
    terms=("prepaid_unread_days",),
    zh="测算未依赖长期缺抄",
    en="the estimate does not rest on missing readings",
)
def estimate_was_read(facts: Facts, policy: Policy) -> Finding:
    """Fewer days than `prepaid_unread_days` were not read or estimated."""
    known = facts.available
    if known is None:
        return "no estimate", "nothing was estimated"
    looked_at = f"{known.missing_days} days missing, {known.estimated_days} estimated"
    is_read = known.missing_days + known.estimated_days < policy.prepaid_unread_days
    return looked_at, "" if is_read else f"{policy.prepaid_unread_days} days or more were not read"


@interlock(
    reads=("category",),
    terms=("categories",),
    rule="DESIGN 2: default deny; nobody of a category that we do not know is cut",
    zh="用户类别可停电",
    en="the category is one that may be cut",
)
def category_known(facts: Facts, policy: Policy) -> Finding:
    """The category of the account is one that the policy knows."""
    known = policy.notice_rule(facts.category) is not None
    return f"category {facts.category!r}", "" if known else "the category is not known"


@interlock(
    reads=("now_at", "window_from_at", "window_to_at"),
    terms=("window_s_most", "plan_ahead_s_most"),
    zh="停电时段可行",
    en="the window is still to come",
)
def window_to_come(facts: Facts, policy: Policy) -> Finding:
    """The window begins from now on; who pays ahead was warned before and needs no period."""
    looked_at = f"window from {facts.window_from_at or '?'} to {facts.window_to_at or '?'}, "
    looked_at += f"now {facts.now_at}"
    ahead_s = seconds_between(facts.now_at, facts.window_from_at, "window_from_at")
    length_s = seconds_between(facts.window_from_at, facts.window_to_at, "window_to_at")
    problem = ""
    if not 0 < length_s <= policy.window_s_most:
        problem = f"the window must be longer than 0 and at most {policy.window_s_most} s"
    elif not 0 <= ahead_s <= policy.plan_ahead_s_most:
        problem = f"it must begin within {policy.plan_ahead_s_most // DAY_S} days from now"
    return looked_at, problem
