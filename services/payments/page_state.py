"""How a page of the list of transactions follows its own events; state.py says what it costs."""

from __future__ import annotations

from dataclasses import replace

from services.payments.days import day_number, day_of
from services.payments.entries import Fold, Page, Suspense, waiting, without
from services.payments.events import (
    BindingRejected,
    PaymentClaimed,
    PaymentSuspended,
    SuspenseBound,
    SuspenseCancelled,
)
from services.payments.money_back import (
    MoneyBack,
    MoneyBackAwaited,
    MoneyBackForwarded,
    MoneyReturned,
)
from services.payments.rebinding_events import RebindingMade
from services.payments.seen import Seen, account_holder, find, keep
from services.payments.suspense_refund_events import SuspenseRefunded


def _claimed(page: Page, event: PaymentClaimed) -> Page:
    seen = Seen(
        amount_fen=event.amount_fen,
        holder=account_holder(event.account_no),
        currency=event.currency,
    )
    return _list(page, event.payment_id, seen, event.captured_at, event.occurred_at)


def _suspended(page: Page, event: PaymentSuspended) -> Page:
    seen = Seen(amount_fen=event.amount_fen, currency=event.currency)
    listed = _list(page, event.payment_id, seen, event.suspended_at, event.occurred_at)
    suspense = Suspense(
        payment_id=event.payment_id,
        channel=event.channel,
        amount_fen=event.amount_fen,
        occurred_at=event.occurred_at,
        clearing=event.clearing,
        evidence_id=event.evidence_id,
        currency=event.currency,
    )
    return replace(listed, suspenses={**listed.suspenses, event.suspense_key: suspense})


def _bound(page: Page, event: SuspenseBound) -> Page:
    suspense = page.suspenses[event.suspense_key]
    bound = replace(suspense, parts=event.parts, request_id=event.request_id, rounds=1)
    changed = replace(page, suspenses={**page.suspenses, event.suspense_key: bound})
    return _heard(changed, event.request_id, event.bound_at)


def _rebound(page: Page, event: RebindingMade) -> Page:
    suspense = page.suspenses.get(event.payment_id)
    if suspense is None:
        suspense = Suspense(
            payment_id=event.payment_id,
            channel=event.payment_id.partition(":")[0],
            amount_fen=event.amount_fen,
            occurred_at=event.rebound_at,
            clearing="",
            evidence_id="",
            currency=event.currency,
        )
    others = tuple(part for part in suspense.parts if part.account_no != event.from_account)
    bound = replace(
        suspense,
        parts=(*others, *event.left, *event.parts),
        request_id=event.request_id,
        rounds=event.round,
    )
    changed = replace(page, suspenses={**page.suspenses, event.payment_id: bound})
    return _heard(changed, event.request_id, event.rebound_at)


def _cancelled(page: Page, event: SuspenseCancelled) -> Page:
    rest = {key: kept for key, kept in page.suspenses.items() if key != event.suspense_key}
    return replace(page, suspenses=rest)


def _awaited(page: Page, event: MoneyBackAwaited) -> Page:
    changed = _back_on(page, event.back, event.awaited_at)
    return replace(changed, awaited=waiting(changed.seen, (*page.awaited, event.back)))


def _forwarded(page: Page, event: MoneyBackForwarded) -> Page:
    changed = _back_on(page, event.back, event.forwarded_at)
    return replace(changed, awaited=without(changed.awaited, event.back.back_id))


def _returned(page: Page, event: MoneyReturned) -> Page:
    back = event.back
    suspense = page.suspenses[back.payment_id]
    taken = dict(event.parts)
    parts = []
    for part in suspense.parts:
        part_fen = min(part.amount_fen, taken.get(part.account_no, 0))
        if part_fen:
            taken[part.account_no] -= part_fen
        if part.amount_fen > part_fen:
            parts.append(replace(part, amount_fen=part.amount_fen - part_fen))
    booked = replace(back, amount_fen=event.amount_fen, is_total=False)
    less = replace(suspense, parts=tuple(parts), returned=(*suspense.returned, booked))
    changed = replace(
        page,
        suspenses={**page.suspenses, back.payment_id: less},
        awaited=without(page.awaited, back.back_id),
    )
    return _back_on(changed, back, event.returned_at)


def _refunded(page: Page, event: SuspenseRefunded) -> Page:
    back = MoneyBack(
        back_id=f"bank/{event.request_id}",
        payment_id=event.payment_id,
        kind="refund",
        amount_fen=event.amount_fen,
        clearing="",
        evidence_id=event.bank_ref,
        refund_no=event.request_id,
    )
    suspense = page.suspenses[event.suspense_key]
    less = replace(suspense, returned=(*suspense.returned, back))
    changed = replace(page, suspenses={**page.suspenses, event.suspense_key: less})
    return _heard(changed, event.request_id, event.refunded_at)


def _back_on(page: Page, back: MoneyBack, at: str) -> Page:
    today = day_number(day_of(at))
    seen = Seen(amount_fen=back.amount_fen)
    return _forget(page, keep(page.seen, "back", back.back_id, seen, day=today, today=today))


def _rejected(page: Page, event: BindingRejected) -> Page:
    return _heard(page, event.request_id, event.rejected_at)


def _list(page: Page, payment_id: str, seen: Seen, at: str, occurred_at: str) -> Page:
    today, day = day_number(day_of(at)), day_number(day_of(occurred_at))
    return _forget(page, keep(page.seen, "payment", payment_id, seen, day=day, today=today))


def _heard(page: Page, request_id: str, at: str) -> Page:
    today = day_number(day_of(at))
    return _forget(page, keep(page.seen, "request", request_id, Seen(), day=today, today=today))


def _forget(page: Page, seen: bytes) -> Page:
    """The page with what is seen now; a suspense with nothing left to bind goes when its
    transaction is forgotten."""
    kept = {
        key: suspense
        for key, suspense in page.suspenses.items()
        if (suspense.left_fen and not suspense.parts) or find(seen, "payment", key) is not None
    }
    return Page(seen=seen, suspenses=kept, awaited=waiting(seen, page.awaited))


OF_PAGE: dict[type, Fold] = {
    PaymentClaimed: _claimed,
    PaymentSuspended: _suspended,
    SuspenseBound: _bound,
    SuspenseCancelled: _cancelled,
    BindingRejected: _rejected,
    RebindingMade: _rebound,
    MoneyBackForwarded: _forwarded,
    MoneyBackAwaited: _awaited,
    MoneyReturned: _returned,
    SuspenseRefunded: _refunded,
}
