"""What the payments edge writes: every callback with its verdict, its evidence and what it says.

Two layers in one record (payments.md 0.3): the *evidence* is kept for every request, accepted or
refused, and is never deduplicated; the *notice* is what an accepted callback means, free of
personal data, the same for every channel. Whether a notice is new is decided by the core.

Example: a WeChat callback about 123.45 yuan is a `NoticeReceived` with verdict `accepted` and a
`PaymentNotice(channel="wechat", kind="captured", amount_fen=12345, ...)`, keyed by the account
that its order number carries.
"""

from __future__ import annotations

from dataclasses import dataclass, field

KINDS = (
    "captured",  # money was paid to us
    "refund",  # money went (or failed to go) back to the payer: see `refund_outcome`
    "reversed",  # POS only: a void or reversal of an earlier sale
    "chargeback",  # the card's bank took the money of an earlier sale back
    "closed",  # the order ended unpaid
    "failed",  # the channel declined
    "pending",  # the payer has not finished; no money event
    "information",  # signed by the channel, but about no payment (self-test, contract notices)
)

MONEY_BACK = ("refund", "reversed", "chargeback")
"""Kinds about a payment that was made before: they go where it went (`original_txn_id`)."""

REFUND_OUTCOMES = ("", "succeeded", "abnormal", "closed")


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentNotice:
    """One fact about one payment, as a channel states it; equal for every copy of a callback.

    `channel_txn_id` is the channel's own number of the payment and, with `channel` and `kind`, its
    identity. `original_txn_id` is that number of the payment which a kind of MONEY_BACK takes back:
    the same for WeChat and Alipay, another one for POS, whose refunds and reversals have a number
    of their own; "" where a POS callback does not say it (`original_rrn` is kept all the same).
    `amount_fen` is the order's total and what is credited; `payer_total_fen` may be lower when
    coupons were used (payments.md 1.2). `out_trade_no` is empty or foreign for money without an
    order of ours. `state` is the channel's own word. `bill_on` is the day of the channel's bill.
    """

    channel: str
    merchant: str
    kind: str
    state: str
    channel_txn_id: str
    out_trade_no: str
    amount_fen: int
    payer_total_fen: int
    currency: str
    occurred_at: str
    bill_on: str
    payer_hash: str = ""
    """Keyed hash of who paid (openid, buyer id, card): equal payers can be seen, none be named."""
    refund_no: str = ""
    refund_id: str = ""
    refund_fen: int = 0
    refund_total: bool = False
    """True: `refund_fen` is all that was refunded so far (Alipay); False: this refund alone."""
    refund_outcome: str = ""
    references: dict[str, str] = field(default_factory=dict)
    """What matching needs besides: terminal, batch, stan, rrn; bank_type; notify_id. Of cards that
    were declined `failure_cause` (channels/response_codes.py)."""
    original_txn_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was received, kept so that an auditor can verify it again.

    `sealed_body` is base64 of the AES-256-GCM ciphertext of the raw body under the key `key_id`;
    `nonce` (base64) and the associated data `channel LF merchant LF body_sha256` open it.
    """

    evidence_id: str
    body_sha256: str
    sealed_body: str
    nonce: str
    key_id: str
    headers: dict[str, str]
    remote_ip_hash: str
    received_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeReceived:
    """`payments.notice_received`: one callback request, accepted or refused.

    `verdict` is `accepted` or `refused`; `cause` is empty or one of `channels.causes.Cause`;
    `merchant` is the name in the callback's path; `key` is the partition key: the account that the
    order number carries, else `channel:` with the number of the payment that it is about (for
    MONEY_BACK `original_txn_id`), else `channel:evidence_id`. `source` is how we heard of it:
    callback, or pos_8583 from a card terminal of ours.
    """

    verdict: str
    cause: str
    detail: str
    channel: str
    merchant: str
    key: str
    notice: PaymentNotice | None
    evidence: Evidence
    source: str = "callback"
