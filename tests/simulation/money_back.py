"""What people and channels do to take money back in the town of test_payments.py, and its laws.

Refunds, reversals and chargebacks with and without an order number, before and after their sale
and without it; refunds asked for, approved, reported; money bound again. Whatever happens, no more
goes back than came, and what is on its way arrives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.payments import events as payments
from services.payments.journal import sub_balances
from services.payments.money_back import MoneyReturned
from services.payments.notices import MONEY_BACK
from services.payments.rebinding_events import RebindingRequested
from services.payments.refund_events import (
    RefundApproved,
    RefundClosed,
    RefundDecided,
    RefundReported,
    RefundRequested,
    RefundSucceeded,
)
from services.payments.refund_table import OF_CHANNEL
from tests.unit.payments_core.world import A, B, C, order_of, received

if TYPE_CHECKING:
    from tests.simulation.test_payments import Town

ACCOUNTS = (A, B, C)
BACK_FEN = 900


def _write(town: Town, key: str, body: object) -> None:
    town.write(payments.edge_catalogue, "payments.notices", key, body)


def taken_back(town: Town, txns: tuple[str, ...]) -> None:
    """The channel takes something back; now and then a copy comes, too."""
    number = town.number // 3
    txn = txns[number % len(txns)]
    kind = MONEY_BACK[number % 3]
    account_no = ACCOUNTS[len(txn) + ord(txn[-1]) & 1]
    body = received(
        f"R{number}",
        BACK_FEN if number % 5 else 9500,
        order_of(account_no) if number % 2 else "",
        evidence_id=f"ev-{town.number}",
        kind=kind,
        original_txn_id=txn,
        refund_fen=BACK_FEN if kind == "refund" else 0,
        refund_outcome="succeeded" if kind == "refund" else "",
        refund_no=f"E{number}" if kind == "refund" else "",
    )
    _write(town, body.key, body)


def refund(town: Town, txns: tuple[str, ...]) -> None:
    """A person asks for, decides about, or reports one of the last refunds, or the channel does."""
    act = town.random.choice(("ask", "decide", "decide", "report", "notice"))
    if act == "ask" or not town.refunds:
        act = "ask"
        txn, account_no = town.random.choice(town.paid or [(txns[0], A)])
        town.refunds.append((f"F{town.number}", account_no, txn))
    refund_no, account_no, txn = town.random.choice(town.refunds[-2:])
    body: Any
    if act == "ask":
        body = RefundRequested(
            refund_no=refund_no,
            account_no=account_no,
            payment_id=town.random.choice((f"wechat:{txn}",) * 5 + ("",)),
            out_trade_no=order_of(account_no),
            merchant="1900000001",
            refund_fen=town.random.choice((600, 600, 2500)),
            kind=town.random.choice(("channel", "channel", "bank")),
            requested_by="wang",
            reason="paid twice",
        )
    elif act == "decide":
        body = RefundDecided(
            refund_no=refund_no,
            account_no=account_no,
            decision=town.random.choice(("approved",) * 5 + ("declined",)),
            person=town.random.choice(("li", "li", "wang")),
            reason="seen",
        )
    elif act == "report":
        body = RefundReported(
            refund_no=refund_no,
            account_no=account_no,
            fact=town.random.choice((*OF_CHANNEL, "succeeded", "rerouted", "paid")),
            person="wang",
            evidence="slip",
            bill_on="2026-03-02",
            bank="icbc-1",
        )
    else:
        body = received(
            txn,
            0,
            order_of(account_no),
            evidence_id=f"ev-{town.number}",
            kind="refund",
            refund_no=refund_no,
            refund_fen=600,
            refund_outcome=town.random.choice(("", "succeeded", "abnormal", "closed")),
        )
    _write(town, account_no, body)


def rebind(town: Town, amounts: dict[str, int]) -> None:
    """Two people bind again what stands at an account: some of it, or all."""
    txn = town.random.choice(tuple(amounts))
    old, new = town.random.sample(ACCOUNTS, 2)
    amount_fen = town.random.choice((10, amounts[txn] - 10, amounts[txn], amounts[txn]))
    request = RebindingRequested(
        request_id=f"b{town.number // 2}",
        payment_id=f"wechat:{txn}",
        from_account=old,
        parts=(payments.BindingPart(account_no=new, amount_fen=amount_fen),),
        requested_by="wang",
        approved_by="li",
        reason="the slip",
    )
    _write(town, request.payment_id, request)


def no_more_goes_back_than_came(told: dict[str, int], own: list[Any]) -> None:
    """Of each payment: what people have of it is what came without what went, never below zero.

    told: the payments that gateways told of, with their amounts (one fen more where copies
    differed).
    """
    entries = [body.journal for body in own if hasattr(body, "journal")]
    suspense = sub_balances(entries, "suspense")
    held: dict[str, int] = {}
    gone: dict[str, dict[str, int]] = {}
    approved: dict[str, RefundApproved] = {}
    captured: dict[tuple[str, str], int] = {}
    refunded: dict[tuple[str, str], int] = {}
    for body in own:
        match body:
            case payments.PaymentCaptured():
                _add(held, body.payment_id, body.amount_fen)
                if not body.transfer_id:  # of what came by its order number, whatever was moved
                    captured[body.account_no, body.payment_id] = body.amount_fen
            case payments.PaymentReversed():
                _add(held, body.payment_id, body.gone_fen - body.amount_fen)
            case MoneyReturned(back=back):
                if body.account_no:
                    _add(held, back.payment_id, body.claim_fen - body.amount_fen)
                if back.clearing:
                    gone.setdefault(back.payment_id, {})[back.back_id] = body.amount_fen
            case RefundApproved(payment_id=payment_id) if payment_id:
                approved[body.refund_no] = body
                _add(held, payment_id, -body.refund_fen)
                gone.setdefault(payment_id, {})[body.refund_no] = body.refund_fen
                place = body.account_no, payment_id
                refunded[place] = refunded.get(place, 0) + body.refund_fen
            case RefundClosed(payment_id=payment_id) if payment_id:
                _add(held, payment_id, body.refund_fen - body.claim_fen)
                del gone[payment_id][body.refund_no]
                refunded[body.account_no, payment_id] -= body.refund_fen
    for place, refund_fen in refunded.items():
        assert refund_fen <= captured[place], place
    for payment_id, amount_fen in told.items():
        have_fen = held.get(payment_id, 0) + suspense.get(payment_id, 0)
        gone_fen = sum(gone.get(payment_id, {}).values())
        assert have_fen in (
            max(0, amount_fen - gone_fen),
            max(0, amount_fen + 1 - gone_fen),
        ), (payment_id, held, suspense, gone)


def nothing_stays_on_its_way(own: list[Any]) -> None:
    """Refunds that ended have nothing payable; the clearing says what the channel did."""
    entries = [body.journal for body in own if hasattr(body, "journal")]
    open_fen: dict[str, int] = {}
    by_channel: dict[str, int] = {}
    for body in own:
        match body:
            case RefundApproved():
                open_fen[body.refund_no] = body.refund_fen
            case RefundSucceeded() | RefundClosed():
                del open_fen[body.refund_no]
                if isinstance(body, RefundSucceeded) and body.by_channel:
                    by_channel[body.refund_no] = -body.refund_fen
            case MoneyReturned(back=back) if back.clearing:
                by_channel[back.back_id] = -body.amount_fen
            case payments.PaymentClaimed() | payments.PaymentSuspended():
                by_channel[body.payment_id] = body.amount_fen
    assert sub_balances(entries, "refund_payable") == open_fen
    assert sub_balances(entries, "transit") == {}
    clearing_fen = sum(sub_balances(entries, "channel_clearing").values())
    assert clearing_fen == sum(by_channel.values())


def _add(sums: dict[str, int], name: str, amount_fen: int) -> None:
    sums[name] = sums.get(name, 0) + amount_fen
