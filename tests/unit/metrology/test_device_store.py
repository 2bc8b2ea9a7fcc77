"""The store's state machine: the whole table, and the law that a device is in one place."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.metrology.device_store import (
    ACTIONS,
    TRANSITIONS,
    DeviceMove,
    StoredDevice,
    action_after,
    move,
)

STATES = (
    "",
    "new",
    "stock",
    "reserved",
    "installed",
    "removed",
    "rejected",
    "scrapped",
    "returned",
)
WAYS = {
    "new": ("receive",),
    "stock": ("receive", "accept"),
    "reserved": ("receive", "accept", "reserve"),
    "installed": ("receive", "accept", "reserve", "install"),
    "removed": ("receive", "accept", "reserve", "install", "remove"),
    "rejected": ("receive", "reject"),
    "scrapped": ("receive", "reject", "scrap"),
    "returned": ("receive", "reject", "return"),
}
"""A way to every state."""


def event(action: str, minute: int = 0, place: str = "shelf 1") -> DeviceMove:
    return DeviceMove(
        device_no="M1",
        action=action,
        by="li",
        at=f"2026-03-01T{minute // 60:02}:{minute % 60:02}:00Z",
        place=place,
        reason="because",
    )


def device_in(state: str) -> StoredDevice | None:
    device = None
    for action in WAYS.get(state, ()):
        device = move(device, event(action))
    return device


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("state", STATES)
def test_what_the_table_allows_and_nothing_else(state: str, action: str) -> None:
    device = device_in(state)
    after = TRANSITIONS.get((state, action))
    if after is None:
        with pytest.raises(BadInput, match=f"^action: '{action}' of a device that is"):
            move(device, event(action))
        return
    moved = move(device, event(action, 1, "P1"))
    moves = len(WAYS.get(state, ())) + 1
    assert moved == StoredDevice(
        device_no="M1", state=after, place="P1", since_at="2026-03-01T00:01:00Z", moves=moves
    )


def test_the_table_itself() -> None:
    """The rules of the store as they are written down, not as the code has them."""
    into = {after: {pair for pair, found in TRANSITIONS.items() if found == after}
            for after in TRANSITIONS.values()}  # fmt: skip
    assert into["installed"] == {("reserved", "install")}
    assert into["scrapped"] == {("removed", "scrap"), ("rejected", "scrap")}
    assert {state for state, _ in TRANSITIONS} & {"scrapped", "returned"} == set()
    assert ("rejected", "accept") not in TRANSITIONS
    assert ("removed", "reserve") not in TRANSITIONS
    assert ("installed", "reject") not in TRANSITIONS


@pytest.mark.parametrize(
    ("state", "verdict", "action"),
    [
        ("new", "fail", "reject"),
        ("stock", "fail", "reject"),
        ("removed", "fail", "reject"),
        ("new", "pass", "accept"),
        ("removed", "pass", "accept"),
        ("stock", "pass", ""),
        ("installed", "fail", ""),
        ("reserved", "fail", ""),
        ("new", "not_judged", ""),
    ],
)
def test_what_a_verdict_does(state: str, verdict: str, action: str) -> None:
    assert action_after(state, verdict) == action
    assert not action or (state, action) in TRANSITIONS


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"by": ""}, "by"),
        ({"place": ""}, "place"),
        ({"device_no": ""}, "device_no"),
        ({"at": "yesterday"}, "at"),
        ({"action": "eat"}, "action"),
        ({"action": "reject", "reason": ""}, "reason"),
    ],
)
def test_a_move_says_what_who_when_and_where(changes: dict[str, str], field: str) -> None:
    with pytest.raises(BadInput) as caught:
        move(None, replace(event("receive"), **changes))  # type: ignore[arg-type]
    assert caught.value.field == field


def test_a_move_does_not_lie_before_the_last_one() -> None:
    device = move(None, event("receive", 5))
    with pytest.raises(BadInput, match=r"^at: 2026-03-01T00:04:00Z is before"):
        move(device, event("accept", 4))
    assert move(device, event("accept", 5)).state == "stock"


moves = st.tuples(st.sampled_from(ACTIONS), st.sampled_from(["P1", "P2", "S1"]))


@given(st.lists(moves, max_size=40))
def test_no_history_leads_to_a_device_in_two_places(history: list[tuple[str, str]]) -> None:
    """An independent count: installations and removals of what was accepted alternate."""
    device: StoredDevice | None = None
    told: list[tuple[str, str]] = []
    for minute, (action, place) in enumerate(history):
        try:
            device = move(device, event(action, minute, place))
        except BadInput:
            continue
        told.append((action, place))
    swaps = [action for action, _ in told if action in {"install", "remove"}]
    assert swaps == ["install", "remove"] * (len(swaps) // 2) + ["install"] * (len(swaps) % 2)
    assert (device is not None and device.state == "installed") == (len(swaps) % 2 == 1)
    if device is not None:
        assert (device.place, device.moves) == (told[-1][1], len(told))
        ends = [index for index, (action, _) in enumerate(told) if action in {"scrap", "return"}]
        assert ends in ([], [len(told) - 1])
