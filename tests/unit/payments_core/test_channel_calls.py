"""Calls to channels over real HTTP, against the simulated gateways, well and badly behaved."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from libs.events.errors import BadInput
from services.payments.channels import alipay_client, wechat_client
from services.payments.channels.access import ApiAnswer, ApiRequest, private_key
from services.payments.channels.profile import Profiles
from services.payments.effect import calls
from services.payments.effect.calls import Http, Performer
from services.payments.effect.decide import Call, Outcome
from services.payments.evidence import open_body
from services.payments.order_events import ChannelAsked
from services.payments.webhooks import load_profiles
from simulators.gateways.api import Api, _sign
from simulators.gateways.delivery import Delivery, Journal
from simulators.gateways.gateway import Faults, Gateways
from simulators.gateways.keys import MCHID, SELLER_ID, generate_keys, load_keys
from tests.unit.payments_core.world import A, order_of

ORDER = order_of(A)
AT = datetime.fromisoformat("2026-03-02T10:00:00+08:00")
MERCHANTS = {"wechat": MCHID, "alipay": SELLER_ID}
CHANNELS = tuple(MERCHANTS)


class Bank:
    """Both gateways with their interface, in a thread of their own."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        keys = generate_keys(folder, "http://127.0.0.1:1")
        client = httpx.AsyncClient(base_url="http://127.0.0.1:1", trust_env=False)
        self.gateways = Gateways(load_keys(keys.parent), Delivery(client, Journal(None), ()))
        self.api = Api(self.gateways, silent_refunds=True)
        self.server = self.do(self.api.start(0))
        port = self.server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        profiles = load_profiles(keys)
        self.profiles = Profiles(
            evidence_key=profiles.evidence_key,
            wechat={MCHID: moved(profiles.wechat[MCHID], self.url)},
            alipay={SELLER_ID: moved(profiles.alipay[SELLER_ID], self.url)},
            pos={},
        )
        self.http = Http()
        self.performer = Performer(self.profiles, self.http)

    def end(self) -> None:
        self.server.close()
        self.do(self.gateways.delivery.client.aclose())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()

    def do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def pay(self, channel: str, amount_fen: int = 12345, order: str = ORDER) -> str:
        result = self.do(self.gateways.pay(order, amount_fen, channel, AT, Faults(silent=True)))
        return str(result.txn_id)

    def ask(self, kind: str, channel: str, *, is_look: bool = False, **changes: Any) -> Outcome:
        return self.performer(Call(asked=asked(kind, channel, **changes), is_look=is_look))


def moved(profile: Any, url: str) -> Any:
    return replace(profile, access=replace(profile.access, base_url=url))


def asked(kind: str, channel: str, **changes: Any) -> ChannelAsked:
    values: dict[str, Any] = {
        "command_id": "c1",
        "kind": kind,
        "account_no": A,
        "channel": channel,
        "merchant": MERCHANTS.get(channel, "acquirer-1"),
        "out_trade_no": ORDER,
        "attempt": 1,
        "next_at": "",
        "asked_at": "",
        **changes,
    }
    return ChannelAsked(**values)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    bank = Bank(tmp_path_factory.mktemp("bank"))
    yield bank
    bank.http.close()
    bank.end()


@pytest.fixture
def bank(shared: Bank) -> Bank:
    """The gateways, with nothing paid and nothing asked yet."""
    shared.gateways.payments.clear()
    shared.gateways.refunded_fen.clear()
    for each in (shared.api.faults, shared.api.orders, shared.api.refunds, shared.api.asked):
        each.clear()
    return shared


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_lost_callback_is_found_by_a_query(bank: Bank, channel: str) -> None:
    txn = bank.pay(channel)
    found = bank.ask("query", channel)
    assert (found.outcome, found.cause, found.looked) == ("answered", "", False)
    received = found.received
    assert received is not None
    assert received.notice is not None
    assert (received.source, received.verdict, received.key) == ("query", "accepted", A)
    notice = received.notice
    assert (notice.kind, notice.channel_txn_id, notice.amount_fen) == ("captured", txn, 12345)
    assert (notice.out_trade_no, notice.bill_on) == (ORDER, "2026-03-02")
    key = bank.profiles.evidence_key
    assert txn.encode() in open_body(key, received.evidence, channel, MERCHANTS[channel])


@pytest.mark.parametrize("channel", CHANNELS)
def test_an_order_that_nobody_paid(bank: Bank, channel: str) -> None:
    assert bank.ask("query", channel).outcome == "not_found"
    bank.api.orders[ORDER] = "NOTPAY"
    found = bank.ask("query", channel)
    assert found.received is not None
    assert found.received.notice is not None
    assert (found.outcome, found.received.notice.kind) == ("answered", "pending")
    assert bank.ask("close", channel).outcome == "closed"
    found = bank.ask("query", channel)
    assert found.received is not None
    assert found.received.notice is not None
    assert (found.received.notice.kind, found.cause) == ("closed", "user_cancelled")


