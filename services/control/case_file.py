"""A case as a file: what the interlocks look at, written down by a person.

    {"stage": "before_command",
     "case_id": "1000000042.r1",
     "facts": {"now_at": "2026-03-12T02:10:00Z", "category": "residential", "protected": "", ...}}

`stage` is one of `STAGES`; `facts` has the fields of `facts.Facts` with the same meaning. Needed
are `stage` and `now_at`: what is left out is not known, and denies. The JSON Schema is made of the
same classes (`case_schema`). BadInput names the field and the fix.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from libs.events.errors import BadInput
from services.control.facts import Facts
from services.control.instant import parse_day, parse_instant
from services.control.interlocks import STAGES

DRAFT = "http://json-schema.org/draft-07/schema#"
WHOLE_MOST = 10**15
TEXT_MOST = 200
PATTERNS = {
    "_at": r"^(|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)$",
    "_on": r"^(|\d{4}-\d\d-\d\d)$",
}
READERS = {"_at": parse_instant, "_on": parse_day}
JSON_NAMES = {bool: "boolean", int: "integer", str: "string"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFile:
    """What is judged: the facts, at a stage. case_id: how people call it; nothing is read by it."""

    stage: str
    facts: Facts
    case_id: str = ""


def read_case(document: Any) -> CaseFile:
    """The case in a JSON document."""
    case: CaseFile = _dataclass(CaseFile, document, "")
    if case.stage not in STAGES:
        raise BadInput("stage", f"{case.stage!r} is no stage", f"one of {', '.join(STAGES)}")
    if not case.facts.now_at:
        raise BadInput("facts.now_at", "is empty", "say when it is: 2026-01-31T16:00:00Z")
    return case


def _dataclass(kind: Any, given: Any, place: str) -> Any:
    known = {field.name: field for field in fields(kind)}
    if not isinstance(given, dict):
        raise BadInput(place or "the document", "is no object", f"give {', '.join(known)}")
    for name in given:
        if name not in known:
            raise BadInput(_inside(place, name), "no such field", _near(name, known))
    hints = get_type_hints(kind)
    values = {}
    for name, field in known.items():
        if name in given:
            values[name] = _value(hints[name], given[name], _inside(place, name))
        elif field.default is MISSING:
            raise BadInput(_inside(place, name), "is missing", "give it")
    return kind(**values)


def _value(kind: Any, given: Any, place: str) -> Any:
    if isinstance(kind, UnionType):
        return None if given is None else _value(get_args(kind)[0], given, place)
    if is_dataclass(kind):
        return _dataclass(kind, given, place)
    if get_origin(kind) is tuple:
        if not isinstance(given, list):
            raise BadInput(place, "is no list", "write it as [...], [] for none")
        inner = get_args(kind)[0]
        return tuple(_value(inner, each, f"{place}[{n}]") for n, each in enumerate(given))
    if type(given) is not kind:
        raise BadInput(place, f"{_shown(given)} is no {JSON_NAMES[kind]}", f"give {_example(kind)}")
    if kind is int and abs(given) > WHOLE_MOST:
        raise BadInput(place, f"{given} is out of range", "check the number")
    if kind is str:
        _check_text(given, place)
    return given


def _check_text(given: str, place: str) -> None:
    if len(given) > TEXT_MOST:
        raise BadInput(place, f"has over {TEXT_MOST} characters", "shorten it")
    read = READERS.get(place[-3:])
    if given and read is not None:
        read(given, place)


def _inside(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else "`--schema` prints what there is"


def _shown(given: Any) -> str:
    if isinstance(given, dict | list):
        return "an object" if isinstance(given, dict) else "a list"
    return repr(given)[:60]


def _example(kind: Any) -> str:
    return {bool: "true or false", int: "a whole number", str: "a text in quotes"}[kind]


# -- the schema -----------------------------------------------------------------------------------


def case_schema() -> dict[str, Any]:
    """The JSON Schema of the file (draft 7)."""
    schema = _schema_of(CaseFile)
    schema["properties"]["stage"] = {"enum": list(STAGES)}
    title = {"$schema": DRAFT, "title": "A case for `gridledger control explain`"}
    return {**title, **schema}


def _schema_of(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {
        "description": " ".join((kind.__doc__ or "").split()),
        "type": "object",
        "additionalProperties": False,
        "required": [field.name for field in fields(kind) if field.default is MISSING],
        "properties": {name: _schema(hint, name) for name, hint in hints.items()},
    }


def _schema(kind: Any, name: str) -> dict[str, Any]:
    if isinstance(kind, UnionType):
        return {"anyOf": [_schema(get_args(kind)[0], name), {"type": "null"}]}
    if is_dataclass(kind):
        return _schema_of(kind)
    if get_origin(kind) is tuple:
        return {"type": "array", "items": _schema(get_args(kind)[0], name)}
    found: dict[str, Any] = {"type": JSON_NAMES[kind]}
    if kind is int:
        return found | {"minimum": -WHOLE_MOST, "maximum": WHOLE_MOST}
    if kind is str:
        found["maxLength"] = TEXT_MOST
        if name[-3:] in PATTERNS:
            found["pattern"] = PATTERNS[name[-3:]]
    return found
