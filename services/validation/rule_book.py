"""A versioned book of rule sets: which rules judge whom, by class of usage point and source.

A book has the settings of every rule, and variants that lay other settings over them for a class of
usage point (a dedicated line, a household), a source (what a person read at the meter is judged
otherwise than what was fetched), or both. It is data: `default_rules.py` has the delivered book,
the policy file changes it, and `vee check` also takes a book in a file (`rule_book_file.py`).

    rule_set_for(book, "residential", "manual").id == "default+manual"
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial

from libs.events.errors import BadInput
from libs.events.memory import once_per
from services.validation.rule_set import PARAMETERS, RuleSet, RuleSettings, check_rule_set

REMOTE_REGISTER = "remote_register"
CONCENTRATOR_REGISTER = "concentrator_register"
REMOTE_PROFILE = "remote_profile"
MANUAL = "manual"
SOURCES = (REMOTE_REGISTER, CONCENTRATOR_REGISTER, REMOTE_PROFILE, MANUAL)
"""Where data comes from: registers that the meter or a concentrator froze, or a load profile, all
fetched; or read by a person."""

USAGE_CLASSES = ("residential", "commercial", "industrial", "dedicated")
"""Classes of usage points; `dedicated` is a high-voltage customer with a line or transformer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What a variant changes of a rule: "" leaves the severity, and parameters that are not given
    stay as they are."""

    ANY_NAME = True
    """In a policy file rules may be overridden that the delivered variant leaves alone."""

    severity: str = ""
    parameters: dict[str, int] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """Settings for some classes and sources (empty: all of them), laid over those of the book. Only
    what differs is given."""

    ANY_NAME = True
    """In a policy file variants may be added to those that are delivered."""

    usage_classes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    rules: dict[str, Override] = field(default_factory=dict)

    def applies(self, usage_class: str, source: str) -> bool:
        """Whether it is for a point of this class and data of this source."""
        return (not self.usage_classes or usage_class in self.usage_classes) and (
            not self.sources or source in self.sources
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleBook:
    """One version of a book of rules, effective from a day on; variants by name, in the order in
    which they are laid over each other."""

    id: str
    version: int
    valid_from_on: str
    rules: dict[str, RuleSettings]
    variants: dict[str, Variant] = field(default_factory=dict)


def rule_set_for(book: RuleBook, usage_class: str, source: str) -> RuleSet:
    """The rule set of a class and a source: the book's rules with every variant that applies, in
    the order of the book. Its id names them; its content hash is of what came out."""
    return _sets_of(book)(usage_class, source)


@once_per(64)
def _sets_of(book: RuleBook) -> Callable[[str, str], RuleSet]:
    return lru_cache(maxsize=64)(partial(_laid_together, book))


def _laid_together(book: RuleBook, usage_class: str, source: str) -> RuleSet:
    rules, names = dict(book.rules), [book.id]
    for name, variant in book.variants.items():
        if variant.applies(usage_class, source):
            rules |= {
                rule: _laid_over(rules[rule], settings) for rule, settings in variant.rules.items()
            }
            names.append(name)
    return RuleSet(
        id="+".join(names), version=book.version, valid_from_on=book.valid_from_on, rules=rules
    )


def _laid_over(below: RuleSettings, above: Override) -> RuleSettings:
    return RuleSettings(
        severity=above.severity or below.severity,
        parameters=below.parameters | above.parameters,
        sources=below.sources | above.sources,
    )


def check_rule_book(book: RuleBook) -> RuleBook:
    """The book itself when every rule set that it can give is complete and makes sense; BadInput
    names the first wrong rule or parameter."""
    _check(RuleSet(id=book.id, version=0, valid_from_on="", rules=book.rules), "")
    for name, variant in book.variants.items():
        place = f"variants.{name}."
        for what, given, known in (
            ("usage_classes", variant.usage_classes, USAGE_CLASSES),
            ("sources", variant.sources, SOURCES),
        ):
            for word in given:
                if word not in known:
                    raise BadInput(f"{place}{what}", f"{word!r} is unknown", _use(known))
        unknown = sorted(set(variant.rules) - set(book.rules))
        if unknown:
            problem, fix = "is no known rule", _use(tuple(PARAMETERS))
            raise BadInput(f"{place}rules.{unknown[0]}", problem, fix)
        _check(with_variant(book, name), place)
    return book


def with_variant(book: RuleBook, name: str) -> RuleSet:
    """The rules of a book with one variant laid over them, whomever it is for."""
    alone = replace(book.variants[name], usage_classes=(), sources=())
    return rule_set_for(replace(book, variants={name: alone}), "", "")


def _check(rule_set: RuleSet, place: str) -> None:
    try:
        check_rule_set(rule_set)
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
