"""Remote reading, losses and seals on the status page: exact numbers, in any order of topics."""

from __future__ import annotations

import json
import threading
import urllib.request
from dataclasses import astuple
from datetime import datetime, timedelta
from importlib.resources import files
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.events.codec import envelope_of
from libs.events.record import Record
from libs.events.topics import load_topics
from libs.read_success import GROUPS
from services.console.field_view import FieldView
from services.console.main import page_requests
from services.console.policy import DEFAULT_POLICY, ReadRules
from services.console.views import StatusView
from services.ingest.read_rates import DEFAULT_KPI_RULES, ExpectedRead, read_rates
from services.validation.areas.loss_causes import CAUSES, UNEXPLAINED, UNEXPLAINED_CHINESE
from tests.unit.asking import served
from tests.unit.console.example_log import (
    ENDS,
    EXAMPLE,
    Event,
    collected,
    loss,
    meter,
    missing,
    ordered,
    records,
    seal_broken,
    seal_closed,
    supply,
)

DAY, NEXT = ENDS


def view_of(*events: Event, rules: ReadRules = DEFAULT_POLICY) -> FieldView:
    view = FieldView(rules)
    for offset, event in enumerate(events):
        note(view, event.record(offset))
    return view


def note(view: FieldView, record: Record) -> None:
    view.note(envelope_of(record.headers), record.value)


def counts(view: FieldView, by: str = "") -> list[tuple[Any, ...]]:
    return [astuple(rate) for rate in view.reads.rates(by)]


def shown(row: dict[str, Any]) -> tuple[Any, ...]:
    names = ("expected", "missing", "once_pct", "on_time_pct", "freeze_pct")
    return tuple(row[name] for name in names)


def test_the_bad_concentrator_comes_first_day_by_day() -> None:
    view = FieldView()
    for record in records():
        note(view, record)
    found = view.document()
    groups = {
        by: [(row["key"], *shown(row)) for row in found["groups"][by]["worst"]] for by in GROUPS
    }
    assert groups["concentrator"] == [
        ("0200-0002", 6, 4, "33.33", "33.33", "33.33"),
        ("0200-0001", 6, 0, "66.66", "100.00", "100.00"),
        ("tcp:shop:4001", 2, 0, "100.00", "100.00", "100.00"),
    ]
    assert groups["area"][0] == ("红旗台区", 8, 4, "50.00", "50.00", "50.00")
    assert groups["model"][0] == ("DDZY102", 12, 4, "50.00", "66.66", "66.66")
    whole = (7, 2, "57.14", "71.42", "71.42")
    assert [(row["day_on"], shown(row)) for row in found["days"]] == [(DAY, whole), (NEXT, whole)]
    days = found["groups"]["concentrator"]["worst"][0]["days"]
    assert [(row["day_on"], row["freeze"], row["expected"]) for row in days] == [
        (DAY, 1, 3),
        (NEXT, 1, 3),
    ]
    assert found["groups"]["area"]["left_out"] == 0


def test_an_alarm_stands_as_its_latest_revision_says() -> None:
    high, mended = loss(NEXT, "B", sold_wh=80_000), loss(NEXT, "B", revision=2)
    (alarm,) = view_of(loss(DAY, "A"), high).document()["loss_alarms"]
    assert (alarm["day_on"], alarm["area"], alarm["status"]) == (NEXT, "B", "high")
    assert (alarm["loss_wh"], alarm["loss_e2_pct"], alarm["excess_wh"]) == (20_000, 2_000, 10_000)
    assert alarm["causes"] == [{"name": "zero_usage", "usage_point": "P05", "explained_wh": 16_000}]
    assert view_of(high, mended).document()["loss_alarms"] == []
    assert view_of(mended, high).document()["loss_alarms"] == []


