"""The packed memory: exact keys, contents, and when an entry is forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.payments.seen import (
    NOBODY,
    RETENTION_DAYS,
    Seen,
    account_held,
    account_holder,
    digest_of,
    find,
    keep,
)

DAY = 20_514  # 2026-03-02


def test_content_is_kept_exactly() -> None:
    seen = Seen(amount_fen=12345, holder=digest_of("order"), currency="CNY")
    packed = keep(b"", "payment", "wechat:T1", seen, day=DAY, today=DAY)
    assert len(packed) == 29
    assert find(packed, "payment", "wechat:T1") == seen
    assert find(packed, "payment", "wechat:T2") is None
    assert find(packed, "transfer", "wechat:T1") is None


def test_the_same_id_is_replaced() -> None:
    first = keep(b"", "payment", "T1", Seen(amount_fen=1), day=DAY, today=DAY)
    second = keep(first, "payment", "T1", Seen(amount_fen=2), day=DAY, today=DAY)
    assert len(second) == 29
    assert find(second, "payment", "T1") == Seen(amount_fen=2)


def test_forgotten_after_the_retention_and_not_a_day_earlier() -> None:
    packed = keep(b"", "payment", "old", Seen(), day=DAY, today=DAY)
    last = keep(packed, "payment", "new", Seen(), day=0, today=DAY + RETENTION_DAYS)
    assert find(last, "payment", "old") is not None
    after = keep(packed, "payment", "new", Seen(), day=0, today=DAY + RETENTION_DAYS + 1)
    assert find(after, "payment", "old") is None
    assert find(after, "payment", "new") is not None


def test_an_entry_counts_from_its_own_day_when_that_is_later() -> None:
    packed = keep(b"", "payment", "ahead", Seen(), day=DAY + 10, today=DAY)
    later = keep(packed, "x", "y", Seen(), day=0, today=DAY + RETENTION_DAYS + 10)
    assert find(later, "payment", "ahead") is not None


def test_before_business_time_nothing_is_over_and_far_days_fit() -> None:
    packed = keep(b"", "payment", "early", Seen(), day=0, today=0)
    packed = keep(packed, "payment", "far", Seen(), day=1_000_000, today=DAY)
    assert find(packed, "payment", "early") is not None
    assert find(packed, "payment", "far") is not None


def test_bytes_that_look_like_a_digest_elsewhere_are_no_entry() -> None:
    other = keep(b"", "payment", "T1", Seen(), day=DAY, today=DAY)
    # The first ten bytes of T1's entry as part of another entry's content.
    inside = keep(b"", "payment", "T2", Seen(holder=other[4:10], currency=""), day=DAY, today=DAY)
    hidden = inside[:14] + other[:10] + inside[24:]
    assert len(hidden) == 29
    assert find(hidden, "payment", "T1") is None
    assert find(hidden + other, "payment", "T1") == Seen()


@given(st.integers(0, 9_999_999_999))
def test_an_account_as_a_holder(number: int) -> None:
    account_no = f"{number:010d}"
    holder = account_holder(account_no)
    assert holder != NOBODY
    assert account_held(holder) == account_no


@given(st.dictionaries(st.text(max_size=8), st.integers(0, 2**62), max_size=30))
def test_every_id_is_found_with_its_own_content(amounts: dict[str, int]) -> None:
    packed = b""
    for name, amount_fen in amounts.items():
        packed = keep(packed, "payment", name, Seen(amount_fen=amount_fen), day=0, today=DAY)
    assert len(packed) == 29 * len(amounts)
    for name, amount_fen in amounts.items():
        found = find(packed, "payment", name)
        assert found is not None
        assert found.amount_fen == amount_fen
