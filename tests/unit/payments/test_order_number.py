"""Order numbers carry the account, and only ours are believed to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.payments.order_number import (
    LENGTH_MAX,
    account_of,
    check_digit,
    make_order_number,
)

accounts = st.from_regex(r"[0-9]{10}", fullmatch=True).filter(str.isascii)
sequences = st.text("0123456789ABCxyz_*-", min_size=1, max_size=21)


def test_check_digit_of_the_standard() -> None:
    assert check_digit("0794") == "5"  # the example of ISO/IEC 7064, MOD 11,10
    # by hand for 1000000042: products 10, 2, 4, 8, 5, 10, 9, 7, 3, 3, 10 -> (11 - 10) % 10
    assert check_digit("1000000042") == "1"


def test_number() -> None:
    assert make_order_number("1000000042", "26010001") == "1000000042126010001"
    assert account_of("1000000042126010001") == "1000000042"


@given(accounts, sequences)
def test_round_trip(account_no: str, sequence: str) -> None:
    number = make_order_number(account_no, sequence)
    assert account_of(number) == account_no
    assert 12 <= len(number) <= LENGTH_MAX


@given(accounts, sequences, st.integers(0, 10), st.integers(1, 9))
def test_every_single_wrong_digit_is_found(
    account_no: str, sequence: str, place: int, change: int
) -> None:
    number = make_order_number(account_no, sequence)
    wrong = str((int(number[place]) + change) % 10)
    assert account_of(number[:place] + wrong + number[place + 1 :]) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PAY20260101000001",
        "10000000421",  # no sequence
        "1000000042126010001 ",
        "1000000042126010001\n",
        "1000000042" + "1" + "x" * 22,
        "１000000042126010001",
        "1000000042226010001",
    ],
)
def test_foreign_numbers(text: str) -> None:
    assert account_of(text) is None


@pytest.mark.parametrize(
    ("account_no", "sequence", "field"),
    [
        ("100000004", "1", "account_no"),
        ("10000000421", "1", "account_no"),
        ("100000004x", "1", "account_no"),
        ("1000000042", "", "sequence"),
        ("1000000042", "x" * 22, "sequence"),
        ("1000000042", "a b", "sequence"),
        ("1000000042", "1\n", "sequence"),
    ],
)
def test_wrong_parts_are_named(account_no: str, sequence: str, field: str) -> None:
    with pytest.raises(BadInput) as error:
        make_order_number(account_no, sequence)
    assert error.value.field == field
