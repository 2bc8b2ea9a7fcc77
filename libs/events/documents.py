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

BYTES_MOST = 64 * 1024 * 1024
"""Of a file that is read whole: the meters of a large city stay below it. Longer ones are given as
lines, which are read one at a time."""

YAML_CHARACTERS_MOST = 4_000_000


def read_text(path: Path, bytes_most: int = BYTES_MOST) -> str:
    """The text of a file, with one kind of line ends; of a longer one no more is read than shows
    that it is."""
    try:
        with path.open("rb") as source:
            content = source.read(bytes_most + 1)
    except OSError as error:
        fix = "name a file that you may read"
        raise BadInput(str(path), error.strerror or "cannot be read", fix) from None
    if len(content) > bytes_most:
        raise BadInput(str(path), f"has over {bytes_most} bytes", "give a smaller file")
    try:
        text = content.decode("utf-8-sig")  # editors on Windows begin with the mark
    except UnicodeDecodeError:
        raise BadInput(str(path), "is not UTF-8 text", "save it as UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(path: Path) -> Any:
    """The JSON document in a file."""
    return parse_json(read_text(path), str(path))


def parse_json(text: str | bytes, name: str, *, may_repeat: bool = False) -> Any:
    """The JSON document in a text; BadInput names where it is from. Of a name that is there twice
    nobody knows which value is meant: it is refused, unless the caller reads all of them itself."""
    if not text.strip():
        raise BadInput(name, "is empty", "write a JSON document")
    try:
        document = json.loads(text, object_pairs_hook=None if may_repeat else _members)
    except BadInput as twice:
        raise BadInput(f"{name}: {twice.field}", twice.problem, twice.fix) from None
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
    if len(text) > YAML_CHARACTERS_MOST:
        problem = f"is longer than {YAML_CHARACTERS_MOST} characters"
        raise BadInput(name, problem, example)
    try:
        return _TextLoader(text).get_single_data()
    except (yaml.YAMLError, ValueError, OverflowError) as wrong:  # a character that does not exist
        raise BadInput(name, " ".join(str(wrong).split()), "correct the YAML there") from None
    except RecursionError:
        raise BadInput(name, "it is nested too deeply", example) from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise BadInput(twice, "is there twice", "name each field once")
    return found


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
