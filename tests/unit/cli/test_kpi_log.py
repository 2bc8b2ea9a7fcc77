"""`gridledger kpi` and `losses` on what the services collected and decided: a log, not a file."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from libs.events.codec import encode
from libs.events.record import Envelope, envelope_headers
from libs.events.testing.simlog import SimBroker, SimReader
from services.audit.files import FileReader, export_topics
from services.cli import main as cli
from tests.unit.console.example_log import ENDS, EXAMPLE, TOPICS, collected, ordered, supply

Capture = pytest.CaptureFixture[str]
LOG = ("--from-files", str(EXAMPLE))


def run(capsys: Capture, *arguments: str) -> tuple[int, list[str]]:
    status = cli.main(list(arguments))
    return status, capsys.readouterr().out.splitlines()


def refused(capsys: Capture, *arguments: str) -> str:
    assert cli.main(list(arguments)) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said


def export(directory: Path, *events: Any) -> str:
    broker = SimBroker(dict.fromkeys(TOPICS, 1))
    for offset, event in enumerate(events):
        record = event.record(offset)
        broker.append(record.topic, 0, record.key, record.value, record.headers)
    export_topics(SimReader(broker), lambda topic: 1, list(TOPICS), directory, {})
    return str(directory)


def test_the_bad_concentrator_is_found_in_the_log(capsys: Capture) -> None:
    status, lines = run(capsys, "kpi", *LOG, "--by", "concentrator", "--json")
    found = [json.loads(line) for line in lines]
    assert status == 1
    assert found[-1] == {
        "kind": "outlier",
        "key": "0200-0002",
        "expected": 6,
        "missing": 4,
        "missing_pct": "66.66",
        "peers_expected": 8,
        "peers_missing": 0,
        "peers_missing_pct": "0.00",
        "share_of_missing_pct": "100.00",
    }
    totals = {row["key"]: row["freeze_pct"] for row in found if not row.get("day_on", "x")}
    assert totals == {
        "": "71.42",
        "0200-0001": "100.00",
        "0200-0002": "33.33",
        "tcp:shop:4001": "100.00",
    }


@pytest.mark.parametrize("by", ["concentrator", "area", "model"])
def test_the_log_gives_what_its_rows_in_a_file_give(
    by: str, tmp_path: Path, capsys: Capture
) -> None:
    """The rows are written down by hand: who came when, by the story of the example."""
    minutes = {"P01": (12, 1), "P02": (12, 1), "P03": (25, 2), "P04": (13, 1), "P07": (30, 1)}
    file = tmp_path / "reads.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        names = ("day_on", "usage_point", "collected_at", "attempts")
        writer.writerow([*names, "concentrator", "area", "model"])
        for day_on, at in ENDS.items():
            for number in range(1, 8):
                point = f"P{number:02}"
                came = minutes.get(point)
                group = "0200-0001" if number <= 3 else "0200-0002"
                writer.writerow(
                    [
                        day_on,
                        point,
                        at.format(came[0]) if came else "",
                        came[1] if came else "",
                        "tcp:shop:4001" if number == 7 else group,
                        "和平台区" if number <= 3 else "红旗台区",
                        "DTZY341" if number == 7 else "DDZY102",
                    ]
                )
    wanted = run(capsys, "kpi", str(file), "--by", by)
    assert run(capsys, "kpi", *LOG, "--by", by) == wanted
    assert max(map(cell_len, wanted[1])) <= 80


def test_the_running_installation_is_read_without_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("GRIDLEDGER_PARTITIONS", "1")
    monkeypatch.setattr("services.cli.records.KafkaReader", lambda settings: FileReader(EXAMPLE))
    for command in ("kpi", "losses"):
        assert run(capsys, command) == run(capsys, command, *LOG)


def test_own_definitions_and_a_group_nobody_knows(tmp_path: Path, capsys: Capture) -> None:
    day_on = next(iter(ENDS))
    rules = tmp_path / "rules.json"
    rules.write_text('{"once_attempts_most": 2, "freeze_least_e2_pct": 5000}')
    files = export(
        tmp_path / "log",
        ordered("P01", day_on),
        collected("P01", day_on, ENDS[day_on].format(20), attempts=2),
        supply("P02", "A"),
        ordered("P02", day_on),
    )
    given = ("kpi", "--from-files", files, "--by", "area", "--rules", str(rules), "--json")
    status, lines = run(capsys, *given)
    rates = [json.loads(line) for line in lines]
    assert status == 0
    found = [(row["key"], row["expected"], row["once"], row["freeze"]) for row in rates[:3]]
    assert found == [("", 2, 1, 1), ("?", 1, 1, 1), ("A", 1, 0, 0)]


def test_losses_are_listed_as_they_were_decided(capsys: Capture) -> None:
    status, lines = run(capsys, "losses", *LOG, "--json")
    assert status == 1
    first, second = [json.loads(line) for line in lines]
    assert (first["day_on"], first["status"], first["loss_wh"]) == ("2026-01-30", "ok", 5_000)
    assert (second["status"], second["loss_wh"], second["loss_pct"]) == ("high", 21_500, "21.50")
    assert (second["excess_wh"], second["read_pct"]) == (11_500, "100.00")
    assert [(each["cause"], each["usage_point"]) for each in second["causes"]] == [
        ("zero_usage", "P05")
    ]


def test_nothing_decided_yet_is_an_empty_list(tmp_path: Path, capsys: Capture) -> None:
    assert run(capsys, "losses", "--from-files", export(tmp_path / "log")) == (0, [])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("kpi", "reads.csv", *LOG), "--from-files: reads.csv is given too (give one of them)"),
        (("losses", "d.csv", *LOG), "--from-files: d.csv is given too (give one of them)"),
        (("losses", "d.csv"), "--areas: is missing (name the file"),
        (("losses", *LOG, "--areas", "a.csv"), "--areas: is for a FILE (give FILE too"),
        (("losses", *LOG, "--rules", "r.json"), "--rules: is for a FILE (give FILE too"),
        (("kpi", "--from-files", "nowhere"), "nowhere/manifest.json: "),
        (("losses", "--from-files", "nowhere"), "nowhere/manifest.json: "),
        (("kpi", *LOG, "--by", "city"), "--by: 'city' is not known"),
    ],
)
def test_wrong_options_are_one_line(arguments: tuple[str, ...], said: str, capsys: Capture) -> None:
    assert said in refused(capsys, *arguments)


def test_a_log_without_readings_is_told(tmp_path: Path, capsys: Capture) -> None:
    files = export(tmp_path / "log", supply("P01", "A"))
    assert f"{files}: has no expected readings (" in refused(capsys, "kpi", "--from-files", files)


@pytest.mark.parametrize(
    ("command", "topic", "name"),
    [
        ("kpi", "ingest.events", "ingest.reading_ordered.v1"),
        ("losses", "validation.losses", "validation.loss_calculated.v1"),
    ],
)
def test_damage_is_named_with_its_place(
    command: str, topic: str, name: str, tmp_path: Path, capsys: Capture
) -> None:
    broker = SimBroker(dict.fromkeys(TOPICS, 1))
    headers = envelope_headers(Envelope("x", name, "x", "2026-01-01T00:00:00Z", "P01"))
    broker.append(topic, 0, b"P01", encode({"day_on": 1}), headers)
    export_topics(SimReader(broker), lambda _: 1, list(TOPICS), tmp_path / "log", {})
    said = refused(capsys, command, "--from-files", str(tmp_path / "log"))
    assert said.startswith(f"error: {topic}/0/0: value of {name}: ")
