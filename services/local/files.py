"""Small files that outlive their writer: replaced in one step, read with a clear error.

write_json(run_dir / "members.json", rows)      # a reader sees the old or the new, never half
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from libs.events.errors import BadInput, Refused

LOG_BYTES_MAX = 20_000_000


def make_dir(directory: Path, *, mode: int = 0o755) -> Path:
    """Make a directory with its parents; BadInput when that is not allowed."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=mode)
    except OSError as error:
        raise BadInput(
            "data", f"{directory}: {error.strerror}", "name a directory you may write"
        ) from error
    return directory


def write_json(file: Path, value: object, *, mode: int = 0o644) -> None:
    """Replace a file by a value as JSON."""
    write_text(file, json.dumps(value, indent=1) + "\n", mode=mode)


def write_text(file: Path, text: str, *, mode: int = 0o644) -> None:
    """Replace a file in one step."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as out:
        out.write(text)
    beside.replace(file)


def read_json(file: Path) -> Any:
    """The content of a file that must be there and whole; Refused with the fix otherwise."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Refused(f"{file} is not readable ({error}): delete it or restore it") from error


def read_json_if_whole(file: Path) -> Any:
    """The content of a file that another program writes; None when missing or not JSON."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def rotate_log(log_file: Path) -> int:
    """Keep one older log of at most 20 MB; returns the byte where the next start writes."""
    if not log_file.exists():
        return 0
    if log_file.stat().st_size > LOG_BYTES_MAX:
        log_file.replace(log_file.with_suffix(".log.1"))
        return 0
    return log_file.stat().st_size


def rotate_open_log(log_file: Path) -> None:
    """The same for a log that a program has open for appending: copied, then cut."""
    if log_file.exists() and log_file.stat().st_size > LOG_BYTES_MAX:
        shutil.copyfile(log_file, log_file.with_suffix(".log.1"))
        os.truncate(log_file, 0)


def read_from(log_file: Path, offset: int) -> str:
    """The text that a log file has from a byte offset on."""
    with log_file.open("rb") as log:
        log.seek(offset)
        return log.read().decode("utf-8", errors="replace")
