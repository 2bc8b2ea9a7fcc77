"""What control knows of an account that pays ahead: 0.2 kB, and 0.1 kB for each warning (two)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.control.events import TermsNoted
from services.control.prepaid_events import AvailableNoted, WarningDue, WarningServed


@dataclass(frozen=True, slots=True, kw_only=True)
class Available:
    """What is left by payments; estimate_until_on: the day before which the estimate in it ends;
    missing_days, estimated_days: how much of it nobody read."""

    available_fen: int
    estimate_until_on: str = ""
    missing_days: int = 0
    estimated_days: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceWarning:
    """A warning that stands. stage: warn1, warn2; served_at: "" while nobody served it."""

    stage: str
    due_at: str
    served_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepaidAgreement:
    """The terms in force of who pays ahead and whose meter is switched from afar."""

    agreement_no: str
    signed_on: str
    credit_limit_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Empty for an account that pays afterwards. available: None while payments said nothing."""

    available: Available | None = None
    warnings: tuple[BalanceWarning, ...] = ()


def agreement_of(terms: TermsNoted | None) -> PrepaidAgreement | None:
    """The agreement of who pays ahead and is switched from afar; None for any other."""
    if terms is None or terms.payment_mode != "prepaid_remote":
        return None
    return PrepaidAgreement(
        agreement_no=terms.prepaid_agreement_no,
        signed_on=terms.prepaid_signed_on,
        credit_limit_fen=terms.credit_limit_fen,
    )


def follow(balance: Balance, event: AvailableNoted | WarningDue | WarningServed) -> Balance:
    """A warning ends when money lifts the account above it; another crossing is another one."""
    match event:
        case AvailableNoted():
            available = Available(
                available_fen=event.available_fen,
                estimate_until_on=event.estimate_until_on,
                missing_days=event.missing_days,
                estimated_days=event.estimated_days,
            )
            kept = tuple(each for each in balance.warnings if each.stage in event.warned)
            return Balance(available=available, warnings=kept)
        case WarningDue():
            others = tuple(each for each in balance.warnings if each.stage != event.stage)
            due = BalanceWarning(stage=event.stage, due_at=event.due_at)
            return replace(balance, warnings=(*others, due))
        case served:
            return replace(
                balance,
                warnings=tuple(
                    replace(each, served_at=served.served_at)
                    if each.stage == served.stage
                    else each
                    for each in balance.warnings
                ),
            )
