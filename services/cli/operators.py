"""`gridledger operators`: the people who may ask control for something, in the operators file.

    gridledger operators add li.na --role reviewer --unit collection --file operators.json
    gridledger operators list --file operators.json

control-edge reads the file again when it changes. Passwords are kept as argon2id hashes only.
"""

from __future__ import annotations

import getpass
import json
import sys
from pathlib import Path
from typing import Annotated, get_args

import typer

from libs.events.errors import BadInput
from services.control.accounts import (
    PASSWORD_LENGTH_MOST,
    Account,
    Role,
    add_account,
    read_accounts,
    remove_account,
)
from services.settings import PREFIX, load_settings

app = typer.Typer(no_args_is_help=True, help="People who may ask for switching: add, list, remove.")
ROLES = ", ".join(get_args(Role))
Person = Annotated[
    str, typer.Argument(help="Name in lower case, as li.na.", metavar="PERSON", show_default=False)
]
File = Annotated[
    Path | None,
    typer.Option("--file", help=f"The operators file; default: {PREFIX}OPERATORS_FILE."),
]


@app.callback()
def operators() -> None:
    """People who may ask for switching: add, list, remove."""


@app.command(epilog="Example: gridledger operators add li.na --role reviewer --file operators.json")
def add(
    person: Person,
    role: Annotated[str, typer.Option("--role", help=f"One of {ROLES}.", metavar="ROLE")],
    unit: Annotated[str, typer.Option("--unit", help="The unit they work for.")] = "",
    file: File = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Give a person who is there another password or role.")
    ] = False,
) -> None:
    """Add a person to the operators file, which is made when there is none.

    The password is asked for twice at the terminal. A person has one role: three
    roles mean three people. Only the owner of the file can read it.
    """
    if role not in get_args(Role):
        raise BadInput("--role", f"{role} is no role", f"one of {ROLES}")
    path = _file(file)
    _refuse_known(path, person, replace)
    password = _password_of_stdin() if password_stdin else _password_of_terminal()
    add_account(path, person, role, password, unit, replace=replace)
    typer.echo(f"{person} is {role} in {path}")


@app.command("list", epilog="Example: gridledger operators list --json | jq '.[].person'")
def list_command(
    file: File = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False,
) -> None:
    """List the people with role and unit, never the hashes of their passwords."""
    rows = [_row(account) for account in read_accounts(_file(file))]
    if as_json:
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    for row in rows:
        state = "" if row["active"] else "inactive"
        line = f"{row['person']:<20}  {row['role']:<10}  {row['unit']:<16}  {state}"
        typer.echo(line.rstrip())


@app.command(epilog="Example: gridledger operators remove li.na --file operators.json")
def remove(person: Person, file: File = None) -> None:
    """Remove a person: control-edge lets them in no more. What they asked for stays recorded."""
    path = _file(file)
    remove_account(path, person)
    typer.echo(f"{person} is no more in {path}")


def _row(account: Account) -> dict[str, str | bool]:
    return {
        "person": account.person,
        "role": account.role,
        "unit": account.unit,
        "active": account.active,
    }


def _file(given: Path | None) -> Path:
    """The file of the option, else of the setting."""
    path = given or load_settings().settings.operators_file
    if path is None:
        fix = f"name the file, or set {PREFIX}OPERATORS_FILE"
        raise BadInput("--file", "there is no operators file", fix)
    return path


def _refuse_known(path: Path, person: str, replace: bool) -> None:
    """Before a password is asked for in vain."""
    known = read_accounts(path) if path.exists() else []
    if not replace and any(account.person == person for account in known):
        raise BadInput("PERSON", f"{person} has an account", "say --replace to change it")


def _password_of_terminal() -> str:
    if not sys.stdin.isatty():
        raise BadInput("password", "there is no terminal to ask at", "say --password-stdin")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise BadInput("password", "the two are not the same", "type it again")
    return password


def _password_of_stdin() -> str:
    """The first line, without its end; never more than a password may have, and one character."""
    try:
        line = sys.stdin.readline(PASSWORD_LENGTH_MOST + 2)
    except UnicodeDecodeError:
        raise BadInput("password", "is not UTF-8 text", "write it in UTF-8") from None
    return line.rstrip("\r\n")
