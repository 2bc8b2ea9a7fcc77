"""When a member is started, started again, or given time to end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.local.members import BackOff, Member


def test_the_delay_doubles_up_to_its_bound() -> None:
    back_off = BackOff(first_s=0.5, most_s=30.0, stable_s=10.0)
    delays = [back_off.delay_after(0.1) for _ in range(9)]
    assert delays == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_a_stable_run_makes_the_delay_short_again() -> None:
    back_off = BackOff(first_s=0.5, most_s=30.0, stable_s=10.0)
    assert [back_off.delay_after(ran) for ran in (0, 0, 9.9, 10.0, 0)] == [0.5, 1, 2, 0.5, 1]


@given(st.lists(st.floats(0, 100), max_size=2_000))
def test_the_delay_is_always_bounded(runs: list[float]) -> None:
    back_off = BackOff()
    for ran_s in runs:
        assert 0.5 <= back_off.delay_after(ran_s) <= 30.0


def member() -> Member:
    return Member(service="billing", ordinal=1)


def test_a_new_member_is_started_at_once() -> None:
    new = member()
    assert new.due(100.0) == "start"
    new.started(4711, "birth", 100.0)
    assert (new.state, new.due(1_000.0), new.row(103.25)["uptime_s"]) == ("running", "", 3.2)
    assert new.row(103.25)["restarts"] == 0


def test_a_dead_member_waits_and_counts_its_restart() -> None:
    found = member()
    found.started(4711, "birth", 100.0)
    found.died("SIGKILL", 101.0)
    assert (found.state, found.pid) == ("waiting", 0)
    assert found.due(101.4) == ""
    assert found.row(101.25)["next_start_s"] == 0.2
    assert found.due(101.5) == "start"
    found.started(4712, "birth", 101.5)
    row = found.row(101.5)
    assert (row["restarts"], row["last_exit"], row["pid"]) == (1, "SIGKILL", 4712)


def test_a_start_that_fails_waits_longer_each_time() -> None:
    found = member()
    found.start_failed("no memory", 100.0)
    assert (found.due(100.4), found.due(100.5)) == ("", "start")
    found.start_failed("no memory", 100.5)
    assert (found.due(101.4), found.due(101.5)) == ("", "start")
    assert found.row(101.0)["restarts"] == 0


def test_a_member_that_is_asked_to_end_is_killed_after_its_grace_time() -> None:
    found = member()
    found.started(4711, "birth", 100.0)
    found.asked_to_end(100.0, grace_s=10.0)
    assert (found.due(109.9), found.due(110.0)) == ("", "kill")
    found.died("SIGKILL", 110.0)
    assert (found.state, found.due(1_000.0)) == ("stopped", "")


def test_a_waiting_member_that_is_asked_to_end_never_starts() -> None:
    found = member()
    found.asked_to_end(100.0, grace_s=10.0)
    assert (found.state, found.due(1_000.0)) == ("stopped", "")
