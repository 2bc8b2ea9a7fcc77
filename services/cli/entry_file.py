"""Files of entries for commands that need no broker: JSON lines, or one YAML or JSON document.

JSON lines are read one at a time, so memory stays flat however long the file is. A document is one
entry or a list of them. Numbers stay as they are written. What is wrong is a `BadInput` that names
the file and the line.

    for place, document in read_entries("usage.jsonl"):
        ...                                            "usage.jsonl line 1", {"account": ...}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from libs.events.documents import YAML_CHARACTERS_MOST, parse_yaml
from libs.events.errors import BadInput
from services.cli.row_file import STANDARD_INPUT, text_lines

EXAMPLE = "write it like docs/examples/tariffs"


def read_entries(path: str) -> Iterator[tuple[str, Any]]:
    """Each entry with the place it stands at; BadInput for a file that is empty or no text."""
    name = "standard input" if path == STANDARD_INPUT else path
    lines = text_lines(path, name)
    first = next(lines, "")
    if not first.strip():
        raise BadInput(name, "is empty", EXAMPLE)
    if _is_object(first):
        yield from _json_lines(chain([first], lines), name)
    else:
        yield from _document(chain([first], lines), name)


def _is_object(line: str) -> bool:
    """Whether a line is a JSON object by itself. One that is cut off is no document either."""
    if not line.lstrip().startswith("{"):
        return False
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return line.lstrip()[1:].strip() != ""
    return True


def _json_lines(lines: Iterable[str], name: str) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield f"{name} line {number}", _object(line, f"{name} line {number}")


def _object(line: str, place: str) -> Any:
    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise BadInput(place, "names a field twice", "name each field once")
        return found

    try:
        found = json.loads(line, parse_float=str, parse_int=str, object_pairs_hook=members)
        line_is_text = "\\u" not in line or bool(json.dumps(found, ensure_ascii=False).encode())
    except UnicodeEncodeError:
        line_is_text = False
    except (ValueError, RecursionError):
        fix = "write one whole object a line"
        raise BadInput(place, "is no JSON object", fix) from None
    if not line_is_text:
        raise BadInput(place, "has half of a character (\\ud800)", "write whole ones")
    if not isinstance(found, dict):
        raise BadInput(place, "is no JSON object", "write one whole object a line")
    return found


def _document(lines: Iterable[str], name: str) -> Iterator[tuple[str, Any]]:
    parts: list[str] = []
    size = 0
    for line in lines:
        size += len(line)
        if size > YAML_CHARACTERS_MOST:
            problem = f"is longer than {YAML_CHARACTERS_MOST} characters"
            raise BadInput(name, problem, "write JSON lines, one object a line")
        parts.append(line)
    found = parse_yaml("".join(parts), name, EXAMPLE)
    if found == []:
        raise BadInput(name, "has no entry", EXAMPLE)
    if isinstance(found, list):
        yield from ((f"{name} entry {number}", each) for number, each in enumerate(found, 1))
    else:
        yield name, found
