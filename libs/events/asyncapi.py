"""The published catalogue: AsyncAPI 3.0 and one JSON Schema per type and version.

Both are generated from `topics.yaml` and the registered types, so they cannot say anything else
than the code does; `docs/asyncapi.yaml` and `docs/schemas/` are committed, and a test regenerates
them. A consumer in any language needs nothing but these files.

    schemas = event_schemas(parties)                       {"billing.invoice_issued.v1": {...}, ...}
    text = render_yaml(asyncapi_document(load_topics(), parties, schemas))

Schemas are JSON Schema draft 7, which AsyncAPI's own schema dialect contains.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from libs.events.codec import json_schemas
from libs.events.dead_letters import HEADERS_OF_A_DEAD_LETTER, REDRIVEN, catalogue
from libs.events.registry import Catalogue, Document, EventType, split_full_name
from libs.events.stream_map import render_topics
from libs.events.topics import EVERY, Topic, TopicTable

CONVENTIONS_VERSION = "1.0.0"
"""Version of headers, keys and encoding; every type has a version of its own."""

DRAFT = "http://json-schema.org/draft-07/schema#"
SCHEMAS_DIR = "schemas"
DEAD_LETTER = "dead_letter"
KEEP_EVERYTHING = {"cleanup.policy": ["delete"], "retention.ms": -1}

_INSTANT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"
_TRACEPARENT = r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"
_PLACE = r"^[a-z][a-z0-9_.]*/\d+/\d+$"

DESCRIPTION = """\
Every topic of a GridLedger installation, generated from libs/events/topics.yaml and the types
that the services register. Read with isolation.level=read_committed.

