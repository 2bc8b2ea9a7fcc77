"""Ids that follow from what they name, so that a decision repeated after a crash gives the same.

A case id begins with its account, which is the key of everything about the case:

    case_id_of("10000001", "5f3a...")    "10000001.5f3a..."
    account_of("10000001.5f3a...")       "10000001"
"""

from __future__ import annotations

import re

from libs.events.errors import BadInput

ACCOUNT_PATTERN = "[0-9A-Za-z][0-9A-Za-z_-]{0,31}"
CASE_PATTERN = rf"{ACCOUNT_PATTERN}\.[0-9A-Za-z_-]{{1,64}}"


def case_id_of(account_no: str, request_id: str) -> str:
    """The id of the case that a request opens."""
    return f"{account_no}.{request_id}"


def account_of(case_id: str) -> str:
    """The account of a case; BadInput when the id is none of ours."""
    if re.fullmatch(CASE_PATTERN, case_id) is None:
        raise BadInput("case_id", f"{case_id!r} is no case id", "take it from the case's notice")
    return case_id.partition(".")[0]


def identity(person: str) -> str:
    """What makes two authenticated names the same person."""
    return person.strip().casefold()


def command_id_of(case_id: str, usage_point: str, seq: int) -> str:
    """The id of a command: of its case, or of its point when no case is behind it."""
    return f"{case_id or usage_point}.{seq}"


def clearance_id_of(case_id: str, number: int) -> str:
    """The id of the `number`-th clearance asked for a case."""
    return f"{case_id}.clearance{number}"


def permit_id_of(case_id: str, number: int) -> str:
    """The id of the `number`-th permit asked for a case."""
    return f"{case_id}.permit{number}"


def ticket_id_of(account_no: str, number: int) -> str:
    """The id of the `number`-th field ticket of an account."""
    return f"{account_no}.ticket{number}"
