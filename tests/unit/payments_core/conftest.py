"""Channel profiles with keys of their own, for the tests of the edge."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.payments.channels.profile import Profiles
from services.payments.webhooks import load_profiles
from simulators.gateways.keys import KeySet, generate_keys, load_keys


@pytest.fixture(scope="session")
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_keys(tmp_path_factory.mktemp("core-keys")).parent


@pytest.fixture(scope="session")
def keys(key_folder: Path) -> KeySet:
    return load_keys(key_folder)


@pytest.fixture(scope="session")
def profiles(key_folder: Path) -> Profiles:
    return load_profiles(key_folder / "keys.json")
