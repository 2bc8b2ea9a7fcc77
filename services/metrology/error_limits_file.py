"""Reads a table of error limits from a CSV file: the one shipped with the service, or the user's.

    limits = load_error_limits()                 # services/metrology/data/meter_error_limits.csv
    limits = load_error_limits(Path("ours.csv"))

The id of the table is its file name and the first 12 digits of its SHA-256, so that a verdict names
the very table it was judged by.
"""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path

from libs.events.errors import BadInput
from services.metrology.error_limits import ErrorLimits, parse_error_limits

SHIPPED = Path(__file__).parent / "data" / "meter_error_limits.csv"


def load_error_limits(path: Path = SHIPPED) -> ErrorLimits:
    """The table in a file; BadInput names the file, and line and column where one is wrong."""
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
        return parse_error_limits(f"{path.name}@{digest}", lines)
    except csv.Error as error:
        raise BadInput(str(path), f"is no CSV: {error}", "check the quotes") from None
    except BadInput as error:
        raise BadInput(f"{path}: {error.field}", error.problem, error.fix) from None
