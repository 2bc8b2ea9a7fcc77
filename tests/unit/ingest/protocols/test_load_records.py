"""Load-profile records: layout by hand, round trips, and records that are wrong."""
# ruff: noqa: DTZ001

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.protocols.dlt645.load_records import (
    LoadRecord,
    class_size,
    decode_load_records,
    encode_load_record,
)
from services.ingest.protocols.dlt645.profile import Dlt645Profile
from services.ingest.protocols.failures import BadReply

OWN = Dlt645Profile(load_record_separators="own")
NOON = datetime(2026, 2, 1, 12, 0)
CLASS_4 = bytes.fromhex("56341200100000000000000000000080")


def summed(head: bytes) -> bytes:
    """A record: its sum and end added here."""
    return head + bytes((sum(head) % 256, 0xE5))


STORED = summed(bytes.fromhex("a0a01b0012010226aaaaaa") + CLASS_4 + bytes.fromhex("aaaaaa"))


def values(record: LoadRecord) -> list[tuple[str, int | None, str]]:
    """Code, value and reason of every quantity."""
    return [(q.obis, q.value, q.bad) for q in record.quantities]


def test_a_record_by_hand() -> None:
    (record,) = decode_load_records(STORED, 4)
    assert record.civil == NOON
    assert values(record) == [
        ("1-0:1.8.0", 1_234_560, ""),
        ("1-0:2.8.0", 100, ""),
        ("1-0:129.8.0", 0, ""),
        ("1-0:130.8.0", 0, ""),
    ]
    assert encode_load_record(NOON, {4: CLASS_4}, 4) == STORED


def test_a_meter_that_leaves_out_the_other_separators() -> None:
    own = summed(bytes.fromhex("a0a0160012010226") + CLASS_4 + b"\xaa")
    assert decode_load_records(own, 4, OWN) == decode_load_records(STORED, 4)
    assert encode_load_record(NOON, {4: CLASS_4}, 4, OWN) == own
    with pytest.raises(BadReply):
        decode_load_records(own, 4)


def test_the_sizes_of_the_six_classes() -> None:
    assert [class_size(number) for number in range(1, 7)] == [17, 24, 8, 16, 16, 6]
    whole = encode_load_record(NOON, {n: bytes(class_size(n)) for n in range(1, 7)}, 0)
    assert (whole[2], len(whole)) == (98, 103)  # as field code has it
    assert len(decode_load_records(whole, 0)[0].quantities) == 7 + 8 + 4 + 4 + 4 + 2


def test_a_record_the_meter_calls_wrong_has_no_values() -> None:
    wrong = bytearray(STORED)
    wrong[:2] = b"\xe0\xe0"
    wrong[-2] = sum(wrong[:-2]) % 256
    (record,) = decode_load_records(bytes(wrong), 4)
    assert record.civil == NOON
    assert {(value, bad) for _, value, bad in values(record)} == {(None, "marked_wrong")}


def test_a_record_whose_own_sum_is_wrong_has_no_values() -> None:
    wrong = STORED[:-2] + bytes((STORED[-2] ^ 1, 0xE5))
    good, bad = decode_load_records(STORED + wrong, 4)
    assert values(good)[0] == ("1-0:1.8.0", 1_234_560, "")
    assert values(bad)[0] == ("1-0:1.8.0", None, "record_checksum")


def test_classes_that_were_not_asked_for_are_left_out() -> None:
    both = encode_load_record(NOON, {4: CLASS_4, 5: CLASS_4[:12] + bytes(4)}, 0)
    assert values(decode_load_records(both, 4)[0]) == values(decode_load_records(STORED, 4)[0])
    assert [code for code, _, _ in values(decode_load_records(both, 5)[0])] == [
        "1-0:5.8.0",
        "1-0:6.8.0",
        "1-0:7.8.0",
        "1-0:8.8.0",
    ]


def test_separators_behind_the_last_class_may_be_missing() -> None:
    short = summed(bytes.fromhex("a0a0190012010226aaaaaa") + CLASS_4 + b"\xaa")
    assert decode_load_records(short, 4) == decode_load_records(STORED, 4)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: b"\x00" + raw,
        lambda raw: raw[:-1],
        lambda raw: raw[:-1] + b"\xe4",
        lambda raw: raw[:2],
        lambda raw: summed(raw[:3] + b"\xff" * 5 + raw[8:-2]),
        lambda raw: summed(raw[:-3] + b"\x00"),
        lambda raw: summed(raw[:2] + b"\x1c" + raw[3:-2] + b"\xaa"),
    ],
    ids=["noise", "cut", "end", "head", "time", "separator", "too many"],
)
def test_what_is_no_record(spoil: object) -> None:
    with pytest.raises(BadReply):
        decode_load_records(spoil(STORED), 4)  # type: ignore[operator]


@settings(deadline=None)
@given(
    st.dictionaries(st.integers(1, 6), st.integers(0, 9), min_size=1),
    st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1)),
    st.sampled_from(["all", "own"]),
)
def test_round_trip(digits: dict[int, int], moment: datetime, separators: str) -> None:
    profile = Dlt645Profile(load_record_separators=separators)
    moment = moment.replace(second=0, microsecond=0)
    classes = {n: bytes((d,)) * class_size(n) for n, d in digits.items()}
    for wanted in (0, *digits):
        raw = encode_load_record(moment, classes, wanted, profile)
        (record,) = decode_load_records(raw, wanted, profile)
        assert record.civil == moment
        kept = digits if wanted == 0 else {wanted: digits[wanted]}
        expected = sum(len(_items(number)) for number in kept)
        assert len(record.quantities) == expected
        assert all(quantity.bad == "" for quantity in record.quantities)


def _items(number: int) -> tuple[object, ...]:
    from services.ingest.protocols.dlt645.load_records import class_items

    return class_items(number)


@settings(deadline=None)
@given(st.binary(max_size=120), st.integers(0, 6))
def test_any_bytes_give_records_or_the_typed_error(raw: bytes, wanted: int) -> None:
    try:
        decode_load_records(b"\xa0\xa0" + raw, wanted)
    except BadReply:
        return
    assert raw[-1:] == b"\xe5"
