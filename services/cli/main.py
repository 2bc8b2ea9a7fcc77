"""The console command `gridledger`: the list of its commands and the one place of its errors.

A command is a typer application in a module of its own, named in `COMMANDS` and imported only
when it is called. Whatever it raises on purpose becomes one line and a status::

    $ gridledger run nothing
    error: service: there is no nothing (one of billing, clock, ...)        status 2
"""

from __future__ import annotations

import errno
import functools
import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import Any

import typer
import typer.core

from libs.events.errors import BadInput, GridLedgerError

# name -> (module:typer application, short help). The order is the one of `gridledger --help`.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("services.cli.demo:app", "Three billing months of a small city, in minutes."),
    "local": ("services.cli.local:app", "A whole installation on this machine: up, status, down."),
    "run": ("services.cli.run:app", "Run one member of one service in the foreground."),
    "topics": ("services.cli.topics:app", "Topics: the table, the plan, applying it."),
    "audit": ("services.cli.audit:app", "Prove that nothing was lost, doubled or altered."),
    "book": ("services.cli.book:app", "Check price books and publish them."),
    "rate": ("services.cli.rate:app", "Bills out of usage, contract and price-book files."),
    "tariff": ("services.cli.tariff:app", "Price books: check, compare; late fees on files."),
    "whatif": ("services.cli.whatif:app", "Recorded usage rated by other price books."),
    "bill": ("services.cli.bill:app", "Held bills, releases, and a bill that explains itself."),
    "feed-in": ("services.cli.feed_in:app", "Statements of what was fed in, from a file."),
    "metrology": ("services.cli.metrology:app", "Verification, seals, due lists, corrections."),
    "customers": ("services.cli.customers:app", "Import customers, meters and openings."),
    "vee": ("services.cli.vee:app", "Readings: check, estimate, edit; edits by people."),
    "reading": ("services.cli.reading:app", "Enter what a person read at a meter."),
    "decode": ("services.cli.decode:app", "Frames in a capture, every byte explained."),
    "encode": ("services.cli.encode:app", "Any request to a meter, as hex."),
    "losses": ("services.cli.losses:app", "Line loss by area, feeder and day, with causes."),
    "kpi": ("services.cli.kpi:app", "Remote-read success, and who pulls it down."),
    "voltage": ("services.cli.voltage:app", "Voltage quality by point and month, with events."),
    "payments": ("services.cli.payments:app", "Callbacks, bills, matching, suspense."),
    "journal": ("services.cli.journal:app", "The journal on files: export, check, balance, CSV."),
    "control": ("services.cli.control:app", "Relays: what the interlocks say of a case."),
    "operators": ("services.cli.operators:app", "People who may ask for switching."),
    "catalogue": ("services.cli.catalogue:app", "The published catalogue: generate, check."),
    "dlq": ("services.cli.dlq:app", "Dead letters: list, show, write back."),
    "protocols": ("services.cli.protocols:app", "Meter protocols; check Modbus register maps."),
    "simulate": ("services.cli.simulate:app", "Simulated meters, gateways and a bench."),
    "config": ("services.cli.config_show:app", "Every setting; every value of the policies."),
}
_FIXES = {
    errno.ENOENT: "name one that exists",
    errno.EACCES: "name one that you may use",
    errno.EPERM: "name one that you may use",
    errno.EROFS: "name one on a disk that can be written",
    errno.ENOTDIR: "name a directory",
    errno.EISDIR: "name a file",
    errno.EEXIST: "name a directory, or one that is not there yet",
    errno.ENAMETOOLONG: "give it a shorter name",
}
_COMPLETION = {"install_completion", "show_completion"}
STATUS_BAD_INPUT = 2
STATUS_INTERRUPTED = 130
LONGEST = 1000
"""Characters of an error's line: a value of any length may stand in it."""
_USAGE_ERROR: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


class _LazyCommands(typer.core.TyperGroup):
    """Imports a command's module when it is called, so that one command does not pay for all."""

    def list_commands(self, _context: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _context: Any, name: str) -> Any:
        return _command(name) if name in COMMANDS else None


@functools.cache
def _command(name: str) -> Any:
    target, summary = COMMANDS[name]
    module, _, attribute = target.partition(":")
    command: Any = typer.main.get_command(getattr(importlib.import_module(module), attribute))
    command.name = name
    command.params = [p for p in command.params if p.name not in _COMPLETION]
    command.short_help = summary
    return command


app = typer.Typer(
    name="gridledger",
    cls=_LazyCommands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog="Example: gridledger local up --nodes 1",
)


@app.callback()
def gridledger() -> None:
    """The system of record of the commercial side of an electricity utility."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its status; every known error is one line on standard error.

    0 done, 1 a bug (with a traceback) or a check that failed, 2 wrong input or a machine that
    lacks something, 130 interrupted.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if sys.stdin is None:  # `<&-`: the shell gave none
        sys.stdin = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    if sys.stdout is None:  # `>&-`
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for a terminal that has no Chinese
    try:
        _check_texts(given)
        answer = _call(given)
        sys.stdout.flush()  # here, where a closed or full output is still an error of ours
    except GridLedgerError as error:
        return _say(str(error) or type(error).__name__)
    except _USAGE_ERROR as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())
            return STATUS_BAD_INPUT
        return _say(f"{error.format_message()} ({_help_hint(error)})")
    except (typer.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return STATUS_INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return 1
    except OSError as error:
        return _say(_problem_of(error))
    return answer if isinstance(answer, int) else 0


def _call(given: list[str]) -> object:
    command = typer.main.get_command(app)
    try:
        return command.main(args=given, prog_name="gridledger", standalone_mode=False)
    except SystemExit as end:  # typer's own answer to an output that nobody reads any more
        return end.code


def _check_texts(given: Sequence[str]) -> None:
    """Refuse what is nothing in any command: "" (a shell variable that is not set would become the
    current directory), NUL (no name of a file has it), and bytes that are no UTF-8 (no record could
    hold them)."""
    for number, text in enumerate(given):
        before = given[number - 1] if number else ""
        name = before if before.startswith("-") else f"argument {number + 1}"
        if not text:
            raise BadInput(name, "is empty", "give a value, or leave it out")
        if "\0" in text:
            raise BadInput(name, "has a NUL in it", "write it without")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            fix = "write it in a UTF-8 terminal (LC_ALL=C.UTF-8)"
            raise BadInput(name, f"{text!a} is not UTF-8 text", fix) from None


def _problem_of(error: OSError) -> str:
    """One line for what the machine refused: the file and the fix. A bug is raised again."""
    if error.errno == errno.EADDRINUSE:
        fix = "end it, or set another GRIDLEDGER_..._PORT (`gridledger config show`)"
        return f"a port is taken by another program: {fix}"
    if error.errno == errno.ENOSPC:
        _drop_output()
        return f"{error.filename or 'standard output'}: {error.strerror} (make room there)"
    if error.filename is None:
        raise error
    fix = _FIXES.get(error.errno or 0, "name another one")
    return f"{error.filename}: {error.strerror} ({fix})"


def _drop_output() -> None:
    """What is left to be written goes nowhere, so that the interpreter can end in silence."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _help_hint(error: Any) -> str:
    path = error.ctx.command_path if getattr(error, "ctx", None) else "gridledger"
    return f"see `{path} --help`"


def _say(text: str) -> int:
    """One line: a value of any length is cut in its middle, so that field and fix are seen."""
    line = " ".join(text.split())
    if len(line) > LONGEST:
        line = f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"
    print(f"error: {line}", file=sys.stderr)
    return STATUS_BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
