"""A consumer that knows docs/asyncapi.yaml and nothing else of GridLedger.

It reads the document with PyYAML and the schemas with jsonschema; of the project it imports not a
line. A record is anything with `topic`, `partition`, `offset`, `key`, `value` and `headers`.

    problems = validate(records, Path("docs/asyncapi.yaml"))      [] when all is as promised
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import yaml
from jsonschema import Draft7Validator

JSON_CONTENT = "application/json"


class AnyRecord(Protocol):
    """What a Kafka client delivers."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes: ...
    @property
    def headers(self) -> tuple[tuple[str, bytes], ...]: ...


def validate(records: Iterable[AnyRecord], asyncapi_path: Path) -> list[str]:
    """One line for every record that is not as the document says."""
    consumer = PlainConsumer(asyncapi_path)
    return [problem for record in records for problem in consumer.problems(record)]


class PlainConsumer:
    """The document, read once, and what was seen of it: `seen` counts (topic, message)."""

    def __init__(self, asyncapi_path: Path) -> None:
        self.directory = asyncapi_path.parent
        self.document = yaml.load(  # the C parser, where there is one
            asyncapi_path.read_text("utf-8"),
            Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader),
        )
        self.channels = {
            channel["address"]: channel for channel in self.document["channels"].values()
        }
        self.seen: dict[tuple[str, str], int] = {}
        self._message = functools.cache(self._load_message)

    def problems(self, record: AnyRecord) -> list[str]:
        """What is wrong with one record."""
        where = f"{record.topic}/{record.partition}/{record.offset}"
        channel = self.channels.get(record.topic)
        if channel is None:
            return [f"{where}: the document has no such channel"]
        headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
        name = self._choose(channel, headers)
        if name is None:
            return [f"{where}: no message of the channel has ce_type {headers.get('ce_type')!r}"]
        self.seen[record.topic, name] = self.seen.get((record.topic, name), 0) + 1
        message = self._message(name)
        problems = _errors(message["headers"], headers, "headers")
        if message["key"] is not None:
            key = None if record.key is None else record.key.decode("utf-8", "replace")
            problems += _errors(message["key"], key, "key")
        if message["content"] == JSON_CONTENT:
            problems += _body_errors(message["payload"], record.value)
        return [f"{where} {name}: {problem}" for problem in problems]

    def _choose(self, channel: dict[str, Any], headers: dict[str, str]) -> str | None:
        """The message by `ce_type`; in a channel of dead letters, by their own headers first.

        A dead letter keeps the headers it came with, `ce_type` included.
        """
        messages = {str(name): self._message(name) for name in channel["messages"]}
        for name, message in messages.items():
            if message["type"] is None and message["headers"].is_valid(headers):
                return name
        for name, message in messages.items():
            if message["type"] is not None and message["type"] == headers.get("ce_type"):
                return name
        return None

    def _load_message(self, name: str) -> dict[str, Any]:
        message = self.document["components"]["messages"][name]
        headers = self._resolved(message["headers"])
        binding = message.get("bindings", {}).get("kafka", {})
        return {
            "type": headers.get("properties", {}).get("ce_type", {}).get("const"),
            "headers": Draft7Validator(headers),
            "key": Draft7Validator(binding["key"]) if "key" in binding else None,
            "content": message.get("contentType", self.document["defaultContentType"]),
            "payload": Draft7Validator(self._resolved(message["payload"])),
        }

    def _resolved(self, schema: Any) -> Any:
        """References to other files and into the document replaced by what they name."""
        if isinstance(schema, list):
            return [self._resolved(part) for part in schema]
        if not isinstance(schema, dict):
            return schema
        target = schema.get("$ref")
        if target is None:
            return {name: self._resolved(part) for name, part in schema.items()}
        if not target.startswith("#"):
            return json.loads((self.directory / target).read_text("utf-8"))
        found = self.document
        for part in target.removeprefix("#/").split("/"):
            found = found[part]
        return self._resolved(found)


def _errors(validator: Draft7Validator, value: Any, what: str) -> list[str]:
    return [
        f"{what}{''.join(f'[{step!r}]' for step in error.absolute_path)}: {error.message[:200]}"
        for error in validator.iter_errors(value)
    ]


def _body_errors(validator: Draft7Validator, value: bytes) -> list[str]:
    try:
        body = json.loads(value)
    except ValueError as error:
        return [f"body: is no JSON ({error})"]
    return _errors(validator, body, "body")
