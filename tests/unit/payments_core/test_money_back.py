"""What takes a payment back comes to the place of the payment, in every order of arrival.

Goal: whoever decides about a refund, void, reversal or chargeback has its payment in the same
state. Method: signed callbacks of the simulated acquirer through the functions of the edge, in
every order and with copies; the key of the record and the page of the core are the same.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from libs.events.core import Item
from libs.events.record import partition_of
from services.payments.channels import verify_and_parse
from services.payments.channels.profile import Profiles
from services.payments.decide import concerned
from services.payments.events import NoticeNoted, NoticeRepeated, PaymentSuspended
from services.payments.notices import MONEY_BACK, NoticeReceived
from services.payments.transactions import page_of
from services.payments.webhooks import make_record, notice_key
from simulators.gateways.keys import ACQUIRER, POS_MERCHANT, POS_TERMINAL, KeySet
from tests.unit.payments.signing import NOW, pos_document, pos_request
from tests.unit.payments_core.world import START, A, World, order_of, received

SALE = f"{POS_MERCHANT}-{POS_TERMINAL}-000001-000042-20260101"
TAKES_BACK = {
    "original_rrn": "601010000042",
    "original_batch": "000001",
    "original_stan": "000042",
    "original_settlement_on": "2026-01-01",
    "stan": "000099",
    "batch": "000002",
    "rrn": "602010000099",
    "settlement_on": "2026-01-02",
    "occurred_at": "2026-01-02T08:00:00+08:00",
}
ORDERLESS: list[dict[str, Any]] = [
    {"order_no": None},
    {"order_no": None, "card": "6228480402564890019"},  # a copy, sent again
    {"order_no": None, "type": "refund", **TAKES_BACK},
    {"order_no": None, "type": "reversal", **TAKES_BACK, "stan": "000100"},
    {"order_no": None, "type": "chargeback", **TAKES_BACK, "stan": "000101"},
]


def record(
    profiles: Profiles, keys: KeySet, changes: dict[str, Any], number: int
) -> NoticeReceived:
    """What the edge writes about one signed callback."""
    profile = profiles.pos[ACQUIRER]
    verdict = verify_and_parse(profile, *pos_request(keys, pos_document(**changes)), NOW)
    evidence = replace(received("x").evidence, evidence_id=f"ev-{number}")
    return make_record(profile, verdict, evidence)


@pytest.fixture
def orderless(profiles: Profiles, keys: KeySet) -> list[NoticeReceived]:
    return [record(profiles, keys, each, number) for number, each in enumerate(ORDERLESS)]


def test_they_have_one_key_and_one_page(orderless: list[NoticeReceived]) -> None:
    key = f"pos_http:{SALE}"
    assert {each.key for each in orderless} == {key}
    assert {notice.kind for each in orderless if (notice := each.notice)} == {
        "captured",
        *MONEY_BACK,
    }
    fold = World().folds[partition_of(key, 2)]
    for body in orderless:
        item = Item("payments.notices", 0, key, "", body, START)
        assert concerned(fold, item) == (page_of(key),)
    assert len({partition_of(each.key, 7) for each in orderless}) == 1


def test_a_sale_and_what_takes_it_back_in_every_order(orderless: list[NoticeReceived]) -> None:
    """The page has the sale once, and every order tells the same."""
    told = set()
    for order in permutations(orderless):
        world = World(at="2026-01-03T02:00:00Z")
        for body in order:
            world.take(body)
        world.run()
        assert {key for key, _ in world.events} == {page_of(f"pos_http:{SALE}")}
        noted = {each.kind: each for each in world.told(NoticeNoted)}
        assert {each.original_txn_id for each in noted.values()} == {SALE}
        (suspended,) = world.told(PaymentSuspended)
        assert suspended.suspense_key == f"pos_http:{SALE}"
        assert len(world.told(NoticeRepeated)) == 1
        page = world.page(f"pos_http:{SALE}")
        told.add((tuple(sorted(noted)), tuple(page.suspenses), repr(world.ledger())))
        world.check()
    assert len(told) == 1


def test_with_an_order_number_both_come_to_the_account(profiles: Profiles, keys: KeySet) -> None:
    order = order_of(A)
    sale = record(profiles, keys, {"order_no": order}, 1)
    back = record(profiles, keys, {"order_no": order, "type": "void", **TAKES_BACK}, 2)
    assert (sale.key, back.key) == (A, A)


def test_without_the_original_it_stands_by_its_own_number(profiles: Profiles, keys: KeySet) -> None:
    changes = {"order_no": None, "type": "void", "original_rrn": "601010000041", "stan": "000077"}
    alone = record(profiles, keys, changes, 1)
    assert alone.key == f"pos_http:{POS_MERCHANT}-{POS_TERMINAL}-000001-000077-20260101"
    assert alone.notice is not None
    assert alone.notice.references["original_rrn"] == "601010000041"


def test_only_what_takes_back_goes_by_the_original() -> None:
    def key(kind: str) -> str:
        notice = received("T2", kind=kind, original_txn_id="T1").notice
        assert notice is not None
        return notice_key(notice, "ev-1")

    assert {kind: key(kind) for kind in ("captured", "failed", *MONEY_BACK)} == {
        "captured": "wechat:T2",
        "failed": "wechat:T2",
        "refund": "wechat:T1",
        "reversed": "wechat:T1",
        "chargeback": "wechat:T1",
    }
