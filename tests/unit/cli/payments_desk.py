"""What the tests of `gridledger payments` on files share: the example files, and one call."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from services.cli import main as cli

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples" / "payments"
Capture = pytest.CaptureFixture[str]


def sit_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples in the current directory, and no setting."""
    for name in list(os.environ):
        if name.startswith("GRIDLEDGER_"):
            monkeypatch.delenv(name)
    shutil.copytree(EXAMPLES, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def refused(arguments: list[str], capsys: Capture) -> str:
    """The one line of wrong input; nothing on standard output."""
    assert cli.main(["payments", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    return printed.err.removeprefix("error: ").strip()


def printed(arguments: list[str], capsys: Capture, status: int = 0) -> str:
    assert cli.main(["payments", *arguments]) == status
    found = capsys.readouterr()
    assert found.err == ""
    return found.out
