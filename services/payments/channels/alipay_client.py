"""Our calls to Alipay's gateway: query, close, refund, refund query (payments.md 2). Sans I/O.

A request is a form signed (RSA2) over all its fields, sorted, as `k=v` joined with `&`. An answer
is signed over the raw text of its `..._response` node, which is never written again: it must be the
first node and occur once. What is not signed so counts as no answer.

Example: a query of an unpaid order is answered `40004 ACQ.TRADE_NOT_EXIST`, until its payer opens
the cashier.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, NoReturn
from urllib.parse import urlencode

from services.payments.channels.access import ApiAnswer, ApiRequest, Said, nothing_believed
from services.payments.channels.alipay import KIND_OF_STATUS
from services.payments.channels.causes import Cause, RefusalError
from services.payments.channels.failure_causes import (
    AGAIN_CODES,
    CLOSED_CODES,
    NOT_FOUND_CODES,
    cause_of,
    plain,
)
from services.payments.channels.profile import AlipayProfile
from services.payments.channels.rsa import signed_by
from services.payments.channels.strict import (
    UTILITY_ZONE,
    Document,
    day_of,
    local_instant,
    object_of,
    optional_text_of,
    parse_json,
    refuse,
    text_of,
    utc_text,
    yuan_of,
)
from services.payments.notices import PaymentNotice
from services.payments.order_events import (
    ANSWERED,
    CLOSE,
    CLOSED,
    NOT_FOUND,
    QUERY,
    REFUND,
    REFUND_QUERY,
    REFUSED,
    ChannelAsked,
)

METHODS = {
    QUERY: "alipay.trade.query",
    CLOSE: "alipay.trade.close",
    REFUND: "alipay.trade.refund",
    REFUND_QUERY: "alipay.trade.fastpay.refund.query",
}
OK = "10000"


def request(profile: AlipayProfile, asked: ChannelAsked, now_unix: int, nonce: str) -> ApiRequest:
    """The signed request of a command. `nonce` is WeChat's: Alipay has none."""
    access = profile.access
    assert access is not None, "who calls has access"
    now = datetime.fromtimestamp(now_unix, UTC).astimezone(UTILITY_ZONE)
    fields = {
        "app_id": profile.app_id,
        "method": METHODS[asked.kind],
        "format": "JSON",
        "charset": "utf-8",
        "sign_type": "RSA2",
        "timestamp": now.strftime("%Y-%m-%d %H:%M:%S"),
        "version": "1.0",
        "biz_content": json.dumps(_content(asked), ensure_ascii=False),
    }
    signed = "&".join(f"{name}={fields[name]}" for name in sorted(fields))
    fields["sign"] = access.sign(signed.encode())
    return ApiRequest(
        method="POST",
        url=f"{access.base_url}/gateway.do",
        headers={"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
        body=urlencode(fields).encode(),
    )


def _content(asked: ChannelAsked) -> dict[str, Any]:
    if asked.kind in (QUERY, CLOSE):
        return {"out_trade_no": asked.out_trade_no}
    content = {
        "trade_no": asked.payment_id.partition(":")[2],
        "out_request_no": asked.refund_no,
    }
    if asked.kind == REFUND_QUERY:
        return content
    yuan = f"{asked.refund_fen // 100}.{asked.refund_fen % 100:02d}"
    return {**content, "refund_amount": yuan, "refund_reason": asked.reason[:256]}


def read(profile: AlipayProfile, asked: ChannelAsked, answer: ApiAnswer, now_unix: int) -> Said:
    """What an answer means; what is not signed, or cannot be read, is no answer."""
    if answer.status != 200:
        return nothing_believed(answer, answer.problem or "only a 200 is signed")
    try:
        content = _authenticated(profile, METHODS[asked.kind], answer.body)
        code = text_of(content, "code")
        if code != OK:
            return _no(answer, optional_text_of(content, "sub_code") or code, asked)
        if asked.kind == CLOSE:
            return Said(outcome=CLOSED)
        if asked.kind == QUERY:
            return _order(profile, asked, content, now_unix)
        return _refund(profile, asked, content, now_unix)
    except RefusalError as refusal:
        return nothing_believed(answer, f"{refusal.cause.value}: {refusal.detail}")


def _authenticated(profile: AlipayProfile, method: str, body: bytes) -> Document:
    """The node of an answer whose raw text is signed."""
    node = method.replace(".", "_") + "_response"
    document = parse_json(body)
    content = object_of(document, node)
    text = body.decode()
    head = '{"' + node + '":'
    if not text.startswith(head):
        refuse("the answer does not begin with its node")
    _, end = json.JSONDecoder().raw_decode(text, len(head))
    raw = text[len(head) : end].encode()
    signature = str(document.get("sign"))
    valid = [signed_by(key, raw, signature) for key in profile.public_keys]
    if not any(valid):
        _unsigned()
    return content


def _unsigned() -> NoReturn:
    raise RefusalError(Cause.SIGNATURE_INVALID, "sign does not match")


def _no(answer: ApiAnswer, code: str, asked: ChannelAsked) -> Said:
    word = plain(code)
    if word in NOT_FOUND_CODES:
        return Said(outcome=NOT_FOUND, code=code)
    if word in CLOSED_CODES and asked.kind == CLOSE:
        return Said(outcome=CLOSED, code=code)
    if word in AGAIN_CODES:
        said = nothing_believed(answer, code)
        return Said(outcome=said.outcome, code=code, cause=said.cause, detail=said.detail)
    return Said(outcome=REFUSED, code=code, cause=cause_of(code))


def _order(profile: AlipayProfile, asked: ChannelAsked, content: Document, now_unix: int) -> Said:
    if text_of(content, "out_trade_no") != asked.out_trade_no:
        refuse("out_trade_no is another order's")
    state = text_of(content, "trade_status")
    kind = KIND_OF_STATUS.get(state)
    if kind is None:
        refuse("trade_status is none that we know")
    is_paid = kind == "captured"
    occurred = datetime.fromtimestamp(now_unix, UTC)
    if is_paid:
        occurred = local_instant(str(content.get("send_pay_date")), "send_pay_date")
    total_fen = yuan_of(content, "total_amount") if is_paid else 0
    notice = PaymentNotice(
        channel=profile.channel,
        merchant=profile.name,
        kind=kind,
        state=state,
        channel_txn_id=text_of(content, "trade_no") if is_paid else "",
        out_trade_no=asked.out_trade_no,
        amount_fen=total_fen,
        payer_total_fen=total_fen,
        currency="CNY",
        occurred_at=utc_text(occurred),
        bill_on=day_of(occurred),
    )
    cause = cause_of(state) if kind == "closed" else ""
    return Said(outcome=ANSWERED, code=state, cause=cause, notice=notice)


def _refund(profile: AlipayProfile, asked: ChannelAsked, content: Document, now_unix: int) -> Said:
    """A refund is done at once, or not at all: only a question says by its number that it was."""
    if asked.kind == REFUND:
        state, is_done = text_of(content, "fund_change"), False
    else:
        if not content.get("out_request_no"):
            return Said(outcome=NOT_FOUND, code="REFUND_NOT_EXIST")
        if text_of(content, "out_request_no") != asked.refund_no:
            refuse("out_request_no is another refund's")
        state = optional_text_of(content, "refund_status") or "REFUND_SUCCESS"
        is_done = state == "REFUND_SUCCESS"
    now = datetime.fromtimestamp(now_unix, UTC)
    paid_at = content.get("gmt_refund_pay")
    occurred = local_instant(str(paid_at), "gmt_refund_pay") if paid_at else now
    notice = PaymentNotice(
        channel=profile.channel,
        merchant=profile.name,
        kind="refund",
        state=state,
        channel_txn_id=text_of(content, "trade_no"),
        out_trade_no=text_of(content, "out_trade_no"),
        amount_fen=asked.total_fen,
        payer_total_fen=asked.total_fen,
        currency="CNY",
        occurred_at=utc_text(occurred),
        bill_on=day_of(occurred),
        refund_no=asked.refund_no,
        refund_fen=yuan_of(content, "refund_amount") if is_done else asked.refund_fen,
        refund_outcome="succeeded" if is_done else "",
        original_txn_id=text_of(content, "trade_no"),
    )
    return Said(outcome=ANSWERED, code=state, notice=notice)
