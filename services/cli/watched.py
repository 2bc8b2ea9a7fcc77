"""Progress of long input on standard error, when somebody watches: nothing in a pipe or a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

T = TypeVar("T")


def watched(
    rows: Iterable[T], what: str, size: Callable[[T], int] | None = None, *, prints: bool = False
) -> Iterator[T]:
    """The rows as they are, counted on the terminal while they are read; `size`: for how many one
    counts. prints: they are printed meanwhile, which shows on a terminal itself how far it is."""
    if not sys.stderr.isatty() or (prints and sys.stdout.isatty()):
        yield from rows
        return
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.completed:,.0f} {task.description}"),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,  # which goes to a file, maybe
        redirect_stderr=False,
    ) as progress:
        if size is None:
            yield from progress.track(rows, description=what)
            return
        task = progress.add_task(what, total=None)
        for row in rows:
            yield row
            progress.advance(task, size(row))
