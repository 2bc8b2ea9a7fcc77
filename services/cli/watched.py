"""Progress of long input on standard error, when somebody watches: nothing in a pipe or a log."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

T = TypeVar("T")


def watched(rows: Iterable[T], what: str) -> Iterator[T]:
    """The rows as they are, counted on the terminal while they are read."""
    columns = (SpinnerColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(
        *columns,
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not sys.stderr.isatty(),
    ) as progress:
        yield from progress.track(rows, description=what)
