"""An exported log in which one thing was altered: the audit catches it and says where.

The log is a real one, of the path from meter to invoice over simulated Kafka, written to the files
an auditor takes away. Each case alters one line of one file, makes the manifest fit again, as who
alters a log can, and runs the same audit again.
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
from libs.events.record import TopicPartition
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
from tests.unit.audit.sealing import committed_in, reseal

Line = dict[str, Any]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untouched export of 40 days of two points."""
    world = new_world(5)
    world.live(daily_story(*(PointStory(f"100000000{n}", f"P{n}", EVEN) for n in (1, 2))))
    directory = tmp_path_factory.mktemp("export")
    table = load_topics(PARTITIONS)
    broker = world.sim.broker
    committed = committed_in(broker, WRITTEN)
    export_topics(SimReader(broker), table.partitions, table.topics, directory, committed)
    return directory


@pytest.fixture
def export(original: Path, tmp_path: Path) -> Path:
    """A copy that a case may alter."""
    return Path(shutil.copytree(original, tmp_path / "export"))


def audit(directory: Path) -> tuple[list[CoreBalance], list[ReplayResult]]:
    """Balance and replay of all cores from files."""
    count = load_topics(PARTITIONS).partitions
    balances, replays = [], []
    reader = FileReader(directory)
    for core in path_cores():
        committed = reader.committed(WRITTEN)[core.name]
        written = WRITTEN[core.name]
        balances.append(balance(reader, core, count, written, committed))
        replays.append(replay(reader, core, count, written, committed=committed))
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
            reseal(directory)
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
    reseal(export)
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
    reseal(export)
    with pytest.raises(BadInput, match=r"calendar.*jsonl:1"):
        audit(export)


# -- without a manifest that fits -----------------------------------------------------------------


def test_an_altered_file_is_refused(export: Path) -> None:
    """One digit of one byte: as many records as before."""
    path = export / "billing.events" / "0.jsonl"
    text = path.read_text("utf-8")
    path.write_text(text.replace('"0.52', '"0.42', 1), "utf-8")
    with pytest.raises(BadInput, match=r"billing.events/0.jsonl: is not as it was.*export again"):
        audit(export)


