"""Whose debt a payment settles: the oldest first, the rest is prepayment (payments.md 5).

Example: 100.00 against open 30.00 (due January) and 90.00 (due February) pays 30.00 and 70.00;
20.00 of February stays open and nothing is prepaid.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDebt:
    """What an account still owes of one invoice: `open_fen` > 0, due on `due_on`."""

    invoice_no: str
    open_fen: int
    due_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """The part of an amount that settles (some of) one invoice."""

    invoice_no: str
    amount_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Where an amount went: `allocations` in the order of the debts, the rest to prepayment."""

    allocations: tuple[Allocation, ...]
    prepayment_fen: int

    @property
    def settled_fen(self) -> int:
        """What settled debts, in fen."""
        return sum(part.amount_fen for part in self.allocations)

    @property
    def amount_fen(self) -> int:
        """The whole amount, in fen."""
        return self.settled_fen + self.prepayment_fen


def spread(amount_fen: int, debts: Iterable[OpenDebt]) -> Spread:
    """Spread `amount_fen` (>= 0) over the open debts, oldest due date first, then invoice number.

    The order in which the debts are given does not matter. Also used for a prepayment balance when
    a new invoice comes, and for a credit note: what is left over is (or stays) prepaid.
    """
    assert amount_fen >= 0, "an amount to spread is never negative"
    rest_fen = amount_fen
    allocations = []
    for debt in sorted(debts, key=lambda debt: (debt.due_on, debt.invoice_no)):
        assert debt.open_fen > 0, f"{debt.invoice_no} is not open"
        part_fen = min(rest_fen, debt.open_fen)
        if part_fen == 0:
            break
        allocations.append(Allocation(invoice_no=debt.invoice_no, amount_fen=part_fen))
        rest_fen -= part_fen
    return Spread(allocations=tuple(allocations), prepayment_fen=rest_fen)


def remaining(debts: Iterable[OpenDebt], allocations: Iterable[Allocation]) -> tuple[OpenDebt, ...]:
    """The debts still open after the allocations, oldest first."""
    settled_fen: dict[str, int] = {}
    for part in allocations:
        settled_fen[part.invoice_no] = settled_fen.get(part.invoice_no, 0) + part.amount_fen
    rest = (
        OpenDebt(
            invoice_no=debt.invoice_no,
            open_fen=debt.open_fen - settled_fen.get(debt.invoice_no, 0),
            due_on=debt.due_on,
        )
        for debt in sorted(debts, key=lambda debt: (debt.due_on, debt.invoice_no))
    )
    return tuple(debt for debt in rest if debt.open_fen)
