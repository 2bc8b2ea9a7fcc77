"""What every protocol can build for a person: the port behind `gridledger encode`.

A protocol has a `Builder`: its requests by name, each with the fields it takes. All values arrive
as text, as people type them; `build` answers with the bytes on the wire or raises BadInput with the
field and the fix. A field that is secret is never taken from the command line.

    builder["read"].build({"address": "161", "di": "00010000"}).hex()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from libs.events.errors import BadInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One value a request takes. default: used where none is given; None makes it required."""

    name: str
    meaning: str
    default: str | None = None
    secret: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKind:
    """One kind of request: a line about it, its fields, and how its bytes are made."""

    summary: str
    fields: tuple[Field, ...]
    make: Callable[[Mapping[str, str]], bytes]

    def build(self, given: Mapping[str, str]) -> bytes:
        """The bytes of one request. BadInput names a field that is missing or not known."""
        names = [field.name for field in self.fields]
        for name in given:
            if name not in names:
                raise BadInput(name, "is no field of this request", f"one of {', '.join(names)}")
        values = dict(given)
        for field in self.fields:
            if field.name in values:
                continue
            if field.default is None:
                fix = "give it with --secrets" if field.secret else f"give --{field.name}"
                raise BadInput(field.name, f"is missing ({field.meaning})", fix)
            values[field.name] = field.default
        return self.make(values)


Builder = Mapping[str, RequestKind]


def hex_value(name: str, text: str) -> bytes:
    """Bytes written in hexadecimal, spaces allowed; BadInput otherwise."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise BadInput(name, f"{text!r} is not hexadecimal", "write two digits a byte") from None


def whole_value(name: str, text: str) -> int:
    """A whole number without sign; BadInput otherwise."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise BadInput(name, f"{text!r} is no whole number", "write digits only")
    return int(text)