def test_a_file_that_was_cut_off_is_refused(export: Path) -> None:
    path = export / "validation.usage" / "1.jsonl"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[: len(lines) // 2]), "utf-8")
    with pytest.raises(BadInput, match=r"validation.usage/1.jsonl: is not as it was"):
        audit(export)


def test_a_wrong_count_is_refused(export: Path) -> None:
    path = export / "manifest.json"
    document = json.loads(path.read_text("utf-8"))
    document["files"]["calendar/1.jsonl"]["records"] += 1
    count = document["files"]["calendar/1.jsonl"]["records"]
    path.write_text(json.dumps(document), "utf-8")
    with pytest.raises(BadInput) as refused:
        audit(export)
    assert refused.value.field.endswith("calendar/1.jsonl")
    assert refused.value.problem == f"has {count - 1} records, the manifest says {count}"


def test_a_missing_file_is_refused(export: Path) -> None:
    (export / "tariffs" / "1.jsonl").unlink()
    with pytest.raises(BadInput, match=r"tariffs/1.jsonl: No such file.*export again"):
        FileReader(export)


def test_a_file_that_was_put_in_is_refused(export: Path) -> None:
    (export / "tariffs" / "2.jsonl").write_text("")
    with pytest.raises(BadInput, match=r"tariffs/2.jsonl: is not in the manifest.*export again"):
        FileReader(export)
    reseal(export)
    with pytest.raises(BadInput, match=r"manifest.json: lists tariffs/2.jsonl, with 2 partitions"):
        FileReader(export)


def test_a_manifest_that_lacks_a_partition_is_refused(export: Path) -> None:
    (export / "tariffs" / "1.jsonl").unlink()
    reseal(export)
    with pytest.raises(BadInput, match=r"manifest.json: does not list tariffs/1.jsonl"):
        FileReader(export)


def test_a_manifest_that_lacks_a_topic_is_refused(export: Path) -> None:
    """Without its dead letters a core's balance would be that of a core that had none."""
    shutil.rmtree(export / "billing.dlq")
    reseal(export)
    with pytest.raises(BadInput, match=r"manifest.json: does not list billing.dlq/0.jsonl"):
        audit(export)


def test_a_manifest_that_lacks_the_offsets_of_a_group_is_refused(export: Path) -> None:
    path = export / "manifest.json"
    document = json.loads(path.read_text("utf-8"))
    del document["committed"]["billing"]
    path.write_text(json.dumps(document), "utf-8")
    with pytest.raises(BadInput, match=r"manifest.json: has no committed offsets of billing"):
        audit(export)


def test_an_export_over_another_one_leaves_no_file_of_it(export: Path) -> None:
    with pytest.raises(BadInput, match=r"lies there, and no topic belongs to it \(export to a new"):
        export_topics(FileReader(export), lambda topic: 1, ["calendar"], export, {})
    table = load_topics(PARTITIONS)
    reader = FileReader(export)
    before = reader.manifest
    copy = export.parent / "copy"
    for _ in range(2):
        export_topics(reader, table.partitions, table.topics, copy, before.committed)
        assert FileReader(copy).manifest == before


# -- an end that was cut off, with a manifest that fits -------------------------------------------


def lines_of(directory: Path, topic: str, partition: int) -> list[str]:
    return (directory / topic / f"{partition}.jsonl").read_text("utf-8").splitlines(keepends=True)


def keep(directory: Path, topic: str, partition: int, lines: list[str]) -> None:
    """Leave only these lines of a file, and a manifest that fits."""
    (directory / topic / f"{partition}.jsonl").write_text("".join(lines), "utf-8")
    reseal(directory)


def positions_of(line: str) -> dict[str, int]:
    """Where a step record leads to, by its own words; {} for another record."""
    value = json.loads(json.loads(line)["value"])
    found: dict[str, int] = value.get("positions", {})
    return found


@pytest.mark.parametrize("partition", range(PARTITIONS))
@pytest.mark.parametrize("core", WRITTEN)
def test_the_last_step_of_a_core_cannot_be_cut_off(core: str, partition: int, export: Path) -> None:
    """With its own events: whoever looks at the topic alone sees a log that ended there."""
    own = f"{core}.events"
    lines = lines_of(export, own, partition)
    steps = [number for number, line in enumerate(lines) if positions_of(line)]
    last, before = positions_of(lines[steps[-1]]), positions_of(lines[steps[-2]])
    keep(export, own, partition, lines[: steps[-2] + 1])
    moved = {topic for topic, at in last.items() if before.get(topic, 0) < at}
    assert moved
    expected = {
        f"{own}[{partition}]: the steps lead to {before.get(topic, 0)} in {topic}[{partition}], "
        f"{core} has committed {last[topic]}: the end was cut off"
        for topic in moved
    }
    for results in audit(export):
        (found,) = (each for each in results if each.core == core)
        told = found.problems if isinstance(found, CoreBalance) else found.differences
        assert {text for text in told if "cut off" in text} == expected


def test_half_a_log_is_not_clean(export: Path) -> None:
    """Nothing is passed over: what was cut off only waits. Waiting alone is no problem."""
    for partition in range(PARTITIONS):
        lines = lines_of(export, "billing.events", partition)
        keep(export, "billing.events", partition, lines[: len(lines) // 2])
    balances, replays = audit(export)
    assert [found.core for found in replays if found.differences] == ["billing"]
    (billing,) = (found for found in balances if found.core == "billing")
    assert billing.lost == 0
    assert sum(hop.lag for hop in billing.hops) > 0
    assert all("the end was cut off" in text for text in billing.problems)
    assert {text[:17] for text in billing.problems} == {"billing.events[0]", "billing.events[1]"}


def test_a_log_without_any_step_is_not_clean(export: Path) -> None:
    keep(export, "billing.events", 0, [])
    committed = FileReader(export).committed(["billing"])["billing"]
    at = committed[TopicPartition("calendar", 0)]
    expected = (
        "billing.events[0]: the steps lead to 0 in calendar[0], "
        f"billing has committed {at}: the end was cut off"
    )
    balances, replays = audit(export)
    assert expected in [text for found in balances for text in found.problems]
    assert expected in [text for found in replays for text in found.differences]


def test_the_end_of_an_outgoing_topic_cannot_be_cut_off(export: Path) -> None:
    lines = lines_of(export, "validation.usage", 0)
    keep(export, "validation.usage", 0, lines[:-1])
    headers = {each["name"]: each["value"] for each in json.loads(lines[-1])["headers"]}
    _, replays = audit(export)
    (validation,) = (found for found in replays if found.core == "validation")
    assert f"validation.usage: event {headers['ce_id']} is not recorded" in validation.differences


@pytest.mark.parametrize("topic", ["calendar", "ingest.readings", "validation.usage"])
def test_the_end_of_an_input_cannot_be_cut_off(topic: str, export: Path) -> None:
    lines = lines_of(export, topic, 1)
    keep(export, topic, 1, lines[:-2])
    balances, replays = audit(export)
    readers = [core.name for core in path_cores() if topic in core.inputs]
    assert readers
    for name in readers:
        (found,) = (each for each in balances if each.core == name)
        assert any(
            text.startswith(f"{topic}[1]@") and "decided, but not there" in text
            for text in found.problems
        )
        (again,) = (each for each in replays if each.core == name)
        assert any(
            f"{topic}[1]: " in text and "inputs recorded" in text for text in again.differences
        )


def test_inputs_that_wait_are_no_problem(export: Path) -> None:
    """What came after the last step, and which the group has not committed either."""
    lines = lines_of(export, "calendar", 0)
    later = {**json.loads(lines[-1])}
    later["offset"] += 5
    keep(export, "calendar", 0, [*lines, json.dumps(later) + "\n"])
    assert is_clean(export)
    balances, _ = audit(export)
    assert [sum(hop.lag for hop in found.hops) for found in balances] == [1, 1, 1]
