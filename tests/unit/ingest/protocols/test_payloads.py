"""From payloads to quantities: golden values, blocks, refusals, and the way back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.errors import BadInput
from libs.events.quantities import format_scaled, parse_scaled
from services.ingest.protocols.dlt645.frame import Frame, FrameReader
from services.ingest.protocols.dlt645.identifiers import (
    BLOCKS,
    FORMATS,
    ITEMS,
    PLACEHOLDERS,
    RECORDS,
    Item,
    check_di,
    di_bytes,
    di_text,
    find_item,
    item_size,
    layout_of,
)
from services.ingest.protocols.dlt645.payloads import decode_items, decode_payload, encode_quantity
from services.ingest.protocols.dlt645.profile import Dlt645Profile
from services.ingest.protocols.dlt645.status import STATUS_BITS, relay_state, status_bits
from services.ingest.protocols.failures import BadReply
from tests.unit.ingest.protocols.vectors import IN_SCOPE

VALUE_ROWS = [row for row in IN_SCOPE if row["control"] == "91"]
KILO = {"kWh": 1000, "kvarh": 1000, "kW": 1000, "kvar": 1000, "kVA": 1000}


def test_every_golden_reply_with_a_value_is_checked() -> None:
    assert len(VALUE_ROWS) == 13


@pytest.mark.parametrize("row", VALUE_ROWS, ids=lambda row: row["id"])
def test_golden_value(row: dict[str, object]) -> None:
    frame = FrameReader().feed(bytes.fromhex(str(row["hex"])))[0]
    assert isinstance(frame, Frame)
    di = di_text(frame.data)
    assert di == row["di"]
    (quantity,) = decode_payload(di, frame.data[4:])
    (written,) = row["values"].values()  # type: ignore[attr-defined]
    assert quantity.value is not None
    kilo = KILO.get(str(row["unit"]), 1)
    assert quantity.value == parse_scaled(written, kilo * quantity.scale, "value")
    assert quantity.unit == str(row["unit"] or "").removeprefix("k")
    assert quantity.bad == ""


def test_values_by_hand() -> None:
    assert decode_payload("00010000", bytes.fromhex("56341200"))[0].value == 1_234_560
    assert decode_payload("00040000", bytes.fromhex("23000180"))[0].value == -100_230
    voltage = decode_payload("02010100", bytes.fromhex("1923"))[0]
    assert (voltage.value, voltage.scale, voltage.unit) == (2319, 10, "V")
    power = decode_payload("02030000", bytes.fromhex("314380"))[0]
    assert format_scaled(power.value or 0, power.scale) == "-433.1"


def test_a_rate_block_has_as_many_rates_as_it_has_room_for() -> None:
    payload = b"".join(bytes((n, 0, 0, 0)) for n in (0x10, 0x01, 0x02, 0x03, 0x04))
    found = decode_payload("0001FF00", payload)
    assert [q.obis for q in found] == [f"1-0:1.8.{n}" for n in range(5)]
    assert [q.value for q in found] == [100, 10, 20, 30, 40]
    assert [q.obis for q in decode_payload("0001FF01", payload[:8])] == [
        "1-0:1.8.0*01",
        "1-0:1.8.1*01",
    ]
    assert [q.obis for q in decode_payload("05060101", payload[:8])] == ["1-0:1.8.0", "1-0:1.8.1"]


def test_one_bad_value_leaves_the_others_of_its_block_usable() -> None:
    payload = bytes.fromhex("10000000" + "00000e00" + "ffffffff")
    assert [(q.value, q.bad) for q in decode_payload("0001FF00", payload)] == [
        (100, ""),
        (None, "non_bcd"),
        (None, "no_value"),
    ]


@pytest.mark.parametrize(
    ("payload_hex", "value", "at", "bad"),
    [
        ("563412" + "1530310126", None, "", "bad_time"),
        ("563412" + "1518310126", 123456, "2026-01-31T10:15:00Z", ""),
        ("000000" + "0000000000", 0, "", ""),
        ("563412" + "0000000000", None, "", "no_value"),
        ("56341f" + "1518310126", None, "", "non_bcd"),
    ],
)
def test_demand_needs_the_time_it_occurred(
    payload_hex: str, value: int | None, at: str, bad: str
) -> None:
    (demand,) = decode_payload("01010000", bytes.fromhex(payload_hex))
    if bad:
        assert (demand.value, demand.bad, demand.at) == (None, bad, "")
    else:
        assert (demand.value, demand.scale, demand.at, demand.bad) == (value, 10, at, "")


@pytest.mark.parametrize(
    ("di", "payload_hex", "text"),
    [
        ("04000101", "06310126", "2026-01-31"),
        ("04000102", "080910", "10:09:08"),
        ("04000401", "610100000000", "000000000161"),
        ("04000B01", "0001", "0100"),
        ("05060001", "0000010226", "2026-01-31T16:00:00Z"),
        ("1D000101", "08091031012600000000", "2026-01-31T02:09:08Z"),
    ],
)
def test_items_that_are_texts(di: str, payload_hex: str, text: str) -> None:
    quantity = decode_payload(di, bytes.fromhex(payload_hex))[0]
    assert (quantity.text, quantity.value, quantity.bad) == (text, None, "")


@pytest.mark.parametrize("di", ["04000101", "04000102", "04000401", "05060001", "04000503"])
def test_no_value_of_a_text_is_said_so(di: str) -> None:
    items = [find_item(di)]
    size = 5 if items[0] is None else item_size(items[0])
    (quantity,) = decode_payload(di, b"\xff" * size)
    assert (quantity.value, quantity.text, quantity.bad) == (None, "", "no_value")


def test_status_words_have_named_bits() -> None:
    (word,) = decode_payload("04000503", b"\x50\x00")  # reference: capture f51
    assert (word.value, word.text) == (0x50, "relay_open,relay_command_open")
    assert status_bits(4, 0x8003) == ("voltage_lost", "undervoltage", "bit_15")
    assert len(decode_payload("040005FF", bytes(14))) == 7
    assert set(STATUS_BITS) == set(range(1, 8))
    assert all(len(names) <= 16 for names in STATUS_BITS.values())


@pytest.mark.parametrize(
    ("word", "state"),
    [(0x50, "open"), (0x00, "closed"), (0x10, "close_permitted"), (0x40, "trip_pending")],
)
def test_relay_state(word: int, state: str) -> None:
    assert relay_state(word) == state
    swapped = {0x50: 0x03, 0x00: 0x00, 0x10: 0x01, 0x40: 0x02}[word]
    assert relay_state(swapped, open_bit=0, command_bit=1) == state


@pytest.mark.parametrize(
    ("di", "size"),
    [("00010000", 3), ("0001FF00", 6), ("0001FF00", 0), ("02010100", 4), ("05060001", 4)],
)
def test_a_wrong_length_is_no_reply(di: str, size: int) -> None:
    with pytest.raises(BadReply, match="never has"):
        decode_payload(di, bytes(size))


@pytest.mark.parametrize(
    "di", ["0FFF0000", "00014000", "0001000D", "05060B01", "05080101", "0FFFFF00"]
)
def test_an_unknown_identifier_is_refused_by_name(di: str) -> None:
    with pytest.raises(BadInput, match=di):
        decode_payload(di, bytes(4))


def test_a_profile_brings_its_own_rows() -> None:
    own = Item("00010000", "1-0:1.8.0", "import in 0.1 kWh", "number3", "kWh")
    profile = Dlt645Profile(extra_items=(own,))
    assert decode_payload("00010000", b"\x21\x00\x00", profile)[0].value == 21
    wrong = Dlt645Profile(extra_items=(Item("0FFF0000", "x", "x", "wether", ""),))
    with pytest.raises(BadInput, match="wether"):
        decode_payload("0FFF0000", b"\x00", wrong)


def test_identifiers_are_checked() -> None:
    assert check_di("0001ff00") == "0001FF00"
    assert di_text(di_bytes("02800002")) == "02800002"
    for wrong in ("", "0001FF0", "0001FFZZ"):
        with pytest.raises(BadInput, match="di"):
            check_di(wrong)


def test_the_table_is_sound() -> None:
    patterns = [item.pattern for item in ITEMS]
    codes = [item.obis for item in ITEMS]
    assert len(set(patterns)) == len(patterns)
    assert len(set(codes)) == len(codes)
    assert all(item_size(item) > 0 for item in ITEMS)
    for di, singles in BLOCKS.items():
        size = sum(item_size(item) for single in singles if (item := find_item(single)))
        assert len(layout_of(di, size)) == len(singles)


def test_every_identifier_with_a_golden_value_is_marked_confirmed() -> None:
    for row in VALUE_ROWS:
        item = find_item(str(row["di"]))
        assert item is not None
        assert item.confirmed, row["di"]
    unconfirmed = find_item("00050000")
    assert unconfirmed is not None
    assert not unconfirmed.confirmed


SINGLE = [item for item in ITEMS if not any(name in item.pattern for name in PLACEHOLDERS)]
NUMERIC = [item for item in SINGLE if item.format in FORMATS and not FORMATS[item.format].stamp]


@settings(deadline=None)
@given(st.sampled_from(NUMERIC), st.data())
def test_quantity_round_trip(item: Item, data: st.DataObject) -> None:
    known = FORMATS[item.format]
    top = 10 ** (2 * known.size) - 1 if not known.signed else 8 * 10 ** (2 * known.size - 1) - 1
    number = data.draw(st.integers(-top if known.signed else 0, top))
    raw = encode_quantity(item, number * known.factor)
    (found,) = decode_payload(item.pattern, raw)
    assert found.value == number * known.factor


def test_a_demand_round_trip_with_its_time() -> None:
    item = find_item("01010000")
    assert item is not None
    assert encode_quantity(item, 0).hex() == "0000000000000000"
    raw = encode_quantity(item, 55_080, "2026-01-18T10:15:00Z")
    assert raw.hex() == "8050051518180126"
    (found,) = decode_payload("01010000", raw)
    assert (found.value, found.at) == (55_080, "2026-01-18T10:15:00Z")


def test_a_negative_power_has_its_sign_in_the_top_bit() -> None:
    item = find_item("02030000")
    assert item is not None
    assert encode_quantity(item, -4331).hex() == "314380"


def test_a_register_shows_whole_tens_of_watt_hours() -> None:
    item = find_item("00010000")
    assert item is not None
    assert decode_payload("00010000", encode_quantity(item, 1_239))[0].value == 1_230


@pytest.mark.parametrize(
    ("di", "payload_hex", "expected"),
    [
        (
            "04010000",
            "010101" + "020107",
            [("0-0:128.101.0", "01-01=01"), ("0-0:128.101.0*02", "07-01=02")],
        ),
        (
            "04010002",
            "040000" + "020008" + "033019",
            [
                ("0-0:128.101.2", "00:00=04"),
                ("0-0:128.101.2*02", "08:00=02"),
                ("0-0:128.101.2*03", "19:30=03"),
            ],
        ),
        ("0403000A", "01011026", [("0-0:128.103.10", "2026-10-01=01")]),
        ("04000A01", "00001501", [("0-0:128.10.1", "01-15 00:00")]),
        ("04000407", "302e3120", [("0-0:128.4.7", "1.0")]),
        (
            "03300401",
            "07000000" + "000010310126" + "050010310126",
            [
                ("0-0:99.98.4", "00000007"),
                ("0-0:99.98.4", "2026-01-31T02:00:00Z"),
                ("0-0:99.98.4", "2026-01-31T02:00:05Z"),
            ],
        ),
        (
            "03300002",
            "000010310126" + "07000000" + "03010004" * 2,
            [
                ("0-0:99.98.0*02", "2026-01-31T02:00:00Z"),
                ("0-0:99.98.0*02", "00000007"),
                ("0-0:99.98.0*02", "04000103"),
                ("0-0:99.98.0*02", "04000103"),
            ],
        ),
        ("04000601", "05", [("0-0:128.6.1", "05")]),
    ],
)
def test_tables_and_events(di: str, payload_hex: str, expected: list[tuple[str, str]]) -> None:
    found = decode_payload(di, bytes.fromhex(payload_hex))
    assert [(quantity.obis, quantity.text) for quantity in found] == expected
    assert not any(quantity.bad for quantity in found)


def test_a_cover_record_has_registers_that_are_no_registers() -> None:
    record = bytes.fromhex("000010310126" + "000110310126") + bytes.fromhex("10000000") * 12
    found = decode_payload("03300D01", record)
    assert len(found) == 14
    assert {quantity.obis for quantity in found} == {"0-0:99.98.13"}
    assert [quantity.value for quantity in found[2:]] == [100] * 12


def test_periods_and_events_are_read_as_blocks() -> None:
    payload = bytes.fromhex("100000002000000030000000")
    assert [(q.obis, q.value) for q in decode_payload("000100FF", payload)] == [
        ("1-0:1.8.0", 100),
        ("1-0:1.8.0*01", 200),
        ("1-0:1.8.0*02", 300),
    ]
    assert [q.obis for q in decode_payload("020A01FF", bytes(4))] == ["1-0:32.7.1", "1-0:32.7.2"]
    assert len(decode_payload("00013F0C", bytes(4))) == 1
    assert decode_payload("0001FF0C", bytes(8))[1].obis == "1-0:1.8.1*12"


def test_powers_of_a_freeze() -> None:
    found = decode_payload("05061001", bytes.fromhex("314300") * 8)
    assert [q.obis for q in found[:2]] == ["1-0:16.7.0", "1-0:36.7.0"]
    assert (found[0].value, found[0].scale) == (4331, 10)
    with pytest.raises(BadReply, match="never has"):
        decode_payload("05061001", bytes(6))


@pytest.mark.parametrize(
    ("di", "payload_hex", "bad"),
    [
        ("04000C01", "02563412", "secret"),
        ("04000404", "ffffffffffff", "no_value"),
        ("04000404", "000000000000", "no_value"),
        ("04000404", "800102030405", "not_text"),
        ("04010001", "ffffff", "no_value"),
        ("04010001", "1a0008", "non_bcd"),
        ("04000101", "06320126", "bad_time"),
        ("03300001", "000024310126", "bad_time"),
        ("03300003", "ffffffffffff" + "00000000" + "ffffffff", "no_value"),
    ],
)
def test_texts_that_are_none_say_why(di: str, payload_hex: str, bad: str) -> None:
    quantity = decode_payload(di, bytes.fromhex(payload_hex))[0]
    assert (quantity.value, quantity.text, quantity.bad) == (None, "", bad)


def test_a_record_too_short_for_its_first_value_is_no_reply() -> None:
    with pytest.raises(BadReply, match="never has"):
        decode_payload("03300001", bytes(5))


def test_every_row_of_the_tables_can_be_read() -> None:
    for item in ITEMS:
        di = item.pattern.replace("RR", "00").replace("SS", "00").replace("NN", "01")
        (found,) = decode_payload(di, b"\xff" * item_size(item))
        assert found.bad in ("no_value", "secret") or item.format == "word", di
    for pattern, record in RECORDS.items():
        size = sum(map(item_size, record.items))
        found_all = decode_payload(pattern.replace("NN", "01"), bytes(size))
        assert [quantity.name for quantity in found_all] == [item.name for item in record.items]


DIGITS = st.integers(0, 99).map(lambda two: bytes.fromhex(f"{two:02d}"))
BYTES = st.one_of(DIGITS, DIGITS, DIGITS, st.sampled_from([b"\x80", b"\x7f", b"\xff", b"\x92"]))


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(["00010000", "0001FF00", "00030000", "0203FF00", "02010100", "02800002"]),
    st.lists(BYTES, min_size=20, max_size=20),
)
def test_the_short_way_and_the_long_way_give_the_same(di: str, data: list[bytes]) -> None:
    """Numbers cut from the digits of a payload are those that each item gives by itself."""
    size = {"00010000": 4, "0001FF00": 20, "00030000": 4, "0203FF00": 12}.get(di, 2)
    payload = b"".join(data)[:size]
    assert decode_payload(di, payload) == decode_items(layout_of(di, size), payload)
