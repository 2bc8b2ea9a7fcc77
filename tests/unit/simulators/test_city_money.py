"""The demo's checks about settlement can fail: each is shown what should not be."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from simulators.city import settlement, transfers
from simulators.city.facts import Facts
from simulators.city.population import make_city

KEY = "wechat:1900000001"
Own = dict[str, list[dict[str, Any]]]


def facts(own: Own) -> Facts:
    """What the topics say, without topics."""
    found = defaultdict(list, own)

    def of(name: str, **wanted: Any) -> list[dict[str, Any]]:
        return [
            body for body in found[name] if all(body.get(n) == value for n, value in wanted.items())
        ]

    plan = SimpleNamespace(bank=settlement.Bank())
    return Facts(make_city(1), SimpleNamespace(own=found, of=of), plan)  # type: ignore[arg-type]


def line(role: str, sub_account: str, fen: int) -> dict[str, Any]:
    amounts = {"debit_fen": max(fen, 0), "credit_fen": max(-fen, 0)}
    return {"ledger_account": role, "sub_account": sub_account, **amounts}


def week() -> Own:
    """Four days at zero with fees, and one that waits for its payout."""
    days = ["2026-02-12", "2026-02-19", "2026-02-24", "2026-02-25"]
    closed = [{"_key": KEY, "day_on": day, "clearing_fen": 0} for day in days]
    booked = [
        {
            "journal": {
                "lines": [
                    line("channel_clearing", f"{KEY}:{day}", 100),
                    line("channel_clearing", f"{KEY}:{day}", -100),
                    line("channel_fee", f"{KEY}:{day}", 1),
                ]
            }
        }
        for day in days
    ]
    waits = {"journal": {"lines": [line("channel_clearing", f"{KEY}:2026-03-03", 700)]}}
    stated = {"_key": KEY, "day_on": "2026-03-03", "clearing_fen": 700}
    return {
        "payments.day_closed": closed,
        "payments.day_stated": [*closed, stated],
        "payments.payout_booked": [*booked, waits],
        "payments.settlement_judged": [{"_time": "2026-03-04T16:30:00Z"}],
    }


def test_clearing_holds_and_does_not() -> None:
    own = week()
    assert settlement.clearing(facts(own)).holds
    own["payments.day_stated"][-1]["clearing_fen"] = 699
    assert "2026-03-03" in settlement.clearing(facts(own)).found
    assert not settlement.clearing(facts(own)).holds
    own = week()
    del own["payments.day_closed"][1]
    assert not settlement.clearing(facts(own)).holds
    own = week()
    own["payments.payout_booked"][0]["journal"]["lines"][1]["credit_fen"] = 99
    assert not settlement.clearing(facts(own)).holds


@pytest.mark.parametrize("check", [*settlement.CHECKS[1:], *transfers.CHECKS])
def test_nothing_that_happened_is_not_enough(check: Any) -> None:
    assert not check(facts({})).holds


def test_channels_pay_on_the_next_working_day() -> None:
    due = {
        day: settlement.working_day_after(date.fromisoformat(day)).isoformat()
        for day in ("2026-02-12", "2026-02-13", "2026-02-14", "2026-02-19", "2026-03-13")
    }
    assert due == {
        "2026-02-12": "2026-02-13",
        "2026-02-13": "2026-02-14",
        "2026-02-14": "2026-02-24",
        "2026-02-19": "2026-02-24",
        "2026-03-13": "2026-03-16",
    }


def test_the_seven_live_in_homes_without_a_story() -> None:
    city = make_city(1)
    own = {transfers.ADVANCE, transfers.WRONG, *transfers.GROUP}
    others = {city.cast[role] for role in city.cast.keys() - own}
    assert len(own) == 7
    assert not others & {city.cast[role] for role in own}
