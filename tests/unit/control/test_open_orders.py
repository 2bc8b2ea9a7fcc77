"""While an order may still be paid nobody is cut; a command under way stops."""

from __future__ import annotations

import pytest

from services.control.events import CommandCancelled, InterlocksJudged
from services.control.order_events import OrdersNoted
from tests.unit.control.samples import ACCOUNT, Desk, granted, ordered


def denied(desk: Desk) -> list[str]:
    last = desk.noted(InterlocksJudged)[-1]
    return [verdict.name for verdict in last.verdicts if not verdict.allows]


def test_open_orders_are_noted_when_they_change() -> None:
    desk = Desk()
    assert desk.give(ordered()) == [], "as nobody ever told of any"
    noted = OrdersNoted(account_no=ACCOUNT, open_orders=("O1", "O2"))
    assert desk.give(ordered("O1", "O2")) == [noted]
    assert desk.give(ordered("O1", "O2")) == []
    desk.give(ordered())
    assert desk.account.open_orders == ()


def test_a_case_that_is_ready_waits_for_the_end_of_the_order() -> None:
    desk = Desk()
    clearance_id = desk.up_to_clearance()
    desk.give(ordered("O1"))
    desk.give(granted(clearance_id, "2026-03-12T02:11:00Z"))
    assert (denied(desk), desk.commands) == (["no_payment_in_flight"], [])
    desk.tick("2026-03-12T02:15:00Z")
    assert denied(desk) == ["no_payment_in_flight"]
    desk.give(ordered())
    desk.tick("2026-03-12T02:20:00Z")
    desk.give(granted(desk.clearance_id, "2026-03-12T02:21:00Z"))
    assert len(desk.commands) == 1


@pytest.mark.parametrize("orders", [("O1",), ()])
def test_a_command_under_way_is_cancelled_by_a_new_order_only(orders: tuple[str, ...]) -> None:
    desk = Desk()
    desk.give(ordered("O0"))
    desk.give(ordered())
    desk.up_to_command()
    desk.give(ordered(*orders))
    cancelled = [event.reason for event in desk.noted(CommandCancelled)]
    assert cancelled == (["no_payment_in_flight"] if orders else [])
