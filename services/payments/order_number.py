"""Order numbers that carry the account, so that one stream sees all of a payment (DESIGN 4).

    out_trade_no = account number (10 digits) + check digit + sequence (1 to 21 characters)

The check digit is ISO 7064 MOD 11,10 over the account number: it finds every single wrong digit and
nearly all transpositions, so a mistyped number becomes suspense money instead of a stranger's.

Example: account 1000000042, sequence `26010001` -> `1000000042` + `1` + `26010001`.
"""

from __future__ import annotations

import re

from libs.events.errors import BadInput

ACCOUNT_DIGITS = 10
LENGTH_MAX = 32  # WeChat Pay allows 6..32 (payments.md 1.3); Alipay allows 64

_ACCOUNT = re.compile(r"[0-9]{10}", re.ASCII)
_SEQUENCE = re.compile(r"[0-9A-Za-z_*-]{1,21}", re.ASCII)
_ORDER = re.compile(r"([0-9]{10})([0-9])[0-9A-Za-z_*-]{1,21}", re.ASCII)


def is_account_no(text: str) -> bool:
    """Whether the text has the form of an account number: 10 digits."""
    return _ACCOUNT.fullmatch(text) is not None


def check_digit(digits: str) -> str:
    """The ISO 7064 MOD 11,10 check digit of a string of digits: `0794` -> `5`."""
    product = 10
    for digit in digits:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return str((11 - product) % 10)


def make_order_number(account_no: str, sequence: str) -> str:
    """The order number of one payment order of an account; BadInput names the wrong part."""
    if not is_account_no(account_no):
        raise BadInput("account_no", f"{account_no!r} is no account number", "give 10 digits")
    if not _SEQUENCE.fullmatch(sequence):
        raise BadInput(
            "sequence",
            f"{sequence!r} does not fit an order number",
            "use 1 to 21 characters of 0-9 A-Z a-z _ * -",
        )
    return account_no + check_digit(account_no) + sequence


def account_of(out_trade_no: str) -> str | None:
    """The account number that an order number carries; None when it is no order number of ours."""
    found = _ORDER.fullmatch(out_trade_no)
    if found is None or check_digit(found.group(1)) != found.group(2):
        return None
    return found.group(1)
