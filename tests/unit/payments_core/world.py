"""The payments core over logs in memory: real records, real folds, arrival order as the test wants.

world = World()
world.notice("A", 100, order="...")      queue an input
world.run()                              decide all, also what the core sends to itself
world.told(PaymentCaptured)              own events so far
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, TypeVar

from libs.events.batch import Batch, Bounds, decide_input
from libs.events.codec import Codec, encode, envelope_of
from libs.events.core import Tick
from libs.events.fold import Fold
from libs.events.record import Envelope, Outgoing, Record, envelope_headers, partition_of
from services.payments.core import make_core
from services.payments.events import BindingPart, BindingRequested
from services.payments.journal import CHART, JournalEntry, sub_balances
from services.payments.notices import Evidence, NoticeReceived, PaymentNotice
from services.payments.order_number import make_order_number
from services.payments.payable_events import PayoutRecorded
from services.payments.policy import DEFAULT_POLICY, Policy
from services.payments.reactions import (
    AccountOpened,
    ClearanceAsked,
    CorrectionIssued,
    FeedInCorrected,
    FeedInStated,
    InvoiceIssued,
    LateFeeCharged,
    Opening,
    OpeningReceivable,
)
from services.payments.state import Account, Page
from services.payments.transactions import page_of
from services.payments.webhooks import notice_key
from services.wiring import on_table

T = TypeVar("T")
A, B, C = "1000000042", "1000000043", "1000000099"
START = "2026-03-02T02:00:00Z"  # 10:00 in the utility's zone
CLEARING = "wechat:1900000001:2026-03-01"
_BOUNDS = Bounds(inputs_max=1 << 30, outgoing_max=1 << 30, bytes_max=1 << 40)


def order_of(account_no: str, sequence: str = "26030001") -> str:
    return make_order_number(account_no, sequence)


def received(
    txn: str = "T1",
    amount_fen: int = 10000,
    order: str = "",
    *,
    evidence_id: str = "ev-1",
    kind: str = "captured",
    channel: str = "wechat",
    occurred_at: str = "2026-03-01T02:00:00Z",
    verdict: str = "accepted",
    cause: str = "",
    **changes: Any,
) -> NoticeReceived:
    """What the edge writes about one callback."""
    notice = PaymentNotice(
        channel=channel,
        merchant="1900000001",
        kind=kind,
        state="SUCCESS",
        channel_txn_id=txn,
        out_trade_no=order,
        amount_fen=amount_fen,
        payer_total_fen=amount_fen,
        currency=changes.pop("currency", "CNY"),
        occurred_at=occurred_at,
        bill_on="2026-03-01",
        **changes,
    )
    evidence = Evidence(
        evidence_id=evidence_id,
        body_sha256="",
        sealed_body="",
        nonce="",
        key_id="",
        headers={},
        remote_ip_hash="",
        received_at=occurred_at,
    )
    is_accepted = verdict == "accepted"
    return NoticeReceived(
        verdict=verdict,
        cause=cause,
        detail="",
        channel=channel,
        merchant="1900000001",
        key=notice_key(notice, evidence_id) if is_accepted else f"{channel}:{evidence_id}",
        notice=notice if is_accepted else None,
        evidence=evidence,
    )


class World:
    """All partitions of the core, decided one input at a time."""

    def __init__(self, partitions: int = 2, policy: Policy = DEFAULT_POLICY, at: str = START):
        self.partitions = partitions
        self.core = on_table(make_core("test", policy), partitions)
        self.codec = Codec(self.core.catalogue)
        self.folds = [Fold(self.core, number) for number in range(partitions)]
        self.queues: dict[tuple[str, int], list[Record]] = {}
        self.positions: dict[tuple[str, int], int] = {}
        self.events: list[tuple[str, Any]] = []
        self.sent: list[tuple[str, str, Any]] = []
        self.own: list[list[tuple[str, Any]]] = [[] for _ in range(partitions)]
        self.last: list[Any] = []
        self._numbers = 0
        self.tick(at)
        self.run()

    # -- inputs -----------------------------------------------------------------------------

    def feed(self, topic: str, key: str, body: object) -> None:
        """Queue one input under its key."""
        self._append(topic, partition_of(key, self.partitions), key, body)

    def tick(self, at: str) -> None:
        """Queue business time."""
        for partition in range(self.partitions):
            self._append("calendar", partition, None, Tick(at=at))

    def take(self, body: NoticeReceived) -> None:
        """Queue a record of the edge."""
        self.feed("payments.notices", body.key, body)

    def bind(self, suspense_key: str, parts: dict[str, int], request_id: str = "r1") -> None:
        """Queue a binding of a suspense: account number -> fen."""
        request = BindingRequested(
            request_id=request_id,
            suspense_key=suspense_key,
            parts=tuple(
                BindingPart(account_no=account_no, amount_fen=amount_fen)
                for account_no, amount_fen in parts.items()
            ),
            requested_by="wang",
            reason="called",
        )
        self.feed("payments.notices", suspense_key, request)

    def invoice(self, account_no: str, number: str, total_fen: int, due_on: str) -> None:
        body = InvoiceIssued(
            invoice_no=number, account_no=account_no, total_fen=total_fen, due_on=due_on
        )
        self.feed("billing.events", account_no, body)

    def correction(self, account_no: str, number: str, difference_fen: int, due_on: str) -> None:
        body = CorrectionIssued(
            correction_no=number,
            account_no=account_no,
            difference_fen=difference_fen,
            due_on=due_on,
        )
        self.feed("billing.events", account_no, body)

    def state_feed_in(
        self,
        account_no: str,
        number: str,
        amount_fen: int,
        due_on: str = "2026-03-20",
        netting: str = "none",
    ) -> None:
        body = FeedInStated(
            statement_no=number,
            account_no=account_no,
            amount_fen=amount_fen,
            netting=netting,
            due_on=due_on,
        )
        self.feed("billing.events", account_no, body)

    def correct_feed_in(self, account_no: str, number: str, difference_fen: int) -> None:
        body = FeedInCorrected(
            correction_no=number,
            account_no=account_no,
            difference_fen=difference_fen,
            netting="none",
            due_on="2026-04-20",
        )
        self.feed("billing.events", account_no, body)

    def pay_out(self, key: str, statement_no: str, amount_fen: int, **changes: Any) -> None:
        """Queue a person's record of a transfer to an account."""
        values: dict[str, Any] = {
            "request_id": f"p/{statement_no}",
            "account_no": key,
            "statement_no": statement_no,
            "kind": "transfer",
            "amount_fen": amount_fen,
            "recorded_by": "wang",
            "reason": "",
            "bank": "icbc",
            "bank_ref": "B1",
            "paid_on": "2026-03-01",
            "evidence": "slip 7",
            **changes,
        }
        self.feed("payments.notices", key, PayoutRecorded(**values))

    def late_fee(self, account_no: str, number: str, amount_fen: int, due_on: str) -> None:
        body = LateFeeCharged(
            fee_no=number, account_no=account_no, amount_fen=amount_fen, due_on=due_on
        )
        self.feed("billing.events", account_no, body)

    def opening(
        self, account_no: str, debts: Iterable[tuple[str, int, str]], prepayment_fen: int
    ) -> None:
        opening = Opening(
            opening_id="open-1",
            account_no=account_no,
            receivables=tuple(
                OpeningReceivable(invoice_no=number, amount_fen=amount_fen, due_on=due_on)
                for number, amount_fen, due_on in debts
            ),
            prepayment_fen=prepayment_fen,
        )
        self.feed("customers.agreements", account_no, AccountOpened(opening=opening))

    def ask(self, account_no: str, *invoice_nos: str, name: str = "c1", threshold: int = 0) -> None:
        body = ClearanceAsked(
            clearance_id=name,
            account_no=account_no,
            invoice_nos=invoice_nos,
            threshold_fen=threshold,
        )
        self.feed("control.clearances", account_no, body)

    # -- running ----------------------------------------------------------------------------

    def run(self, order: random.Random | None = None) -> list[Any]:
        """Decide until nothing waits; `order` picks whose turn it is. The own events of the run."""
        begun = len(self.events)
        while waiting := [place for place, queue in self.queues.items() if queue]:
            self.step(order.choice(waiting) if order else waiting[0])
        return [body for _, body in self.events[begun:]]

    def step(self, place: tuple[str, int]) -> None:
        """Decide the next input of one topic and partition."""
        record = self.queues[place].pop(0)
        fold = self.folds[record.partition]
        batch = Batch(self.core, self.codec, lambda topic: self.partitions, _BOUNDS)
        assert decide_input(batch, fold, record, lambda part: part) is batch
        assert not batch.verdicts()["dead_lettered"], record
        self.last = [self._sort(out) for out in batch.outgoing]

    def _sort(self, out: Outgoing) -> Any:
        body = self.codec.decode(envelope_of(out.headers).type, out.value)
        key = out.key.decode() if out.key else ""
        if out.topic == self.core.own_topic:
            self.events.append((key, body))
            self.own[out.partition].append((key, body))
        elif out.topic in ("payments.postings", "payments.allocations"):  # others read these
            self.sent.append((out.topic, key, body))
        else:
            assert out.topic in ("payments.notices", "payments.transfers"), out.topic
            self.sent.append((out.topic, key, body))
            self._queue(out.topic, out.partition, key, out.value, out.headers)
        return body

    def _append(self, topic: str, partition: int, key: str | None, body: object) -> None:
        self._numbers += 1
        kind = self.core.catalogue.type_of(body)
        envelope = Envelope(f"in/{self._numbers}", kind.full_name, "test", START, key or "")
        self._queue(topic, partition, key, encode(body), envelope_headers(envelope))

    def _queue(
        self,
        topic: str,
        partition: int,
        key: str | None,
        value: bytes,
        headers: tuple[tuple[str, bytes], ...],
    ) -> None:
        place = (topic, partition)
        offset = self.positions.get(place, 0)
        self.positions[place] = offset + 1
        data = key.encode() if key else None
        record = Record(topic, partition, offset, data, value, headers)
        self.queues.setdefault(place, []).append(record)

    # -- looking ----------------------------------------------------------------------------

    def told(self, kind: type[T]) -> list[T]:
        """The own events of one type so far."""
        return [body for _, body in self.events if isinstance(body, kind)]

    def account(self, account_no: str) -> Account:
        entry = self.folds[partition_of(account_no, self.partitions)].get(account_no)
        return (entry.account if entry else None) or Account()

    def page(self, payment_id: str) -> Page:
        fold = self.folds[partition_of(payment_id, self.partitions)]
        entry = fold.get(page_of(payment_id))
        return (entry.page if entry else None) or Page()

    def accounts(self) -> dict[str, Account]:
        return {
            key: entry.account
            for fold in self.folds
            for key, entry in fold.states.items()
            if key and entry.account is not None
        }

    def entries(self) -> list[JournalEntry]:
        """Every journal entry, in the order of the events."""
        return [body.journal for _, body in self.events if hasattr(body, "journal")]

    def ledger(self) -> dict[str, dict[str, int]]:
        """The balances of all accounts of the chart, by sub-account; zeros are left out."""
        found = {role: sub_balances(self.entries(), role) for role in CHART}
        return {role: balances for role, balances in found.items() if balances}

    def check(self) -> None:
        """What must hold after any history."""
        entries = self.entries()
        for account_no, account in self.accounts().items():
            assert account.prepayment_fen >= 0
            assert all(debt.open_fen > 0 for debt in account.debts)
            assert not (account.prepayment_fen and account.debts), account
            numbers = [debt.invoice_no for debt in account.debts]
            assert len(set(numbers)) == len(numbers), numbers
            assert set(account.told) <= set(numbers)
            receivable = sub_balances(entries, "receivable").get(account_no, 0)
            prepayment = sub_balances(entries, "prepayment").get(account_no, 0)
            assert (account.receivable_fen, account.prepayment_fen) == (receivable, prepayment)
            assert all(each.open_fen > 0 for each in account.payables)
            assert not (account.overpaid_fen and account.payables), account
            payable = sub_balances(entries, "payable_feed_in").get(account_no, 0)
            assert account.payable_fen == payable
        for partition, fold in enumerate(self.folds):
            rebuilt = Fold(self.core, partition)
            for key, body in self.own[partition]:
                rebuilt.apply(key, body)
            assert rebuilt.states == fold.states
