"""Interlocks of the surroundings: the weather, the meter's contact and data, the match on site."""

from __future__ import annotations

from services.control.facts import Facts, Finding, interlock, listed
from services.control.instant import days_between, local_day, seconds_between
from services.control.policy import HOUR_S, Policy


@interlock(
    reads=("now_at", "weather"),
    terms=("weather_s_most",),
    zh="无气象预警",
    en="no weather alarm is raised",
)
def no_weather_alarm(facts: Facts, policy: Policy) -> Finding:
    """Somebody states now that there is none, here or everywhere, and nobody states one.

    What nobody spoke of is not known, and denies.
    """
    looked_at = "weather: " + listed(
        f"{each.area or 'everywhere'} {each.alarm or 'no alarm'} {each.from_at} to {each.until_at}"
        for each in facts.weather
    )
    now = [
        each
        for each in facts.weather
        if seconds_between(each.from_at, facts.now_at, "from_at") >= 0
        and seconds_between(facts.now_at, each.until_at, "until_at") > 0
    ]
    alarms = [each.alarm for each in now if each.alarm]
    fine = [
        each
        for each in now
        if seconds_between(each.from_at, each.until_at, "until_at") <= policy.weather_s_most
    ]
    problem = ""
    if alarms:
        problem = f"alarm: {listed(alarms)}"
    elif not fine:
        hours = policy.weather_s_most // HOUR_S
        problem = f"nobody states the weather of now for at most {hours} hours"
    return looked_at, problem


@interlock(
    reads=("point", "contact"),
    terms=("remote_methods",),
    rule="issue of relay safety: a meter that does not answer is not switched; DESIGN 5",
    zh="电能表可通信",
    en="the meter answers",
)
def meter_reachable(facts: Facts, policy: Policy) -> Finding:
    """The meter installed now answered when it was last asked; a crew needs no answer."""
    point, contact = facts.point, facts.contact
    if point is None:
        return "no such point", "the account has no such point"
    if point.switching_method not in policy.methods_of(point.voltage_class):
        return f"{point.switching_method}: switched on site", ""
    if contact is None:
        return f"meter {point.meter_no}: nothing was told", "nobody told whether it answers"
    looked_at = (
        f"meter {point.meter_no}: {contact.meter_no} "
        f"{'answers' if contact.is_reachable else 'does not answer'}, told {contact.told_at}"
    )
    problem = ""
    if contact.meter_no != point.meter_no:
        problem = "that was told of another meter"
    elif not contact.is_reachable:
        problem = "it does not answer"
    return looked_at, problem


@interlock(
    reads=("now_at", "arrears_known", "contact"),
    terms=("data_days_most", "utc_offset_minutes"),
    zh="用电数据在期限内",
    en="the data are fresh",
)
def data_fresh(facts: Facts, policy: Policy) -> Finding:
    """Payments told how the account stands, and the readings of the point are not old.

    How old what payments told may be is the clearance's to say, which is asked last.
    """
    contact = facts.contact
    if contact is None or not contact.data_to_on:
        return "no reading was told", "it is not known up to when the readings are in"
    today = local_day(facts.now_at, policy.utc_offset_minutes)
    age = days_between(contact.data_to_on, today, "data_to_on")
    looked_at = f"readings up to {contact.data_to_on}, {age} days ago; arrears "
    looked_at += "known" if facts.arrears_known else "unknown"
    problem = ""
    if not facts.arrears_known:
        problem = "payments never told how the account stands"
    elif not 0 <= age <= policy.data_days_most:
        problem = f"the readings are not of the last {policy.data_days_most} days"
    return looked_at, problem


@interlock(
    reads=("now_at", "point", "matched"),
    terms=("match_days_most", "utc_offset_minutes"),
    zh="户表对应已现场核实",
    en="meter and household were matched on site",
)
def match_verified(facts: Facts, policy: Policy) -> Finding:
    """Somebody saw that the meter installed now is the household's, not too long ago."""
    point, matched = facts.point, facts.matched
    if point is None or matched is None:
        return "not verified", "nobody verified that the meter is the household's"
    today = local_day(facts.now_at, policy.utc_offset_minutes)
    age = days_between(matched.verified_on, today, "verified_on")
    looked_at = f"meter {point.meter_no}: {matched.meter_no} verified on {matched.verified_on} "
    looked_at += f"by {matched.person}"
    problem = ""
    if matched.meter_no != point.meter_no:
        problem = "another meter was verified"
    elif not 0 <= age <= policy.match_days_most:
        problem = f"it was not verified within the last {policy.match_days_most} days"
    return looked_at, problem
