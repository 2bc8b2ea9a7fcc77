"""May a customer be cut for a debt? Answered only after a fence (DESIGN 4).

    control asks    -> clearance_opened, and a fence behind all notices acknowledged so far
    the fence comes -> granted for some minutes while the debt is open, else refused
    money comes     -> withdrawn, in the decision that settles the debt (draft.py)

Nobody is cut while a payment is in flight: the channel is asked about every open order when control
asks, and while one is open at the fence the answer is no. Control asks again.

The fence goes into `payments.notices` of the account's own partition; when the core meets it, every
notice that a gateway was told is safe has been decided.
"""

from __future__ import annotations

from services.payments import orders
from services.payments.days import add_minutes
from services.payments.draft import NOTICES, Draft
from services.payments.events import ClearanceGranted, ClearanceOpened, ClearanceRefused, FenceSet
from services.payments.order_state import open_orders
from services.payments.prepaid_balance import open_fen as open_of
from services.payments.reactions import ClearanceAsked


def on_asked(draft: Draft, asked: ClearanceAsked) -> None:
    """Open a clearance and send its fence; asked again with the same id it is silent."""
    if draft.taken("clearance", asked.clearance_id) is not None:
        return
    draft.note(
        ClearanceOpened(
            clearance_id=asked.clearance_id,
            account_no=draft.key,
            invoice_nos=asked.invoice_nos,
            threshold_fen=asked.threshold_fen,
            opened_at=draft.at,
            kind=asked.kind,
        )
    )
    orders.query_now(draft)
    fence = FenceSet(account_no=draft.key, clearance_id=asked.clearance_id)
    draft.send(fence, NOTICES, draft.key)


def on_fence(draft: Draft, fence: FenceSet, offset: int) -> None:
    """Grant while more than the threshold is open of the debt, else refuse."""
    waiting = [
        clearance
        for clearance in draft.account.clearances
        if clearance.clearance_id == fence.clearance_id and not clearance.valid_until_at
    ]
    for clearance in waiting:
        open_fen = open_of(draft.account, clearance, draft.today_on)
        is_open = open_fen > clearance.threshold_fen
        if is_open and not open_orders(draft.account):
            draft.note(
                ClearanceGranted(
                    clearance_id=clearance.clearance_id,
                    account_no=draft.key,
                    fence_offset=offset,
                    open_fen=open_fen,
                    granted_at=draft.at,
                    valid_until_at=add_minutes(draft.at, draft.policy.clearance_min),
                )
            )
        else:
            draft.note(
                ClearanceRefused(
                    clearance_id=clearance.clearance_id,
                    account_no=draft.key,
                    fence_offset=offset,
                    open_fen=open_fen,
                    reason=_reason(open_fen, is_open),
                )
            )


def _reason(open_fen: int, is_open: bool) -> str:
    if is_open:
        return "payment_in_flight"
    return "settled" if open_fen == 0 else "below_threshold"
