"""Where two records differ: what replay says when a decision was not what is recorded.

Compared are key, value and the `ce_` headers that a decision makes; trace ids, the release and the
broker's time are not.
"""

from __future__ import annotations

from libs.events.codec import parse_json
from libs.events.errors import Undecodable
from libs.events.record import Headers, Outgoing

COMPARED = frozenset(
    ("ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "ce_subject", "ce_cause")
)


def difference(made: Outgoing, key: bytes | None, value: bytes, headers: Headers) -> str:
    """The first thing in which a recorded event differs from the one decided again."""
    if made.key != key:
        return f"key: decided {made.key!r}, recorded {key!r}"
    ours = {name: text for name, text in made.headers if name in COMPARED}
    theirs = {name: text for name, text in headers if name in COMPARED}
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            return f"{name}: decided {ours.get(name)!r}, recorded {theirs.get(name)!r}"
    if made.value != value:
        return _first_field(made.value, value)
    return ""


def _first_field(made: bytes, recorded: bytes) -> str:
    try:
        ours, theirs = parse_json(made), parse_json(recorded)
    except Undecodable:
        return "value: the recorded bytes are no JSON"
    path = _path_of_difference(ours, theirs, "")
    return path or "value: equal data in other bytes"


def _path_of_difference(ours: object, theirs: object, path: str) -> str:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in [*ours, *(name for name in theirs if name not in ours)]:
            found = _path_of_difference(ours.get(name), theirs.get(name), f"{path}.{name}")
            if found:
                return found
        return ""
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            found = _path_of_difference(one, other, f"{path}[{index}]")
            if found:
                return found
        return ""
    if ours != theirs:
        return f"{path.lstrip('.')}: decided {ours!r}, recorded {theirs!r}"
    return ""
