"""A pytest plugin that counts what ran on the real parts: Apache Kafka and PostgreSQL.

`make test` sets GRIDLEDGER_REQUIRE_REAL=1; then a run in which no test with the marker `kafka`, or
none with the marker `postgres`, was executed has failed, whatever else passed. A skipped test does
not count. The counts are printed above pytest's own closing line.
"""

from __future__ import annotations

import os

import pytest

REQUIRED = "GRIDLEDGER_REQUIRE_REAL"
PARTS = {"kafka": "real Kafka", "postgres": "PostgreSQL"}
_COUNTS = pytest.StashKey[dict[str, int]]()


def pytest_configure(config: pytest.Config) -> None:
    counts = config.stash[_COUNTS] = dict.fromkeys(PARTS, 0)
    config.pluginmanager.register(_Counter(counts), "real-parts-counter")


class _Counter:
    """Counts from the reports, which reach the session's own process from every worker."""

    def __init__(self, counts: dict[str, int]) -> None:
        self.counts = counts

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test that ran, passed or failed; one that skips itself half-way did not run."""
        if report.when == "call" and not report.skipped:
            for marker in PARTS:
                self.counts[marker] += marker in report.keywords


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
    if hasattr(session.config, "workerinput"):
        return  # one worker of several: only the session's own process knows all counts
    passed = exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
    if passed and _missing(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _missing(config: pytest.Config) -> list[str]:
    if os.environ.get(REQUIRED) != "1":
        return []
    return [marker for marker, count in config.stash[_COUNTS].items() if count == 0]
