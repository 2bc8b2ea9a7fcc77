"""Opening positions: their control total, their identity, and what is wrong with one.

control_total_fen(opening) == receivables less prepayment
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import astuple, replace

from services.customers.events import OpeningReceivable, OpeningSubmitted

HOLD_REASONS = (
    "arrears",
    "prepaid_balance",
    "safety_defect",
    "works",
    "vacated",
    "theft_case",
    "customer_request",
    "fire_service",
)
"""Why a point may be off, as control has them (DESIGN 5)."""


def control_total_fen(receivables: Iterable[OpeningReceivable], prepayment_fen: int) -> int:
    """What an account owes in all: its receivables less its prepayment."""
    return sum(each.amount_fen for each in receivables) - prepayment_fen


def fingerprint(opening: OpeningSubmitted) -> str:
    """The SHA-256 of a position, whoever sent it in whichever file, so that it is taken once."""
    position = replace(opening, opening_id="", submitted_by="")
    return hashlib.sha256(repr(astuple(position)).encode()).hexdigest()


def problem_of(opening: OpeningSubmitted, usage_points: Collection[str]) -> str:
    """What is wrong with a position of an account that has these usage points; "" if nothing."""
    total_fen = control_total_fen(opening.receivables, opening.prepayment_fen)
    if total_fen != opening.control_total_fen:
        difference_fen = total_fen - opening.control_total_fen
        return (
            f"control_total_fen: {opening.control_total_fen} is stated, receivables less "
            f"prepayment are {total_fen} (difference {difference_fen})"
        )
    named = [each.usage_point for each in opening.readings]
    named += [each.usage_point for each in opening.holds]
    unknown = [usage_point for usage_point in named if usage_point not in usage_points]
    if unknown:
        return f"usage_point: {unknown[0]} is not known to the account; import it first"
    negative = [each.invoice_no for each in opening.receivables if each.amount_fen <= 0]
    if negative or opening.prepayment_fen < 0 or opening.tier_year_to_date_wh < 0:
        return f"amounts: must not be negative, nor a receivable zero {negative}"
    for what, names in (
        ("invoice_no", [each.invoice_no for each in opening.receivables]),
        ("register", [f"{each.usage_point} {each.register}" for each in opening.readings]),
        ("hold", [f"{each.usage_point} {each.reason}" for each in opening.holds]),
    ):
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            return f"{what}: {twice[0]} is there twice; give it once"
    return ""
