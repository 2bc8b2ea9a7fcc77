"""The locks in requirements/: made from pyproject.toml, with hashes, naming no index.

    bootstrap.lock   uv and setuptools, installed by pip        from requirements/bootstrap.in
    dev.lock         everything for `make test` and `make check`
    runtime.lock     what a user needs: no groups, the extras `demo` and `local`

The first line of each says from which input it was made, so that a lock that was forgotten after
a change of pyproject.toml is noticed without a network.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any

from messages import SetupError, reason

PYTHON = "3.11"
FIX = "run `python3 scripts/bootstrap.py lock` and commit requirements/"
FIRST_LINE = "# made by `python3 scripts/bootstrap.py lock` from input sha256:"
RUNTIME_EXTRAS = ("demo", "local")
_ADDRESS = re.compile(r"https?://|--index-url|--extra-index-url|--find-links|^-i ", re.MULTILINE)


def fingerprint(root: Path, name: str) -> str:
    """The SHA-256 of the part of the input that decides what a lock holds."""
    if name == "bootstrap":
        text = (root / "requirements" / "bootstrap.in").read_text(encoding="utf-8")
        return hashlib.sha256(text.encode()).hexdigest()
    import tomllib

    content = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    project = content["project"]
    extras = project.get("optional-dependencies", {})
    part: dict[str, Any] = {
        "requires-python": project["requires-python"],
        "dependencies": project.get("dependencies", []),
        "extras": extras,
        "groups": content.get("dependency-groups", {}),
    }
    if name == "runtime":
        part["extras"] = {extra: extras.get(extra) for extra in RUNTIME_EXTRAS}
        del part["groups"]
    return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()


def check_all(root: Path) -> None:
    """Raise SetupError, in one line, when a lock is not what pyproject.toml asks for."""
    for name in ("bootstrap", "dev", "runtime"):
        problem = lock_problem(root, name)
        if problem:
            raise SetupError(f"requirements/{name}.lock: {problem}: {FIX}")


def lock_problem(root: Path, name: str) -> str:
    """What is wrong with one lock; "" when nothing is."""
    lock = root / "requirements" / f"{name}.lock"
    if not lock.exists():
        return "is missing"
    text = lock.read_text(encoding="utf-8")
    if text.partition("\n")[0] != FIRST_LINE + fingerprint(root, name):
        source = "requirements/bootstrap.in" if name == "bootstrap" else "pyproject.toml"
        return f"was not made from this {source}"
    if _ADDRESS.search(text):
        return "names an index address"
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text.partition("\n")[2])
    for block in blocks:
        pinned = re.match(r"([A-Za-z0-9._\[\]-]+)==\S+", block)
        if not pinned or "--hash=sha256:" not in block:
            return f"{block.split()[0]} is not pinned with a hash"
    return ""


def compile_all(root: Path, uv: Path, environment: dict[str, str]) -> None:
    """Make the three locks anew; versions that still fit are kept (delete a lock to upgrade)."""
    sources = {
        "bootstrap": ["requirements/bootstrap.in"],
        "dev": ["pyproject.toml", "--all-extras", "--group", "dev"],
        "runtime": ["pyproject.toml", "-c", "requirements/dev.lock"],
    }
    for extra in RUNTIME_EXTRAS:
        sources["runtime"] += ["--extra", extra]
    for name, source in sources.items():
        _compile(root, uv, environment, name, source)


def _compile(
    root: Path, uv: Path, environment: dict[str, str], name: str, source: list[str]
) -> None:
    target = f"requirements/{name}.lock"
    command = [str(uv), "pip", "compile", "--quiet", "--generate-hashes", "--universal"]
    command += ["--no-header", "--python-version", PYTHON, *source, "-o", target]
    answer = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        raise SetupError(f"{target} could not be made: {reason(answer.stderr)}")
    text = (root / target).read_text(encoding="utf-8")
    (root / target).write_text(FIRST_LINE + fingerprint(root, name) + "\n" + text, encoding="utf-8")
