"""The rule book that is delivered: every rule with its severity, parameters and their sources.

It is data, and part of what validation's core decides by. A utility changes values in the policy
file (`validation.rule_book`), or gives `gridledger vee check` a book of its own;
`rule_books/default.yaml` is this book as such a file, held equal by a test.

    DEFAULT_RULE_BOOK.rules["spike"].parameters["tolerance_pct"] == 180
"""

from __future__ import annotations

from collections.abc import Mapping

from services.validation.finding import FAIL, WARN
from services.validation.rule_book import MANUAL, Override, RuleBook, Variant
from services.validation.rule_set import OFF, UNCONFIRMED, RuleSettings

Given = Mapping[str, tuple[int, str]]
"""Parameters: value and source by name."""


def _open(source: str) -> str:
    """A source that does not settle a value: a documented default until the utility confirms it."""
    return f"{UNCONFIRMED}: {source}"


def _rule(severity: str, given: Given | None = None) -> RuleSettings:
    values = given or {}
    return RuleSettings(
        severity=severity,
        parameters={name: value for name, (value, _) in values.items()},
        sources={name: source for name, (_, source) in values.items()},
    )


def _over(severity: str, given: Given | None = None) -> Override:
    below = _rule(severity, given)
    return Override(severity=severity, parameters=below.parameters, sources=below.sources)


_BAND = "GB/T 12325-2008 §4 (domain.md §2 rule 15)"
_FLAG = _open("warn or fail by flag; domain.md §2 rule 17")
_RANK = _open("order of the condition codes")

_RULES: dict[str, RuleSettings] = {
    "missing": _rule(FAIL),
    "duplicate": _rule(FAIL),
    "bad_value": _rule(FAIL),
    "negative": _rule(FAIL),
    "rollover": _rule(
        WARN,
        {
            "capacity_margin_permille": (1200, _open("1.2 to 1.5 x contract capacity")),
        },
    ),
    "meter_exchange": _rule(FAIL),
    "spike": _rule(
        FAIL,
        {
            "tolerance_pct": (180, _open("180 % is the usual California value")),
            "floor_wh": (1000, _open("below 1 kWh register steps look like spikes")),
            "history_days": (28, _open("four weeks")),
        },
    ),
    "rate_sum": _rule(
        FAIL,
        {
            "tolerance_register_wh": (40, _open("one step of 0.01 kWh for each of 4 rates")),
            "tolerance_permille": (0, _open("register steps only; others take 1 %")),
        },
    ),
    "interval_sum": _rule(
        FAIL,
        {
            "tolerance_register_wh": (1000, _open("one multiplier unit (1-2 usual)")),
            "tolerance_permille": (0, _open("register steps only; others take 1 %")),
        },
    ),
    "voltage_band": _rule(
        WARN,
        {
            "single_phase_high_permille": (70, _BAND),
            "single_phase_low_permille": (100, _BAND),
            "three_phase_permille": (70, _BAND),
            "three_phase_max_dv": (200000, f"{_BAND}; the 1990 text says 10 kV"),
            "high_voltage_permille": (100, _BAND),
            "high_voltage_min_dv": (350000, _BAND),
        },
    ),
    "clock_drift": _rule(
        FAIL,
        {
            "warn_s": (60, _open("60 s")),
            "fail_s": (300, _open("5 min")),
        },
    ),
    "usage_while_disconnected": _rule(
        FAIL,
        {
            "floor_wh": (0, _open("any usage behind an open relay counts")),
        },
    ),
    "estimation": _rule(
        WARN,
        {
            "weekday_samples": (3, "IESO and Itron: the 3 nearest valid same-weekday days"),
            "average_days": (28, _open("four weeks")),
        },
    ),
    "interval_size": _rule(FAIL),
    "device_match": _rule(FAIL),
    "high_low": _rule(
        WARN,
        {
            "high_permille": (2000, _open("twice the history")),
            "low_permille": (500, _open("half of the history")),
            "floor_wh": (1000, _open("the higher side at least 1 kWh a day")),
            "least_days": (7, _open("a whole week of actual days before them")),
        },
    ),
    "demand_step": _rule(
        WARN,
        {
            "tolerance_pct": (1000, _open("eleven times the interval before")),
            "floor_wh": (1000, _open("smaller steps are those of a household")),
        },
    ),
    "historical_peak": _rule(
        WARN,
        {
            "tolerance_pct": (300, _open("four times the peak of the period before")),
            "floor_wh": (1000, _open("as for the demand step")),
        },
    ),
    "zero_run": _rule(
        WARN,
        {
            "run_minutes": (1440, _open("a whole day without usage")),
        },
    ),
    "inactive_usage": _rule(
        FAIL,
        {
            "floor_wh": (0, _open("any usage while inactive counts")),
        },
    ),
    "negative_interval": _rule(FAIL),
    "reverse_flow": _rule(
        FAIL,
        {
            "floor_wh": (0, "any; domain.md §2 rule 10"),
        },
    ),
    "register_delta": _rule(
        WARN,
        {
            "tolerance_pct": (200, _open("configurable at Itron, no default told")),
            "floor_wh": (1000, _open("as for high and low usage")),
        },
    ),
    "capacity": _rule(
        FAIL,
        {
            "margin_permille": (1500, _open("1.2 to 1.5 x contract capacity")),
        },
    ),
    "apparent_power": _rule(
        WARN,
        {
            "tolerance_permille": (20, _open("0.5 to 2 %; domain.md §2 rule 14")),
            "floor_va": (100, _open("lighter loads are below the meter's resolution")),
        },
    ),
    "power_factor": _rule(
        WARN,
        {
            "tolerance_permille": (20, _open("0.5 to 2 %; domain.md §2 rule 14")),
            "floor_va": (100, _open("lighter loads are below the meter's resolution")),
        },
    ),
    "phase_sum": _rule(
        WARN,
        {
            "tolerance_permille": (20, _open("0.5 to 2 %; domain.md §2 rule 14")),
            "floor_w": (10, _open("three phases cut off at 0.1 W to 10 W")),
        },
    ),
    "lost_phase": _rule(
        FAIL,
        {
            "voltage_permille": (600, _open("below 60 % of nominal a phase counts as lost")),
            "floor_ma": (100, _open("above the starting current of a meter")),
        },
    ),
    "unbalance": _rule(
        WARN,
        {
            "tolerance_permille": (300, _open("no common limit for customers")),
            "floor_ma": (5000, _open("lighter loads are never balanced")),
        },
    ),
    "prolonged_estimation": _rule(
        FAIL,
        {
            "warn_days": (62, _open("two cycles of 31 days")),
            "fail_days": (93, _open("three cycles of 31 days")),
        },
    ),
    "meter_flags": _rule(
        FAIL,
        {
            "battery_low_level": (1, _FLAG),
            "clock_reset_level": (2, _FLAG),
            "cover_open_level": (2, _FLAG),
            "magnetic_field_level": (2, _FLAG),
            "memory_error_level": (2, _FLAG),
            "phase_sequence_level": (1, _FLAG),
            "power_failure_level": (0, _FLAG),
            "terminal_cover_open_level": (2, _FLAG),
        },
    ),
    "replacement": _rule(
        FAIL,
        {
            "late_after_s": (259200, _open("three days after the interval's end")),
            "rank_missing": (0, _RANK),
            "rank_estimated": (1, _RANK),
            "rank_manual": (2, _RANK),
            "rank_actual": (3, _RANK),
            "rank_edited": (4, _RANK),
        },
    ),
}

