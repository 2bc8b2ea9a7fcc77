"""An account that pays ahead: it runs low, is warned, is cut beyond its credit, and tops up.

It pays 40 yuan on 2 February and nothing more until it is cut. Both warnings are served on the day
after they are due; the day after the credit is used up people ask for the cut, two days later (or
on the next weekday) at 13:00 the relay opens. The day after it pays 150 yuan and is back; from then
on it tops up as soon as it is warned.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from simulators.city import surroundings
from simulators.city.facts import Check, Expectation, Facts, expect

if TYPE_CHECKING:
    from simulators.city.plan import Plan

ROLE = "prepaid"
TERMS = {
    "prepaid_agreement_no": "Y-2026-017",
    "prepaid_signed_on": "2026-01-20",
    "prepaid_credit_limit_yuan": "5.00",
    "prepaid_warn1_yuan": "30.00",
    "prepaid_warn2_yuan": "15.00",
}
CREDIT_FEN = 500
BEGUN_ON = date(2026, 2, 2)
FIRST_FEN, TOP_UP_FEN = 4_000, 15_000
WEEKDAYS = 5


def on_day(plan: Plan, day: date) -> None:
    """What happens to the account; people look at what the topics say."""
    plan.memory.follow()
    if day == BEGUN_ON:
        _pay(plan, day, FIRST_FEN)
    elif day > BEGUN_ON and not _of(plan, "control.case_opened"):
        _serve_warnings(plan, day)
        _ask(plan, day)
    elif ROLE in plan.cases:
        _go_on(plan, day)


def _of(plan: Plan, name: str, **wanted: Any) -> list[dict[str, Any]]:
    return plan.memory.of(name, account_no=plan.city.cast[ROLE], **wanted)


def _pay(plan: Plan, day: date, amount_fen: int) -> None:
    at = f"{day.isoformat()}T11:00:00+08:00"
    plan.acts.pay(plan.city.cast[ROLE], amount_fen, "alipay", at)
    plan.rest()


def _serve_warnings(plan: Plan, day: date) -> None:
    """The warnings that stand and that nobody served."""
    told = _of(plan, "payments.available_changed")
    served = {body["stage"] for body in _of(plan, "control.warning_served")}
    for stage in ("warn1", "warn2"):
        if told and stage in told[-1]["low"] and stage not in served:
            body = {
                "account_no": plan.city.cast[ROLE],
                "stage": stage,
                "channel": "text message",
                "recipient": "the account holder",
                "served_at": _instant(day, "00:30"),
                "evidence": f"delivery receipt {stage}",
            }
            plan.acts.ask_control("server", "/warnings", body)
            plan.rest()


def _ask(plan: Plan, day: date) -> None:
    """Beyond the credit, and warned: a window on the second day from now, or the next weekday."""
    told = _of(plan, "payments.available_changed")
    served = _of(plan, "control.warning_served")
    if len(served) < 2 or told[-1]["available_fen"] >= -CREDIT_FEN:
        return
    cut_on = day + timedelta(days=2)
    while cut_on.isoweekday() > WEEKDAYS:
        cut_on += timedelta(days=1)
    point = plan.point(ROLE)
    wanted = {
        "account_no": point.account_no,
        "usage_point": point.usage_point,
        "window_from_at": _instant(cut_on, "13:00"),
        "window_to_at": _instant(cut_on, "16:00"),
    }
    answer = plan.acts.ask_control("requester", "/prepaid-cases", wanted)
    plan.cases[ROLE] = answer["case_id"]
    plan.rest()
    for person in ("reviewer", "unit_head"):
        plan.acts.ask_control(person, f"/cases/{answer['case_id']}/approve", {})
    surroundings.verify_matches(plan, (ROLE,), day)
    plan.rest()


def _go_on(plan: Plan, day: date) -> None:
    """The cut in its window, the top-up the day after, and one whenever it is warned again."""
    window = _of(plan, "control.notice_issued")[-1]
    if window["window_from_at"] == _instant(day, "13:00"):
        surroundings.state_weather(plan, day)
        plan.tick(_instant(day, "13:01"))
        return
    is_cut = bool(_of(plan, "control.case_closed", outcome="disconnected"))
    if is_cut and _of(plan, "payments.available_changed")[-1]["low"]:
        _pay(plan, day, TOP_UP_FEN)


def _instant(day: date, hhmm: str) -> str:
    from simulators.city.plan import instant

    return instant(day, hhmm)


# -- what is expected -----------------------------------------------------------------------------


def prepaid_account(facts: Facts) -> Expectation:
    """Estimated, warned twice, cut by its own interlocks, back by a top-up."""
    estimates = facts.of("billing.charge_estimated", ROLE)
    warned = [body["stage"] for body in facts.of("control.warning_served", ROLE)]
    cases = facts.of("control.case_opened", ROLE)
    outcomes = [body["outcome"] for body in facts.of("control.case_closed", ROLE)]
    holds = facts.of("control.hold_placed", ROLE)
    switched = [
        (body["action"], body["outcome"]) for body in facts.of("control.switching_noted", ROLE)
    ]
    found = (
        f"{len(estimates)} estimates, warned {', '.join(warned) or 'never'}, "
        f"{', '.join(outcomes) or 'no case'}"
    )
    good = (
        warned == ["warn1", "warn2"]
        and [body["kind"] for body in cases] == ["prepaid_balance"]
        and [body["reason"] for body in holds] == ["prepaid_balance"]
        and outcomes == ["disconnected", "reconnected"]
        and switched == [("open", "confirmed"), ("permit_close", "confirmed")]
    )
    return expect("prepaid runs low", "warned, cut, topped up, back", found, good)


def prepaid_bill(facts: Facts) -> Expectation:
    """Its bills are paid out of what it paid ahead; the estimate of the month was the bill."""
    bills = facts.of("billing.invoice_issued", ROLE)
    wrong = [body["invoice_no"] for body in bills if not _is_last_estimate(facts, body)]
    told = facts.of("payments.available_changed", ROLE)
    paid = sum(body["amount_fen"] for body in facts.of("payments.payment_captured", ROLE))
    billed = sum(body["total_fen"] for body in bills)
    estimated = told[-1]["estimate_fen"] if told else 0
    left = told[-1]["available_fen"] if told else 0
    found = f"{len(bills)} bills, {len(wrong)} unlike their estimate, {left} fen left"
    good = bool(bills) and not wrong and left == paid - billed - estimated
    return expect("prepaid bills", "as estimated, out of the prepayment", found, good)


def _is_last_estimate(facts: Facts, bill: dict[str, Any]) -> bool:
    of_month = facts.of("billing.charge_estimated", ROLE, month=bill["month"])
    return bool(of_month) and of_month[-1]["amount_fen"] == bill["total_fen"]


CHECKS: tuple[Check, ...] = (prepaid_account, prepaid_bill)
