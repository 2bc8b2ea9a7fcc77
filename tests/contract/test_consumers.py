"""Every reader's declaration of a foreign type fits the type of its owner.

Goal: services share no code, so nothing but this test notices when a reader's idea of a type and
the owner's drift apart. Method: for every `catalogue.reads(...)` of every core and edge, compare
the two classes field by field, recursively; then let the reader decode what the owner encodes.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from libs.events.asyncapi import Party
from libs.events.codec import Codec, encode, to_document
from libs.events.registry import Catalogue, EventType
from services.cli.bill import reader_catalogue as bill_reader
from services.cli.catalogue import load_parties
from services.ingest.poller import reader_catalogue as field_reader
from tests.contract.bodies import bodies

PARTIES = [*load_parties(), Party("ingest.field", field_reader), Party("bill.reader", bill_reader)]
OWNERS = {kind.name: kind for party in PARTIES for kind in party.owned()}
PAIRS = [
    pytest.param(party.catalogue, kind, id=f"{party.name} reads {kind.name}")
    for party in PARTIES
    for kind in party.catalogue.by_name.values()
    if kind.foreign
]


def misfits(reader: Any, owner: Any, path: str) -> Iterator[str]:
    """Where a value that the owner writes would not fit what the reader declares."""
    if reader == owner:
        return
    if dataclasses.is_dataclass(reader) and dataclasses.is_dataclass(owner):
        yield from _field_misfits(reader, owner, path)
        return
    if typing.get_origin(reader) in (typing.Union, types.UnionType):
        yield from _union_misfits(reader, owner, path)
        return
    same_shape = typing.get_origin(reader) == typing.get_origin(owner) in (tuple, dict)
    ours, theirs = typing.get_args(reader), typing.get_args(owner)
    if not same_shape or len(ours) != len(theirs):
        yield f"{path}: declared {reader}, written as {owner}"
        return
    for one, other in zip(ours, theirs, strict=True):
        yield from misfits(one, other, f"{path}[]")


def _union_misfits(reader: Any, owner: Any, path: str) -> Iterator[str]:
    """Each alternative that the owner writes must fit one that the reader declares."""
    written = (
        typing.get_args(owner)
        if typing.get_args(owner) and not isinstance(owner, types.GenericAlias)
        else (owner,)
    )
    for alternative in written:
        if all(list(misfits(one, alternative, path)) for one in typing.get_args(reader)):
            yield f"{path}: declared {reader}, may be written as {alternative}"


def _field_misfits(reader: Any, owner: Any, path: str) -> Iterator[str]:
    ours, theirs = typing.get_type_hints(reader), typing.get_type_hints(owner)
    optional = {field.name for field in dataclasses.fields(owner) if _has_default(field)}
    for field in dataclasses.fields(reader):
        where = f"{path}.{field.name}"
        if field.name not in theirs:
            yield f"{where}: the owner has no such field"
            continue
        if field.name in optional and not _has_default(field):
            # A field with a default was added later: what was written before does not have it.
            yield f"{where}: the owner gives a default, the reader must, too"
        yield from misfits(ours[field.name], theirs[field.name], where)


def _has_default(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is not missing or field.default_factory is not missing


def subset(part: Any, whole: Any) -> bool:
    """Whether a document says nothing but what another says."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(name in whole and subset(value, whole[name]) for name, value in part.items())
    if isinstance(part, list | tuple) and isinstance(whole, list | tuple):
        return len(part) == len(whole) and all(map(subset, part, whole))
    return bool(part == whole)


@pytest.mark.parametrize(("catalogue", "kind"), PAIRS)
def test_declaration_fits_the_owner(catalogue: Catalogue, kind: EventType) -> None:
    assert kind.name in OWNERS, f"{kind.name} is written by nobody"
    owner = OWNERS[kind.name]
    assert kind.version == owner.version
    assert list(misfits(kind.body, owner.body, kind.name)) == []


@pytest.mark.parametrize(("catalogue", "kind"), PAIRS)
@settings(
    max_examples=4,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_reader_decodes_what_the_owner_writes(
    data: st.DataObject, catalogue: Catalogue, kind: EventType
) -> None:
    owner = OWNERS[kind.name]
    written = data.draw(bodies(owner.body))
    read = Codec(catalogue).decode(owner.full_name, encode(written))
    assert type(read) is kind.body
    assert subset(to_document(read), to_document(written))


# -- the comparison itself: it must see what it is for --------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    amount_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    id: str
    inner: tuple[Inner, ...]
    count: int | None
    added: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InnerText:
    amount_fen: str


def declared(**fields: Any) -> type:
    return dataclasses.make_dataclass(
        "Declared", [(name, *given) for name, given in fields.items()], frozen=True, kw_only=True
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"id": (str,)}, []),
        ({"count": (int | None,)}, []),
        ({"added": (str, "")}, []),
        ({"idd": (str,)}, ["t.idd: the owner has no such field"]),
        ({"added": (str,)}, ["t.added: the owner gives a default, the reader must, too"]),
        ({"id": (int,)}, ["t.id: declared <class 'int'>, written as <class 'str'>"]),
        (
            {"inner": (tuple[InnerText, ...],)},
            ["t.inner[].amount_fen: declared <class 'str'>, written as <class 'int'>"],
        ),
        ({"count": (int,)}, ["t.count: declared <class 'int'>, written as int | None"]),
        (
            {"id": (int | None,)},
            ["t.id: declared int | None, may be written as <class 'str'>"],
        ),
    ],
)
def test_misfits_are_seen(fields: dict[str, Any], expected: list[str]) -> None:
    assert list(misfits(declared(**fields), Written, "t")) == expected
