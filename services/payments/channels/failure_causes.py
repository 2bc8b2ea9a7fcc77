"""What the words of WeChat Pay and Alipay mean for a payment: data.

Codes are compared without "_" and without "ACQ.", as old pages spell them otherwise. A code that is
not in the table is a decline like any other; one that says nothing about the payer has no cause.

Source: payments.md 1.3 and 2 (error codes, trade states); card networks are in response_codes.py.

Example: `cause_of("NOT_ENOUGH")` is `insufficient_funds`.
"""

from __future__ import annotations

from services.payments.channels.causes import Cause

NOT_FOUND_CODES = frozenset(
    {"ORDERNOTEXIST", "TRADENOTEXIST", "RESOURCENOTEXISTS", "REFUNDNOTEXIST", "REFUNDNOTEXISTS"}
)
"""The channel does not know the order, or the refund."""

CLOSED_CODES = frozenset({"ORDERCLOSED", "TRADEHASCLOSE"})
"""An order that is to be closed is closed already."""

AGAIN_CODES = frozenset(
    {"FREQUENCYLIMITED", "SYSTEMERROR", "USERPAYING", "ORDERPAID", "TRADESTATUSERROR", "20000"}
)
"""Nothing was decided: ask again. Of an order that was just paid the next query tells."""

_CAUSES: dict[str, Cause] = {
    "NOTENOUGH": Cause.INSUFFICIENT_FUNDS,
    "BUYERBALANCENOTENOUGH": Cause.INSUFFICIENT_FUNDS,
    "SELLERBALANCENOTENOUGH": Cause.INSUFFICIENT_FUNDS,
    "PAYERROR": Cause.CHANNEL_DECLINED,
    "ORDERCLOSED": Cause.LATE_AFTER_CLOSE,
    "TRADEHASCLOSE": Cause.LATE_AFTER_CLOSE,
    "CLOSED": Cause.USER_CANCELLED,
    "REVOKED": Cause.USER_CANCELLED,
    "TRADECLOSED": Cause.USER_CANCELLED,
    "ACCOUNTERROR": Cause.ACCOUNT_CLOSED,
    "BUYERENABLESTATUSFORBID": Cause.ACCOUNT_CLOSED,
    "MCHNOTEXISTS": Cause.MERCHANT_MISMATCH,
    "APPIDMCHIDNOTMATCH": Cause.MERCHANT_MISMATCH,
    "SIGNERROR": Cause.SIGNATURE_INVALID,
    "PARAMERROR": Cause.MALFORMED,
    "OUTTRADENOUSED": Cause.DUPLICATE,
    "ORDERNOTEXIST": Cause.ORDER_UNKNOWN,
    "TRADENOTEXIST": Cause.ORDER_UNKNOWN,
}


def plain(code: str) -> str:
    """A code as the tables have it."""
    return code.removeprefix("ACQ.").replace("_", "").upper()


def cause_of(code: str) -> str:
    """Why a payment with this code failed, one of `causes.Cause`."""
    return _CAUSES.get(plain(code), Cause.CHANNEL_DECLINED).value
