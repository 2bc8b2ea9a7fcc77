"""Gate meters and bypasses: what flows into an area, whatever its meters show."""

from __future__ import annotations

import json
from typing import Any

import pytest

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.values import epoch_s
from simulators.meters.bus import Clock
from simulators.meters.config import parse_config
from simulators.meters.control import Control
from simulators.meters.energy import DAY_S
from simulators.meters.meter import Meter
from simulators.meters.server import connect_gates, make_meters
from tests.unit.simulators.running import meter

BASE_S = epoch_s("2025-12-31T16:00:00Z")


def area(**gate: Any) -> dict[str, Meter]:
    """Two homes, one of which feeds in, behind a gate of ratio 10 and 5 % loss."""
    homes = [
        {**meter("000000000161"), "id": "H1", "day_table": "", "initial_wh": {}},
        {**meter("000000000162"), "id": "H2", "day_table": "", "initial_wh": {},
         "annual_kwh": 60_000, "ratio": 20, "ratios": {"export": "0.25"}},
    ]  # fmt: skip
    measured = {"id": "G", "address": "000000000999", "ratio": 10, "sum_of": ["H1", "H2"],
                "loss_pct": "5", **gate}  # fmt: skip
    config = parse_config(
        {"clock": {"mode": "simulated", "start_at": "2025-12-31T16:00:00Z"},
         "lines": [{"name": "x", "kind": "tcp", "meters": [measured, *homes]}]}
    )  # fmt: skip
    meters = {each.config.name: each for each in make_meters(config, config.lines[0])}
    connect_gates(meters)
    return meters


def test_a_gate_shows_what_its_members_take_less_what_they_feed_in_and_the_loss() -> None:
    meters = area()
    at_s = BASE_S + 20 * DAY_S
    first, second = (meters[name].energy_wh(1, 0, at_s) for name in ("H1", "H2"))
    fed_in = meters["H2"].energy_wh(2, 0, at_s)
    assert 0 < fed_in == second // 4
    net_wh = first + (second - fed_in) * 20
    assert meters["G"].energy_wh(1, 0, at_s) == net_wh * 10_000 // (9_500 * 10)
    assert meters["G"].load.energy_wh(2, BASE_S, at_s) == 0
    assert meters["G"].power_dw(at_s) == 0


def test_a_bypass_stops_the_meter_and_not_the_gate() -> None:
    meters, honest = area(), area()
    since_s, until_s, end_s = (BASE_S + days * DAY_S for days in (3, 5, 8))
    meters["H1"].bypass(since_s)
    meters["H1"].bypass(since_s + 60)  # is on already
    stood = meters["H1"].energy_wh(1, 0, since_s)
    assert meters["H1"].energy_wh(1, 0, until_s) == stood
    meters["H1"].end_bypass(until_s)
    meters["H1"].end_bypass(until_s + 60)  # is off already
    passed = honest["H1"].energy_wh(1, 0, until_s) - honest["H1"].energy_wh(1, 0, since_s)
    assert passed > 5_000
    assert meters["H1"].energy_wh(1, 0, end_s) == honest["H1"].energy_wh(1, 0, end_s) - passed
    assert meters["G"].energy_wh(1, 0, end_s) == honest["G"].energy_wh(1, 0, end_s)


def test_an_open_relay_takes_nothing_from_the_gate_and_overlaps_a_bypass_once() -> None:
    meters, honest = area(), area()
    home = meters["H1"]
    home.bypass(BASE_S + DAY_S)
    home.obey("trip", BASE_S + 2 * DAY_S)
    home.end_bypass(BASE_S + 3 * DAY_S)
    home.obey("close", BASE_S + 4 * DAY_S)
    end_s = BASE_S + 6 * DAY_S

    def used(days_from: int, days_to: int) -> int:
        ends = (BASE_S + days * DAY_S for days in (days_to, days_from))
        last, first = (honest["H1"].energy_wh(1, 0, at_s) for at_s in ends)
        return last - first

    assert home.energy_wh(1, 0, end_s) == used(0, 6) - used(1, 4)
    assert home.true_wh(end_s) == used(0, 6) - used(2, 4)


def test_a_member_that_was_taken_away_counts_until_then() -> None:
    meters = area()
    gone = meters["H1"]
    gone.removed_s = BASE_S + DAY_S
    assert gone.true_wh(BASE_S + 9 * DAY_S) == gone.energy_wh(1, 0, BASE_S + DAY_S)


@pytest.mark.parametrize(
    ("gate", "field"),
    [
        ({"sum_of": ["H1", "H7"]}, "G.sum_of"),
        ({"sum_of": ["G"]}, "G.sum_of"),
        ({"loss_pct": "100"}, "G.loss_pct"),
        ({"loss_pct": "-1"}, "G.loss_pct"),
        ({"loss_pct": "much"}, "G.loss_pct"),
    ],
)
def test_a_gate_that_cannot_be_is_named(gate: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput, match=field):
        area(**gate)


def test_bypass_and_voltage_are_faults_of_the_control_port() -> None:
    meters = area()
    clock = Clock("simulated", BASE_S + DAY_S)
    control = Control(meters, clock, lambda: None)

    def ask(op: str, **more: object) -> dict[str, Any]:
        line = json.dumps({"op": op, "meter": "H1", **more}).encode()
        found: dict[str, Any] = json.loads(control.answer(line))
        assert found["ok"], found
        return found

    usual_dv = meters["H1"].voltage_dv(1, BASE_S)
    assert ask("fault", kind="voltage", volts=25)["faults"] == ["voltage"]
    assert meters["H1"].voltage_dv(1, BASE_S) == usual_dv + 250
    ask("fault", kind="bypass")
    ask("clear", kind="voltage")
    assert meters["H1"].voltage_dv(1, BASE_S) == usual_dv
    clock.set(BASE_S + 2 * DAY_S)
    stood = meters["H1"].energy_wh(1, 0, BASE_S + 2 * DAY_S)
    assert stood == meters["H1"].energy_wh(1, 0, BASE_S + DAY_S)
    assert ask("clear")["faults"] == []
    assert meters["H1"].energy_wh(1, 0, BASE_S + 3 * DAY_S) > stood
