"""A mass cut-off that the cap stops: six homes of one transformer area, all in one hour.

Each case is right in itself. Three are ready at 10:00, and their relays open; three at 10:02: the
limit stage refuses them, and their window is over before the next hour begins. At 10:20 the head of
another unit approves one of them above the cap, and it is opened, too. All six pay on 25 February,
and those who were cut come back.
"""

from __future__ import annotations

import random
from datetime import date
from typing import TYPE_CHECKING

from simulators.city import surroundings
from simulators.city.facts import Check, Expectation, Facts, expect
from simulators.city.people import Account, City, Point, next_number

if TYPE_CHECKING:
    from simulators.city.plan import Plan

ROLES = tuple(f"mass_{number}" for number in range(1, 7))
AREA = "A-08"
CAP = 3
ASKED_ON, APPROVED_ON = date(2026, 2, 11), date(2026, 2, 12)
CUT_ON, PAID_ON = date(2026, 2, 20), date(2026, 2, 25)
NOTICED_AT = "2026-02-10T16:30:00Z"
FINAL_AT = "2026-02-20T01:00:00Z"
WINDOWS_FROM_AT = ("2026-02-20T02:00:00Z",) * CAP + ("2026-02-20T02:02:00Z",) * CAP
"""Not all at the same minute: which of six would come first is nobody's choice."""
WINDOW_TO_AT = "2026-02-20T03:00:00Z"
OPENED_AT, REFUSED_AT = "2026-02-20T02:01:00Z", "2026-02-20T02:03:00Z"
ABOVE_AT = "2026-02-20T02:20:00Z"
ABOVE_UNTIL_AT, OVER_AT = "2026-02-20T02:21:00Z", "2026-02-20T03:01:00Z"
PAID_AT = "2026-02-25T09:30:00+08:00"


def settle(city: City, rng: random.Random, index: int) -> None:
    """A home of the area."""
    number = next_number(city)
    account_no = f"1{number:09d}"
    city.cast[ROLES[index]] = account_no
    city.accounts.append(
        Account(
            account_no=account_no, category="residential", price_list="residential", language="zh"
        )
    )
    city.points.append(
        Point(
            usage_point=f"P-{number:04d}",
            account_no=account_no,
            meter_no=f"M-{number:04d}",
            address=f"{number:012d}",
            line="area-8",
            area=AREA,
            annual_kwh=rng.randrange(1400, 4600),
            initial_kwh=rng.randrange(0, 40_000),
            capacity_kw=12,
        )
    )


def on_day(plan: Plan, day: date) -> None:
    """What happens to the six."""
    if day == ASKED_ON:
        _ask(plan)
    elif day == APPROVED_ON:
        for role in ROLES:
            for person in ("reviewer", "unit_head"):
                plan.acts.ask_control(person, f"/cases/{plan.cases[role]}/approve", {})
        plan.rest()
    elif day == CUT_ON:
        _cut(plan)
    elif day == PAID_ON:
        _pay(plan)


def _ask(plan: Plan) -> None:
    for role, from_at in zip(ROLES, WINDOWS_FROM_AT, strict=True):
        point = plan.point(role)
        wanted = {
            "account_no": point.account_no,
            "usage_point": point.usage_point,
            "window_from_at": from_at,
            "window_to_at": WINDOW_TO_AT,
        }
        plan.cases[role] = plan.acts.ask_control("requester", "/cases", wanted)["case_id"]
    plan.rest()
    surroundings.verify_matches(plan, ROLES, ASKED_ON)
    _serve(plan, NOTICED_AT, "notice-served")


def _serve(plan: Plan, served_at: str, path: str) -> None:
    for role in ROLES:
        case_id = plan.cases[role]
        served = {
            "channel": "in person",
            "recipient": "the account holder",
            "served_at": served_at,
            "evidence": f"receipt {case_id}",
        }
        plan.acts.ask_control("server", f"/cases/{case_id}/{path}", served)
    plan.rest()


def _cut(plan: Plan) -> None:
    """Three are cut, three refused; then one approval above the cap; then the window is over."""
    surroundings.state_weather(plan, CUT_ON)
    plan.tick(FINAL_AT)
    _serve(plan, FINAL_AT, "final-notice-served")
    plan.tick(OPENED_AT)
    plan.tick(REFUSED_AT)
    plan.memory.follow()
    refused = sorted(body["case_id"] for body in plan.memory.of("control.permit_refused"))
    plan.tick(ABOVE_AT)
    for case_id in refused[:1]:
        because = {"reason": "the line to the house is damaged"}
        plan.acts.ask_control("other_head", f"/cases/{case_id}/approve-over-cap", because)
    plan.rest()
    plan.tick(ABOVE_UNTIL_AT)
    plan.tick(OVER_AT)


def _pay(plan: Plan) -> None:
    plan.memory.follow()
    for role in ROLES:
        account_no = plan.point(role).account_no
        balances = plan.memory.of("payments.balance_changed", account_no=account_no)
        plan.acts.pay(account_no, balances[-1]["receivable_fen"], "wechat", PAID_AT)
    plan.rest()


def mass_cut_off(facts: Facts) -> Expectation:
    """Six in one hour: the three of the cap, one by a separate approval, two never."""
    memory = facts.memory
    commands = [
        body for role in ROLES for body in facts.of("control.command_issued", role, action="open")
    ]
    late = [body for body in commands if body["issued_at"] >= ABOVE_AT]
    early = len(commands) - len(late)
    opened = [
        body["outcome"]
        for role in ROLES
        for body in facts.of("control.switching_noted", role, action="open")
    ]
    told = memory.of("control.permit_refused", area=AREA, cap=CAP, count=CAP)
    refused = len({body["case_id"] for body in told})
    approved = {body["case_id"] for body in memory.of("control.over_cap_approved", area=AREA)}
    reserved = memory.of("control.permit_reserved", area=AREA)
    above = sum(bool(body["over_cap_by"]) for body in reserved)
    outcomes = [body["outcome"] for role in ROLES for body in facts.of("control.case_closed", role)]
    expired, back = outcomes.count("expired"), outcomes.count("reconnected")
    found = (
        f"{early} opened at once, {refused} refused by cap {CAP}, {above} above it, "
        f"{expired} expired, {back} back"
    )
    holds = (early, refused, above, expired, back) == (CAP, 3, 1, 2, 4)
    holds = holds and len(late) == 1 and {body["case_id"] for body in late} == approved
    holds = holds and opened == ["confirmed"] * 4
    holds = holds and len(memory.of("control.permit_used", area=AREA)) == len(opened)
    return expect("mass cut-off", "3 by the cap, 1 approved apart", found, holds)


CHECKS: tuple[Check, ...] = (mass_cut_off,)
