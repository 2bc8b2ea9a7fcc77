"""The service and `gridledger vee check` find the same in the same rows, by the same rule sets."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from services.cli import main as cli
from services.validation.events import (
    Finding,
    IntervalsEstablished,
    QualityFound,
    ReadingAccepted,
    ReadingRejected,
)
from services.validation.reactions import ProfileRead, RegistersRead
from tests.unit.validation.desk import Desk, meter, profile, reading, supply
from tests.unit.validation.samples import IMPORT, at, day_on

RATES = ("1-0:1.8.1", "1-0:1.8.2")
EXPORT = "1-0:2.8.0"
Said = tuple[str, str, str, str, tuple[str, ...], str]


def said(day: str, found: dict[str, Any], rule_set: str) -> Said:
    """A finding of either side: day, rule, severity, text, slots, rule set."""
    return day, found["rule"], found["severity"], found["text"], tuple(found["slots"]), rule_set


def of_service(inputs: list[RegistersRead | ProfileRead], category: str) -> set[Said]:
    """What the events of the core carry, without estimates (which no check makes)."""
    desk = Desk()
    desk.take(
        supply(
            meter(ratio="2", initial={}, capacity_w=20_000),
            registers=(IMPORT, *RATES),
            category=category,
        )
    )
    told: set[Said] = set()
    for each in inputs:
        for event in desk.take(each):
            if isinstance(event, ReadingAccepted | ReadingRejected | IntervalsEstablished):
                told |= {said(event.day_on, plain(f), event.rule_set) for f in event.findings}
            assert not isinstance(event, QualityFound) or event.findings
    return told


def plain(found: Finding) -> dict[str, Any]:
    slots = found.numbers.get("slots", "")
    return {
        "rule": found.rule,
        "severity": found.severity,
        "text": found.text,
        "slots": slots.split(",") if slots else [],
    }


def of_command(
    inputs: list[RegistersRead | ProfileRead],
    category: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> set[Said]:
    """What the command prints for the same as rows of a file."""
    rows: list[dict[str, Any]] = []
    for each in inputs:
        rows += registers(each) if isinstance(each, RegistersRead) else intervals(each)
    rows.sort(key=lambda row: row["at"])
    file, context = folder / "rows.jsonl", folder / "points.jsonl"
    file.write_text("".join(json.dumps({"usage_point": "P1", **row}) + "\n" for row in rows))
    point = {
        "usage_point": "P1",
        "class": category,
        "interval_minutes": 60,
        "capacity_w": 20_000,
        "voltage_class": "lt1kv",
        "nominal_dv": 2200,
        "registers": [IMPORT, *RATES],
        "installations": [
            {"meter_no": "M1", "from_at": at(0), "ratio": "2", "capacity_w": 20_000},
        ],
    }
    context.write_text(json.dumps(point))
    assert cli.main(["vee", "check", str(file), "--context", str(context), "--json"]) in (0, 1)
    days = json.loads(capsys.readouterr().out)["days"]
    return {
        said(day["day_on"], found, found["rule_set"]) for day in days for found in day["findings"]
    }


def registers(read: RegistersRead) -> list[dict[str, Any]]:
    end_at = at(int(read.reading_id[1:]) + 1)
    row = {"at": end_at, "meter_no": "M1"}
    row["source"] = "manual" if read.source == "manual" else "remote_register"
    rows: list[dict[str, Any]] = [
        {**row, "register": name, "value_wh": value} for name, value in read.registers.items()
    ]
    rows += [{**row, "register": name, "flaw": flaw} for name, flaw in read.flaws.items()]
    more = {f"voltage_{PHASES[name]}_dv": dv for name, dv in read.voltages.items()}
    if read.clock_offset_s is not None:
        more["drift_s"] = read.clock_offset_s
    return [{**rows[0], **more}, *rows[1:]]


PHASES = {"1-0:32.7.0": "a", "1-0:52.7.0": "b", "1-0:72.7.0": "c"}


def intervals(read: ProfileRead) -> list[dict[str, Any]]:
    column, day = read.snapshots[IMPORT], int(read.reading_id[1:])
    return [
        {
            "at": at(day, hour),
            "minutes": 60,
            "energy_wh": 2 * (after - before),
            "meter_no": "M1",
            "source": "remote_profile",
        }
        for hour, (before, after) in enumerate(pairwise(column), 1)
        if before is not None and after is not None
    ]


def read(day: int, total: int, **changes: Any) -> RegistersRead:
    """A total in two halves, unless a rate is given."""
    rates = changes.pop("rates", (total // 2, total - total // 2))
    values = {IMPORT: total, **dict(zip(RATES, rates, strict=False))}
    return reading(day, total, registers=values, **changes)


def steady(days: int) -> list[RegistersRead | ProfileRead]:
    return [read(day, 5_000 * (day + 1)) for day in range(days)]


def hours(day: int, *used: int, **changes: Any) -> ProfileRead:
    shown = [5_000 * day]
    for wh in used:
        shown.append(shown[-1] + wh)
    return profile(day, tuple(shown), **changes)


LOAD = (200,) * 20 + (250,) * 4

HISTORIES: dict[str, tuple[list[RegistersRead | ProfileRead], set[str]]] = {
    "steady": ([*steady(12)], set()),
    "rollover and negative": ([*steady(3), read(3, 14_000)], {"negative"}),
    "a spike": ([*steady(9), read(9, 75_000)], {"spike", "high_low"}),
    "low": ([*steady(9), read(9, 45_500)], {"high_low", "register_delta"}),
    "by a person": (
        [*steady(9), read(9, 46_000, source="manual", kind="manual", clock_offset_s=900)],
        {"high_low", "register_delta"},
    ),
    "a gap": ([*steady(4), read(7, 40_000), read(8, 45_000)], set()),
    "rates": ([*steady(3), read(3, 20_000, rates=(10_050, 10_000))], {"rate_sum"}),
    "rates by a person": (
        [*steady(3), read(3, 20_000, rates=(10_050, 10_000), source="manual", kind="manual")],
        set(),
    ),
    "bad registers": (
        [*steady(3), read(3, 20_000, rates=(), flaws={RATES[0]: "non_bcd"})],
        {"bad_value", "missing"},
    ),
    "what the meter says": (
        [
            *steady(3),
            read(3, 20_000, voltages={"1-0:32.7.0": 1_960}, clock_offset_s=70),
            read(
                4,
                25_000,
                voltages={"1-0:32.7.0": 2_200, "1-0:52.7.0": 2_400, "1-0:72.7.0": 2_210},
                clock_offset_s=-301,
            ),
        ],
        {"voltage_band", "clock_drift"},
    ),
    "feeding back": (
        [
            *steady(3),
            *(
                reading(
                    day,
                    0,
                    registers={
                        IMPORT: 5_000 * (day + 1),
                        RATES[0]: 2_500 * (day + 1),
                        RATES[1]: 2_500 * (day + 1),
                        EXPORT: 10 * day,
                    },
                )
                for day in (3, 4)
            ),
        ],
        {"reverse_flow"},
    ),
    "intervals": ([hours(1, *LOAD), hours(2, *LOAD)], set()),
    "an interval that stands out": (
        [hours(1, *LOAD), hours(2, *LOAD[:9], 3_000, *LOAD[10:]), hours(3, *LOAD)],
        {"spike", "demand_step", "historical_peak"},
    ),
    "a run of zeros": ([hours(1, *(0,) * 24), hours(2, *(0,) * 12, *LOAD[12:])], {"zero_run"}),
    "more than the line carries": (
        [hours(1, *LOAD[:9], 40_000, *LOAD[10:])],
        {"capacity", "spike", "demand_step"},
    ),
}


@pytest.mark.parametrize("category", ["residential", "industrial"])
@pytest.mark.parametrize("name", sorted(HISTORIES))
def test_the_service_finds_what_the_command_finds(
    name: str, category: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs, expected = HISTORIES[name]
    ours = of_service(inputs, category)
    assert ours == of_command(inputs, category, tmp_path, capsys)
    found = {rule for _, rule, *_ in ours}
    assert found == expected if category == "residential" else found <= expected
    assert {day for day, *_ in ours} <= {day_on(day) for day in range(12)}


def test_intervals_that_contradict_the_register_are_found_by_both(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs: list[RegistersRead | ProfileRead] = [
        read(0, 5_000),
        hours(1, *LOAD),
        read(1, 5_000 + 7_000),
    ]
    ours = {each[:4] for each in of_service(inputs, "residential")}
    assert ours == {each[:4] for each in of_command(inputs, "residential", tmp_path, capsys)}
    assert {rule for _, rule, *_ in ours} == {"interval_sum"}
