"""Reads the project's own text and says what breaks its written style; see tests/test_tidy.py.

python -m tests.tidy          every finding, one a line; status 1 when there is any
python -m tests.tidy lower    writes the lower numbers into tests/tidy_exceptions.json
python -m tests.tidy covered  the pure modules and codecs, as `make coverage` takes them
"""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXCEPTIONS_FILE = ROOT / "tests" / "tidy_exceptions.json"

FUNCTION_LINES_MAX = 70
LINE_COLUMNS_MAX = 100
FILE_LINES_MAX = 500

BANNED_WORDS = frozenset({"util", "utils", "helper", "helpers", "manager", "process", "handle"})
"""Words that say nothing about what a thing is."""

ALLOWED_NAMES: dict[str, str] = {}
"""Names that a library obliges us to give, each with the library."""

OVERRIDING = {"handle": ("BaseRequestHandler", "StreamRequestHandler", "DatagramRequestHandler")}

BANNED_CALLS = frozenset({"open", "input", "print", "eval", "exec", "hash", "id", "globals"})
"""Built-in functions that reach outside, or give another answer in another process."""

BANNED_METHODS = frozenset({"now", "utcnow", "today", "fromtimestamp", "getenv", "read_text"})
NO_FLOAT_IN = ("services.billing.", "services.payments.")

