"""Slot tables: when one is ordered, what becomes of the order, and reading one from a meter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.ingest.events import (
    ReadFailed,
    ReadingCollected,
    ReadingFailed,
    ReadingOrdered,
    RegistersRead,
    SlotTableRead,
)
from services.ingest.lines import Lines
from services.ingest.policy import ReadingPolicy
from services.ingest.protocols.dlt645.profile import Dlt645Profile
from services.ingest.protocols.failures import BadReply
from services.ingest.protocols.slot_table import read_slot_table
from services.ingest.reading import read_order
from tests.unit.ingest.desk import (
    IMPORT,
    POINT,
    Desk,
    at,
    day_on,
    failure,
    meter,
    names,
    only,
    opened,
    orders,
    reading,
    supply,
)
from tests.unit.ingest.protocols.test_session_scripted import scripted
from tests.unit.simulators.running import Running, document, running_simulator
from tests.unit.simulators.running import meter as simulated

RATES = {"1": "peak", "2": "valley"}


def tables(events: list[object]) -> list[tuple[str, str, int]]:
    """Meter, day and attempt of every order of a slot table."""
    found = [event for event in events if isinstance(event, ReadingOrdered)]
    return [(o.meter_no, o.day_on, o.attempt) for o in found if o.kind == "slot_table"]


def table_of(order: ReadingOrdered, **changes: str) -> SlotTableRead:
    return SlotTableRead(
        reading_id=f"{order.order_id}/1",
        usage_point=POINT,
        meter_no=order.meter_no,
        source="dlt645_2007",
        day_on=order.day_on,
        read_at=at(1, 1),
        order_id=order.order_id,
        zones=("01-01=1",),
        day_tables={"1": ("00:00=1",)},
    )


def lived(desk: Desk, days: int, first: int = 1) -> list[object]:
    """Day by day; every freeze and every table that is asked for is read."""
    own: list[object] = []
    for day in range(first, first + days):
        found = desk.tick(at(day, 0, 10))
        own += found
        for order in orders(found):
            is_table = order.kind == "slot_table"
            desk.take(table_of(order) if is_table else reading(day - 1, at(day, 1)))
    return own


# -- when -----------------------------------------------------------------------------------------


def test_a_new_meter_with_rates_is_asked_for_its_table_behind_its_freeze() -> None:
    desk = opened(rate_periods=RATES, intervals=True)
    kinds = [order.kind for order in orders(desk.tick(at(1, 0, 10)))]
    assert kinds == ["daily_freeze", "profile", "slot_table"]
    assert desk.point.ordered_to_on == day_on(0)


@pytest.mark.parametrize(
    ("changes", "protocol"), [({}, "dlt645_2007"), ({"rate_periods": RATES}, "manual")]
)
def test_without_rates_or_a_line_nobody_asks(changes: dict[str, object], protocol: str) -> None:
    desk = opened(meter(protocol=protocol), **changes)
    assert tables(desk.tick(at(1, 0, 10)) + desk.tick(at(40, 0, 10))) == []


def test_it_is_asked_for_again_after_the_days_of_the_policy() -> None:
    desk = opened(rate_periods=RATES)
    assert tables(lived(desk, 62)) == [("M1", day_on(day), 1) for day in (0, 30, 60)]
    desk = opened(rate_periods=RATES)
    desk.policy = ReadingPolicy(slot_table_days=1)
    assert len(tables(lived(desk, 5))) == 5


def test_many_days_at_once_are_one_order() -> None:
    desk = opened(rate_periods=RATES)
    own = desk.tick(at(40, 0, 10))
    assert tables(own) == [("M1", day_on(0), 1)]


def test_a_meter_that_takes_over_is_asked_at_once() -> None:
    desk = opened(rate_periods=RATES)
    lived(desk, 5)
    old, new = meter(to_at=at(5, 10)), meter("M2", from_at=at(5, 10))
    desk.take(supply(old, new, version=2, rate_periods=RATES))
    assert tables(desk.tick(at(6, 0, 10))) == [("M2", day_on(5), 1)]


def test_a_table_that_is_still_asked_for_is_not_asked_for_twice() -> None:
    desk = opened(rate_periods=RATES)
    own = []
    for day in range(1, 45):
        for order in orders(desk.tick(at(day, 0, 10))):
            own.append(order)
            if order.kind == "daily_freeze":
                desk.take(reading(day - 1, at(day, 1)))
    found = tables(own)
    assert {day for _, day, _ in found} == {day_on(0)}
    assert [attempt for _, _, attempt in found] == list(range(1, len(found) + 1))


# -- what becomes of it ---------------------------------------------------------------------------


def test_the_table_closes_its_order_and_nothing_else() -> None:
    desk = opened(rate_periods=RATES)
    _, order = orders(desk.tick(at(1, 0, 10)))
    collected = only(desk.take(table_of(order)), ReadingCollected)
    assert (collected.kind, collected.attempts) == ("slot_table", 1)
    assert [day.kind for day in desk.point.open_days] == ["daily_freeze"]
    assert desk.take(table_of(order)) == [], "it comes twice"


def test_a_failed_try_is_repeated_as_others_are_and_sends_nobody() -> None:
    desk = opened(rate_periods=RATES)
    freeze, order = orders(desk.tick(at(1, 0, 10)))
    desk.take(reading(0, at(1, 1)))
    failed = only(desk.take(failure(order)), ReadingFailed)
    assert (failed.kind, failed.retry_at) == ("slot_table", at(1, 1, 10))
    assert desk.point.failures == 0
    (again,) = orders(desk.tick(at(1, 1, 10)))
    assert (again.kind, again.attempt) == ("slot_table", 2)
    assert freeze.kind == "daily_freeze"


def test_a_meter_that_says_no_table_is_asked_next_month() -> None:
    desk = opened(rate_periods=RATES)
    _, order = orders(desk.tick(at(1, 0, 10)))
    desk.take(reading(0, at(1, 1)))
    assert names(desk.take(failure(order, "not_held"))) == ["ReadingFailed"]
    assert desk.point.open_days == ()
    assert tables(lived(desk, 30, first=2)) == [("M1", day_on(30), 1)]


# -- from a meter ---------------------------------------------------------------------------------


def test_every_table_that_zones_holidays_and_rest_days_name_is_read() -> None:
    """Two zones, one holiday, rest on Sunday (bit 0 is 0); a meter fills with its last entry."""
    session, line = scripted(
        {
            "04010000": ["010101" "020107" "020107"],
            "04000205": ["0100"],
            "04030001": ["03010526"],
            "04000801": ["7E"],
            "04000802": ["04"],
            "04010001": ["020000" "010008" "020022"],
            "04010002": ["020000"],
            "04010003": ["030000"],
            "04010004": ["040000"],
        }
    )  # fmt: skip
    block = read_slot_table(session)
    assert block.zones == ("01-01=1", "07-01=2")
    assert block.day_tables == {
        "1": ("00:00=2", "08:00=1", "22:00=2"),
        "2": ("00:00=2",),
        "3": ("00:00=3",),
        "4": ("00:00=4",),
    }
    assert block.special_days == ("2026-05-01=3",)
    assert (block.rest_weekdays, block.rest_table) == ((6,), 4)
    assert len(block.exchanges) == len(line.asked) == 9


def test_a_meter_without_holidays_and_rest_days_refuses_them() -> None:
    session, _ = scripted({"04010000": ["010101"], "04010001": ["020000"]})
    block = read_slot_table(session)
    assert (block.special_days, block.rest_weekdays, block.rest_table) == ((), (), 0)
    assert block.refused == ()


def test_which_bit_is_rest_is_data_of_the_meter() -> None:
    answers = {"04010000": ["010101"], "04010001": ["020000"], "04000801": ["7E"]}
    session, _ = scripted({**answers, "04000802": ["01"]})
    session.profile = Dlt645Profile(rest_day_bit=1)
    assert read_slot_table(session).rest_weekdays == (0, 1, 2, 3, 4, 5)


def test_a_value_that_is_none_fails_with_the_evidence_before_it() -> None:
    session, _ = scripted({"04010000": ["010101"], "04010001": ["0200FF"]})
    with pytest.raises(BadReply, match="04010001 has a value that is none"):
        read_slot_table(session)
    assert len(session.take_exchanges()) == 4


# -- over a line ----------------------------------------------------------------------------------

RIGHT, WRONG, UNIT = "000000000201", "000000000202", 7
LATE = [["00:00", 4], ["09:00", 3], ["10:00", 2], ["15:00", 3], ["18:00", 1], ["20:00", 3]]


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("tables")
    lines = [
        {"name": "area", "kind": "tcp", "meters": [simulated(RIGHT)]},
        {"name": "bus", "kind": "pty", "meters": [simulated(WRONG, day_table="late", drift_s=90)]},
    ]
    given = document(folder, lines)
    given["day_tables"]["late"] = LATE
    with running_simulator(folder, given) as running:
        yield running


def ordered(address: str, line: str, protocol: str = "dlt645_2007") -> ReadingOrdered:
    return ReadingOrdered(
        order_id=f"{POINT}/2026-01-14/slot_table/1",
        usage_point=POINT,
        meter_no="M1",
        protocol=protocol,
        line=line,
        address=address,
        kind="slot_table",
        day_on="2026-01-14",
        attempt=1,
        registers=(IMPORT,),
        retry_at="",
    )


def place_of(simulator: Running, name: str) -> str:
    told = next(row for row in simulator.ready["lines"] if row["name"] == name)
    if told["kind"] == "pty":
        return f"serial:{told['path']}:115200"
    return f"tcp:{told['host']}:{told['port']}"


def test_a_freeze_tells_the_registers_that_were_ordered(simulator: Running) -> None:
    """The block of a freeze brings every rate; a point without rates has no use for them."""
    lines = Lines(b"key")
    wanted = replace(ordered(RIGHT, place_of(simulator, "area")), kind="daily_freeze")
    rates = replace(wanted, registers=(IMPORT, "1-0:1.8.2"))
    try:
        found = [read_order(each, lines, "2026-01-15T02:00:00Z") for each in (wanted, rates)]
    finally:
        lines.close()
    assert [sorted(each.registers) for each in found if isinstance(each, RegistersRead)] == [
        [IMPORT],
        [IMPORT, "1-0:1.8.2"],
    ]


@pytest.mark.parametrize(
    ("name", "address", "second"), [("area", RIGHT, "08"), ("bus", WRONG, "09")]
)
def test_a_simulated_meter_tells_the_table_that_it_counts_by(
    simulator: Running, name: str, address: str, second: str
) -> None:
    """Over TCP and over a pseudo-terminal, with the raw frames and its clock."""
    lines = Lines(b"key")
    try:
        found = read_order(
            ordered(address, place_of(simulator, name)), lines, "2026-01-15T02:00:00Z"
        )
    finally:
        lines.close()
    assert isinstance(found, SlotTableRead), found
    assert found.zones == ("01-01=1",)
    assert found.day_tables == {
        "1": ("00:00=4", f"{second}:00=3", "10:00=2", "15:00=3", "18:00=1", "20:00=3")
    }
    assert (found.special_days, found.rest_weekdays, found.rest_table) == ((), (), 0)
    assert found.clock_offset_s == (90 if address == WRONG else 0)
    assert len([frame for frame in found.frames if frame.startswith(">")]) >= 6
    assert found.reading_id.startswith(f"{POINT}/2026-01-14/slot_table/1/")


def test_a_modbus_meter_has_no_table() -> None:
    found = read_order(ordered("1", "tcp:127.0.0.1:1", "modbus_sdm630"), Lines(b"key"), at(1))
    assert isinstance(found, ReadFailed)
    assert (found.cause, found.detail) == ("not_held", "the meter says no slot table")


def test_a_meter_that_refuses_its_zones_has_no_table() -> None:
    session, _ = scripted({})
    block = read_slot_table(session)
    assert (block.refused, block.day_tables) == (("no_such_data",), {})
