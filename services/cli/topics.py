"""`gridledger topics`: what `topics.yaml` says, what the cluster has, and how to get there."""

from __future__ import annotations

import json
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


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the plan. kind: create, same, refused (would lose order or data), extra."""

    topic: str
    kind: str
    detail: str


def plan(admin: KafkaAdmin, settings: Settings) -> list[Change]:
    """The difference between `topics.yaml` and the cluster."""
    table = load_topics(settings.partitions)
    present = admin.partitions()
    known = [name for name in table.topics if name in present]
    found = admin.describe(known) if known else {}
    changes = []
    for name in table.topics:
        spec = found.get(name)
        if spec is None:
            changes.append(Change(name, "create", f"{table.count} partitions"))
            continue
        problem = _problem(spec, table.count)
        changes.append(Change(name, "refused" if problem else "same", problem))
    extra = sorted(name for name in present if name not in table.topics)
    return changes + [Change(name, "extra", "not in topics.yaml") for name in extra]


def _problem(spec: TopicSpec, partitions: int) -> str:
    if spec.partitions != partitions:
        return (
            f"has {spec.partitions} partitions, {partitions} are set: changing the count breaks "
            "the order per key; set GRIDLEDGER_PARTITIONS to what the cluster has"
        )
    for name, wanted in KEEP_EVERYTHING.items():
        value = spec.configs.get(name)
        if value is not None and value != wanted:
            return f"{name} is {value}, must be {wanted}: records would be lost"
    if spec.configs.get("retention.ms") is None:
        return "retention.ms is the broker's default: set it to -1 before anything is written"
    return ""


def apply(settings: Settings) -> list[Change]:
    """Create what is missing; Refused when something that is there would lose order or data."""
    admin = KafkaAdmin(settings.kafka())
    changes = plan(admin, settings)
    bad = [change for change in changes if change.kind == "refused"]
    if bad:
        raise Refused(f"{bad[0].topic} {bad[0].detail}")
    missing = [change.topic for change in changes if change.kind == "create"]
    if missing:
        admin.create(
            TopicSpec(
                name=name,
                partitions=settings.partitions,
                replication=settings.replication_factor,
                configs=KEEP_EVERYTHING,
            )
            for name in missing
        )
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
    """Create the topics that are missing; never changes one that is there."""
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
