"""`gridledger topics`: what `topics.yaml` says, what the cluster has, and how to get there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from libs.events.errors import Refused
from libs.events.kafka import KafkaAdmin, TopicSpec
from libs.events.topics import load_topics
from services.settings import Settings, load_settings

app = typer.Typer(help="Topics: the table, the difference to a cluster, and applying it.")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

KEEP_EVERYTHING = {"retention.ms": "-1", "retention.bytes": "-1", "cleanup.policy": "delete"}
"""State is a fold of these topics: nothing may ever be cleaned away, compaction included."""
IN_SYNC = "min.insync.replicas"


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the plan: a topic is as it must be, or one thing about it is not.

    kind: create, same, set (a value that can be put right and loses nothing), refused (would lose
    order or data), extra; config, value: what is set.
    """

    topic: str
    kind: str
    detail: str
    config: str = ""
    value: str = ""


def plan(admin: KafkaAdmin, settings: Settings) -> list[Change]:
    """Every difference between `topics.yaml` and the cluster, as its brokers apply it."""
    table = load_topics(settings.partitions)
    present = admin.partitions()
    known = [name for name in table.topics if name in present]
    found = admin.effective(known) if known else {}
    brokers = admin.brokers()
    changes: list[Change] = []
    for name in table.topics:
        if name in found:
            differences = _differences(found[name], settings)
            changes += differences or [Change(name, "same", "")]
        else:
            changes.append(_creation(name, settings, brokers))
    extra = sorted(name for name in present if name not in table.topics)
    return changes + [Change(name, "extra", "not in topics.yaml") for name in extra]


def in_sync(replication: int) -> int:
    """How many copies must have a record before it is acknowledged: all but one may be away.

    With one in sync `acks=all` is the ack of a single machine, whose disk may be the last.
    """
    return max(1, replication - 1)


def _creation(name: str, settings: Settings, brokers: int) -> Change:
    wanted = settings.replication_factor
    if brokers < wanted:
        problem = f"{wanted} copies are set, the cluster has brokers for {brokers}"
        fix = f"add brokers, or set GRIDLEDGER_REPLICATION_FACTOR to {brokers}"
        return Change(name, "refused", f"{problem}: {fix}")
    copies = "1 copy" if wanted == 1 else f"{wanted} copies"
    return Change(name, "create", f"{settings.partitions} partitions, {copies}")


def _differences(spec: TopicSpec, settings: Settings) -> list[Change]:
    """What is not as it must be, what loses order or data first."""
    lost = [Change(spec.name, "refused", problem) for problem in _losses(spec, settings)]
    return lost + [
        Change(spec.name, "set", f"{config} is {has}, set to {value}", config, value)
        for config, has, value in _mendable(spec)
    ]


def _losses(spec: TopicSpec, settings: Settings) -> Iterator[str]:
    """What no setting puts right: order that is gone, records that may be gone, copies missing."""
    if spec.partitions != settings.partitions:
        yield (
            f"has {spec.partitions} partitions, {settings.partitions} are set: changing the count "
            "breaks the order per key; set GRIDLEDGER_PARTITIONS to what the cluster has"
        )
    if spec.replication < settings.replication_factor:
        yield (
            f"has {spec.replication} of {settings.replication_factor} copies: with fewer an "
            "acknowledged record is lost with its disk; reassign its partitions "
            f"(kafka-reassign-partitions), or set GRIDLEDGER_REPLICATION_FACTOR to "
            f"{spec.replication}"
        )
    policy = spec.configs.get("cleanup.policy", "")
    if "compact" in policy:
        yield (
            f"cleanup.policy is {policy}, must be delete: older records of a key are thrown away; "
            "begin with an empty topic that has cleanup.policy=delete"
        )


def _mendable(spec: TopicSpec) -> Iterator[tuple[str, str, str]]:
    """(config, what holds, what must) where the right value keeps more than the one there is."""
    for name, wanted in KEEP_EVERYTHING.items():
        has = spec.configs.get(name, "")
        if has != wanted and "compact" not in has:
            yield name, has or "not known", wanted
    has = spec.configs.get(IN_SYNC, "")
    least = in_sync(spec.replication)
    # More than all copies would stop every write; all of them is stricter than ours and is kept.
    if not has.isdigit() or not least <= int(has) <= spec.replication:
        yield IN_SYNC, has or "not known", str(least)


def apply(settings: Settings) -> list[Change]:
    """Create what is missing, set what is wrong; Refused, and nothing is touched, when something
    that is there would lose order or data."""
    admin = KafkaAdmin(settings.kafka())
    changes = plan(admin, settings)
    bad = [change for change in changes if change.kind == "refused"]
    if bad:
        others = len(bad) - 1
        more = f" (and {others} more: see `gridledger topics plan`)" if others else ""
        raise Refused(f"{bad[0].topic} {bad[0].detail}{more}")
    missing = [change.topic for change in changes if change.kind == "create"]
    copies = settings.replication_factor
    if missing:
        admin.create(
            TopicSpec(
                name=name,
                partitions=settings.partitions,
                replication=copies,
                configs={**KEEP_EVERYTHING, IN_SYNC: str(in_sync(copies))},
            )
            for name in missing
        )
    wanted: dict[str, dict[str, str]] = {}
    for change in changes:
        if change.kind == "set":
            wanted.setdefault(change.topic, {})[change.config] = change.value
    if wanted:
        admin.set_configs(wanted)
    return changes


@app.command("plan", epilog="Example: gridledger topics plan")
def plan_command(as_json: AsJson = False) -> None:
    """Show what `apply` would do; status 1 when something cannot be had without loss."""
    settings = load_settings().settings
    changes = plan(KafkaAdmin(settings.kafka()), settings)
    _print_changes(changes, as_json)
    raise typer.Exit(1 if any(change.kind == "refused" for change in changes) else 0)


@app.command("apply", epilog="Example: gridledger topics apply")
def apply_command(as_json: AsJson = False) -> None:
    """Create the topics that are missing, and set what would lose records on those that are there.

    Refused, and nothing is touched, when a topic has lost order or data already
    or would.
    """
    _print_changes(apply(load_settings().settings), as_json)


@app.command("list", epilog="Example: gridledger topics list --json")
def list_command(as_json: AsJson = False) -> None:
    """The table of topics: key, who writes, who reads. Needs no broker."""
    table = load_topics(load_settings().settings.partitions)
    if as_json:
        rows = [
            {
                "topic": topic.name,
                "key": topic.key,
                "writers": topic.writers,
                "readers": topic.readers,
                "carries": topic.carries,
            }
            for topic in table.topics.values()
        ]
        print(json.dumps(rows, indent=1))
        return
    shown = Table("topic", "key", "written by", "read by")
    for topic in table.topics.values():
        writers, readers = ", ".join(topic.writers), ", ".join(topic.readers)
        shown.add_row(topic.name, topic.key, writers, readers)
    Console().print(shown)


def _print_changes(changes: list[Change], as_json: bool) -> None:
    if as_json:
        rows = [{"topic": c.topic, "kind": c.kind, "detail": c.detail} for c in changes]
        print(json.dumps(rows, indent=1))
        return
    shown = Table("topic", "plan", "detail")
    for change in changes:
        shown.add_row(change.topic, change.kind, change.detail)
    Console().print(shown)
