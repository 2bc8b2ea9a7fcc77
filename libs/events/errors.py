"""The error tree of GridLedger: every error has one meaning and one place.

    GridLedgerError
    ├── BadInput          what a user gave is wrong: names field and fix; CLI status 2, HTTP 4xx
    │   └── Undecodable   bytes that are no event of a known type: dead letter
    ├── LogError          what the log answered
    │   ├── Aborted       the transaction was rolled back; recover and go on
    │   ├── Fenced        another member has our partitions or our id: end the process
    │   ├── Unknown       the outcome of a commit is not known: end, recovery finds out
    │   └── Unavailable   the broker did not answer in time, nothing was written: try again
    └── Refused           the process must not run as configured: names the reason and the fix

A broken invariant is an AssertionError: a bug, which ends the process and never skips a record.
"""

from __future__ import annotations


class GridLedgerError(Exception):
    """Root of all errors that GridLedger raises on purpose."""


class BadInput(GridLedgerError):
    """What a user or a peer gave is wrong.

    `field` names the wrong part, `fix` says what would be right; both are shown in one line.
    """

    def __init__(self, field: str, problem: str, fix: str = "") -> None:
        self.field = field
        self.problem = problem
        self.fix = fix
        super().__init__(f"{field}: {problem}" + (f" ({fix})" if fix else ""))


class Undecodable(BadInput):
    """The bytes are no event of a type and version this reader knows."""


class LogError(GridLedgerError):
    """Something that the log answered instead of doing what was asked."""


class Aborted(LogError):
    """The transaction was rolled back; none of its records will ever be visible."""


class Fenced(LogError):
    """Another member took over; this process must end and start again."""


class Unknown(LogError):
    """Whether the transaction was committed is not known; only recovery can tell."""


class Unavailable(LogError):
    """The broker did not answer in time; nothing was written by this call."""


class Refused(GridLedgerError):
    """The process must not run as things are; the message names the reason and the fix."""
