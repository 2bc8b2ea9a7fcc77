"""Money bound to the wrong account, or captured by a stranger's order number, bound again.

Two people ask. The old account gives it, the new ones get it, both through transit, once: the
transfers of each binding have ids of their own (`round`), or the second one of an account would be
taken for a copy of the first. What went back to the payer before goes along (returns.pass_on).

Of money that was in suspense any part of what stands at `from_account` may go; a capture by order
number goes as a whole. It is listed as the account's that claimed it all the same, so copies stay
copies.
"""

from __future__ import annotations

from dataclasses import replace

from services.payments import journal
from services.payments.draft import TRANSFERS, Draft
from services.payments.events import (
    BindingPart,
    BindingRejected,
    ReversalOrdered,
    TransferMade,
)
from services.payments.order_number import is_account_no
from services.payments.page_returns import sums, transfer_id_of
from services.payments.rebinding_events import RebindingMade, RebindingRequested
from services.payments.seen import NOBODY, account_held, find


def parts_problem(parts: tuple[BindingPart, ...]) -> str:
    """Why no binding can have these parts; "" when one can."""
    for part in parts:
        if not is_account_no(part.account_no):
            return f"{part.account_no!r} is no account number"
        if part.amount_fen <= 0:
            return f"{part.amount_fen} fen for {part.account_no} is no amount above zero"
    if len({part.account_no for part in parts}) != len(parts):
        return "an account is named twice"
    return ""


def on_rebinding(draft: Draft, request: RebindingRequested, record_key: str) -> None:
    """Bind again: once for each request, exactly what the parts say."""
    if find(draft.page.seen, "request", request.request_id) is not None:
        return
    old = _standing(draft, request)
    problem = _problem(request, record_key, old)
    if problem:
        draft.note(
            BindingRejected(
                request_id=request.request_id,
                suspense_key=request.payment_id,
                problem=problem,
                rejected_at=draft.at,
            )
        )
        return
    suspense = draft.page.suspenses.get(request.payment_id)
    known = find(draft.page.seen, "payment", request.payment_id)
    round_ = suspense.rounds + 1 if suspense is not None else 2
    parts = tuple(replace(part, round=round_) for part in request.parts)
    given, left = _split(old, sum(part.amount_fen for part in parts))
    draft.note(
        RebindingMade(
            payment_id=request.payment_id,
            request_id=request.request_id,
            round=round_,
            from_account=request.from_account,
            left=left,
            parts=parts,
            journal=journal.rebound(from_account=request.from_account, parts=sums(parts)),
            requested_by=request.requested_by,
            approved_by=request.approved_by,
            reason=request.reason,
            rebound_at=draft.at,
            amount_fen=known.amount_fen if known is not None else 0,
            currency=known.currency if known is not None else "",
        )
    )
    _send(draft, request, given, parts, round_)


def _send(
    draft: Draft,
    request: RebindingRequested,
    given: tuple[BindingPart, ...],
    parts: tuple[BindingPart, ...],
    round_: int,
) -> None:
    payment_id = request.payment_id
    suspense = draft.page.suspenses[payment_id]
    for part in given:
        transfer_id = transfer_id_of(payment_id, part) if part.round else ""
        held = transfer_id or f"{payment_id}/{part.account_no}/order"
        order = ReversalOrdered(
            reversal_id=f"{held}/rebinding/{round_}",
            account_no=part.account_no,
            payment_id=payment_id,
            transfer_id=transfer_id,
            clearing="",
            amount_fen=part.amount_fen,
            reason=f"bound again: {request.reason}",
        )
        draft.send(order, TRANSFERS, part.account_no)
    for part in parts:
        transfer = TransferMade(
            transfer_id=transfer_id_of(payment_id, part),
            account_no=part.account_no,
            payment_id=payment_id,
            channel=suspense.channel,
            amount_fen=part.amount_fen,
            occurred_at=suspense.occurred_at,
            evidence_id=suspense.evidence_id,
        )
        draft.send(transfer, TRANSFERS, part.account_no)


def _standing(draft: Draft, request: RebindingRequested) -> tuple[BindingPart, ...]:
    """What of the payment stands at `from_account`; round 0 is a capture by its order number."""
    suspense = draft.page.suspenses.get(request.payment_id)
    if suspense is not None:
        return tuple(part for part in suspense.parts if part.account_no == request.from_account)
    known = find(draft.page.seen, "payment", request.payment_id)
    if (
        known is None
        or known.holder == NOBODY
        or account_held(known.holder) != request.from_account
    ):
        return ()
    return (BindingPart(account_no=request.from_account, amount_fen=known.amount_fen, round=0),)


def _problem(request: RebindingRequested, record_key: str, old: tuple[BindingPart, ...]) -> str:
    if request.payment_id != record_key:
        return f"{request.payment_id} was asked under {record_key}"
    if request.approved_by.strip().casefold() == request.requested_by.strip().casefold():
        return "a second person must approve it"
    if not old:
        return f"nothing of {request.payment_id} stands at {request.from_account}"
    if problem := parts_problem(request.parts):
        return problem
    if any(part.account_no == request.from_account for part in request.parts):
        return f"{request.from_account} has it already"
    total_fen = sum(part.amount_fen for part in request.parts)
    old_fen = sum(part.amount_fen for part in old)
    if total_fen == 0 or total_fen > old_fen:
        return f"the parts are {total_fen} fen, {old_fen} stand at {request.from_account}"
    if old[0].round == 0 and total_fen != old_fen:
        return f"a capture by order number goes as a whole: {old_fen} fen"
    return ""


def _split(
    old: tuple[BindingPart, ...], amount_fen: int
) -> tuple[tuple[BindingPart, ...], tuple[BindingPart, ...]]:
    """What the old parts give, and what they keep."""
    given, left = [], []
    for part in old:
        part_fen = min(part.amount_fen, amount_fen)
        amount_fen -= part_fen
        if part_fen:
            given.append(replace(part, amount_fen=part_fen))
        if part.amount_fen > part_fen:
            left.append(replace(part, amount_fen=part.amount_fen - part_fen))
    return tuple(given), tuple(left)
