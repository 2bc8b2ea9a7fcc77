"""Older releases as wheels: each replays what it decided, and its result completes ours.

    releases = open_releases(["6c1f...=gridledger-0.1.0-py3-none-any.whl"], Path("scratch"))
    add_older(results, releases, Path("export"))

A wheel is unpacked and run in a process of its own (`older_release.py`), over an export and with
no settings. Its code judges its own decisions: give only wheels whose source you trust. What is
checked here is that it is the release that the log names, and that it compared all that the step
records ascribe to it.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from libs.events.attribution import Share
from libs.events.errors import BadInput
from libs.events.replay import ReplayResult
from services.audit import older_release
from services.settings import PREFIX

OPTION = "--decider"
SYNTAX = "HASH=FILE.whl"
MEMBERS_MAX = 10_000
BYTES_MAX = 200_000_000
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,  # encrypted
    FileExistsError,
    NotADirectoryError,
    IsADirectoryError,
)


@dataclass(frozen=True, slots=True)
class Release:
    """One wheel, where it lies unpacked, and the deciders that it is given for: every core of a
    release has its own."""

    wheel: Path
    directory: Path
    deciders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OlderResult:
    """What an older release says about one core."""

    decider: str
    steps: int
    compared: int
    differences: tuple[str, ...]


def open_releases(texts: list[str], scratch: Path) -> list[Release]:
    """The releases that the options name, unpacked; BadInput when one is wrong."""
    wheels: dict[str, Path] = {}
    for text in texts:
        decider, _, name = text.partition("=")
        if not decider or not name:
            raise BadInput(OPTION, f"{text!r} names no wheel", SYNTAX)
        if not Path(name).is_file():
            raise BadInput(OPTION, f"{name} is no file", SYNTAX)
        if decider in wheels:
            raise BadInput(OPTION, f"{decider} is given twice", "one wheel for each decider")
        wheels[decider] = Path(name).resolve()
    releases: list[Release] = []
    for wheel in dict.fromkeys(wheels.values()):
        directory = scratch / f"release-{len(releases)}"
        unpack(wheel, directory)
        mine = tuple(decider for decider, each in wheels.items() if each == wheel)
        releases.append(Release(wheel, directory, mine))
    return releases


def unpack(wheel: Path, directory: Path) -> None:
    """Write our packages out of a wheel into a directory; BadInput when it is no wheel of ours.

    Compiled files stay behind: they would run instead of the sources that the decider names.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = archive.infolist()
            _check_members(wheel, members)
            for member in members:
                path = PurePosixPath(member.filename)
                if member.is_dir() or path.parts[0] not in older_release.PACKAGES:
                    continue
                if path.suffix == ".pyc":
                    continue
                target = directory.joinpath(*path.parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(member))
    except _DAMAGED as damage:
        raise BadInput(OPTION, f"{wheel.name} is no wheel: {damage}", SYNTAX) from None


def _check_members(wheel: Path, members: list[zipfile.ZipInfo]) -> None:
    """Refuse what no build makes, before a byte is written."""
    names = [member.filename for member in members]
    if not any(
        PurePosixPath(name).match("*.dist-info/WHEEL") and name.count("/") == 1 for name in names
    ):
        raise BadInput(OPTION, f"{wheel.name} is no wheel: it has no WHEEL file", SYNTAX)
    size = sum(member.file_size for member in members)
    if len(members) > MEMBERS_MAX or size > BYTES_MAX:
        problem = f"{wheel.name} is too large: {len(members)} files, {size} bytes"
        raise BadInput(OPTION, problem, f"at most {MEMBERS_MAX} and {BYTES_MAX}")
    for member in members:
        path = PurePosixPath(member.filename)
        outside = path.is_absolute() or not path.parts or ".." in path.parts
        if outside or any(sign in member.filename for sign in "\\:\0"):
            problem = f"{wheel.name} has a file outside: {member.filename!r}"
            raise BadInput(OPTION, problem, "a wheel as it was built")
        if stat.S_ISLNK(member.external_attr >> 16):
            problem = f"{wheel.name} has a link: {member.filename!r}"
            raise BadInput(OPTION, problem, "a wheel as it was built")
    if len(set(names)) != len(names):
        raise BadInput(OPTION, f"{wheel.name} has a file twice", "a wheel as it was built")
    missing = {"libs/events/__init__.py", "services/cli/main.py"} - set(names)
    if missing:
        raise BadInput(OPTION, f"{wheel.name} has no {min(missing)}", "a wheel of gridledger")