def test_a_failed_payment_has_a_cause_and_a_bank(bank: Bank) -> None:
    bank.api.orders[ORDER] = "PAYERROR"
    found = bank.ask("query", "wechat")
    assert found.received is not None
    notice = found.received.notice
    assert notice is not None
    assert (notice.kind, found.cause) == ("failed", "channel_declined")
    assert notice.references == {"bank_type": "ICBC_DEBIT"}


def test_an_order_that_was_just_paid_is_not_closed(bank: Bank) -> None:
    bank.pay("wechat")
    found = bank.ask("close", "wechat")
    assert (found.outcome, found.code) == ("unanswered", "ORDER_PAID")
    bank.gateways.payments.clear()
    bank.api.orders[ORDER] = "USERPAYING"
    found = bank.ask("close", "wechat")
    assert (found.outcome, found.code) == ("unanswered", "HTTP_202")


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("fault", ["busy", "broken", "unsigned", "forged", "gone"])
def test_what_is_not_signed_or_does_not_come_is_no_answer(
    bank: Bank, channel: str, fault: str
) -> None:
    bank.pay(channel)
    bank.api.faults.append(fault)
    found = bank.ask("query", channel)
    assert (found.outcome, found.received) == ("unanswered", None)
    assert found.cause == "timeout_unknown"
    assert bank.ask("query", channel).outcome == "answered", "the next time it is"


def test_an_answer_that_takes_too_long_is_none(bank: Bank) -> None:
    bank.api.faults.append("slow")
    bank.performer.send, before = Http(timeout_s=0.3), bank.performer.send
    try:
        assert bank.ask("query", "wechat").detail == "ReadTimeout"
    finally:
        bank.performer.send.close()
        bank.performer.send = before


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_refund_is_sent_once_and_then_asked_about(bank: Bank, channel: str) -> None:
    txn = bank.pay(channel)
    refund = {
        "payment_id": f"{channel}:{txn}",
        "refund_no": "RF1",
        "total_fen": 12345,
        "refund_fen": 2345,
        "reason": "paid twice",
    }
    assert bank.ask("refund_query", channel, **refund).outcome == "not_found"
    sent = bank.ask("refund", channel, **refund)
    assert sent.received is not None
    assert sent.received.notice is not None
    assert (sent.outcome, sent.received.notice.refund_outcome) == ("answered", "")
    looked = bank.ask("refund", channel, is_look=True, **refund)
    assert looked.received is not None
    notice = looked.received.notice
    assert notice is not None
    assert looked.looked
    assert (notice.refund_no, notice.refund_fen) == ("RF1", 2345)
    assert (notice.refund_outcome, notice.original_txn_id) == ("succeeded", txn)
    told = [what for what, number in bank.api.asked if number == "RF1"]
    assert told == ["refund_query", "refund", "refund_query"]
    refused = bank.ask("refund", channel, **{**refund, "refund_no": "RF2", "refund_fen": 12345})
    assert (refused.outcome, refused.cause) == ("refused", "insufficient_funds")


def test_a_close_that_may_have_been_sent_is_asked_about(bank: Bank) -> None:
    bank.api.orders[ORDER] = "NOTPAY"
    found = bank.ask("close", "wechat", is_look=True)
    assert found.received is not None
    assert bank.api.asked == [("query", ORDER)]


def test_without_access_nothing_is_called(bank: Bank) -> None:
    for performer in (
        Performer(None, bank.http),
        Performer(replace(bank.profiles, wechat={}), bank.http),
    ):
        found = performer(Call(asked=asked("query", "wechat"), is_look=False))
        assert (found.outcome, found.code) == ("unanswered", "NO_ACCESS")
    assert bank.api.asked == []


