"""How many homes of one transformer area may be cut off in an hour without a separate approval.

DEFAULT_POLICY.opens_per_hour    3
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.policy import UNCONFIRMED, Term, check_ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitPolicy:
    """The cap of the limit stage. TERMS says what it means and where it comes from."""

    opens_per_hour: int = 3

    def __post_init__(self) -> None:
        check_ranges(self, TERMS)


TERMS: dict[str, Term] = {
    "opens_per_hour": Term(
        "so many relays of one transformer area may be told to open in an hour of the clock; "
        "more only by a separate approval for each",
        f"DESIGN 4: a cap on cut-offs per hour and area; {UNCONFIRMED}: the number",
        0,
        10_000,
    ),
}
"""What each value means and where it comes from."""

DEFAULT_POLICY = LimitPolicy()
