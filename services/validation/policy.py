"""What validation judges by: its rule set, and how long it waits until it estimates.

Every threshold is configuration with a documented default. Other rules carry another name, because
each event says by which rules it came to be.

    DEFAULT_POLICY.rule_set_id    "default.v1"
"""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.events.errors import BadInput
from libs.events.policy import Term, check_ranges
from services.validation.edit_rules import EDIT_TERMS, EditRules
from services.validation.rule_set import (
    DEFAULT_RULE_SET,
    OFF,
    PARAMETERS,
    SEVERITIES,
    UNCONFIRMED,
    RuleSet,
    check_rule_set,
)
from services.validation.state import HISTORY_DAYS

ALWAYS_ON = ("duplicate",)
"""A second reading of a day is told whatever it says, so its rule has no `off`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What validation judges by. TERMS says what each value means and where it comes from."""

    grace_min: int = 8 * 60
    rule_set: RuleSet = field(default_factory=lambda: DEFAULT_RULE_SET)
    edits: EditRules = field(default_factory=EditRules)

    def __post_init__(self) -> None:
        try:
            check_rule_set(self.rule_set)
        except BadInput as wrong:
            raise BadInput(f"rule_set.{wrong.field}", wrong.problem, wrong.fix) from None
        check_ranges(self, TERMS)
        rules = self.rule_set.rules
        for rule in ALWAYS_ON:
            if rules[rule].severity == OFF:
                problem, fix = "this rule cannot be off", "give warn or fail"
                raise BadInput(f"rule_set.rules.{rule}.severity", problem, fix)
        drift = rules["clock_drift"].parameters
        if drift["warn_s"] > drift["fail_s"]:
            problem = f"{drift['warn_s']} is more than fail_s {drift['fail_s']}"
            raise BadInput("rule_set.rules.clock_drift.parameters.warn_s", problem, "give both")
        if rules != DEFAULT_RULE_SET.rules and self.rule_set_id == _id_of(DEFAULT_RULE_SET):
            problem = f"these are other rules than {self.rule_set_id}"
            raise BadInput("rule_set.id", problem, "give your rule set another id or version")

    @property
    def rule_set_id(self) -> str:
        """The name of the rules in every event that they led to."""
        return _id_of(self.rule_set)


def _id_of(rule_set: RuleSet) -> str:
    return f"{rule_set.id}.v{rule_set.version}"


_MEANINGS: dict[str, tuple[str, int, int]] = {
    "rollover.capacity_margin_permille": (
        "after a roll-over usage is believed up to this part of the meter's capacity; 1/1000",
        1,
        10_000,
    ),
    "spike.tolerance_pct": (
        "the highest day stands out when it is more than this above the third highest; percent",
        1,
        100_000,
    ),
    "spike.floor_wh": ("a day below this never stands out; Wh", 0, 1_000_000_000),
    "spike.history_days": (
        f"so many past days are looked at, at most the {HISTORY_DAYS} that are kept",
        1,
        HISTORY_DAYS,
    ),
    "rate_sum.tolerance_register_wh": (
        "by so much the rates may differ from the total, before the ratio; Wh",
        0,
        1_000_000,
    ),
    "interval_sum.tolerance_register_wh": (
        "by so much the intervals may differ from the day, before the ratio; Wh",
        0,
        1_000_000,
    ),
    "rate_sum.tolerance_permille": ("or by so much of the total; 1/1000, 10 is 1 %", 0, 1_000),
    "interval_sum.tolerance_permille": ("or by so much of the day; 1/1000, 10 is 1 %", 0, 1_000),
    "voltage_band.single_phase_high_permille": ("220 V: allowed above nominal; 1/1000", 0, 1_000),
    "voltage_band.single_phase_low_permille": ("220 V: allowed below nominal; 1/1000", 0, 1_000),
    "voltage_band.three_phase_permille": (
        "three phases up to three_phase_max_dv: allowed either way; 1/1000",
        0,
        1_000,
    ),
    "voltage_band.three_phase_max_dv": ("where that band ends; 0.1 V", 0, 10_000_000),
    "voltage_band.high_voltage_permille": (
        "from high_voltage_min_dv on: sum of both deviations allowed; 1/1000",
        0,
        1_000,
    ),
    "voltage_band.high_voltage_min_dv": ("where that band begins; 0.1 V", 0, 10_000_000),
    "clock_drift.warn_s": ("a meter's clock off by more is told; seconds", 0, 86_400),
    "clock_drift.fail_s": ("a meter's clock off by more is bad; seconds", 0, 86_400),
    "usage_while_disconnected.floor_wh": (
        "usage behind an open relay counts from above this; Wh",
        0,
        1_000_000,
    ),
    "estimation.weekday_samples": (
        "so many nearest valid days of the same weekday give a gap its shape",
        1,
        52,
    ),
    "estimation.average_days": (
        f"so many past days are averaged, at most the {HISTORY_DAYS} that are kept",
        1,
        HISTORY_DAYS,
    ),
}


def _rule_terms() -> dict[str, Term]:
    """Severity and parameters of every rule; the set itself says where they come from."""
    terms = {}
    for rule in PARAMETERS:
        sources = DEFAULT_RULE_SET.rules[rule].sources
        severity = f"how bad a hit is: {', '.join(SEVERITIES)}"
        place = f"rule_set.rules.{rule}"
        terms[f"{place}.severity"] = Term(severity, f"{UNCONFIRMED}: domain.md 2")
        for name in sorted(PARAMETERS[rule]):
            meaning, least, most = _MEANINGS[f"{rule}.{name}"]
            terms[f"{place}.parameters.{name}"] = Term(meaning, sources[name], least, most)
    return terms


TERMS: dict[str, Term] = {
    "grace_min": Term(
        "minutes after 24:00 until a day without a reading is estimated",
        "UNCONFIRMED: eight hours, as ingest judges readings missing",
        1,
        7 * 24 * 60,
    ),
    "rule_set.id": Term("the name of your rules; other rules need another one", "DESIGN 3"),
    "rule_set.version": Term("raise it when you change your rules", "DESIGN 3", 1, 1_000_000),
    "rule_set.valid_from_on": Term("the day from which they were agreed on", "DESIGN 3"),
    **_rule_terms(),
    **EDIT_TERMS,
}
"""What each value means and where it comes from."""

DEFAULT_POLICY = Policy()
