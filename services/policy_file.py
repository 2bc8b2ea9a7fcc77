"""The policy file: what people set of the numbers that the cores decide by.

A YAML file with a section for each core, every value optional; docs/policy.example.yaml has all of
them. `GRIDLEDGER_POLICY_FILE` names it. What is not set keeps its documented default::

    control:
      overdue_days: 45
      no_cut_on: [2026-10-01, 2026-10-02]

A section and its values by name are laid over the default; a list, and a table of names, takes the
default's place. Scalars are taken as they are written, so no number passes through a binary float
and no day becomes something else. BadInput names the file, the field and the fix.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import is_dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from libs.events.documents import parse_yaml, read_text
from libs.events.errors import BadInput

P = TypeVar("P")
SECTIONS = (
    "control",
    "control.limits",
    "payments",
    "payments.settlement",
    "billing",
    "ingest",
    "ingest.effect",
    "validation",
    "validation.areas",
    "metrology",
    "console",
)
"""The cores that have a policy, and what the console counts by."""

_WHOLE = re.compile(r"-?[0-9]{1,18}")
_DECIMAL = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?")
_BOOLEANS = {"true": True, "false": False}


def policy_of(file: Path | None, section: str, default: P) -> P:
    """The policy of a core: the default, or what the file says of it."""
    assert section in SECTIONS, section
    if file is None:
        return default
    document = _document(file)
    for name in document:
        if name not in SECTIONS:
            raise _unknown(f"{file}: {name}", "section", str(name), SECTIONS)
    given = document.get(section, "")
    try:
        found: P = _section(type(default), given, default, section)
    except BadInput as wrong:
        raise BadInput(f"{file}: {wrong.field}", wrong.problem, wrong.fix) from None
    return found


def _document(file: Path) -> dict[str, Any]:
    document = parse_yaml(read_text(file), str(file), "write it like docs/policy.example.yaml")
    if document is None:
        return {}
    if not isinstance(document, dict):
        fix = f"begin with a section: one of {', '.join(SECTIONS)}"
        raise BadInput(str(file), "it has no sections", fix)
    return document


def _section(kind: Any, given: Any, default: Any, place: str) -> Any:
    """A dataclass: what is given laid over the default, field by field."""
    hints = get_type_hints(kind)
    values = {} if default is None else {name: getattr(default, name) for name in hints}
    for name, value in _mapping(given, place).items():
        if name not in hints:
            raise _unknown(f"{place}.{name}", "field", name, hints)
        values[name] = _value(hints[name], value, values.get(name), f"{place}.{name}")
    try:
        return kind(**values)
    except BadInput as wrong:
        raise BadInput(f"{place}.{wrong.field}", wrong.problem, wrong.fix) from None


def _value(hint: Any, given: Any, default: Any, place: str) -> Any:
    if is_dataclass(hint):
        return _section(hint, given, default, place)
    if get_origin(hint) is dict:
        return _table(get_args(hint)[1], given, default, place)
    if get_origin(hint) is tuple:
        return _tuple(get_args(hint)[0], given, place)
    return _scalar(hint, given, place)


def _table(inner: Any, given: Any, default: dict[str, Any] | None, place: str) -> dict[str, Any]:
    """Names of which each has a default; other names only for texts (notes), where nothing is named
    by default, and for a dataclass that says `ANY_NAME` (all its fields have defaults)."""
    values = dict(default or {})
    is_open = not values or inner is str or hasattr(inner, "ANY_NAME")
    for name, value in _mapping(given, place).items():
        if name not in values and not is_open:
            raise _unknown(f"{place}.{name}", "field", name, values)
        values[name] = _value(inner, value, values.get(name), f"{place}.{name}")
    return values


def _tuple(inner: Any, given: Any, place: str) -> tuple[Any, ...]:
    """A list; or a table of names, which stands in the dataclass as pairs."""
    if get_origin(inner) is tuple:
        if given == "":
            raise BadInput(
                place, "nothing is no table", "write `name: value` lines, or {} for none"
            )
        held = get_args(inner)[1]
        pairs = _mapping(given, place).items()
        return tuple((name, _value(held, value, None, f"{place}.{name}")) for name, value in pairs)
    if not isinstance(given, list):
        raise BadInput(place, f"{_shown(given)} is no list", "write [a, b], or [] for none")
    return tuple(_value(inner, value, None, f"{place}[{n}]") for n, value in enumerate(given))


def _scalar(hint: Any, given: Any, place: str) -> Any:
    text = given if isinstance(given, str) else ""
    if hint is bool and text in _BOOLEANS:
        return _BOOLEANS[text]
    if hint is int and _WHOLE.fullmatch(text):
        return int(text)
    if hint is Decimal and _DECIMAL.fullmatch(text):
        return Decimal(text)
    if hint is str and text.strip():
        return text
    wanted = {
        bool: ("neither true nor false", "give true or false"),
        int: ("no whole number", "write digits, as 30"),
        Decimal: ("no decimal number", "write digits and a point, as 0.5"),
        str: ("no text", "write a word"),
    }
    problem, fix = wanted[hint]
    raise BadInput(place, f"{_shown(given)} is {problem}", fix)


def _mapping(given: Any, place: str) -> dict[str, Any]:
    if given == "":
        return {}
    if not isinstance(given, dict):
        raise BadInput(place, f"{_shown(given)} has no fields", "write `name: value` lines in it")
    return given


def _shown(given: Any) -> str:
    if isinstance(given, str):
        return repr(given[:60]) if given else "nothing"
    return "a list" if isinstance(given, list) else "a table"


def _unknown(place: str, what: str, name: str, known: Iterable[str]) -> BadInput:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    fix = f"{hint}`gridledger config policy` lists them"
    return BadInput(place, f"no such {what}", fix)
