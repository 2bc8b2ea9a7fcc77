"""Money that reaches an account: callbacks, transfers out of suspense, and captures taken back.

A payment is `channel:transaction`. A copy of one that was taken is repeated or in conflict; one
older than the horizon, or without a transaction number, could be a copy that nobody recognises any
more and goes to suspense; everything else is captured, whoever expected it.
"""

from __future__ import annotations

from services.payments import journal, orders, page_returns, refunds, returns
from services.payments.days import day_number, day_of
from services.payments.draft import ALLOCATIONS, NOTICES, Draft
from services.payments.events import (
    NoticeConflicted,
    NoticeNoted,
    NoticeRefused,
    NoticeRepeated,
    PaymentCaptured,
    PaymentClaimed,
    PaymentForwarded,
    PaymentReversed,
    ReversalOrdered,
    TransferMade,
)
from services.payments.money_back import back_of, original_of
from services.payments.notices import MONEY_BACK, NoticeReceived, PaymentNotice
from services.payments.seen import Seen, digest_of, find


def money_of(received: NoticeReceived) -> PaymentNotice | None:
    """The notice, when it says that money was paid to us."""
    notice = received.notice
    if received.verdict != "accepted" or notice is None:
        return None
    return notice if notice.kind == "captured" and notice.amount_fen > 0 else None


def is_about_payment(received: NoticeReceived) -> bool:
    """Whether a notice is about one payment: money that was paid, or that goes back."""
    notice = received.notice
    if money_of(received) is not None:
        return True
    return received.verdict == "accepted" and notice is not None and notice.kind in MONEY_BACK


def payment_id_of(received: NoticeReceived, notice: PaymentNotice) -> str:
    """`channel:transaction`; without a transaction number each copy is its own."""
    return f"{notice.channel}:{notice.channel_txn_id or received.evidence.evidence_id}"


def without_money(draft: Draft, received: NoticeReceived) -> None:
    """A callback that moves no money is evidence, and stays."""
    notice = received.notice
    if received.verdict != "accepted" or notice is None:
        draft.note(
            NoticeRefused(
                evidence_id=received.evidence.evidence_id,
                channel=received.channel,
                cause=received.cause,
            )
        )
    else:
        reason = "nothing was paid" if notice.kind == "captured" else ""
        draft.note(_noted(received, notice, reason))


def on_money(draft: Draft, received: NoticeReceived, notice: PaymentNotice) -> None:
    """Money with an order number of this account: captured once."""
    payment_id = payment_id_of(received, notice)
    known = draft.taken("payment", payment_id)
    step = returns.step_of(draft, payment_id, "captured")
    if known is not None and step.action == "repeat":
        _compare(draft, received, notice, known)
        orders.on_paid(
            draft,
            notice.out_trade_no,
            payment_id,
            known.amount_fen,
            received.source,
            is_new=False,
        )
    elif not notice.channel_txn_id:
        _forward(draft, received, notice, "no_transaction_number")
    elif _age_days(draft, notice) > draft.policy.horizon_days:
        _forward(draft, received, notice, "older_than_horizon")
    else:
        _capture(draft, received, notice)


def orderless(received: NoticeReceived, notice: PaymentNotice, payment_id: str) -> PaymentForwarded:
    """Money without a valid order number, as the list of transactions takes it."""
    return _forwarded(received, notice, payment_id, "", "no_order")


def on_transfer(draft: Draft, transfer: TransferMade) -> None:
    """Money bound to this account out of suspense: captured once per transfer."""
    if draft.taken("transfer", transfer.transfer_id) is not None:
        return
    parts = draft.spread(transfer.amount_fen)
    _tell(
        draft,
        PaymentCaptured(
            payment_id=transfer.payment_id,
            account_no=draft.key,
            channel=transfer.channel,
            out_trade_no="",
            amount_fen=transfer.amount_fen,
            occurred_at=transfer.occurred_at,
            source="transfer",
            allocations=parts.allocations,
            prepayment_fen=parts.prepayment_fen,
            journal=journal.transfer_received(account_no=draft.key, parts=parts),
            evidence_id=transfer.evidence_id,
            transfer_id=transfer.transfer_id,
            captured_at=draft.at,
        ),
    )
    draft.moved("payment_captured", transfer.payment_id)


