"""The console command: help everywhere, and one line with status 2 for whatever is wrong."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from libs.events.errors import Aborted, BadInput, Refused, Unavailable, Undecodable
from services.cli import main as cli
from services.cli import run as run_command


@pytest.fixture(autouse=True)
def _bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("GRIDLEDGER_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that call it."""
    if not hasattr(command, "list_commands"):
        yield path, command
        return
    for name in command.list_commands(None):
        yield from commands(command.get_command(None, name), (*path, name))


ALL = list(commands(typer.main.get_command(cli.app)))


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_every_command_has_help_with_an_example(
    path: tuple[str, ...], command: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*path, "--help"]) == 0
    shown = capsys.readouterr().out
    assert command.help.strip().splitlines()[0].endswith(".")
    assert f"Example: gridledger {' '.join(path)}" in " ".join(shown.split())
    assert "completion" not in shown


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_help_does_not_break_in_the_middle_of_lines(path: tuple[str, ...], command: Any) -> None:
    """Line ends below the first paragraph stay in the output: at 80 columns 78 fit."""
    _, *paragraphs = inspect.cleandoc(command.callback.__doc__).split("\n\n")
    assert [line for each in paragraphs for line in each.splitlines() if len(line) > 78] == []


def test_the_list_of_commands_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    shown = capsys.readouterr().out
    for name, (_, summary) in cli.COMMANDS.items():
        assert f" {name} " in shown
        assert summary[:30] in shown
    assert cli.main([]) == 2


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (BadInput("rows.csv:3", "no such account", "add it"), "rows.csv:3: no such account (add"),
        (Refused("it runs already: end it"), "it runs already: end it"),
        (Unavailable("no broker answers at x:1"), "no broker answers at x:1"),
        (Undecodable("type", "unknown"), "type: unknown"),
        (Aborted("line one\n  line two"), "line one line two"),
        (FileNotFoundError(2, "No such file or directory", "a.csv"), "a.csv: No such file or dir"),
        (OSError(98, "Address already in use"), "a port is taken by another program: end it, or "),
        (PermissionError(13, "Permission denied", "b.csv"), "b.csv: Permission denied"),
    ],
)
def test_a_known_error_is_one_line_and_status_2(
    error: Exception,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(_service: str, _ordinal: int) -> int:
        raise error

    monkeypatch.setattr(run_command, "run_service", fails)
    assert cli.main(["run", "billing"]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"error: {line}")
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_a_value_of_any_length_leaves_room_for_field_and_fix(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["decode", "00", "--protocol", "a" * 70_000]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: protocol: ")
    assert said.endswith("qgdw376)\n")
    assert len(said) < 1100


@pytest.mark.parametrize("error", [AssertionError("broken"), KeyError("x"), OSError("no name")])
def test_a_bug_is_not_hidden(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_service: str, _ordinal: int) -> int:
        raise error

    monkeypatch.setattr(run_command, "run_service", fails)
    with pytest.raises(type(error)):
        cli.main(["run", "billing"])


def test_ctrl_c_is_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_service: str, _ordinal: int) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_command, "run_service", interrupted)
    assert cli.main(["run", "billing"]) == 130
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["dance"], "No such command 'dance'. (see `gridledger --help`)"),
        (["run"], "Missing argument 'SERVICE'. (see `gridledger run --help`)"),
        (["run", "billing", "--ordinal", "x"], "Invalid value for '--ordinal': "),
        (["run", "billing", "--ordinal", "-1"], "Invalid value for '--ordinal': "),
        (["run", "billing", "--speed", "9"], "No such option: --speed"),
        (["run", "billling"], "service: there is no billling (one of "),
        (["run", "no_such_package.x:run"], "service: there is no module no_such_package.x"),
        (["local", "up", "--nodes", "2"], "--nodes: 2 nodes (1, or 3 to survive"),
        (["local", "up", "--database", "oracle"], "database: oracle is not known (sqlite or"),
        (["local", "up", "--start-by", "magic"], "--start-by: magic is not known"),
        (["local", "status"], "nothing runs in "),
        (["local", "scale", "billing", "2"], "nothing runs in "),
        (["local", "logs", "billing"], "service: no log of billing (nothing ran in "),
        (["local", "reset"], "--yes: nobody is there to confirm"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(
    arguments: list[str],
    line: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRIDLEDGER_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    if "2" in arguments and "--nodes" in arguments:
        monkeypatch.delenv("GRIDLEDGER_KAFKA_BOOTSTRAP_SERVERS")
    assert cli.main(arguments) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"error: {line}")
    assert printed.count("\n") == 1


def test_a_service_gets_settings_and_ordinal_and_gives_the_status(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[int, int]] = []

    def service(settings: Any, ordinal: int) -> int:
        seen.append((settings.partitions, ordinal))
        return 7

    monkeypatch.setenv("GRIDLEDGER_PARTITIONS", "9")
    monkeypatch.setitem(run_command.SERVICES, "toy", f"{__name__}:toy_service")
    monkeypatch.setitem(globals(), "toy_service", service)
    assert cli.main(["run", "toy", "--ordinal", "3"]) == 7
    assert seen == [(9, 3)]


def test_config_show_lists_every_setting_with_its_source(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRIDLEDGER_KAFKA_SASL_PASSWORD", "s3cret")
    monkeypatch.setenv("GRIDLEDGER_DATABASE_URL", "postgresql+psycopg://g:pw1@db/g")
    assert cli.main(["config", "show", "--json"]) == 0
    printed = capsys.readouterr().out
    rows = {row["variable"]: row for row in json.loads(printed)}
    assert rows["GRIDLEDGER_KAFKA_SASL_PASSWORD"]["source"] == "environment"
    assert rows["GRIDLEDGER_KAFKA_SASL_PASSWORD"]["value"] == "********"
    assert rows["GRIDLEDGER_PARTITIONS"]["value"] == 4
    assert rows["GRIDLEDGER_PARTITIONS"]["source"] == "default"
    assert cli.main(["config", "show"]) == 0
    plain = capsys.readouterr().out
    assert len(plain.splitlines()) == len(rows)
    for secret in ("s3cret", "pw1"):
        assert secret not in printed + plain
