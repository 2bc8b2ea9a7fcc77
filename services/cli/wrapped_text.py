"""Text in lines that fit a terminal; a Chinese character takes two columns and may end a line.

wrapped("功率因数 0.71，标准 0.90", 14)        ["功率因数", "0.71，标准", "0.90"]
"""

from __future__ import annotations

import re

from rich.cells import cell_len, chop_cells

CLOSING = "，。；：、？！）》”"
_WORD = re.compile(rf"(?:[^\s\u2e80-\uffff]+|[\u2e80-\uffff])[{CLOSING}]*\s*")
"""A word of letters, or one wide character; neither is parted from the marks that close it."""


def wrapped(text: str, columns: int) -> list[str]:
    """The text in lines of at most so many columns."""
    lines: list[str] = []
    current = ""
    for word in _WORD.findall(text):
        if current and cell_len(current + word.rstrip()) > columns:
            lines.append(current.rstrip())
            current = ""
        current += word
        if cell_len(current.rstrip()) > columns:
            *whole, current = chop_cells(current, columns)
            lines += whole
    return [*lines, current.rstrip()] if current.strip() else lines
