"""The table itself: read from a file, refused by line and column, and asked for a current."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from libs.events.errors import BadInput
from services.metrology.error_limits import (
    MeasuredPoint,
    MeterRating,
    comparable_current,
    find_limit,
    parse_current,
    parse_error_limits,
)
from services.metrology.error_limits_file import load_error_limits
from tests.unit.metrology.samples import LIMITS, METER, measured

ROW = {
    "class": "1",
    "connection": "direct",
    "load": "balanced",
    "i_from": "0.1Ib",
    "i_to": "Imax",
    "cos_phi": "1.0",
    "limit_pct_plus_minus": "1.0",
    "kind": "basic",
    "source": "a standard",
}
HEADER = ",".join(ROW)


def test_rows_are_typed() -> None:
    (row,) = parse_error_limits("t", [{**ROW, "cos_phi": "0.5L;0.8C", "i_to": "<0.2Ib"}]).rows
    assert (row.line, row.from_e6, row.to_e6) == (2, 100_000, 200_000)
    assert (row.power_factors, row.limit_e4_pct) == (("0.5L", "0.8C"), 10_000)
    assert row.load == "balanced"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": ""}, "line 2, column source: is empty or missing"),
        ({"connection": "via"}, "line 2, column connection: 'via' is unknown"),
        ({"load": "heavy"}, "line 2, column load: 'heavy' is unknown"),
        ({"cos_phi": "1.0;0.7L"}, "line 2, column cos_phi: '0.7L' is unknown"),
        ({"i_from": "<0.1Ib"}, "line 2, column i_from: '<0.1Ib' is no current"),
        ({"i_from": "0.1In"}, "line 2, column i_from: '0.1In' is no current"),
        ({"i_from": "Ib"}, "line 2, column i_from: 'Ib' is no current"),
        ({"i_from": "ten"}, "line 2, column i_from: 'ten' is no current"),
        ({"i_from": "0.1Imax"}, "line 2, column i_from: '0.1Imax' is no current"),
        ({"i_to": "0.2Ib"}, "line 2, column i_to: '0.2Ib' is no current (write it like <0.1Ib"),
        ({"i_to": "<0.1Ib"}, "line 2, column i_to: is not above i_from"),
        ({"limit_pct_plus_minus": "0"}, "line 2, column limit_pct_plus_minus: is 0"),
        ({"limit_pct_plus_minus": "x"}, "line 2, column limit_pct_plus_minus: 'x' is no decimal"),
    ],
)
def test_a_wrong_row_is_named_by_line_and_column(changes: dict[str, str], message: str) -> None:
    with pytest.raises(BadInput) as error:
        parse_error_limits("t", [{**ROW, **changes}])
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("first", "second", "overlaps"),
    [
        (("0.1Ib", "Imax"), ("0.05Ib", "<0.1Ib"), False),
        (("0.05Ib", "<0.1Ib"), ("0.1Ib", "Imax"), False),
        (("0.1Ib", "Imax"), ("0.05Ib", "<0.100001Ib"), True),
        (("0.1Ib", "Imax"), ("0.2Ib", "Imax"), True),
        (("0.1Ib", "<0.3Ib"), ("0.2Ib", "<0.4Ib"), True),
    ],
)
def test_rows_must_not_overlap(
    first: tuple[str, str], second: tuple[str, str], overlaps: bool
) -> None:
    rows = [{**ROW, "i_from": low, "i_to": high} for low, high in (first, second)]
    if overlaps:
        with pytest.raises(BadInput, match="line 3, column i_from: overlaps line 2"):
            parse_error_limits("t", rows)
    else:
        assert len(parse_error_limits("t", rows).rows) == 2
    for column, other in (("class", "2"), ("kind", "extra"), ("cos_phi", "0.5L")):
        assert len(parse_error_limits("t", [rows[0], {**rows[1], column: other}]).rows) == 2


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(BadInput, match="lines: the table is empty"):
        parse_error_limits("t", [])


@pytest.mark.parametrize(
    ("text", "imax", "expected"),
    [
        ("0.1Ib", "12", Fraction(1, 10)),
        ("Ib", "12", Fraction(1)),
        ("1.0Ib", "", Fraction(1)),
        ("Imax", "12", Fraction(12)),
        ("0.5Imax", "12", Fraction(6)),
        ("12Ib", "12", Fraction(12)),
        ("1.0Imax", "", None),
        ("Imax", "", None),
        ("Imax", "1", Fraction(1)),
    ],
)
def test_a_current_is_a_multiple_of_the_base(
    text: str, imax: str, expected: Fraction | None
) -> None:
    meter = MeterRating(accuracy_class="1", connection="direct", imax_multiple=imax)
    assert parse_current(text, meter) == expected


@pytest.mark.parametrize(
    ("text", "connection", "imax", "message"),
    [
        ("0.1In", "direct", "12", "current: '0.1In' has not the base of a direct meter (use Ib"),
        ("0.1Ib", "ct", "4", "current: '0.1Ib' has not the base of a ct meter (use In"),
        ("<0.1Ib", "direct", "12", "current: '<0.1Ib' is no current"),
        ("5 A", "direct", "12", "current: '5 A' is no current"),
        ("13Ib", "direct", "12", "current: '13Ib' is above Imax"),
        ("1.1Imax", "direct", "", "current: '1.1Imax' is above Imax"),
        ("2Ib", "direct", "", "imax_multiple: is not known (needed for the current 2Ib)"),
        ("0.5Imax", "direct", "", "imax_multiple: is not known (needed for the current 0.5Imax)"),
        ("1Ib", "direct", "0.9", "imax_multiple: is 0.9"),
        ("1Ib", "wireless", "", "connection: 'wireless' is unknown"),
    ],
)
def test_a_wrong_current_is_named(text: str, connection: str, imax: str, message: str) -> None:
    meter = MeterRating(accuracy_class="1", connection=connection, imax_multiple=imax)
    with pytest.raises(BadInput) as error:
        parse_current(text, meter)
    assert str(error.value).startswith(message)
    assert comparable_current(text, meter) == text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: (METER, measured("0.04Ib", 0)), "current: the table has no row for 0.04Ib"),
        (lambda: (METER, measured("1Ib", 0, "0.7L")), "power_factor: the table has no rows for"),
        (lambda: (METER, measured("1Ib", 0, load="odd")), "accuracy_class: the table has no rows"),
        (
            lambda: (MeterRating(accuracy_class="3", connection="direct"), measured("1Ib", 0)),
            "accuracy_class: the table has no rows for class 3, direct, balanced load",
        ),
    ],
)
def test_a_point_without_a_row_says_why(
    change: Callable[[], tuple[MeterRating, MeasuredPoint]], message: str
) -> None:
    meter, point = change()
    with pytest.raises(BadInput) as error:
        find_limit(LIMITS, meter, point)
    assert str(error.value).startswith(message)


def test_imax_needs_no_number_and_a_phase_may_be_named() -> None:
    unknown = MeterRating(accuracy_class="1", connection="direct")
    assert find_limit(LIMITS, unknown, measured("Imax", 0)).limit_e4_pct == 10_000
    row = find_limit(LIMITS, METER, measured("1Ib", 0, load="single_phase_b"))
    assert (row.load, row.limit_e4_pct) == ("single_phase", 20_000)
    assert find_limit(LIMITS, METER, measured("0.1Ib", 0, "0.5L")).limit_e4_pct == 15_000
    assert find_limit(LIMITS, METER, measured("0.2Ib", 0, "0.8C")).limit_e4_pct == 10_000


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "ours.csv"
    path.write_text("\ufeff" + HEADER + "\n" + ",".join(ROW.values()) + "\n", encoding="utf-8")
    table = load_error_limits(path)
    assert table.id.startswith("ours.csv@")
    assert [row.limit_e4_pct for row in table.rows] == [10_000]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "lines: the table is empty"),
        (b"\xff\xfe\x00", "is no UTF-8 text"),
        (b"class,limit\n1,2\n", "line 2, column connection: is empty or missing"),
        (HEADER.encode() + b'\n"1,direct\n', "is no CSV"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "wrong.csv"
    path.write_bytes(content)
    with pytest.raises(BadInput) as error:
        load_error_limits(path)
    assert str(error.value).startswith(str(path))
    assert problem in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"absent.csv: cannot be read: No such file"):
        load_error_limits(tmp_path / "absent.csv")
