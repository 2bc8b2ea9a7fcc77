"""The custody of seals: the whole table, each rule of it, and the law that none is used twice."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.metrology.seal_custody import (
    ACTIONS,
    TRANSITIONS,
    Seal,
    SealEvent,
    Violation,
    follow,
)

STATES = ("", "held", "applied", "removed", "broken", "lost", "destroyed")
WAYS = {
    "held": ("issue",),
    "applied": ("issue", "apply"),
    "removed": ("issue", "apply", "remove"),
    "broken": ("issue", "apply", "break"),
    "lost": ("issue", "lose"),
    "destroyed": ("issue", "destroy"),
}


def event(action: str, minute: int = 0, **changes: str) -> SealEvent:
    values = {
        "seal_no": "S1",
        "action": action,
        "by": "li",
        "at": f"2026-03-01T{minute // 60:02}:{minute % 60:02}:00Z",
        "kind": "verification" if action == "issue" else "",
        "holder": "li" if action in {"issue", "hand_over"} else "",
        "device_no": "M1" if action in {"apply", "remove", "break"} else "",
        "location": "cover" if action == "apply" else "",
        "reason": "because",
        **changes,
    }
    return SealEvent(**values)


def seal_in(state: str) -> Seal | None:
    seal = None
    for action in WAYS.get(state, ()):
        seal, violation = follow(seal, event(action))
        assert violation is None
    return seal


def problem_of(state: str, given_event: SealEvent) -> tuple[str, str]:
    seal = seal_in(state)
    after, violation = follow(seal, given_event)
    assert isinstance(violation, Violation)
    assert after is seal
    return violation.rule, violation.problem


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("state", STATES)
def test_what_the_table_allows_and_nothing_else(state: str, action: str) -> None:
    expected = TRANSITIONS.get((state, action))
    before = seal_in(state)
    after, violation = follow(before, event(action, 1))
    if expected is None:
        assert violation is not None
        assert after is before
        rules = {"never_issued"} if not state else {"used_again", "not_possible"}
        assert violation.rule in rules
        return
    assert violation is None
    assert after is not None
    assert (after.state, after.since_at) == (expected, "2026-03-01T00:01:00Z")


def test_a_life() -> None:
    seal, _ = follow(None, event("issue", holder="wang"))
    seal, _ = follow(seal, event("hand_over", by="wang", holder="li"))
    seal, _ = follow(seal, event("apply", 1, location="terminal cover"))
    assert seal == Seal(
        seal_no="S1",
        kind="verification",
        state="applied",
        holder="",
        device_no="M1",
        location="terminal cover",
        applied_by="li",
        since_at="2026-03-01T00:01:00Z",
        applications=1,
    )
    removed, _ = follow(seal, event("remove", 2, by="zhou"))
    assert removed is not None
    assert (removed.holder, removed.device_no, removed.applications) == ("zhou", "M1", 1)
    gone, _ = follow(removed, event("destroy", 3))
    assert gone is not None
    assert (gone.state, gone.holder) == ("destroyed", "")


@pytest.mark.parametrize(
    ("state", "given_event", "rule", "problem"),
    [
        ("", event("apply"), "never_issued", "the seal was never issued"),
        ("held", event("issue"), "used_again", "issue of a seal that is held since "
         "2026-03-01T00:00:00Z"),
        ("removed", event("apply"), "used_again", "apply of a seal that is removed since "
         "2026-03-01T00:00:00Z on M1"),
        ("held", event("remove"), "not_possible", "remove of a seal that is held since "
         "2026-03-01T00:00:00Z"),
        ("held", event("apply", by="zhou"), "not_the_holder", "zhou used a seal that li holds"),
        ("held", event("hand_over", by="zhou"), "not_the_holder", "zhou used a seal that li holds"),
        ("applied", event("remove", device_no="M2"), "other_device", "was applied to M1, not to "
         "M2"),
        ("applied", event("break", device_no="M2"), "other_device", "was applied to M1, not to M2"),
        ("held", event("apply", kind="factory"), "other_kind", "was issued as verification, not as "
         "factory"),
        ("held", event("apply", at="2026-02-28T00:00:00Z"), "before_last", "2026-02-28T00:00:00Z "
         "is before 2026-03-01T00:00:00Z"),
    ],
)  # fmt: skip
def test_each_violation_is_told_and_changes_nothing(
    state: str, given_event: SealEvent, rule: str, problem: str
) -> None:
    assert problem_of(state, given_event) == (rule, problem)


@pytest.mark.parametrize(
    ("given_event", "field"),
    [
        (event("eat"), "action"),
        (event("issue", seal_no=""), "seal_no"),
        (event("issue", by=""), "by"),
        (event("issue", at="now"), "at"),
        (event("issue", kind=""), "kind"),
        (event("issue", kind="paper"), "kind"),
        (event("issue", holder=""), "holder"),
        (event("hand_over", holder=""), "holder"),
        (event("apply", device_no=""), "device_no"),
        (event("apply", location=""), "location"),
        (event("break", device_no=""), "device_no"),
        (event("break", reason=""), "reason"),
        (event("lose", reason=""), "reason"),
    ],
)
def test_an_entry_that_lacks_something_is_bad_input(given_event: SealEvent, field: str) -> None:
    with pytest.raises(BadInput) as caught:
        follow(seal_in("applied"), given_event)
    assert caught.value.field == field


entries = st.builds(
    lambda action, who, device: replace(
        event(action), by=who, holder=who if action in {"issue", "hand_over"} else "",
        device_no=device,
    ),
    st.sampled_from(ACTIONS),
    st.sampled_from(["li", "wang"]),
    st.sampled_from(["M1", "M2"]),
)  # fmt: skip


@given(st.lists(entries, max_size=40))
def test_no_history_leads_to_a_seal_used_twice(history: list[SealEvent]) -> None:
    seal: Seal | None = None
    done: list[SealEvent] = []
    for minute, entry in enumerate(history):
        dated = replace(entry, at=event("issue", minute).at)
        before = seal
        seal, violation = follow(seal, dated)
        if violation is None:
            done.append(dated)
        else:
            assert seal is before
    actions = [entry.action for entry in done]
    assert actions.count("apply") <= 1
    assert actions.count("issue") == (1 if actions else 0)
    if "apply" in actions:
        later = actions[actions.index("apply") + 1 :]
        assert set(later) <= {"remove", "break", "lose", "destroy"}
        assert seal is not None
        assert (seal.applications, seal.device_no) == (1, done[actions.index("apply")].device_no)
