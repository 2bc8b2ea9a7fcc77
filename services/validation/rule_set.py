"""A versioned set of rules: which rules judge a reading, how bad a hit is, and every threshold.

A rule set is data with an id, a version and a content hash; the hash stands in every event that a
rule led to, so that an auditor finds the very thresholds again. A threshold whose source is marked
UNCONFIRMED is a documented default that the utility replaces by a new version.

    check_rule_set(rules).rules["spike"].parameters["tolerance_pct"] == 180
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

METER_FLAGS = (
    "battery_low",
    "clock_reset",
    "cover_open",
    "magnetic_field",
    "memory_error",
    "phase_sequence",
    "power_failure",
    "terminal_cover_open",
)
"""What a meter may say about itself; the rule set has a level for each."""

CONDITIONS = ("missing", "estimated", "manual", "actual", "edited")
"""Where a value comes from; the rule set ranks them."""


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

    @property
    def name(self) -> str:
        """The name of the rules in every event and finding that they led to: `default.v1`."""
        return f"{self.id}.v{self.version}"


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
    "interval_size": frozenset(),
    "device_match": frozenset(),
    "high_low": frozenset({"high_permille", "low_permille", "floor_wh", "least_days"}),
    "demand_step": frozenset({"tolerance_pct", "floor_wh"}),
    "historical_peak": frozenset({"tolerance_pct", "floor_wh"}),
    "zero_run": frozenset({"run_minutes"}),
    "negative_interval": frozenset(),
    "inactive_usage": frozenset({"floor_wh"}),
    "reverse_flow": frozenset({"floor_wh"}),
    "register_delta": frozenset({"tolerance_pct", "floor_wh"}),
    "capacity": frozenset({"margin_permille"}),
    "apparent_power": frozenset({"tolerance_permille", "floor_va"}),
    "power_factor": frozenset({"tolerance_permille", "floor_va"}),
    "phase_sum": frozenset({"tolerance_permille", "floor_w"}),
    "lost_phase": frozenset({"voltage_permille", "floor_ma"}),
    "unbalance": frozenset({"tolerance_permille", "floor_ma"}),
    "prolonged_estimation": frozenset({"warn_days", "fail_days"}),
    "meter_flags": frozenset(f"{flag}_level" for flag in METER_FLAGS),
    "replacement": frozenset({"late_after_s", *(f"rank_{word}" for word in CONDITIONS)}),
}
"""Every rule this version knows, with the parameters it must be given."""


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


def check_rule_set(rule_set: RuleSet) -> RuleSet:
    """The set itself when it has exactly the known rules with their parameters; BadInput names the
    first wrong rule or parameter."""
    unknown = sorted(set(rule_set.rules) - set(PARAMETERS))
    if unknown:
        raise BadInput(f"rules.{unknown[0]}", "is no known rule", f"use {', '.join(PARAMETERS)}")
    for rule, wanted in PARAMETERS.items():
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
