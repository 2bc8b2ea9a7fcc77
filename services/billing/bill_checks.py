"""Checks between a calculated bill and its release: what makes a person look before it is issued.

Checks are data: each hit names its check and the numbers it compared. No hit means that the bill is
released by itself; a hit asks for one person, a run out of its band for two.

    check_bill(bill, history, rules)  ->  (CheckHit(check="jump", observed=900, limit=200, ...),)
    release_of(())                    ->  "automatic"
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from libs.events.quantities import floor_div
from services.billing.bill import Bill, Finding
from services.billing.calendar import days_between

AUTOMATIC, ONE_PERSON, TWO_PEOPLE = "automatic", "one_person", "two_people"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRules:
    """Thresholds of the checks; the defaults are UNCONFIRMED (domain.md section 2, rule 4).

    A jump is a daily use above `jump_high_percent` or below `jump_low_percent` of the average of
    the past bills, when it differs by at least `jump_floor_wh` a day. The band of a run compares
    its total with the last comparable run's. `tou_basis` holds a bill with days on which the rate
    registers did not count by the book's calendar, or nobody knows.
    """

    id: str = "bill-checks-1"
    zero: bool = True
    negative: bool = True
    estimated: bool = True
    first: bool = True
    after_exchange: bool = True
    warning: bool = True
    tou_basis: bool = True
    jump_high_percent: int = 200
    jump_low_percent: int = 50
    jump_floor_wh: int = 3_000
    run_low_percent: int = 80
    run_high_percent: int = 125


@dataclass(frozen=True, slots=True, kw_only=True)
class PastBill:
    """What the checks need of an earlier bill."""

    period: str
    days: int
    energy_wh: int
    total_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTotal:
    """The bills of one run of one district together."""

    period: str
    bills: int
    total_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckHit:
    """A check that asks for a person, with the numbers it saw; `unit` is that of the numbers."""

    check: str
    observed: int
    limit: int
    unit: str
    text: str = ""


def past_bill(bill: Bill) -> PastBill:
    """An issued bill as history for later checks."""
    return PastBill(
        period=bill.period,
        days=days_between(bill.from_on, bill.until_on),
        energy_wh=bill.energy_wh,
        total_fen=bill.total_fen,
    )


def check_bill(bill: Bill, history: Sequence[PastBill], rules: CheckRules) -> tuple[CheckHit, ...]:
    """Every check that hits a bill; a withheld bill is no bill yet and must not come here."""
    assert not bill.withheld, f"the bill {bill.account} {bill.period} is withheld"
    hits = []
    if rules.zero and bill.energy_wh == 0:
        hits.append(CheckHit(check="zero", observed=0, limit=0, unit="Wh"))
    if rules.negative and bill.total_fen < 0:
        hits.append(CheckHit(check="negative", observed=bill.total_fen, limit=0, unit="fen"))
    if rules.estimated and bill.estimated:
        hits.append(CheckHit(check="estimated", observed=1, limit=0, unit="count"))
    if rules.first and not history:
        hits.append(CheckHit(check="first", observed=0, limit=1, unit="count"))
    if rules.after_exchange and bill.exchanged:
        hits.append(CheckHit(check="after_exchange", observed=1, limit=0, unit="count"))
    if rules.tou_basis and bill.blocked_days:
        hits.append(CheckHit(check="tou_basis", observed=bill.blocked_days, limit=0, unit="day"))
    if rules.warning:
        hits += [
            CheckHit(check="warning", observed=1, limit=0, unit="count", text=_warning(each))
            for each in bill.warnings
        ]
    return (*hits, *_jumps(bill, history, rules))


def check_run(run: RunTotal, last: RunTotal | None, rules: CheckRules) -> tuple[CheckHit, ...]:
    """Whether a run's total is out of its band around the last comparable run's.

    Without a last run there is nothing to compare with, and people release it.
    """
    if last is None:
        return (CheckHit(check="run_first", observed=run.total_fen, limit=0, unit="fen"),)
    low_fen = floor_div(last.total_fen * rules.run_low_percent, 100)
    high_fen = floor_div(last.total_fen * rules.run_high_percent, 100)
    if low_fen <= run.total_fen <= high_fen:
        return ()
    limit_fen = low_fen if run.total_fen < low_fen else high_fen
    return (CheckHit(check="run_total", observed=run.total_fen, limit=limit_fen, unit="fen"),)


def release_of(bill_hits: Iterable[CheckHit], run_hits: Iterable[CheckHit] = ()) -> str:
    """Who must release a bill: nobody, one person, or two for a run out of its band."""
    if any(run_hits):
        return TWO_PEOPLE
    return ONE_PERSON if any(bill_hits) else AUTOMATIC


def _warning(finding: Finding) -> str:
    return ": ".join(each for each in (finding.point, finding.rule, finding.text) if each)


def _jumps(bill: Bill, history: Sequence[PastBill], rules: CheckRules) -> list[CheckHit]:
    """Daily use against the average of the past bills, in integers throughout."""
    days = days_between(bill.from_on, bill.until_on)
    past_days = sum(each.days for each in history)
    past_wh = sum(each.energy_wh for each in history)
    now, past = bill.energy_wh * past_days, past_wh * days
    if abs(now - past) < rules.jump_floor_wh * days * past_days or not past_days:
        return []
    if 100 * now > rules.jump_high_percent * past:
        percent = rules.jump_high_percent
    elif 100 * now < rules.jump_low_percent * past:
        percent = rules.jump_low_percent
    else:
        return []
    limit_wh = floor_div(past_wh * percent, 100 * past_days)
    observed_wh = floor_div(bill.energy_wh, days)
    return [CheckHit(check="jump", observed=observed_wh, limit=limit_wh, unit="Wh/day")]