def test_a_broken_seal_is_a_case_until_somebody_closes_it() -> None:
    first, again, other = seal_broken("S-2"), seal_broken("S-2", "1"), seal_broken("S-1")
    (case,) = view_of(first, other, seal_closed("S-1"), again).document()["seal_cases"]
    assert (case["case_id"], case["usage_point"], case["account_no"]) == ("S-2", "P05", "1")
    assert case["broken"]["reason"] == "wire cut"
    assert view_of(other, seal_closed("S-1"), other).document()["seal_cases"] == []


def test_the_first_reading_by_an_order_counts_and_nothing_else() -> None:
    order, late = ordered("P01", DAY), ENDS[DAY].format(31)
    unasked = collected("P01", DAY, ENDS[DAY].format(1), attempts=0)
    by_hand = collected("P01", DAY, ENDS[DAY].format(1), source="manual")
    profile = collected("P01", DAY, ENDS[DAY].format(1), kind="profile")
    assert counts(view_of(order, unasked, by_hand, profile)) == [(DAY, "", 1, 0, 0, 0)]
    assert counts(view_of(order, collected("P01", DAY, late))) == [(DAY, "", 1, 0, 1, 1)]
    first = collected("P01", DAY, ENDS[DAY].format(29))
    both = view_of(order, first, collected("P01", DAY, late))
    assert counts(both) == [(DAY, "", 1, 1, 1, 1)]
    (read,) = both.reads.reads()
    assert (read.concentrator, read.collected_at, read.attempts) == (
        "0200-0001",
        first.body.read_at,
        1,
    )
    assert counts(view_of(collected("P01", DAY, late))) == []


def test_a_meter_whose_reader_has_a_slow_clock_is_read_at_24_00() -> None:
    (read,) = view_of(ordered("P01", DAY), collected("P01", DAY, f"{DAY}T15:59:00Z")).reads.reads()
    assert read.collected_at == f"{DAY}T16:00:00Z"


def test_a_day_that_was_never_ordered_is_missing_too() -> None:
    view = view_of(missing("P01", DAY, 0), supply("P01", "A"), missing("P02", DAY, 3))
    assert counts(view, "concentrator") == [(DAY, "", 1, 0, 0, 0)]
    assert counts(view, "area") == [(DAY, "A", 1, 0, 0, 0)]


def test_the_latest_word_on_area_and_model_counts_for_every_day() -> None:
    view = view_of(ordered("P01", DAY), supply("P01", "B", 2), meter("P01", "X", 2))
    assert counts(view, "area") == [(DAY, "B", 1, 0, 0, 0)]
    for event in (supply("P01", "A", 1), meter("P01", "Y", 1)):
        note(view, event.record(9))
    assert counts(view, "area") + counts(view, "model") == [
        (DAY, "B", 1, 0, 0, 0),
        (DAY, "X", 1, 0, 0, 0),
    ]
    note(view, supply("P01", "C", 3).record(10))
    assert counts(view, "area") == [(DAY, "C", 1, 0, 0, 0)]


def test_days_that_are_not_shown_are_dropped() -> None:
    rules = ReadRules(shown_days=1, shown_groups=1)
    old = (ordered("P01", DAY), collected("P01", DAY, ENDS[DAY].format(12)), loss(DAY, "A", 1, 0))
    new = (ordered("P01", NEXT), ordered("P04", NEXT), loss(NEXT, "A", 1, 0))
    for events in ((*old, *new), (*new, *old)):
        view = view_of(*events, rules=rules)
        found = view.document()
        assert [row["day_on"] for row in found["days"]] == [NEXT]
        assert [row["day_on"] for row in found["loss_alarms"]] == [NEXT]
        assert [read.day_on for read in view.reads.reads()] == [NEXT, NEXT]
    groups = found["groups"]["concentrator"]
    assert [row["key"] for row in groups["worst"]] == ["0200-0001"]
    assert groups["left_out"] == 1


