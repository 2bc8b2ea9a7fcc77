"""docs/calculations.md is run, not copied: every command on it prints what stands below it.

Goal: a reader who types a command sees the page. Method: a fenced `sh` block that begins with
`$ gridledger` is executed here, one command a block (a line that ends with a backslash goes on in
the next); the fenced block after it is its output, compared line by line. `# status 1` at the end
of the command is the status it ends with, 0 otherwise. Each command runs in a copy of docs/examples
of its own, 80 columns wide: what it writes is gone afterwards. No private key is in the examples:
the one that a certificate is signed with is made here.

`python -m tests.test_calculations` writes the outputs into the page again; look at the difference.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import shlex
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from services.cli import main as cli

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "calculations.md"
EXAMPLES = ROOT / "docs" / "examples"
BLOCK = re.compile(
    r"^```sh\n\$ gridledger (?P<command>(?:[^\n]*\\\n)*[^\n]*)\n```\n\n"
    r"```\w*\n(?P<output>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
LAB_KEY = "metrology/lab.pem"
STATUS = re.compile(r"\s+# status (\d)$")


@dataclass(frozen=True, slots=True)
class Shown:
    """A command of the page with what it prints and its status."""

    command: str
    status: int
    output: str


def shown(match: re.Match[str]) -> Shown:
    text = match["command"].replace("\\\n", " ")
    status = STATUS.search(text)
    command = STATUS.sub("", text)
    return Shown(command, int(status[1]) if status else 0, match["output"])


def commands(text: str) -> list[Shown]:
    """Every command of a page, in order."""
    return [shown(match) for match in BLOCK.finditer(text)]


def run(command: str) -> tuple[int, str]:
    """The status of a command and what it prints: results, then what it says on standard error."""
    output, said = io.StringIO(), io.StringIO()
    with (
        tempfile.TemporaryDirectory() as directory,
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(said),
        contextlib.chdir(shutil.copytree(EXAMPLES, directory, dirs_exist_ok=True)),
    ):
        make_key(Path(LAB_KEY))
        status = cli.main(shlex.split(command))
    lines = (output.getvalue() + said.getvalue()).splitlines()
    return status, "".join(f"{line.rstrip()}\n" for line in lines)


def make_key(path: Path) -> None:
    """The laboratory's signing key of the page: always the same, and in no file of the project."""
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(path.name.encode()).digest())
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def width(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("GRIDLEDGER_") or name in {"FORCE_COLOR", "TTY_COMPATIBLE"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "80")


FOUND = commands(PAGE.read_text("utf-8"))


@pytest.mark.parametrize("found", FOUND, ids=[found.command[:60] for found in FOUND])
def test_a_command_prints_what_the_page_says(found: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    width(monkeypatch)
    status, output = run(found.command)
    assert output == found.output
    assert status == found.status


def test_every_command_of_the_page_is_run() -> None:
    """A block that the pattern does not know would stand there unread."""
    assert PAGE.read_text("utf-8").count("$ gridledger") == len(FOUND)


def test_a_page_is_taken_apart() -> None:
    text = "```sh\n$ gridledger kpi a.csv \\\n    --json  # status 1\n```\n\n```json\n{}\n```\n"
    assert commands(text) == [Shown("kpi a.csv      --json", 1, "{}\n")]
    assert commands("```sh\n$ other\n```\n\n```\nx\n```\n") == []


def test_no_example_holds_a_private_key() -> None:
    """Scanners of secrets flag one, and somebody would sign with it."""
    files = [path for path in EXAMPLES.rglob("*") if path.is_file()]
    assert files
    assert [path.name for path in files if b"PRIVATE KEY" in path.read_bytes()] == []


def test_what_is_wrong_is_printed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    width(monkeypatch)
    status, output = run("kpi nowhere.csv")
    assert status == 2
    assert output.startswith("error: nowhere.csv: ")


def rewritten(text: str) -> str:
    """The page with the outputs of this moment; statuses stay, the tests compare them."""

    def again(match: re.Match[str]) -> str:
        begin = match.start("output") - match.start()
        return match[0][:begin] + run(shown(match).command)[1] + "```"

    return BLOCK.sub(again, text)


if __name__ == "__main__":
    width(pytest.MonkeyPatch())
    PAGE.write_text(rewritten(PAGE.read_text("utf-8")), encoding="utf-8")
    sys.exit(0)
