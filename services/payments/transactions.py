"""Whose money a transaction is: the list of transactions, kept by channel and transaction.

An account tells copies of its payments apart by itself. The list is for what one account cannot
see: the same transaction with an order number, without one, and bound by hand to somebody else.
Every capture by order number is claimed here (`payment_claimed`), every row without one is looked
up here, and only here suspense is bound. So whatever the order in which they arrive, one capture
stays in effect, and the order number (which the channel states) outweighs a person's binding:

    claim, then row         the row is a copy: `notice_repeated`
    row, then claim         the suspense is cancelled
    row, binding, claim     the suspense is cancelled and what was bound is reversed there
    claim, then binding     rejected: nothing is in suspense
    claim of a second account   a conflict, and its capture is reversed: the first claim stands

A page holds all transactions of its partition whose digest begins alike, so that one costs 29
bytes instead of a key of its own.

Example: `page_of("wechat:4200000000202601010000000001")` is `transactions/f3d`.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from services.payments import journal, page_returns
from services.payments.draft import TRANSFERS, Draft
from services.payments.events import (
    BindingPart,
    BindingRejected,
    BindingRequested,
    NoticeConflicted,
    NoticeRepeated,
    PaymentClaimed,
    PaymentForwarded,
    PaymentSuspended,
    ReversalOrdered,
    SuspenseBound,
    SuspenseCancelled,
    TransferMade,
)
from services.payments.page_returns import sums, transfer_id_of
from services.payments.rebinding import parts_problem
from services.payments.seen import NOBODY, Seen, account_held, account_holder, find


def page_of(payment_id: str) -> str:
    """The key of the page that a transaction is listed on."""
    return f"transactions/{hashlib.blake2b(payment_id.encode(), digest_size=2).hexdigest()[:3]}"


def on_orderless(draft: Draft, money: PaymentForwarded) -> None:
    """Money that no account may capture: suspense, unless the transaction is known."""
    known = _known(draft, money.payment_id)
    if known is not None:
        _compare(draft, money, known)
        return
    draft.note(
        PaymentSuspended(
            payment_id=money.payment_id,
            suspense_key=money.payment_id,
            channel=money.channel,
            amount_fen=money.amount_fen,
            occurred_at=money.occurred_at,
            journal=journal.capture_to_suspense(
                clearing=money.clearing,
                suspense_key=money.payment_id,
                amount_fen=money.amount_fen,
            ),
            evidence_id=money.evidence_id,
            currency=money.currency,
            clearing=money.clearing,
            reason=money.reason,
            account_no=money.account_no,
            out_trade_no=money.out_trade_no,
            suspended_at=draft.at,
            source=money.source,
            merchant=money.merchant,
            bank_type=money.bank_type,
        )
    )
    page_returns.on_known(draft, money.payment_id)
    draft.booked(
        f"{money.payment_id}/suspense",
        money.clearing,
        money.amount_fen,
        payment_id=money.payment_id,
        at=money.occurred_at,
        source=money.source,
        order_no=money.out_trade_no,
    )


def on_claim(draft: Draft, claim: PaymentClaimed) -> None:
    """An account captured a transaction: it is its, unless another one was first."""
    known = _known(draft, claim.payment_id)
    if known is None:
        draft.note(claim)
        page_returns.on_known(draft, claim.payment_id)
    elif known.holder == NOBODY:
        draft.note(claim)
        _cancel_suspense(draft, claim)
    elif known.holder != account_holder(claim.account_no):
        _conflict(draft, claim, "account_no", account_held(known.holder), claim.account_no)
        _order_reversal(draft, claim, claim.account_no, claim.amount_fen, "", claim.clearing)


def on_binding(draft: Draft, request: BindingRequested, record_key: str) -> None:
    """A person binds a suspense: once, to one or more accounts, exactly all of it."""
    if find(draft.page.seen, "request", request.request_id) is not None:
        return
    problem = _binding_problem(draft, request, record_key)
    if problem:
        draft.note(
            BindingRejected(
                request_id=request.request_id,
                suspense_key=request.suspense_key,
                problem=problem,
                rejected_at=draft.at,
            )
        )
        return
    suspense = draft.page.suspenses[request.suspense_key]
    parts = tuple(replace(part, round=1) for part in request.parts)
    draft.note(
        SuspenseBound(
            suspense_key=request.suspense_key,
            payment_id=suspense.payment_id,
            request_id=request.request_id,
            parts=parts,
            bound_by=request.requested_by,
            journal=journal.suspense_released(suspense_key=request.suspense_key, parts=sums(parts)),
            reason=request.reason,
            bound_at=draft.at,
        )
    )
    for part in parts:
        transfer = TransferMade(
            transfer_id=transfer_id_of(suspense.payment_id, part),
            account_no=part.account_no,
            payment_id=suspense.payment_id,
            channel=suspense.channel,
            amount_fen=part.amount_fen,
            occurred_at=suspense.occurred_at,
            evidence_id=suspense.evidence_id,
        )
        draft.send(transfer, TRANSFERS, part.account_no)


def _known(draft: Draft, payment_id: str) -> Seen | None:
    """What is known of a transaction; a suspense is known for as long as it stands."""
    suspense = draft.page.suspenses.get(payment_id)
    found = find(draft.page.seen, "payment", payment_id)
    if found is None and suspense is not None:
        return Seen(amount_fen=suspense.amount_fen, currency=suspense.currency)
    return found


def _compare(draft: Draft, money: PaymentForwarded | PaymentClaimed, known: Seen) -> None:
    """A copy is repeated or in conflict. Its order number may differ: rows often carry none."""
    if money.amount_fen != known.amount_fen:
        _conflict(draft, money, "amount_fen", str(known.amount_fen), str(money.amount_fen))
    elif money.currency != known.currency:
        _conflict(draft, money, "currency", known.currency, money.currency)
    else:
        draft.note(NoticeRepeated(evidence_id=money.evidence_id, payment_id=money.payment_id))


def _conflict(
    draft: Draft, money: PaymentForwarded | PaymentClaimed, field: str, known: str, received: str
) -> None:
    draft.note(
        NoticeConflicted(
            evidence_id=money.evidence_id,
            payment_id=money.payment_id,
            field=field,
            known=known,
            received=received,
        )
    )


def _cancel_suspense(draft: Draft, claim: PaymentClaimed) -> None:
    suspense = draft.page.suspenses[claim.payment_id]
    if suspense.amount_fen != claim.amount_fen:
        known, received = str(suspense.amount_fen), str(claim.amount_fen)
        _conflict(draft, claim, "amount_fen", known, received)
    returned: dict[str, int] = {}
    for back in suspense.returned:
        returned[back.clearing] = returned.get(back.clearing, 0) + back.amount_fen
    draft.note(
        SuspenseCancelled(
            suspense_key=claim.payment_id,
            payment_id=claim.payment_id,
            account_no=claim.account_no,
            amount_fen=suspense.amount_fen,
            parts=suspense.parts,
            journal=journal.suspense_cancelled(
                clearing=suspense.clearing,
                suspense_key=claim.payment_id,
                amount_fen=suspense.amount_fen,
                parts=sums(suspense.parts),
                returned=returned,
            ),
            returned_fen=sum(returned.values()),
        )
    )
    draft.booked(
        f"{claim.payment_id}/suspense",
        suspense.clearing,
        suspense.amount_fen,
        payment_id=claim.payment_id,
        is_taken_back=True,
    )
    for part in suspense.parts:
        transfer_id = transfer_id_of(claim.payment_id, part)
        _order_reversal(draft, claim, part.account_no, part.amount_fen, transfer_id, "")
    for back in suspense.returned:
        draft.booked_back(back, back.amount_fen, place=page_returns.SUSPENSE, is_taken_back=True)
        page_returns.forward(draft, back, claim.account_no)


def _order_reversal(
    draft: Draft,
    claim: PaymentClaimed,
    account_no: str,
    amount_fen: int,
    transfer_id: str,
    clearing: str,
) -> None:
    """What was taken back: a transfer, or without one the capture behind a claim that came second.

    An account may have both of one transaction, so their reversals have different ids.
    """
    holder = f"account {claim.account_no}" if transfer_id else "another account"
    order = ReversalOrdered(
        reversal_id=f"{transfer_id or f'{claim.payment_id}/{account_no}/claim'}/reversal",
        account_no=account_no,
        payment_id=claim.payment_id,
        transfer_id=transfer_id,
        clearing=clearing,
        amount_fen=amount_fen,
        reason=f"the transaction is the payment of {holder}",
    )
    draft.send(order, TRANSFERS, account_no)


def _binding_problem(draft: Draft, request: BindingRequested, record_key: str) -> str:
    """Why a binding is not possible; "" when it is."""
    key = request.suspense_key
    if key != record_key:
        return f"{key} was asked under {record_key}"
    suspense = draft.page.suspenses.get(key)
    if suspense is None:
        known = find(draft.page.seen, "payment", key)
        if known is not None:
            return f"{key} is the payment of account {account_held(known.holder)}"
        return f"no money is in suspense under {key}"
    if suspense.parts:
        return f"{key} was bound by request {suspense.request_id}"
    return _parts_problem(request.parts, suspense.left_fen)


def _parts_problem(parts: tuple[BindingPart, ...], amount_fen: int) -> str:
    total_fen = sum(part.amount_fen for part in parts)
    if problem := parts_problem(parts):
        return problem
    if total_fen != amount_fen:
        return f"the parts are {total_fen} fen, in suspense are {amount_fen}"
    return "" if parts else "all of it went back to the payer"
