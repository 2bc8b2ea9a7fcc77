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
from typing import TypeVar, TypeVarTuple

Arguments = TypeVarTuple("Arguments")
T = TypeVar("T")


def once_per(kept: int) -> Callable[[Callable[[*Arguments], T]], Callable[[*Arguments], T]]:
    """Remember what a function gives for `kept` sets of arguments: by which objects they are, not
    by what these equal. Neither arguments nor result may be changed afterwards."""

    def remember(function: Callable[[*Arguments], T]) -> Callable[[*Arguments], T]:
        known: dict[tuple[int, ...], tuple[tuple[*Arguments], T]] = {}

        @wraps(function)
        def asked(*arguments: *Arguments) -> T:
            place = tuple(map(id, arguments))
            found = known.get(place)
            if found is None:
                if len(known) >= kept:
                    known.clear()
                # The arguments are kept too: as long as they are, nothing else has their ids.
                found = known[place] = arguments, function(*arguments)
            return found[1]

        return asked

    return remember
