"""Which rules judge what the core is told, and which of them refuse; values worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from libs.events.errors import BadInput
from services.validation.default_rules import DEFAULT_RULE_BOOK
from services.validation.events import QualityFound, ReadingAccepted, ReadingRejected
from services.validation.policy import Policy, terms_of
from services.validation.reading import DOUBTS, REFUSES
from services.validation.rule_book import Override, Variant
from services.validation.rule_set import PARAMETERS
from services.validation.rules_in_force import point_rules
from tests.unit.validation.desk import Desk, meter, names, only, opened, reading, rules_of, supply
from tests.unit.validation.samples import IMPORT, at


def weeks(days: int = 8, **changes: Any) -> Desk:
    """A point that used 10 kWh on each of so many days."""
    desk = opened(**changes)
    for day in range(days):
        desk.take(reading(day, 10_000 * (day + 1)))
    return desk


@pytest.mark.parametrize(
    ("voltage_class", "category", "source", "name"),
    [
        ("lt1kv", "residential", "dlt645_2007", "default.v1"),
        ("lt1kv", "industrial", "modbus_sdm630", "default+industry.v1"),
        ("lt1kv", "non_residential", "qgdw376_1", "default.v1"),
        ("10kv", "", "dlt645_2007", "default+industry+dedicated.v1"),
        ("110kv", "industrial", "manual", "default+manual+industry+dedicated.v1"),
        ("lt1kv", "", "manual", "default+manual.v1"),
        ("", "agricultural", "manual", "default+manual.v1"),
    ],
)
def test_the_rules_of_a_reading_follow_from_class_and_source(
    voltage_class: str, category: str, source: str, name: str
) -> None:
    desk = opened(voltage_class=voltage_class, category=category)
    own = desk.take(reading(0, 10_000, source=source))
    assert own[0].rule_set == name
    assert "manual" not in own[1].rule_set, "usage does not depend on who read"


def test_a_source_can_have_rules_of_its_own() -> None:
    variant = Variant(
        sources=("concentrator_register",), rules={"negative": Override(severity="off")}
    )
    book = replace(
        DEFAULT_RULE_BOOK, id="east", variants={**DEFAULT_RULE_BOOK.variants, "radio": variant}
    )
    desk = Desk(policy=Policy(rule_book=book))
    desk.take(supply())
    assert desk.take(reading(0, 10_000, source="qgdw376_2013"))[0].rule_set == "east+radio.v1"
    desk.take(reading(1, 20_000))
    rejected = only(desk.take(reading(2, 15_000, source="qgdw376_2013")), ReadingRejected)
    assert rejected.findings == (), (
        "told by no rule, and refused all the same: it cannot be counted"
    )
    terms = terms_of(desk.policy)
    assert terms["rule_book.variants.radio.rules.negative.severity"].meaning.startswith("how bad")


def test_what_a_person_read_unlike_the_history_is_doubted_and_confirmed() -> None:
    desk = weeks()
    rejected = only(desk.take(reading(8, 105_000, source="manual", kind="manual")), ReadingRejected)
    assert rejected.doubted is not None
    assert {rule: found.severity for rule, found in rules_of(rejected).items()} == {
        "high_low": "fail"
    }
    own = desk.take(reading(9, 155_000))
    assert names(own) == [
        "ReadingAccepted",
        "UsageEstablished",
        "ReadingAccepted",
        "UsageEstablished",
    ]
    assert own[0].rule_set == "default+manual.v1"
    fetched = only(weeks().take(reading(8, 105_000)), ReadingAccepted)
    assert rules_of(fetched)["high_low"].severity == "warn"


def test_a_fall_in_usage_is_compared_with_the_period_before() -> None:
    desk = weeks(3)
    found = rules_of(only(desk.take(reading(3, 32_000)), ReadingAccepted))
    assert found["register_delta"].numbers["previous_adjusted_wh"] == "10000"
    assert found["register_delta"].numbers["register"] == IMPORT
    desk.take(reading(5, 72_000))  # 40 kWh in two days
    found = rules_of(only(desk.take(reading(6, 76_000)), ReadingAccepted))
    assert found["register_delta"].numbers["previous_adjusted_wh"] == "20000"


def test_findings_that_only_tell_refuse_nothing() -> None:
    desk = opened(registers=(IMPORT,))
    both = {IMPORT: 10_000, "1-0:2.8.0": 0}
    desk.take(reading(0, 0, registers=both))
    own = desk.take(reading(1, 0, registers={IMPORT: 20_000, "1-0:2.8.0": 5}))
    assert names(own) == ["ReadingAccepted", "QualityFound", "UsageEstablished"]
    assert rules_of(own[1])["reverse_flow"].severity == "fail"
    producer = opened(registers=(IMPORT, "1-0:2.8.0"))
    producer.take(reading(0, 0, registers=both))
    own = producer.take(reading(1, 0, registers={IMPORT: 20_000, "1-0:2.8.0": 5}))
    assert names(own) == ["ReadingAccepted", "UsageEstablished"]
    assert not REFUSES & DOUBTS
    assert set(PARAMETERS) >= (REFUSES | DOUBTS)


def test_a_reading_without_any_register_is_refused() -> None:
    rejected = only(opened().take(reading(0, 0, registers={})), ReadingRejected)
    assert rules_of(rejected)["bad_value"].numbers[IMPORT] == "no_value"


def test_without_named_registers_those_of_the_reading_before_are_expected() -> None:
    desk = opened(meter(initial={}), registers=())
    desk.take(reading(0, 0, registers={IMPORT: 1, "1-0:1.8.1": 1}))
    rejected = only(desk.take(reading(1, 10_000)), ReadingRejected)
    assert rules_of(rejected)["missing"].numbers["slots"] == "1-0:1.8.1"


def test_days_that_are_estimated_for_long_are_told() -> None:
    desk = weeks(2)
    told = {event.day_on: event.findings for event in desk.tick(at(100, 8))}
    days = sorted(told)
    found = [{each.rule: each.severity for each in told[day]} for day in days]
    assert found[:62] == [{}] * 62
    assert found[62] == {"prolonged_estimation": "warn"}
    assert found[92] == {"prolonged_estimation": "warn"}
    assert found[93] == {"prolonged_estimation": "fail"}


def test_the_rules_before_any_supply_are_those_of_the_book() -> None:
    assert point_rules(DEFAULT_RULE_BOOK, {}).name == "default.v1"


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        (
            Variant(rules={"duplicate": Override(severity="off")}),
            "rule_book.variants.mine.rules.duplicate.severity: this rule cannot be off",
        ),
        (
            Variant(rules={"spike": Override(parameters={"tolerance_pct": 0})}),
            "rule_book.variants.mine.rules.spike.parameters.tolerance_pct: 0 is out of range",
        ),
        (
            Variant(rules={"spike": Override(parameters={"height": 1})}),
            "rule_book.variants.mine.rules.spike.parameters.height: is unknown",
        ),
        (Variant(rules={"magic": Override()}), "rule_book.variants.mine.rules.magic: is no known"),
        (Variant(sources=("radio",)), "rule_book.variants.mine.sources: 'radio' is unknown"),
    ],
)
def test_a_variant_that_cannot_be_kept_is_refused(variant: Variant, message: str) -> None:
    book = replace(
        DEFAULT_RULE_BOOK, id="mine", variants={**DEFAULT_RULE_BOOK.variants, "mine": variant}
    )
    with pytest.raises(BadInput) as wrong:
        Policy(rule_book=book)
    assert str(wrong.value).startswith(message)


def test_a_remark_names_the_rules() -> None:
    desk = weeks(2, voltage_class="10kv")
    remark = only(desk.take(reading(1, 20_000, reading_id="again")), QualityFound)
    assert remark.rule_set == "default+industry+dedicated.v1"