def test_nobody_listens_and_too_much_is_said(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    request = ApiRequest(method="GET", url="http://127.0.0.1:1/", headers={})
    assert bank.http(request).problem == "ConnectError"
    bank.pay("wechat")
    monkeypatch.setattr(calls, "BODY_BYTES_MAX", 10)
    assert bank.ask("query", "wechat").detail == "over 10 bytes"
    monkeypatch.undo()
    slow = Http(timeout_s=-1.0)
    slow.client = bank.http.client
    found = replace(bank.performer(Call(asked=asked("query", "wechat"), is_look=False)))
    assert found.outcome == "answered"
    bank.performer.send, before = slow, bank.performer.send
    try:
        assert bank.ask("query", "wechat").detail == "the answer took too long"
    finally:
        bank.performer.send = before


# -- what the simulated gateways never say ---------------------------------------------------------


def test_a_key_of_another_kind_is_refused() -> None:
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem = Ed25519PrivateKey.generate().private_bytes(*form)
    with pytest.raises(BadInput, match="no RSA key"):
        private_key(pem, "key_ref")


def test_a_wrong_key_or_address_is_named(tmp_path: Path) -> None:
    path = generate_keys(tmp_path / "keys", "http://127.0.0.1:1")
    document = json.loads(path.read_text())
    for name, value, problem in (
        ("base_url", "http://example.com", "no address of a channel"),
        ("key_ref", "file:evidence.key", "no PEM private key"),
    ):
        wrong = json.loads(json.dumps(document))
        wrong["wechat"][MCHID]["access"][name] = value
        path.write_text(json.dumps(wrong))
        with pytest.raises(BadInput, match=problem):
            load_profiles(path)


def test_answers_of_wechat_that_make_no_sense_are_not_believed(bank: Bank) -> None:
    """Truly signed, and still not what was asked for."""
    wechat_profile = bank.profiles.wechat[MCHID]

    def wechat_says(kind: str, status: int, content: dict[str, Any]) -> Any:
        body = json.dumps(content).encode()
        headers = tuple(bank.api._headers(body, "").items())
        answer = ApiAnswer(status=status, headers=headers, body=body)
        question = asked(kind, "wechat", refund_no="RF1" if "refund" in kind else "")
        return wechat_client.read(wechat_profile, question, answer, int(time.time()))

    good = {"mchid": MCHID, "out_trade_no": ORDER, "trade_state": "NOTPAY"}
    assert wechat_says("query", 200, good).outcome == "answered"
    for wrong in (
        {"out_trade_no": "other"},
        {"trade_state": "NEW"},
        {"mchid": "9"},
        {"trade_state": "SUCCESS"},
    ):
        said = wechat_says("query", 200, {**good, **wrong})
        assert said.outcome == "unanswered", wrong
    assert wechat_says("close", 200, good).outcome == "unanswered"
    assert wechat_says("close", 400, {"code": "ORDER_CLOSED"}).outcome == "closed"
    assert wechat_says("close", 404, {"code": "NEW"}).outcome == "refused"
    assert wechat_says("close", 400, {"code": "ORDERNOTEXIST"}).outcome == "not_found"
    assert wechat_says("query", 403, {"code": "NO_AUTH"}).cause == "channel_declined"
    assert wechat_says("query", 500, {"code": "NEW"}).code == "NEW"
    back = {"out_refund_no": "RF1", "status": "SUCCESS", "amount": {"total": 2, "refund": 1}}
    for wrong in ({"out_refund_no": "RF2"}, {"status": "NEW"}):
        assert wechat_says("refund_query", 200, {**back, **wrong}).outcome == "unanswered"


def test_answers_of_alipay_that_make_no_sense_are_not_believed(bank: Bank) -> None:
    alipay_profile = bank.profiles.alipay[SELLER_ID]

    def alipay_says(kind: str, content: dict[str, Any], tail: str = "", head: str = "{") -> Any:
        raw = json.dumps(content)
        node = alipay_client.METHODS[kind].replace(".", "_") + "_response"
        signature = _sign(bank.gateways.keys.alipay, raw.encode())
        text = f'{head}"{node}":{raw},"sign":"{signature}"{tail}}}'
        question = asked(kind, "alipay", refund_no="RF1" if "refund" in kind else "")
        answer = ApiAnswer(status=200, body=text.encode())
        return alipay_client.read(alipay_profile, question, answer, 1772416800)

    done = {"code": "10000", "out_trade_no": ORDER, "trade_status": "WAIT_BUYER_PAY"}
    assert alipay_says("query", done).outcome == "answered"
    assert alipay_says("query", done, head='{"first":1,').outcome == "unanswered"
    assert alipay_says("query", done, tail=',"sign":"x"').outcome == "unanswered"
    for wrong in ({"out_trade_no": "other"}, {"trade_status": "NEW"}):
        assert alipay_says("query", {**done, **wrong}).outcome == "unanswered"
    for code, outcome in (
        ("ACQ.TRADE_HAS_CLOSE", "closed"),
        ("ACQ.SYSTEM_ERROR", "unanswered"),
        ("ACQ.REASON", "refused"),
    ):
        assert alipay_says("close", {"code": "40004", "sub_code": code}).outcome == outcome
    back = {"code": "10000", "out_request_no": "RF2"}
    assert alipay_says("refund_query", back).outcome == "unanswered"
    paid_back = {
        "code": "10000",
        "out_request_no": "RF1",
        "trade_no": "T1",
        "out_trade_no": ORDER,
        "refund_amount": "1.00",
        "gmt_refund_pay": "2026-03-02 10:00:00",
    }
    said = alipay_says("refund_query", paid_back)
    assert said.notice is not None
    assert (said.notice.refund_fen, said.notice.bill_on) == (100, "2026-03-02")
    under_way = alipay_says("refund_query", {**paid_back, "refund_status": "REFUND_PROCESSING"})
    assert under_way.notice is not None
    assert under_way.notice.refund_outcome == ""
