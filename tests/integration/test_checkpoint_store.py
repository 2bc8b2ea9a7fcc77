"""The rows of a checkpoint on both databases: written, overwritten, ended, and guarded."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from libs.events.checkpoint import CheckpointStore, Place, open_engine
from libs.events.fold import Standing
from services.local import postgres

PLACE = Place("billing", 1, 1, "billing.events@cluster")
OTHER = Place("billing", 2, 1, "billing.events@cluster")


@pytest.fixture
def postgres_url() -> Iterator[str]:
    directory = Path(tempfile.mkdtemp(prefix="gridledger-test-"))
    directory.chmod(0o755)
    server = postgres.start_postgres(directory / "pg", settings={"fsync": "off"})
    yield server.url
    server.stop(grace_s=5)
    postgres.remove(server.data_dir)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest) -> Iterator[CheckpointStore]:
    is_sqlite = request.param == "sqlite"
    engine = open_engine("sqlite://" if is_sqlite else request.getfixturevalue("postgres_url"))
    yield CheckpointStore(engine)
    engine.dispose()


def as_stored(key: str) -> Callable[[bytes], bytes]:
    return bytes


def rows_of(store: CheckpointStore, place: Place) -> tuple[int, dict[str, bytes]]:
    found = store.load(place, as_stored)
    assert found is not None
    standing, rows = found
    assert len(rows) == len(dict(rows)), "a key has two rows"
    return standing.own_next, dict(rows)


def test_rows_are_written_overwritten_and_ended(store: CheckpointStore) -> None:
    assert store.load(PLACE, as_stored) is None
    assert store.save(PLACE, None, Standing(own_next=5), {"": b"s", "a": b"1", "b": b"2"})
    assert store.save(OTHER, None, Standing(own_next=6), {"a": b"other"})
    assert rows_of(store, PLACE) == (5, {"": b"s", "a": b"1", "b": b"2"})

    assert store.save(PLACE, 5, Standing(own_next=9), {"a": b"3", "b": None, "c": b"4", "d": None})
    assert rows_of(store, PLACE) == (9, {"": b"s", "a": b"3", "c": b"4"})
    assert store.save(PLACE, 9, Standing(own_next=10), {})
    assert rows_of(store, PLACE) == (10, {"": b"s", "a": b"3", "c": b"4"})
    assert rows_of(store, OTHER) == (6, {"a": b"other"})


def test_a_late_write_changes_nothing(store: CheckpointStore) -> None:
    assert store.save(PLACE, None, Standing(own_next=5), {"a": b"1"})
    for expected in (None, 4):
        assert not store.save(PLACE, expected, Standing(own_next=8), {"a": b"late", "b": b"late"})
    assert rows_of(store, PLACE) == (5, {"a": b"1"})
