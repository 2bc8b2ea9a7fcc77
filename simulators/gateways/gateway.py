"""The gateways' business: payments, refunds, and the misbehaviour asked for.

Transaction numbers derive from the seed and the payment itself (and a count, for a second payment
of the same kind), so a history played again has the same numbers.

Example:
    await gateways.pay("1000000042126010001", 12345, "wechat", at, Faults(copies=50))
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

from libs.events.errors import BadInput
from simulators.gateways.bills import Bill, Fact, bill_of
from simulators.gateways.callbacks import CHINA, Callback, Payment, Refund, Twist, build
from simulators.gateways.delivery import Answer, Delivery
from simulators.gateways.keys import POS_MERCHANT, POS_TERMINAL, KeySet

CHANNELS = ("wechat", "alipay", "pos")
OUTCOMES = ("SUCCESS", "ABNORMAL", "CLOSED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How a callback is sent, and what is wrong with it.

    copies: that many at once; delay_s: sent that much later (wall time); twist: see `Twist`. A
    probe is followed by the right callback, as WeChat does it; other wrong callbacks are not.
    silent: the callback is lost, so that only a query or the channel's file tells of the payment.
    """

    copies: int = 1
    delay_s: float = 0.0
    silent: bool = False
    twist: Twist = field(default_factory=Twist)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one request: the channel's number and the last answer to each copy."""

    txn_id: str
    answers: tuple[Answer, ...]
    held: bool = False


