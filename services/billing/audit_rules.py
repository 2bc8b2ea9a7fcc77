"""The rules of the tariff audit, as data: what of an agreement contradicts its price list.

A rule has conditions and the one fact that must then be otherwise. It is part of billing's policy:
a utility adds, changes or drops rules in its policy file and gives them another id.

    DEFAULT_AUDIT.rules["two_part_from_315"].one_of     ("two_part",)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from libs.events.errors import BadInput
from libs.events.policy import UNCONFIRMED, Term

LIST_FACTS = ("system", "list_voltage", "list_category")
FACTS = (*LIST_FACTS, "pf_standard", "transformer_loss")
"""What a rule may expect; the first three speak of the price list, of which the first rule that
contradicts it counts."""

AGREED = "agreed"
"""As an expected value: what the agreement says of the point's own voltage or class of use."""

HIGH_VOLTAGE = ("1_10kv", "20kv", "35kv", "110kv", "220kv")
BUSINESS = ("commercial_industrial", "large_industry")
KVA_MOST = 10_000_000
MONTHS_MOST = 25
"""Issued months are kept for so long."""

CONDITIONS = {
    **dict.fromkeys(("category", "voltage", "metering_side", "relation"), "the point, as agreed"),
    **dict.fromkeys(("list_category", "system"), "its price list"),
}
"""The conditions of a rule that are lists of facts, and whose facts these are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRule:
    """One rule: where all conditions hold, `expected` must be `one_of`.

    Conditions are lists of which one must fit, () for any. category, voltage, metering_side,
    relation: of the usage point as agreed; list_category, system: of its price list; capacity: all
    transformers of the account, by their shares and in any state, from so many kVA and below so
    many (0: no bound); it is not known of an account without one, and the rule then says nothing.
    The first of `one_of` is what the money at stake is reckoned by; `agreed` is what the agreement
    says of the point.
    """

    ANY_NAME = True
    """In a policy file rules may be added to those that are delivered."""

    meaning: str = ""
    category: tuple[str, ...] = ()
    voltage: tuple[str, ...] = ()
    metering_side: tuple[str, ...] = ()
    relation: tuple[str, ...] = ()
    list_category: tuple[str, ...] = ()
    system: tuple[str, ...] = ()
    capacity_from_kva: int = 0
    capacity_below_kva: int = 0
    expected: str = ""
    one_of: tuple[str, ...] = ()
    source: str = ""

    @property
    def is_unconfirmed(self) -> bool:
        """Whether no confirmed source stands behind the rule."""
        return UNCONFIRMED in self.source


_MAIN = ("main",)
_OF_RULE = "as its meaning"
_DELIVERED: dict[str, AuditRule] = {
    "two_part_from_315": AuditRule(
        meaning="business from 315 kVA is on a two-part list",
        category=BUSINESS,
        relation=_MAIN,
        capacity_from_kva=315,
        expected="system",
        one_of=("two_part",),
        source="domain.md 3.3; from 100 to 315 kVA the customer chooses since 2023 (UNCONFIRMED)",
    ),
    "single_part_below_100": AuditRule(
        meaning="who has less than 100 kVA is not on a two-part list",
        relation=_MAIN,
        capacity_from_kva=1,
        capacity_below_kva=100,
        expected="system",
        one_of=("single_part",),
        source="UNCONFIRMED, domain.md 3.3, the lower bound of the choice since 2023",
    ),
    "household_on_dedicated_line": AuditRule(
        meaning="the household price is not for a supply at high voltage",
        list_category=("residential",),
        voltage=HIGH_VOLTAGE,
        expected="list_category",
        one_of=("residential_shared", "commercial_industrial", "large_industry"),
        source="UNCONFIRMED, domain.md 3.1, one household one meter; which class it is instead",
    ),
    "voltage_of_list": AuditRule(
        meaning="the price list is for the voltage of the supply",
        expected="list_voltage",
        one_of=(AGREED,),
        source="domain.md 3.1, prices are by voltage class",
    ),
    "category_of_list": AuditRule(
        meaning="the price list is for the class of use",
        expected="list_category",
        one_of=(AGREED,),
        source="domain.md 3.1, prices are by class of use",
    ),
    "power_factor_090": AuditRule(
        meaning="large industry at high voltage above 160 kVA is assessed by 0.90",
        category=("large_industry",),
        voltage=HIGH_VOLTAGE,
        relation=_MAIN,
        capacity_from_kva=161,
        expected="pf_standard",
        one_of=("0.90",),
        source="UNCONFIRMED, domain.md 3.4; one source says above 160 kVA, one 160 and above",
    ),
    "power_factor_085": AuditRule(
        meaning="other business from 100 kVA is assessed by 0.85 or 0.90",
        category=BUSINESS,
        relation=_MAIN,
        capacity_from_kva=100,
        expected="pf_standard",
        one_of=("0.85", "0.90"),
        source="domain.md 3.4; UNCONFIRMED what of it is industry",
    ),
    "power_factor_080": AuditRule(
        meaning="agriculture from 100 kVA is assessed by 0.80",
        category=("agricultural",),
        relation=_MAIN,
        capacity_from_kva=100,
        expected="pf_standard",
        one_of=("0.80",),
        source="domain.md 3.4",
    ),
    "loss_of_low_side": AuditRule(
        meaning="who has a transformer and is metered behind it bears its loss",
        metering_side=("low",),
        relation=_MAIN,
        capacity_from_kva=1,
        expected="transformer_loss",
        one_of=("borne",),
        source="domain.md 3.5",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRules:
    """A set of rules with a name, in their order; months: how many issued ones are rated anew."""

    id: str = "default"
    months: int = 12
    rules: dict[str, AuditRule] = field(default_factory=lambda: dict(_DELIVERED))


DEFAULT_AUDIT = AuditRules()


def check_audit(audit: AuditRules) -> None:
    """BadInput names the first rule that says nothing, and rules that keep the delivered name."""
    for name, rule in audit.rules.items():
        place = f"rules.{name}"
        if rule.expected not in FACTS:
            fix = f"one of {', '.join(FACTS)}"
            raise BadInput(f"{place}.expected", f"{rule.expected!r} is no fact", fix)
        if not rule.one_of:
            raise BadInput(f"{place}.one_of", "is empty", "say what is expected")
        if AGREED in rule.one_of and rule.expected not in ("list_voltage", "list_category"):
            fix = "only list_voltage and list_category may be as agreed"
            raise BadInput(f"{place}.one_of", f"{rule.expected} is not {AGREED}", fix)
    if audit.id == DEFAULT_AUDIT.id and audit != DEFAULT_AUDIT:
        raise BadInput("id", "these are other rules than the default", "give them another id")


def audit_terms(audit: AuditRules) -> Iterator[tuple[str, Term]]:
    """What each value means and where it comes from, those of added rules too."""
    yield "id", Term("the name of your rules of the tariff audit", "other rules, another name")
    most = Term("how many issued months are rated anew", "UNCONFIRMED: a year", 1, MONTHS_MOST)
    yield "months", most
    for name, rule in audit.rules.items():
        place, source = f"rules.{name}", rule.source or f"{UNCONFIRMED}: not said"
        yield f"{place}.meaning", Term("what the rule says", source)
        for each, whose in CONDITIONS.items():
            yield f"{place}.{each}", Term(f"{each} of {whose}; [] is any", _OF_RULE)
        for each in ("capacity_from_kva", "capacity_below_kva"):
            meaning = "transformers of the account in kVA; 0: no bound"
            yield f"{place}.{each}", Term(meaning, _OF_RULE, 0, KVA_MOST)
        yield f"{place}.expected", Term(f"what must be: one of {', '.join(FACTS)}", _OF_RULE)
        yield f"{place}.one_of", Term("what it must be; the first is reckoned by", _OF_RULE)
        yield f"{place}.source", Term("where the rule comes from", _OF_RULE)
