"""What all tests share: quiet logs, and the count of tests that ran on real parts."""

from __future__ import annotations

from pathlib import Path

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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--but-examples-of",
        action="append",
        default=[],
        metavar="PATH",
        help="leave out the examples below PATH: `make coverage` has just run every one of them",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long histories first, so that with several workers nobody waits for them at the end."""
    items.sort(key=lambda item: "/e2e/" not in item.path.as_posix())
    below = [config.rootpath / path for path in config.getoption("--but-examples-of")]
    ran = [item for item in items if is_example(item) and is_below(item.path, below)]
    config.hook.pytest_deselected(items=ran)
    left_out = set(ran)
    items[:] = [item for item in items if item not in left_out]


def is_example(item: pytest.Item) -> bool:
    """Whether `make coverage` ran a test as it is: no wide one, no real part, nothing drawn."""
    is_drawn = getattr(getattr(item, "function", None), "is_hypothesis_test", False)
    marked = (item.get_closest_marker(name) for name in ("wide", "kafka", "postgres"))
    return not is_drawn and not any(marked)


def is_below(path: Path, places: list[Path]) -> bool:
    """Whether a file is one of these places, or in one."""
    return any(place == path or place in path.parents for place in places)
