"""Reads the Fn tables shipped with the package, or a user's own: `layouts.csv`, `events.csv`."""

from __future__ import annotations

import csv
import io
from functools import lru_cache
from pathlib import Path

from libs.events.errors import BadInput
from services.ingest.protocols.qgdw376.layouts import Layouts, parse_layouts

SHIPPED = Path(__file__).parent / "layouts.csv"
EVENT_NAMES = Path(__file__).parent / "events.csv"


@lru_cache(maxsize=8)
def load_layouts(path: Path = SHIPPED) -> Layouts:
    """The table in a file; BadInput names the file, the line and the column."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInput(str(path), f"cannot be read: {error.strerror}", "give a file") from None
    except UnicodeDecodeError:
        raise BadInput(str(path), "is no UTF-8 text", "save it as UTF-8") from None
    try:
        return parse_layouts(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise BadInput(str(path), f"is no CSV: {error}", "check the quotes") from None
    except BadInput as wrong:
        raise BadInput(f"{path}: {wrong.field}", wrong.problem, wrong.fix) from None


@lru_cache(maxsize=1)
def load_event_names() -> dict[int, str]:
    """The names of event records (ERC), by number."""
    with EVENT_NAMES.open(encoding="utf-8", newline="") as file:
        return {int(row["erc"]): row["name"] for row in csv.DictReader(file)}
