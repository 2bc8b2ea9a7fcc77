"""What validation judges by: its rule book, and how long it waits until it estimates.

Every threshold is configuration with a documented default. Other rules carry another name, because
each event says by which rules it came to be.

    DEFAULT_POLICY.rule_book.id    "default"
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from libs.events.errors import BadInput
from libs.events.policy import Term, check_ranges
from services.validation.default_rules import DEFAULT_RULE_BOOK
from services.validation.edit_rules import EDIT_TERMS, EditRules
from services.validation.rule_book import Override, RuleBook, check_rule_book, with_variant
from services.validation.rule_set import OFF, SEVERITIES, UNCONFIRMED, RuleSettings
from services.validation.rule_terms import RULE_TERMS
from services.validation.voltage_quality import QualityRules
from services.validation.voltage_state import SAMPLED_DAILY, VOLTAGE_TERMS

ALWAYS_ON = ("duplicate",)
"""A second reading of a day is told whatever it says, so its rule has no `off`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What validation judges by. TERMS says what each value means and where it comes from."""

    grace_min: int = 8 * 60
    rule_book: RuleBook = field(default_factory=lambda: DEFAULT_RULE_BOOK)
    edits: EditRules = field(default_factory=EditRules)
    voltage: QualityRules = SAMPLED_DAILY

    def __post_init__(self) -> None:
        book = self.rule_book
        try:
            check_rule_book(book)
        except BadInput as wrong:
            raise BadInput(f"rule_book.{wrong.field}", wrong.problem, wrong.fix) from None
        check_ranges(self, terms_of(self))
        for place, rules in (
            ("rules", book.rules),
            *((f"variants.{name}.rules", with_variant(book, name).rules) for name in book.variants),
        ):
            for rule in ALWAYS_ON:
                if rules[rule].severity == OFF:
                    problem, fix = "this rule cannot be off", "give warn or fail"
                    raise BadInput(f"rule_book.{place}.{rule}.severity", problem, fix)
        same = (book.rules, book.variants) == (DEFAULT_RULE_BOOK.rules, DEFAULT_RULE_BOOK.variants)
        name = f"{book.id}.v{book.version}"
        if not same and (book.id, book.version) == (
            DEFAULT_RULE_BOOK.id,
            DEFAULT_RULE_BOOK.version,
        ):
            problem = f"these are other rules than {name}"
            raise BadInput("rule_book.id", problem, "give your rule set another id or version")


def _rule_terms(book: RuleBook) -> Iterator[tuple[str, Term]]:
    """Severity and parameters of every rule and of every variant; the book itself says where they
    come from."""
    for rule, settings in book.rules.items():
        yield from _settings_terms(f"rule_book.rules.{rule}", rule, settings, settings.sources)
    for name, variant in book.variants.items():
        place = f"rule_book.variants.{name}"
        yield f"{place}.usage_classes", Term("of which points; [] is all", "rules by class")
        yield f"{place}.sources", Term("for data of which source; [] is all", "rules by source")
        for rule, over in variant.rules.items():
            sources = book.rules[rule].sources | over.sources
            yield from _settings_terms(f"{place}.rules.{rule}", rule, over, sources)


def _settings_terms(
    place: str, rule: str, given: RuleSettings | Override, sources: dict[str, str]
) -> Iterator[tuple[str, Term]]:
    words = SEVERITIES if isinstance(given, RuleSettings) else (*SEVERITIES, "or leave it out")
    severity = f"how bad a hit is: {', '.join(words)}"
    yield f"{place}.severity", Term(severity, f"{UNCONFIRMED}: domain.md 2")
    for name in given.parameters:
        meaning, least, most = RULE_TERMS[rule][name]
        source = sources.get(name, f"{UNCONFIRMED}: not said")
        yield f"{place}.parameters.{name}", Term(meaning, source, least, most)


def terms_of(policy: Policy) -> dict[str, Term]:
    """What each value means and where it comes from, those of added variants too."""
    return {
        "grace_min": Term(
            "minutes after 24:00 until a day without a reading is estimated",
            "UNCONFIRMED: eight hours, as ingest judges readings missing",
            1,
            7 * 24 * 60,
        ),
        "rule_book.id": Term("the name of your rules; other rules need another one", "DESIGN 3"),
        "rule_book.version": Term("raise it when you change your rules", "DESIGN 3", 1, 1_000_000),
        "rule_book.valid_from_on": Term("the day from which they were agreed on", "DESIGN 3"),
        **dict(_rule_terms(policy.rule_book)),
        **EDIT_TERMS,
        **VOLTAGE_TERMS,
    }


DEFAULT_POLICY = Policy()
TERMS = terms_of(DEFAULT_POLICY)
"""What each value means and where it comes from."""
