"""The debts that a late fee may be taken of, and what their late payments came to.

A debt is an invoice, or a round that is to be paid: what its fee follows from is fixed when it is
issued, so a later version of the book does not change it. Fees themselves bear none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from services.billing.correction import IssuedBill, RatingInput
from services.billing.events import CorrectionIssued, InvoiceIssued, LateFeeCharged

DEBTS_KEPT = 40
RESIDENTIAL = ("residential", "residential_shared")


@dataclass(frozen=True, slots=True, kw_only=True)
class LateDebt:
    """What is due on a day by the late-fee rule of a book.

    pieces: the fee of each late payment of it, in fen and before the minimum.
    """

    due_on: str
    book: str
    residential: bool
    pieces: dict[str, int] = field(default_factory=dict)


LateDebts = dict[str, LateDebt]
"""By the number of the invoice or round, in the order they were issued."""


def with_invoice(debts: LateDebts, event: InvoiceIssued) -> LateDebts:
    """The debts with an invoice; one of nothing, or a credit, is none."""
    if event.total_fen <= 0:
        return debts
    return _with(debts, event.invoice_no, event.due_on, event.inputs)


def with_round(
    debts: LateDebts, event: CorrectionIssued, issued: Sequence[IssuedBill]
) -> LateDebts:
    """The debts with a round to be paid, by the book of the last of the bills, as they were before
    and are after it: a round may also take back a credit whose days are the account's no more."""
    if event.difference_fen <= 0:
        return debts
    inputs = next((each.inputs for each in reversed(issued) if each.inputs), ())
    return _with(debts, event.correction_no, event.due_on, inputs)


def with_fee(debts: LateDebts, event: LateFeeCharged) -> LateDebts:
    """The debts after a fee, or after one that was given back."""
    debt = debts[event.invoice_no]
    pieces = {name: fen for name, fen in debt.pieces.items() if name != event.payment}
    if event.piece_fen > 0:
        pieces[event.payment] = event.piece_fen
    return {**debts, event.invoice_no: replace(debt, pieces=pieces)}


def _with(debts: LateDebts, number: str, due_on: str, inputs: Sequence[RatingInput]) -> LateDebts:
    assert inputs, "what is to be paid was rated from something"
    debt = LateDebt(
        due_on=due_on,
        book=inputs[0].book,
        residential=all(
            point.category in RESIDENTIAL for each in inputs for point in each.terms.points
        ),
    )
    return dict([*debts.items(), (number, debt)][-DEBTS_KEPT:])