Events are CloudEvents 1.0 in Kafka's binary mode: attributes are headers (UTF-8), the body is the
record's value (JSON). `ce_type` names the type with its version and selects the message; readers
ignore fields they do not know. Fields are only added, with a default; anything else raises the
version. Keys are UTF-8; equal keys lie in one partition (murmur2, as Kafka's Java client).

Fields named `..._at` are instants in UTC (2026-01-31T16:00:00Z), `..._on` dates of the utility's
zone (2026-01-31), both "" where there is none. Units stand last in a name: `_wh`, `_varh`, `_w`,
`_fen`; prices and ratios are decimal strings. Registers are named by OBIS code (1-0:1.8.0).

Dead letters (`*.dlq`) keep the headers, key and value of a record as they came, whatever they are,
and add `dlq.*` headers. A record that was redriven carries `dlq.redriven`: the dead letter it was.
"""


@dataclass(frozen=True, slots=True)
class Party:
    """Who writes or reads: a core (with its topics) or an edge (`own_topic` empty)."""

    name: str
    catalogue: Catalogue
    own_topic: str = ""
    inputs: tuple[str, ...] = ()
    written: tuple[str, ...] = ()

    def owned(self) -> list[EventType]:
        """The types that this party's catalogue registers for writing."""
        return [kind for kind in self.catalogue.by_name.values() if not kind.foreign]


# -- schemas ------------------------------------------------------------------------------------


def event_schemas(parties: Iterable[Party]) -> dict[str, Document]:
    """One self-contained JSON Schema per registered type, by full name, sorted."""
    kinds = {kind.full_name: kind for party in parties for kind in party.owned()}
    kinds |= {kind.full_name: kind for kind in catalogue.by_name.values()}
    return {name: schema_of(kinds[name]) for name in sorted(kinds)}


def schema_of(kind: EventType) -> Document:
    """The JSON Schema of one type with everything it refers to."""
    _, components = json_schemas([kind.body])
    definitions = {name: _plain(schema) for name, schema in sorted(components.items())}
    body = definitions.pop(_main_name(kind, components))
    schema: Document = {
        "$schema": DRAFT,
        "$id": f"{kind.full_name}.json",
        "title": kind.full_name,
        **{name: value for name, value in body.items() if name != "title"},
    }
    if definitions:
        schema["definitions"] = definitions
    return schema


def _main_name(kind: EventType, components: Mapping[str, Document]) -> str:
    """How the body's class is called among the components."""
    schemas, _ = json_schemas([kind.body])
    name = str(schemas[0]["$ref"]).rpartition("/")[2]
    assert name in components, name
    return name


def _plain(value: Any) -> Any:
    """References into the same file, and descriptions without the indentation of the source."""
    if isinstance(value, dict):
        return {
            name: _plain_text(name, part) if isinstance(part, str) else _plain(part)
            for name, part in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def _plain_text(name: str, text: str) -> str:
    if name == "$ref":
        return f"#/definitions/{text.rpartition('/')[2]}"
    return inspect.cleandoc(text) if name == "description" else text


# -- headers ------------------------------------------------------------------------------------


def _text(pattern: str = "", about: str = "") -> Document:
    found: Document = {"type": "string"}
    if pattern:
        found["pattern"] = pattern
    if about:
        found["description"] = about
    return found


def header_schemas() -> dict[str, Document]:
    """The headers of an observed event, a decided event, a step record and a dead letter."""
    attributes: Document = {
        "ce_specversion": {"const": "1.0"},
        "ce_id": _text(about="Unique for its ce_source; a redriven record keeps it."),
        "ce_type": _text(r"^[a-z_.]+\.v\d+$", "The type with its version."),
        "ce_source": _text(about="The one writer of the event."),
        "ce_time": _text(_INSTANT, "Business time for cores, wall time for edges."),
        "ce_subject": _text(about="The record's key; the partition for records without a key."),
        "content-type": {"const": "application/json"},
    }
    optional: Document = {
        "traceparent": _text(_TRACEPARENT, "W3C trace context, for people."),
        "release": _text(about="The release that wrote it, for people."),
        REDRIVEN: _text(_PLACE, "TOPIC/PARTITION/OFFSET of the dead letter this record was."),
    }
    cause = _text(
        r"^[a-z][a-z0-9_.]*/\d+/\d+/\d+$",
        "The input behind it: TOPIC/PARTITION/OFFSET, and the event's index under that input.",
    )
    return {
        "observed_headers": _envelope(attributes, optional, "What an edge observed."),
        "decided_headers": _envelope(
            {**attributes, "ce_cause": cause}, optional, "What a core decided from an input."
        ),
        "step_headers": _envelope(attributes, optional, "A step record: it has many causes."),
        "dead_letter_headers": {
            "type": "object",
            "description": "The headers of the record as they came, and why it lies here.",
            "required": list(HEADERS_OF_A_DEAD_LETTER),
            "properties": {
                name: _text(pattern, about)
                for name, (pattern, about) in HEADERS_OF_A_DEAD_LETTER.items()
            },
        },
    }


def _envelope(required: Document, optional: Document, about: str) -> Document:
    return {
        "type": "object",
        "description": about,
        "required": sorted(required),
        "properties": {**required, **optional},
        "propertyNames": {"enum": sorted({**required, **optional})},
    }


# -- the document -------------------------------------------------------------------------------


def asyncapi_document(
    table: TopicTable, parties: Sequence[Party], schemas: Mapping[str, Document]
) -> Document:
    """The AsyncAPI document; `schemas` may hold older versions that are still in the logs."""
    versions = _versions(schemas)
    channels = {
        name: _channel(topic, versions, name in _dead_letter_topics(table))
        for name, topic in sorted(table.topics.items())
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "GridLedger event catalogue",
            "version": CONVENTIONS_VERSION,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": _operations(table, parties, channels),
        "components": {
            "schemas": header_schemas(),
            "messages": _messages(table, parties, schemas),
        },
    }


def _dead_letter_topics(table: TopicTable) -> frozenset[str]:
    return frozenset(name for name in table.topics if name.endswith(".dlq"))


def _versions(schemas: Mapping[str, Document]) -> dict[str, list[str]]:
    """Full names by type name, oldest version first."""
    found: dict[str, list[str]] = {}
    for full_name in sorted(schemas, key=split_full_name):
        found.setdefault(split_full_name(full_name)[0], []).append(full_name)
    return found


def _channel(topic: Topic, versions: Mapping[str, Sequence[str]], is_dead_letters: bool) -> Any:
    names = [full for name in topic.carries for full in versions.get(name, ())]
    if is_dead_letters:
        names = [DEAD_LETTER, *versions["dlq.letter_redriven"]]
    return {
        "address": topic.name,
        "description": topic.about,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "topicConfiguration": dict(KEEP_EVERYTHING),
                "bindingVersion": "0.5.0",
            }
        },
        "x-key": topic.key,
        "x-writers": list(topic.writers),
        "x-readers": list(topic.readers),
    }


