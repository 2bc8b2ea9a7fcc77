"""One simulated meter without I/O: relay and energy, clock, freezes, demand, its own answers."""
# ruff: noqa: DTZ001

from __future__ import annotations

from datetime import datetime

import pytest

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.frame import BROADCAST, Frame
from services.ingest.protocols.dlt645.identifiers import ITEMS
from services.ingest.protocols.dlt645.payloads import decode_payload
from services.ingest.protocols.dlt645.requests import freeze_request, read_request
from services.ingest.protocols.dlt645.values import epoch_s
from simulators.meters.answers import Conversation, answer, payload_of
from simulators.meters.config import MeterConfig, parse_config
from simulators.meters.energy import DAY_S
from simulators.meters.meter import Meter
from simulators.meters.server import make_meters
from tests.unit.simulators.running import PEAK_TABLE, meter

BASE_S = epoch_s("2025-12-31T16:00:00Z")
NOON_S = epoch_s("2026-01-20T04:00:00Z")


def make(**more: object) -> Meter:
    """One meter, as the simulator would make it."""
    config = parse_config(
        {
            "clock": {"mode": "simulated"},
            "day_tables": {"peak": PEAK_TABLE},
            "lines": [{"name": "x", "kind": "tcp", "meters": [{**meter("000000000161"), **more}]}],
        }
    )
    return make_meters(config, config.lines[0])[0]


def test_the_same_configuration_gives_the_same_registers() -> None:
    assert make().snapshot(NOON_S) == make().snapshot(NOON_S)
    assert make().snapshot(NOON_S)["1-0:1.8.0"] > 12_345_670


def test_no_energy_flows_while_the_relay_is_open() -> None:
    cut, uncut = make(), make()
    assert cut.obey("trip", NOON_S)
    assert cut.power_dw(NOON_S) == 0
    later = NOON_S + 3 * DAY_S + 777
    frozen = cut.snapshot(NOON_S)
    assert cut.snapshot(later) == frozen
    assert cut.obey("close", later)
    missed = uncut.energy_wh(1, 0, later) - uncut.energy_wh(1, 0, NOON_S)
    assert missed > 10_000
    end = later + 5 * DAY_S
    assert cut.energy_wh(1, 0, end) == uncut.energy_wh(1, 0, end) - missed
    assert cut.energy_wh(1, 0, NOON_S - 5000) == uncut.energy_wh(1, 0, NOON_S - 5000)


def test_a_meter_that_begins_with_an_open_relay_counts_nothing() -> None:
    dark = make(relay="open")
    assert dark.snapshot(NOON_S)["1-0:1.8.0"] == 12_345_670
    assert dark.status_3() == 0x50


def test_demand_in_a_month_with_an_interruption() -> None:
    cut, uncut = make(), make()
    demand, when_s = uncut.peak(1, 0, NOON_S)
    cut.obey("trip", when_s - 900)
    cut.obey("close", when_s)
    lower, other_s = cut.peak(1, 0, NOON_S)
    assert 0 < lower <= demand  # another day of the same kind may be nearly as high
    assert other_s != when_s
    untouched, _ = uncut.peak(1, 0, NOON_S)
    assert untouched == demand
    assert uncut.peak(1, 9, NOON_S) == (0, 0)


def test_the_register_rolls_over_at_its_digits() -> None:
    small = make(digits=4, initial_wh={"1-0:1.8.0": 9_999_000})
    assert small.shown_wh(1, 0, BASE_S) == 9_999_000
    assert small.shown_wh(1, 0, NOON_S) < 9_000_000
    assert small.energy_wh(1, 0, NOON_S) > 10_000_000


