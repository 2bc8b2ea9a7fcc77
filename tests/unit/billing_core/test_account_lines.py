"""What one account alone is charged reaches its invoice, and a change of it a numbered round."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from services.billing.events import CorrectionIssued, InvoiceIssued
from tests.unit.billing_core.office import (
    billed_office,
    component,
    external_line,
    month_of_usage,
    only,
    sides,
    since_december,
)


def with_lines(*lines: Any, version: int = 2, **changes: Any) -> Any:
    return replace(since_december(version=version, **changes), external_lines=lines)


def test_a_component_from_within_the_month_counts_from_its_day() -> None:
    made = billed_office(*month_of_usage("2026-01"))
    agreed = replace(since_december(), components=(component("x", "2026-01-11"),))
    made.feed(agreed)
    invoice = only(made.tick("2026-02-02"), InvoiceIssued)
    assert [(line.code, line.quantity, line.amount_fen) for line in invoice.bill.lines] == [
        ("energy", 100_000, 5_000),
        ("energy", 210_000, 10_500),
        ("account.x", 210_000, 210),
    ]


def test_another_amount_of_the_trading_centre_is_a_round() -> None:
    made = billed_office(with_lines(external_line("D1")), *month_of_usage("2026-01"))
    invoice = only(made.tick("2026-02-02"), InvoiceIssued)
    assert invoice.total_fen == 15_500 - 500
    made.feed(with_lines(replace(external_line("D1"), amount_fen=-700), version=3))
    found = only(made.tick("2026-02-10"), CorrectionIssued)
    assert (found.difference_fen, found.cause) == (-200, "wrong_agreement")
    assert sides(found) == [("A1-2026-01", "credit", "external.D1.market", -200, -200)]
    made.feed(with_lines(replace(external_line("D1"), amount_fen=-500), version=4))
    again = only(made.tick("2026-02-12"), CorrectionIssued)
    assert (again.round_no, again.difference_fen) == (2, 200)
    made.check_folds()
