"""What is dated after it was told is rejected, and takes nothing that comes later with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from libs.events.errors import BadInput
from services.metrology.dated_ahead import check_past
from services.metrology.events import (
    DeviceMoved,
    MeterJudged,
    MoveRejected,
    RunRejected,
    SealMoved,
    SealRejected,
)
from services.metrology.judgement import local_day
from services.metrology.policy import Policy
from tests.unit.metrology_core.lab import Lab, meter, move, run, seal

RECEIVED_AT = "2026-03-01T03:00:00Z"


def test_an_hour_is_believed_and_no_second_more() -> None:
    check_past("at", "2026-03-01T04:00:00Z", RECEIVED_AT, 60)
    with pytest.raises(BadInput, match=r"at: 2026-03-01T04:00:01Z is after 2026-03-01T03:00:00Z"):
        check_past("at", "2026-03-01T04:00:01Z", RECEIVED_AT, 60)
    with pytest.raises(BadInput, match="told_at: 'yesterday' is no instant"):
        check_past("at", RECEIVED_AT, "yesterday")


def test_the_last_day_of_the_calendar_is_no_crash() -> None:
    """Its local day would be the 1st of January 10000."""
    with pytest.raises(BadInput, match="measured_at: '9999-12-31T20:00:00Z' is no instant"):
        local_day("9999-12-31T20:00:00Z", 480)


@pytest.mark.parametrize("at", ["9999-12-31T20:00:00Z", "2036-03-01T02:00:00Z"])
def test_a_run_from_the_future_is_rejected_and_hides_no_later_verdict(at: str) -> None:
    made = Lab()
    made.feed(meter())
    ahead = replace(run(run_id="B1-0666", measured_at=at), received_at=RECEIVED_AT)
    (rejected,) = made.feed(ahead)
    assert isinstance(rejected, RunRejected)
    assert rejected.problem.startswith(f"measured_at: {at} is after {RECEIVED_AT}")
    assert isinstance(made.feed(run())[0], MeterJudged)
    assert made.meter.verdict.run_id == "B1-0001"


def test_how_far_a_benchs_clock_may_be_ahead_is_policy() -> None:
    ahead = replace(run(measured_at="2026-03-01T03:30:00Z"), received_at=RECEIVED_AT)
    for minutes, kind in ((30, MeterJudged), (29, RunRejected)):
        made = Lab(policy=Policy(bench_clock_ahead_min=minutes))
        made.feed(meter())
        assert type(made.feed(ahead)[0]) is kind


def test_a_move_from_the_future_does_not_lock_the_device() -> None:
    made = Lab()
    told = {"device_no": "M1", "requested_at": RECEIVED_AT}
    (rejected,) = made.feed(move("receive", "2036-01-01", **told))
    assert (type(rejected), rejected.field) == (MoveRejected, "at")
    assert type(made.feed(move("receive", "2026-02-01", **told))[0]) is DeviceMoved


def test_a_seals_entry_from_the_future_does_not_lock_the_seal() -> None:
    made = Lab()
    said: dict[str, Any] = {"reported_at": RECEIVED_AT}
    made.feed(seal("issue", "2026-01-01"), key="S1")
    (rejected,) = made.feed(seal("apply", "2036-01-01", **said), key="S1")
    assert (type(rejected), rejected.rule) == (SealRejected, "wrong_entry")
    assert "2036-01-01T02:00:00Z is after" in rejected.problem
    assert type(made.feed(seal("apply", "2026-02-01", **said), key="S1")[0]) is SealMoved
