"""The relay opens in one corner only: wrong inputs in any mixture, decided by the core itself.

Eighteen inputs, one for each interlock of an open command, each right or wrong. Every mixture of
fourteen that no other input contains, 16,384 in all, and each of the eighteen alone and in pairs,
is decided at the moment when payments grant; only the one with everything right may command. Each
wrong input alone is also said by the interlock that is meant to catch it. The product of all that
the interlocks look at is in test_interlock_corners.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from libs.events.core import Item
from services.control.decide import decide
from services.control.events import CommandIssued, InterlocksJudged
from services.control.interlocks import BEFORE_COMMAND
from services.control.safety_facts import Dispute
from services.control.state import Account, Case, Command, Hold, Shared
from tests.unit.control.samples import ACCOUNT, IN_WINDOW, POINT, Desk, granted
from tests.unit.control.test_interlocks import ANSWERS, FINE, FORM, GRANT, SCHOOL

Change = Callable[[Account], Account]


def with_case(account: Account, **changes: object) -> Account:
    ((case_id, case),) = account.cases.items()
    return replace(account, cases={case_id: replace(case, **changes)})


def with_point(account: Account, **changes: object) -> Account:
    point = replace(account.points[POINT], **changes)
    return replace(account, points={**account.points, POINT: point})


def case_of(account: Account) -> Case:
    return next(iter(account.cases.values()))


def noted_with(account: Account, **changes: Any) -> Account:
    noted = account.points[POINT].noted
    assert noted is not None
    return with_point(account, noted=replace(noted, **changes))


WRONG: dict[str, Change] = {
    "debt_still_open": lambda a: replace(
        a, debts=tuple(replace(debt, open_fen=0) for debt in a.debts)
    ),
    "debt_old_enough": lambda a: replace(
        a, debts=tuple(replace(debt, due_on="2026-02-10") for debt in a.debts)
    ),
    "debt_is_the_noticed_one": lambda a: with_case(a, noticed=("INV0",)),
    "notice_served": lambda a: with_case(a, served_at=""),
    "final_notice": lambda a: with_case(a, final_served_at="2026-03-12T02:00:00Z"),
    "notice_not_expired": lambda a: with_case(a, expires_at=IN_WINDOW),
    "within_window": lambda a: with_case(a, window_from_at="2026-03-12T02:10:01Z"),
    "permitted_hour": lambda a: with_case(a, window_to_at="2026-03-12T09:00:01Z"),
    "not_protected": lambda a: replace(
        a, terms=tuple(replace(terms, protected="school") for terms in a.terms)
    ),
    "approvals_by_three_different_people": lambda a: with_case(a, unit_head="wang"),
    "point_matches": lambda a: with_case(a, meter_no="M0"),
    "not_cut_already": lambda a: with_point(a, holds=(Hold(reason="works", owner="works"),)),
    "switching_method_remote": lambda a: noted_with(a, switching_method="field_ticket"),
    "clearance_fresh": lambda a: with_case(
        a,
        clearance=replace(case_of(a).clearance, invoice_nos=("INV0",)),  # type: ignore[type-var]
    ),
}
WRONG_TOO: dict[str, Change] = {
    "notice_period": lambda a: with_case(a, served_at="2026-03-05T02:00:01Z"),
    "no_case_unknown": lambda a: with_point(a, command=UNDER_WAY),
    "no_correction_open": lambda a: replace(a, corrections=("r1/P1",)),
    "no_payment_in_flight": lambda a: replace(a, open_orders=("10000000421A7",)),
    "no_open_dispute": lambda a: replace(a, disputes=(Dispute(dispute_id="r1", raised_by="chen"),)),
    "no_protection_in_force": lambda a: replace(
        a, protections=(replace(SCHOOL, until_on="2026-03-12"),)
    ),
    "notice_in_form": lambda a: with_case(a, notice_form=replace(FORM, channel="hearsay")),
    "final_notice_in_form": lambda a: with_case(a, final_form=replace(FORM, evidence="none")),
    "no_weather_alarm": lambda a: noted_with(a, area="A2"),
    "data_fresh": lambda a: with_point(a, contact=replace(ANSWERS, data_to_on="2026-02-01")),
    "meter_reachable": lambda a: with_point(a, contact=replace(ANSWERS, is_reachable=False)),
    "match_verified": lambda a: with_point(a, matched=None),
    "not_kept_supplied": lambda a: with_point(a, kept="P1.7"),
    "permit_reserved": lambda a: with_case(
        a,
        permit=replace(case_of(a).permit, hour_at="2026-03-12T01:00:00Z"),  # type: ignore[type-var]
    ),
}
UNDER_WAY = Command(
    command_id="P1.1",
    seq=1,
    action="permit_close",
    case_id="",
    clearance_id="",
    valid_until_at="2026-03-12T02:05:00Z",
)


@pytest.fixture(scope="module")
def desk() -> Desk:
    made = Desk()
    made.up_to_clearance()
    return made


class Holding:
    """A view that holds one account."""

    as_of = IN_WINDOW
    shared = Shared(weather=(FINE, replace(FINE, area="A2", alarm="storm")))

    def __init__(self, account: Account) -> None:
        self.account = account

    def get(self, key: str) -> Account:
        return self.account


def decided(account: Account, clearance_id: str) -> list[object]:
    body = granted(clearance_id, "2026-03-12T02:11:00Z")
    item = Item("payments.events", 1, ACCOUNT, "", body, IN_WINDOW)
    return [emit.body for emit in decide(Holding(account), ACCOUNT, item)]  # type: ignore[arg-type]


@pytest.mark.wide
def test_only_one_corner_opens(desk: Desk) -> None:
    opened, walked = [], 0
    for wrong, account in corners(desk.account, list(WRONG.items())):
        walked += 1
        if any(isinstance(body, CommandIssued) for body in decided(account, desk.clearance_id)):
            opened.append(wrong)
    assert walked == 2**14
    assert opened == [()]


def corners(
    account: Account, rest: list[tuple[str, Change]], wrong: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Account]]:
    """Every combination of right and wrong inputs, with the names of the wrong ones."""
    if not rest:
        yield wrong, account
        return
    (name, change), *others = rest
    yield from corners(account, others, wrong)
    yield from corners(change(account), others, (*wrong, name))


def test_every_interlock_has_its_wrong_input() -> None:
    assert {*WRONG, *WRONG_TOO} == {interlock.name for interlock in BEFORE_COMMAND}


def test_no_pair_of_wrong_inputs_opens(desk: Desk) -> None:
    pairs = list(combinations((WRONG | WRONG_TOO).values(), 2))
    for one, other in pairs:
        for account in (other(one(desk.account)), one(other(desk.account))):
            bodies = decided(account, desk.clearance_id)
            assert not any(isinstance(body, CommandIssued) for body in bodies)
    assert len(pairs) == 378


@pytest.mark.parametrize("name", WRONG | WRONG_TOO)
def test_each_wrong_input_is_named_by_its_interlock(desk: Desk, name: str) -> None:
    account = (WRONG | WRONG_TOO)[name](desk.account)
    (judged,) = [
        body for body in decided(account, desk.clearance_id) if isinstance(body, InterlocksJudged)
    ]
    assert name in {verdict.name for verdict in judged.verdicts if not verdict.allows}
    assert GRANT.answer == "granted"
