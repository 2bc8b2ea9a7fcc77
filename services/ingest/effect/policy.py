"""How a relay command is carried out: configuration with documented defaults.

All values are configuration with these defaults; none is a statute.

    DEFAULT_POLICY.clock_margin_min    2
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.policy import Term, check_ranges


@dataclass(frozen=True, slots=True)
class ExecutorPolicy:
    """When a command is refused at the meter and when its outcome is looked at. TERMS says what
    each value means and where it comes from."""

    clock_margin_min: int = 2
    look_again_min: int = 30
    relay_settle_ms: int = 200
    looks: int = 3

    def __post_init__(self) -> None:
        check_ranges(self, TERMS)


TERMS: dict[str, Term] = {
    "clock_margin_min": Term(
        "a meter whose clock is off by more minutes gets no disconnect; its expiry is judged by it",
        "UNCONFIRMED: DESIGN 4 asks for a margin; domain.md 2, rule 1, fails a clock at 5 minutes",
        0,
        30,
    ),
    "look_again_min": Term(
        "minutes until a meter that does not tell its relay is looked at again",
        "UNCONFIRMED: often enough for a person who waits, seldom enough for the line",
        1,
        24 * 60,
    ),
    "relay_settle_ms": Term(
        "milliseconds that a relay is given to move between two looks",
        "UNCONFIRMED: by the type of the meter",
        0,
        60_000,
    ),
    "looks": Term("how often the relay is read right after a command", "UNCONFIRMED: three", 1, 20),
}
"""What each value means and where it comes from."""

DEFAULT_POLICY = ExecutorPolicy()
