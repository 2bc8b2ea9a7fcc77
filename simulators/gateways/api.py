"""The gateways' own HTTP interface: what a merchant asks of WeChat Pay and Alipay.

Queries, closes, refunds and queries of refunds, each request verified with the merchant's public
key and each answer signed, or not: `Api.faults` is a list of what goes wrong next, one entry for a
request: busy (429 or its like), broken (500), unsigned, forged, slow (no answer until the caller
hangs up), gone.

Orders need not be made here: one that is unknown is answered as that, one that was paid by
`Gateways.pay` is paid. `orders`: how an unpaid one stands (NOTPAY, USERPAYING, PAYERROR, CLOSED).
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from simulators.gateways.callbacks import CHINA, Payment, Refund
from simulators.gateways.keys import APPID, MCHID, PUBLIC_KEY_ID

if TYPE_CHECKING:
    from simulators.gateways.gateway import Gateways

FAULTS = ("busy", "broken", "unsigned", "forged", "slow", "gone")
ALIPAY_STATES = {"NOTPAY": "WAIT_BUYER_PAY", "USERPAYING": "WAIT_BUYER_PAY"}
_FIELDS = re.compile(r'(\w+)="([^"]*)"')


@dataclass(slots=True)
class Reply:
    """Status and body of an answer; `node` names the signed node of Alipay."""

    status: int
    content: dict[str, Any] | None = None
    node: str = ""


@dataclass(slots=True)
class Api:
    """Answers HTTP about one `Gateways`. asked: what was asked, in order: (what, number)."""

    gateways: Gateways
    faults: list[str] = field(default_factory=list)
    orders: dict[str, str] = field(default_factory=dict)
    refunds: dict[str, Refund] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    silent_refunds: bool = False
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    async def start(self, port: int) -> asyncio.Server:
        """Listen on the loopback; port 0 takes a free one."""
        return await asyncio.start_server(self._serve, "127.0.0.1", port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *rest = head.split("\r\n")
            method, target, _ = line.split(" ")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (each.partition(":") for each in rest if each)
            }
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            fault = self.faults.pop(0) if self.faults else ""
            if fault == "slow":
                await reader.read()  # until the caller has had enough
            elif fault != "gone":
                writer.write(self._answer(method, target, headers, body, fault))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _answer(
        self, method: str, target: str, headers: dict[str, str], body: bytes, fault: str
    ) -> bytes:
        if target == "/gateway.do":
            return _http(200, {}, self._alipay(body, fault))
        reply = Reply(401, {"code": "SIGN_ERROR", "message": "wrong signature"})
        if self._is_signed(method, target, headers, body):
            reply = self._wechat(method, target, body, fault)
        sent = json.dumps(reply.content).encode() if reply.content is not None else b""
        return _http(reply.status, self._headers(sent, fault), sent)

    # -- WeChat Pay ---------------------------------------------------------------------------

    def _is_signed(self, method: str, target: str, headers: dict[str, str], body: bytes) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        named = dict(_FIELDS.findall(given))
        text = f"{method}\n{target}\n{named.get('timestamp')}\n{named.get('nonce_str')}\n"
        known = named.get("mchid") == MCHID and scheme == "WECHATPAY2-SHA256-RSA2048"
        message = text.encode() + body + b"\n"
        return known and self._is_merchants(message, named.get("signature", ""))

    def _is_merchants(self, message: bytes, signature: str) -> bool:
        key = self.gateways.keys.merchant.public_key()
        try:
            key.verify(base64.b64decode(signature), message, PKCS1v15(), SHA256())
        except (InvalidSignature, ValueError):
            return False
        return True

    def _headers(self, body: bytes, fault: str) -> dict[str, str]:
        if fault in ("unsigned", "busy", "broken"):
            return {}
        now, nonce = str(int(time.time())), secrets.token_hex(16)
        keys = self.gateways.keys
        key = keys.stranger if fault == "forged" else keys.wechat_key
        return {
            "Wechatpay-Timestamp": now,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Serial": PUBLIC_KEY_ID,
            "Wechatpay-Signature": _sign(key, f"{now}\n{nonce}\n".encode() + body + b"\n"),
        }

    def _wechat(self, method: str, target: str, body: bytes, fault: str) -> Reply:
        if fault == "busy":
            return Reply(429, {"code": "FREQUENCY_LIMITED", "message": "too many"})
        if fault == "broken":
            return Reply(500, {"code": "SYSTEM_ERROR", "message": "try again"})
        parts = urlsplit(target).path.split("/")
        content = json.loads(body) if body else {}
        if parts[-1] == "close":
            return self._close(parts[-2])
        if "out-trade-no" in parts:
            return self._query(parts[-1])
        if method == "POST":
            amount = content["amount"]
            return self._refund(content["transaction_id"], content["out_refund_no"], amount)
        self.asked.append(("refund_query", parts[-1]))
        refund = self.refunds.get(parts[-1])
        if refund is None:
            return Reply(404, {"code": "RESOURCE_NOT_EXISTS", "message": "no such refund"})
        return Reply(200, _wechat_refund(refund, refund.outcome))

    def _query(self, order: str) -> Reply:
        self.asked.append(("query", order))
        payment = self.gateways.paid(order)
        if payment is not None:
            return Reply(200, _wechat_payment(payment))
        state = self.orders.get(order)
        if state is None:
            return Reply(404, {"code": "ORDER_NOT_EXIST", "message": "no such order"})
        content = {"mchid": MCHID, "appid": APPID, "out_trade_no": order, "trade_state": state}
        return Reply(200, {**content, "trade_state_desc": state, "bank_type": "ICBC_DEBIT"})

    def _close(self, order: str) -> Reply:
        self.asked.append(("close", order))
        if self.gateways.paid(order) is not None:
            return Reply(400, {"code": "ORDER_PAID", "message": "it was paid"})
        if self.orders.get(order) == "USERPAYING":
            return Reply(202, {"code": "USER_PAYING", "message": "typing"})
        self.orders[order] = "CLOSED"
        return Reply(204)

    def _refund(self, txn_id: str, refund_no: str, amount: dict[str, Any]) -> Reply:
        self.asked.append(("refund", refund_no))
        payment = self.gateways.payments.get(txn_id)
        if payment is None:
            return Reply(404, {"code": "RESOURCE_NOT_EXISTS", "message": "no such payment"})
        if refund_no not in self.refunds:
            if amount["refund"] > payment.amount_fen - self.gateways.refunded_fen[txn_id]:
                return Reply(403, {"code": "NOT_ENOUGH", "message": "too much"})
            self._made(payment, refund_no, amount["refund"])
        return Reply(200, _wechat_refund(self.refunds[refund_no], "PROCESSING"))

    def _made(self, payment: Payment, refund_no: str, refund_fen: int) -> None:
        """The refund is made at once; its callback follows unless refunds are silent."""
        refunded_fen = self.gateways.refunded_fen
        refunded_fen[payment.txn_id] += refund_fen
        refund = Refund(
            payment=payment,
            refund_no=refund_no,
            refund_fen=refund_fen,
            total_fen=refunded_fen[payment.txn_id],
            at=payment.at,
        )
        self.refunds[refund_no] = refund
        self.gateways.facts.append(refund)
        if not self.silent_refunds:
            task = asyncio.ensure_future(self.gateways.tell(refund, payment.txn_id))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    # -- Alipay -------------------------------------------------------------------------------

    def _alipay(self, body: bytes, fault: str) -> bytes:
        fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
        signature = fields.pop("sign", "")
        text = "&".join(f"{name}={fields[name]}" for name in sorted(fields))
        node = fields.get("method", "").replace(".", "_") + "_response"
        content = {"code": "40002", "msg": "Invalid", "sub_code": "isv.invalid-signature"}
        if self._is_merchants(text.encode(), signature):
            content = self._alipay_node(fields["method"], json.loads(fields["biz_content"]), fault)
        raw = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        keys = self.gateways.keys
        key = keys.stranger if fault == "forged" else keys.alipay
        signed = "" if fault == "unsigned" else f',"sign":"{_sign(key, raw.encode())}"'
        return f'{{"{node}":{raw}{signed}}}'.encode()

    def _alipay_node(self, method: str, asked: dict[str, Any], fault: str) -> dict[str, str]:
        if fault in ("busy", "broken"):
            return {"code": "20000", "msg": "Service Currently Unavailable"}
        order = asked.get("out_trade_no", "")
        if method == "alipay.trade.query":
            return self._alipay_query(order)
        if method == "alipay.trade.close":
            self._close(order)
            return {"code": "10000", "msg": "Success", "out_trade_no": order}
        if method == "alipay.trade.refund":
            fen = round(float(asked["refund_amount"]) * 100)
            reply = self._refund(asked["trade_no"], asked["out_request_no"], {"refund": fen})
            if reply.status != 200:
                return _declined("ACQ.SELLER_BALANCE_NOT_ENOUGH")
            return _alipay_refund(self.refunds[asked["out_request_no"]]) | {"fund_change": "Y"}
        self.asked.append(("refund_query", asked["out_request_no"]))
        refund = self.refunds.get(asked["out_request_no"])
        if refund is None:
            return {"code": "10000", "msg": "Success"}
        return _alipay_refund(refund) | {"refund_status": "REFUND_SUCCESS"}

    def _alipay_query(self, order: str) -> dict[str, str]:
        self.asked.append(("query", order))
        payment, state = self.gateways.paid(order), self.orders.get(order)
        if payment is None and state is None:
            return _declined("ACQ.TRADE_NOT_EXIST")
        content = {"code": "10000", "msg": "Success", "out_trade_no": order}
        if payment is None:
            status = ALIPAY_STATES.get(state or "", "TRADE_CLOSED")
            return content | {"trade_no": f"20{order}", "trade_status": status}
        return content | {
            "trade_no": payment.txn_id,
            "trade_status": "TRADE_SUCCESS",
            "total_amount": _yuan(payment.amount_fen),
            "send_pay_date": payment.at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S"),
        }


def _declined(sub_code: str) -> dict[str, str]:
    return {"code": "40004", "msg": "Business Failed", "sub_code": sub_code}


def _yuan(amount_fen: int) -> str:
    return f"{amount_fen // 100}.{amount_fen % 100:02d}"


def _alipay_refund(refund: Refund) -> dict[str, str]:
    return {
        "code": "10000",
        "msg": "Success",
        "trade_no": refund.payment.txn_id,
        "out_trade_no": refund.payment.order,
        "out_request_no": refund.refund_no,
        "refund_amount": _yuan(refund.refund_fen),
    }


def _wechat_payment(payment: Payment) -> dict[str, Any]:
    return {
        "mchid": MCHID,
        "appid": APPID,
        "out_trade_no": payment.order,
        "transaction_id": payment.txn_id,
        "trade_type": "NATIVE",
        "trade_state": "SUCCESS",
        "bank_type": "ICBC_DEBIT",
        "success_time": payment.at.astimezone(CHINA).isoformat(),
        "payer": {"openid": payment.payer},
        "amount": {
            "total": payment.amount_fen,
            "payer_total": payment.amount_fen - payment.coupon_fen,
            "currency": "CNY",
        },
    }


def _wechat_refund(refund: Refund, status: str) -> dict[str, Any]:
    payment = refund.payment
    return {
        "refund_id": "5030" + payment.txn_id[-20:] + refund.refund_no[-4:],
        "out_refund_no": refund.refund_no,
        "transaction_id": payment.txn_id,
        "out_trade_no": payment.order,
        "status": status,
        "success_time": refund.at.astimezone(CHINA).isoformat(),
        "amount": {"total": payment.amount_fen, "refund": refund.refund_fen, "currency": "CNY"},
    }


def _sign(key: RSAPrivateKey, message: bytes) -> str:
    return base64.b64encode(key.sign(message, PKCS1v15(), SHA256())).decode()


def _http(status: int, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"HTTP/1.1 {status} X", "Connection: close", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body
