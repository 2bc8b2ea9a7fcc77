"""A versioned set of rules: which rules judge a reading, how bad a hit is, and every threshold.

A rule set is data with an id, a version and a content hash; the hash stands in every event that a
rule led to, so that an auditor finds the very thresholds again. A threshold whose source is marked
UNCONFIRMED is a documented default that the utility replaces by a new version.

    rules = DEFAULT_RULE_SET
    rules.rules["spike"].parameters["tolerance_pct"] == 180
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from libs.events.errors import BadInput
from services.validation.finding import FAIL, WARN

OFF = "off"
SEVERITIES = (OFF, WARN, FAIL)
UNCONFIRMED = "UNCONFIRMED"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSettings:
    """The settings of one rule: severity of a hit (`off` switches it off), integer parameters with
    the unit last in their names, and where each parameter comes from."""

    severity: str = FAIL
    parameters: dict[str, int] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """One version of a set of rules, effective from a day on."""

    id: str
    version: int
    valid_from_on: str
    rules: dict[str, RuleSettings]


PARAMETERS: Mapping[str, frozenset[str]] = {
    "missing": frozenset(),
    "duplicate": frozenset(),
    "bad_value": frozenset(),
    "negative": frozenset(),
    "rollover": frozenset({"capacity_margin_permille"}),
    "meter_exchange": frozenset(),
    "spike": frozenset({"tolerance_pct", "floor_wh", "history_days"}),
    "rate_sum": frozenset({"tolerance_register_wh", "tolerance_permille"}),
    "interval_sum": frozenset({"tolerance_register_wh", "tolerance_permille"}),
    "voltage_band": frozenset(
        {
            "single_phase_high_permille",
            "single_phase_low_permille",
            "three_phase_permille",
            "three_phase_max_dv",
            "high_voltage_permille",
            "high_voltage_min_dv",
        }
    ),
    "clock_drift": frozenset({"warn_s", "fail_s"}),
    "usage_while_disconnected": frozenset({"floor_wh"}),
    "estimation": frozenset({"weekday_samples", "average_days"}),
}
"""Every rule this version knows, with the parameters it must be given."""

_GB_T_12325 = "GB/T 12325-2008 §4 (domain.md §2 rule 15)"

DEFAULT_RULE_SET = RuleSet(
    id="default",
    version=1,
    valid_from_on="2000-01-01",
    rules={
        "missing": RuleSettings(),
        "duplicate": RuleSettings(),
        "bad_value": RuleSettings(),
        "negative": RuleSettings(),
        "rollover": RuleSettings(
            severity=WARN,
            parameters={"capacity_margin_permille": 1200},
            sources={"capacity_margin_permille": f"{UNCONFIRMED}: 1.2 to 1.5 x contract capacity"},
        ),
        "meter_exchange": RuleSettings(),
        "spike": RuleSettings(
            parameters={"tolerance_pct": 180, "floor_wh": 1000, "history_days": 28},
            sources={
                "tolerance_pct": f"{UNCONFIRMED}: 180 % is the usual California value",
                "floor_wh": f"{UNCONFIRMED}: below 1 kWh register steps look like spikes",
                "history_days": f"{UNCONFIRMED}: four weeks",
            },
        ),
        "rate_sum": RuleSettings(
            parameters={"tolerance_register_wh": 40, "tolerance_permille": 0},
            sources={
                "tolerance_register_wh": f"{UNCONFIRMED}: one step of 0.01 kWh for each of 4 rates",
                "tolerance_permille": f"{UNCONFIRMED}: register steps only; others take 1 %",
            },
        ),
        "interval_sum": RuleSettings(
            parameters={"tolerance_register_wh": 1000, "tolerance_permille": 0},
            sources={
                "tolerance_register_wh": f"{UNCONFIRMED}: one multiplier unit (1-2 usual)",
                "tolerance_permille": f"{UNCONFIRMED}: register steps only; others take 1 %",
            },
        ),
        "voltage_band": RuleSettings(
            severity=WARN,
            parameters={
                "single_phase_high_permille": 70,
                "single_phase_low_permille": 100,
                "three_phase_permille": 70,
                "three_phase_max_dv": 200_000,
                "high_voltage_permille": 100,
                "high_voltage_min_dv": 350_000,
            },
            sources={
                "single_phase_high_permille": _GB_T_12325,
                "single_phase_low_permille": _GB_T_12325,
                "three_phase_permille": _GB_T_12325,
                "three_phase_max_dv": f"{_GB_T_12325}; the 1990 text says 10 kV",
                "high_voltage_permille": _GB_T_12325,
                "high_voltage_min_dv": _GB_T_12325,
            },
        ),
        "clock_drift": RuleSettings(
            parameters={"warn_s": 60, "fail_s": 300},
            sources={"warn_s": f"{UNCONFIRMED}: 60 s", "fail_s": f"{UNCONFIRMED}: 5 min"},
        ),
        "usage_while_disconnected": RuleSettings(
            parameters={"floor_wh": 0},
            sources={"floor_wh": f"{UNCONFIRMED}: any usage behind an open relay counts"},
        ),
        "estimation": RuleSettings(
            severity=WARN,
            parameters={"weekday_samples": 3, "average_days": 28},
            sources={
                "weekday_samples": "IESO and Itron: the 3 nearest valid same-weekday days",
                "average_days": f"{UNCONFIRMED}: four weeks",
            },
        ),
    },
)


def content_hash(rule_set: RuleSet) -> str:
    """SHA-256 (hex) over the whole set in canonical JSON: the same data, the same hash."""
    text = json.dumps(asdict(rule_set), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def unconfirmed(rule_set: RuleSet) -> tuple[str, ...]:
    """`rule.parameter` of every threshold without a confirmed source, for people to settle."""
    return tuple(
        f"{rule}.{name}"
        for rule, settings in sorted(rule_set.rules.items())
        for name in sorted(settings.parameters)
        if settings.sources.get(name, UNCONFIRMED).startswith(UNCONFIRMED)
    )


def check_rule_set(rule_set: RuleSet, known: Mapping[str, frozenset[str]] = PARAMETERS) -> RuleSet:
    """The set itself when it has exactly the `known` rules with their parameters; BadInput names
    the first wrong rule or parameter."""
    unknown = sorted(set(rule_set.rules) - set(known))
    if unknown:
        raise BadInput(f"rules.{unknown[0]}", "is no known rule", f"use {', '.join(known)}")
    for rule, wanted in known.items():
        settings = rule_set.rules.get(rule)
        if settings is None:
            raise BadInput(f"rules.{rule}", "is missing", "add it, with severity off if not wanted")
        if settings.severity not in SEVERITIES:
            field_name = f"rules.{rule}.severity"
            raise BadInput(field_name, f"is {settings.severity!r}", f"use {', '.join(SEVERITIES)}")
        _check_parameters(rule, settings.parameters, wanted)
    return rule_set


def _check_parameters(rule: str, given: Mapping[str, int], wanted: frozenset[str]) -> None:
    for name in sorted(wanted ^ set(given)):
        problem, fix = ("is missing", "add it") if name in wanted else ("is unknown", "remove it")
        raise BadInput(f"rules.{rule}.parameters.{name}", problem, fix)
    for name, value in sorted(given.items()):
        if value < 0:
            raise BadInput(f"rules.{rule}.parameters.{name}", f"is {value}", "use 0 or more")