def add_older(results: list[ReplayResult], releases: list[Release], export: Path) -> None:
    """Let each release replay what it decided; what it compared is not comparable no more.

    `export` holds the records that `results` were made of. BadInput when a decider is not in the
    log, when the release does not decide with it, or when the release fails.
    """
    ours = {result.decider for result in results}
    known = {decider for result in results for decider in result.others}
    for release in releases:
        for decider in release.deciders:
            if decider in ours - known:
                raise BadInput(OPTION, f"{decider} is this release itself", "leave it out")
            if decider not in known:
                problem = f"no step of the log was decided by {decider}"
                raise BadInput(OPTION, problem, "replay without it names those that were")
    for release in releases:
        mine = [result for result in results if set(release.deciders) & result.others.keys()]
        found = run_older(release, export, [result.core for result in mine])
        for result in mine:
            for decider in release.deciders:
                if decider in result.others:
                    _add(result, decider, found[result.core], release.wheel.name)


def _add(result: ReplayResult, decider: str, older: OlderResult, wheel: str) -> None:
    if older.decider != decider:
        problem = f"{wheel} decides {result.core} with {older.decider}, not with {decider}"
        raise BadInput(OPTION, problem, "give each decider its own wheel")
    share = result.others.pop(decider)
    result.compared += older.compared
    result.steps += older.steps
    known = set(result.differences)
    result.differences += [f"{wheel}: {text}" for text in older.differences if text not in known]
    if not older.differences and (older.steps, older.compared) != (share.steps, share.records):
        result.differences.append(
            f"{wheel}: compared {older.compared} events of {older.steps} steps, "
            f"the log has {share.records} of {share.steps} by this decider"
        )


def run_older(release: Release, export: Path, cores: list[str]) -> dict[str, OlderResult]:
    """The replay of some cores by an older release."""
    command = [sys.executable, "-P", "-B", older_release.__file__, str(release.directory)]
    command += ["audit", "replay", "--json", "--from-files", str(export.resolve())]
    command += [word for core in cores for word in ("--core", core)]
    # The export says all that a replay must know. Our settings may have names that an older
    # release refuses, and passwords that it need not see; so may the files of this directory.
    environment = {
        name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)
    }
    done = subprocess.run(
        command,
        cwd=release.directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    fix = "it must be a gridledger with `audit replay --core`"
    try:
        rows = json.loads(done.stdout)["cores"]
        found = {row["core"]: _result(row) for row in rows}
        missing = [core for core in cores if core not in found]
    except (ValueError, KeyError, TypeError) as error:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        said = lines[-1].removeprefix("error: ") if lines else f"its answer lacks {error}"
        problem = (
            f"{release.wheel.name}: the older release failed (status {done.returncode}): {said}"
        )
        raise BadInput(OPTION, problem[:400], fix) from None
    if missing:
        raise BadInput(OPTION, f"{release.wheel.name} did not replay {', '.join(missing)}", fix)
    return found


def _result(row: dict[str, Any]) -> OlderResult:
    return OlderResult(
        decider=str(row["decider"]),
        steps=int(row["steps"]),
        compared=int(row["compared"]),
        differences=tuple(str(text) for text in row["differences"]),
    )


def describe_other(core: str, decider: str, share: Share) -> str:
    """What an auditor must know to have another release's decisions replayed."""
    return (
        f"{core}: {share.records} events of {share.inputs} inputs in {share.steps} steps were "
        f"decided by {decider} (--decider {decider}=WHEEL)"
    )
