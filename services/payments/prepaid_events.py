"""Accounts that pay ahead: what is agreed, what they have used since their last bill, what is left.

available = prepayment - what is owed - the estimates of the months without an invoice
"""

from __future__ import annotations

from dataclasses import dataclass

from services.payments.events import catalogue

STAGES = ("warn1", "warn2", "zero", "credit_limit")
"""How low an account is, from the first warning to the end of its credit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepaidTerms:
    """How the account pays from a day on. mode: postpaid, prepaid_remote, prepaid_local.

    Below warn1_fen and warn2_fen it is warned; credit_limit_fen: how far below zero it may go.
    """

    from_on: str
    mode: str
    credit_limit_fen: int = 0
    warn1_fen: int = 0
    warn2_fen: int = 0


@catalogue.event("payments.prepaid_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class PrepaidNoted:
    """How an account pays that pays ahead on some day (content of customers.agreements)."""

    account_no: str
    version: int
    terms: tuple[PrepaidTerms, ...]


@catalogue.event("payments.estimate_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateNoted:
    """What billing estimates for a month until (before) `until_on`; is_closed: the invoice came.

    missing_days, estimated_days: how much of it was not read.
    """

    account_no: str
    month: str
    until_on: str
    amount_fen: int
    missing_days: int
    estimated_days: int
    is_closed: bool = False


@catalogue.event("payments.available_changed")
@dataclass(frozen=True, slots=True, kw_only=True)
class AvailableChanged:
    """What an account that pays ahead has left, with what it is made of.

    estimate_until_on: the day before which the last estimate ends, "" without one; missing_days,
    estimated_days: of all months in it; low: the stages that it is below; warned: those that it was
    told before and that no money has lifted it above since.
    """

    account_no: str
    available_fen: int
    prepayment_fen: int
    receivable_fen: int
    estimate_fen: int
    estimate_until_on: str
    missing_days: int
    estimated_days: int
    low: tuple[str, ...]
    warned: tuple[str, ...]
    reason: str
    as_of: str


@catalogue.event("payments.balance_low")
@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceLow:
    """What is left fell below a threshold: told once, and again only after money came.

    stage: warn1, warn2, zero, credit_limit.
    """

    account_no: str
    stage: str
    available_fen: int
    threshold_fen: int
    as_of: str