def test_what_cannot_be_decoded_harms_nothing() -> None:
    view = view_of(ordered("P01", DAY))
    whole = ordered("P02", DAY).record(1)
    view.note(envelope_of(whole.headers), b"{")
    assert counts(view) == [(DAY, "", 1, 0, 0, 0)]


@pytest.mark.parametrize("seed", range(20))
def test_the_page_is_the_same_in_whatever_order_the_topics_come(seed: int) -> None:
    """A tail keeps the order within a partition only."""
    chance = Random(seed)
    queues: dict[str, list[Record]] = {}
    for record in reversed(records()):
        queues.setdefault(record.topic, []).append(record)
    view = FieldView()
    for record in records():
        note(view, record)
    mixed = FieldView()
    while left := [topic for topic in sorted(queues) if queues[topic]]:
        topic = chance.choice(left)
        for _ in range(min(chance.randint(1, 40), len(queues[topic]))):
            note(mixed, queues[topic].pop())
        mixed.reads.rates("")  # somebody looks at the page meanwhile
    assert mixed.document() == view.document()


READS = st.dictionaries(
    st.tuples(st.sampled_from([DAY, NEXT]), st.integers(1, 6)),
    st.none() | st.tuples(st.integers(0, 2 * 86_400), st.integers(1, 3)),
    min_size=1,
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(READS)
def test_the_page_counts_as_the_command_does(
    reads: dict[tuple[str, int], tuple[int, int] | None],
) -> None:
    """Deadlines, attempts and groups: the view's SQL against `read_rates`, to the second."""
    events, rows = [], []
    for (day_on, number), came in reads.items():
        point = f"P{number:02}"
        events += [supply(point, f"A{number % 2}"), meter(point, f"T{number % 3}")]
        events.append(ordered(point, day_on))
        at, attempts = "", 0
        if came is not None:
            seconds, attempts = came
            at = (_end(day_on) + timedelta(seconds=seconds)).isoformat()[:19] + "Z"
            events.append(collected(point, day_on, at, attempts=attempts))
        rows.append(
            ExpectedRead(
                usage_point=point,
                day_on=day_on,
                concentrator=f"0200-000{1 if number <= 3 else 2}",
                area=f"A{number % 2}",
                model=f"T{number % 3}",
                collected_at=at,
                attempts=attempts,
            )
        )
    view = view_of(*events)
    for by in ("", *GROUPS):
        assert view.reads.rates(by) == list(read_rates(rows, by, DEFAULT_KPI_RULES))


def _end(day_on: str) -> datetime:
    return datetime.fromisoformat(f"{day_on}T16:00:00")


@pytest.mark.parametrize("name", [*CAUSES, UNEXPLAINED])
def test_every_cause_has_a_name_on_the_page(name: str) -> None:
    page = files("services.console").joinpath("page.html").read_text("utf-8")
    chinese = CAUSES[name].chinese if name in CAUSES else UNEXPLAINED_CHINESE
    assert f'  {name}: {{ zh: "{chinese}", en: "' in page


def test_the_section_is_served_as_json() -> None:
    view = StatusView(load_topics(1))
    for record in records():
        view.note(record)
    with (
        served(page_requests(view, threading.Lock())) as port,
        urllib.request.urlopen(f"http://127.0.0.1:{port}/field.json", timeout=5) as answer,
    ):
        found = json.loads(answer.read())
    assert found == view.of_field.document()
    assert found["groups"]["concentrator"]["worst"][0]["key"] == "0200-0002"


def test_the_example_of_the_documents_is_this_log() -> None:
    """`python -m tests.unit.console.example_log` writes it."""
    for record in records():
        lines = (EXAMPLE / record.topic / "0.jsonl").read_text("utf-8").splitlines()
        assert json.loads(lines[record.offset])["value"] == record.value.decode()
    held = sum(
        len((EXAMPLE / topic / "0.jsonl").read_text("utf-8").splitlines())
        for topic in {record.topic for record in records()}
    )
    assert held == len(records())
