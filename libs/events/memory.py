"""What a pure function found, remembered for arguments that cannot be hashed.

A state is made of frozen classes and dictionaries that nobody changes: an event makes new ones. So
the same object always means the same data, and what follows from it need not be found again.

    @once_per(4096)
    def chain_of(supplies): ...
    chain_of(point.supplies) is chain_of(point.supplies)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

A = TypeVar("A")
T = TypeVar("T")


def once_per(kept: int) -> Callable[[Callable[[A], T]], Callable[[A], T]]:
    """Remember what a function of one argument gives for `kept` objects: by which object it is, not
    by what it equals. Neither argument nor result may be changed afterwards."""

    def remember(function: Callable[[A], T]) -> Callable[[A], T]:
        known: dict[int, tuple[A, T]] = {}

        @wraps(function)
        def asked(argument: A) -> T:
            found = known.get(id(argument))
            if found is None:
                if len(known) >= kept:
                    known.clear()
                # The argument is kept too: as long as it is, no other object has its id.
                found = known[id(argument)] = argument, function(argument)
            return found[1]

        return asked

    return remember
