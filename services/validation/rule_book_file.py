"""Rule books as YAML files: the delivered one, to copy, and those that people write.

    id: default
    version: 1
    valid_from_on: "2000-01-01"
    rules:                       # every rule, with all its parameters
      spike:
        severity: fail           # off, warn or fail
        parameters:
          tolerance_pct: {value: 180, source: the usual California value, unconfirmed: true}
    variants:                    # laid over the rules, in this order; only what differs
      manual:
        sources: [manual]
        rules: {spike: {severity: warn}}

Whole numbers only. BadInput names the file, the field and the fix.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from libs.events.documents import parse_yaml, read_text
from libs.events.errors import BadInput
from services.validation.instant import parse_day
from services.validation.rule_book import Override, RuleBook, Variant, check_rule_book
from services.validation.rule_set import UNCONFIRMED, RuleSettings

DEFAULT_FILE = Path(__file__).parent / "rule_books" / "default.yaml"
DELIVERED = DEFAULT_FILE.parent
EXAMPLE = "write it like services/validation/rule_books/default.yaml"

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,60}")
_WHOLE = re.compile(r"[0-9]{1,15}")


def read_rule_book(path: Path) -> RuleBook:
    """The book in a file, complete and checked."""
    try:
        return check_rule_book(_book(_document(path)))
    except BadInput as wrong:
        field = wrong.field if wrong.field.startswith(str(path)) else f"{path}: {wrong.field}"
        raise BadInput(field, wrong.problem, wrong.fix) from None


def _document(path: Path) -> Any:
    text = read_text(path)
    if not text.strip():
        raise BadInput(str(path), "is empty", EXAMPLE)
    return parse_yaml(text, str(path), EXAMPLE)


def _book(document: Any) -> RuleBook:
    given = _fields(document, "", ("id", "version", "valid_from_on", "rules"), ("variants",))
    valid_from_on = _text(given["valid_from_on"], "valid_from_on")
    parse_day(valid_from_on, "valid_from_on")
    return RuleBook(
        id=_name(given["id"], "id"),
        version=_whole(given["version"], "version"),
        valid_from_on=valid_from_on,
        rules={
            rule: _settings(each, f"rules.{rule}")
            for rule, each in _table(given["rules"], "rules").items()
        },
        variants=_variants(given.get("variants", {})),
    )


def _variants(document: Any) -> dict[str, Variant]:
    found = {}
    for name, each in _table(document, "variants").items():
        place = f"variants.{_name(name, 'variants')}"
        given = _fields(each, place, ("rules",), ("usage_classes", "sources"))
        found[name] = Variant(
            usage_classes=_words(given.get("usage_classes", []), f"{place}.usage_classes"),
            sources=_words(given.get("sources", []), f"{place}.sources"),
            rules={
                rule: _override(inner, f"{place}.rules.{rule}")
                for rule, inner in _table(given["rules"], f"{place}.rules").items()
            },
        )
    return found


def _override(document: Any, place: str) -> Override:
    """What a variant changes of a rule; without a severity that stays as it is ("")."""
    given = _fields(document, place, (), ("severity", "parameters"))
    severity = _text(given["severity"], f"{place}.severity") if "severity" in given else ""
    parameters, sources = _parameters(given, place)
    return Override(severity=severity, parameters=parameters, sources=sources)


def _settings(document: Any, place: str) -> RuleSettings:
    given = _fields(document, place, ("severity",), ("parameters",))
    severity = _text(given["severity"], f"{place}.severity")
    parameters, sources = _parameters(given, place)
    return RuleSettings(severity=severity, parameters=parameters, sources=sources)


def _parameters(given: dict[str, Any], place: str) -> tuple[dict[str, int], dict[str, str]]:
    """Values and sources by name."""
    parameters, sources = dict[str, int](), dict[str, str]()
    for name, each in _table(given.get("parameters", {}), f"{place}.parameters").items():
        inner = f"{place}.parameters.{name}"
        fields = _fields(each, inner, ("value", "source"), ("unconfirmed",))
        parameters[name] = _whole(fields["value"], f"{inner}.value")
        source = _text(fields["source"], f"{inner}.source")
        mark = _text(fields.get("unconfirmed", "false"), f"{inner}.unconfirmed")
        if mark not in {"true", "false"}:
            raise BadInput(f"{inner}.unconfirmed", f"is {mark!r}", "give true or false")
        sources[name] = f"{UNCONFIRMED}: {source}" if mark == "true" else source
    return parameters, sources


def _fields(
    document: Any, place: str, needed: tuple[str, ...], more: tuple[str, ...]
) -> dict[str, Any]:
    given = _table(document, place or "the book")
    lead = f"{place}." if place else ""
    for name in needed:
        if name not in given:
            raise BadInput(f"{lead}{name}", "is missing", EXAMPLE)
    for name in given:
        if name not in needed and name not in more:
            fix = f"use {', '.join(dict.fromkeys((*needed, *more)))}"
            raise BadInput(f"{lead}{name}", "is no field", fix)
    return given


def _table(document: Any, place: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise BadInput(place, "is no table", "write `name: value` lines in it")
    return document


def _list(document: Any, place: str) -> list[Any]:
    if not isinstance(document, list):
        raise BadInput(place, "is no list", "write [a, b]")
    return document


def _words(document: Any, place: str) -> tuple[str, ...]:
    return tuple(_text(each, place) for each in _list(document, place))


def _text(document: Any, place: str) -> str:
    if not isinstance(document, str) or not document.strip():
        raise BadInput(place, "is no text", "write a word")
    return document


def _name(document: Any, place: str) -> str:
    text = _text(document, place)
    if not _NAME.fullmatch(text):
        raise BadInput(place, f"{text[:60]!r} is no name", "use letters, digits, _ . and -")
    return text


def _whole(document: Any, place: str) -> int:
    text = _text(document, place)
    if not _WHOLE.fullmatch(text):
        raise BadInput(place, f"{text[:60]!r} is no whole number", "write digits only, as 180")
    return int(text)
