"""The delivered rule book, how variants are chosen and laid over, and what is wrong with a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from libs.events.errors import BadInput
from services.validation.default_rules import DEFAULT_RULE_BOOK as BOOK
from services.validation.rule_book import SOURCES, USAGE_CLASSES, rule_set_for
from services.validation.rule_book_file import DEFAULT_FILE, read_rule_book
from services.validation.rule_set import PARAMETERS, content_hash


def test_the_file_to_copy_has_the_very_rules_that_the_service_decides_by() -> None:
    assert read_rule_book(DEFAULT_FILE) == BOOK


def test_every_rule_and_parameter_has_a_source() -> None:
    assert set(BOOK.rules) == set(PARAMETERS)
    for settings in BOOK.rules.values():
        assert set(settings.sources) == set(settings.parameters)


def test_a_rule_set_is_chosen_by_class_and_source() -> None:
    names = {
        (usage_class, source): rule_set_for(BOOK, usage_class, source).id
        for usage_class in ("", "residential", "dedicated")
        for source in ("remote_profile", "manual")
    }
    assert names == {
        ("", "remote_profile"): "default",
        ("", "manual"): "default+manual",
        ("residential", "remote_profile"): "default",
        ("residential", "manual"): "default+manual",
        ("dedicated", "remote_profile"): "default+industry+dedicated",
        ("dedicated", "manual"): "default+manual+industry+dedicated",
    }


def test_a_variant_changes_what_it_names_and_nothing_else() -> None:
    plain = rule_set_for(BOOK, "residential", "remote_register")
    manual = rule_set_for(BOOK, "residential", "manual")
    assert manual.rules["rate_sum"].parameters == {
        "tolerance_register_wh": 4000,
        "tolerance_permille": 0,
    }
    assert manual.rules["rate_sum"].severity == plain.rules["rate_sum"].severity == "fail"
    assert manual.rules["high_low"].severity == "fail"
    assert manual.rules["high_low"].parameters == plain.rules["high_low"].parameters
    assert manual.rules["clock_drift"].severity == "off"
    assert manual.rules["spike"] == plain.rules["spike"]
    assert content_hash(manual) != content_hash(plain)
    again = rule_set_for(BOOK, "commercial", "remote_register")
    assert content_hash(again) == content_hash(plain)
    assert all(rule_set_for(BOOK, each, source) for each in USAGE_CLASSES for source in SOURCES)


Edit = Callable[[dict], object]  # type: ignore[type-arg]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda book: book.pop("rules"), "rules: is missing"),
        (lambda book: book.update(extra="x"), "extra: is no field"),
        (lambda book: book.update(id="a b"), "id: 'a b' is no name"),
        (lambda book: book.update(version="1.5"), "version: '1.5' is no whole number"),
        (lambda book: book.update(valid_from_on="soon"), "valid_from_on: 'soon' is no date"),
        (lambda book: book.update(rules=[]), "rules: is no table"),
        (lambda book: book.update(variants=[]), "variants: is no table"),
        (lambda book: book["rules"].pop("capacity"), "rules.capacity: is missing"),
        (lambda book: book["rules"].update(magic={"severity": "off"}), "rules.magic: is no known"),
        (lambda book: book["rules"]["spike"].update(severity="bad"), "rules.spike.severity: is 'b"),
        (lambda book: book["rules"]["spike"].pop("severity"), "rules.spike.severity: is missing"),
        (lambda book: book["rules"]["spike"].update(severity=[]), "rules.spike.severity: is no te"),
        (
            lambda book: book["rules"]["spike"]["parameters"]["floor_wh"].update(value="1e3"),
            "rules.spike.parameters.floor_wh.value: '1e3' is no whole number",
        ),
        (
            lambda book: book["rules"]["spike"]["parameters"]["floor_wh"].update(value="-3"),
            "rules.spike.parameters.floor_wh.value: '-3' is no whole number",
        ),
        (
            lambda book: book["rules"]["spike"]["parameters"]["floor_wh"].pop("source"),
            "rules.spike.parameters.floor_wh.source: is missing",
        ),
        (
            lambda book: book["rules"]["spike"]["parameters"]["floor_wh"].update(unconfirmed="y"),
            "rules.spike.parameters.floor_wh.unconfirmed: is 'y'",
        ),
        (
            lambda book: book["rules"]["clock_drift"]["parameters"]["warn_s"].update(value="301"),
            "rules.clock_drift.parameters.warn_s: 301 is more than fail_s 300",
        ),
        (
            lambda book: book["variants"]["manual"].update(sources="manual"),
            "variants.manual.sources: is no list",
        ),
        (
            lambda book: book["variants"]["manual"].update(sources=["radio"]),
            "variants.manual.sources: 'ra",
        ),
        (
            lambda book: book["variants"]["manual"].update(usage_classes=["x"]),
            "variants.manual.usage_cl",
        ),
        (
            lambda book: book["variants"]["manual"]["rules"].update(magic={}),
            "variants.manual.rules.magic: is no known rule",
        ),
        (
            lambda book: book["variants"]["industry"]["rules"]["zero_run"]["parameters"].update(
                hours={"value": "1", "source": "x"}
            ),
            "variants.industry.rules.zero_run.parameters.hours: is unknown",
        ),
    ],
)
def test_a_wrong_book_is_named(edit: Edit, message: str, tmp_path: Path) -> None:
    book = yaml.load(DEFAULT_FILE.read_text("utf-8"), Loader=yaml.BaseLoader)
    edit(book)
    path = tmp_path / "book.yaml"
    path.write_text(yaml.safe_dump(book, allow_unicode=True), encoding="utf-8")
    with pytest.raises(BadInput) as error:
        read_rule_book(path)
    assert str(error.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"a: [", "while parsing"),
        (b"- 1", "the book: is no table"),
        (b"a: 1\na: 2", "is given twice"),
        (b"a: &x 1\nb: *x", "aliases are not used"),
        ("规则".encode("gbk"), "is not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_book(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "book.yaml"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=said) as error:
        read_rule_book(path)
    assert str(error.value).startswith(str(path))
    with pytest.raises(BadInput, match="No such file"):
        read_rule_book(tmp_path / "nothing.yaml")
