"""Files that people hand in: text, JSON, YAML, or one `BadInput` that names the file and the fix.

    read_json(Path("meters.json"))        {"lines": [...]}
    read_json(Path("gbk.json"))           BadInput gbk.json: is not UTF-8 text (save it as UTF-8)

Every reader of such a file goes through here, so that a directory, an empty file, another encoding
and a file nested without end are told the same way everywhere.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from libs.events.errors import BadInput


def read_text(path: Path) -> str:
    """The text of a file."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        fix = "name a file that you may read"
        raise BadInput(str(path), error.strerror or "cannot be read", fix) from None
    except UnicodeDecodeError:
        raise BadInput(str(path), "is not UTF-8 text", "save it as UTF-8") from None
    return text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")  # editors on Windows begin with it


def read_json(path: Path) -> Any:
    """The JSON document in a file."""
    return parse_json(read_text(path), str(path))


def parse_json(text: str | bytes, name: str) -> Any:
    """The JSON document in a text; BadInput names where it is from."""
    if not text.strip():
        raise BadInput(name, "is empty", "write a JSON document")
    try:
        document = json.loads(text)
    except RecursionError:
        raise BadInput(name, "is nested too deeply", "write it like the examples") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise BadInput(name, f"is no JSON at {place}: {error.msg}", "correct it there") from None
    except UnicodeDecodeError:
        raise BadInput(name, "is not UTF-8 text", "save it as UTF-8") from None
    except ValueError as error:  # a number of more digits than Python reads
        problem = f"is no JSON: {str(error).partition(';')[0]}"
        raise BadInput(name, problem, "write shorter numbers") from None
    _refuse_halves(document, name)
    return document


def parse_yaml(text: str, name: str, example: str) -> Any:
    """The YAML document in a text, with every scalar as the text that it is written as: no number
    passes through a binary float and no day becomes something else. None: there is nothing in it.
    BadInput names where it is from; `example` says what to write it like."""
    try:
        return _TextLoader(text).get_single_data()
    except (yaml.YAMLError, ValueError, OverflowError) as wrong:  # a character that does not exist
        raise BadInput(name, " ".join(str(wrong).split()), "correct the YAML there") from None
    except RecursionError:
        raise BadInput(name, "it is nested too deeply", example) from None


def _refuse_halves(document: Any, name: str) -> None:
    """JSON can write half of a character pair (\\ud800), which no file or record can hold."""
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadInput(name, "has half of a character (\\ud800)", "write whole ones") from None


class _TextLoader(yaml.BaseLoader):
    """Keeps every scalar as written; refuses aliases (they can explode) and doubled keys."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.get_mark()
            raise yaml.MarkedYAMLError(problem="aliases are not used here", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(
                    problem="a name must be a word", problem_mark=node.start_mark
                )
            if key.value in seen:
                problem = f"{key.value!r} is given twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)