def test_initial_registers_are_given_by_rate_or_as_a_total() -> None:
    by_rate = make(initial_wh={"1-0:1.8.1": 10, "1-0:1.8.4": 7, "1-0:2.8.2": 5})
    assert by_rate.snapshot(BASE_S)["1-0:1.8.0"] == 17
    assert by_rate.snapshot(BASE_S)["1-0:2.8.2"] == 5
    total = make(initial_wh={"1-0:1.8.0": 13}).snapshot(BASE_S)
    assert [total[f"1-0:1.8.{rate}"] for rate in range(5)] == [13, 4, 3, 3, 3]
    for wrong in (
        {"1.8.0": 1},
        {"1-0:9.8.0": 1},
        {"1-0:1.8.7": 1},
        {"1-0:1.8.0": -1},
        {"1-0:1.8.0": 1, "1-0:1.8.1": 1},
    ):
        with pytest.raises(BadInput, match="initial_wh"):
            make(initial_wh=wrong)


def test_its_clock_drifts_and_can_be_set() -> None:
    ahead = make(drift_s=300)
    assert ahead.civil(NOON_S) == datetime(2026, 1, 20, 12, 5)
    assert ahead.true_s(datetime(2026, 1, 20, 12, 5)) == NOON_S
    ahead.set_clock(datetime(2026, 1, 20, 12, 0), NOON_S)
    assert ahead.drift_s(NOON_S) == 0
    assert ahead.drift_s(NOON_S - 1) == 300
    assert ahead.true_s(datetime(2026, 1, 19)) == epoch_s("2026-01-18T16:00:00Z") - 300
    assert payload_of(ahead, "03300400", b"", NOON_S) == b"\x01\x00\x00"


def test_freezes_are_taken_by_its_own_clock() -> None:
    ahead, right = make(drift_s=7200), make()
    block = payload_of(ahead, "05060101", b"", NOON_S)
    assert block is not None
    frozen = decode_payload("05060101", block)[0].value
    midnight = epoch_s("2026-01-19T16:00:00Z")
    assert frozen == right.energy_wh(1, 0, midnight - 7200) // 10 * 10
    assert frozen != right.energy_wh(1, 0, midnight) // 10 * 10


def test_freezes_older_than_the_meter_or_its_memory_do_not_exist() -> None:
    one = make()
    assert one.freeze_stamp(20, NOON_S) == datetime(2026, 1, 1)
    assert one.freeze_stamp(21, NOON_S) is None
    assert one.freeze_stamp(63, NOON_S + 200 * DAY_S) is None
    for di in ("05060100", "05070101", "05010101", "05061001", "05060B01"):
        assert payload_of(one, di, b"", NOON_S) is None


def test_an_instant_freeze_by_broadcast() -> None:
    one, talk = make(), Conversation()
    freeze = freeze_request(BROADCAST, "99", "99", "99", "99")
    assert answer(one, talk, freeze, NOON_S) is None
    block = payload_of(one, "05010101", b"", NOON_S + DAY_S)
    assert block is not None
    assert decode_payload("05010101", block)[0].value == one.energy_wh(1, 0, NOON_S) // 10 * 10
    own = freeze_request("000000000161", "99", "99", "99", "99")
    reply = answer(one, talk, own, NOON_S)
    assert reply is not None
    assert reply.control == 0x96


def test_every_single_item_of_the_table_is_answered_or_refused_cleanly() -> None:
    one, talk = make(phases=3), Conversation()
    answered = 0
    for item in ITEMS:
        di = item.pattern.replace("RR", "00").replace("SS", "00").replace("NN", "01")
        reply = answer(one, talk, read_request("000000000161", di), NOON_S)
        assert reply is not None
        if reply.abnormal:
            assert reply.data == b"\x02"
            continue
        answered += 1
        (quantity,) = decode_payload(di, reply.data[4:])
        assert quantity.bad in ("", "no_value"), di
    assert answered >= 50


