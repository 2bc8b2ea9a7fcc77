"""What happens to the accounts of a simulated town: one story each."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.simulation import prepaid


@dataclass(slots=True)
class Story:
    """What happens to one account. pays_at: the phase in which it pays; -1 never.

    opens, closes: what ingest reports of open and close commands, one after the other; acts: what
    people do besides the chain, by phase; clears: how payments answer the first clearance;
    quietly: a credit settles the debt, nothing is captured; corrected_at: metrology proposes a
    correction in this phase, which is refused in the next; storm_at: an alarm is raised in its
    area, which ends in the next; silent_at: its meter stops to answer; ordered_at: an order may be
    paid from this phase to the next.
    """

    name: str
    pays_at: int = -1
    part_fen: int = 0
    opens: tuple[tuple[str, str], ...] = (("confirmed", "open"),)
    closes: tuple[tuple[str, str], ...] = (("confirmed", "closed"),)
    acts: dict[int, tuple[tuple[str, str, dict[str, str]], ...]] = field(default_factory=dict)
    clears: str = "by the book"
    skips: tuple[str, ...] = ()
    terms: dict[str, str] = field(default_factory=dict)
    opening: tuple[str, ...] = ()
    found_at: int = -1
    quietly: bool = False
    corrected_at: int = -1
    storm_at: int = -1
    silent_at: int = -1
    ordered_at: int = -1


WORKS = {"reason": "works", "unit": "works"}
KEPT = ("keep_supply", "server", {"reason": "life support"})
NOT_KEPT = ("end_keep_supply", "unit_head", {"reason": "moved"})
DISPUTED = ("raise_dispute", "server", {"reason": "paid", "request_id": "dispute"})


def dispute_decided(decision: str) -> tuple[str, str, dict[str, str]]:
    """Another person decides the dispute."""
    details = {"dispute_id": "dispute", "decision": decision, "reason": "looked at"}
    return ("decide_dispute", "reviewer", details)


def protected_until(day_on: str) -> tuple[str, str, dict[str, str]]:
    """The head of a unit protects the customer up to a day."""
    return ("protect", "unit_head", {"kind": "school", "until_on": day_on, "legal_basis": "term"})


STORIES = (
    *(Story(f"pays in phase {phase}", pays_at=phase) for phase in range(1, 8)),
    Story("pays while the outcome is unknown", 6, opens=(("unknown", ""), ("confirmed", "open"))),
    Story("pays a part after the grant", clears="withdrawn", part_fen=500),
    Story("pays a part and it opens", clears="withdrawn late", part_fen=500, pays_at=7),
    Story("payments hesitate", clears="order open", pays_at=7),
    Story("payments say nothing", clears="nothing"),
    Story("the relay does not move", opens=(("not_confirmed", "closed"),)),
    Story("ingest refuses", opens=(("refused", ""),)),
    Story("nobody knows", opens=(("unknown", ""),)),
    Story("the button", 7, closes=(("waiting_for_button", "open"), ("confirmed", "closed"))),
    Story("still open", 7, closes=(("unknown", ""), ("not_confirmed", "open"))),
    Story(
        "works",
        7,
        acts={6: (("place_hold", "server", WORKS),), 8: (("release_hold", "server", WORKS),)},
    ),
    Story(
        "works only",
        acts={1: (("place_hold", "server", WORKS),), 6: (("release_hold", "server", WORKS),)},
        skips=("request_disconnect",),
    ),
    Story(
        "locked", 7, acts={6: (("lock_point", "server", {}),), 8: (("unlock_point", "server", {}),)}
    ),
    Story("high voltage", 7, terms={"voltage": "10kv", "method": "terminal_output"}),
    Story("protected", terms={"protected": "hospital"}),
    Story("never served", skips=("serve_notice",)),
    Story("not approved", skips=("unit_head",)),
    Story("refused", acts={4: (("refuse", "reviewer", {"reason": "no"}),)}),
    Story("called off", acts={4: (("cancel", "requester", {"reason": "no"}),)}),
    Story(
        "a credit while the outcome is unknown",
        6,
        opens=(("unknown", ""), ("refused", "")),
        quietly=True,
    ),
    Story(
        "works while it closes",
        7,
        closes=(("unknown", ""), ("confirmed", "closed")),
        acts={7: (("place_hold", "server", WORKS),), 9: (("release_hold", "server", WORKS),)},
    ),
    Story("brought along", 7, skips=("request_disconnect",), opening=("arrears", "vacated")),
    Story("in doubt", corrected_at=4),
    Story("in doubt while it is cut", corrected_at=5),
    Story("pays just now", ordered_at=4),
    Story("pays while it is cut", ordered_at=5),
    Story("a storm", storm_at=4),
    Story("a storm while it is cut", storm_at=5),
    Story("the meter is silent", silent_at=4),
    Story("disputed", acts={4: (DISPUTED,), 5: (dispute_decided("dismissed"),)}),
    Story("disputed while it is cut", acts={5: (DISPUTED,), 6: (dispute_decided("upheld"),)}),
    Story(
        "protected for a time",
        acts={4: (protected_until("2026-03-12"),), 6: (protected_until("2026-03-11"),)},
    ),
    Story("kept supplied", acts={4: (KEPT,), 6: (NOT_KEPT,)}),
    Story("kept while it is cut", acts={5: (KEPT,), 6: (NOT_KEPT,)}),
    Story("limited", acts={1: (("limit_load", "reviewer", {"reason": "debt", "limit_w": "900"}),)}),
    Story(
        prepaid.NAME,
        skips=("request_disconnect", "reviewer", "unit_head", "serve_notice", "serve_final_notice"),
        terms={"mode": "prepaid_remote"},
    ),
    Story("found open", skips=("request_disconnect",), found_at=5),
)
