"""Rows of files: streamed, exact, and every defect named by file, line and column."""

from __future__ import annotations

import io
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from libs.events.errors import BadInput
from services.cli.row_file import Row, read_rows


def rows_of(tmp_path: Path, content: bytes, **columns: tuple[str, ...]) -> list[Row]:
    file = tmp_path / "rows"
    file.write_bytes(content)
    return list(read_rows(str(file), columns.get("needed", ("a",)), columns.get("known", ())))


def test_csv_and_json_lines_give_the_same_rows(tmp_path: Path) -> None:
    (one,) = rows_of(tmp_path, "\N{ZERO WIDTH NO-BREAK SPACE}a, b ,c\n 1 ,0.10,\n".encode())
    (other,) = rows_of(tmp_path, b'{"a": 1, "b": 0.10, "c": null}\n')
    assert one.cells == other.cells == {"a": "1", "b": "0.10"}
    assert (one.whole("a"), one.decimal("b"), one.optional("c")) == (1, Decimal("0.10"), "")


def test_standard_input_and_lines_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    piped = io.TextIOWrapper(io.BytesIO(b'a,b\n1,"x\ny"\n\n2,z\n'))
    monkeypatch.setattr(sys, "stdin", piped)
    found = [(row.line, row.cells["b"]) for row in read_rows("-", ("a", "b"))]
    assert found == [(3, "x\ny"), (5, "z")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\na\n", "line 1: is blank"),
        (b"b\n1\n", "line 1: has no column 'a' (needed are a)"),
        (b"a,a\n1,2\n", "line 1: 'a' is there twice"),
        (b"a,z\n1,2\n", "line 1: 'z' is no column (known are a, b)"),
        (b"a\n1\n1,2\n", "line 3: has 2 cells, the header 1"),
        (b"a\n\xd6\xd0\n", "line 2: is not UTF-8"),
        ("a\n1\n".encode("utf-16"), "is UTF-16"),
        (b'a\n"1\n', "line 2: unexpected end of data"),
        (b"a,b\r,c\n", "line 1: new-line character seen in unquoted field"),
        (b'"a\n', "line 1: unexpected end of data"),
        (b'{"a": 1}\n{"a"\n', "line 2: is no JSON"),
        (b'{"a": 1}\n[1]\n', "line 2: is no JSON object"),
        (b'{"b": 1}\n', "line 1: has no column 'a'"),
    ],
)
def test_a_defect_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(BadInput) as wrong:
        rows_of(tmp_path, content, known=("b",))
    assert said in str(wrong.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(BadInput, match="name a file that you may read"):
            list(read_rows(str(path), ("a",)))


@pytest.mark.parametrize(
    ("read", "text", "said"),
    [
        ("text", "", "is empty"),
        ("whole", "1.0", "is no whole number"),
        ("whole", "1e3", "is no whole number"),
        ("decimal", "NaN", "is no decimal number"),
        ("day", "2026-2-1", "is no day"),
        ("day", "20260201", "is no day"),
        ("instant", "2026-02-01 00:00", "is no instant"),
        ("instant", "2026-02-01T00:00:00+08:00", "is no instant"),
        ("instant", "20260201T000000Z", "is no instant"),
    ],
)
def test_a_cell_is_what_it_must_be(read: str, text: str, said: str) -> None:
    row = Row("f.csv", 7, {"x": text} if text else {})
    with pytest.raises(BadInput, match=r"f\.csv line 7 x: ") as wrong:
        getattr(row, read)("x")
    assert said in str(wrong.value)


def test_words_days_and_instants_pass() -> None:
    row = Row("f.csv", 7, {"w": "one", "d": "2026-02-28", "t": "2026-02-28T16:00:00Z", "n": "-5"})
    assert row.one_of("w", ("one", "two")) == "one"
    assert (row.day("d"), row.instant("t")) == ("2026-02-28", "2026-02-28T16:00:00Z")
    assert row.whole("n") == -5
    with pytest.raises(BadInput, match="one of two"):
        row.one_of("w", ("two",))
