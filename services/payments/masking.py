"""Personal data of payers: turned into keyed hashes, or masked, before anything is written.

Nothing that leaves `channels/` carries an openid, a buyer's login or a card number (payments.md 6).
Who paid is kept as a keyed hash: the same payer gives the same hash, and without the key the few
possible card numbers cannot be tried out.

Example: `masked_text("card 6228480402564890018 declined")` -> `card 622848*********0018 declined`.
"""

from __future__ import annotations

import hashlib
import hmac
import re

_DIGIT_RUN = re.compile(r"(?<![0-9])[0-9]{13,19}(?![0-9])", re.ASCII)


def payer_hash(key: bytes, payer_id: str) -> str:
    """HMAC-SHA256 of a payer's id under a secret key, 32 hex digits; empty for no payer."""
    if not payer_id:
        return ""
    return hmac.new(key, payer_id.encode(), hashlib.sha256).hexdigest()[:32]


def luhn_valid(digits: str) -> bool:
    """Whether the last digit checks by ISO/IEC 7812-1 annex B, as on every bank card."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def masked_card(number: str) -> str:
    """First six and last four digits (PCI DSS 3.4.1); all stars when shorter than a card."""
    if len(number) < 13:
        return "*" * len(number)
    return f"{number[:6]}{'*' * (len(number) - 10)}{number[-4:]}"


def masked_text(text: str) -> str:
    """The text with every card number in it masked; other digits stay (terminal, batch, RRN)."""
    return _DIGIT_RUN.sub(
        lambda run: masked_card(run.group()) if luhn_valid(run.group()) else run.group(), text
    )
