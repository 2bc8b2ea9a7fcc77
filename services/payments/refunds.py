"""Refunds that people ask for: two of them, never above what is left, once (payments.md 7).

    requested    opened for a second person, or rejected with the problem
    approved     the money leaves the account for `refund_payable` in one decision: out of what is
                 prepaid, beyond it out of the debts that it settled, which are owed again; then the
                 order to the channel or the bank goes out, at most once
    outcome      a notice of the channel, or a person with evidence: paid, abnormal (a work item),
                 rerouted by bank transfer, or given up: the money is the account's again

Every fact asks refund_table.REFUND. A refund is at most what is left of its payment; one of what
is prepaid ("" for a payment, at the end of a contract) at most that, and goes by bank transfer.
"""

from __future__ import annotations

from services.payments import journal, orders, returns
from services.payments.allocation import spread
from services.payments.days import day_number
from services.payments.draft import Draft
from services.payments.entries import Refund
from services.payments.money_back import MoneyBack
from services.payments.notices import PaymentNotice
from services.payments.order_events import REFUND as REFUND_COMMAND
from services.payments.payment_table import Step, fact_of
from services.payments.refund_events import (
    RefundApproved,
    RefundClosed,
    RefundDecided,
    RefundFactRefused,
    RefundNoted,
    RefundOpened,
    RefundOrdered,
    RefundRejected,
    RefundReported,
    RefundRequested,
    RefundSucceeded,
)
from services.payments.refund_table import ENDED, OF_CHANNEL, REFUND, UNDER_WAY
from services.payments.seen import day_kept, digest_of
from services.payments.settlement.rows import REFUND as REFUND_ROW

KINDS = ("channel", "bank")
AT_CHANNEL = ("approved", "processing")
"""States in which the channel was told, or is about to be."""
_ENDED = {digest_of(state): state for state in ENDED}
_OF_REPORTS = (*OF_CHANNEL, "rerouted", "paid")


def state_of(draft: Draft, refund_no: str) -> str:
    """The state of a refund of ours; "" when there is none of this number."""
    for refund in draft.account.refunds:
        if refund.refund_no == refund_no:
            return refund.state
    known = draft.taken("refund", refund_no)
    return _ENDED[known.holder] if known is not None else ""


def on_requested(draft: Draft, request: RefundRequested) -> None:
    """A person asks: opened or rejected, once for each number."""
    if state_of(draft, request.refund_no):
        return
    refund = Refund(
        refund_no=request.refund_no,
        payment_id=request.payment_id,
        out_trade_no=request.out_trade_no,
        merchant=request.merchant,
        refund_fen=request.refund_fen,
        kind=request.kind,
        state="requested",
        requested_by=request.requested_by,
        reason=request.reason,
    )
    problem = _request_problem(draft, request) or _limit_problem(draft, refund)
    if problem:
        _reject(draft, request.refund_no, problem, request.requested_by)
        return
    draft.note(
        RefundOpened(
            refund_no=request.refund_no,
            account_no=draft.key,
            payment_id=request.payment_id,
            out_trade_no=request.out_trade_no,
            merchant=request.merchant,
            refund_fen=request.refund_fen,
            kind=request.kind,
            requested_by=request.requested_by,
            reason=request.reason,
            opened_at=draft.at,
        )
    )


def on_decided(draft: Draft, decided: RefundDecided) -> None:
    """A second person approves or declines; what is not possible any more is rejected."""
    fact = decided.decision
    refund = _open(draft, decided.refund_no)
    if fact == "approved" and refund is not None and refund.kind == "bank":
        fact = "approved_bank"
    step = _step(draft, decided.refund_no, fact)
    if step is None or step.action not in ("approve", "decline") or refund is None:
        refuse(draft, decided.refund_no, fact, decided.person, "it cannot be decided now")
    elif step.action == "decline":
        _reject(draft, refund.refund_no, f"declined: {decided.reason}", decided.person)
    elif _identity(decided.person) == _identity(refund.requested_by):
        refuse(draft, refund.refund_no, fact, decided.person, "a second person must approve it")
    elif problem := _limit_problem(draft, refund):
        _reject(draft, refund.refund_no, problem, decided.person)
    else:
        _approve(draft, refund, step.state, decided.person)


def on_reported(draft: Draft, report: RefundReported) -> None:
    """What a person saw, with evidence: the way on of the table, or refused."""
    refund = _open(draft, report.refund_no)
    step = _step(draft, report.refund_no, report.fact)
    problem = ""
    if report.fact not in _OF_REPORTS:
        problem = f"{report.fact!r} is nothing that happens to a refund"
    elif step is None:
        problem = "there is no refund of this number"
    elif step.action in ("work_item", "book"):
        problem = "it has no way on from here by that"
    elif step.action == "pay" and not report.bill_on:
        problem = "the day of the channel's bill is missing"
    elif step.action == "pay_bank" and not report.bank:
        problem = "the bank account that paid is missing"
    if problem:
        refuse(draft, report.refund_no, report.fact, report.person, problem)
    elif refund is not None and step is not None:
        channel = refund.payment_id.partition(":")[0]
        told = MoneyBack(
            back_id="",
            payment_id=refund.payment_id,
            kind="refund",
            amount_fen=refund.refund_fen,
            clearing=journal.clearing_of(channel, refund.merchant, report.bill_on),
            evidence_id="",
        )
        _go_on(draft, refund, step, told, report.person, report.evidence, report.bank)


