"""Money that goes back of a payment that stands on the list of transactions (docs/adr/0014).

    in suspense    the suspense gives it; what it has not, is our claim on the channel
    bound          the accounts that it was bound to give it, through transit, in their order
    an account's   forwarded to the account, which captured it by its order number
    unknown        held until the transaction comes

When an account claims a transaction after its suspense gave money back, the suspense is cancelled
with what it gave, and the account gives it instead: the clearing of each day says the same.
"""

from __future__ import annotations

from dataclasses import replace

from services.payments import journal, returns
from services.payments.draft import TRANSFERS, Draft
from services.payments.entries import Suspense
from services.payments.events import BindingPart, ReversalOrdered
from services.payments.money_back import (
    MoneyBack,
    MoneyBackAwaited,
    MoneyBackForwarded,
    MoneyReturned,
)
from services.payments.payment_table import PAYMENT, fact_of, state_of
from services.payments.seen import NOBODY, account_held, find

SUSPENSE = "suspense"
"""Who gave it, in the id of a booking."""


def transfer_id_of(payment_id: str, part: BindingPart) -> str:
    """The id of the transfer of a part; from the second binding on it says which one it was."""
    round_text = "" if part.round == 1 else f"{part.round}/"
    return f"{payment_id}/{round_text}{part.account_no}"


def sums(parts: tuple[BindingPart, ...]) -> dict[str, int]:
    """What each account gets, in fen."""
    found: dict[str, int] = {}
    for part in parts:
        found[part.account_no] = found.get(part.account_no, 0) + part.amount_fen
    return found


def on_back(draft: Draft, back: MoneyBack) -> None:
    """Money of a transaction went back: once, now or when the transaction comes."""
    known = find(draft.page.seen, "back", back.back_id)
    if known is None:
        _book(draft, back)
    else:
        returns.say_again(draft, back, known)


def on_known(draft: Draft, payment_id: str) -> None:
    """The transaction came: what went back of it before is booked, or forwarded, now."""
    waiting = [back for back in draft.page.awaited if back.payment_id == payment_id]
    for back in sorted(waiting, key=lambda back: (back.amount_fen, back.back_id)):
        _book(draft, back)


def forward(draft: Draft, back: MoneyBack, account_no: str) -> None:
    """Tell the account that has the payment."""
    told = MoneyBackForwarded(back=back, account_no=account_no, forwarded_at=draft.at)
    draft.note(told)
    draft.send(told, TRANSFERS, account_no)


def _book(draft: Draft, back: MoneyBack) -> None:
    payment_id = back.payment_id
    suspense = draft.page.suspenses.get(payment_id)
    known = find(draft.page.seen, "payment", payment_id)
    if suspense is not None:
        _return(draft, back, suspense)
    elif known is not None and known.holder != NOBODY:
        forward(draft, back, account_held(known.holder))
    else:
        assert PAYMENT["created", fact_of(back.kind, None, 0, back.amount_fen)].action == "await"
        draft.note(MoneyBackAwaited(back=back, awaited_at=draft.at))


def _return(draft: Draft, back: MoneyBack, suspense: Suspense) -> None:
    amount_fen = back.amount_fen
    gone_fen = sum(each.amount_fen for each in suspense.returned)
    if back.is_total:
        by_channel = (each for each in suspense.returned if each.kind == "refund" and each.clearing)
        amount_fen -= sum(each.amount_fen for each in by_channel)
    if amount_fen <= 0:
        return
    is_reversed = any(each.kind != "refund" for each in suspense.returned)
    state = state_of(suspense.amount_fen, gone_fen, is_reversed)
    step = PAYMENT[state, fact_of(back.kind, suspense.amount_fen, gone_fen, amount_fen)]
    ours_fen = min(amount_fen, suspense.left_fen)
    given = _given(suspense, ours_fen)
    parts = sums(given)
    draft.note(
        MoneyReturned(
            back=back,
            account_no="",
            amount_fen=amount_fen,
            journal=journal.money_returned(
                payment_id=back.payment_id,
                clearing=back.clearing,
                suspense_fen=0 if parts else ours_fen,
                parts=parts,
                claim_fen=amount_fen - ours_fen,
            ),
            state=step.state,
            suspense_fen=0 if parts else ours_fen,
            parts=parts,
            claim_fen=amount_fen - ours_fen,
            returned_at=draft.at,
        )
    )
    draft.booked_back(back, amount_fen, place=SUSPENSE)
    for part in given:
        transfer_id = transfer_id_of(back.payment_id, part)
        order = ReversalOrdered(
            reversal_id=f"{transfer_id}/{back.back_id}",
            account_no=part.account_no,
            payment_id=back.payment_id,
            transfer_id=transfer_id,
            clearing="",
            amount_fen=part.amount_fen,
            reason=f"{back.kind}: the channel gave the money back to the payer",
        )
        draft.send(order, TRANSFERS, part.account_no)


def _given(suspense: Suspense, amount_fen: int) -> tuple[BindingPart, ...]:
    """What each part of a bound suspense gives, in the order of its parts."""
    given = []
    for part in suspense.parts:
        part_fen = min(part.amount_fen, amount_fen)
        amount_fen -= part_fen
        if part_fen:
            given.append(replace(part, amount_fen=part_fen))
    return tuple(given)
