"""The policies of all cores as rows and as a file: what people may set, with defaults and meaning.

gridledger config policy
gridledger config policy --example > policy.yaml
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from libs.events.policy import Term, values_of
from services.cores import load_policy
from services.policy_file import SECTIONS

Row = dict[str, Any]

HEAD = """\
# The policy of every core: what people may set, with its defaults. Keep the lines that you change
# and set GRIDLEDGER_POLICY_FILE to this file, for all services and for `gridledger audit replay`.
# UNCONFIRMED: no source settles this value; confirm it before you go live.
# A list or a {table} replaces the default one. Made by `gridledger config policy --example`.
"""


def policy_rows(file: Path | None) -> list[Row]:
    """One row a value: where it stands, its value now and by default, meaning and source."""
    rows = []
    for section in SECTIONS:
        known = load_policy(section, file)
        defaults = dict(values_of(known.default))
        for path, value in values_of(known.policy):
            if path not in known.terms:
                continue  # where a rule's thresholds come from: told as their source
            term = known.terms[path]
            rows.append(
                {
                    "name": f"{section}.{path}",
                    "value": plain(value),
                    "default": plain(defaults.get(path, "")),
                    "meaning": term.meaning,
                    "source": term.source,
                    "unconfirmed": term.is_unconfirmed,
                }
            )
    return rows


def plain(value: Any) -> Any:
    """A value as JSON and YAML have it: pairs become a table, a tuple a list."""
    if isinstance(value, tuple):
        if value and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value):
            return {name: plain(held) for name, held in value}
        return [plain(held) for held in value]
    return value if isinstance(value, bool | int | str) else str(value)


def example_text() -> str:
    """The policy file with every default, a comment before each value."""
    lines = [HEAD.rstrip("\n")]
    for section in SECTIONS:
        known = load_policy(section, None)
        lines += ["", f"{section}:", *_lines(known.default, known.terms, "", "  ")]
    return "\n".join(lines) + "\n"


def _lines(value: Any, terms: dict[str, Term], path: str, indent: str) -> Iterator[str]:
    inner = value
    if is_dataclass(value):
        inner = {field.name: getattr(value, field.name) for field in fields(value)}
    for name, held in inner.items():
        place = f"{path}.{name}" if path else name
        if is_dataclass(held) or isinstance(held, dict):
            below = list(_lines(held, terms, place, f"{indent}  "))
            if below:
                yield f"{indent}{name}:"
                yield from below
        elif place in terms:
            term = terms[place]
            yield f"{indent}# {term.meaning}. {term.source}"
            # What is not set cannot be written as a value: the line is there to be completed.
            yield f"{indent}{name}: {shown(plain(held))}" if held != "" else f"{indent}# {name}:"


def shown(value: Any) -> str:
    """A value on one line, as YAML and people read it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {shown(held)}" for name, held in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(shown(held) for held in value) + "]"
    return str(value)
