"""Key sets are made once; the edge's half holds no private key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from libs.events.errors import BadInput
from simulators.gateways.keys import generate_keys, load_keys


def test_a_second_call_keeps_the_keys(key_folder: Path) -> None:
    before = (key_folder / "keys.json").read_bytes()
    assert generate_keys(key_folder) == key_folder / "keys.json"
    assert (key_folder / "keys.json").read_bytes() == before


def test_the_edge_gets_no_private_key_and_no_secret(key_folder: Path) -> None:
    document = (key_folder / "keys.json").read_text()
    assert "PRIVATE" not in document
    for name in ("evidence.key", "payer.key", "wechat.apiv3", "pos.secret"):
        assert (key_folder / name).read_text() not in document
        assert (key_folder / name).stat().st_mode & 0o077 == 0
    for path in (key_folder / "private").iterdir():
        assert path.stat().st_mode & 0o077 == 0
    assert len(json.loads(document)["wechat"]["1900000001"]["platform_keys"]) == 2


def test_no_keys(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no key set"):
        load_keys(tmp_path)
