"""Late fees as money comes: what a payment after the due date bears, given back with the payment.

    invoice A1-2026-01 over 155.00 yuan, due on 2026-02-18, paid on 2026-02-28
        late_fee_charged A1-L001    10 days at 1 permille: 1.55 yuan

A debt paid in pieces bears the fee of each, together at least the rule's minimum, in whatever order
the payments came. What was credited or prepaid was not paid late. A capture that is taken back
takes its fee with it; where it opens the debt again, the next payment bears the whole time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from libs.events.core import Emit
from services.billing.events import LateFeeCharged
from services.billing.late_fee import late_fee
from services.billing.months import add_days
from services.billing.payment_reactions import PaymentCaptured, PaymentReversed
from services.billing.policy import BillingPolicy
from services.billing.price_book import LateFeeRule, PriceBook
from services.billing.state import Account
from services.billing.ticks import day_of

PAID_LATE, PAYMENT_REVERSED = "paid_late", "payment_reversed"

Books = Mapping[str, PriceBook]


def on_captured(account: Account, captured: PaymentCaptured, books: Books) -> list[LateFeeCharged]:
    """The fee of every debt of ours that a payment settled after its due date, not `dated` yet."""
    fees: list[LateFeeCharged] = []
    payment = captured.transfer_id or captured.payment_id
    paid_on = day_of(captured.occurred_at)
    for part in captured.allocations:
        debt = account.late_debts.get(part.invoice_no)
        if debt is None or payment in debt.pieces:
            continue
        rule = books[debt.book].late_fee
        piece = late_fee(
            part.amount_fen,
            debt.due_on,
            paid_on,
            replace(rule, minimum_fen=0),
            residential=debt.residential,
        )
        if not piece.amount_fen:
            continue
        after = (*debt.pieces.values(), piece.amount_fen)
        fees.append(
            LateFeeCharged(
                fee_no=_number(captured.account_no, account.late_fees, fees),
                account_no=captured.account_no,
                invoice_no=part.invoice_no,
                payment=payment,
                cause=PAID_LATE,
                debt_fen=part.amount_fen,
                debt_due_on=debt.due_on,
                paid_on=paid_on,
                rule=piece.rule,
                book=debt.book,
                shares=piece.shares,
                piece_fen=piece.amount_fen,
                amount_fen=standing_fen(after, rule) - standing_fen(debt.pieces.values(), rule),
                issued_on="",
                due_on="",
            )
        )
    return fees


def on_reversed(account: Account, taken: PaymentReversed, books: Books) -> list[LateFeeCharged]:
    """What was charged for a payment that is taken back, given back; not `dated` yet."""
    fees: list[LateFeeCharged] = []
    payment = taken.transfer_id or taken.payment_id
    for invoice_no, debt in account.late_debts.items():
        if payment not in debt.pieces:
            continue
        rule = books[debt.book].late_fee
        rest = [fen for name, fen in debt.pieces.items() if name != payment]
        fees.append(
            LateFeeCharged(
                fee_no=_number(taken.account_no, account.late_fees, fees),
                account_no=taken.account_no,
                invoice_no=invoice_no,
                payment=payment,
                cause=PAYMENT_REVERSED,
                debt_due_on=debt.due_on,
                rule=rule.name,
                book=debt.book,
                piece_fen=-debt.pieces[payment],
                amount_fen=standing_fen(rest, rule) - standing_fen(debt.pieces.values(), rule),
                issued_on="",
                due_on="",
            )
        )
    return fees


def standing_fen(pieces: Iterable[int], rule: LateFeeRule) -> int:
    """What stands charged on one debt for its pieces: their sum, at least the minimum."""
    total_fen = sum(pieces)
    return max(total_fen, rule.minimum_fen) if total_fen else 0


def dated(fees: Iterable[LateFeeCharged], now: str, policy: BillingPolicy) -> Iterator[Emit]:
    """The fees as of an instant, with the days they are charged and due on."""
    issued_on = day_of(now)
    due_on = add_days(issued_on, policy.pay_within_days)
    for fee in fees:
        yield Emit(replace(fee, issued_on=issued_on, due_on=due_on))


def _number(account_no: str, count: int, fees: list[LateFeeCharged]) -> str:
    return f"{account_no}-L{count + len(fees) + 1:03d}"
