"""The core as put together: topics, catalogue, deciders, and the fifty parallel copies."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import itertools
import random

import httpx
import pytest

from libs.events.errors import BadInput
from libs.events.host import decider_hash
from libs.events.topics import load_topics
from services.billing import events as billing
from services.control import events as control
from services.customers import events as customers
from services.payments.channels.profile import Profiles
from services.payments.core import PURE_MODULES, WRITTEN, make_core
from services.payments.effect import events as effect
from services.payments.events import NoticeRepeated, PaymentCaptured, edge_catalogue
from services.payments.notices import NoticeReceived
from services.payments.policy import Policy, policy_digest
from services.payments.settlement import events as settlement
from services.payments.webhooks import make_app
from simulators.gateways.keys import MCHID, KeySet
from tests.unit.payments.signing import NOW, wechat_content, wechat_request
from tests.unit.payments_core.world import A, World


def test_topics_are_those_of_the_table() -> None:
    table = load_topics(4)
    core = make_core()
    assert set(core.inputs) == set(table.read_by("payments"))
    assert {core.own_topic, core.dlq_topic, *WRITTEN} == set(table.written_by("payments"))


def test_the_decider_covers_every_module_that_is_imported_for_a_decision() -> None:
    for name in PURE_MODULES:
        module = importlib.import_module(name)
        imported = {
            value.__module__
            for value in vars(module).values()
            if getattr(value, "__module__", "").startswith("services.payments")
        }
        assert imported <= set(PURE_MODULES), name
    assert len(decider_hash(PURE_MODULES)) == 64


def test_another_policy_is_another_decider() -> None:
    assert make_core("d").decider == "d"
    policy = Policy(clearance_min=1)
    assert make_core("d", policy).decider == f"d+{policy_digest(policy)}"
    assert len(policy_digest(policy)) == 8
    with pytest.raises(BadInput, match=r"horizon_days: 431 is out of range \(give 1 to 430\)"):
        Policy(horizon_days=431)
    with pytest.raises(BadInput, match="clearance_min: 0 is out of range"):
        Policy(clearance_min=0)


def test_what_is_read_of_others_are_fields_they_have() -> None:
    owners = {
        **billing.catalogue.by_name,
        **customers.catalogue.by_name,
        **control.catalogue.by_name,
        **edge_catalogue.by_name,
        **settlement.catalogue.by_name,
        **effect.catalogue.by_name,
    }
    foreign = [kind for kind in make_core().catalogue.by_name.values() if kind.foreign]
    assert len(foreign) == 21
    for kind in foreign:
        owner = owners.get(kind.name)
        if owner is None:
            assert kind.name == "clock.ticked"
            continue
        theirs = {field.name: str(field.type) for field in dataclasses.fields(owner.body)}
        for field in dataclasses.fields(kind.body):
            assert field.name in theirs, f"{kind.name}.{field.name}"
            if field.name != "opening":
                assert theirs[field.name] == str(field.type), f"{kind.name}.{field.name}"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_fifty_parallel_copies_are_one_capture(profiles: Profiles, keys: KeySet, seed: int) -> None:
    """Through the real edge, in the order in which the log took them, into the core."""
    taken: list[tuple[str, NoticeReceived]] = []
    delays = random.Random(seed)
    numbers = itertools.count()

    async def append(key: str, record: NoticeReceived) -> None:
        await asyncio.sleep(delays.random() / 100)
        taken.append((key, record))

    app = make_app(
        profiles, append, now=lambda: NOW, nonce=lambda: next(numbers).to_bytes(12, "big")
    )
    headers, body = wechat_request(keys, wechat_content())

    async def post_all() -> list[int]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://edge") as client:
            path = f"/notify/wechat/{MCHID}"
            posts = (client.post(path, headers=headers, content=body) for _ in range(50))
            return [answer.status_code for answer in await asyncio.gather(*posts)]

    assert asyncio.run(post_all()) == [204] * 50
    world = World(at="2026-01-01T00:00:00Z")
    for key, record in taken:
        world.feed("payments.notices", key, record)
    world.run(delays)
    (captured,) = world.told(PaymentCaptured)
    assert (captured.account_no, captured.amount_fen) == (A, 12345)
    assert captured.evidence_id == taken[0][1].evidence.evidence_id
    repeated = world.told(NoticeRepeated)
    assert len(repeated) == 49
    assert {captured.evidence_id, *(each.evidence_id for each in repeated)} == {
        record.evidence.evidence_id for _, record in taken
    }
    assert world.account(A).prepayment_fen == 12345
    world.check()
