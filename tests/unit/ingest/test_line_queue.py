"""Who gets a line next: examples by hand, and the laws under which nobody waits for ever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.line_queue import AGEING_MS, LineQueue, Priority

RELAY, ON_DEMAND, SCHEDULED, RETRY = Priority


def queue_of(*items: tuple[str, Priority, int], ageing_ms: int = AGEING_MS) -> LineQueue[str]:
    """A queue with items (name, priority, when it joined)."""
    queue = LineQueue[str](ageing_ms)
    for name, priority, at_ms in items:
        queue.join(name, priority, at_ms)
    return queue


def all_of(queue: LineQueue[str], now_ms: int) -> list[str]:
    """Everything, in the order it is taken."""
    found = []
    while (item := queue.take(now_ms)) is not None:
        found.append(item)
    return found


def test_the_more_urgent_goes_first_and_within_a_priority_who_came_first() -> None:
    queue = queue_of(
        ("retry", RETRY, 0), ("one", SCHEDULED, 1), ("two", SCHEDULED, 1), ("look", ON_DEMAND, 2),
        ("open", RELAY, 3), ("close", RELAY, 4),
    )  # fmt: skip
    assert len(queue) == 6
    assert queue.first(5) == "open"
    assert all_of(queue, 5) == ["open", "close", "look", "one", "two", "retry"]
    assert (len(queue), queue.first(5), queue.take(5)) == (0, None, None)


def test_who_pauses_is_not_there_yet() -> None:
    queue = LineQueue[str]()
    queue.join("again", RELAY, 1000, pause_ms=200)
    assert not queue.is_ready(1199)
    assert queue.take(1199) is None
    assert not queue.is_waited_for(SCHEDULED, 1199)
    assert queue.is_ready(1200)
    assert queue.is_waited_for(SCHEDULED, 1200)
    assert not queue.is_waited_for(RELAY, 1200)
    assert queue.take(1200) == "again"


def test_of_two_grants_at_most_one_passes_over_who_is_overdue() -> None:
    queue = queue_of(("r1", RETRY, 0), ("r2", RETRY, 1), ageing_ms=100)
    for number in range(4):
        queue.join(f"s{number}", SCHEDULED, 50)
    assert queue.take(99) == "s0"  # nobody is overdue yet
    assert [queue.take(100) for _ in range(3)] == ["s1", "r1", "s2"]  # r2 comes a moment later
    assert [queue.take(101) for _ in range(2)] == ["s3", "r2"]


def test_a_relay_command_waits_for_one_overdue_read_at_most() -> None:
    queue = queue_of(("r1", SCHEDULED, 0), ("r2", SCHEDULED, 0), ("open", RELAY, 60), ageing_ms=50)
    queue.join("close", RELAY, 70)
    assert all_of(queue, 80) == ["open", "r1", "close", "r2"]


JOINS = st.lists(st.tuples(st.sampled_from(Priority), st.integers(0, 500)), max_size=30)


@given(joins=JOINS, step_ms=st.integers(0, 60), ageing_ms=st.integers(0, 300))
def test_within_a_priority_the_order_is_that_of_joining(
    joins: list[tuple[Priority, int]], step_ms: int, ageing_ms: int
) -> None:
    queue = LineQueue[tuple[Priority, int]](ageing_ms)
    now_ms = 0
    for number, (priority, wait_ms) in enumerate(joins):
        now_ms += wait_ms
        queue.join((priority, number), priority, now_ms)
    taken = []
    while (item := queue.take(now_ms)) is not None:
        taken.append(item)
        now_ms += step_ms
    assert len(taken) == len(joins)
    for priority in Priority:
        numbers = [number for found, number in taken if found is priority]
        assert numbers == sorted(numbers)


@given(
    before=st.integers(0, 8),
    arrivals=st.lists(st.lists(st.sampled_from(Priority), max_size=3), min_size=60, max_size=60),
    step_ms=st.integers(1, 40),
    ageing_ms=st.integers(0, 400),
)
def test_nobody_starves_whatever_comes(
    before: int, arrivals: list[list[Priority]], step_ms: int, ageing_ms: int
) -> None:
    """With k items before it, an item has the line at most 2(k+1) grants after it is overdue."""
    queue = LineQueue[str](ageing_ms)
    for number in range(before):
        queue.join(f"before {number}", RETRY, 0)
    queue.join("it", RETRY, 0)
    grants_when_overdue = 0
    now_ms = 0
    for coming in arrivals:
        for priority in (RELAY, *coming):  # a relay command for every grant: the line is never free
            queue.join("other", priority, now_ms)
        item = queue.take(now_ms)
        assert item is not None
        if now_ms >= ageing_ms:
            grants_when_overdue += 1
        if item == "it":
            break
        assert grants_when_overdue < 2 * (before + 1)
        now_ms += step_ms


@given(joins=JOINS, ageing_ms=st.integers(0, 300), now_ms=st.integers(0, 20_000))
def test_a_relay_command_is_passed_over_once_at_most(
    joins: list[tuple[Priority, int]], ageing_ms: int, now_ms: int
) -> None:
    """From joining on: relay commands before it, and one overdue item between two of them."""
    queue = LineQueue[str](ageing_ms)
    for priority, at_ms in joins:
        queue.join("relay" if priority is RELAY else "read", priority, at_ms)
    queue.take(now_ms)
    now_ms = max(now_ms, 500)
    queue.join("it", RELAY, now_ms)
    before = []
    while (item := queue.take(now_ms)) != "it":
        before.append(item)
    assert "read read" not in " ".join(str(item) for item in before)
