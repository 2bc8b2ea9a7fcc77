"""The gateways against the real edge over real HTTP: every misbehaviour meets its answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from libs.events.errors import BadInput
from simulators.gateways.callbacks import Twist
from simulators.gateways.delivery import Delivery, Journal
from simulators.gateways.gateway import CHANNELS, Faults, Gateways, Result
from simulators.gateways.keys import KeySet
from tests.unit.payments.server import MemoryLog

T = TypeVar("T")
ORDER = "1000000042126010001"
AT = datetime.fromisoformat("2026-01-31T23:30:00+08:00")
SUCCESS = {"wechat": (204, ""), "alipay": (200, "success"), "pos": (200, '{"result":"ok"}')}
NAMES = {"wechat": "wechat", "alipay": "alipay", "pos": "pos_http"}


class Stage:
    """One edge, and gateways that send to it."""

    def __init__(self, keys: KeySet, edge: tuple[MemoryLog, str]) -> None:
        self.keys = keys
        self.log, self.base_url = edge
        self.journal = Journal(None)

    def play(self, scene: Callable[[Gateways], Awaitable[T]], seed: int = 1) -> T:
        async def run() -> T:
            limits = httpx.Limits(max_connections=60)
            async with httpx.AsyncClient(
                base_url=self.base_url, trust_env=False, limits=limits
            ) as client:
                delivery = Delivery(client, self.journal, (0.01, 0.01))
                gateways = Gateways(self.keys, delivery, seed)
                try:
                    return await scene(gateways)
                finally:
                    gateways.close()

        return asyncio.run(run())

    @property
    def causes(self) -> list[str]:
        return [record.cause for _, record in self.log.records]


@pytest.fixture
def stage(keys: KeySet, edge: tuple[MemoryLog, str]) -> Stage:
    return Stage(keys, edge)


@pytest.mark.parametrize("channel", CHANNELS)
def test_fifty_parallel_copies_are_one_payment(stage: Stage, channel: str) -> None:
    result = stage.play(lambda g: g.pay(ORDER, 12345, channel, AT, Faults(copies=50)))
    assert {(answer.status, answer.body) for answer in result.answers} == {SUCCESS[channel]}
    assert len(result.answers) == len(stage.log.records) == 50
    assert stage.log.captures() == {(NAMES[channel], result.txn_id)}
    assert {key for key, _ in stage.log.records} == {"1000000042"}
    assert len({record.evidence.evidence_id for _, record in stage.log.records}) == 50
    notice = stage.log.records[0][1].notice
    assert notice is not None
    assert (notice.amount_fen, notice.occurred_at) == (12345, "2026-01-31T15:30:00Z")
    assert notice.bill_on == "2026-01-31"
    assert all(record.notice == notice for _, record in stage.log.records)


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize(
    ("twist", "status", "cause"),
    [
        (Twist(alter=True), 401, "signature_invalid"),
        (Twist(forge=True), 401, "signature_invalid"),
        (Twist(age_s=90001), 401, "timestamp_outside_window"),
        (Twist(age_s=-301), 401, "timestamp_outside_window"),
        (Twist(other_merchant=True), 403, "merchant_mismatch"),
    ],
)
def test_wrong_callbacks_are_refused_and_kept(
    stage: Stage, channel: str, twist: Twist, status: int, cause: str
) -> None:
    result = stage.play(lambda g: g.pay(ORDER, 12345, channel, AT, Faults(twist=twist)))
    assert [(answer.status, answer.taken) for answer in result.answers] == [(status, False)]
    assert stage.causes == [cause]
    assert stage.log.captures() == set()
    (entry,) = stage.journal.entries
    assert (entry["expected"], entry["attempt"], entry["taken"]) == ("refused", 1, False)


@pytest.mark.parametrize(
    ("channel", "cause"),
    [
        ("wechat", "serial_unknown"),
        ("alipay", "signature_invalid"),
        ("pos", "signature_invalid"),
    ],
)
def test_unknown_key(stage: Stage, channel: str, cause: str) -> None:
    faults = Faults(twist=Twist(unknown_key=True))
    result = stage.play(lambda g: g.pay(ORDER, 12345, channel, AT, faults))
    assert result.answers[0].status == 401
    assert stage.causes == [cause]
    assert stage.log.captures() == set()


def test_a_probe_is_refused_and_the_right_callback_follows(stage: Stage) -> None:
    faults = Faults(twist=Twist(probe=True))
    result = stage.play(lambda g: g.pay(ORDER, 500, "wechat", AT, faults))
    assert [answer.status for answer in result.answers] == [401, 204]
    assert stage.causes == ["probe", ""]
    assert len(stage.log.captures()) == 1


def test_the_older_platform_certificate_is_right_too(stage: Stage) -> None:
    faults = Faults(twist=Twist(certificate=True))
    result = stage.play(lambda g: g.pay(ORDER, 500, "wechat", AT, faults))
    assert result.answers[0].taken
    (entry,) = stage.journal.entries
    assert (entry["expected"], entry["twist"]) == ("taken", {"certificate": True})


def test_alipay_may_be_late_within_25_hours(stage: Stage) -> None:
    faults = Faults(twist=Twist(age_s=80000))
    result = stage.play(lambda g: g.pay(ORDER, 500, "alipay", AT, faults))
    assert result.answers[0].taken


@pytest.mark.parametrize("channel", CHANNELS)
def test_without_ack_the_callback_comes_again(stage: Stage, channel: str) -> None:
    stage.log.empty(failures=2)
    result = stage.play(lambda g: g.pay(ORDER, 700, channel, AT))
    assert result.answers[0].taken
    assert [entry["status"] for entry in stage.journal.entries] == [503, 503, SUCCESS[channel][0]]
    assert [entry["attempt"] for entry in stage.journal.entries] == [1, 2, 3]
    assert len(stage.log.records) == 1


def test_nobody_listens(keys: KeySet) -> None:
    async def run() -> Result:
        async with httpx.AsyncClient(base_url="http://127.0.0.1:9", trust_env=False) as client:
            gateways = Gateways(keys, Delivery(client, Journal(None), ()))
            return await gateways.pay(ORDER, 700, "pos", AT)

    answer = asyncio.run(run()).answers[0]
    assert (answer.status, answer.body, answer.taken) == (0, "ConnectError", False)


@pytest.mark.parametrize("channel", CHANNELS)
def test_money_without_an_order_goes_to_suspense_key(stage: Stage, channel: str) -> None:
    result = stage.play(lambda g: g.pay("", 700, channel, AT))
    assert result.answers[0].taken
    assert [key for key, _ in stage.log.records] == [f"{NAMES[channel]}:{result.txn_id}"]


def test_coupon(stage: Stage) -> None:
    stage.play(lambda g: g.pay(ORDER, 700, "wechat", AT, coupon_fen=200))
    notice = stage.log.records[0][1].notice
    assert notice is not None
    assert (notice.amount_fen, notice.payer_total_fen) == (700, 500)


@pytest.mark.parametrize(
    ("channel", "fens", "total"),
    [
        ("wechat", (100, 200), False),
        ("alipay", (100, 300), True),  # Alipay tells what was refunded in all
        ("pos", (100, 200), False),
    ],
)
def test_refunds(stage: Stage, channel: str, fens: tuple[int, int], total: bool) -> None:
    async def scene(gateways: Gateways) -> None:
        paid = await gateways.pay(ORDER, 700, channel, AT)
        await gateways.refund(paid.txn_id, 100, AT)
        await gateways.refund(paid.txn_id, 200, AT)
        with pytest.raises(BadInput, match="refund_fen: is not within 400 left"):
            await gateways.refund(paid.txn_id, 401, AT)

    stage.play(scene)
    notices = [record.notice for _, record in stage.log.records[1:]]
    assert [(n.kind, n.refund_fen, n.refund_total) for n in notices if n] == [
        ("refund", fens[0], total),
        ("refund", fens[1], total),
    ]
    assert len(stage.log.captures()) == 1


def test_abnormal_refund(stage: Stage) -> None:
    async def scene(gateways: Gateways) -> None:
        paid = await gateways.pay(ORDER, 700, "wechat", AT)
        await gateways.refund(paid.txn_id, 700, AT, outcome="ABNORMAL")
        await gateways.refund(paid.txn_id, 700, AT)  # the money is still ours

    stage.play(scene)
    outcomes = [r.notice.refund_outcome for _, r in stage.log.records[1:] if r.notice]
    assert outcomes == ["abnormal", "succeeded"]


@pytest.mark.parametrize(("order", "amounts"), [("sent", [1, 2, 3, 4]), ("reversed", [4, 3, 2, 1])])
def test_reordering(stage: Stage, order: str, amounts: list[int]) -> None:
    async def scene(gateways: Gateways) -> None:
        gateways.hold()
        for amount_fen in (1, 2, 3, 4):
            held = await gateways.pay(ORDER, amount_fen, "wechat", AT)
            assert held.held
        assert not gateways.idle
        assert stage.log.records == []
        results = await gateways.release(order)
        assert all(result.answers[0].taken for result in results)
        assert gateways.idle
        await gateways.pay(ORDER, 5, "wechat", AT)

    stage.play(scene)
    sent = [record.notice.amount_fen for _, record in stage.log.records if record.notice]
    assert sent == [*amounts, 5]


def test_shuffling_and_delay_and_dropping(stage: Stage) -> None:
    async def scene(gateways: Gateways) -> None:
        gateways.hold()
        for amount_fen in range(1, 9):
            await gateways.pay(ORDER, amount_fen, "pos", AT)
        await gateways.release("shuffled")
        with pytest.raises(BadInput, match="order: is no order"):
            await gateways.release("sideways")
        late = asyncio.ensure_future(gateways.pay(ORDER, 50, "pos", AT, Faults(delay_s=0.05)))
        await asyncio.sleep(0)
        assert not gateways.idle
        await gateways.pay(ORDER, 60, "pos", AT)
        await late
        gateways.hold()
        await gateways.pay(ORDER, 70, "pos", AT)

    stage.play(scene)
    sent = [record.notice.amount_fen for _, record in stage.log.records if record.notice]
    assert sorted(sent[:8]) == list(range(1, 9))
    assert sent[:8] != list(range(1, 9))
    assert sent[8:] == [60, 50]


def test_the_same_seed_gives_the_same_numbers(stage: Stage) -> None:
    async def scene(gateways: Gateways) -> list[str]:
        results = [await gateways.pay(ORDER, 700, channel, AT) for channel in CHANNELS * 2]
        return [result.txn_id for result in results]

    first = stage.play(scene, 1)
    assert first == stage.play(scene, 1)
    assert first != stage.play(scene, 2)
    assert len(set(first)) == 6  # two payments of the same kind are two payments


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda g: g.pay(ORDER, 1, "cash", AT), "channel"),
        (lambda g: g.pay(ORDER, 0, "pos", AT), "amount_fen"),
        (lambda g: g.pay(ORDER, 1, "pos", AT, coupon_fen=2), "coupon_fen"),
        (lambda g: g.pay(ORDER, 1, "pos", AT, Faults(copies=0)), "copies"),
        (lambda g: g.refund("none", 1, AT), "txn_id"),
    ],
)
def test_wrong_requests_are_named(
    stage: Stage, call: Callable[[Gateways], Awaitable[Result]], field: str
) -> None:
    with pytest.raises(BadInput) as error:
        stage.play(call)
    assert error.value.field == field
    assert stage.log.records == []


def test_the_journal_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.write({"channel": "微信"})
    assert json.loads(path.read_text("utf-8")) == {"channel": "微信"}
    journal.close()
    Journal(None).close()


def test_a_lost_callback_is_a_payment_that_nobody_told_of(stage: Stage) -> None:
    async def scene(gateways: Gateways) -> Result:
        result = await gateways.pay(ORDER, 12345, "wechat", AT, Faults(silent=True))
        assert gateways.payments[result.txn_id].amount_fen == 12345
        assert gateways.idle
        return result

    assert stage.play(scene).answers == ()
    assert stage.log.records == []
    assert stage.journal.entries == []
