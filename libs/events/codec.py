"""Bytes to event bodies and back: the one module that imports msgspec.

Bodies are JSON, decoded straight into frozen slotted dataclasses of the standard library; an older
version passes through the upcasters first. Encoding is deterministic: fields in their order of
declaration, dictionaries in sorted order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from libs.events.errors import Undecodable
from libs.events.record import Envelope, Headers, read_envelope
from libs.events.registry import Catalogue, Document, EventType, split_full_name

T = TypeVar("T")

_encoder = msgspec.json.Encoder(order="deterministic")
_state_encoder = msgspec.msgpack.Encoder(order="deterministic")


def encode(body: object) -> bytes:
    """An event body as JSON bytes, the same bytes for equal bodies."""
    return _encoder.encode(body)


def decode_as(kind: type[T], value: bytes, what: str = "value") -> T:
    """JSON bytes as `kind`; Undecodable names the field that does not fit."""
    try:
        return msgspec.json.decode(value, type=kind)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Undecodable(what, str(error)) from None


def convert(document: Any, kind: type[T], what: str = "value") -> T:
    """Plain dictionaries and lists as `kind`; Undecodable names the field that does not fit."""
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise Undecodable(what, str(error)) from None


def to_document(body: object) -> Any:
    """An event body as plain dictionaries and lists."""
    return msgspec.to_builtins(body)


def parse_json(value: bytes, what: str = "value") -> Any:
    """Any JSON; Undecodable when it is none."""
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Undecodable(what, str(error)) from None


def json_schemas(kinds: list[type]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The JSON Schema of each class, and the shared definitions they refer to."""
    schemas, definitions = msgspec.json.schema_components(
        kinds, ref_template="#/components/schemas/{name}"
    )
    return list(schemas), definitions


def encode_state(state: object) -> bytes:
    """A state of one key as checkpoint bytes (MessagePack)."""
    return _state_encoder.encode(state)


def state_decoder(kind: Any) -> Callable[[bytes], Any]:
    """A decoder of checkpoint bytes for one class of state."""
    decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(kind)
    return decoder.decode


class Codec:
    """Decodes the records of the topics one service reads, by its catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._decoders: dict[str, Callable[[bytes], Any]] = {}  # made when first needed

    def knows(self, full_name: str) -> bool:
        """Whether the catalogue has the type, in this or an older version it can upcast."""
        return self._resolve(full_name) is not None

    def decode(self, full_name: str, value: bytes) -> Any:
        """The body of a record; Undecodable when type, version or a field is not as registered."""
        try:
            decode = self._decoders.get(full_name)
            if decode is not None:
                return decode(value)
            kind = self._resolve(full_name)
            if kind is None or kind.full_name != full_name:
                return self._upcast(full_name, value)
            decode = self._decoders[full_name] = msgspec.json.Decoder(kind.body).decode
            return decode(value)
        except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Undecodable(f"value of {full_name}", str(error)) from None

    def _resolve(self, full_name: str) -> EventType | None:
        try:
            name, version = split_full_name(full_name)
        except ValueError:
            return None
        kind = self.catalogue.by_name.get(name)
        if kind is None or version > kind.version:
            return None
        return kind

    def _upcast(self, full_name: str, value: bytes) -> Any:
        kind = self._resolve(full_name)
        if kind is None:
            raise Undecodable("ce_type", f"{full_name!r} is unknown to {self.catalogue.owner}")
        _, version = split_full_name(full_name)
        document: Document = msgspec.json.decode(value)
        while version < kind.version:
            step = self.catalogue.upcasters.get((kind.name, version))
            if step is None:
                raise Undecodable("ce_type", f"no upcaster from {full_name}")
            document = step(document)
            version += 1
        return msgspec.convert(document, kind.body)


def envelope_of(headers: Headers) -> Envelope:
    """The envelope of a record; Undecodable names the header that is missing or no text."""
    try:
        return read_envelope(headers)
    except KeyError as error:
        raise Undecodable(str(error.args[0]), "the header is missing") from None
    except UnicodeDecodeError:
        raise Undecodable("headers", "an attribute is not UTF-8") from None
