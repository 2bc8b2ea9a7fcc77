"""A meter session against simulated meters over TCP: values, freezes, profiles, relay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.profile import Dlt645Profile
from services.ingest.protocols.dlt645.requests import Credentials
from services.ingest.protocols.drivers import Line
from services.ingest.protocols.failures import BadReply, NoReply
from services.ingest.protocols.session import MeterSession, PasswordSecurity
from tests.unit.simulators.running import (
    IMPATIENT,
    START_AT,
    Running,
    document,
    meter,
    running_simulator,
)

PLAIN, HOUSE, FACTORY, ODD, BUTTON, TRIPPED, STUCK, DRIFTING, ROLLING, QUIET, KEPT, FREEZER = (
    f"{n:012d}" for n in range(101, 113)
)
PASSWORD = "918273"
GOOD = PasswordSecurity(credentials=Credentials(level="02", password=PASSWORD, operator="00000007"))
WRONG = PasswordSecurity(credentials=Credentials(level="02", password="000001"))
LATER = "2026-01-15T02:05:00Z"
EARLIER = "2026-01-15T01:59:00Z"


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("simulator")
    passwords = {"passwords": {"02": PASSWORD}}
    meters = [
        meter(PLAIN),
        meter(HOUSE, **passwords),
        meter(
            FACTORY,
            shape="G25",
            annual_kwh=876_000,
            ratio=20,
            phases=3,
            ratios={"export": "0.1", "q1": "0.4", "q2": "0.05", "q3": "0.01", "q4": "0.03"},
        ),
        meter(ODD, record_separators="own", frame_data_bytes=60),
        meter(BUTTON, close_mode="button", **passwords),
        meter(TRIPPED, **passwords),
        meter(STUCK, **passwords),
        meter(DRIFTING, drift_s=-120, **passwords),
        meter(ROLLING, digits=5),
        meter(QUIET, **passwords),
        meter(KEPT, **passwords),
        meter(FREEZER),
    ]
    lines = [{"name": "area", "kind": "tcp", "meters": meters}]
    with running_simulator(folder, document(folder, lines)) as running:
        yield running


@pytest.fixture
def line(simulator: Running) -> Iterator[Line]:
    found = simulator.line("area")
    yield found
    found.close()


def truth(simulator: Running, address: str, at: str = START_AT) -> dict[str, int]:
    """The registers of a simulated meter at an instant, in Wh."""
    found: dict[str, int] = simulator.remote.ask("state", meter=address, at=at)["registers_wh"]
    return found


def shown(wh: int) -> int:
    """What a register of 0.01 kWh shows of an energy."""
    return wh // 10 * 10


def test_a_block_of_registers_is_exact(simulator: Running, line: Line) -> None:
    result = MeterSession(line, PLAIN).read("0001FF00")
    expected = truth(simulator, PLAIN)
    assert {q.obis: q.value for q in result.quantities} == {
        f"1-0:1.8.{rate}": shown(expected[f"1-0:1.8.{rate}"]) for rate in range(5)
    }
    assert result.refused == ()
    assert len(result.exchanges) == 1
    assert result.exchanges[0].received_hex[0].startswith("68010100000000689118")
    assert expected["1-0:1.8.0"] > 12_345_670


def test_quadrants_export_demand_and_instantaneous_values(simulator: Running, line: Line) -> None:
    session = MeterSession(line, FACTORY)
    expected = truth(simulator, FACTORY)
    for family, code in (("0002", 2), ("0005", 5), ("0006", 6), ("0007", 7), ("0008", 8)):
        (quantity,) = session.read(f"{family}0000").quantities
        assert quantity.obis == f"1-0:{code}.8.0"
        assert quantity.value == shown(expected[quantity.obis])
        assert quantity.value > 0
    (demand,) = session.read("01010000").quantities
    assert (demand.obis, demand.scale, demand.unit) == ("1-0:1.6.0", 10, "W")
    assert demand.value is not None
    assert demand.value > 50_000  # the mean power is 100 kW / 20 = 5 kW, in 0.1 W
    assert "2026-01-01T00:00:00Z" < demand.at <= START_AT
    voltages = session.read("0201FF00").quantities
    assert [q.obis for q in voltages] == ["1-0:32.7.0", "1-0:52.7.0", "1-0:72.7.0"]
    assert all(q.value is not None and 2180 <= q.value <= 2220 for q in voltages)
    assert session.read("02800002").quantities[0].value == 5000
    for di in ("0202FF00", "0203FF00", "0204FF00", "02050000", "0206FF00"):
        assert all(q.value and not q.bad for q in session.read(di).quantities), di


def test_a_single_phase_meter_has_no_value_for_the_other_phases(line: Line) -> None:
    one, *others = MeterSession(line, PLAIN).read("0201FF00").quantities
    assert one.bad == ""
    assert [q.bad for q in others] == ["no_value", "no_value"]


def test_combined_registers_have_codes_that_no_bill_knows(line: Line) -> None:
    (combined,) = MeterSession(line, FACTORY).read("00000000").quantities
    assert combined.obis == "1-0:128.8.0"


def test_a_settlement_period_is_kept(simulator: Running, line: Line) -> None:
    (quantity,) = MeterSession(line, PLAIN).read("00010001").quantities
    assert quantity.obis == "1-0:1.8.0*01"
    refused = MeterSession(line, PLAIN).read("00010002")
    assert (refused.refused, refused.quantities) == (("no_such_data",), ())


@pytest.mark.parametrize("kind", ["no_value", "non_bcd"])
def test_values_that_are_none(simulator: Running, line: Line, kind: str) -> None:
    simulator.remote.ask("fault", meter=PLAIN, kind=kind, count=1)
    session = MeterSession(line, PLAIN)
    (quantity,) = session.read("00010000").quantities
    assert (quantity.value, quantity.bad) == (None, kind)
    assert session.read("00010000").quantities[0].value is not None


def test_a_spike_comes_and_goes(simulator: Running, line: Line) -> None:
    session = MeterSession(line, PLAIN)
    (before,) = session.read("00010000").quantities
    simulator.remote.ask("fault", meter=PLAIN, kind="spike", count=1, wh=5_000_000)
    (during,) = session.read("00010000").quantities
    (after,) = session.read("00010000").quantities
    assert before.value is not None
    assert during.value == before.value + 5_000_000
    assert after.value == before.value


def test_an_unknown_identifier_is_refused_by_the_meter_or_by_name(line: Line) -> None:
    session = MeterSession(line, PLAIN)
    assert session.read("04000702").refused == ("no_such_data",)
    with pytest.raises(BadInput, match="di"):
        session.read("nonsense")


def test_long_answers_are_joined_from_follow_up_frames(line: Line) -> None:
    session = MeterSession(line, ODD)
    payload, refused = session.read_with_follow_up("03300D01")
    assert (len(payload), refused) == (60, ())
    assert len(session.take_exchanges()) == 2
    assert payload[:6] == payload[6:12] == bytes.fromhex("000000010126")


def test_the_clock(line: Line) -> None:
    clock = MeterSession(line, PLAIN).read_clock()
    assert (clock.meter_at, clock.bad, clock.refused) == (START_AT, "", ())
    drifting = MeterSession(line, DRIFTING).read_clock()
    assert drifting.meter_at == "2026-01-15T01:58:00Z"


def test_a_daily_freeze_is_the_end_of_its_day(simulator: Running, line: Line) -> None:
    session = MeterSession(line, FREEZER)
    freeze = session.read_daily_freeze()
    assert (freeze.day_on, freeze.stamp_at) == ("2026-01-14", "2026-01-14T16:00:00Z")
    expected = truth(simulator, FREEZER, "2026-01-14T16:00:00Z")
    found = {q.obis: q.value for q in freeze.quantities if ".8." in q.obis}
    assert found == {obis: shown(expected[obis]) for obis in found}
    assert set(found) >= {
        f"1-0:{kind}.8.{rate}" for kind in (1, 2, 5, 6, 7, 8) for rate in range(5)
    }
    demands = [q for q in freeze.quantities if q.obis == "1-0:1.6.0"]
    assert demands[0].value
    assert freeze.missing == ()
    assert len(freeze.exchanges) == 2 + 7
    older = session.read_daily_freeze(14)
    assert older.day_on == "2026-01-01"
    assert session.read_daily_freeze(16).refused == ("no_such_data",)
    with pytest.raises(BadInput, match="nth"):
        session.read_daily_freeze(0)


def test_a_missing_freeze(simulator: Running, line: Line) -> None:
    session = MeterSession(line, FREEZER)
    simulator.remote.ask("fault", meter=FREEZER, kind="missing_freeze", day_on="2026-01-13")
    assert session.read_daily_freeze(1).day_on == "2026-01-14"
    assert session.read_daily_freeze(2).refused == ("no_such_data",)
    simulator.remote.ask("clear", meter=FREEZER)
    assert session.read_daily_freeze(2).day_on == "2026-01-13"


def test_a_day_of_the_load_profile_is_97_snapshots(simulator: Running, line: Line) -> None:
    block = MeterSession(line, FACTORY).read_profile("2026-01-14")
    assert (block.snapshots, block.interval_s) == (97, 900)
    assert block.first_at == "2026-01-13T16:00:00Z"
    for place, at in (
        (0, "2026-01-13T16:00:00Z"),
        (37, "2026-01-14T01:15:00Z"),
        (96, "2026-01-14T16:00:00Z"),
    ):
        expected = truth(simulator, FACTORY, at)
        for obis in ("1-0:1.8.0", "1-0:2.8.0", "1-0:5.8.0", "1-0:8.8.0"):
            assert block.registers[obis][place] == shown(expected[obis])
    imported = [value for value in block.registers["1-0:1.8.0"] if value is not None]
    assert len(imported) == 97
    assert imported == sorted(imported)
    assert (block.bad, block.off_grid, block.refused) == ({}, (), ())
    assert block.units["1-0:5.8.0"] == "varh"
    assert block.scales["1-0:5.8.0"] == 1
    # 2 classes x 11 requests, each answered in one frame and one follow-up, but the last
    assert len(block.exchanges) == 2 * (11 * 2 - 0)


def test_a_day_that_is_not_over_and_a_day_before_the_meter(line: Line) -> None:
    session = MeterSession(line, PLAIN)
    today = session.read_profile("2026-01-15").registers["1-0:1.8.0"]
    assert [value is not None for value in today] == [place <= 40 for place in range(97)]
    never = session.read_profile("2025-12-30")
    assert never.refused == ("no_such_data",)
    assert set(never.registers["1-0:1.8.0"]) == {None}
    with pytest.raises(BadInput, match="day_on"):
        session.read_profile("15.01.2026")


def test_a_meter_with_other_separators_needs_its_profile(simulator: Running, line: Line) -> None:
    own = Dlt645Profile(name="odd", load_record_separators="own")
    block = MeterSession(line, ODD, own).read_profile("2026-01-14")
    expected = truth(simulator, ODD, "2026-01-14T16:00:00Z")
    assert block.registers["1-0:1.8.0"][96] == shown(expected["1-0:1.8.0"])
    with pytest.raises(BadReply) as caught:
        MeterSession(line, ODD).read_profile("2026-01-14")
    assert caught.value.exchange is not None


def test_trip_is_confirmed_by_reading_back(simulator: Running, line: Line) -> None:
    session = MeterSession(line, TRIPPED)
    assert session.read_relay_status().state == "closed"
    result = session.send_relay_command("trip", LATER, GOOD)
    assert (result.accepted, result.refused) == (True, ())
    (answered,) = result.exchanges[0].received_hex
    assert answered[16:20] == "9c00"
    status = session.read_relay_status()
    assert (status.is_open, status.state, status.word) == (True, "open", 0x50)
    assert status.bits == ("relay_open", "relay_command_open")
    assert simulator.remote.ask("state", meter=TRIPPED)["relay"] == "open"
    assert session.read("1D000101").quantities[0].text == START_AT
    assert session.send_relay_command("permit_close", LATER, GOOD).accepted
    assert session.read_relay_status().state == "closed"


def test_no_password_in_evidence_or_journal(simulator: Running, line: Line) -> None:
    session = MeterSession(line, HOUSE)
    simulator.remote.ask("fault", meter=HOUSE, kind="echo", count=1)
    result = session.send_relay_command("alarm", LATER, GOOD)
    (exchange,) = result.exchanges
    assert exchange.skipped == {"echo": 1}
    on_the_wire = bytes((byte + 0x33) % 256 for byte in bytes.fromhex(PASSWORD)[::-1]).hex()
    assert "1c1035xxxxxx" in exchange.sent_hex
    assert on_the_wire not in repr(result)
    assert PASSWORD not in repr(result)
    entries = [row for row in simulator.journal() if row["meter"] == HOUSE]
    assert entries[-1]["received"].count("xx") == 4
    assert on_the_wire not in repr(entries)
    assert session.read_relay_status().bits == ("trip_warning",)


def test_a_stuck_relay_accepts_and_does_not_move(simulator: Running, line: Line) -> None:
    session = MeterSession(line, STUCK)
    simulator.remote.ask("fault", meter=STUCK, kind="relay_stuck")
    assert session.send_relay_command("trip", LATER, GOOD).accepted
    status = session.read_relay_status()
    assert (status.is_open, status.state) == (False, "trip_pending")
    assert simulator.remote.ask("state", meter=STUCK)["relay"] == "closed"


def test_permit_close_waits_for_the_button(simulator: Running, line: Line) -> None:
    session = MeterSession(line, BUTTON)
    assert session.send_relay_command("trip", LATER, GOOD).accepted
    assert session.send_relay_command("permit_close", LATER, GOOD).accepted
    status = session.read_relay_status()
    assert (status.is_open, status.state) == (True, "close_permitted")
    assert simulator.remote.ask("press_button", meter=BUTTON)["closed"] is True
    assert session.read_relay_status().state == "closed"
    assert simulator.remote.ask("press_button", meter=BUTTON)["closed"] is False
    assert session.send_relay_command("trip", LATER, GOOD).accepted
    assert session.send_relay_command("close", LATER, GOOD).accepted
    assert session.read_relay_status().state == "closed"


def test_an_expired_command_is_refused_by_the_meter(simulator: Running, line: Line) -> None:
    session = MeterSession(line, HOUSE)
    result = session.send_relay_command("trip", EARLIER, GOOD)
    assert (result.accepted, result.refused) == (False, ("other",))
    assert session.read_relay_status().is_open is False


def test_the_meter_judges_by_its_own_clock(simulator: Running, line: Line) -> None:
    session = MeterSession(line, DRIFTING)  # two minutes behind
    assert session.send_relay_command("trip", EARLIER, GOOD).accepted
    assert session.read_relay_status().is_open is True
    simulator.remote.ask("fault", meter=DRIFTING, kind="clock_drift", seconds=600)
    assert session.read_clock().meter_at == "2026-01-15T02:10:00Z"
    result = session.send_relay_command("permit_close", LATER, GOOD)
    assert (result.accepted, result.refused) == (False, ("other",))
    assert session.read_relay_status().is_open is True


def test_a_wrong_password_is_dc(simulator: Running, line: Line) -> None:
    session = MeterSession(line, HOUSE)
    result = session.send_relay_command("trip", LATER, WRONG)
    assert (result.accepted, result.refused) == (False, ("not_authorised",))
    sent = [row["sent"] for row in simulator.journal() if row["meter"] == HOUSE][-1]
    assert sent[0][8:].startswith("68020100000000" + "68dc0137")  # DCH, error word 04H
    assert session.read_relay_status().is_open is False


def test_a_meter_told_to_keep_supply_refuses_to_trip(line: Line) -> None:
    session = MeterSession(line, KEPT)
    assert session.send_relay_command("keep_supply", LATER, GOOD).accepted
    assert not session.send_relay_command("trip", LATER, GOOD).accepted
    assert session.read_relay_status().bits == ("keep_supply",)
    assert session.send_relay_command("keep_supply_off", LATER, GOOD).accepted
    assert session.send_relay_command("trip", LATER, GOOD).accepted


def test_a_command_without_an_answer_is_sent_once(simulator: Running) -> None:
    line = simulator.line("area", replace(IMPATIENT, tries=3))
    try:
        session = MeterSession(line, QUIET)
        simulator.remote.ask("fault", meter=QUIET, kind="silent")
        with pytest.raises(NoReply) as caught:
            session.send_relay_command("trip", LATER, GOOD)
        assert caught.value.sent
        assert caught.value.exchange is not None
        assert "xxxxxx" in caught.value.exchange.sent_hex
        heard = [row for row in simulator.journal() if row["meter"] == QUIET]
        assert [row["sent"] for row in heard] == [[]]
        assert session.take_exchanges() == (caught.value.exchange,)
    finally:
        line.close()
        simulator.remote.ask("clear", meter=QUIET)


@pytest.mark.parametrize("address", ["AAAAAAAAAAAA", "AAAAAAAA0102", "999999999999"])
def test_there_is_no_session_with_more_than_one_meter(line: Line, address: str) -> None:
    with pytest.raises(BadInput, match="more than one meter"):
        MeterSession(line, address)


def test_a_register_that_is_about_to_roll_over(simulator: Running, line: Line) -> None:
    simulator.remote.ask("fault", meter=ROLLING, kind="rollover", margin_wh=500)
    (quantity,) = MeterSession(line, ROLLING).read("00010000").quantities
    assert quantity.value == 10**5 * 1000 - 500
