"""Another policy bills on another day, and is another decider."""

from __future__ import annotations

from dataclasses import replace

import pytest

from libs.events.errors import BadInput
from services.billing.core import make_core
from services.billing.events import BillCalculated
from services.billing.policy import DEFAULT_POLICY, BillingPolicy
from tests.unit.billing_core.office import billed_office, month_of_usage, names


def test_another_policy_bills_later_and_is_paid_later() -> None:
    policy = BillingPolicy(bill_after_days=4, pay_within_days=30)
    made = billed_office(*month_of_usage("2026-01"), policy=policy)
    assert made.tick("2026-02-04T15:59:00Z") == []
    assert made.due() == "2026-02-04T16:00:00Z"
    found = made.tick("2026-02-04T16:00:00Z")
    assert names(found) == ["BillCalculated", "BillReleased", "InvoiceIssued"]
    assert (found[-1].issued_on, found[-1].due_on) == ("2026-02-05", "2026-03-07")


def test_another_threshold_holds_a_bill() -> None:
    checks = replace(DEFAULT_POLICY.checks, jump_high_percent=101, jump_floor_wh=0)
    usual = BillingPolicy(checks=checks)
    made = billed_office(*month_of_usage("2026-01", wh=12_000), policy=usual)
    (calculated,) = [body for body in made.tick("2026-02-05") if isinstance(body, BillCalculated)]
    assert [hit.check for hit in calculated.hits] == ["jump"]


def test_another_policy_is_another_decider() -> None:
    assert make_core("d").decider == "d"
    assert make_core("d", BillingPolicy(bill_after_days=2)).decider == "d"
    other = make_core("d", BillingPolicy(bill_after_days=3)).decider
    assert other.startswith("d+")
    assert other != make_core("d", BillingPolicy(bill_after_days=4)).decider


def test_what_is_out_of_range_is_refused() -> None:
    with pytest.raises(BadInput, match=r"pay_within_days: -1 is out of range \(give 0 to 366\)"):
        BillingPolicy(pay_within_days=-1)
