"""A key set for the gateways and profiles of the edge they send to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.payments.channels.profile import Profiles
from services.payments.webhooks import load_profiles
from simulators.gateways.keys import KeySet, generate_keys, load_keys
from tests.unit.payments.server import MemoryLog, running_edge


@pytest.fixture(scope="session")
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_keys(tmp_path_factory.mktemp("gateway-keys")).parent


@pytest.fixture(scope="session")
def keys(key_folder: Path) -> KeySet:
    return load_keys(key_folder)


@pytest.fixture(scope="session")
def profiles(key_folder: Path) -> Profiles:
    return load_profiles(key_folder / "keys.json")


@pytest.fixture(scope="session")
def shared_edge(profiles: Profiles) -> Iterator[tuple[MemoryLog, str]]:
    log = MemoryLog()
    with running_edge(profiles, log) as base_url:
        yield log, base_url


@pytest.fixture
def edge(shared_edge: tuple[MemoryLog, str]) -> tuple[MemoryLog, str]:
    """A running edge with an empty log, and its base URL."""
    shared_edge[0].empty()
    return shared_edge
