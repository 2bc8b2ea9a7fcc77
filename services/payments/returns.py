"""Money that goes back of a payment of an account: refunds made elsewhere, reversals, chargebacks.

Whatever the order of the sale and of what takes it back, an account bears min(captured, all that
went or is on its way), and the channel's clearing of each day says what the channel did
(money_back.py). What the account does not have any more goes where the payment is now.
"""

from __future__ import annotations

from dataclasses import replace

from services.payments import journal
from services.payments.allocation import OpenDebt
from services.payments.days import add_days
from services.payments.draft import NOTICES, Draft
from services.payments.entries import REVERSED
from services.payments.events import NoticeConflicted, NoticeRepeated, ReversalOrdered
from services.payments.money_back import (
    MoneyBack,
    MoneyBackAwaited,
    MoneyBackForwarded,
    MoneyReturned,
)
from services.payments.payment_table import PAYMENT, Step, fact_of, state_of
from services.payments.seen import Seen


def captured_fen(draft: Draft, payment_id: str) -> int | None:
    """What this account captured of a payment by its order number; None for nothing."""
    known = draft.taken("payment", payment_id)
    return known.amount_fen if known is not None else None


def gone_fen(draft: Draft, payment_id: str) -> int:
    """What went back of a payment, refunds under way included."""
    return (draft.taken("gone", payment_id) or Seen()).amount_fen


def step_of(draft: Draft, payment_id: str, fact: str) -> Step:
    """What the table of payments says about a fact here and now."""
    gone = draft.taken("gone", payment_id) or Seen()
    captured = captured_fen(draft, payment_id)
    return PAYMENT[state_of(captured, gone.amount_fen, gone.holder == REVERSED), fact]


def is_moved(draft: Draft, payment_id: str) -> bool:
    """Whether the payment was taken away from this account, as another's."""
    return draft.taken("moved", payment_id) is not None


def on_back(draft: Draft, back: MoneyBack) -> None:
    """The channel took money of a payment back: once, now or when the payment comes."""
    known = draft.taken("back", back.back_id)
    if known is not None:
        say_again(draft, back, known)
    elif is_moved(draft, back.payment_id):
        draft.send(MoneyBackForwarded(back=back), NOTICES, back.payment_id)
    else:
        book(draft, back)


def say_again(draft: Draft, back: MoneyBack, known: Seen) -> None:
    """A copy is repeated, or in conflict with what was booked."""
    if known.amount_fen == back.amount_fen or back.is_total:
        draft.note(NoticeRepeated(evidence_id=back.evidence_id, payment_id=back.payment_id))
        return
    draft.note(
        NoticeConflicted(
            evidence_id=back.evidence_id,
            payment_id=back.payment_id,
            field="refund_fen",
            known=str(known.amount_fen),
            received=str(back.amount_fen),
        )
    )


def on_captured(draft: Draft, payment_id: str) -> None:
    """The payment came: what went back of it before is booked now, in the order of its ids."""
    waiting = [back for back in draft.account.awaited if back.payment_id == payment_id]
    for back in sorted(waiting, key=lambda back: (back.amount_fen, back.back_id)):
        book(draft, back)


def borne(draft: Draft, payment_id: str, amount_fen: int) -> int:
    """What the account bears of another `amount_fen` that goes (above zero) or stays (below)."""
    captured = captured_fen(draft, payment_id)
    assert captured is not None, f"{payment_id} was not captured here"
    gone = gone_fen(draft, payment_id)
    return min(captured, gone + amount_fen) - min(captured, gone)


def taken_from(
    draft: Draft, held_under: str, name: str, amount_fen: int
) -> tuple[int, tuple[OpenDebt, ...]]:
    """Out of prepayment first; for the rest debts are owed again.

    The youngest of those that the payment `held_under` settled come first, because money that came
    since would have settled the oldest; the rest is owed in the name of what takes it back.
    """
    prepaid_fen = min(draft.account.prepayment_fen, amount_fen)
    rest_fen = amount_fen - prepaid_fen
    settled = next(
        (
            kept.settled
            for kept in draft.account.transfers
            if held_under and kept.transfer_id == held_under
        ),
        (),
    )
    debts = []
    for debt in reversed(settled):
        part_fen = min(rest_fen, debt.open_fen)
        if part_fen:
            debts.append(replace(debt, open_fen=part_fen))
            rest_fen -= part_fen
    if rest_fen:
        due_on = add_days(draft.today_on, draft.policy.reversal_due_days)
        debts.append(OpenDebt(invoice_no=name, open_fen=rest_fen, due_on=due_on))
    return prepaid_fen, tuple(reversed(debts))


def pass_on(draft: Draft, order: ReversalOrdered, amount_fen: int) -> None:
    """What had gone back of a payment is borne by whom it is now."""
    back = MoneyBack(
        back_id=f"{order.reversal_id}/gone",
        payment_id=order.payment_id,
        kind="refund",
        amount_fen=amount_fen,
        clearing="",
        evidence_id="",
    )
    draft.send(MoneyBackForwarded(back=back), NOTICES, order.payment_id)


def book(draft: Draft, back: MoneyBack) -> None:
    """Book what went back, or hold it until its payment comes; of a sum only what is new."""
    amount_fen = back.amount_fen
    if back.is_total:
        amount_fen -= (draft.taken("refunded", back.payment_id) or Seen()).amount_fen
    captured = captured_fen(draft, back.payment_id)
    gone = gone_fen(draft, back.payment_id)
    step = step_of(draft, back.payment_id, fact_of(back.kind, captured, gone, amount_fen))
    if step.action == "await":
        draft.note(MoneyBackAwaited(back=back, awaited_at=draft.at, account_no=draft.key))
        return
    if amount_fen <= 0:
        draft.note(NoticeRepeated(evidence_id=back.evidence_id, payment_id=back.payment_id))
        return
    ours_fen = borne(draft, back.payment_id, amount_fen)
    prepaid_fen, debts = taken_from(draft, back.payment_id, back.back_id, ours_fen)
    draft.note(
        MoneyReturned(
            back=back,
            account_no=draft.key,
            amount_fen=amount_fen,
            journal=journal.money_returned(
                payment_id=back.payment_id,
                clearing=back.clearing,
                account_no=draft.key,
                prepayment_fen=prepaid_fen,
                reopened_fen=ours_fen - prepaid_fen,
                claim_fen=amount_fen - ours_fen,
            ),
            state=step.state,
            prepayment_fen=prepaid_fen,
            debts=debts,
            claim_fen=amount_fen - ours_fen,
            returned_at=draft.at,
        )
    )
    draft.booked_back(back, amount_fen, place=draft.key)
    draft.moved("money_returned", back.payment_id)
