"""What every parameter of a rule means, its least and its most: for people who set them.

RULE_TERMS["spike"]["floor_wh"].meaning    "a value below this never stands out; Wh"
"""

from __future__ import annotations

from typing import NamedTuple

from services.validation.point_facts import HISTORY_DAYS
from services.validation.rule_set import CONDITIONS, METER_FLAGS

PERMILLE_MAX = 10_000
PERCENT_MAX = 100_000
WH_MAX = 1_000_000_000


class RuleTerm(NamedTuple):
    """The meaning of a parameter, with its unit, and the range of its values."""

    meaning: str
    least: int
    most: int


def _floor(what: str, unit: str = "Wh") -> RuleTerm:
    return RuleTerm(f"{what} below this is not judged; {unit}", 0, WH_MAX)


def _percent(what: str) -> RuleTerm:
    return RuleTerm(f"{what}; percent", 1, PERCENT_MAX)


def _permille(what: str, most: int = 1_000) -> RuleTerm:
    return RuleTerm(f"{what}; 1/1000", 0, most)


_TOLERANCE = _permille("allowed difference of what must be equal")

RULE_TERMS: dict[str, dict[str, RuleTerm]] = {
    "rollover": {
        "capacity_margin_permille": RuleTerm(
            "after a roll-over usage is believed up to this part of the meter's capacity; 1/1000",
            1,
            PERMILLE_MAX,
        )
    },
    "spike": {
        "tolerance_pct": _percent(
            "the highest stands out when it is more than this above the third highest"
        ),
        "floor_wh": RuleTerm("a value below this never stands out; Wh", 0, WH_MAX),
        "history_days": RuleTerm(
            f"so many past days are looked at, at most the {HISTORY_DAYS} that are kept",
            1,
            HISTORY_DAYS,
        ),
    },
    "rate_sum": {
        "tolerance_register_wh": RuleTerm(
            "by so much the rates may differ from the total, before the ratio; Wh", 0, 1_000_000
        ),
        "tolerance_permille": RuleTerm("or by so much of the total; 1/1000, 10 is 1 %", 0, 1_000),
    },
    "interval_sum": {
        "tolerance_register_wh": RuleTerm(
            "by so much the intervals may differ from the register, before the ratio; Wh",
            0,
            1_000_000,
        ),
        "tolerance_permille": RuleTerm(
            "or by so much of the register; 1/1000, 10 is 1 %", 0, 1_000
        ),
    },
    "voltage_band": {
        "single_phase_high_permille": _permille("220 V: allowed above nominal"),
        "single_phase_low_permille": _permille("220 V: allowed below nominal"),
        "three_phase_permille": _permille(
            "three phases up to three_phase_max_dv: allowed either way"
        ),
        "three_phase_max_dv": RuleTerm("where that band ends; 0.1 V", 0, 10_000_000),
        "high_voltage_permille": _permille(
            "from high_voltage_min_dv on: sum of both deviations allowed"
        ),
        "high_voltage_min_dv": RuleTerm("where that band begins; 0.1 V", 0, 10_000_000),
    },
    "clock_drift": {
        "warn_s": RuleTerm("a meter's clock off by more is told; seconds", 0, 86_400),
        "fail_s": RuleTerm("a meter's clock off by more is bad; seconds", 0, 86_400),
    },
    "usage_while_disconnected": {
        "floor_wh": RuleTerm("usage behind an open relay counts from above this; Wh", 0, 1_000_000)
    },
    "estimation": {
        "weekday_samples": RuleTerm(
            "so many nearest valid days of the same weekday give a gap its shape", 1, 52
        ),
        "average_days": RuleTerm(
            f"so many past days are averaged, at most the {HISTORY_DAYS} that are kept",
            1,
            HISTORY_DAYS,
        ),
    },
    "high_low": {
        "high_permille": _permille("usage above this part of the history is high", 1_000_000),
        "low_permille": _permille("usage below this part of the history is low", 1_000_000),
        "floor_wh": _floor("when both are less, a daily usage"),
        "least_days": RuleTerm(
            f"a history of fewer days is not judged by, at most the {HISTORY_DAYS} that are kept",
            1,
            HISTORY_DAYS,
        ),
    },
    "demand_step": {
        "tolerance_pct": _percent("a step from one interval to the next above this is told"),
        "floor_wh": _floor("a step"),
    },
    "historical_peak": {
        "tolerance_pct": _percent("a peak that differs by more from that of the day before"),
        "floor_wh": _floor("a difference"),
    },
    "zero_run": {
        "run_minutes": RuleTerm("no usage for so long is told; minutes", 1, 527_040),
    },
    "inactive_usage": {
        "floor_wh": RuleTerm("usage of an inactive point counts from above this; Wh", 0, 1_000_000)
    },
    "reverse_flow": {
        "floor_wh": RuleTerm("export of who does not produce counts from above this; Wh", 0, WH_MAX)
    },
    "register_delta": {
        "tolerance_pct": _percent("usage that differs by more from the period before"),
        "floor_wh": _floor("a difference"),
    },
    "capacity": {
        "margin_permille": _permille("an interval carries at most this of the capacity", 10_000)
    },
    "apparent_power": {
        "tolerance_permille": _TOLERANCE,
        "floor_va": _floor("apparent power", "VA"),
    },
    "power_factor": {"tolerance_permille": _TOLERANCE, "floor_va": _floor("apparent power", "VA")},
    "phase_sum": {"tolerance_permille": _TOLERANCE, "floor_w": _floor("a difference", "W")},
    "lost_phase": {
        "voltage_permille": _permille("below this part of nominal a phase is lost"),
        "floor_ma": _floor("a current", "mA"),
    },
    "unbalance": {
        "tolerance_permille": _permille("how far the currents of the phases may be apart"),
        "floor_ma": _floor("a current", "mA"),
    },
    "prolonged_estimation": {
        "warn_days": RuleTerm("more days without an actual value are told; days", 1, 3_660),
        "fail_days": RuleTerm("more days without an actual value are bad; days", 1, 3_660),
    },
    "meter_flags": {
        f"{flag}_level": RuleTerm(f"what {flag} is: 0 nothing, 1 told, 2 bad", 0, 2)
        for flag in METER_FLAGS
    },
    "replacement": {
        "late_after_s": RuleTerm(
            "data that comes so long after its time is late; seconds", 0, WH_MAX
        ),
        **{
            f"rank_{word}": RuleTerm(f"the rank of what is {word}: the higher replaces", 0, 100)
            for word in CONDITIONS
        },
    },
}
"""By rule and parameter."""
