"""A settlement file as it lies on a disk: opened, unpacked, hashed and decoded, in one pass.

gzip and zip are recognised by their first bytes. Hashes are of the unpacked bytes: so WeChat
declares its SHA-1 (payments.md 1.4), and a bill that is packed again is the same bill. Of a zip of
Alipay the business detail is read; names in it are GBK. A pass holds one line at a time.

    with opened("bill.zip") as file:
        for line in file.lines("gb18030"): ...
        file.hashes()
"""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import struct
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, BinaryIO

from libs.events.errors import BadInput

STANDARD_INPUT = "-"
LINE_BYTES_MAX = 1_000_000
CHUNK_BYTES = 1 << 16
GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
DAMAGES = (EOFError, OSError, zlib.error, lzma.LZMAError, struct.error, zipfile.BadZipFile)
"""What the unpackers of the standard library raise for bytes that were changed on the way."""
DETAIL, SUMMARY = "业务明细", "汇总"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """An open file that can be read again from its beginning."""

    name: str
    file: IO[bytes]

    def hashes(self) -> tuple[str, str]:
        """SHA-256, the identity of the content, and SHA-1, both over the unpacked bytes."""
        sha256, sha1 = hashlib.sha256(), hashlib.sha1(usedforsecurity=False)
        with self._unpacked() as plain:
            try:
                while chunk := plain.read(CHUNK_BYTES):
                    sha256.update(chunk)
                    sha1.update(chunk)
            except DAMAGES:
                raise BadInput(self.name, "is damaged", "fetch it again") from None
        return sha256.hexdigest(), sha1.hexdigest()

    def lines(self, encoding: str) -> Iterator[str]:
        """The lines of the text, from the beginning."""
        with self._unpacked() as plain:
            try:
                yield from self._decoded(plain, encoding)
            except DAMAGES:
                raise BadInput(self.name, "is damaged", "fetch it again") from None

    def _decoded(self, plain: IO[bytes], encoding: str) -> Iterator[str]:
        number = 0
        while raw := plain.readline(LINE_BYTES_MAX):
            number += 1
            place = f"{self.name} line {number}"
            if len(raw) == LINE_BYTES_MAX:
                raise BadInput(place, "is too long", "give the file as it was fetched")
            try:
                text = raw.decode(encoding)
            except UnicodeDecodeError:
                fix = "give the file as it was fetched, not saved by another program"
                raise BadInput(place, f"is not {encoding.upper()} text", fix) from None
            if "\0" in text:
                raise BadInput(place, "has a zero byte", "give the file as it was fetched")
            yield text

    @contextmanager
    def _unpacked(self) -> Iterator[IO[bytes]]:
        self.file.seek(0)
        begin = self.file.read(4)
        self.file.seek(0)
        if begin.startswith(GZIP):
            with gzip.open(self.file) as plain:
                yield io.BufferedReader(plain)
        elif begin.startswith(ZIP):
            with self._inner() as plain:
                yield plain
        else:
            yield self.file

    @contextmanager
    def _inner(self) -> Iterator[IO[bytes]]:
        """The one file of a zip that holds the rows."""
        try:
            archive = zipfile.ZipFile(self.file, metadata_encoding="gbk")
        except (*DAMAGES, ValueError, RuntimeError):
            raise BadInput(self.name, "is a damaged zip", "fetch it again") from None
        with archive:
            names = [name for name in archive.namelist() if name.endswith(".csv")]
            wanted = [name for name in names if SUMMARY not in name]
            if len(wanted) != 1:
                problem = f"has {len(wanted)} files of rows, not 1"
                raise BadInput(self.name, problem, f"give the zip with one {DETAIL}.csv")
            try:
                plain = archive.open(wanted[0])
            except RuntimeError:  # NotImplementedError is one
                problem = "has a password or a method that is not known"
                raise BadInput(self.name, problem, "unpack it first") from None
            except (*DAMAGES, ValueError):
                raise BadInput(self.name, "is a damaged zip", "fetch it again") from None
            with plain:
                yield plain


@contextmanager
def opened(path: str) -> Iterator[SourceFile]:
    """The file, or standard input kept on the disk meanwhile: a file is read more than once."""
    if path == STANDARD_INPUT:
        with tempfile.TemporaryFile() as kept:
            _copy(sys.stdin.buffer, kept)
            yield SourceFile("standard input", kept)
        return
    try:
        file = open(path, "rb")  # noqa: SIM115
    except OSError as error:
        fix = "name a file that you may read, or - for standard input"
        raise BadInput(path, error.strerror or "cannot be read", fix) from None
    with file:
        if not file.seekable():
            with tempfile.TemporaryFile() as kept:
                _copy(file, kept)
                yield SourceFile(path, kept)
            return
        yield SourceFile(path, file)


def _copy(source: BinaryIO | IO[bytes], target: IO[bytes]) -> None:
    while chunk := source.read(CHUNK_BYTES):
        target.write(chunk)
