"""Reading CSV files: encodings, headers, quotes; what cannot be read is named by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.events.errors import BadInput
from services.customers.csv_files import Table, defect_of, read_content, read_table

COLUMNS = ("account_no", "area", "note")


def read(content: bytes) -> Table:
    return read_table("points.csv", content, COLUMNS, ("account_no",))


def problem(content: bytes) -> str:
    table = read(content)
    (defect,) = table.defects
    return str(defect)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk"])
def test_utf8_and_gbk_are_read(encoding: str) -> None:
    table = read("account_no,area\n1,解放碑一台区\n".encode(encoding))
    assert table.defects == ()
    assert [(line.number, line.cells) for line in table.lines] == [
        (2, {"account_no": "1", "area": "解放碑一台区"})
    ]


def test_wrong_encodings_are_named_by_line() -> None:
    area = "解放碑"
    utf16 = f"account_no,area\n1,{area}\n".encode("utf-16")
    assert problem(utf16) == "points.csv line 1: is UTF-16 (save the whole file as UTF-8)"
    marked = b"\xef\xbb\xbfaccount_no,area\n1,x\n2," + area.encode("gbk") + b"\n"
    assert problem(marked).startswith("points.csv line 3: is not UTF-8, as the file's mark says")
    mixed = "account_no,area\n1,江北\n2,".encode() + area.encode("gbk") + b"\n"
    assert problem(mixed).startswith("points.csv line 3: is not UTF-8, and line 2 is")
    neither = b"account_no,area\n1,x\n2,\xff\xff\n"
    assert problem(neither).startswith("points.csv line 3: is neither UTF-8 nor GBK")


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    table = read(b'account_no,note\r\n\r\n1,"two\r\nlines"\r\n,,\r\n2, x \r\n')
    assert [(line.number, line.cells) for line in table.lines] == [
        (3, {"account_no": "1", "note": "two\r\nlines"}),
        (6, {"account_no": "2", "note": "x"}),
    ]
    assert [str(each) for each in table.defects] == []


def test_a_row_with_another_number_of_cells_is_named() -> None:
    table = read(b"account_no,area\n1,a,b\n2\n3,c\n")
    assert [line.number for line in table.lines] == [4]
    assert [str(each) for each in table.defects] == [
        "points.csv line 2: has 3 cells, the header has 2 (quote a cell that contains a comma)",
        "points.csv line 3: has 1 cells, the header has 2 (quote a cell that contains a comma)",
    ]


def test_an_open_quote_ends_the_reading() -> None:
    table = read(b'account_no,area\n1,a\n2,"b\n3,c\n')
    assert [line.number for line in table.lines] == [2]
    assert str(table.defects[0]).startswith("points.csv line 3: is no CSV: unexpected end of data")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "line 1: the file is empty (begin with account_no)"),
        (b"\n\n", "line 1: the file is empty"),
        (b"account_no,colour\n", "line 1: 'colour' is no column of this file"),
        (b"account_no,area,area\n", "line 1: column area is there twice"),
        (b"\narea\n", "line 2: column account_no is missing"),
        (b'"account_no\n', "line 1: is no CSV"),
    ],
)
def test_a_header_that_does_not_fit_is_named(content: bytes, text: str) -> None:
    assert text in problem(content)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"^accounts\.csv: is not in "):
        read_content(tmp_path / "accounts.csv")
    (tmp_path / "accounts.csv").mkdir()
    with pytest.raises(BadInput, match="cannot be read"):
        read_content(tmp_path / "accounts.csv")


def test_a_problem_without_a_fix_has_no_brackets() -> None:
    found = defect_of("a.csv", 2, BadInput("area", "is wrong"))
    assert str(found) == "a.csv line 2 area: is wrong"
