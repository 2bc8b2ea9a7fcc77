"""What must not change in the published catalogue, and what must not contradict itself.

`incompatibilities` compares the committed schemas with those of the code: a reader that was written
against the committed ones must go on to work, and what is in the logs must stay readable. Within a
version fields are only added, with a default; for anything else the version is raised and an
upcaster leads from the older one. `contradictions` lays topics.yaml, the catalogues and the cores
over one another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from libs.events.asyncapi import Party, sources_of
from libs.events.registry import Document, split_full_name
from libs.events.topics import EVERY, TopicTable, dead_letters_of

SHARED_TOPICS: Mapping[str, str] = {
    "payments.notices": "the core writes its fences into the stream of notices (docs/adr/0008)",
    "payments.postings": "books and files of one channel meet in one stream (docs/adr/0018)",
}
"""Topics with two writers, and why. Everything else has one."""


# -- compatibility ------------------------------------------------------------------------------


def incompatibilities(
    committed: Mapping[str, Document],
    current: Mapping[str, Document],
    upcasters: frozenset[tuple[str, int]],
) -> list[str]:
    """What would break a reader of the committed schemas; both by full name.

    upcasters: the steps (type name, from version) that *every* catalogue with the type has.
    """
    versions = dict(map(split_full_name, current))
    problems: list[str] = []
    for full_name in sorted(committed):
        name, version = split_full_name(full_name)
        if full_name in current:
            old, new = committed[full_name], current[full_name]
            problems += _changes(full_name, old, new, _Pair(old, new))
        elif name not in versions:
            problems.append(f"{full_name}: the type was removed")
        elif version > versions[name]:
            problems.append(f"{full_name}: the version was lowered to {versions[name]}")
    for name, version in sorted(versions.items()):
        problems += [
            f"{name}.v{version}: no upcaster from v{step}"
            for step in range(1, version)
            if (name, step) not in upcasters
        ]
    return problems


class _Pair:
    """The two documents that references point into, and the pairs of references compared."""

    def __init__(self, old: Document, new: Document) -> None:
        self.old, self.new = old, new
        self.seen: set[tuple[str, str]] = set()

    def visited(self, old: Document, new: Document) -> bool:
        """Whether this pair of references was met before: a type that contains itself."""
        pair = (str(old.get("$ref")), str(new.get("$ref")))
        if pair == ("None", "None"):
            return False
        known = pair in self.seen
        self.seen.add(pair)
        return known


def _target(schema: Document, document: Document) -> Document:
    if "$ref" not in schema:
        return schema
    found: Document = document["definitions"][str(schema["$ref"]).rpartition("/")[2]]
    return found


def _shape(schema: Document, document: Document) -> str:
    """What kind of value a schema describes, in one line."""
    target = _target(schema, document)
    if "anyOf" in target:
        return " or ".join(sorted(_shape(part, document) for part in target["anyOf"]))
    if "enum" in target:
        return f"one of {sorted(map(str, target['enum']))}"
    return str(target.get("type", "anything"))


def _changes(path: str, old: Document, new: Document, pair: _Pair) -> Iterator[str]:
    if pair.visited(old, new):
        return
    before, after = _shape(old, pair.old), _shape(new, pair.new)
    if before != after:
        yield f"{path}: was {before}, is {after}"
        return
    old, new = _target(old, pair.old), _target(new, pair.new)
    yield from _field_changes(path, old, new, pair)
    for name, step in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(old.get(name), dict) and isinstance(new.get(name), dict):
            yield from _changes(path + step, old[name], new[name], pair)
        elif name in old and old[name] != new.get(name):
            yield f"{path}{step}: was {old[name]}, is {new.get(name)}"
    for one, other in zip(_ordered(old, pair.old), _ordered(new, pair.new), strict=True):
        yield from _changes(path, one, other, pair)
    for bound in ("prefixItems", "minItems", "maxItems"):
        if old.get(bound) != new.get(bound):
            yield f"{path}: {bound} was {old.get(bound)}, is {new.get(bound)}"


def _ordered(schema: Document, document: Document) -> list[Document]:
    """The alternatives of a field that may be null, in one order."""
    return sorted(schema.get("anyOf", ()), key=lambda part: _shape(part, document))


def _field_changes(path: str, old: Document, new: Document, pair: _Pair) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    required_before, required = set(old.get("required", ())), set(new.get("required", ()))
    for name, schema in before.items():
        where = f"{path}.{name}"
        if name not in after:
            yield f"{where}: the field was removed"
            continue
        if name in required and name not in required_before:
            yield f"{where}: had a default, is required"
        yield from _changes(where, schema, after[name], pair)
    for name in after:
        if name not in before and name in required:
            yield f"{path}.{name}: a new field without a default"


# -- contradictions -----------------------------------------------------------------------------


def key_unit(table: TopicTable, topic: str) -> str:
    """The unit a topic is keyed by, for comparing topics.

    `account by order number, else channel and transaction` -> account: what has no account has a
    key that no other stream has. `as payments.notices` -> that topic's unit.
    """
    key = table.topics[topic].key
    if key.startswith("as ") and key[3:] in table.topics:
        return key_unit(table, key[3:])
    return key.partition(",")[0].partition(" by ")[0].strip()


def contradictions(table: TopicTable, parties: Sequence[Party]) -> list[str]:
    """Where topics.yaml, the catalogues and the cores do not say the same."""
    problems: list[str] = []
    for party in parties:
        if party.own_topic:
            problems += _core_problems(table, party)
        problems += _type_problems(table, party, parties)
    problems += _circles(parties)
    known = {party.name for party in parties}
    for name, topic in table.topics.items():
        if len(topic.writers) > 1 and name not in SHARED_TOPICS:
            problems.append(f"{name}: two writers ({', '.join(topic.writers)})")
        problems += [
            f"{name}: written by {writer}, which nobody knows"
            for writer in topic.writers
            if writer not in known
        ]
        problems += [
            f"{name}: carries {carried}, which none of its writers registers"
            for carried in topic.carries
            if not set(sources_of(carried, table, parties)) & set(topic.writers)
        ]
    return problems


def _circles(parties: Sequence[Party]) -> Iterator[str]:
    """Cores that read each other's own topics: every step is recorded there, also one that yields
    nothing, so each would wake the other for ever. A topic of copies for the reader mends it."""
    owner = {party.own_topic: party.name for party in parties if party.own_topic}
    reads = {
        party.name: [owner[topic] for topic in party.inputs if topic in owner] for party in parties
    }
    try:
        TopologicalSorter(reads).prepare()
    except CycleError as circle:
        names = " <- ".join(circle.args[1])
        yield f"{names}: cores that read each other's own topics never rest"


def _core_problems(table: TopicTable, core: Party) -> Iterator[str]:
    missing = [name for name in (core.own_topic, *core.inputs) if name not in table.topics]
    if missing:
        yield f"{core.name}: {missing[0]} is not in topics.yaml"
        return
    units: dict[str, str] = {}
    for topic in (core.own_topic, *core.inputs):
        unit = key_unit(table, topic)
        if unit != EVERY:
            units.setdefault(unit, topic)
    if len(units) > 1:
        shown = ", ".join(f"{topic} by {unit}" for unit, topic in units.items())
        yield f"{core.name}: reads topics with different keys ({shown})"
    declared = set(table.read_by(core.name))
    for name in sorted(declared ^ set(core.inputs)):
        side = "topics.yaml only" if name in declared else "its code only"
        yield f"{core.name}: reads {name} according to {side}"
    written = {core.own_topic, dead_letters_of(core.name), *core.written}
    declared = set(table.written_by(core.name))
    for name in sorted(declared ^ written):
        side = "topics.yaml only" if name in declared else "its code only"
        yield f"{core.name}: writes {name} according to {side}"


def _type_problems(table: TopicTable, party: Party, parties: Sequence[Party]) -> Iterator[str]:
    sharing = [other.name for other in parties if other.catalogue is party.catalogue]
    carried = {
        name for other in sharing for topic in table.written_by(other)
        for name in table.topics[topic].carries
    }  # fmt: skip
    for kind in party.owned():
        if kind.name not in carried:
            yield f"{party.name}: registers {kind.name}, which no topic it writes carries"
    owners = {kind.name: kind for other in parties for kind in other.owned()}
    arriving = table.carried(tuple(name for name in party.inputs if name in table.topics))
    for kind in party.catalogue.by_name.values():
        if not kind.foreign:
            continue
        owner = owners.get(kind.name)
        if owner is None:
            yield f"{party.name}: reads {kind.name}, which nobody registers"
        elif owner.version != kind.version:
            yield (
                f"{party.name}: reads {kind.full_name}, its writer has v{owner.version}; "
                "declare the new version and an upcaster from the old one"
            )
        if party.own_topic and kind.name not in arriving:
            yield f"{party.name}: reads {kind.name}, which none of its inputs carries"


def common_upcasters(parties: Sequence[Party]) -> frozenset[tuple[str, int]]:
    """The upcaster steps that every catalogue with the type has."""
    steps = {step for party in parties for step in party.catalogue.upcasters}
    return frozenset(
        (name, version)
        for name, version in steps
        if all(
            (name, version) in party.catalogue.upcasters
            for party in parties
            if name in party.catalogue.by_name and _reads_records(party, name)
        )
    )


def _reads_records(party: Party, name: str) -> bool:
    """Whether a party decodes records of a type: a core does, an edge only writes."""
    return bool(party.own_topic) or party.catalogue.by_name[name].foreign
