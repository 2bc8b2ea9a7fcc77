"""Other rules judge otherwise, under their own name, and are another decider."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from libs.events.errors import BadInput
from services.validation.core import make_core
from services.validation.default_rules import DEFAULT_RULE_BOOK
from services.validation.events import ReadingAccepted, UsageEstablished
from services.validation.policy import DEFAULT_POLICY, Policy
from services.validation.rule_book import RuleBook
from tests.unit.validation.desk import Desk, only, reading, supply
from tests.unit.validation.samples import at


def with_rule(rule: str, name: str = "east", **changes: Any) -> RuleBook:
    """The default rules with one of them changed, under another name."""
    settings = DEFAULT_RULE_BOOK.rules[rule]
    parameters = {**settings.parameters, **changes.pop("parameters", {})}
    changed = replace(settings, parameters=parameters, **changes)
    return replace(DEFAULT_RULE_BOOK, id=name, rules={**DEFAULT_RULE_BOOK.rules, rule: changed})


def test_a_rule_that_only_warns_rejects_nothing() -> None:
    desk = Desk(policy=Policy(rule_book=with_rule("spike", severity="warn")))
    desk.take(supply())
    for day, wh in enumerate((10_000, 20_000, 30_000)):
        desk.take(reading(day, wh))
    accepted = only(desk.take(reading(3, 940_000)), ReadingAccepted)
    assert accepted.rule_set == "east.v1"
    assert [found.severity for found in accepted.findings if found.rule == "spike"] == ["warn"]


def test_the_grace_time_is_policy() -> None:
    desk = Desk(policy=Policy(grace_min=60))
    desk.take(supply())
    for day, wh in enumerate((10_000, 22_000)):
        desk.take(reading(day, wh))
    assert desk.tick(at(3)) == []
    assert only(desk.tick(at(3, 1)), UsageEstablished).quality == "estimated"


def test_another_policy_is_another_decider() -> None:
    assert make_core("d", Policy()).decider == "d"
    assert make_core("d", Policy(grace_min=481)).decider.startswith("d+")


@pytest.mark.parametrize(
    ("rule_book", "problem"),
    [
        (with_rule("spike", parameters={"floor_wh": -1}), "spike.parameters.floor_wh: is -1"),
        (with_rule("spike", parameters={"history_days": 29}), "history_days: 29 is out of range"),
        (with_rule("duplicate", severity="off"), "duplicate.severity: this rule cannot be off"),
        (with_rule("clock_drift", parameters={"warn_s": 301}), "warn_s: 301 is more than fail_s"),
        (with_rule("spike", "default", severity="warn"), "rule_book.id: these are other rules"),
    ],
)
def test_rules_that_cannot_be_kept_are_refused(rule_book: RuleBook, problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        Policy(rule_book=rule_book)


def test_the_default_rules_have_the_name_that_events_carry() -> None:
    assert DEFAULT_POLICY.rule_book.id == "default"
