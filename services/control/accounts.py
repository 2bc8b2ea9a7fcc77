"""Who may ask control for something: local accounts in one file, passwords as argon2id hashes.

    {"accounts": [{"person": "li.na", "role": "reviewer", "unit": "collection",
                   "password_hash": "$argon2id$...", "active": true}]}

The file is JSON or YAML by its ending, is read again when it changes, and is written only by
`add_account` and `remove_account` (`gridledger operators`). A person has one role; three roles
therefore mean three people. An unknown person costs the same work as a wrong password.
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import yaml
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from libs.events.errors import BadInput

Role = Literal["requester", "reviewer", "unit_head", "server", "viewer", "editor", "approver"]
PASSWORD_LENGTH_LEAST = 10
PASSWORD_LENGTH_MOST = 256
CONCURRENT_CHECKS = 2
"""Passwords checked at the same time: each check takes 64 MiB."""

_Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
_Unit = Annotated[str, StringConstraints(pattern=r"^([a-z0-9][a-z0-9._-]{0,63})?$")]


class Account(BaseModel):
    """One person as the file has it. Names are lower case, so that they differ when people do."""

    model_config = ConfigDict(extra="forbid")

    person: _Name
    role: Role
    unit: _Unit = ""
    password_hash: Annotated[str, StringConstraints(pattern=r"^\$argon2id\$.{20,}$")]
    active: bool = True


class _AccountsFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    accounts: list[Account] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Staff:
    """An authenticated person."""

    person: str
    role: str
    unit: str


class Accounts:
    """The accounts of a file, for checking who somebody is."""

    def __init__(self, path: Path, hasher: PasswordHasher | None = None) -> None:
        self._path = path
        self._hasher = hasher or PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_urlsafe(16))
        self._checks = threading.BoundedSemaphore(CONCURRENT_CHECKS)
        self._lock = threading.Lock()
        self._version: tuple[int, int] | None = None
        self._known: dict[str, Account] = {}
        self._refresh()

    def authenticate(self, person: str, password: str) -> Staff | None:
        """The person, or None for an unknown, inactive one or a wrong password.

        Raises BadInput when the file became unreadable: nobody is let in then.
        """
        account = self._refresh().get(person)
        known_hash = self._nobody if account is None else account.password_hash
        matches = self._matches(known_hash, password[:PASSWORD_LENGTH_MOST])
        if account is None or not account.active or not matches:
            return None
        return Staff(account.person, account.role, account.unit)

    def _matches(self, known_hash: str, password: str) -> bool:
        with self._checks:
            try:
                return self._hasher.verify(known_hash, password)
            except (Argon2Error, InvalidHashError, UnicodeEncodeError):
                return False

    def _refresh(self) -> dict[str, Account]:
        with self._lock:
            try:
                status = self._path.stat()
            except OSError as error:
                raise _unreadable(self._path, str(error.strerror)) from None
            version = (status.st_mtime_ns, status.st_size)
            if version != self._version:
                self._known = {account.person: account for account in read_accounts(self._path)}
                self._version = version
            return self._known


def read_accounts(path: Path) -> list[Account]:
    """All accounts of a file; BadInput names the file and what is wrong in it."""
    try:
        text = path.read_text(encoding="utf-8")
        # YAML contains JSON, and safe_load makes plain data only.
        document = yaml.safe_load(text) if text.strip() else {}
    except OSError as error:
        raise _unreadable(path, str(error.strerror)) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _unreadable(path, f"it is no JSON or YAML: {str(error).splitlines()[0]}") from None
    try:
        accounts = _AccountsFile.model_validate(document).accounts
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "document"
        raise BadInput(f"{path.name}: {where}", first["msg"], "correct the accounts file") from None
    people = [account.person for account in accounts]
    doubled = sorted({person for person in people if people.count(person) > 1})
    if doubled:
        raise BadInput(f"{path.name}: person", f"{doubled[0]} occurs twice", "keep one of them")
    return accounts


def add_account(
    path: Path,
    person: str,
    role: str,
    password: str,
    unit: str = "",
    *,
    replace: bool = False,
    hasher: PasswordHasher | None = None,
) -> None:
    """Add a person to the file (made when missing, readable by its owner only).

    BadInput: the person exists (unless `replace`), the role is unknown, the password is too short.
    """
    if not PASSWORD_LENGTH_LEAST <= len(password) <= PASSWORD_LENGTH_MOST:
        problem = f"it has {len(password)} characters"
        fix = f"give {PASSWORD_LENGTH_LEAST} to {PASSWORD_LENGTH_MOST}"
        raise BadInput("password", problem, fix)
    accounts = read_accounts(path) if path.exists() else []
    others = [account for account in accounts if account.person != person]
    if len(others) < len(accounts) and not replace:
        raise BadInput("person", f"{person} has an account", "say that it shall be replaced")
    document = {
        "person": person,
        "role": role,
        "unit": unit,
        "password_hash": (hasher or PasswordHasher()).hash(password),
    }
    try:
        added = Account.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BadInput(str(first["loc"][0]), first["msg"], "see the roles and names") from None
    _write(path, [*others, added])


def remove_account(path: Path, person: str) -> None:
    """Take a person out of the file; BadInput when nobody has that name."""
    accounts = read_accounts(path)
    others = [account for account in accounts if account.person != person]
    if len(others) == len(accounts):
        known = ", ".join(account.person for account in accounts) or "nobody"
        raise BadInput("person", f"{person} has no account", f"there is {known}")
    _write(path, others)


def _write(path: Path, accounts: list[Account]) -> None:
    document = {"accounts": [account.model_dump() for account in accounts]}
    if path.suffix in (".yaml", ".yml"):
        text = yaml.safe_dump(document, sort_keys=False)
    else:
        text = json.dumps(document, indent=2) + "\n"
    try:
        # mkstemp makes a file that only its owner can read; a reader sees the old or the new one.
        number, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except OSError as error:
        raise _unreadable(path, str(error.strerror)) from None


def _unreadable(path: Path, problem: str) -> BadInput:
    return BadInput(str(path), problem, "give the path of the accounts file")
