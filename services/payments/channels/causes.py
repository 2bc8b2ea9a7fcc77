"""Why a payment or its evidence is not what it should be: one closed list (payments.md 5).

The first group is found in the callback itself and refuses it; the rest is found later, by the
cores, in money that is already a fact. A refused callback is kept as evidence with its cause.

Example: `Refused(cause=Cause.SIGNATURE_INVALID, detail="the signature does not match")`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from services.payments.notices import PaymentNotice


class Cause(StrEnum):
    """The closed list of failure causes; the values are stored, so they never change."""

    SIGNATURE_INVALID = "signature_invalid"
    PROBE = "probe"
    TIMESTAMP_OUTSIDE_WINDOW = "timestamp_outside_window"
    SERIAL_UNKNOWN = "serial_unknown"
    SUITE_UNSUPPORTED = "suite_unsupported"
    DECRYPT_FAILED = "decrypt_failed"
    MALFORMED = "malformed"
    MERCHANT_MISMATCH = "merchant_mismatch"
    CURRENCY_MISMATCH = "currency_mismatch"

    ORDER_UNKNOWN = "order_unknown"
    AMOUNT_MISMATCH = "amount_mismatch"
    DUPLICATE = "duplicate"
    CONFLICTING_DUPLICATE = "conflicting_duplicate"
    LATE_AFTER_CLOSE = "late_after_close"
    CHANNEL_DECLINED = "channel_declined"
    USER_CANCELLED = "user_cancelled"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    TIMEOUT_UNKNOWN = "timeout_unknown"
    ACCOUNT_CLOSED = "account_closed"
    FILE_HASH_MISMATCH = "file_hash_mismatch"
    FILE_SUMMARY_MISMATCH = "file_summary_mismatch"
    FILE_COLUMNS_UNKNOWN = "file_columns_unknown"
    LINE_UNMATCHED = "line_unmatched"
    FEE_MISMATCH = "fee_mismatch"
    PAYOUT_MISMATCH = "payout_mismatch"


STATUS_OF_REFUSAL: dict[Cause, int] = {
    Cause.SIGNATURE_INVALID: 401,
    Cause.PROBE: 401,
    Cause.TIMESTAMP_OUTSIDE_WINDOW: 401,
    Cause.SERIAL_UNKNOWN: 401,
    Cause.SUITE_UNSUPPORTED: 401,
    Cause.DECRYPT_FAILED: 400,
    Cause.MALFORMED: 400,
    Cause.MERCHANT_MISMATCH: 403,
    Cause.CURRENCY_MISMATCH: 403,
}
"""The HTTP status that answers a refused callback; every gateway takes a 4xx as "not received"."""


class RefusalError(Exception):
    """Ends the reading of a callback inside `channels/`; never leaves `verify_and_parse`."""

    def __init__(self, cause: Cause, detail: str) -> None:
        self.cause = cause
        self.detail = detail
        super().__init__(f"{cause.value}: {detail}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The channel really sent this, to us, now; `notice` says what it means."""

    notice: PaymentNotice


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Not believed. `detail` names the field; it never repeats a value of the callback."""

    cause: Cause
    detail: str


Verdict = Accepted | Refused