def on_reversal(draft: Draft, order: ReversalOrdered) -> None:
    """A capture is taken back: from prepayment, then debts are open again; once per reversal.

    What of a capture by order number had gone back to the payer is passed on to whom it is now.
    """
    if draft.taken("reversal", order.reversal_id) is not None:
        return
    is_capture = not order.transfer_id
    gone_fen = min(order.amount_fen, returns.gone_fen(draft, order.payment_id)) if is_capture else 0
    name = order.transfer_id or order.payment_id
    rest_fen = order.amount_fen - gone_fen
    prepaid_fen, debts = returns.taken_from(draft, name, order.reversal_id, rest_fen)
    _tell(
        draft,
        PaymentReversed(
            reversal_id=order.reversal_id,
            payment_id=order.payment_id,
            transfer_id=order.transfer_id,
            account_no=draft.key,
            amount_fen=order.amount_fen,
            prepayment_fen=prepaid_fen,
            debts=debts,
            reason=order.reason,
            journal=journal.payment_reversed(
                account_no=draft.key,
                prepayment_fen=prepaid_fen,
                reopened_fen=rest_fen - prepaid_fen,
                clearing=order.clearing,
                payment_id=order.payment_id,
                gone_fen=gone_fen,
            ),
            reversed_at=draft.at,
            gone_fen=gone_fen,
        ),
    )
    if gone_fen:
        returns.pass_on(draft, order, gone_fen)
    draft.booked(
        f"{order.payment_id}/{draft.key}",
        order.clearing,
        order.amount_fen,
        payment_id=order.payment_id,
        is_taken_back=True,
    )
    draft.moved("payment_reversed", order.payment_id)


def on_money_back(draft: Draft, received: NoticeReceived, notice: PaymentNotice) -> None:
    """A refund, reversal or chargeback with an order number of this account."""
    evidence_id = received.evidence.evidence_id
    back = back_of(notice, evidence_id)
    known = draft.taken("back", back.back_id) if back is not None else None
    if back is not None and known is not None:
        returns.say_again(draft, back, known)
        return
    draft.note(_noted(received, notice, ""))
    refund_no = refunds.number_of(draft, notice, original_of(notice))
    if refund_no:
        fact = "succeeded" if back is not None else notice.refund_outcome or "accepted"
        refunds.on_channel(draft, refund_no, fact, back, evidence_id)
    elif back is not None:
        returns.on_back(draft, back)


def on_orderless_back(draft: Draft, received: NoticeReceived, notice: PaymentNotice) -> None:
    """A refund, reversal or chargeback without an order number, on the page of its payment."""
    back = back_of(notice, received.evidence.evidence_id)
    if back is None or find(draft.page.seen, "back", back.back_id) is None:
        draft.note(_noted(received, notice, ""))
    if back is not None:
        page_returns.on_back(draft, back)


def _capture(draft: Draft, received: NoticeReceived, notice: PaymentNotice) -> None:
    payment_id = payment_id_of(received, notice)
    clearing = journal.clearing_of(notice.channel, notice.merchant, notice.bill_on)
    evidence_id = received.evidence.evidence_id
    parts = draft.spread(notice.amount_fen)
    _tell(
        draft,
        PaymentCaptured(
            payment_id=payment_id,
            account_no=draft.key,
            channel=notice.channel,
            out_trade_no=notice.out_trade_no,
            amount_fen=notice.amount_fen,
            occurred_at=notice.occurred_at,
            source=received.source,
            allocations=parts.allocations,
            prepayment_fen=parts.prepayment_fen,
            journal=journal.capture(clearing=clearing, account_no=draft.key, parts=parts),
            evidence_id=evidence_id,
            currency=notice.currency,
            captured_at=draft.at,
            merchant=notice.merchant,
            clearing=clearing,
            bank_type=notice.references.get("bank_type", ""),
        ),
    )
    orders.on_paid(
        draft, notice.out_trade_no, payment_id, notice.amount_fen, received.source, is_new=True
    )
    draft.moved("payment_captured", payment_id)
    claim = PaymentClaimed(
        payment_id=payment_id,
        account_no=draft.key,
        amount_fen=notice.amount_fen,
        currency=notice.currency,
        occurred_at=notice.occurred_at,
        clearing=clearing,
        evidence_id=evidence_id,
        captured_at=draft.at,
    )
    draft.send(claim, NOTICES, payment_id)
    returns.on_captured(draft, payment_id)
    draft.booked(
        f"{payment_id}/{draft.key}",
        clearing,
        notice.amount_fen,
        payment_id=payment_id,
        at=notice.occurred_at,
        source=received.source,
        order_no=notice.out_trade_no,
        rrn=notice.references.get("rrn", ""),
        account_no=draft.key,
    )


