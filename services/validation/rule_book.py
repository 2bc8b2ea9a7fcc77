"""A versioned book of rule sets: which rules judge whom, by class of usage point and source.

A book has the settings of every rule, and variants that lay other settings over them for a class of
usage point (a dedicated line, a household), a source (what a person read at the meter is judged
otherwise than what was fetched), or both. It is data, in a file that anybody can write
(`rule_book_file.py`); the book that is delivered agrees with `DEFAULT_RULE_SET` in every rule that
both have.

    rule_set_for(book, "residential", "manual").id == "default+manual"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from libs.events.errors import BadInput
from services.validation.reading_rules import CONDITIONS, METER_FLAGS
from services.validation.rule_set import PARAMETERS, RuleSet, RuleSettings, check_rule_set

REMOTE_REGISTER = "remote_register"
REMOTE_PROFILE = "remote_profile"
MANUAL = "manual"
SOURCES = (REMOTE_REGISTER, REMOTE_PROFILE, MANUAL)
"""Where data comes from: frozen registers or a load profile, fetched; or read by a person."""

USAGE_CLASSES = ("residential", "commercial", "industrial", "dedicated")
"""Classes of usage points; `dedicated` is a high-voltage customer with a line or transformer."""

BOOK_PARAMETERS: Mapping[str, frozenset[str]] = {
    **PARAMETERS,
    "interval_size": frozenset(),
    "device_match": frozenset(),
    "high_low": frozenset({"high_permille", "low_permille", "floor_wh"}),
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
"""Every rule of a book with its parameters: those of the service's rule set, and the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """Settings for some classes and sources (empty: all of them), laid over those of the book. Only
    the parameters that differ are given."""

    name: str
    usage_classes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    rules: dict[str, RuleSettings] = field(default_factory=dict)

    def applies(self, usage_class: str, source: str) -> bool:
        """Whether it is for a point of this class and data of this source."""
        return (not self.usage_classes or usage_class in self.usage_classes) and (
            not self.sources or source in self.sources
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleBook:
    """One version of a book of rules, effective from a day on."""

    id: str
    version: int
    valid_from_on: str
    rules: dict[str, RuleSettings]
    variants: tuple[Variant, ...] = ()


def rule_set_for(book: RuleBook, usage_class: str, source: str) -> RuleSet:
    """The rule set of a class and a source: the book's rules with every variant that applies, in
    the order of the book. Its id names them; its content hash is of what came out."""
    rules, names = dict(book.rules), [book.id]
    for variant in book.variants:
        if variant.applies(usage_class, source):
            rules |= {
                rule: _laid_over(rules[rule], settings) for rule, settings in variant.rules.items()
            }
            names.append(variant.name)
    return RuleSet(
        id="+".join(names), version=book.version, valid_from_on=book.valid_from_on, rules=rules
    )


def _laid_over(below: RuleSettings, above: RuleSettings) -> RuleSettings:
    return replace(
        above,
        severity=above.severity or below.severity,
        parameters=below.parameters | above.parameters,
        sources=below.sources | above.sources,
    )


def check_rule_book(book: RuleBook) -> RuleBook:
    """The book itself when every rule set that it can give is complete and makes sense; BadInput
    names the first wrong rule or parameter."""
    _check(RuleSet(id=book.id, version=0, valid_from_on="", rules=book.rules), "")
    for index, variant in enumerate(book.variants):
        place = f"variants[{index}]."
        for name, given, known in (
            ("usage_classes", variant.usage_classes, USAGE_CLASSES),
            ("sources", variant.sources, SOURCES),
        ):
            for word in given:
                if word not in known:
                    raise BadInput(f"{place}{name}", f"{word!r} is unknown", _use(known))
        unknown = sorted(set(variant.rules) - set(book.rules))
        if unknown:
            problem, fix = "is no known rule", _use(tuple(BOOK_PARAMETERS))
            raise BadInput(f"{place}rules.{unknown[0]}", problem, fix)
        alone = replace(book, variants=(replace(variant, usage_classes=(), sources=()),))
        _check(rule_set_for(alone, "", ""), place)
    return book


def _check(rule_set: RuleSet, place: str) -> None:
    try:
        check_rule_set(rule_set, BOOK_PARAMETERS)
        for rule, low, high in (
            ("clock_drift", "warn_s", "fail_s"),
            ("prolonged_estimation", "warn_days", "fail_days"),
            ("high_low", "low_permille", "high_permille"),
        ):
            values = rule_set.rules[rule].parameters
            if values[low] > values[high]:
                problem = f"{values[low]} is more than {high} {values[high]}"
                raise BadInput(f"rules.{rule}.parameters.{low}", problem, "give both")
    except BadInput as wrong:
        raise BadInput(f"{place}{wrong.field}", wrong.problem, wrong.fix) from None


def _use(known: tuple[str, ...]) -> str:
    return f"use {', '.join(known)}"