OPEN_WORK = re.compile(r"\b(TO" + r"DO|FIX" + r"ME)\b(?!\(#\d+\))")
PRAGMA = re.compile(r"\s+# (?:type: ignore|noqa|fmt: skip|pragma:).*$")
MACHINE_PATHS = re.compile(
    r"(?<![\w.~/{}-])/(?:" + "|".join(("work", "root", "home")) + r")/\w"
    r"|(?<![\w./])/t" + r"mp/\w|\.\./sha" + "red"
)
REGISTRIES = re.compile(
    r"\b(?:"
    + "|".join(
        (
            r"pypi\." + "org",
            r"pythonhosted\." + "org",
            r"repo1?\.maven\." + r"(?:apache\.)?org",
            r"registry\.npmjs\." + "org",
            r"proxy\.golang\." + "org",
            r"docker\." + "io",
            r"quay\." + "io",
            r"ghcr\." + "io",
        )
    )
    + r")\b"
)
TEXT_SUFFIXES = frozenset(
    [
        ".cfg",
        ".csv",
        ".html",
        ".in",
        ".ini",
        ".json",
        ".lock",
        ".md",
        ".py",
        ".sha256",
        ".toml",
        ".txt",
        ".xml",
        ".yaml",
        ".yml",
    ]
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@dataclass(frozen=True, slots=True)
class Finding:
    """What breaks the style, and where: path, and a line or a name."""

    path: str
    place: str
    problem: str

    def __str__(self) -> str:
        return f"{self.path}:{self.place}: {self.problem}"


def project_files() -> list[Path]:
    """The files that are or would be committed; without git, all that are not hidden."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        names = [name for name in listed.stdout.decode().split("\0") if name]
        paths = [ROOT / name for name in names]
    else:
        paths = [
            path
            for path in ROOT.rglob("*")
            if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
        ]
    return sorted({path for path in paths if path.is_file()})


def is_text(path: Path) -> bool:
    """Whether a file is one that people read."""
    return path.suffix in TEXT_SUFFIXES or path.suffix == ""


def name_of(path: Path) -> str:
    """A path as it is shown and listed."""
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name


# -- sizes --------------------------------------------------------------------------------------


def sizes(path: Path) -> Iterator[tuple[str, int, int]]:
    """What is too large in a Python file: (name in the list of exceptions, size, limit)."""
    text = path.read_text("utf-8")
    lines = text.splitlines()
    if len(lines) > FILE_LINES_MAX:
        yield f"file {name_of(path)}", len(lines), FILE_LINES_MAX
    # As ruff measures: a remark to a tool, or one unbroken word, may reach beyond the edge.
    widest = max((len(PRAGMA.sub("", line)) for line in lines if " " in line.strip()), default=0)
    if widest > LINE_COLUMNS_MAX:
        yield f"line {name_of(path)}", widest, LINE_COLUMNS_MAX
    for name, node in functions(ast.parse(text)):
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        if length > FUNCTION_LINES_MAX:
            yield f"function {name_of(path)}:{name}", length, FUNCTION_LINES_MAX


def functions(
    tree: ast.AST, inside: str = ""
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function of a tree with its dotted name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{inside}{node.name}", node
        scope = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        yield from functions(node, f"{inside}{node.name}." if scope else inside)  # type: ignore[attr-defined]


def size_findings(found: dict[str, tuple[int, int]], exceptions: dict[str, int]) -> list[str]:
    """Sizes against the list of exceptions, which may only shrink."""
    problems = []
    for name, (size, limit) in sorted(found.items()):
        listed = exceptions.get(name)
        if listed is None:
            problems.append(f"{name}: {size}, at most {limit}")
        elif size > listed:
            problems.append(f"{name}: {size}, was {listed} and may only shrink")
        elif size < listed:
            problems.append(f"{name}: {size}, the list says {listed}: lower it")
    problems += [
        f"{name}: is within the limits now: take it off the list"
        for name in sorted(exceptions.keys() - found.keys())
    ]
    return problems


# -- names --------------------------------------------------------------------------------------


def words(name: str) -> list[str]:
    """The words of an identifier or file name, lower case."""
    return [word.lower() for word in _WORD.findall(name)]


def is_banned(name: str) -> bool:
    """Whether a name contains a word that says nothing."""
    return name not in ALLOWED_NAMES and not BANNED_WORDS.isdisjoint(words(name))


def identifiers(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """The names that this project gives (not those it only uses), each with its line."""
    overriding = {
        id(method)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for method in node.body
        if isinstance(method, ast.FunctionDef)
        and any(base in ast.unparse(each) for base in OVERRIDING.get(method.name, ())
                for each in node.bases)
    }  # fmt: skip
    for node in ast.walk(tree):
        if id(node) in overriding:
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield (node.id if isinstance(node, ast.Name) else node.attr), node.lineno
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname, node.lineno


def name_findings(path: Path) -> list[Finding]:
    """Banned words in the names that a Python file gives, and in its own path."""
    shown = name_of(path)
    found = [Finding(shown, "0", f"{part!r} says nothing; name what it is")
             for part in Path(shown).with_suffix("").parts if is_banned(part)]  # fmt: skip
    tree = ast.parse(path.read_text("utf-8"))
    return found + [
        Finding(shown, str(line), f"{name!r} says nothing; name what it is")
        for name, line in identifiers(tree)
        if is_banned(name)
    ]


# -- text ---------------------------------------------------------------------------------------


def text_findings(path: Path) -> list[Finding]:
    """Open work without an issue, paths of a machine, hosts of registries."""
    rules = (
        (OPEN_WORK, "open work without an issue; write TO" + "DO(#7)"),
        (MACHINE_PATHS, "a path of one machine"),
        (REGISTRIES, "the host of a package registry"),
    )
    try:
        lines = path.read_text("utf-8").splitlines()
    except UnicodeDecodeError:
        return [Finding(name_of(path), "0", "is no UTF-8 text")]
    return [
        Finding(name_of(path), str(number), f"{problem}: {line.strip()[:60]}")
        for number, line in enumerate(lines, start=1)
        for rule, problem in rules
        if rule.search(line)
    ]


# -- purity -------------------------------------------------------------------------------------


def purity_findings(path: Path, *, no_float: bool) -> list[Finding]:
    """Calls that a pure module must not make; with `no_float`, any binary float."""
    shown = name_of(path)
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        problem = _impure(node) or (_float(node) if no_float else "")
        if problem:
            found.append(Finding(shown, str(getattr(node, "lineno", 0)), problem))
    return found


def _impure(node: ast.AST) -> str:
    if not isinstance(node, ast.Call):
        return ""
    match node.func:
        case ast.Name(id=name) if name in BANNED_CALLS:
            return f"{name}() in a pure module"
        case ast.Attribute(attr=name) if name in BANNED_METHODS:
            return f".{name}() in a pure module"
    return ""


def _float(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=float()):
            return "a float literal where money is counted"
        case ast.Call(func=ast.Name(id="float")):
            return "float() where money is counted"
        case ast.Name(id="float"):
            return "the type float where money is counted"
        case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
            return "true division where money is counted; use a named rounding"
    return ""


PROTOCOLS = "services.ingest.protocols"
TALKING = frozenset(
    f"{PROTOCOLS}.{name}"
    for name in (
        "catalogue",
        "dlms",
        "dlms_session",
        "dlt698_session",
        "drivers",
        "modbus_rtu",
        "modbus_tcp",
        "ports",
        "qgdw376.concentrator",
        "qgdw376.forward_line",
        "qgdw376.link",
        "session",
        "slot_table",
        "talk",
    )
)
"""Protocol modules that talk to somebody, or load who does; all others only know bytes."""


def codec_files() -> dict[str, Path]:
    """The codecs: bytes to values and back, by dotted name."""
    root = ROOT / PROTOCOLS.replace(".", "/")
    names = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in root.rglob("*.py")
    }
    return {name: path for name, path in sorted(names.items()) if name not in TALKING}


def pure_files() -> dict[str, Path]:
    """The modules that decide or calculate, of all cores, by dotted name."""
    from services.cores import CORES

    cores = [importlib.import_module(path) for path in CORES.values()]
    return {
        name: ROOT / (name.replace(".", "/") + ".py")
        for core in cores
        for name in (*core.PURE_MODULES, *getattr(core, "CALCULATIONS", ()))
    }


# -- all ----------------------------------------------------------------------------------------


def read_exceptions() -> dict[str, int]:
    """The sizes that were there when the rule came."""
    content: dict[str, int] = json.loads(EXCEPTIONS_FILE.read_text("utf-8"))
    return content


def all_sizes(files: Iterable[Path]) -> dict[str, tuple[int, int]]:
    """Everything that is too large, and how many banned names a file gives (at most none)."""
    found: dict[str, tuple[int, int]] = {}
    for path in files:
        if path.suffix == ".py":
            found |= {name: (size, limit) for name, size, limit in sizes(path)}
            count = len(name_findings(path))
            if count:
                found[f"names {name_of(path)}"] = (count, 0)
    return found


def main(arguments: list[str]) -> int:
    """Print all findings or the covered files, or lower the list of exceptions."""
    if arguments == ["covered"]:
        print(",".join(sorted(map(name_of, (pure_files() | codec_files()).values()))))
        return 0
    files = project_files()
    exceptions = read_exceptions()
    found = all_sizes(files)
    if arguments == ["sizes"]:
        print(json.dumps({name: size for name, (size, _) in sorted(found.items())}, indent=1))
        return 0
    if arguments == ["lower"]:
        kept = {
            name: min(found[name][0], listed)
            for name, listed in exceptions.items()
            if name in found
        }
        EXCEPTIONS_FILE.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n")
        return 0
    problems = size_findings(found, exceptions)
    for path in files:
        if path.suffix == ".py" and f"names {name_of(path)}" not in exceptions:
            problems += map(str, name_findings(path))
        if is_text(path):
            problems += map(str, text_findings(path))
    for name, path in sorted(pure_files().items()):
        no_float = name.startswith(NO_FLOAT_IN)
        problems += map(str, purity_findings(path, no_float=no_float))
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
