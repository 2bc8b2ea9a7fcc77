"""Cells: text to values in our units, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from libs.events.errors import BadInput
from services.customers import cells
from services.customers.cells import CellReader


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (cells.read_text, "解放碑一台区", "解放碑一台区"),
        (cells.read_code, "P-1001.a_b", "P-1001.a_b"),
        (cells.read_account_no, "0000000001", "0000000001"),
        (cells.read_yes_no, "yes", True),
        (cells.read_yes_no, "no", False),
        (cells.one_of("a", "b"), "b", "b"),
        (cells.named_or(("a", "b"), "x_[a-z]+", "x_..."), "b", "b"),
        (cells.named_or(("a", "b"), "x_[a-z]+", "x_..."), "x_own", "x_own"),
        (cells.whole(4, 12), "12", 12),
        (cells.read_kw, "8.25", 8_250),
        (cells.read_kwh, "0.001", 1),
        (cells.read_yuan, "123.45", 12_345),
        (cells.read_ratio, "100.0", "100"),
        (cells.read_ratio, "0.5", "0.5"),
        (cells.read_share, "1", "1"),
        (cells.read_percent, "1.50", "1.5"),
        (cells.read_price, "-0.0123", "-0.0123"),
        (cells.read_price, "24.00", "24"),
        (cells.read_signed_yuan, "-120.5", -12_050),
        (cells.read_line, "tcp:10.0.0.1:9600", "tcp:10.0.0.1:9600"),
        (cells.read_line, "serial:/dev/ttyS1", "serial:/dev/ttyS1"),
        (cells.read_address, "7", "7"),
        (cells.read_address, "0200-12ab/17/000000000161", "0200-12ab/17/000000000161"),
        (cells.read_line, "listen:0.0.0.0:5100", "listen:0.0.0.0:5100"),
        (
            cells.read_rate_periods,
            " 4=valley ; 02=peak;",
            {"2": "peak", "4": "valley"},
        ),
        (cells.read_register_list, "1-0:1.8.1; 1-0:1.6.0", ("1-0:1.6.0", "1-0:1.8.1")),
        (cells.read_register, "1-0:5.8.0", "1-0:5.8.0"),
        (
            cells.read_registers,
            "1-0:1.8.2=70;1-0:1.8.0=1234.5",
            {"1-0:1.8.0": 1_234_500, "1-0:1.8.2": 70_000},
        ),
    ],
)
def test_a_good_cell_has_a_value(read: CellReader, text: str, value: Any) -> None:
    assert read(text, "cell") == value


@pytest.mark.parametrize(
    ("read", "text", "problem"),
    [
        (cells.read_text, "x" * 81, "has 81 characters"),
        (cells.read_text, "a\x00b", "control characters"),
        (cells.read_code, "a/b", "no identifier"),
        (cells.read_code, "x" * 41, "no identifier"),
        (cells.read_account_no, "123", "no account number"),
        (cells.read_account_no, "１２３４５６７８９０", "no account number"),
        (cells.named_or(("a", "b"), "x_[a-z]+", "x_..."), "x_1", "(one of a, b, or x_...)"),
        (cells.read_yes_no, "y", "neither yes nor no"),
        (cells.one_of("a", "b"), "c", "is not known"),
        (cells.whole(4, 12), "13", "out of bounds"),
        (cells.whole(4, 12), "4.5", "more digits"),
        (cells.read_kw, "-1", "too small"),
        (cells.read_kw, "1,234", "no number"),
        (cells.read_kw, "1e3", "no number"),
        (cells.read_kw, "1_000", "no number"),
        (cells.read_kw, "2000000000000", "too large"),
        (cells.read_kwh, "0.0001", "more digits"),
        (cells.scaled(100, 1), "0", "too small"),
        (cells.read_ratio, "0", "not above zero"),
        (cells.read_share, "1.01", "more than the whole"),
        (cells.read_percent, "0", "no part of an energy"),
        (cells.read_percent, "100", "no part of an energy"),
        (cells.read_price, "0.00000001", "more digits"),
        (cells.read_signed_yuan, "1.234", "more digits"),
        (cells.read_line, "10.0.0.1:9600", "no line"),
        (cells.read_address, "AAAAAAAAAAAA", "no address"),
        (cells.read_address, "999999999999", "no address"),
        (cells.read_address, "0200-1234/17", "no place behind a concentrator"),
        (cells.read_address, "0200-1234/17/161", "no place behind a concentrator"),
        (cells.read_address, "0200-1234/17/AAAAAAAAAAAA", "no place behind a concentrator"),
        (cells.read_address, "0200-FFFF/17/000000000161", "names no one concentrator"),
        (cells.read_address, "0200-1234/0/000000000161", "0 is no point"),
        (cells.read_address, "0200-1234/2041/000000000161", "2041 is no point"),
        (cells.read_address, "0200-1234/17/999999999999", "no meter's address"),
        (cells.read_line, "tcp:10.1.2.3:5100/0200-1234", "is no line"),
        (cells.read_rate_periods, ";", "no pair"),
        (cells.read_rate_periods, "2", "no pair"),
        (cells.read_rate_periods, "2=peak;2=valley", "there twice"),
        (cells.read_rate_periods, "13=peak", "no rate"),
        (cells.read_rate_periods, "x=peak", "no rate"),
        (cells.read_rate_periods, "２=peak", "no rate"),
        (cells.read_rate_periods, "2=noon", "no period"),
        (cells.read_register_list, ";", "names none"),
        (cells.read_register_list, "1-0:1.8.0;1-0:1.8.0", "one twice"),
        (cells.read_register_list, "1.8.0", "no OBIS code"),
        (cells.read_register_list, "1-0:15.8.0", "no register that is billed"),
        (cells.read_register_list, "1-0:32.7.0", "no register that is billed"),
        (cells.read_register, "1-0:1.6.0", "no register that is billed"),
        (cells.read_registers, "1-0:1.6.0=5", "no register that is billed"),
        (cells.read_registers, "1-0:1.8.0=x", "no number"),
    ],
)
def test_a_bad_cell_names_its_column_and_a_fix(read: CellReader, text: str, problem: str) -> None:
    with pytest.raises(BadInput, match=problem) as raised:
        read(text, "cell")
    assert raised.value.field == "cell"
    assert raised.value.fix


def test_energy_registers_are_told_from_demand() -> None:
    assert cells.is_energy("1-0:1.8.0")
    assert not cells.is_energy("1-0:1.6.0")
