"""Files and calls for the tests of `gridledger vee estimate` and `gridledger vee edit`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from services.cli import main as cli

NOW = ["--as-of", "2026-03-01T00:00:00Z"]


class Desk:
    """A directory, and the command line in it."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self.capsys = capsys

    def put(self, name: str, content: str | bytes) -> str:
        path = self.directory / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def path(self, name: str) -> str:
        return str(self.directory / name)

    def text(self, name: str) -> str:
        return (self.directory / name).read_text("utf-8")

    def call(self, arguments: Sequence[str], status: int = 0) -> str:
        """What a command prints on standard output when it ends with this status."""
        found = cli.main(["vee", *arguments])
        printed = self.capsys.readouterr()
        assert (found, printed.err) == (status, ""), printed
        return printed.out

    def documents(self, arguments: Sequence[str], status: int = 0) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.call([*arguments, "--json"], status).splitlines()]

    def refused(self, arguments: Sequence[str]) -> str:
        """The one line of wrong input; status 2 and nothing on standard output."""
        assert cli.main(["vee", *arguments]) == 2
        printed = self.capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("error: ")
        assert printed.err.count("\n") == 1
        return printed.err.removeprefix("error: ").strip()


@pytest.fixture
def desk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Desk:
    monkeypatch.chdir(tmp_path)
    return Desk(tmp_path, capsys)
