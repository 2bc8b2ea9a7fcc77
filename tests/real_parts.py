"""A pytest plugin that counts what ran on the real parts: Apache Kafka and PostgreSQL.

`make test` sets GRIDLEDGER_REQUIRE_REAL=1; then a run in which no test with the marker `kafka`, or
none with the marker `postgres`, was executed has failed, whatever else passed. A skipped test does
not count. The counts are printed above pytest's own closing line.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

REQUIRED = "GRIDLEDGER_REQUIRE_REAL"
PARTS = {"kafka": "real Kafka", "postgres": "PostgreSQL"}
_COUNTS = pytest.StashKey[dict[str, int]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_COUNTS] = dict.fromkeys(PARTS, 0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Count a test that ran, passed or failed; one that skips itself half-way did not run."""
    skipped = False
    try:
        return (yield)
    except pytest.skip.Exception:
        skipped = True
        raise
    finally:
        counts = item.config.stash[_COUNTS]
        for marker in PARTS:
            if not skipped and item.get_closest_marker(marker) is not None:
                counts[marker] += 1


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    counts = config.stash[_COUNTS]
    shown = ", ".join(f"{PARTS[marker]}: {counts[marker]} tests" for marker in PARTS)
    terminalreporter.write_line(shown)
    for marker in _missing(config):
        terminalreporter.write_line(
            f"FAILED: {REQUIRED} is set and no test ran on {PARTS[marker]}", red=True
        )


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    passed = exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
    if passed and _missing(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _missing(config: pytest.Config) -> list[str]:
    if os.environ.get(REQUIRED) != "1":
        return []
    return [marker for marker, count in config.stash[_COUNTS].items() if count == 0]