def _forward(draft: Draft, received: NoticeReceived, notice: PaymentNotice, reason: str) -> None:
    payment_id = payment_id_of(received, notice)
    draft.note(_noted(received, notice, reason))
    draft.send(_forwarded(received, notice, payment_id, draft.key, reason), NOTICES, payment_id)


def _forwarded(
    received: NoticeReceived, notice: PaymentNotice, payment_id: str, account_no: str, reason: str
) -> PaymentForwarded:
    return PaymentForwarded(
        payment_id=payment_id,
        channel=notice.channel,
        account_no=account_no,
        out_trade_no=notice.out_trade_no,
        amount_fen=notice.amount_fen,
        currency=notice.currency,
        occurred_at=notice.occurred_at,
        clearing=journal.clearing_of(notice.channel, notice.merchant, notice.bill_on),
        evidence_id=received.evidence.evidence_id,
        reason=reason,
        source=received.source,
        merchant=notice.merchant,
        bank_type=notice.references.get("bank_type", ""),
    )


def _noted(received: NoticeReceived, notice: PaymentNotice, reason: str) -> NoticeNoted:
    return NoticeNoted(
        evidence_id=received.evidence.evidence_id,
        channel=notice.channel,
        kind=notice.kind,
        channel_txn_id=notice.channel_txn_id,
        merchant=notice.merchant,
        out_trade_no=notice.out_trade_no,
        amount_fen=notice.amount_fen,
        occurred_at=notice.occurred_at,
        bill_on=notice.bill_on,
        refund_no=notice.refund_no,
        refund_id=notice.refund_id,
        refund_fen=notice.refund_fen,
        refund_total=notice.refund_total,
        refund_outcome=notice.refund_outcome,
        references=notice.references,
        reason=reason,
        original_txn_id=notice.original_txn_id,
        source=received.source,
    )


def _compare(draft: Draft, received: NoticeReceived, notice: PaymentNotice, known: Seen) -> None:
    """A copy is repeated, or in conflict with what was captured."""
    evidence_id = received.evidence.evidence_id
    payment_id = payment_id_of(received, notice)
    digests = known.holder.hex(), digest_of(notice.out_trade_no).hex()
    differences = (
        ("amount_fen", str(known.amount_fen), str(notice.amount_fen)),
        ("currency", known.currency, notice.currency),
        ("out_trade_no", f"digest {digests[0]}", f"digest {digests[1]}"),
    )
    for field, ours, theirs in differences:
        if ours != theirs:
            draft.note(
                NoticeConflicted(
                    evidence_id=evidence_id,
                    payment_id=payment_id,
                    field=field,
                    known=ours,
                    received=theirs,
                )
            )
            return
    draft.note(NoticeRepeated(evidence_id=evidence_id, payment_id=payment_id))


def _age_days(draft: Draft, notice: PaymentNotice) -> int:
    return day_number(draft.today_on) - day_number(day_of(notice.occurred_at))


def _tell(draft: Draft, event: PaymentCaptured | PaymentReversed) -> None:
    """An own event, and the same for billing: it must not read our own topic, for we read its."""
    draft.note(event)
    draft.send(event, ALLOCATIONS, draft.key)
