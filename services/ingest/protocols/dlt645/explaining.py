"""DL/T 645 frames for people: every byte of a capture with its meaning (`protocols.explanation`).

One explainer serves both editions: an `Edition` says what DATA means, this module finds the frames,
names the bytes around DATA and masks passwords. Nothing of a password leaves it: bytes that tell of
one are `xx`, and so is the checksum then (see `masking`).

    >>> [found.summary for found in explainer_2007().feed(bytes.fromhex(f02))]
    ['meter 000000000161 answers: read 00010000: import active energy 260 Wh']
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from services.ingest.protocols.dlt645.frame import FUNCTION, LEAD, Frame, FrameReader
from services.ingest.protocols.dlt645.values import HIDDEN, Quantity
from services.ingest.protocols.explanation import Explained, Part, StreamExplainer

_HEADER_BYTES = 10
_SHOWN_VALUES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A run of DATA with one meaning; as `Part`, without place and bytes."""

    size: int
    name: str
    value: str = ""
    unit: str = ""
    obis: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What the DATA of a frame says: pieces from its first byte, fields for programs, and a text
    for the summary where there are no values."""

    pieces: tuple[Piece, ...] = ()
    fields: dict[str, object] = field(default_factory=dict)
    quantities: tuple[Quantity, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """What differs between the editions of the standard.

    functions: names by the five bits of the function; meaning: of a frame's DATA, never raising;
    secret: offsets in DATA that tell something of a password.
    """

    protocol: str
    functions: dict[int, str]
    meaning: Callable[[Frame], Meaning]
    secret: Callable[[Frame], frozenset[int]]


class FrameExplainer(StreamExplainer[Frame]):
    """The `Explainer` of one edition; see `protocols.explanation`."""

    def __init__(self, edition: Edition) -> None:
        super().__init__(
            edition.protocol,
            FrameReader(keep_lead=True),
            lambda frame, offset: explain_frame(edition, frame, offset),
            lead=bytes((LEAD,)),
        )


def explain_frame(edition: Edition, frame: Frame, offset: int) -> Explained:
    """One frame as it came (with its `raw`), every byte in exactly one part."""
    meaning = edition.meaning(frame)
    pairs = [f"{byte:02x}" for byte in frame.raw]
    secret = {_HEADER_BYTES + place for place in edition.secret(frame)}
    if secret:
        secret.add(_HEADER_BYTES + len(frame.data))  # the checksum gives the password's sum
    for place in secret:
        pairs[place] = "xx"
    parts = []
    place = 0
    for piece in _all_pieces(edition, frame, meaning.pieces):
        hidden = any(n in secret for n in range(place, place + piece.size))
        parts.append(
            Part(
                offset=place,
                raw_hex="".join(pairs[place : place + piece.size]),
                name=piece.name,
                value="" if hidden else piece.value,
                unit=piece.unit,
                obis=piece.obis,
                reason=HIDDEN if hidden else piece.reason,
            )
        )
        place += piece.size
    return Explained(
        protocol=edition.protocol,
        offset=offset,
        raw_hex="".join(pairs),
        summary=_summary(edition, frame, meaning),
        parts=tuple(parts),
        fields=_fields(edition, frame, meaning),
    )


def _all_pieces(edition: Edition, frame: Frame, data: tuple[Piece, ...]) -> Iterator[Piece]:
    yield Piece(size=1, name="start")
    yield Piece(size=6, name="address", value=frame.address)
    yield Piece(size=1, name="start")
    yield Piece(size=1, name="control", value=_control_text(edition, frame))
    yield Piece(size=1, name="length of data", value=str(len(frame.data)), unit="bytes")
    yield from data
    left = len(frame.data) - sum(piece.size for piece in data)
    if left:
        yield Piece(size=left, name="data", reason="unknown")
    yield Piece(size=1, name="checksum")
    yield Piece(size=1, name="end")


def _control_text(edition: Edition, frame: Frame) -> str:
    words = [edition.functions.get(frame.function, "unknown function")]
    words.append("answer" if frame.from_meter else "request")
    words += ["refused"] * frame.abnormal + ["more follows"] * frame.more
    return ", ".join(words)


def _summary(edition: Edition, frame: Frame, meaning: Meaning) -> str:
    name = edition.functions.get(frame.function, f"unknown function {frame.function:02X}H")
    told = [f"meter {frame.address}"]
    if not frame.from_meter:
        told = [f"to {frame.address}"]
    elif frame.abnormal:
        told.append("refuses")
    else:
        told.append("answers")
    text = f"{' '.join(told)}: {name}"
    di = meaning.fields.get("di")
    if di:
        text += f" {di}"
    if frame.abnormal:
        errors = meaning.fields.get("errors")
        text += f": {', '.join(errors) if isinstance(errors, list) else ''}"
    if meaning.text:
        text += f": {meaning.text}"
    shown = [_shown(quantity) for quantity in meaning.quantities[:_SHOWN_VALUES]]
    if shown:
        more = len(meaning.quantities) - len(shown)
        text += ": " + "; ".join(shown) + (f"; and {more} more" if more else "")
    return text


def _shown(quantity: Quantity) -> str:
    value = value_text(quantity) or quantity.bad or "nothing set"
    return f"{quantity.name} {value} {quantity.unit}".rstrip()


def _fields(edition: Edition, frame: Frame, meaning: Meaning) -> dict[str, object]:
    fields: dict[str, object] = {
        "address": frame.address,
        "control": f"{frame.control:02X}",
        "function": edition.functions.get(frame.control & FUNCTION, ""),
        "direction": "answer" if frame.from_meter else "request",
    }
    if frame.more:
        fields["more"] = True
    fields |= meaning.fields
    if meaning.quantities:
        fields["values"] = [quantity_fields(quantity) for quantity in meaning.quantities]
    return fields


def quantity_fields(quantity: Quantity) -> dict[str, object]:
    """A quantity for programs; `value` as exact decimal digits, "" when there is none."""
    return {
        "obis": quantity.obis,
        "name": quantity.name,
        "value": value_text(quantity),
        "unit": quantity.unit,
        "at": quantity.at,
        "reason": quantity.bad,
    }


def value_text(quantity: Quantity) -> str:
    """The exact decimal digits of a number (all digits the meter sent), or the text of a text.

    >>> value_text(Quantity(obis="", name="", unit="V", scale=10, value=-2319))
    '-231.9'
    """
    value, scale = quantity.value, quantity.scale
    if value is None or quantity.text:
        return quantity.text
    if scale == 1:
        return str(value)
    whole, part = divmod(abs(value), scale)
    return f"{'-' * (value < 0)}{whole}.{part:0{len(str(scale)) - 1}d}"


def quantity_piece(quantity: Quantity, size: int) -> Piece:
    """The piece of one value in DATA."""
    value = value_text(quantity)
    if quantity.at:
        value = f"{value} at {quantity.at}"
    return Piece(
        size=size,
        name=quantity.name,
        value=value,
        unit=quantity.unit,
        obis=quantity.obis,
        reason=quantity.bad,
    )
