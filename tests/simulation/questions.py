"""What must hold of the questions of the tariff audit in every history of the billing core."""

from __future__ import annotations

from typing import Any

from services.billing.events import (
    ReleaseDecided,
    TariffClassAccepted,
    TariffClassQuestioned,
    TariffClassSettled,
)
from services.billing.payment_reactions import PaymentCaptured, PaymentReversed

DECISIONS = (ReleaseDecided, TariffClassAccepted, PaymentCaptured, PaymentReversed)
"""Inputs that only make sense after what they are about."""

Standing = dict[tuple[str, str], tuple[Any, ...]]


def acceptance(no: str) -> TariffClassAccepted:
    """A person who accepts the first question about an account, whether or not it was asked."""
    return TariffClassAccepted(
        request_id="r", account_no=no, audit_id=f"{no}-T001", decided_by="wu", reason="so agreed"
    )


def standing(events: list[Any], no: str) -> Standing:
    """The questions that stand, with their money; () for an accepted one, whose figures are those
    of the moment."""
    found: Standing = {}
    for body in events:
        if isinstance(body, TariffClassQuestioned) and body.account_no == no:
            found[body.rule, body.point] = (body.months, body.at_stake_fen, body.problem)
        elif isinstance(body, TariffClassSettled) and body.account_no == no:
            del found[body.rule, body.point]
            if body.reason == "accepted":
                found[body.rule, body.point] = ()
    return found


def same_questions(events: list[Any], calm: list[Any], no: str) -> bool:
    """Whether the same questions stand as in a calm history, where nobody accepted one."""
    found, expected = standing(events, no), standing(calm, no)
    return {key: value or expected.get(key) for key, value in found.items()} == expected
