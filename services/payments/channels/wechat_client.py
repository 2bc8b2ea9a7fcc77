"""Our calls to WeChat Pay API v3: query, close, refund, refund query (payments.md 1.3). Sans I/O.

A request is signed over METHOD LF path+query LF timestamp LF nonce LF body LF. An answer is signed
as a callback is; without a valid signature, 2xx or not, it counts as none.

Example: `request(profile, asked, now_unix, nonce)` of a query is
    GET /v3/pay/transactions/out-trade-no/10000000421A7?mchid=1900000001
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from services.payments.channels import wechat
from services.payments.channels.access import ApiAnswer, ApiRequest, Said, nothing_believed
from services.payments.channels.causes import RefusalError
from services.payments.channels.failure_causes import (
    AGAIN_CODES,
    CLOSED_CODES,
    NOT_FOUND_CODES,
    cause_of,
    plain,
)
from services.payments.channels.profile import WechatProfile
from services.payments.channels.strict import (
    Document,
    day_of,
    fen_of,
    instant_of,
    object_of,
    parse_json,
    refuse,
    text_of,
    utc_text,
)
from services.payments.notices import PaymentNotice
from services.payments.order_events import (
    ANSWERED,
    CLOSE,
    CLOSED,
    NOT_FOUND,
    QUERY,
    REFUND,
    REFUSED,
    ChannelAsked,
)

REFUND_STATES = {
    "SUCCESS": "succeeded",
    "CLOSED": "closed",
    "ABNORMAL": "abnormal",
    "PROCESSING": "",
}
"""Refund states of an answer, and the outcomes they are; PROCESSING moves no money yet."""
_ORDERS, _REFUNDS = "/v3/pay/transactions/out-trade-no", "/v3/refund/domestic/refunds"


def request(profile: WechatProfile, asked: ChannelAsked, now_unix: int, nonce: str) -> ApiRequest:
    """The signed request of a command."""
    access = profile.access
    assert access is not None, "who calls has access"
    method, path, content = _call(profile, asked)
    body = json.dumps(content, ensure_ascii=False).encode() if content is not None else b""
    message = f"{method}\n{path}\n{now_unix}\n{nonce}\n".encode() + body + b"\n"
    signed = (
        f'mchid="{profile.name}",nonce_str="{nonce}",timestamp="{now_unix}",'
        f'serial_no="{access.serial}",signature="{access.sign(message)}"'
    )
    return ApiRequest(
        method=method,
        url=access.base_url + path,
        headers={
            "Accept": "application/json",
            "Authorization": f"WECHATPAY2-SHA256-RSA2048 {signed}",
            **({"Content-Type": "application/json"} if body else {}),
        },
        body=body,
    )


def _call(profile: WechatProfile, asked: ChannelAsked) -> tuple[str, str, Document | None]:
    if asked.kind == QUERY:
        return "GET", f"{_ORDERS}/{asked.out_trade_no}?mchid={profile.name}", None
    if asked.kind == CLOSE:
        return "POST", f"{_ORDERS}/{asked.out_trade_no}/close", {"mchid": profile.name}
    if asked.kind != REFUND:
        return "GET", f"{_REFUNDS}/{asked.refund_no}", None
    amount = {"refund": asked.refund_fen, "total": asked.total_fen, "currency": "CNY"}
    content: dict[str, Any] = {
        "transaction_id": asked.payment_id.partition(":")[2],
        "out_refund_no": asked.refund_no,
        "reason": asked.reason[:80],
        "amount": amount,
    }
    return "POST", _REFUNDS, content


def read(profile: WechatProfile, asked: ChannelAsked, answer: ApiAnswer, now_unix: int) -> Said:
    """What an answer means; what is not signed, or cannot be read, is no answer."""
    if answer.status == 0:
        return nothing_believed(answer, answer.problem)
    try:
        wechat.authenticate(profile, answer.headers, answer.body, now_unix)
        if answer.status == 204 and asked.kind == CLOSE:
            return Said(outcome=CLOSED)
        content = parse_json(answer.body)
        if not 200 <= answer.status < 300:
            return _no(answer, text_of(content, "code"), asked)
        if asked.kind == QUERY:
            return _order(profile, asked, content, now_unix)
        if asked.kind != CLOSE:
            return _refund(profile, asked, content, now_unix)
        refuse("a close is answered 204")
    except RefusalError as refusal:
        return nothing_believed(answer, f"{refusal.cause.value}: {refusal.detail}")


def _no(answer: ApiAnswer, code: str, asked: ChannelAsked) -> Said:
    word = plain(code)
    if word in NOT_FOUND_CODES or (answer.status == 404 and asked.kind != CLOSE):
        return Said(outcome=NOT_FOUND, code=code)
    if word in CLOSED_CODES and asked.kind == CLOSE:
        return Said(outcome=CLOSED, code=code)
    if word in AGAIN_CODES or answer.status == 429 or answer.status >= 500:
        said = nothing_believed(answer, code)
        return Said(outcome=said.outcome, code=code, cause=said.cause, detail=said.detail)
    return Said(outcome=REFUSED, code=code, cause=cause_of(code))


def _order(profile: WechatProfile, asked: ChannelAsked, content: Document, now_unix: int) -> Said:
    state = text_of(content, "trade_state")
    if text_of(content, "out_trade_no") != asked.out_trade_no:
        refuse("out_trade_no is another order's")
    kind = wechat.KIND_OF_STATE.get(state)
    if kind is None:
        refuse("trade_state is none that we know")
    now = datetime.fromtimestamp(now_unix, UTC)
    if kind == "captured":
        notice = wechat.read_transaction(profile, "TRANSACTION.SUCCESS", content, now)
        return Said(outcome=ANSWERED, code=state, notice=notice)
    wechat.check_merchant(profile, content)
    notice = PaymentNotice(
        channel=profile.channel,
        merchant=profile.name,
        kind=kind,
        state=state,
        channel_txn_id="",
        out_trade_no=asked.out_trade_no,
        amount_fen=0,
        payer_total_fen=0,
        currency="CNY",
        occurred_at=utc_text(now),
        bill_on=day_of(now),
        references=wechat.references_of(content, ("trade_type", "bank_type")),
    )
    cause = "" if kind == "pending" else cause_of(state)
    return Said(outcome=ANSWERED, code=state, cause=cause, notice=notice)


def _refund(profile: WechatProfile, asked: ChannelAsked, content: Document, now_unix: int) -> Said:
    state = text_of(content, "status")
    if text_of(content, "out_refund_no") != asked.refund_no:
        refuse("out_refund_no is another refund's")
    if state not in REFUND_STATES:
        refuse("status is none that we know")
    amount = object_of(content, "amount")
    outcome = REFUND_STATES[state]
    now = datetime.fromtimestamp(now_unix, UTC)
    occurred = instant_of(content, "success_time") if outcome == "succeeded" else now
    total_fen = fen_of(amount, "total")
    notice = PaymentNotice(
        channel=profile.channel,
        merchant=profile.name,
        kind="refund",
        state=state,
        channel_txn_id=text_of(content, "transaction_id"),
        out_trade_no=text_of(content, "out_trade_no"),
        amount_fen=total_fen,
        payer_total_fen=total_fen,
        currency="CNY",
        occurred_at=utc_text(occurred),
        bill_on=day_of(occurred),
        refund_no=asked.refund_no,
        refund_id=text_of(content, "refund_id"),
        refund_fen=fen_of(amount, "refund"),
        refund_outcome=outcome,
        original_txn_id=text_of(content, "transaction_id"),
    )
    return Said(outcome=ANSWERED, code=state, notice=notice)
