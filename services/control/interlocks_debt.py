"""Interlocks of the debt: open, old enough, the one the notice names, and cleared by payments."""

from __future__ import annotations

from services.control.facts import Facts, Finding, interlock, listed
from services.control.instant import days_between, local_day, seconds_between
from services.control.policy import Policy
from services.control.state import Debt


def _named(facts: Facts) -> dict[str, Debt]:
    return {debt.invoice_no: debt for debt in facts.debts if debt.invoice_no in facts.invoice_nos}


def _open_fen(facts: Facts) -> int:
    return sum(debt.open_fen for debt in _named(facts).values())


@interlock(
    reads=("arrears_known", "debts", "invoice_nos"),
    terms=("threshold_fen",),
    zh="所通知的欠费仍未结清",
    en="the debt acted on is still open",
)
def debt_still_open(facts: Facts, policy: Policy) -> Finding:
    """More than the threshold is open of the debt acted on (DESIGN 5: threshold is data)."""
    open_fen = _open_fen(facts)
    looked_at = f"invoices {listed(facts.invoice_nos)}: {open_fen} fen open"
    problem = ""
    if not facts.arrears_known:
        problem = "payments never told how the account stands"
    elif open_fen <= policy.threshold_fen:
        problem = f"no more than {policy.threshold_fen} fen are open"
    return looked_at, problem


@interlock(
    reads=("now_at", "debts", "invoice_nos", "noticed"),
    terms=("overdue_days", "utc_offset_minutes"),
    zh="欠费逾期天数已够",
    en="the debt is overdue for long enough",
)
def debt_old_enough(facts: Facts, policy: Policy) -> Finding:
    """Every debt acted on is overdue for more than `overdue_days` days (domain.md 5 (1))."""
    today = local_day(facts.now_at, policy.utc_offset_minutes)
    named = _named(facts)
    days = {
        number: days_between(debt.due_on, today, f"due_on of {number}")
        for number, debt in sorted(named.items())
    }
    looked_at = "days overdue: " + listed(f"{number} {count}" for number, count in days.items())
    missing = [number for number in facts.invoice_nos if number not in named]
    young = [number for number, count in days.items() if count <= policy.overdue_days]
    problem = ""
    if not days:
        problem = "no debt is named"
    elif young:
        problem = f"{listed(young)} not overdue for more than {policy.overdue_days} days"
    # A named debt that is settled by now does not make the others younger.
    elif not set(missing) <= set(facts.noticed):
        problem = f"{listed(missing)} is no open debt"
    return looked_at, problem


@interlock(
    reads=("debts", "invoice_nos", "noticed", "noticed_fen"),
    rule="domain.md 5: a notice names one debt",
    zh="所停之费即通知所列之费",
    en="it is the debt that the notice names",
)
def debt_is_the_noticed_one(facts: Facts, policy: Policy) -> Finding:
    """A notice names one debt; another or a grown debt needs a new notice (domain.md 5)."""
    open_fen = _open_fen(facts)
    looked_at = (
        f"noticed {listed(facts.noticed)} {facts.noticed_fen} fen, "
        f"acted on {listed(facts.invoice_nos)} open {open_fen} fen"
    )
    problem = ""
    if not facts.noticed or set(facts.noticed) != set(facts.invoice_nos):
        problem = "the notice names another debt"
    elif open_fen > facts.noticed_fen:
        problem = "more is open than the notice names"
    return looked_at, problem


@interlock(
    reads=("now_at", "invoice_nos", "clearance"),
    rule="DESIGN 4: clearance is asked last, behind a fence",
    zh="收费方已放行且仍有效",
    en="payments cleared it, and that still holds",
)
def clearance_fresh(facts: Facts, policy: Policy) -> Finding:
    """Payments granted clearance for this very debt, by a fence, and it still holds."""
    clearance = facts.clearance
    if clearance is None:
        return "none asked", "no clearance was asked"
    looked_at = (
        f"{clearance.clearance_id} {clearance.answer or 'unanswered'}, fence "
        f"{clearance.fence_offset}, valid until {clearance.valid_until_at or '?'}"
    )
    problem = ""
    if clearance.answer != "granted":
        problem = "it is not granted"
    elif clearance.fence_offset < 0:
        problem = "it names no fence"
    elif set(clearance.invoice_nos) != set(facts.invoice_nos):
        problem = "it is about another debt"
    elif seconds_between(facts.now_at, clearance.valid_until_at, "valid_until_at") <= 0:
        problem = "it is not valid any more"
    return looked_at, problem
