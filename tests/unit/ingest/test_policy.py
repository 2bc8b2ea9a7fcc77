"""Another policy asks at another time, and is another decider."""

from __future__ import annotations

import pytest

from libs.events.errors import BadInput
from services.ingest.core import make_core
from services.ingest.events import (
    FieldReadingOrdered,
    ReadingFailed,
    ReadingMissing,
    ReadingOrdered,
)
from services.ingest.policy import DEFAULT_POLICY, ReadingPolicy
from tests.unit.ingest.desk import Desk, at, failure, only, supply


def test_the_back_off_is_policy() -> None:
    desk = Desk(policy=ReadingPolicy(order_after_min=30, retry_min=(5, 7), grace_min=90))
    desk.take(supply())
    assert desk.tick(at(1, 0, 29)) == []
    order = only(desk.tick(at(1, 0, 30)), ReadingOrdered)
    assert only(desk.take(failure(order)), ReadingFailed).retry_at == at(1, 0, 35)
    order = only(desk.tick(at(1, 0, 35)), ReadingOrdered)
    assert only(desk.take(failure(order)), ReadingFailed).retry_at == at(1, 0, 42)
    order = only(desk.tick(at(1, 0, 42)), ReadingOrdered)
    assert only(desk.take(failure(order)), ReadingFailed).retry_at == at(1, 0, 49)
    assert len([body for body in desk.tick(at(1, 1, 30)) if isinstance(body, ReadingMissing)]) == 1


def test_somebody_is_sent_after_as_many_failures_as_the_policy_says() -> None:
    desk = Desk(policy=ReadingPolicy(field_after_failures=1))
    desk.take(supply())
    order = only(desk.tick(at(1, 0, 10)), ReadingOrdered)
    assert only(desk.take(failure(order)), FieldReadingOrdered).failures == 1


def test_another_policy_is_another_decider() -> None:
    assert make_core("d", ReadingPolicy()).decider == "d"
    assert make_core("d", ReadingPolicy(grace_min=481)).decider.startswith("d+")


def test_a_policy_that_cannot_be_kept_is_refused() -> None:
    with pytest.raises(BadInput, match="retry_min: is empty"):
        ReadingPolicy(retry_min=())
    with pytest.raises(BadInput, match=r"retry_min: 0 is out of range \(give 1 to 43200\)"):
        ReadingPolicy(retry_min=(60, 0))
    assert DEFAULT_POLICY.wait_min(9) == 1440
