"""Reads a table of error limits from a CSV file: one shipped with the service, or the user's.

    limits = load_error_limits()                 # services/metrology/data/meter_error_limits.csv
    limits = load_error_limits(Path("ours.csv"))
    limits = load_transformer_limits()           # services/metrology/data/ct_vt_error_limits.csv

The id of the table is its file name and the first 12 digits of its SHA-256, so that a verdict names
the very table it was judged by.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from libs.events.errors import BadInput
from services.metrology.error_limits import ErrorLimits, parse_error_limits
from services.metrology.transformer_judgement import TransformerLimits, parse_transformer_limits

DATA = Path(__file__).parent / "data"
SHIPPED = DATA / "meter_error_limits.csv"
SHIPPED_REACTIVE = DATA / "reactive_error_limits.csv"
SHIPPED_TRANSFORMERS = DATA / "ct_vt_error_limits.csv"

T = TypeVar("T")


def load_error_limits(path: Path = SHIPPED) -> ErrorLimits:
    """The table in a file; BadInput names the file, and line and column where one is wrong."""
    return _load(path, parse_error_limits)


def load_transformer_limits(path: Path = SHIPPED_TRANSFORMERS) -> TransformerLimits:
    """The same for instrument transformers."""
    return _load(path, parse_transformer_limits)


def _load(path: Path, parse: Callable[[str, Iterable[Mapping[str, str]]], T]) -> T:
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise BadInput(str(path), problem, "give a readable file") from None
    except UnicodeDecodeError:
        raise BadInput(str(path), "is no UTF-8 text", "save it as UTF-8") from None
    digest = hashlib.sha256(content).hexdigest()[:12]
    try:
        lines = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
        return parse(f"{path.name}@{digest}", lines)
    except csv.Error as error:
        raise BadInput(str(path), f"is no CSV: {error}", "check the quotes") from None
    except BadInput as error:
        raise BadInput(f"{path}: {error.field}", error.problem, error.fix) from None
