"""The effect core by itself: a command is attempted once, asked about after a crash, answered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from libs.events.core import Item, Tick
from libs.events.effects import TooLate
from libs.events.fold import Fold
from libs.events.registry import Catalogue
from services.payments.effect import decide as decisions
from services.payments.effect.core import make_core
from services.payments.effect.decide import Outcome
from services.payments.effect.events import ChannelAttempted
from services.payments.effect.state import Desk, evolve
from services.payments.order_events import ChannelAnswered, ChannelAsked
from tests.unit.payments_core.world import START, A

ASKED = ChannelAsked(
    command_id="RF1/1",
    kind="refund",
    account_no=A,
    channel="wechat",
    merchant="1900000001",
    out_trade_no="10000000421A7",
    attempt=1,
    next_at="",
    asked_at=START,
    payment_id="wechat:T1",
    refund_no="RF1",
    total_fen=10000,
    refund_fen=600,
)


class Office:
    """One partition of the effect core, driven by hand."""

    def __init__(self) -> None:
        self.fold = Fold(make_core("test"), 0)

    def item(self, body: Any) -> Item:
        return Item("payments.commands", 0, A, "", body, START)

    def decide(self, body: Any) -> list[Any]:
        return self._apply(decisions.decide(self.fold, A, self.item(body)))

    def action(self, body: Any, *, fresh: bool = True) -> Any:
        return decisions.action(self.fold, A, self.item(body), fresh)

    def conclude(self, body: Any, result: object) -> list[Any]:
        return self._apply(decisions.conclude(self.fold, A, self.item(body), result))

    def _apply(self, emits: Any) -> list[Any]:
        bodies = [emit.body for emit in emits]
        for body in bodies:
            self.fold.apply(A, body)
        return bodies


def test_a_command_is_attempted_done_and_answered() -> None:
    office = Office()
    [attempted] = office.decide(ASKED)
    assert isinstance(attempted, ChannelAttempted)
    assert (attempted.command_id, attempted.is_look) == ("RF1/1", False)
    assert not office.action(ASKED).is_look
    [answered] = office.conclude(ASKED, Outcome(outcome="answered", code="PROCESSING"))
    assert isinstance(answered, ChannelAnswered)
    assert (answered.outcome, answered.code, answered.looked) == ("answered", "PROCESSING", False)
    assert office.action(ASKED) is None


def test_after_a_crash_a_command_is_only_asked_about() -> None:
    office = Office()
    office.decide(ASKED)
    assert office.decide(ASKED) == []
    assert office.action(ASKED, fresh=False).is_look
    [answered] = office.conclude(ASKED, Outcome(outcome="not_found", looked=True))
    assert answered.looked


def test_a_refund_that_was_sent_is_never_sent_under_another_command() -> None:
    office = Office()
    office.decide(ASKED)
    office.conclude(ASKED, Outcome(outcome="unanswered"))
    again = replace(ASKED, command_id="RF1/2")
    [attempted] = office.decide(again)
    assert attempted.is_look
    assert office.action(again).is_look
    other = replace(ASKED, command_id="RF2/1", refund_no="RF2")
    office.conclude(again, Outcome(outcome="answered", looked=True))
    [attempted] = office.decide(other)
    assert not attempted.is_look


def test_a_command_that_came_too_late_to_the_wire_was_not_sent_and_may_be() -> None:
    office = Office()
    office.decide(ASKED)
    [answered] = office.conclude(ASKED, TooLate(7.0))
    assert (answered.outcome, answered.looked) == ("not_sent", False)
    assert "7.0 s passed" in answered.detail
    [attempted] = office.decide(replace(ASKED, command_id="RF1/2"))
    assert not attempted.is_look


def test_time_and_nothing_in_hand_mean_nothing() -> None:
    office = Office()
    assert office.decide(Tick(at=START)) == []
    assert office.action(Tick(at=START)) is None
    assert evolve(None, object()) is None
    assert evolve(Desk(), object()) == Desk()


def test_another_command_while_one_is_in_hand_cannot_be() -> None:
    office = Office()
    office.decide(ASKED)
    with pytest.raises(AssertionError, match="one command is in hand"):
        office.decide(replace(ASKED, command_id="RF9/1"))


def test_a_command_before_the_first_tick_has_the_time_it_was_asked() -> None:
    office = Office()
    item = Item("payments.commands", 0, A, "", ASKED, "")
    [emit] = decisions.decide(office.fold, A, item)
    assert isinstance(emit.body, ChannelAttempted)
    assert emit.body.attempted_at == START
    assert isinstance(make_core().catalogue, Catalogue)