class Gateways:
    """All three gateways, sending to one edge."""

    def __init__(self, keys: KeySet, delivery: Delivery, seed: int = 0) -> None:
        self.keys = keys
        self.delivery = delivery
        self.seed = seed
        self.payments: dict[str, Payment] = {}
        self.facts: list[Fact] = []
        self.refunded_fen: Counter[str] = Counter()
        self.holding = False
        self.held: list[Coroutine[Any, Any, Result]] = []
        self.sending = 0
        self._repeats: Counter[str] = Counter()
        self._random = random.Random(seed)

    async def pay(
        self,
        order: str,
        amount_fen: int,
        channel: str,
        at: datetime,
        faults: Faults | None = None,
        *,
        payer: str = "",
        coupon_fen: int = 0,
    ) -> Result:
        """A payment happens at `at` (business time) and its callback is sent (wall time).

        `order` is empty for money without an order. BadInput for what no gateway could do.
        """
        _check(channel in CHANNELS, "channel", f"is none of {', '.join(CHANNELS)}")
        _check(amount_fen > 0, "amount_fen", "is not above zero")
        _check(0 <= coupon_fen <= amount_fen, "coupon_fen", "is not within the amount")
        payment = self._payment(order, amount_fen, channel, at, payer, coupon_fen)
        self.payments[payment.txn_id] = payment
        twist = (faults or Faults()).twist
        if twist.probe or not twist.wrong(channel):
            self.facts.append(payment)
        return await self._submit(payment, payment.txn_id, faults or Faults())

    async def refund(
        self,
        txn_id: str,
        refund_fen: int,
        at: datetime,
        faults: Faults | None = None,
        *,
        outcome: str = "SUCCESS",
    ) -> Result:
        """A refund of a payment ends with `outcome` at `at`, and its callback is sent."""
        payment = self.payments.get(txn_id)
        if payment is None:
            raise BadInput("txn_id", f"{txn_id!r} is no payment made here", "pay first")
        _check(outcome in OUTCOMES, "outcome", f"is none of {', '.join(OUTCOMES)}")
        rest_fen = payment.amount_fen - self.refunded_fen[txn_id]
        _check(0 < refund_fen <= rest_fen, "refund_fen", f"is not within {rest_fen} left")
        number = self._number("refund", txn_id, refund_fen, at.isoformat())
        if outcome == "SUCCESS":
            self.refunded_fen[txn_id] += refund_fen
        refund = Refund(
            payment=payment,
            refund_no=f"REF{number[:20]}",
            refund_fen=refund_fen,
            total_fen=self.refunded_fen[txn_id],
            at=at,
            outcome=outcome,
        )
        if outcome == "SUCCESS":
            self.facts.append(refund)
        return await self._submit(refund, txn_id, faults or Faults())

    def paid(self, order: str) -> Payment | None:
        """The payment of an order, the last one of several; None for none."""
        found = [payment for payment in self.payments.values() if payment.order == order]
        return found[-1] if order and found else None

    async def tell(self, fact: Refund, txn_id: str) -> Result:
        """Send the callback of a refund that the merchant asked for."""
        return await self._submit(fact, txn_id, Faults())

    def bill(self, channel: str, day: date) -> Bill | None:
        """The settlement file of a channel's day; None when nothing was traded. What a wrong
        callback said never happened."""
        _check(channel in CHANNELS, "channel", f"is none of {', '.join(CHANNELS)}")
        return bill_of(channel, self.facts, day)

    def hold(self) -> None:
        """Keep callbacks back from now on, until `release`."""
        self.holding = True

    async def release(self, order: str = "sent") -> list[Result]:
        """Send what was held, one after the other: as `sent`, `reversed` or `shuffled`."""
        _check(order in ("sent", "reversed", "shuffled"), "order", "is no order we know")
        held, self.held, self.holding = self.held, [], False
        if order == "reversed":
            held.reverse()
        elif order == "shuffled":
            self._random.shuffle(held)
        return [await sending for sending in held]

    @property
    def idle(self) -> bool:
        """Whether nothing is being sent, waiting for a retry, or held back."""
        return self.sending == 0 and not self.held

    def close(self) -> None:
        """Drop what was held back."""
        for sending in self.held:
            sending.close()
        self.held.clear()

    async def _submit(self, fact: Payment | Refund, txn_id: str, faults: Faults) -> Result:
        _check(faults.copies > 0, "copies", "is not above zero")
        if faults.silent:
            return Result(txn_id=txn_id, answers=())
        sending = self._send(fact, txn_id, faults)
        if self.holding:
            self.held.append(sending)
            return Result(txn_id=txn_id, answers=(), held=True)
        return await sending

    async def _send(self, fact: Payment | Refund, txn_id: str, faults: Faults) -> Result:
        self.sending += 1
        try:
            await asyncio.sleep(faults.delay_s)
            answers = await self._send_twisted(fact, txn_id, faults, faults.twist)
            if faults.twist.probe:
                answers += await self._send_twisted(fact, txn_id, faults, Twist())
            return Result(txn_id=txn_id, answers=tuple(answers))
        finally:
            self.sending -= 1

    async def _send_twisted(
        self, fact: Payment | Refund, txn_id: str, faults: Faults, twist: Twist
    ) -> list[Answer]:
        payment = fact if isinstance(fact, Payment) else fact.payment
        event_id = self._number("event", txn_id, type(fact).__name__, fact.at.isoformat())
        wrong = twist.wrong(payment.channel)
        notes = {
            "op": "pay" if isinstance(fact, Payment) else "refund",
            "channel": payment.channel,
            "txn_id": txn_id,
            "order": payment.order,
            "amount_fen": payment.amount_fen if isinstance(fact, Payment) else fact.refund_fen,
            "at": fact.at.isoformat(),
            "twist": {name: value for name, value in asdict(twist).items() if value},
            "expected": "refused" if wrong else "taken",
        }

        def signed_now() -> Callback:
            return build(self.keys, fact, twist, event_id, int(time.time()))

        return await self.delivery.send(
            payment.channel, signed_now, notes, copies=faults.copies, retry=not wrong
        )

    def _payment(
        self, order: str, amount_fen: int, channel: str, at: datetime, payer: str, coupon_fen: int
    ) -> Payment:
        number = self._number(channel, order, amount_fen, at.isoformat())
        day = at.astimezone(CHINA).strftime("%Y%m%d")
        batch, stan, rrn = number[:6], number[6:12], number[12:24]
        txn_id = {
            "wechat": f"42000000{day}{number[:12]}",
            "alipay": f"{day}2200{number[:16]}",
            "pos": f"{POS_MERCHANT}-{POS_TERMINAL}-{batch}-{stan}-{day}",
        }[channel]
        default_payer = {
            "wechat": f"oSIM{number[:24]}",
            "alipay": f"2088{number[:12]}",
            "pos": f"622848{'*' * 9}{number[:4]}",
        }[channel]
        return Payment(
            channel=channel,
            order=order,
            amount_fen=amount_fen,
            at=at,
            txn_id=txn_id,
            payer=payer or default_payer,
            coupon_fen=coupon_fen,
            stan=stan,
            batch=batch,
            rrn=rrn,
        )

    def _number(self, *parts: str | int) -> str:
        """24 digits that are the same in every run for the n-th occurrence of the parts."""
        text = "|".join(str(part) for part in (self.seed, *parts))
        self._repeats[text] += 1
        digest = hashlib.sha256(f"{text}|{self._repeats[text]}".encode()).digest()
        return str(int.from_bytes(digest, "big"))[-24:].zfill(24)


def _check(holds: bool, name: str, problem: str) -> None:
    if not holds:
        raise BadInput(name, problem)
