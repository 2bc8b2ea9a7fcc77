"""An exported log in which one thing was altered: the audit catches it and says where.

The log is a real one, of the path from meter to invoice over simulated Kafka, written to the files
an auditor takes away. Each case alters one line of one file and runs the same audit again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from libs.events.audit import CoreBalance, balance
from libs.events.errors import BadInput
from libs.events.replay import ReplayResult, replay
from libs.events.testing.simlog import SimReader
from libs.events.topics import load_topics
from services.audit.files import FileReader, export_topics
from tests.simulation.path import (
    EVEN,
    PARTITIONS,
    WRITTEN,
    PointStory,
    daily_story,
    new_world,
    path_cores,
)

Line = dict[str, Any]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untouched export of 40 days of two points."""
    world = new_world(5)
    world.live(daily_story(*(PointStory(f"100000000{n}", f"P{n}", EVEN) for n in (1, 2))))
    directory = tmp_path_factory.mktemp("export")
    table = load_topics(PARTITIONS)
    export_topics(SimReader(world.sim.broker), table.partitions, table.topics, directory)
    return directory


@pytest.fixture
def export(original: Path, tmp_path: Path) -> Path:
    """A copy that a case may alter."""
    return Path(shutil.copytree(original, tmp_path / "export"))


def audit(directory: Path) -> tuple[list[CoreBalance], list[ReplayResult]]:
    """Balance and replay of all cores from files."""
    table = load_topics(PARTITIONS)
    balances, replays = [], []
    for core in path_cores():
        reader = FileReader(directory)
        balances.append(balance(reader, core, table.partitions, WRITTEN[core.name]))
        replays.append(replay(reader, core, table.partitions, WRITTEN[core.name]))
    return balances, replays


def is_clean(directory: Path) -> bool:
    balances, replays = audit(directory)
    return all(found.is_identical for found in replays) and not any(
        found.lost or found.doubled or found.problems for found in balances
    )


def differences(directory: Path) -> str:
    """Everything that balance and replay say, in one text."""
    balances, replays = audit(directory)
    lines = [text for found in replays for text in found.differences]
    return "\n".join(lines + [text for found in balances for text in found.problems])


def alter(directory: Path, topic: str, wanted: str, change: Callable[[Line], Line | None]) -> str:
    """Alter the first record of a type in a topic; where it stood. None drops it."""
    for path in sorted((directory / topic).glob("*.jsonl")):
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            record = json.loads(line)
            headers = {header["name"]: header["value"] for header in record["headers"]}
            if headers["ce_type"] != wanted:
                continue
            changed = change(record)
            lines[number : number + 1] = [] if changed is None else [json.dumps(changed)]
            path.write_text("".join(f"{text}\n" for text in lines), encoding="utf-8")
            return f"{topic}[{path.stem}]@{record['offset']}"
    raise AssertionError(f"no {wanted} in {topic}")


def in_value(old: str, new: str) -> Callable[[Line], Line]:
    def change(record: Line) -> Line:
        assert old in record["value"], record["value"]
        return {**record, "value": record["value"].replace(old, new, 1)}

    return change


def test_an_untouched_log_is_identical(export: Path) -> None:
    assert is_clean(export)


def test_an_altered_price_is_named(export: Path) -> None:
    where = alter(
        export, "billing.events", "billing.bill_calculated.v1", in_value('"0.52"', '"0.42"')
    )
    text = differences(export)
    assert where in text
    assert "price: decided '0.52', recorded '0.42'" in text


def test_an_altered_reading_is_caught(export: Path) -> None:
    alter(
        export,
        "ingest.readings",
        "ingest.registers_read.v1",
        in_value('"1-0:1.8.0":', '"1-0:1.8.0":1'),
    )
    assert "validation.events" in differences(export)


def test_an_altered_offset_in_a_step_is_caught(export: Path) -> None:
    def shift(record: Line) -> Line:
        value = json.loads(record["value"])
        value["runs"][0]["first"] += 1
        return {**record, "value": json.dumps(value)}

    alter(export, "validation.events", "validation.step_taken.v1", shift)
    assert not is_clean(export)


def test_a_dropped_silent_input_is_caught(export: Path) -> None:
    """The first tick moves nothing in billing; without it a recorded run lacks an input."""
    alter(export, "calendar", "clock.ticked.v1", lambda record: None)
    text = differences(export)
    assert "calendar[" in text
    assert "inputs recorded" in text


def test_a_dropped_event_is_caught(export: Path) -> None:
    alter(export, "validation.usage", "validation.usage_established.v1", lambda record: None)
    assert "is not recorded" in differences(export)


def test_an_event_put_in_twice_is_caught(export: Path) -> None:
    path = next(
        path
        for path in sorted((export / "validation.usage").glob("*.jsonl"))
        if path.read_text(encoding="utf-8")
    )
    lines = path.read_text(encoding="utf-8").splitlines()
    extra = {**json.loads(lines[-1]), "offset": json.loads(lines[-1])["offset"] + 1}
    path.write_text("\n".join([*lines, json.dumps(extra)]) + "\n", encoding="utf-8")
    assert "twice" in differences(export)


def test_an_altered_business_time_is_caught(export: Path) -> None:
    def later(record: Line) -> Line:
        headers = [
            {**header, "value": "2027-01-01T00:00:00Z"} if header["name"] == "ce_time" else header
            for header in record["headers"]
        ]
        return {**record, "headers": headers}

    alter(export, "ingest.events", "ingest.reading_ordered.v1", later)
    assert "ce_time" in differences(export)


def test_a_garbled_line_names_file_and_line(export: Path) -> None:
    path = next(iter(sorted((export / "calendar").glob("*.jsonl"))))
    path.write_text("{no json\n", encoding="utf-8")
    with pytest.raises(BadInput, match=r"calendar.*jsonl:1"):
        audit(export)
