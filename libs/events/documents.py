"""Files that people hand in: text and JSON, or one `BadInput` that names the file and the fix.

    read_json(Path("meters.json"))        {"lines": [...]}
    read_json(Path("gbk.json"))           BadInput gbk.json: is not UTF-8 text (save it as UTF-8)

Every reader of such a file goes through here, so that a directory, an empty file, another encoding
and a file nested without end are told the same way everywhere.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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


def _refuse_halves(document: Any, name: str) -> None:
    """JSON can write half of a character pair (\\ud800), which no file or record can hold."""
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise BadInput(name, "has half of a character (\\ud800)", "write whole ones") from None
