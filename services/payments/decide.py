"""What payments decides: one function per input type, all pure.

payments.notices     callbacks, found rows   -> captured, repeated, conflicted, suspended, noted
                     money that went back    -> returned, awaited, forwarded; refunds succeed
                     bindings of people      -> suspense bound, transfers; or rejected
                     suspense sent back      -> refunded by bank; or rejected
                     refunds of people       -> opened, approved and ordered, ended; or refused
                     claims (own)            -> whose a transaction is; suspense cancelled
                     payouts of people       -> payables settled; or rejected
                     fences (own)            -> clearance granted or refused
                     orders                  -> noted, asked about by a schedule
payments.results     answers of channels     -> captured as by a callback; orders and refunds end
payments.transfers   bound money (own)       -> captured; reversals
billing.events       invoices, corrections, late fees -> receivables, credits
                     statements of feed-in   -> payables
                     estimates               -> what is available
customers.agreements opening positions       -> receivables, prepayment
                     prepaid terms           -> what is available
control.clearances   "may we?"               -> clearance opened, fence
calendar             time                    -> accounts overdue

Where is a duplicate callback decided? `captures.on_money` for an account, `transactions.py` for the
same transaction under several keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from libs.events.core import Emit, Item, Tick, View
from services.payments import (
    captures,
    channel_answers,
    clearance,
    orders,
    page_returns,
    payables,
    prepaid,
    rebinding,
    receivables,
    refunds,
    returns,
    suspense_refunds,
    transactions,
)
from services.payments.days import day_end
from services.payments.draft import Draft
from services.payments.events import (
    BindingRequested,
    FenceSet,
    PaymentClaimed,
    PaymentForwarded,
    ReversalOrdered,
    TransferMade,
)
from services.payments.found_rows import opened
from services.payments.money_back import MoneyBackForwarded
from services.payments.notices import MONEY_BACK, NoticeReceived
from services.payments.order_events import ChannelAnswered, OrderOpened
from services.payments.order_number import is_account_no
from services.payments.payable_events import PayoutRecorded
from services.payments.policy import DEFAULT_POLICY, Policy
from services.payments.reactions import (
    AccountOpened,
    AgreementPublished,
    ChargeEstimated,
    ClearanceAsked,
    CorrectionIssued,
    FeedInCorrected,
    FeedInStated,
    InvoiceIssued,
    LateFeeCharged,
)
from services.payments.rebinding_events import RebindingRequested
from services.payments.refund_events import RefundDecided, RefundReported, RefundRequested
from services.payments.state import Entry
from services.payments.suspense_refund_events import SuspenseRefundRequested


def concerned(view: View, item: Item) -> Iterable[str]:
    """The accounts that are due, the page of a transaction, or the account an input names."""
    item = opened(item)
    match item.body:
        case Tick():
            return view.keys_due(item.body.at)
        case PaymentClaimed() | PaymentForwarded() | BindingRequested() | RebindingRequested():
            return (transactions.page_of(item.key),)
        case SuspenseRefundRequested():
            return (transactions.page_of(item.key),)
        case MoneyBackForwarded() if not is_account_no(item.key):
            return (transactions.page_of(item.key),)
        case NoticeReceived() if _is_orderless(item):
            return (transactions.page_of(item.key),)
    return (item.key,)


def decide(view: View, key: str, item: Item, policy: Policy = DEFAULT_POLICY) -> Sequence[Emit]:
    """What follows from an input for one account or page."""
    draft = Draft(view.get(key), key, item.at, policy)
    item = opened(item)
    match item.body:
        case Tick():
            _on_time(draft)
        case NoticeReceived():
            _on_notice(draft, item, item.body)
        case OrderOpened() | ChannelAnswered():
            _on_order(draft, item.body)
        case PaymentClaimed():
            transactions.on_claim(draft, item.body)
        case PaymentForwarded():
            transactions.on_orderless(draft, item.body)
        case BindingRequested():
            transactions.on_binding(draft, item.body, item.key)
        case RebindingRequested():
            rebinding.on_rebinding(draft, item.body, item.key)
        case SuspenseRefundRequested():
            suspense_refunds.on_suspense_refund(draft, item.body, item.key)
        case MoneyBackForwarded(back=back):
            on_back = returns.on_back if is_account_no(item.key) else page_returns.on_back
            on_back(draft, back)
        case RefundRequested() | RefundDecided() | RefundReported():
            _on_refund(draft, item.body)
        case TransferMade():
            captures.on_transfer(draft, item.body)
        case ReversalOrdered():
            captures.on_reversal(draft, item.body)
        case InvoiceIssued() | ChargeEstimated() | AgreementPublished():
            prepaid.on_told(draft, item.body)
        case CorrectionIssued(correction_no=number, difference_fen=amount_fen, due_on=due_on):
            receivables.on_billed(draft, number, amount_fen, due_on)
        case FeedInStated(statement_no=number, amount_fen=amount_fen, due_on=due_on):
            payables.on_stated(draft, number, amount_fen, due_on, item.body.netting)
        case FeedInCorrected(correction_no=number, difference_fen=amount_fen, due_on=due_on):
            payables.on_stated(draft, number, amount_fen, due_on, item.body.netting)
        case PayoutRecorded():
            payables.on_payout(draft, item.body)
        case LateFeeCharged(fee_no=number, amount_fen=amount_fen, due_on=due_on):
            receivables.on_billed(draft, number, amount_fen, due_on, "late_fee")
        case AccountOpened():
            receivables.on_opening(draft, item.body.opening)
        case ClearanceAsked():
            clearance.on_asked(draft, item.body)
        case fence:
            assert isinstance(fence, FenceSet), item.type
            clearance.on_fence(draft, fence, item.offset)
    return draft.emits


def due(entry: Entry) -> str:
    """When the next debt of an account must be told overdue, 24:00 of its due date, or a channel
    must be asked; "" for never."""
    account = entry.account
    if account is None:
        return ""
    waiting = [debt.due_on for debt in account.debts if debt.invoice_no not in account.told]
    overdue_at = day_end(min(waiting)) if waiting else ""
    asking_at = orders.due_at(account.orders, account.refunds)
    return min(filter(None, (overdue_at, asking_at)), default="")


def _on_time(draft: Draft) -> None:
    receivables.on_tick(draft)
    orders.on_time(draft)


def _on_order(draft: Draft, body: OrderOpened | ChannelAnswered) -> None:
    if isinstance(body, OrderOpened):
        orders.on_opened(draft, body)
    else:
        channel_answers.on_answered(draft, body)


def _on_refund(draft: Draft, body: RefundRequested | RefundDecided | RefundReported) -> None:
    match body:
        case RefundRequested():
            refunds.on_requested(draft, body)
        case RefundDecided():
            refunds.on_decided(draft, body)
        case reported:
            refunds.on_reported(draft, reported)


def _on_notice(draft: Draft, item: Item, received: NoticeReceived) -> None:
    notice = captures.money_of(received)
    stated = received.notice
    if received.verdict == "accepted" and stated is not None and stated.kind in MONEY_BACK:
        if is_account_no(item.key):
            captures.on_money_back(draft, received, stated)
        else:
            captures.on_orderless_back(draft, received, stated)
    elif notice is None:
        captures.without_money(draft, received)
    elif is_account_no(item.key):
        captures.on_money(draft, received, notice)
    else:
        transactions.on_orderless(draft, captures.orderless(received, notice, item.key))


def _is_orderless(item: Item) -> bool:
    """Without an account, a payment and what takes it back are looked at on one page."""
    return not is_account_no(item.key) and captures.is_about_payment(item.body)