_VARIANTS: dict[str, Variant] = {
    # A person reads registers only, rounds to whole kilowatt-hours and mistypes digits: usage that
    # is unlike the history must be looked at, and sums may be off by a unit in every register.
    "manual": Variant(
        sources=(MANUAL,),
        rules={
            "high_low": _over(FAIL),
            "register_delta": _over(FAIL),
            "rate_sum": _over(
                "",
                {
                    "tolerance_register_wh": (4000, _open("four rates, each rounded to 1 kWh")),
                },
            ),
            "clock_drift": _over(OFF),
        },
    ),
    # A large load is switched at once and rests on weekends.
    "industry": Variant(
        usage_classes=("industrial", "dedicated"),
        rules={
            "demand_step": _over(
                "",
                {
                    "tolerance_pct": (5000, _open("motors and furnaces start within one interval")),
                    "floor_wh": (50000, _open("200 kW over 15 minutes")),
                },
            ),
            "zero_run": _over(
                "",
                {
                    "run_minutes": (4320, _open("a long weekend")),
                },
            ),
        },
    ),
    # Here the capacity is that of the customer's own transformers: the lower end of the range.
    "dedicated": Variant(
        usage_classes=("dedicated",),
        rules={
            "capacity": _over(
                "",
                {
                    "margin_permille": (1200, _open("1.2 to 1.5 x contract capacity")),
                },
            ),
        },
    ),
}

DEFAULT_RULE_BOOK = RuleBook(
    id="default", version=1, valid_from_on="2000-01-01", rules=_RULES, variants=_VARIANTS
)
