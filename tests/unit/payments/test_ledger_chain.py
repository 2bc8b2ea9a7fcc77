"""The journal outside the log: whoever changes an entry is found."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.payments import journal
from services.payments.ledger_chain import (
    FIRST_HASH,
    KINDS_OF_FINDING,
    ExportedEntry,
    ExportedLine,
    chained,
    check_entries,
    hash_of,
)


def exported(amount_fen: int, day: int = 1) -> ExportedEntry:
    entry = journal.invoice_issued(account_no="1000000042", amount_fen=amount_fen)
    return ExportedEntry(
        number=0,
        posted_on=f"2026-02-{day:02d}",
        posted_at=f"2026-02-{day:02d}T00:00:00Z",
        event="payments.receivable_opened.v1",
        event_id=f"e{amount_fen}",
        text=entry.text,
        lines=tuple(ExportedLine(**asdict(line)) for line in entry.lines),
    )


def chain() -> list[ExportedEntry]:
    return list(chained([exported(100), exported(200), exported(300, 2)]))


def kinds(entries: list[ExportedEntry]) -> list[tuple[int, str]]:
    return [(each.place, each.kind) for each in check_entries(entries)]


def test_a_whole_chain() -> None:
    found = chain()
    assert kinds(found) == []
    assert [each.number for each in found] == [1, 2, 3]
    assert found[0].prev_hash == FIRST_HASH
    assert found[2].prev_hash == found[1].hash == hash_of(found[1])
    assert journal.trial_balance(each.entry for each in found)[2].debit_fen == 600


def test_the_hash_is_that_of_the_canonical_text() -> None:
    # printf '%s' '{"event":...}' | sha256sum, worked out apart
    entry = replace(exported(100), lines=(), event="e", event_id="i", text="t", prev_hash="p")
    assert hash_of(entry) == "c0a7a45b3abae4c89191b436b148b7843faad1f4eddcd6ec326f4e6180ad38b8"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda e: [e[0], replace(e[1], text="refund"), e[2]], [(2, "hash_wrong")]),
        (
            lambda e: [e[0], e[2]],
            [(2, "number_wrong"), (2, "chain_broken")],
        ),
        (
            lambda e: [e[1], e[0], e[2]],
            [
                (1, "number_wrong"),
                (1, "chain_broken"),
                (2, "number_wrong"),
                (2, "chain_broken"),
                (3, "chain_broken"),
            ],
        ),
        (lambda e: e[1:], [(1, "number_wrong"), (1, "chain_broken"), (2, "number_wrong")]),
        (
            lambda e: list(chained([exported(1, 2), exported(1, 1)])),
            [(2, "day_wrong")],
        ),
        (
            lambda e: list(chained([replace(exported(1), lines=())])),
            [(1, "unbalanced")],
        ),
        (
            lambda e: list(
                chained(
                    [
                        replace(
                            exported(1),
                            lines=(
                                ExportedLine(
                                    ledger_account="gold", sub_account="", debit_fen=1, credit_fen=1
                                ),
                            ),
                        )
                    ]
                )
            ),
            [(1, "account_unknown"), (1, "side_wrong")],
        ),
    ],
)
def test_what_is_wrong_is_told_once(change: object, expected: list[tuple[int, str]]) -> None:
    found = kinds(change(chain()))  # type: ignore[operator]
    assert found == expected
    assert {kind for _, kind in found} <= set(KINDS_OF_FINDING)


@given(st.integers(0, 2), st.sampled_from(["posted_on", "event_id", "text", "event", "posted_at"]))
def test_no_field_can_be_changed(at: int, name: str) -> None:
    entries = chain()
    entries[at] = replace(entries[at], **{name: "2026-02-03"})
    assert (at + 1, "hash_wrong") in kinds(entries)
