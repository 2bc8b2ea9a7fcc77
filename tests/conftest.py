"""What all tests share: quiet logs, and the count of tests that ran on real parts."""

from __future__ import annotations

import pytest

from libs.events.telemetry import configure_logs

pytest_plugins = ["tests.real_parts"]


@pytest.fixture(autouse=True, scope="session")
def _quiet_logs() -> None:
    configure_logs("critical")