def number_of(draft: Draft, notice: PaymentNotice, payment_id: str) -> str:
    """The number of our refund that a notice is about; "" for one made elsewhere.

    A card terminal does not say it: then it is the refund under way of this payment and amount.
    """
    if notice.refund_no:
        return notice.refund_no if state_of(draft, notice.refund_no) else ""
    amount_fen = notice.refund_fen or notice.amount_fen
    return next(
        (
            refund.refund_no
            for refund in draft.account.refunds
            if (refund.payment_id, refund.refund_fen) == (payment_id, amount_fen)
            and refund.kind == "channel"
            and refund.state in UNDER_WAY
            and notice.kind != "chargeback"
        ),
        "",
    )


def on_channel(draft: Draft, refund_no: str, fact: str, back: MoneyBack | None, by: str) -> None:
    """What the channel says of a refund of ours. Money that went is booked in any case."""
    refund = _open(draft, refund_no)
    step = REFUND[state_of(draft, refund_no), fact]
    if step.action == "book":
        if refund is not None:
            _reject(draft, refund_no, "the channel paid it before it was approved", by)
        assert back is not None, "only `succeeded` is booked, and it is about money"
        returns.on_back(draft, back)
    elif step.action == "work_item":
        refuse(draft, refund_no, fact, by, "the channel says what does not fit")
        if fact == "succeeded" and back is not None:
            returns.on_back(draft, back)
    elif step.action == "pay" and refund is not None and back is not None:
        _pay(draft, refund, step, back, by)
    elif refund is not None:
        _go_on(draft, refund, step, back, by)
    elif back is not None and back.is_total:
        returns.book(draft, back)


def _pay(draft: Draft, refund: Refund, step: Step, back: MoneyBack, by: str) -> None:
    if not back.is_total and back.amount_fen != refund.refund_fen:
        problem = f"the channel gave {back.amount_fen} fen, ours are {refund.refund_fen}"
        refuse(draft, refund.refund_no, "succeeded", by, problem)
        return
    _go_on(draft, refund, step, back, by)
    known = draft.taken("refunded", refund.payment_id)
    if back.is_total and known is not None and known.amount_fen < back.amount_fen:
        returns.book(draft, back)


def _approve(draft: Draft, refund: Refund, state: str, person: str) -> None:
    name = f"refund/{refund.refund_no}"
    prepaid_fen, debts = returns.taken_from(draft, refund.payment_id, name, refund.refund_fen)
    draft.note(
        RefundApproved(
            refund_no=refund.refund_no,
            account_no=draft.key,
            payment_id=refund.payment_id,
            refund_fen=refund.refund_fen,
            prepayment_fen=prepaid_fen,
            debts=debts,
            journal=journal.refund_approved(
                refund_no=refund.refund_no,
                account_no=draft.key,
                prepayment_fen=prepaid_fen,
                reopened_fen=refund.refund_fen - prepaid_fen,
            ),
            state=state,
            requested_by=refund.requested_by,
            approved_by=person,
            approved_at=draft.at,
        )
    )
    draft.note(
        RefundOrdered(
            refund_no=refund.refund_no,
            account_no=draft.key,
            kind=refund.kind,
            channel=refund.payment_id.partition(":")[0],
            merchant=refund.merchant,
            payment_id=refund.payment_id,
            out_trade_no=refund.out_trade_no,
            total_fen=returns.captured_fen(draft, refund.payment_id) or 0,
            refund_fen=refund.refund_fen,
            reason=refund.reason,
            ordered_at=draft.at,
        )
    )
    orders.ask_refund(draft, refund.refund_no, REFUND_COMMAND)
    draft.moved("refund_approved", refund.payment_id)


