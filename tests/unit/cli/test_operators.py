"""`gridledger operators`: people are added, listed and removed, and nobody sees a hash."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from services.cli import main as cli
from services.cli import operators
from services.control.accounts import Accounts

PASSWORD = "correct horse 2026"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "operators.json"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def typed(monkeypatch: pytest.MonkeyPatch, *passwords: str) -> None:
    """A terminal at which these are typed, one after the other."""
    answers = iter(passwords)
    monkeypatch.setattr("sys.stdin", _Terminal())
    monkeypatch.setattr(operators.getpass, "getpass", lambda _prompt: next(answers))


def add(file: Path, person: str, role: str, *more: str) -> int:
    return cli.main(["operators", "add", person, "--role", role, "--file", str(file), *more])


def test_a_person_is_added_at_the_terminal_and_can_sign_in(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, PASSWORD, PASSWORD)
    assert add(file, "li.na", "reviewer", "--unit", "collection") == 0
    assert file.stat().st_mode & 0o777 == 0o600
    staff = Accounts(file).authenticate("li.na", PASSWORD)
    assert staff is not None
    assert (staff.person, staff.role, staff.unit) == ("li.na", "reviewer", "collection")
    assert capsys.readouterr().out == f"li.na is reviewer in {file}\n"
    assert PASSWORD not in file.read_text("utf-8")


def test_a_person_is_replaced_only_when_that_is_said(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    assert add(file, "li.na", "reviewer", "--password-stdin") == 0
    before = file.read_bytes()
    assert add(file, "li.na", "viewer", "--password-stdin") == 2
    assert "error: PERSON: li.na has an account (say --replace" in capsys.readouterr().err
    assert file.read_bytes() == before
    monkeypatch.setattr("sys.stdin", io.StringIO("another one 2026\r\n"))
    assert add(file, "li.na", "viewer", "--password-stdin", "--replace") == 0
    assert Accounts(file).authenticate("li.na", PASSWORD) is None
    assert Accounts(file).authenticate("li.na", "another one 2026") is not None


def test_the_list_has_no_hashes_and_a_removed_person_is_gone(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for person, role in (("li.na", "reviewer"), ("wang", "unit_head")):
        monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD))
        assert add(file, person, role, "--password-stdin") == 0
    capsys.readouterr()
    # The setting names the file as well as the option.
    monkeypatch.setenv("GRIDLEDGER_OPERATORS_FILE", str(file))
    assert cli.main(["operators", "list", "--json"]) == 0
    out = capsys.readouterr().out
    assert json.loads(out)[1] == {"person": "wang", "role": "unit_head", "unit": "", "active": True}
    assert cli.main(["operators", "list"]) == 0
    out += capsys.readouterr().out
    assert "argon2" not in out
    assert cli.main(["operators", "remove", "li.na"]) == 0
    assert Accounts(file).authenticate("li.na", PASSWORD) is None
    assert Accounts(file).authenticate("wang", PASSWORD) is not None
    assert file.stat().st_mode & 0o777 == 0o600
    capsys.readouterr()
    assert cli.main(["operators", "remove", "li.na"]) == 2
    assert capsys.readouterr().err == "error: person: li.na has no account (there is wang)\n"


def test_wrong_input_is_one_line_and_makes_no_file(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(answer: int) -> str:
        assert answer == 2
        assert not file.exists()
        return capsys.readouterr().err

    assert "--role: boss is no role (one of requester, rev" in refused(add(file, "li.na", "boss"))
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    said = refused(add(file, "li.na", "viewer", "--password-stdin"))
    assert said == "error: password: it has 5 characters (give 10 to 256)\n"
    monkeypatch.setattr("sys.stdin", io.StringIO("x" * 1000))
    said = refused(add(file, "li.na", "viewer", "--password-stdin"))
    assert "password: it has" in said
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert "(say --password-stdin)" in refused(add(file, "li.na", "viewer"))
    typed(monkeypatch, PASSWORD, PASSWORD + "x")
    assert "password: the two are not the same" in refused(add(file, "li.na", "viewer"))
    typed(monkeypatch, PASSWORD, PASSWORD)
    assert "person: " in refused(add(file, "Li Na", "viewer"))
    assert "set GRIDLEDGER_OPERATORS_FILE" in refused(cli.main(["operators", "list"]))
    missing = ["operators", "list", "--file", str(file)]
    assert f"{file}: No such file" in refused(cli.main(missing))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe"), "utf-8"))
    assert "UTF-8" in refused(add(file, "li.na", "viewer", "--password-stdin"))
