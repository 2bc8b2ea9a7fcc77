"""What only a channel's file had: decided like the callback that never came.

The settlement stage forwards such a row once (docs/adr/0018); it becomes a notice with the source
`file`, so that a callback which comes after all is a copy of it, and the other way round.

Example: a capture with an order number of ours and no callback is captured with source=file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from libs.events.core import Item
from services.payments.events import catalogue
from services.payments.notices import Evidence, NoticeReceived, PaymentNotice
from services.payments.settlement.rows import REFUND, SettlementRow


@catalogue.reads("payments.row_found")
@dataclass(frozen=True, slots=True, kw_only=True)
class RowFound:
    """A row of a file that our books do not have; evidence_id: of the row, in its file."""

    row: SettlementRow
    case_id: str
    evidence_id: str


def opened(item: Item) -> Item:
    """An input with a found row as the notice that it stands for; any other as it is."""
    if not isinstance(item.body, RowFound):
        return item
    return replace(item, body=notice_of(item.body, item.key))


def notice_of(found: RowFound, key: str) -> NoticeReceived:
    """The notice of a row. Of a refund the amount of its order is not known, and is 0."""
    row = found.row
    is_refund = row.kind == REFUND
    notice = PaymentNotice(
        channel=row.channel,
        merchant=row.merchant,
        kind="refund" if is_refund else "captured",
        state=row.state,
        channel_txn_id=row.transaction,
        out_trade_no=row.order_no,
        amount_fen=0 if is_refund else row.amount_fen,
        payer_total_fen=0 if is_refund else row.amount_fen,
        currency="CNY",
        occurred_at=row.at,
        bill_on=row.day_on,
        refund_no=row.refund_no,
        refund_id=row.refund_id,
        refund_fen=row.amount_fen if is_refund else 0,
        refund_outcome="succeeded" if is_refund else "",
        references={"rrn": row.rrn} if row.rrn else {},
        original_txn_id=row.transaction if is_refund else "",
    )
    evidence = Evidence(
        evidence_id=found.evidence_id,
        body_sha256="",
        sealed_body="",
        nonce="",
        key_id="",
        headers={},
        remote_ip_hash="",
        received_at=row.at,
    )
    return NoticeReceived(
        verdict="accepted",
        cause="",
        detail="",
        channel=row.channel,
        merchant=row.merchant,
        key=key,
        notice=notice,
        evidence=evidence,
        source="file",
    )
