"""Days and instants: the utility's zone is UTC+8, without daylight-saving time."""

from __future__ import annotations

import pytest

from libs.events.errors import BadInput
from services.customers.days import (
    day_before,
    day_of,
    day_start_at,
    next_day,
    read_day,
    read_instant,
)
from services.customers.reactions import business_day


def test_a_day_begins_at_16_00_utc_of_the_day_before() -> None:
    assert day_start_at("2026-02-01") == "2026-01-31T16:00:00Z"
    assert day_of("2026-01-31T16:00:00Z") == "2026-02-01"
    assert day_of("2026-01-31T15:59:59Z") == "2026-01-31"
    assert business_day("2026-01-31T16:00:00Z") == "2026-02-01"
    assert next_day("2024-02-28") == "2024-02-29"
    assert day_before("2026-01-01") == "2025-12-31"


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-02-10 10:30", "2026-02-10T02:30:00Z"),
        ("2026-02-10 00:00:07", "2026-02-09T16:00:07Z"),
        ("2026-02-10T02:30:00Z", "2026-02-10T02:30:00Z"),
    ],
)
def test_an_instant_is_local_or_utc(text: str, instant: str) -> None:
    assert read_instant(text, "exchanged_at") == instant


@pytest.mark.parametrize(
    "text", ["", "2026-02-30 10:00", "2026-02-10T02:30:00", "10:30", "0001-01-01 00:00", "２０２６"]
)
def test_what_is_no_instant_is_refused_by_column(text: str) -> None:
    with pytest.raises(BadInput, match=r"^exchanged_at: .* is no instant") as raised:
        read_instant(text, "exchanged_at")
    assert "2026-01-31 10:30" in raised.value.fix


@pytest.mark.parametrize("text", ["", "2026-02-29", "2026/01/31", "20260131", "1899-12-31"])
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"^valid_from: .* is no day"):
        read_day(text, "valid_from")
    assert read_day("2024-02-29", "valid_from") == "2024-02-29"