def test_what_it_does_not_understand_it_refuses_or_ignores() -> None:
    one, talk = make(), Conversation()
    strange = answer(one, talk, Frame("000000000161", 0x1E, b"\x00"), NOON_S)
    assert strange is not None
    assert (strange.control, strange.data) == (0xDE, b"\x01")
    output = answer(one, talk, Frame("000000000161", 0x1D, b"\x00"), NOON_S)
    assert output is not None
    assert (output.control, output.data) == (0xDD, b"\x04")
    assert answer(one, talk, Frame(BROADCAST, 0x1D, b"\x00"), NOON_S) is None
    assert answer(one, talk, Frame(BROADCAST, 0x1D, b""), NOON_S) is None
    write = Frame("000000000161", 0x14, bytes(12))
    refused = answer(one, talk, write, NOON_S)
    assert refused is not None
    assert (refused.control, refused.data) == (0xD4, b"\x04")
    follow = Frame("000000000161", 0x12, b"\x00\x00\x01\x00\x01")
    missing = answer(one, talk, follow, NOON_S)
    assert missing is not None
    assert missing.control == 0xD2


def test_a_value_its_digits_cannot_show_is_refused() -> None:
    high = make(voltage_v="1200.0")
    reply = answer(high, Conversation(), read_request("000000000161", "02010100"), NOON_S)
    assert reply is not None
    assert (reply.control, reply.data) == (0xD1, b"\x01")


@pytest.mark.parametrize("shape", ["H25", "G25", "L25", "P25", "S25"])
def test_the_largest_load_without_a_ratio_fits_the_meter_all_year(shape: str) -> None:
    largest = make(annual_kwh=150_000, shape=shape)
    for month in range(12):
        at_s = BASE_S + (month * 30 + 29) * DAY_S
        demand, _ = largest.peak(1, 0, at_s)
        assert 0 < demand < 800_000  # XX.XXXX kW, one digit less for the sign
    with pytest.raises(BadInput, match="ratio"):
        make(annual_kwh=150_001, shape=shape)
    assert make(annual_kwh=3_000_000, ratio=20, shape=shape).power_dw(NOON_S) < 800_000


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"address": "161"}, "address"),
        ({"shape": "H0"}, "shape"),
        ({"day_table": "none"}, "day_table"),
        ({"rates": 3}, "rates"),
        ({"ratios": {"export": "a"}}, "export"),
        ({"installed_at": "yesterday"}, "at"),
        ({"voltage_v": "220.05"}, "voltage_v"),
        ({"digits": 7}, "digits"),
        ({"colour": "red"}, "colour"),
        ({"annual_kwh": "2400"}, "annual_kwh"),
    ],
)
def test_wrong_configurations_name_the_field(wrong: dict[str, object], field: str) -> None:
    with pytest.raises(BadInput) as caught:
        make(**wrong)
    assert field in caught.value.field


def test_two_meters_at_one_address_must_follow_one_another() -> None:
    def lines(**old: object) -> dict[str, object]:
        new = meter("000000000161", id="new", installed_at="2026-02-01T00:00:00Z")
        meters = [meter("000000000161", id="old", **old), new]
        return {
            "day_tables": {"peak": PEAK_TABLE},
            "lines": [{"name": "x", "kind": "tcp", "meters": meters}],
        }

    parse_config(lines(removed_at="2026-02-01T00:00:00Z"))
    with pytest.raises(BadInput, match="both have address"):
        parse_config(lines())
    with pytest.raises(BadInput, match="both have address"):
        parse_config(lines(removed_at="2026-02-01T00:00:01Z"))


def test_defaults_are_complete() -> None:
    assert MeterConfig(unit=3).name == "unit-3"
    with pytest.raises(BadInput, match="unit"):
        parse_config({"lines": [{"name": "m", "kind": "modbus_tcp", "meters": [{"unit": 0}]}]})
    with pytest.raises(BadInput, match="configuration"):
        parse_config([])
    twice = [{"address": "000000000161", "id": "a"}, {"address": "000000000162", "id": "a"}]
    with pytest.raises(BadInput, match="two meters are called a"):
        parse_config({"lines": [{"name": "x", "kind": "tcp", "meters": twice}]})