def _go_on(
    draft: Draft,
    refund: Refund,
    step: Step,
    back: MoneyBack | None,
    by: str,
    evidence: str = "",
    bank: str = "",
) -> None:
    """The way on that the table says. back: the money that went, as the channel says or a person;
    without a `back_id` it is a person's word."""
    if step.action in ("pay", "pay_bank"):
        assert back is not None, "what is paid is about money"
        by_channel = back.clearing if step.action == "pay" else ""
        draft.note(
            RefundSucceeded(
                refund_no=refund.refund_no,
                account_no=draft.key,
                payment_id=refund.payment_id,
                refund_fen=refund.refund_fen,
                journal=journal.refund_paid(
                    refund_no=refund.refund_no,
                    amount_fen=refund.refund_fen,
                    clearing=by_channel,
                    bank=bank,
                ),
                by=by,
                evidence=evidence,
                succeeded_at=draft.at,
                by_channel=bool(by_channel),
                back_id=back.back_id,
            )
        )
        draft.booked(
            f"{refund.payment_id}/refund/{refund.refund_no}",
            by_channel,
            refund.refund_fen,
            payment_id=back.booked_as,
            kind=REFUND_ROW,
            order_no=refund.out_trade_no,
            refund_no=refund.refund_no,
            account_no=draft.key,
        )
    elif step.action == "give_up":
        _give_up(draft, refund, by, evidence)
    elif step.action == "note":
        draft.note(
            RefundNoted(
                refund_no=refund.refund_no,
                account_no=draft.key,
                state=step.state,
                by=by,
                evidence=evidence,
                noted_at=draft.at,
            )
        )


def _give_up(draft: Draft, refund: Refund, by: str, evidence: str) -> None:
    amount_fen = refund.refund_fen
    if refund.payment_id:
        amount_fen = -returns.borne(draft, refund.payment_id, -refund.refund_fen)
    parts = spread(amount_fen, draft.account.debts)
    claim_fen = refund.refund_fen - amount_fen
    draft.note(
        RefundClosed(
            refund_no=refund.refund_no,
            account_no=draft.key,
            payment_id=refund.payment_id,
            refund_fen=refund.refund_fen,
            allocations=parts.allocations,
            prepayment_fen=parts.prepayment_fen,
            claim_fen=claim_fen,
            journal=journal.refund_given_up(
                refund_no=refund.refund_no,
                payment_id=refund.payment_id,
                account_no=draft.key,
                parts=parts,
                claim_fen=claim_fen,
            ),
            by=by,
            evidence=evidence,
            closed_at=draft.at,
        )
    )
    draft.moved("refund_closed", refund.payment_id)


def _request_problem(draft: Draft, request: RefundRequested) -> str:
    if request.account_no != draft.key:
        return f"account {request.account_no} was asked under {draft.key}"
    if request.kind not in KINDS:
        return f"{request.kind!r} is no way to give money back"
    if request.refund_fen <= 0:
        return f"{request.refund_fen} fen is no amount above zero"
    if not request.payment_id and request.kind != "bank":
        return "what is prepaid goes back by bank transfer"
    return ""


def _limit_problem(draft: Draft, refund: Refund) -> str:
    """Why so much cannot go back now; "" when it can."""
    payment_id = refund.payment_id
    if not payment_id:
        free_fen = draft.account.prepayment_fen
        return f"{free_fen} fen are prepaid" if refund.refund_fen > free_fen else ""
    known = draft.taken("payment", payment_id)
    if known is None:
        return f"{payment_id} was not captured at this account"
    if returns.is_moved(draft, payment_id):
        return f"{payment_id} is another account's now"
    if known.holder != digest_of(refund.out_trade_no):
        return f"{payment_id} has another order number than {refund.out_trade_no}"
    gone_fen = returns.gone_fen(draft, payment_id)
    fact = fact_of("refund", known.amount_fen, gone_fen, refund.refund_fen)
    assert returns.step_of(draft, payment_id, fact).action == "return", (
        "captured: money can go back"
    )
    left_fen = max(0, known.amount_fen - gone_fen)
    if refund.refund_fen > left_fen:
        return f"of {known.amount_fen} fen captured {left_fen} are left"
    age_days = day_number(draft.today_on) - day_kept(draft.account.seen, "payment", payment_id)
    if refund.kind == "channel" and age_days > draft.policy.refund_window_days:
        return "the channel's time for refunds is over: ask for a bank transfer"
    return ""


def _step(draft: Draft, refund_no: str, fact: str) -> Step | None:
    return REFUND.get((state_of(draft, refund_no), fact))


def _open(draft: Draft, refund_no: str) -> Refund | None:
    return next((each for each in draft.account.refunds if each.refund_no == refund_no), None)


def _identity(person: str) -> str:
    """Who a person is, however they write it."""
    return person.strip().casefold()


def _reject(draft: Draft, refund_no: str, problem: str, person: str) -> None:
    draft.note(
        RefundRejected(
            refund_no=refund_no,
            account_no=draft.key,
            problem=problem,
            person=person,
            rejected_at=draft.at,
        )
    )


def refuse(draft: Draft, refund_no: str, fact: str, by: str, problem: str) -> None:
    """What was said of a refund and has no way on from here: a work item."""
    draft.note(
        RefundFactRefused(
            refund_no=refund_no,
            account_no=draft.key,
            state=state_of(draft, refund_no) or "unknown",
            fact=fact,
            by=by,
            problem=problem,
        )
    )
