"""The channels in the town of test_payments.py, as the effect core meets them.

They answer what they like: nothing, that they know no such order, that it waits, that it was paid.
A refund is sent to them at most once, whatever crashes; what became of it they say when asked.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from libs.events.audit import scan
from libs.events.codec import Codec, envelope_of
from libs.events.core import Core
from libs.events.effects import EffectCore, EffectLoop
from libs.events.loop import Loop
from libs.events.testing.simlog import SimLog, SimReader
from services.payments.effect.decide import Call, Outcome
from services.payments.notices import NoticeReceived
from services.payments.order_events import CLOSE, REFUND, ChannelAnswered, ChannelAsked
from tests.unit.payments_core.asking import opened
from tests.unit.payments_core.world import A, B, order_of, received

if TYPE_CHECKING:
    from tests.simulation.test_payments import Town


class Channels:
    """One town's channels. sent: refunds that reached them."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.sent: list[str] = []
        self.done: dict[str, str] = {}

    def loop(self, core: Core, log: Any, *given: Any, **named: Any) -> Loop:
        """A loop for a core of the town; the effect core's calls come here."""
        if not isinstance(core, EffectCore):
            return Loop(core, log, *given, **named)
        loop = EffectLoop(core, log, *given, **named)
        loop.perform = lambda call: self.perform(call, log)
        return loop

    def perform(self, call: Call, log: SimLog) -> Outcome:
        """A call, with crashes before and after it."""
        log.pass_fault("perform.before")
        asked = call.asked
        if asked.kind == REFUND and not call.is_look:
            assert asked.refund_no not in self.sent, f"{asked.refund_no} was sent twice"
            self.sent.append(asked.refund_no)
        outcome = self._about_refund(asked) if asked.refund_no else self._about_order(asked)
        log.pass_fault("perform.after")
        return replace(outcome, looked=call.is_look)

    def _about_order(self, asked: ChannelAsked) -> Outcome:
        town, random = self.town, self.town.random
        said = random.choice(("unanswered", "not_found", "pending", "paid", "paid", "failed"))
        if asked.kind == CLOSE and said != "paid":
            return Outcome(outcome=random.choice(("closed", "unanswered")))
        if said in ("unanswered", "not_found"):
            return Outcome(outcome=said)
        txn = {A: "T2", B: "T1"}.get(asked.account_no, "")
        if said != "paid" or not txn:
            kind = said if said == "failed" else "pending"
            cause = "channel_declined" if kind == "failed" else ""
            body = self._states(asked, "", 0, kind=kind)
            return Outcome(outcome="answered", cause=cause, received=body)
        received_of = self._states(asked, txn, town.amounts[txn])
        return Outcome(outcome="answered", received=received_of)

    def _about_refund(self, asked: ChannelAsked) -> Outcome:
        number = asked.refund_no
        if number not in self.sent:
            return Outcome(outcome="not_found")
        if self.town.random.random() < 0.4:
            return Outcome(outcome=self.town.random.choice(("unanswered", "refused")))
        # What a refund came to never changes.
        how = self.done.setdefault(number, self.town.random.choice(("", "succeeded", "closed")))
        txn = asked.payment_id.partition(":")[2]
        back = {"refund_no": number, "refund_fen": asked.refund_fen, "refund_outcome": how}
        said = self._states(asked, txn, 0, kind="refund", original_txn_id=txn, **back)
        return Outcome(outcome="answered", received=said)

    def _states(self, asked: ChannelAsked, txn: str, fen: int, **more: Any) -> NoticeReceived:
        name = f"q/{asked.command_id}"
        body = received(txn, fen, asked.out_trade_no, evidence_id=name, **more)
        return replace(body, source="query")


def told_by_channels(town: Town) -> set[str]:
    """The payments that answers told of; one that a crash lost before it was written told nobody.

    Asked again, these channels may say something else.
    """
    reader, codec, told = SimReader(town.sim.broker), Codec(town.effect.catalogue), set[str]()
    for partition in range(town.sim.partitions):
        for record in scan(reader, "payments.results", partition):
            envelope = envelope_of(record.headers)
            body = codec.decode(envelope.type, record.value) if envelope.cause else None
            if isinstance(body, ChannelAnswered) and body.received and not body.refund_no:
                notice = body.received.notice
                if notice is not None and notice.channel_txn_id:
                    told.add(f"{notice.channel}:{notice.channel_txn_id}")
    return told


def open_order(town: Town, accounts: tuple[str, ...]) -> None:
    """A payer is shown an order: the account's usual one, or another amount under its number."""
    account_no = town.random.choice(accounts)
    sequence = town.random.choice(("26030001", "26030001", f"S{town.number}"))
    amount_fen = town.random.choice((10000, 10000, 0))
    body = opened(
        order_of(account_no, sequence),
        amount_fen,
        life_min=town.random.choice((0, 5, 700)),
    )
    town.write_notice(account_no, body)