def _operations(
    table: TopicTable, parties: Sequence[Party], channels: Mapping[str, Document]
) -> Document:
    owned = {party.name: {kind.name for kind in party.owned()} for party in parties}
    operations: Document = {}
    for name, topic in sorted(table.topics.items()):
        reference = {"$ref": f"#/channels/{name}"}
        for writer in topic.writers:
            sent = [
                message
                for message in channels[name]["messages"]
                if message == DEAD_LETTER
                or split_full_name(message)[0] in owned.get(writer, frozenset())
            ]
            operations[f"{writer}.writes.{name}"] = {
                "action": "send",
                "channel": reference,
                "messages": [{"$ref": f"#/channels/{name}/messages/{text}"} for text in sent],
            }
        for reader in topic.readers:
            operations[f"{reader}.reads.{name}"] = {"action": "receive", "channel": reference}
    return operations


def _messages(
    table: TopicTable, parties: Sequence[Party], schemas: Mapping[str, Document]
) -> Document:
    messages: Document = {
        DEAD_LETTER: {
            "name": DEAD_LETTER,
            "title": "A record that could not be decoded, untouched",
            "contentType": "application/octet-stream",
            "headers": {"$ref": "#/components/schemas/dead_letter_headers"},
            "payload": {"description": "The bytes as they came."},
            "bindings": _key_binding({"type": ["string", "null"]}),
        }
    }
    for full_name, schema in schemas.items():
        name, _ = split_full_name(full_name)
        if not sources_of(name, table, parties):
            continue  # on no topic: a contradiction, which compatibility.py names
        about = str(schema.get("description", "")).partition("\n")[0]
        messages[full_name] = {
            "name": full_name,
            "title": full_name,
            **({"summary": about} if about else {}),
            "contentType": "application/json",
            "headers": {
                "type": "object",
                "allOf": [{"$ref": f"#/components/schemas/{_headers_of(name, table, parties)}"}],
                "properties": {
                    "ce_type": {"const": full_name},
                    "ce_source": {"enum": sources_of(name, table, parties)},
                },
            },
            "payload": {"$ref": f"./{SCHEMAS_DIR}/{full_name}.json"},
            "bindings": _key_binding(_key_of(name, table, parties)),
        }
    return messages


def _key_binding(key: Document) -> Document:
    return {"kafka": {"key": key, "bindingVersion": "0.5.0"}}


def sources_of(name: str, table: TopicTable, parties: Sequence[Party]) -> list[str]:
    """Who writes a type: the writers of the topics that carry it whose catalogue has it."""
    if name in catalogue.by_name:
        return [catalogue.owner]
    writers = {
        writer
        for topic in table.topics.values()
        if name in topic.carries
        for writer in topic.writers
    }
    owners = {party.name for party in parties if any(kind.name == name for kind in party.owned())}
    return sorted(writers & owners)


def _headers_of(name: str, table: TopicTable, parties: Sequence[Party]) -> str:
    if name.endswith(".step_taken"):
        return "step_headers"
    cores = {party.name for party in parties if party.own_topic}
    decided = set(sources_of(name, table, parties)) <= cores
    return "decided_headers" if decided else "observed_headers"


def _key_of(name: str, table: TopicTable, parties: Sequence[Party]) -> Document:
    """Own events may concern a whole partition (no key); what is on every partition has none."""
    if name.endswith(".step_taken"):
        return {"type": "null"}
    topics = [topic for topic in table.topics.values() if name in topic.carries]
    if topics and all(topic.key == EVERY for topic in topics):
        return {"type": "null"}
    own = {party.own_topic for party in parties}
    if any(topic.name in own for topic in topics):
        return {"type": ["string", "null"]}
    return {"type": "string"}


# -- files --------------------------------------------------------------------------------------


class _Dumper(yaml.SafeDumper):
    """Without anchors, so that every part can be read where it stands."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _text_block(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text_block)


def render_yaml(document: Document) -> str:
    """The document as YAML, the same text for equal documents."""
    head = "# Generated by `gridledger catalogue generate`; do not edit.\n"
    return head + yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
    )


def render_json(schema: Document) -> str:
    """A schema as JSON, the same text for equal schemas."""
    return json.dumps(schema, ensure_ascii=False, indent=1) + "\n"


def generated_files(
    table: TopicTable, parties: Sequence[Party], older: Mapping[str, Document]
) -> dict[str, str]:
    """Every generated file by its path under `docs/`; `older` schemas are kept as they are."""
    current = event_schemas(parties)
    schemas = dict(sorted({**older, **current}.items()))
    files = {f"{SCHEMAS_DIR}/{name}.json": render_json(schemas[name]) for name in schemas}
    files["asyncapi.yaml"] = render_yaml(asyncapi_document(table, parties, schemas))
    files["topics.md"] = render_topics(table)
    return files
