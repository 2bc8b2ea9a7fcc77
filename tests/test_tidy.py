"""The written style of CONTRIBUTING.md, enforced on the project's own text.

Goal: a file can be read in one sitting, a name says what a thing is, a decision depends on nothing
but its input, and nothing of the machine it was written on is left in it. Method: tests/tidy.py
reads every file that is or would be committed. Sizes that were too large when the rule came stand
in tests/tidy_exceptions.json with their number; the list may only shrink (`python -m tests.tidy
lower`). The rules themselves are tested on small texts that break them.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests import tidy

FILES = tidy.project_files()
PYTHON = [path for path in FILES if path.suffix == ".py"]


def test_files_are_found() -> None:
    shown = {tidy.name_of(path) for path in FILES}
    assert {"libs/events/loop.py", "tests/test_tidy.py", "pyproject.toml"} <= shown
    assert not any(name.startswith((".venv/", ".data/")) for name in shown)


def test_sizes_and_names_are_within_their_limits() -> None:
    assert tidy.size_findings(tidy.all_sizes(PYTHON), tidy.read_exceptions()) == []


def test_text_names_no_machine_no_registry_and_no_open_work() -> None:
    texts = [path for path in FILES if tidy.is_text(path)]
    findings = [str(found) for path in texts for found in tidy.text_findings(path)]
    assert findings == []


def test_pure_modules_call_nothing_impure() -> None:
    findings = [
        str(found)
        for name, path in sorted(tidy.pure_files().items())
        for found in tidy.purity_findings(path, no_float=name.startswith(tidy.NO_FLOAT_IN))
    ]
    assert findings == []


# -- the rules themselves -------------------------------------------------------------------------


def written(tmp_path: Path, text: str, name: str = "example.py") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_long_function_line_and_file_are_found(tmp_path: Path) -> None:
    body = "    x = 1\n" * 70
    text = f"class A:\n    def long(self):\n{body.replace('    x', '        x')}\n"
    text += "y = '" + "a" * 96 + "'\n" + "z = 1\n" * 430
    path = written(tmp_path, text)
    assert list(tidy.sizes(path)) == [
        ("file example.py", 504, 500),
        ("line example.py", 102, 100),
        ("function example.py:A.long", 71, 70),
    ]
    fits = f"def fits():\n{'    x = 1' + chr(10)}" + "    x = 1\n" * 68
    assert list(tidy.sizes(written(tmp_path, fits))) == []
    remark = (
        "x = [\n    " + "1, " * 30 + "1,\n]  # " + "type: ignore[something-long, and-more-of-it]"
    )
    assert list(tidy.sizes(written(tmp_path, remark))) == []


@pytest.mark.parametrize(
    ("found", "listed", "problem"),
    [
        ({"file a.py": (510, 500)}, {"file a.py": 510}, None),
        ({"file a.py": (510, 500)}, {}, "file a.py: 510, at most 500"),
        (
            {"file a.py": (511, 500)},
            {"file a.py": 510},
            "file a.py: 511, was 510 and may only shrink",
        ),
        (
            {"file a.py": (505, 500)},
            {"file a.py": 510},
            "file a.py: 505, the list says 510: lower it",
        ),
        ({}, {"file a.py": 510}, "file a.py: is within the limits now: take it off the list"),
    ],
)
def test_the_list_of_exceptions_may_only_shrink(
    found: dict[str, tuple[int, int]], listed: dict[str, int], problem: str | None
) -> None:
    assert tidy.size_findings(found, listed) == ([problem] if problem else [])


def test_banned_names_are_found_where_we_give_them(tmp_path: Path) -> None:
    text = (
        "from socketserver import BaseRequestHandler\n"
        "import subprocess as process\n"
        "class TimeManager:\n"
        "    def handle(self, util_x): self.helper = 1\n"
        "class Served(BaseRequestHandler):\n"
        "    def handle(self): pass\n"
        "def processed(exception_handler, handled): return subprocess.run(handled.process)\n"
        "HELPERS, contextmanager = 1, 2\n"
    )
    path = written(tmp_path, text, "io_utils.py")
    named = {(found.place, found.problem.split("'")[1]) for found in tidy.name_findings(path)}
    assert named == {
        ("0", "io_utils"),
        ("2", "process"),
        ("3", "TimeManager"),
        ("4", "handle"),
        ("4", "util_x"),
        ("4", "helper"),
        ("8", "HELPERS"),
    }


@pytest.mark.parametrize(
    "line",
    [
        "# TO" + "DO: later",
        "# FIX" + "ME",
        'DIR = "/ro' + 'ot/x"',
        'DIR = "/t' + 'mp/x"',
        "see ../sha" + "red/DESIGN.md",
        "index = https://py" + "pi.org/simple",
        "https://repo.maven.apa" + "che.org/maven2",
    ],
)
def test_text_rules_find(tmp_path: Path, line: str) -> None:
    assert len(tidy.text_findings(written(tmp_path, f"a\n{line}\n"))) == 1


@pytest.mark.parametrize(
    "line",
    ["# TO" + "DO(#7): later", 'DIR = "/var/lib"', "tmp_path / 'x'", "rooted/home/x", "python.org"],
)
def test_text_rules_leave_alone(tmp_path: Path, line: str) -> None:
    assert tidy.text_findings(written(tmp_path, f"{line}\n")) == []


@pytest.mark.parametrize(
    ("line", "everywhere", "with_money"),
    [
        ("open('x')", True, True),
        ("hash('x')", True, True),
        ("datetime.now(UTC)", True, True),
        ("date.today()", True, True),
        ("x = 1.5", False, True),
        ("x = float('1')", False, True),
        ("def f(x: float): ...", False, True),
        ("x = 1 / 2", False, True),
        ("x /= 2", False, True),
        ("x = 1 // 2", False, False),
        ("x = Decimal('1.5') * 2", False, False),
        ("x = half_up_div(1, 2)", False, False),
    ],
)
def test_purity_rules(tmp_path: Path, line: str, everywhere: bool, with_money: bool) -> None:
    path = written(tmp_path, f"{line}\n")
    ast.parse(path.read_text())
    assert bool(tidy.purity_findings(path, no_float=False)) == everywhere
    assert bool(tidy.purity_findings(path, no_float=True)) == with_money
