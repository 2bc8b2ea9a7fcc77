"""Which reading a relay was found by: the one that said how it stands, whatever came after it."""

from __future__ import annotations

from services.ingest.events import ReadingCollected, RelayFound
from tests.unit.ingest.desk import at, manual, only, opened, profile, reading


def test_a_relay_that_was_found_names_the_reading_that_says_so() -> None:
    """Not the profile that came after it."""
    desk = opened(intervals=True)
    for day, relay in ((0, "closed"), (1, "open")):
        desk.tick(at(day + 1, 1))
        desk.take(reading(day, at(day + 1, 1), relay=relay))
    only(desk.take(profile(1)), ReadingCollected)
    assert only(desk.tick(at(2, 1, 5)), RelayFound).reading_id == "r1"


def test_a_persons_reading_counts_once_though_a_profile_came_between() -> None:
    desk = opened(intervals=True)
    desk.tick(at(1, 1))
    only(desk.take(manual(0)), ReadingCollected)
    only(desk.take(profile(0)), ReadingCollected)
    assert desk.take(manual(0)) == []
