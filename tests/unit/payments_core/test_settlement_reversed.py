"""Card sales that their terminal took back, as the settlement stage closes their days."""

from __future__ import annotations

from services.payments.settlement.events import DayClosed, DiscrepancyFound
from services.payments.settlement.rows import REFUND
from tests.unit.payments_core.settling import Desk, row


def test_a_sale_reversed_after_midnight_holds_both_days_together() -> None:
    """No file has either; the days say why something is left, and close with the later payout."""
    desk = Desk()
    desk.book("T1", 10000, day_on="2026-01-28")
    desk.book("S1", 700, day_on="2026-01-28")
    desk.book("S1", 700, name="back", day_on="2026-01-29", kind=REFUND)
    desk.bill("2026-01-28", row("T1", 10000, day_on="2026-01-28"))
    desk.bank("2026-01-29", 10000)
    desk.tick("2026-01-29")
    assert desk.told(DayClosed) == []
    desk.bill("2026-01-29")
    desk.tick("2026-01-30")
    assert [(each.day_on, each.clearing_fen, each.causes) for each in desk.told(DayClosed)] == [
        ("2026-01-28", 700, {"reversed": 700}),
        ("2026-01-29", -700, {"reversed": -700}),
    ]
    assert desk.told(DiscrepancyFound) == []
