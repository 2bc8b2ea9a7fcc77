"""What control notes of accounts that pay ahead: what they have left, and who was warned."""

from __future__ import annotations

from dataclasses import dataclass

from services.control.events import catalogue

WARNINGS = ("warn1", "warn2")
"""The stages at which somebody is warned; `zero` and `credit_limit` are told to nobody by hand."""


@catalogue.event("control.available_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class AvailableNoted:
    """What the account has left by payments, and how well the estimate in it was read.

    warned: the warnings that stand since money last lifted the account above them.
    """

    account_no: str
    available_fen: int
    estimate_until_on: str
    missing_days: int
    estimated_days: int
    warned: tuple[str, ...]


@catalogue.event("control.warning_due")
@dataclass(frozen=True, slots=True, kw_only=True)
class WarningDue:
    """The account fell below a threshold: somebody must warn the customer. stage: warn1, warn2."""

    account_no: str
    stage: str
    available_fen: int
    threshold_fen: int
    due_at: str


@catalogue.event("control.warning_served")
@dataclass(frozen=True, slots=True, kw_only=True)
class WarningServed:
    """The warning reached the customer: who says so and with what evidence."""

    account_no: str
    stage: str
    channel: str
    recipient: str
    served_at: str
    evidence: str
    served_by: str
