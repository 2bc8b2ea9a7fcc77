"""The bytes of a capture: hex text, a file or standard input, read piece by piece.

What a file is, its beginning decides: only printable ASCII, tabs and line ends (a UTF-8 byte order
mark before them is dropped) means text of hex digits, where spaces, line ends, colons, commas and
hyphens may stand between digits and `0x` before a byte; anything else means bytes as they came.
(Every protocol here has bytes that no text has, in each frame.) BadInput names the line and column
of what is neither digit nor separator, and text in UTF-16.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from libs.events.errors import BadInput

STANDARD_INPUT = "-"
PIECE_BYTES = 65_536
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_TEXT = frozenset((*range(0x20, 0x7F), 0x09, 0x0A, 0x0D))
_DIGITS = frozenset(b"0123456789abcdefABCDEF")
_BETWEEN = frozenset(b" \t\r\n:,-")


def read_capture(words: list[str]) -> Iterator[bytes]:
    """The bytes of `-`, of the one file that is named, or of hex digits given as arguments."""
    if words == [STANDARD_INPUT]:
        yield from _read(sys.stdin.buffer, "standard input")
        return
    text = " ".join(words)
    path = Path(text)
    if _is_there(path):
        with path.open("rb") as file:
            yield from _read(file, text)
        return
    if not set(text.encode("utf-8")) <= _DIGITS | _BETWEEN | set(b"xX"):
        raise BadInput(text[:60], "is neither a file nor hex digits", "name a file, or give hex")
    digits = HexText("hex")
    yield digits.feed(text.encode("ascii"))
    digits.end()


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long for a name: it is the hex itself
        return False


def _read(file: BinaryIO, name: str) -> Iterator[bytes]:
    piece = file.read(PIECE_BYTES)
    if not piece:
        raise BadInput(name, "is empty", "give a capture with at least one frame")
    if piece[:2] in (b"\xff\xfe", b"\xfe\xff") and set(piece[2:].replace(b"\0", b"")) <= _TEXT:
        raise BadInput(name, "is text in UTF-16", "save it as UTF-8")
    piece = piece.removeprefix(_BYTE_ORDER_MARK)
    if not set(piece) <= _TEXT:
        while piece:
            yield piece
            piece = file.read(PIECE_BYTES)
        return
    digits = HexText(name)
    while piece:
        yield digits.feed(piece)
        piece = file.read(PIECE_BYTES)
    digits.end()


class HexText:
    """Hex digits that come in pieces, to bytes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._line, self._column = 1, 0
        self._half = -1

    def feed(self, text: bytes) -> bytes:
        """The whole bytes of a piece; half a byte waits for the next."""
        found = bytearray()
        for byte in text:
            self._column += 1
            if byte in _DIGITS:
                self._digit(int(chr(byte), 16), found)
            elif byte in b"xX" and self._half == 0:
                self._half = -1  # `0x` says nothing
            elif byte not in _BETWEEN or self._half >= 0:
                raise self._wrong(byte)
            if byte == 0x0A:
                self._line, self._column = self._line + 1, 0
        return bytes(found)

    def _digit(self, digit: int, found: bytearray) -> None:
        if self._half < 0:
            self._half = digit
        else:
            found.append(self._half << 4 | digit)
            self._half = -1

    def end(self) -> None:
        """BadInput when half a byte is left over."""
        if self._half >= 0:
            raise self._wrong(None)

    def _wrong(self, byte: int | None) -> BadInput:
        place = f"{self._name} line {self._line} column {self._column}"
        if self._half >= 0:
            return BadInput(place, "a byte with one hex digit only", "write two digits a byte")
        return BadInput(place, f"{chr(byte or 0)!a} is no hex digit", "give hex digits only")
