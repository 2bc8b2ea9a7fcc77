"""Who may import whom, and what a pure module may import.

Goal: a decision can only depend on its input and its state, and the hash that names a decider
covers every line that decides. Method: import-linter checks the borders of `.importlinter`; here
the import statements of each core's PURE_MODULES are read, because those lists live in the code.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from importlinter import api as _importlinter  # noqa: F401  # the tool must be there
from importlinter.cli import lint_imports

from services.cores import CORES

ROOT = Path(__file__).parents[1]
PURE_LIBS = frozenset(
    f"libs.events.{name}"
    for name in (
        "core",
        "errors",
        "frozen",
        "memory",
        "policy",
        "quantities",
        "record",
        "registry",
        "step",
    )
) | {"libs.read_success", "libs.tou_calendar"}
"""The part of the library that decisions may use: data and arithmetic."""

OURS = frozenset({"libs", "services", "simulators"})

PURE_STDLIB = frozenset(
    [
        "__future__", "abc", "base64", "bisect", "calendar", "collections", "copy", "csv",
        "dataclasses", "datetime", "decimal", "enum", "fractions", "functools", "hashlib", "hmac",
        "itertools", "json", "math", "operator", "re", "string", "struct", "types", "typing",
        "unicodedata",
    ]
)  # fmt: skip
"""The part of the standard library that decisions may use; tests/test_tidy.py bans single calls
of it (`datetime.now`)."""

ALSO_ALLOWED = {
    # The type of an answer (`TooLate`). What an effect concludes is never decided again.
    "services.ingest.effect.decide": frozenset({"libs.events.effects"}),
    "services.payments.effect.decide": frozenset({"libs.events.effects"}),
}


@functools.cache
def source_of(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    assert spec is not None, f"there is no module {module}"
    assert spec.origin is not None, f"{module} has no source"
    return Path(spec.origin)


def imports_of(module: str) -> Iterator[tuple[str, int]]:
    """The modules that a module imports when it runs, with the line."""
    tree = ast.parse(source_of(module).read_text("utf-8"))
    typing_only = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for statement in branch.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: import by the full name"
            assert node.module is not None
            yield from ((name, node.lineno) for name in imported_names(node.module, node.names))


def imported_names(module: str, names: list[ast.alias]) -> list[str]:
    """`from a import b` imports the module a.b when there is one, else a."""
    if module.partition(".")[0] not in OURS:
        return [module]
    found = []
    for alias in names:
        inner = f"{module}.{alias.name}"
        package = source_of(module).name == "__init__.py"
        is_module = package and importlib.util.find_spec(inner) is not None
        found.append(inner if is_module else module)
    return found


def problems_of(module: str, allowed: frozenset[str]) -> list[str]:
    """Imports of a pure module that it must not have."""
    problems = []
    for name, line in imports_of(module):
        root = name.partition(".")[0]
        where = f"{module}:{line}: imports {name}"
        if root in OURS:
            if name not in allowed | ALSO_ALLOWED.get(module, frozenset()):
                problems.append(f"{where}, which is no pure module")
        elif root not in sys.stdlib_module_names:
            problems.append(f"{where}, which is not of the standard library")
        elif root not in PURE_STDLIB:
            problems.append(f"{where}, which is not pure")
    return problems


def test_import_contracts() -> None:
    """The contracts of .importlinter, by the tool that `make check` runs."""
    config = str(ROOT / ".importlinter")
    assert lint_imports(config_filename=config, no_cache=True) == 0


def pure_modules(core: str) -> frozenset[str]:
    """What a core decides by, and what else of its service calculates."""
    module = importlib.import_module(CORES[core])
    return frozenset((*module.PURE_MODULES, *getattr(module, "CALCULATIONS", ())))


@pytest.mark.parametrize("core", CORES)
def test_pure_modules_import_pure_modules(core: str) -> None:
    own = pure_modules(core)
    problems = [text for name in sorted(own) for text in problems_of(name, own | PURE_LIBS)]
    assert problems == []


def test_the_pure_part_of_the_library_is_pure() -> None:
    problems = [text for name in sorted(PURE_LIBS) for text in problems_of(name, PURE_LIBS)]
    assert problems == []


def test_the_screening_is_pure_but_for_numpy() -> None:
    """The one module that may use it (DESIGN.md, layout)."""
    own = pure_modules("validation")
    problems = problems_of("services.validation.screening", own | PURE_LIBS)
    assert len(problems) == 2
    assert all("imports numpy" in text for text in problems)


@pytest.mark.parametrize("core", CORES)
def test_the_decider_covers_what_decides(core: str) -> None:
    """`decide`, `evolve`, `concerned` and `due` come from modules whose text is in the hash."""
    module = importlib.import_module(CORES[core])
    made = module.make_core()
    functions = [made.decide, made.evolve, made.concerned, made.due]
    functions += [getattr(made, name) for name in ("action", "conclude") if hasattr(made, name)]
    for given in functions:
        function = given
        while isinstance(function, functools.partial):
            function = function.func
        where = function.__module__
        assert where in module.PURE_MODULES or where in PURE_LIBS, f"{function} is in {where}"
    for kind in made.state_types:
        assert kind.__module__ in module.PURE_MODULES


@pytest.mark.parametrize("core", CORES)
def test_the_decider_covers_nothing_else(core: str) -> None:
    """A module that no decision reaches must not make an older log incomparable."""
    listed = set(importlib.import_module(CORES[core]).PURE_MODULES)
    package = CORES[core].rpartition(".")[0]
    reached: set[str] = set()
    waiting = {f"{package}.decide", f"{package}.state"}
    # Which policy and which limits it decides by, the core's own module says.
    waiting |= {each for each, _ in imports_of(CORES[core])} & listed
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting |= {each for each, _ in imports_of(name) if each in listed} - reached
    assert listed - reached == set()


def test_every_service_has_the_same_shape() -> None:
    """A reader who knows one knows all (DESIGN.md, layout): a core has these modules."""
    for path in CORES.values():
        package = path.rpartition(".")[0]
        for name in ("state", "decide", "reactions"):
            assert importlib.util.find_spec(f"{package}.{name}") is not None, f"{package}.{name}"
        service = ".".join(package.split(".")[:2])
        assert importlib.util.find_spec(f"{service}.events") is not None


def test_what_is_not_pure_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reading of imports itself: each kind of import that must be found."""
    (tmp_path / "impure_example.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "import os.path\n"
        "import yaml\n"
        "from libs.events import loop\n"
        "from libs.events.record import Record\n"
        "if TYPE_CHECKING:\n"
        "    import random\n"
        "def later():\n"
        "    from services.billing.api import SOURCE\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert problems_of("impure_example", PURE_LIBS) == [
        "impure_example:2: imports os.path, which is not pure",
        "impure_example:3: imports yaml, which is not of the standard library",
        "impure_example:4: imports libs.events.loop, which is no pure module",
        "impure_example:9: imports services.billing.api, which is no pure module",
    ]


THROUGH = {"dotenv": "pydantic-settings", "starlette": "fastapi"}
"""Imported packages that a declared dependency brings and stands for."""


def test_what_is_imported_is_declared() -> None:
    """A package that merely happens to be installed would be missing elsewhere."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    texts = list(project["dependencies"])
    texts += [text for extra in project["optional-dependencies"].values() for text in extra]
    declared = {re.split(r"[\[<>=~ ]", text)[0].lower() for text in texts}
    owners = packages_distributions()
    missing = []
    for path in sorted(path for top in ("libs", "services", "simulators") for path in
                       (ROOT / top).rglob("*.py")):  # fmt: skip
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for root in {name.partition(".")[0] for name in names} - OURS - sys.stdlib_module_names:
                found = {THROUGH[root]} if root in THROUGH else set(owners.get(root, (root,)))
                if not {name.lower().replace("_", "-") for name in found} & declared:
                    missing.append(f"{path.relative_to(ROOT)}: {root}")
    assert missing == []
