"""`gridledger metrology judge`: verdicts, their rows and sources, and wrong runs of each kind."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pytest

from services.metrology.bench_protocol import encode_run
from tests.unit.cli.metrology.calling import (
    ON,
    Capsys,
    as_json,
    call,
    document,
    lines,
    refused,
    transformer,
)
from tests.unit.metrology.samples import PLAN, bench_run, measured


def test_runs_that_pass(put: Callable[..., str], capsys: Capsys) -> None:
    file = put(lines(document(), transformer()))
    status, out = call(capsys, "judge", file, "--on", ON)
    assert status == 0
    assert out.splitlines() == [
        "B1-0001: meter M1, class 1: pass, next verification by 2034-03-01",
        "T-1: CT CT7, class 0.2S: pass, next verification by 2036-03-01",
        "2 pass, 0 fail, 0 not_judged",
    ]
    _, (meter, ct) = as_json(capsys, "judge", file, "--on", ON)
    assert (meter["type"], meter["verdict"], meter["measured_on"]) == (
        "meter_judgement",
        "pass",
        "2026-03-01",
    )
    assert meter["points"][0]["row"].startswith("meter_error_limits.csv@")
    assert (ct["type"], ct["points"][1]["ratio_limit_e4_pct"]) == ("transformer_judgement", "3500")
    assert ct["points"][1]["source"].startswith("page dowei-electric.com/technical/113")


def test_the_messages_of_a_bench_as_they_came(
    put: Callable[..., str], capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"".join((*encode_run(bench_run()), *encode_run(bench_run(run_id="B1-0002"))))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    status, found = as_json(capsys, "judge", "-", "--on", ON)
    assert (status, [each["run_id"] for each in found]) == (0, ["B1-0001", "B1-0002"])
    damaged = content.replace(b'"error_e4_pct":2000', b'"error_e4_pct":2001', 1)
    assert "line 4 crc32: does not match the line" in refused(capsys, "judge", put(damaged))
    short = put(b"".join(encode_run(bench_run())[:-1]))
    assert "run_ended: is missing: the file ends within a run" in refused(capsys, "judge", short)


def test_a_meter_that_fails_cites_row_source_and_rules(
    put: Callable[..., str], capsys: Capsys
) -> None:
    points = (*PLAN[:3], measured("Imax", 10_501), *PLAN[4:])
    file = put(lines(document(points=[asdict(point) for point in points])))
    status, out = call(capsys, "judge", file, "--on", ON)
    assert status == 1
    assert "│ Imax    │ 1.0  │ balanced │ +1.0501 % │ +1.1 %  │ ±1 %   │ fail    │ 3   │" in out
    assert "because Imax 1.0 balanced: +1.1 % against +-1 %" in out
    assert "source: page cshnkj.com/xinwenzhongxin/zhishi/1275" in out
    assert out.endswith("0 pass, 1 fail, 0 not_judged\n")


def test_a_bench_out_of_date_may_not_judge(put: Callable[..., str], capsys: Capsys) -> None:
    register = "standard_no,kind,accuracy_class,due_on\nB1,bench,{},{}\nR1,reference_meter,0.05,"
    register += "2026-12-31\n"
    file = put(lines(document()))

    def reasons(accuracy_class: str, due_on: str) -> tuple[int, list[str]]:
        standards = put(register.format(accuracy_class, due_on), "lab.csv")
        arguments = ("judge", file, "--on", ON, "--standards", standards)
        status, (found,) = as_json(capsys, *arguments)
        assert found["verdict"] == ("not_judged" if status else "pass")
        return status, found["reasons"]

    assert reasons("0.1", "2026-12-31") == (0, [])
    late = "bench B1 was due on 2026-02-28, measured on 2026-03-01"
    assert reasons("0.1", "2026-02-28") == (1, [late])
    assert reasons("0.3", "2026-12-31") == (1, ["bench B1 of class 0.3 is weaker than 0.2"])
    wrong = put("standard_no,kind,accuracy_class,due_on\n" + "B1,bench,0.1,2026-12-31\n" * 2, "l")
    assert "l line 3 standard_no: 'B1' is there twice" in refused(
        capsys, "judge", file, "--standards", wrong
    )


OBSERVED = {
    "plate": {"pulses_per_kwh": 1200, "voltage_v": "220", "base_a": "5", "imax_a": "60"},
    "observed": {
        "start": {"current_a": "0.02", "observed_s": 900, "first_pulse_s": 300},
        "creep": {"voltage_v": "253", "observed_s": 2400, "pulses": 1},
        "constant": {"pulses": 12000, "register_kwh": "10.05", "resolution_kwh": "0.01"},
        "clock": {"drift_ms": 10, "observed_s": 3600},
    },
}


def test_what_was_observed_is_judged(put: Callable[..., str], capsys: Capsys) -> None:
    registered = {"connection": "direct", "imax_multiple": "12", "phases": 1}
    run = document(tests={}, temperature_c=23, registered=registered, **OBSERVED)
    status, (found,) = as_json(capsys, "judge", put(lines(run)), "--on", ON)
    assert status == 0
    assert [(each["test"], each["verdict"], each["reason"]) for each in found["tests"]] == [
        ("start", "pass", "first pulse after 300 s, within 818.18 s at 0.02 A"),
        ("creep", "pass", "1 pulses in 2400 s, 2272.73 s needed (iec-62053)"),
        ("constant", "pass", "10.05 kWh against 10 kWh of 12000 pulses: +0.5 % against +-1 %"),
        ("clock", "pass", "0.24 s a day against +-0.5 s a day"),
    ]
    # A bench that reports otherwise than what was seen is not believed.
    odd = run | {"tests": {"start": "fail"}}
    status, (found,) = as_json(capsys, "judge", put(lines(odd)), "--on", ON)
    assert (status, found["verdict"]) == (1, "not_judged")
    assert found["reasons"] == [
        "start: the bench reports fail, but first pulse after 300 s, within 818.18 s at 0.02 A"
    ]
    silent = run["observed"] | {"start": {"current_a": "0.02", "observed_s": 900}}
    both = run | {"observed": silent, "tests": {"start": "pass"}}
    status, (found,) = as_json(capsys, "judge", put(lines(both)), "--on", ON)
    assert found["reasons"][0].startswith("start: the bench reports pass, but no pulse within")
    assert found["verdict"] == "fail"
    # Without its time of creep, by the other named rule, it is the same meter.
    quick = run["observed"] | {"creep": {"voltage_v": "253", "observed_s": 55, "pulses": 0}}
    file = put(lines(run | {"observed": quick}))
    assert call(capsys, "judge", file, "--on", ON)[0] == 1
    assert call(capsys, "judge", file, "--on", ON, "--creep", "jjg-596")[0] == 0


def test_three_phase_reactive_and_a_warm_laboratory(
    put: Callable[..., str], capsys: Capsys
) -> None:
    three = document(registered={"phases": 3})
    _, (found,) = as_json(capsys, "judge", put(lines(three)), "--on", ON)
    assert found["reasons"][0] == "1Ib 1.0 single_phase_a: demanded by the plan, not measured"
    currents = (("0.05Ib", "sin1.0"), ("1Ib", "sin1.0"), ("Imax", "sin1.0"), ("0.2Ib", "sin0.5"),
                ("1Ib", "sin0.5"))  # fmt: skip
    points = [asdict(measured(current, 20_000, factor)) for current, factor in currents]
    reactive = document(
        accuracy_class="2", points=points, registered={"quantity": "reactive"}, temperature_c="28"
    )
    _, (found,) = as_json(capsys, "judge", put(lines(reactive)), "--on", ON)
    assert found["reasons"] == ["measured at 28 degrees Celsius, not at 21 to 25"]
    assert {point["verdict"] for point in found["points"]} == {"pass"}
    assert found["limits"].startswith("reactive_error_limits.csv@")


def point_with(**changes: Any) -> list[dict[str, Any]]:
    return [asdict(PLAN[0]) | changes]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "file: is empty (write one run a line, as JSON)"),
        (b"run_id,points\n", "file: has no run"),
        (b"run_id\nB1\n", "file line 2 points: is no list of points"),
        (lines(document())[:-40], "file line 1: is no JSON"),
        ('{"run_id": "检定"}'.encode("gbk"), "file line 1: is not UTF-8"),
        ("{}".encode("utf-16"), "file: is UTF-16"),
        (b"[1]\n", "file: has no run"),
        (lines(document(), [1]), "file line 2: is no JSON object"),
        (lines(document(points=point_with(error_e4_pct=9_000_000))),
         "file line 1 points[0].error_e4_pct: is 9000000, more than 100 % (give 1e-4 per cent"),
        (lines(document(points=point_with(error_e4_pct="1.5"))),
         "file line 1 points[0].error_e4_pct: '1.5' is no whole number"),
        (lines(document(points=[{"error_pct": "1"}])),
         "file line 1 points[0].error_pct: is unknown (known are current"),
        (lines(document(points=point_with(load=["a"]))),
         "file line 1 points[0].load: is no single value"),
        (lines(document(points=[7])), "file line 1 points[0]: is no JSON object"),
        (lines(document(points=[])), "file line 1 points: is no list of points"),
        (lines(document(colour="red")), "file line 1 colour: is unknown"),
        (lines(document(measured_at="2026-04-01T00:00:00Z")),
         "file line 1 measured_at: 2026-04-01T00:00:00Z is after 2026-03-31"),
        (lines(document(measured_at="2026-02-30T00:00:00Z")),
         "file line 1 measured_at: '2026-02-30T00:00:00Z' is no instant"),
        (lines(document(reference_due_on="2026-13-01")), "file line 1 reference_due_on: "),
        (lines(document(accuracy_class="good")),
         "file line 1 accuracy_class: 'good' is no accuracy class"),
        (lines(document(meter_no=["7"])), "file line 1 meter_no: is no printable text"),
        (lines(document(operator="a\nb")), "file line 1 operator: is no printable text"),
        (lines(document(tests=["start"])), "file line 1 tests: is no JSON object"),
        (lines(document(tests={"start": "yes"})), "file line 1 tests.start: 'yes' is not known"),
        (lines(document(temperature_c="230")),
         "file line 1 temperature_c: is 230, impossible in a laboratory"),
        (lines(document(temperature_c="warm")),
         "file line 1 temperature_c: 'warm' is no decimal number"),
        (lines(document(registered={"quantity": "cold"})),
         "file line 1 registered.quantity: 'cold' is not known"),
        (lines(document(registered={"imax_multiple": "0.5"})),
         "file line 1 registered.imax_multiple: is 0.5"),
        (lines(document(observed=[1])), "file line 1 observed: is no JSON object"),
        (lines(document(observed={"smell": {}})), "file line 1 observed.smell: is unknown"),
        (lines(document(**{**OBSERVED, "plate": {}})),
         "file line 1 plate.pulses_per_kwh: is empty"),
        (lines(document(plate=OBSERVED["plate"], observed={"clock": {"drift_ms": 9, "observed_s":
         0}})), "file line 1 observed_s: is 0"),
        (lines(document(plate=OBSERVED["plate"], observed={"start": {"current_a": "0.0000001",
         "observed_s": 9}})), "file line 1 observed.start.current_a: '0.0000001' has more digits"),
        (lines(transformer(device="XT")), "file line 1 device: 'XT' is not known"),
        (lines(transformer(points=[{"pct": "500", "burden": "rated", "ratio_error_pct": "0",
         "phase_min": "0"}])), "file line 1 points[0].pct: is 500, impossible"),
        (lines(transformer(points=[{"pct": "5", "burden": "rated", "ratio_error_pct": "900",
         "phase_min": "0"}])), "file line 1 points[0].ratio_error_pct: is 900, impossible"),
        (lines(transformer(registered={"device": "VT", "colour": "1"})),
         "file line 1 registered.colour: is unknown"),
        (lines({"type": "point_measured"}), "file line 1 "),
    ],
)  # fmt: skip
def test_wrong_runs_are_named(
    content: bytes, said: str, put: Callable[..., str], capsys: Capsys
) -> None:
    line = refused(capsys, "judge", put(content), "--on", ON)
    assert line.startswith(said)
    assert line.endswith(")")


def test_the_register_decides_what_a_device_is(put: Callable[..., str], capsys: Capsys) -> None:
    told = transformer(registered={"device": "VT", "accuracy_class": "0.2"})
    status, (found,) = as_json(capsys, "judge", put(lines(told)), "--on", ON)
    assert (status, found["device"], found["accuracy_class"]) == (1, "VT", "0.2")
    assert found["reasons"][0] == "was measured as CT 0.2S, the register says VT 0.2"
    finer = document(registered={"accuracy_class": "0.5S", "connection": "ct"})
    status, (found,) = as_json(capsys, "judge", put(lines(finer)), "--on", ON)
    assert found["reasons"][0] == "the bench was set to class 1, not 0.5S"
    status, out = call(capsys, "judge", put(lines(told)), "--on", ON)
    assert "1 not_judged" in out


def test_wrong_options_are_named(put: Callable[..., str], capsys: Capsys) -> None:
    file = put(lines(document()))
    assert refused(capsys, "judge", file, "--on", "31.3.2026").startswith("--on: '31.3.2026'")
    assert refused(capsys, "judge", file, "--creep", "mine").startswith("--creep: 'mine'")
    assert refused(capsys, "judge", file, "--limits", "none.csv").startswith("none.csv: ")
    assert refused(capsys, "judge", "none").startswith("none: No such file")
    assert refused(capsys, "due", file, "--edition", "1999").startswith("--edition: '1999'")
