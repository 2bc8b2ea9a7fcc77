"""Older releases for the audit's tests: wheels of this checkout with one module changed, and a log
of the path from meter to invoice in which they decided part of what validation decided.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import libs
import services
from libs.events.core import decider_of
from libs.events.host import SHARED_PURE_MODULES
from libs.events.testing.simlog import SimReader
from libs.events.topics import load_topics
from services.audit.files import export_topics
from services.cores import CORES, load_core
from services.validation.core import PURE_MODULES
from tests.simulation.path import EVEN, PARTITIONS, PointStory, World, daily_story, new_world
from tests.unit.audit.sealing import committed_in, reseal

ROOTS = [Path(package.__path__[0]) for package in (libs, services)]
REVISION = "services/validation/revision.py"
Change = Callable[[str], str]


def remarked(words: str) -> Change:
    """Another comment: another decider that decides the same."""
    return lambda text: f"{text}\n# {words}\n"


BY_RULES = "rule_set=point_rules(policy.rule_book, point.supplies).name"


def with_other_rules(text: str) -> str:
    """Every usage is established by other rules."""
    assert BY_RULES in text
    return text.replace(BY_RULES, 'rule_set="other rules"')


@cache
def _sources() -> dict[str, bytes]:
    """The files of our packages by their name in a wheel."""
    found = {}
    for root in ROOTS:
        for path in sorted(root.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                found[path.relative_to(root.parent).as_posix()] = path.read_bytes()
    return found


def release_files(changes: Mapping[str, Change | None]) -> dict[str, bytes]:
    """The files of a release: this checkout's, some changed, those with None left out."""
    files = {
        "gridledger-0.0.9.dist-info/METADATA": b"Name: gridledger\nVersion: 0.0.9\n",
        "gridledger-0.0.9.dist-info/WHEEL": b"Wheel-Version: 1.0\n",
    }
    for name, source in _sources().items():
        change = changes.get(name, str)
        if change is not None:
            changed = name in changes
            files[name] = change(source.decode()).encode() if changed else source
    assert changes.keys() <= _sources().keys()
    return files


def write_wheel(path: Path, files: Mapping[str, bytes]) -> Path:
    """A wheel with these files."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def decider_with(change: Change) -> str:
    """The decider of validation in a release whose `revision.py` is changed."""
    names = {f"{name.replace('.', '/')}.py": name for name in (*SHARED_PURE_MODULES, *PURE_MODULES)}
    sources = {file: _sources()[file] for file in names}
    sources[REVISION] = change(sources[REVISION].decode()).encode()
    return decider_of((names[file], source) for file, source in sources.items())


def present_decider() -> str:
    """The decider of validation in this checkout."""
    return load_core("validation", PARTITIONS).core.decider


def live_through(deciders: list[str], days: int = 5) -> World:
    """So many days of two points with each of the deciders of validation, one after the other."""
    names = ("ingest", "validation", "billing")
    world = new_world(11, cores=tuple(load_core(name, PARTITIONS).core for name in names))
    validation = load_core("validation", PARTITIONS).core
    world.sim.relieve(replace(validation, decider=deciders[0]))
    points = (PointStory(f"100000000{n}", f"P{n}", EVEN) for n in (1, 2))
    world.live(daily_story(*points, days=days))
    world.sim.append("ingest.readings", 0, b"P1", b"{no json", ())
    for number, decider in enumerate(deciders[1:], start=1):
        world.sim.relieve(replace(validation, decider=decider))
        for day in range(number * days + 1, (number + 1) * days + 1):
            world.advance(day, 30)
    return world


def export_of(world: World, directory: Path) -> Path:
    """The files an auditor takes away."""
    table = load_topics(PARTITIONS)
    broker = world.sim.broker
    committed = committed_in(broker, CORES)
    export_topics(SimReader(broker), table.partitions, table.topics, directory, committed)
    return directory


def redecide(directory: Path, old: str, new: str) -> None:
    """Say in all step records that another decider decided."""
    for path in (directory / "validation.events").glob("*.jsonl"):
        path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")
    reseal(directory)


def caused_by(directory: Path, stem: str) -> set[str]:
    """The causes of all events of validation that one input led to, whatever their topics."""
    return {
        header["value"]
        for path in directory.glob("validation.*/*.jsonl")
        for line in path.read_text("utf-8").splitlines()
        for header in json.loads(line)["headers"]
        if header["name"] == "ce_cause" and header["value"].rpartition("/")[0] == stem
    }


def put_in(directory: Path, topic: str, change: Callable[[dict[str, str]], None]) -> str:
    """Put an event by hand behind the last one of a topic; its id. `change` alters the headers."""
    path = next(path for path in sorted((directory / topic).glob("*.jsonl")) if path.stat().st_size)
    last = path.read_text("utf-8").splitlines()[-1]
    record: dict[str, Any] = json.loads(last)
    headers = {header["name"]: header["value"] for header in record["headers"]}
    change(headers)
    record["headers"] = [{"name": name, "value": value} for name, value in headers.items()]
    record["offset"] += 1
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
    reseal(directory)
    event: str = headers["ce_id"]
    return event
