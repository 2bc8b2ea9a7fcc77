"""Checkpoints: a cache of folds in SQL, deletable at any moment, never the truth.

Rows of one partition and its standing change in one SQL transaction, guarded by compare-and-set on
the own position, so that a late write of a replaced member cannot mix two states. A checkpoint is
named by core, partition, fold version and own topic; any other fold version is as good as none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    create_engine,
    delete,
    event,
    insert,
    make_url,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from libs.events.codec import encode_state, state_decoder
from libs.events.errors import Refused, Unavailable
from libs.events.fold import Standing

_metadata = MetaData()

_standings = Table(
    "checkpoint_standing",
    _metadata,
    Column("core", String(64), primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("fold_version", Integer, primary_key=True, autoincrement=False),
    Column("own_topic", String(200), primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("standing", LargeBinary, nullable=False),
)

_rows = Table(
    "checkpoint_row",
    _metadata,
    Column("core", String(64), primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("fold_version", Integer, primary_key=True, autoincrement=False),
    Column("own_topic", String(200), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("state", LargeBinary, nullable=False),
)


def _is_at(table: Table) -> list[Any]:
    return [table.c[name] == bindparam(f"at_{name}") for name in _PLACE]


_PLACE = ("core", "partition", "fold_version", "own_topic")

# Built once: to build a statement costs more than SQLite takes to answer it.
_POSITION = select(_standings.c.position).where(*_is_at(_standings))
_STANDING = select(_standings.c.standing).where(*_is_at(_standings))
_STATES = select(_rows.c.key, _rows.c.state).where(*_is_at(_rows))
_DELETE_ALL = delete(_rows).where(*_is_at(_rows))
_DELETE = _DELETE_ALL.where(_rows.c.key == bindparam("at_key"))
_BEGIN = insert(_standings)
_MOVE = (
    update(_standings)
    .where(*_is_at(_standings), _standings.c.position == bindparam("expected"))
    .values(position=bindparam("position"), standing=bindparam("standing"))
)


def _upsert(written: Any) -> Any:
    return written.on_conflict_do_update(
        index_elements=[*_PLACE, "key"], set_={"state": written.excluded.state}
    )


_WRITE = {
    "sqlite": _upsert(sqlite.insert(_rows)),
    "postgresql": _upsert(postgresql.insert(_rows)),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Which fold a checkpoint is of. `own_topic` carries the topic's identity (`name@cluster`)."""

    core: str
    partition: int
    fold_version: int
    own_topic: str


def open_engine(database_url: str) -> Engine:
    """An engine for SQLite or PostgreSQL with the checkpoint tables in it."""
    try:
        # A file does not hang up: to ask it before every use only costs.
        is_server = make_url(database_url).get_backend_name() != "sqlite"
        engine = create_engine(database_url, pool_pre_ping=is_server)
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _tune_sqlite)
        _metadata.create_all(engine)
    except SQLAlchemyError as error:
        first_line = str(error).splitlines()[0]
        raise Refused(
            f"the database does not answer: {first_line}; check GRIDLEDGER_DATABASE_URL"
        ) from None
    return engine


def _tune_sqlite(connection: Any, _record: object) -> None:
    # A checkpoint may be lost with the machine: it is a cache, so no fsync per commit.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA busy_timeout=5000")


class CheckpointStore:
    """Loads and saves folds of any core. Unavailable when the database does not answer."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def position(self, place: Place) -> int | None:
        """The own position of the stored checkpoint, None without one."""
        try:
            with self.engine.connect() as connection:
                return connection.execute(_POSITION, _at(place)).scalar_one_or_none()
        except SQLAlchemyError as error:
            raise Unavailable(f"checkpoint database: {type(error).__name__}") from error

    def load(
        self, place: Place, decoders: Callable[[str], Callable[[bytes], Any]]
    ) -> tuple[Standing, list[tuple[str, Any]]] | None:
        """Standing and states of one position, None without a checkpoint."""
        decode_standing = state_decoder(Standing)
        try:
            with self.engine.connect() as connection:
                while True:
                    blob = connection.execute(_STANDING, _at(place)).scalar_one_or_none()
                    if blob is None:
                        return None
                    rows = connection.execute(_STATES, _at(place)).all()
                    standing: Standing = decode_standing(blob)
                    connection.rollback()
                    # Rows and standing were read by two statements: only an unmoved position
                    # proves that they belong together.
                    if self.position(place) == standing.own_next:
                        break
        except SQLAlchemyError as error:
            raise Unavailable(f"checkpoint database: {type(error).__name__}") from error
        return standing, [(key, decoders(key)(state)) for key, state in rows]

    def save(
        self,
        place: Place,
        expected: int | None,
        standing: Standing,
        changed: Mapping[str, bytes | None],
    ) -> bool:
        """Write the changed states (None deletes) if the stored position is still `expected`.

        False when another member wrote meanwhile; nothing is changed then.
        """
        blob = encode_state(standing)
        try:
            with self.engine.begin() as connection:
                if not self._move(connection, place, expected, standing.own_next, blob):
                    connection.rollback()
                    return False
                if expected is None:
                    connection.execute(_DELETE_ALL, _at(place))
                at, named = _at(place), _named(place)
                ended = [{**at, "at_key": key} for key, state in changed.items() if state is None]
                if ended:
                    connection.execute(_DELETE, ended)
                written = [
                    {**named, "key": key, "state": state}
                    for key, state in changed.items()
                    if state is not None
                ]
                if written:
                    connection.execute(_WRITE[self.engine.dialect.name], written)
        except SQLAlchemyError as error:
            raise Unavailable(f"checkpoint database: {type(error).__name__}") from error
        return True

    def _move(
        self, connection: Any, place: Place, expected: int | None, position: int, blob: bytes
    ) -> bool:
        if expected is None:
            if connection.execute(_POSITION, _at(place)).first() is not None:
                return False
            first = {**_named(place), "position": position, "standing": blob}
            connection.execute(_BEGIN, first)
            return True
        moved = {**_at(place), "expected": expected, "position": position, "standing": blob}
        return bool(connection.execute(_MOVE, moved).rowcount == 1)


def _named(place: Place) -> dict[str, Any]:
    return {
        "core": place.core,
        "partition": place.partition,
        "fold_version": place.fold_version,
        "own_topic": place.own_topic,
    }


def _at(place: Place) -> dict[str, Any]:
    """The place as the statements above name it."""
    return {f"at_{name}": value for name, value in _named(place).items()}
