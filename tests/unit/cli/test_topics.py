"""The plan for topics of several copies, which one broker cannot have."""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.events.kafka import TopicSpec
from services.cli.topics import _differences, in_sync
from services.settings import load_settings

KEPT = {"retention.ms": "-1", "retention.bytes": "-1", "cleanup.policy": "delete"}


@pytest.mark.parametrize(("copies", "wanted"), [(1, 1), (2, 1), (3, 2), (5, 4)])
def test_all_copies_but_one_acknowledge(copies: int, wanted: int) -> None:
    assert in_sync(copies) == wanted


@pytest.mark.parametrize(
    ("copies", "has", "said"),
    [
        (3, "1", [("set", "min.insync.replicas is 1, set to 2")]),
        (3, "2", []),
        (3, "3", []),
        (3, "4", [("set", "min.insync.replicas is 4, set to 2")]),
        (4, "2", [("set", "min.insync.replicas is 2, set to 3")]),
    ],
)
def test_an_acknowledged_payment_is_on_more_than_one_disk(
    tmp_path: Path, copies: int, has: str, said: list[tuple[str, str]]
) -> None:
    settings = load_settings(tmp_path, partitions=2, replication_factor=3).settings
    spec = TopicSpec(
        name="t", partitions=2, replication=copies, configs={**KEPT, "min.insync.replicas": has}
    )
    assert [(each.kind, each.detail) for each in _differences(spec, settings)] == said


def test_fewer_copies_are_refused_and_said_before_what_can_be_set(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, partitions=2, replication_factor=3).settings
    configs = {**KEPT, "retention.ms": "5", "min.insync.replicas": "1"}
    spec = TopicSpec(name="t", partitions=2, replication=2, configs=configs)
    refused, mended = _differences(spec, settings)
    assert (refused.kind, mended.kind) == ("refused", "set")
    assert refused.detail.startswith("has 2 of 3 copies: ")
    assert (mended.config, mended.value) == ("retention.ms", "-1")
