"""What all tests share: quiet logs, and the count of tests that ran on real parts."""

from __future__ import annotations

import pytest
from hypothesis import Phase, settings

from libs.events.telemetry import configure_logs

pytest_plugins = ["tests.real_parts"]

# For `make coverage`: what is only found by chance, or by another release of hypothesis, is no
# tested branch. Laws without an example of their own are skipped then.
settings.register_profile("examples_only", phases=(Phase.explicit,), database=None)


@pytest.fixture(autouse=True, scope="session")
def _quiet_logs() -> None:
    configure_logs("critical")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long histories first, so that with several workers nobody waits for them at the end."""
    items.sort(key=lambda item: "/e2e/" not in item.path.as_posix())
