"""`make test` must fail when the tests on real parts did not run."""

from __future__ import annotations

import pytest

from tests import real_parts

pytest_plugins = ["pytester"]

ONE_OF_EACH = """
    import pytest

    @pytest.mark.kafka
    def test_broker():
        pass

    @pytest.mark.kafka
    def test_broker_fails():
        assert FAILS is False

    @pytest.mark.postgres
    def test_database():
        if SKIPS:
            pytest.skip("no server")

    def test_pure():
        pass
"""


def run(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    *arguments: str,
    required: bool = True,
    fails: bool = False,
    skips: bool = False,
) -> pytest.RunResult:
    monkeypatch.setenv(real_parts.REQUIRED, "1" if required else "0")
    pytester.makeini("[pytest]\nmarkers = kafka\n    postgres\naddopts = -q -p no:cacheprovider\n")
    pytester.makepyfile(f"FAILS = {fails}\nSKIPS = {skips}\n" + ONE_OF_EACH.replace("\n    ", "\n"))
    return pytester.runpytest_inprocess(*arguments, plugins=[real_parts])


def test_the_counts_stand_above_the_closing_line(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run(pytester, monkeypatch)
    assert found.ret == 0
    assert found.outlines[-2] == "real Kafka: 2 tests, PostgreSQL: 1 tests"
    assert "4 passed" in found.outlines[-1]


def test_a_skipped_test_did_not_run(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run(pytester, monkeypatch, skips=True)
    assert found.ret == 1
    assert "real Kafka: 2 tests, PostgreSQL: 0 tests" in found.outlines
    assert any("no test ran on PostgreSQL" in line for line in found.outlines)
    assert "3 passed, 1 skipped" in found.outlines[-1]


def test_deselected_tests_did_not_run(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(pytester, monkeypatch, "-k", "pure").ret == 1
    assert run(pytester, monkeypatch, "-k", "nothing_at_all").ret == 1


def test_without_the_variable_nothing_is_required(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(pytester, monkeypatch, "-k", "pure", required=False).ret == 0


def test_a_failed_test_ran_and_fails_the_run(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run(pytester, monkeypatch, fails=True)
    assert found.ret == 1
    assert "real Kafka: 2 tests, PostgreSQL: 1 tests" in found.outlines


def test_workers_count_together(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    found = run(pytester, monkeypatch, "-p", "xdist", "-n", "2")
    assert found.ret == 0
    assert "real Kafka: 2 tests, PostgreSQL: 1 tests" in found.outlines
    assert run(pytester, monkeypatch, "-p", "xdist", "-n", "2", skips=True).ret == 1
