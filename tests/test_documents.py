"""The documents say what is there: names, files, commands and settings in them are looked up.

Goal: a reader who follows a document arrives. Method: every dotted name of ARCHITECTURE.md's table
is imported; every file in backquotes, every link, every `gridledger` command and every setting in
a document must exist; every dependency has its reason; the glossary's terms have a home.
"""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path

import pytest
import typer

from libs.events.topics import load_topics
from services.cli.main import COMMANDS
from services.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / name
    for name in (
        "README.md",
        "ARCHITECTURE.md",
        "GLOSSARY.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "docs/calculations.md",
        "docs/performance.md",
    )
]
DECISIONS = sorted((ROOT / "docs" / "adr").glob("*.md"))
MADE = ("docs/incompatible-changes.md", "gridledger.yaml", "books/", "export/")
"""What a document may name and a checkout need not have."""

FILE = re.compile(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|md|yaml|toml|json))`")
LINK = re.compile(r"\]\(([^)#:]+)\)")
COMMAND = re.compile(r"gridledger ([a-z][a-z-]*(?: [a-z][a-z0-9-]*)?)")
SETTING = re.compile(r"\bGRIDLEDGER_([A-Z_]+)\b")
DOTTED = re.compile(r"`((?:libs|services)\.[\w.]+)`")
SHAPE = {"events.py", "state.py", "decide.py", "reactions.py", "core.py", "main.py"}
"""Modules that every service has; see test_imports."""


def page(path: Path) -> str:
    return path.read_text("utf-8")


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def resolved(name: str) -> object:
    """What a dotted name means: a module, or something in one."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            found = getattr(found, part)
        return found
    raise AssertionError(name)


def decided_where() -> dict[str, str]:
    """The table of ARCHITECTURE.md: question -> dotted name."""
    text = page(ROOT / "ARCHITECTURE.md").partition("## Where is this decided?")[2]
    rows = re.findall(r"^\| ([^|]+\?) \| `([\w.]+)` \|$", text, re.MULTILINE)
    return dict(rows)


@pytest.mark.parametrize(("question", "name"), decided_where().items())
def test_the_function_that_decides_exists(question: str, name: str) -> None:
    assert resolved(name) is not None, question


def test_the_questions_of_a_new_reader_are_answered() -> None:
    questions = " ".join(decided_where())
    for words in (
        "kWh in the peak period",
        "duplicate callback",
        "estimated reading",
        "disconnect refused",
        "dead letter",
        "which order were inputs decided",
    ):
        assert words in questions


@pytest.mark.parametrize("path", [*PAGES, *DECISIONS], ids=shown)
def test_names_in_a_document_exist(path: Path) -> None:
    text = page(path)
    missing = [
        name
        for name in FILE.findall(text)
        if not any((place / name).exists() for place in (ROOT, path.parent))
        and name not in SHAPE
        and not name.startswith(MADE)
    ]
    missing += [link for link in LINK.findall(text) if not (path.parent / link).exists()]
    assert missing == []
    for name in DOTTED.findall(text):
        assert resolved(name) is not None


@pytest.mark.parametrize("path", [*PAGES, *DECISIONS], ids=shown)
def test_commands_and_settings_in_a_document_exist(path: Path) -> None:
    text = page(path)
    code = " ; ".join(re.findall(r"`([^`]+)`", text) + re.findall(r"```sh\n(.*?)```", text, re.S))
    for found in COMMAND.findall(code):
        name, _, word = found.partition(" ")
        assert name in COMMANDS, f"gridledger {name}"
        inner = commands_of(name)
        assert not (word and inner) or word in inner, f"gridledger {found}"
    known = {name.upper() for name in Settings.model_fields} | {"CONFIG"}
    unknown = [name for name in SETTING.findall(text) if name.rstrip("_") and name not in known]
    assert unknown == []


def commands_of(name: str) -> set[str]:
    """The sub-commands of a command; none when it is one command."""
    module, _, attribute = COMMANDS[name][0].partition(":")
    command = typer.main.get_command(getattr(importlib.import_module(module), attribute))
    return set(getattr(command, "commands", ()))


def test_the_readme_is_short_and_complete() -> None:
    text = page(ROOT / "README.md")
    assert len(text.splitlines()) <= 200
    for name in COMMANDS:
        assert f"| `gridledger {name}` |" in text, name
        row = next(line for line in text.splitlines() if line.startswith(f"| `gridledger {name}`"))
        for word in commands_of(name):
            assert f"`{word}`" in row, f"gridledger {name} {word}"


def test_every_dependency_has_a_reason() -> None:
    project = tomllib.loads(page(ROOT / "pyproject.toml"))
    wanted = list(project["project"]["dependencies"])
    for group in (project["project"]["optional-dependencies"], project["dependency-groups"]):
        wanted += [text for texts in group.values() for text in texts if isinstance(text, str)]
    names = {re.split(r"[\[<>=~ ;]", text)[0] for text in wanted}
    text = page(ROOT / "docs" / "adr" / "0002-libraries.md")
    listed = set(re.findall(r"^\| `([\w-]+)` \| \S.{10,} \|$", text, re.MULTILINE))
    assert listed == names


def test_decisions_are_numbered_and_have_their_parts() -> None:
    numbers = [int(path.name[:4]) for path in DECISIONS]
    assert numbers == list(range(1, len(DECISIONS) + 1))
    for path in DECISIONS:
        text = page(path)
        assert text.startswith(f"# {path.name[:4]} ")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [
            "Context",
            "Decision",
            "Consequences",
        ]
        assert len(text.splitlines()) <= 80, f"{path.name} is more than a page"


def test_every_decision_is_found_from_the_architecture() -> None:
    text = page(ROOT / "ARCHITECTURE.md")
    missing = [path.name for path in DECISIONS[:8] if f"docs/adr/{path.name}" not in text]
    assert missing == []


def glossary() -> list[list[str]]:
    rows = [line for line in page(ROOT / "GLOSSARY.md").splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def test_the_glossary_has_both_languages_and_a_home_for_every_term() -> None:
    rows = glossary()
    assert len(rows) >= 50
    assert all(len(row) == 5 for row in rows)
    terms = [row[0] for row in rows]
    assert len(set(terms)) == len(terms)
    for term, chinese, meaning, _standard, place in rows:
        assert term.isascii()
        assert re.search(r"[\u4e00-\u9fff]", chinese), term
        assert len(meaning) > 10, term
        text = page(ROOT / place.strip("`")).lower()
        words = re.split(r"[ -]", term)
        assert any(word[:5] in text for word in words), f"{term} is not at home in {place}"


def test_the_map_in_the_architecture_names_every_topic_between_services() -> None:
    """docs/topics.md is generated; the drawing in ARCHITECTURE.md is made by hand."""
    text = page(ROOT / "ARCHITECTURE.md")
    between = [
        name
        for name, topic in load_topics().topics.items()
        if not name.endswith(".dlq")
        and any(
            reader.partition(".")[0] != writer.partition(".")[0]
            for reader in topic.readers
            for writer in topic.writers
            if reader != "console"
        )
    ]
    assert [name for name in between if name not in text] == []


def test_the_changelog_begins_with_this_version() -> None:
    project = tomllib.loads(page(ROOT / "pyproject.toml"))["project"]
    first = re.search(r"^## (\S+)", page(ROOT / "CHANGELOG.md"), re.MULTILINE)
    assert first is not None
    assert first.group(1) == project["version"]
    licence = page(ROOT / "LICENSE")
    assert project["license"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
