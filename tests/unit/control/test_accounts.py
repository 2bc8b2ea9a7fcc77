"""Local accounts: what the file may hold, and that an unknown person costs the same work."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from argon2 import PasswordHasher, Type

from libs.events.errors import BadInput
from services.control.accounts import Accounts, Staff, add_account, read_accounts

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "correct horse"


def made(path: Path) -> Path:
    add_account(path, "li", "reviewer", PASSWORD, "collection", hasher=QUICK)
    return path


@pytest.mark.parametrize("name", ["accounts.json", "accounts.yaml", "accounts.yml"])
def test_an_added_person_is_let_in(tmp_path: Path, name: str) -> None:
    path = made(tmp_path / name)
    add_account(path, "chen", "server", "battery staple", hasher=QUICK)
    accounts = Accounts(path, QUICK)
    assert accounts.authenticate("li", PASSWORD) == Staff("li", "reviewer", "collection")
    assert accounts.authenticate("chen", "battery staple") == Staff("chen", "server", "")
    assert accounts.authenticate("li", PASSWORD + " ") is None
    assert accounts.authenticate("chen", PASSWORD) is None
    assert accounts.authenticate("li", "") is None
    assert accounts.authenticate("li", "x" * 100_000) is None
    assert accounts.authenticate("li", "\ud800") is None
    assert accounts.authenticate("wang", PASSWORD) is None
    assert accounts.authenticate("", "") is None
    assert PASSWORD not in path.read_text()


def test_the_file_is_for_its_owner_only_and_holds_argon2id(tmp_path: Path) -> None:
    path = made(tmp_path / "accounts.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    add_account(tmp_path / "slow.json", "li", "viewer", PASSWORD)
    (account,) = read_accounts(tmp_path / "slow.json")
    assert account.password_hash.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert PasswordHasher().type is Type.ID


def test_a_person_is_replaced_only_when_told(tmp_path: Path) -> None:
    path = made(tmp_path / "accounts.json")
    with pytest.raises(BadInput, match="person: li has an account"):
        add_account(path, "li", "unit_head", PASSWORD, hasher=QUICK)
    add_account(path, "li", "unit_head", PASSWORD, hasher=QUICK, replace=True)
    (account,) = read_accounts(path)
    assert account.role == "unit_head"


@pytest.mark.parametrize(
    ("person", "role", "password", "problem"),
    [
        ("li", "reviewer", "short", "password: it has 5 characters"),
        ("li", "reviewer", "x" * 257, "password: it has 257 characters"),
        ("Li", "reviewer", PASSWORD, "person: "),
        ("", "reviewer", PASSWORD, "person: "),
        ("li na", "reviewer", PASSWORD, "person: "),
        ("li", "king", PASSWORD, "role: "),
    ],
)
def test_wrong_accounts_are_refused(
    tmp_path: Path, person: str, role: str, password: str, problem: str
) -> None:
    path = tmp_path / "accounts.json"
    with pytest.raises(BadInput, match=problem):
        add_account(path, person, role, password, hasher=QUICK)
    assert not path.exists()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "it is no JSON or YAML"),
        ("- 1", "document: "),
        ('{"people": []}', "accounts.json: people"),
        ('{"accounts": [{"person": "li"}]}', "accounts.json: accounts.0.role"),
        (
            '{"accounts": [{"person": "li", "role": "viewer", "password_hash": "secret"}]}',
            "accounts.json: accounts.0.password_hash",
        ),
    ],
)
def test_a_wrong_file_names_the_field(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "accounts.json"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        Accounts(path, QUICK)
    assert problem in str(caught.value)
    assert "secret" not in str(caught.value)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="no JSON or YAML"):
        read_accounts(path)


def test_a_person_twice_and_a_missing_file(tmp_path: Path) -> None:
    path = made(tmp_path / "accounts.json")
    document = json.loads(path.read_text())
    document["accounts"] *= 2
    path.write_text(json.dumps(document))
    with pytest.raises(BadInput, match="person: li occurs twice"):
        read_accounts(path)
    with pytest.raises(BadInput, match="No such file"):
        Accounts(tmp_path / "none.json", QUICK)
    with pytest.raises(BadInput, match="No such file"):
        read_accounts(tmp_path / "none.json")
    with pytest.raises(BadInput, match="No such file"):
        add_account(tmp_path / "no" / "where.json", "li", "viewer", PASSWORD, hasher=QUICK)
    (tmp_path / "empty.json").write_text("")
    assert read_accounts(tmp_path / "empty.json") == []


def test_a_change_of_the_file_counts_at_once(tmp_path: Path) -> None:
    path = made(tmp_path / "accounts.json")
    accounts = Accounts(path, QUICK)
    assert accounts.authenticate("li", PASSWORD) is not None
    document = json.loads(path.read_text())
    document["accounts"][0]["active"] = False
    path.write_text(json.dumps(document))
    os.utime(path, (1, 1))
    assert accounts.authenticate("li", PASSWORD) is None
    path.unlink()
    with pytest.raises(BadInput, match="No such file"):
        accounts.authenticate("li", PASSWORD)


def test_an_unknown_person_costs_the_same_work(tmp_path: Path) -> None:
    class Counting(PasswordHasher):
        hashes: list[str] = []  # noqa: RUF012

        def verify(self, hash: str | bytes, password: str | bytes) -> bool:
            self.hashes.append(str(hash))
            return super().verify(hash, password)

    path = made(tmp_path / "accounts.json")
    hasher = Counting(time_cost=1, memory_cost=8, parallelism=1)
    accounts = Accounts(path, hasher)
    accounts.authenticate("li", "wrong password")
    accounts.authenticate("nobody", "wrong password")
    known, unknown = Counting.hashes
    assert known != unknown
    assert known.rsplit("$", 2)[0] == unknown.rsplit("$", 2)[0] == "$argon2id$v=19$m=8,t=1,p=1"
