"""What the DATA of every DL/T 645-2007 frame says (domain.md 1.1 to 1.3), for `explaining`.

Requests are read by `requests.parse_request`, values by `payloads.decode_payload`: what a person is
shown here is what the services compute with. What fits neither is named, never guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645 import frame as codes
from services.ingest.protocols.dlt645.explaining import (
    Edition,
    FrameExplainer,
    Meaning,
    Piece,
    quantity_piece,
)
from services.ingest.protocols.dlt645.frame import Frame
from services.ingest.protocols.dlt645.identifiers import Item, di_text, item_size, layout_of
from services.ingest.protocols.dlt645.load_records import (
    GOOD_START,
    SEPARATOR,
    LoadRecord,
    class_items,
    decode_load_records,
    split_classes,
)
from services.ingest.protocols.dlt645.masking import secret_data
from services.ingest.protocols.dlt645.payloads import decode_payload
from services.ingest.protocols.dlt645.profile import STANDARD, Dlt645Profile
from services.ingest.protocols.dlt645.replies import error_names
from services.ingest.protocols.dlt645.requests import (
    BaudAsked,
    ClearAsked,
    FreezeAsked,
    NewAddressAsked,
    OutputAsked,
    RelayAsked,
    TimeAsked,
    load_record_count,
    parse_request,
)
from services.ingest.protocols.dlt645.values import (
    HIDDEN,
    BadValue,
    Quantity,
    decode_stamp,
    instant,
)
from services.ingest.protocols.failures import BadReply

PROTOCOL = "dlt645-2007"
FUNCTIONS = {
    codes.TIME_SYNC: "time sync",
    codes.READ: "read",
    codes.READ_FOLLOW_UP: "read follow-up",
    codes.READ_ADDRESS: "read address",
    codes.WRITE: "write",
    codes.WRITE_ADDRESS: "write address",
    codes.FREEZE: "freeze",
    codes.CHANGE_BAUD: "change baud rate",
    codes.CHANGE_PASSWORD: "change password",
    codes.CLEAR_DEMAND: "clear maximum demand",
    codes.CLEAR_METER: "clear meter",
    codes.CLEAR_EVENTS: "clear events",
    codes.RELAY: "relay control",
    codes.OUTPUT: "multi-function output",
}
PARTIAL = "part_of_a_longer_answer"
LOAD_PROFILE = "06"
LONG_ANSWERS_MAX = 64
"""So many answers may wait for their next frame; then the oldest is given up."""
_SHAPES: dict[int, tuple[tuple[int, str], ...]] = {
    codes.TIME_SYNC: ((6, "time"),),
    codes.READ: ((4, "identifier"),),
    codes.READ_FOLLOW_UP: ((4, "identifier"), (1, "sequence number")),
    codes.WRITE: ((4, "identifier"), (1, "level"), (3, "password"), (4, "operator")),
    codes.WRITE_ADDRESS: ((6, "new address"),),
    codes.FREEZE: ((4, "freeze time"),),
    codes.CHANGE_BAUD: ((1, "baud rate"),),
    codes.CHANGE_PASSWORD: (
        (4, "identifier"),
        (1, "level"),
        (3, "password"),
        (1, "new level"),
        (3, "new password"),
    ),
    codes.CLEAR_DEMAND: ((1, "level"), (3, "password"), (4, "operator")),
    codes.CLEAR_METER: ((1, "level"), (3, "password"), (4, "operator")),
    codes.CLEAR_EVENTS: ((1, "level"), (3, "password"), (4, "operator"), (4, "events")),
    codes.RELAY: (
        (1, "level"),
        (3, "password"),
        (4, "operator"),
        (1, "command"),
        (1, "reserved"),
        (6, "valid until"),
    ),
    codes.OUTPUT: ((1, "output"),),
}
"""The fixed pieces at the beginning of a request's DATA, by function."""


def explainer_2007(profile: Dlt645Profile = STANDARD) -> FrameExplainer:
    """The `Explainer` of DL/T 645-2007 for meters of one profile."""
    return FrameExplainer(
        Edition(
            protocol=PROTOCOL,
            functions=FUNCTIONS,
            meaning=LongAnswers(profile).meaning,
            secret=secret_data,
        )
    )


def meaning_2007(frame: Frame, profile: Dlt645Profile = STANDARD) -> Meaning:
    """What DATA says; bytes that no rule knows are left to the caller as `unknown`."""
    data = frame.data
    if not frame.from_meter:
        return _request(frame, profile)
    if frame.abnormal:
        return refusal(data, error_names(data[0]) if data else ())
    if frame.function == codes.READ and len(data) >= 4:
        return _answer(frame, profile)
    if frame.function == codes.READ_FOLLOW_UP and len(data) >= 5:
        # Where in the answer these bytes stand is not told by the frame: they are not decoded.
        pieces = (
            identifier(di_text(data), 4),
            *_partial(len(data) - 5),
            Piece(size=1, name="sequence number", value=str(data[-1])),
        )
        return Meaning(pieces=pieces, fields={"di": di_text(data), "seq": data[-1]})
    if frame.function == codes.READ_ADDRESS and len(data) == 6:
        told = data[::-1].hex()
        piece = Piece(size=6, name="communication address", value=told)
        return Meaning(pieces=(piece,), fields={"told_address": told}, text=told)
    if frame.function == codes.CHANGE_PASSWORD:
        return Meaning(pieces=(Piece(size=len(data), name="new password"),) if data else ())
    if frame.function in (codes.CHANGE_BAUD, codes.OUTPUT) and len(data) == 1:
        return _request(Frame(frame.address, frame.function, data), profile)
    return Meaning()


class LongAnswers:
    """Puts answers of several frames together: the last one then tells the values of all.

    A follow-up frame counts when its number is the next one; a repeated one is not counted twice,
    and after a gap nothing is told but the bytes.
    """

    def __init__(self, profile: Dlt645Profile) -> None:
        self._profile = profile
        self._begun: dict[tuple[str, str], tuple[int, bytes]] = {}

    def meaning(self, frame: Frame) -> Meaning:
        """As `meaning_2007`, with what came before in mind."""
        told = meaning_2007(frame, self._profile)
        di = told.fields.get("di")
        if not isinstance(di, str) or not frame.from_meter:
            return told
        key = (frame.address, di)
        if frame.function == codes.READ:
            self._keep(key, frame, 0, frame.data[4:])
            return told
        seq, before = self._begun.get(key, (0, b""))
        if key not in self._begun or frame.data[-1] != seq + 1:
            return told
        whole = before + frame.data[4:-1]
        self._keep(key, frame, seq + 1, whole)
        if frame.more:
            return told
        return replace(told, quantities=tuple(value_pieces(di, whole, self._profile)[0]))

    def _keep(self, key: tuple[str, str], frame: Frame, seq: int, payload: bytes) -> None:
        self._begun.pop(key, None)
        if frame.more:
            self._begun[key] = (seq, payload)
        if len(self._begun) > LONG_ANSWERS_MAX:
            del self._begun[next(iter(self._begun))]


def refusal(data: bytes, names: Sequence[str]) -> Meaning:
    """The error word of an abnormal reply; a second byte, where a meter sends one, stays."""
    pieces = (Piece(size=1, name="error word", value=", ".join(names)),) if data else ()
    return Meaning(pieces=pieces, fields={"errors": list(names)})


def identifier(di: str, size: int, name: str = "") -> Piece:
    """The DI in front of a payload."""
    return Piece(size=size, name=name or "identifier", value=di)


def _partial(size: int) -> tuple[Piece, ...]:
    return (Piece(size=size, name="data", reason=PARTIAL),) if size else ()


def _answer(frame: Frame, profile: Dlt645Profile) -> Meaning:
    di, payload = di_text(frame.data), frame.data[4:]
    quantities, pieces = value_pieces(di, payload, profile)
    if not pieces and frame.more:
        pieces = _partial(len(payload))
    return Meaning(
        pieces=(identifier(di, 4), *pieces), fields={"di": di}, quantities=tuple(quantities)
    )


def value_pieces(
    di: str, payload: bytes, profile: Dlt645Profile
) -> tuple[Sequence[Quantity], tuple[Piece, ...]]:
    """The values behind a DI; nothing where nobody knows it or its length is another."""
    if di[:2] == LOAD_PROFILE:
        return _load_profile(di, payload, profile)
    try:
        quantities = decode_payload(di, payload, profile)
        items = layout_of(di, len(payload), profile.extra_items)
    except (BadReply, BadInput):
        return (), ()
    return quantities, item_pieces(items, quantities)


def item_pieces(items: Sequence[Item], quantities: Sequence[Quantity]) -> tuple[Piece, ...]:
    """Quantities with the bytes that their rows have."""
    pairs = zip(items, quantities, strict=True)
    return tuple(quantity_piece(quantity, item_size(item)) for item, quantity in pairs)


def _load_profile(
    di: str, payload: bytes, profile: Dlt645Profile
) -> tuple[Sequence[Quantity], tuple[Piece, ...]]:
    wanted = int(di[2:4], 16)
    try:
        records = decode_load_records(payload, wanted, profile) if wanted <= 6 else []
    except BadReply:
        return [], ()
    pieces: list[Piece] = []
    place = 0
    for record in records:
        size = payload[place + 2]
        good = payload[place : place + 2] == GOOD_START
        pieces += [
            Piece(size=2, name="record", value="good" if good else "wrong by the meter itself"),
            Piece(size=1, name="length of record", value=str(size), unit="bytes"),
            Piece(size=5, name="time", value=instant(record.civil, profile.zone_minutes)),
            *_class_pieces(payload[place + 8 : place + 3 + size], wanted, record, profile),
            Piece(size=1, name="sum of record"),
            Piece(size=1, name="end of record"),
        ]
        place += size + 5
    return [quantity for record in records for quantity in record.quantities], tuple(pieces)


def _class_pieces(
    blocks: bytes, wanted: int, record: LoadRecord, profile: Dlt645Profile
) -> list[Piece]:
    """The classes of one record; an AAH ends each, and those without values have only that."""
    pieces: list[Piece] = []
    left = list(record.quantities)
    place = 0
    for number, raw in split_classes(blocks, wanted, profile):
        while blocks[place] == SEPARATOR:  # empty classes before it
            pieces.append(Piece(size=1, name="end of class"))
            place += 1
        if wanted in (0, number):
            items = class_items(number, profile)
            pieces += item_pieces(items, left[: len(items)])
            del left[: len(items)]
        else:
            pieces.append(Piece(size=len(raw), name=f"class {number}"))
        pieces.append(Piece(size=1, name="end of class"))
        place += len(raw) + 1
    return pieces + [Piece(size=1, name="end of class")] * (len(blocks) - place)


def _request(frame: Frame, profile: Dlt645Profile) -> Meaning:
    data = frame.data
    shape = _SHAPES.get(frame.control, ())
    if len(data) < sum(size for size, _ in shape):
        return Meaning()
    fields, words = _asked(frame, profile)
    pieces = []
    place = 0
    for size, name in shape:
        raw = data[place : place + size]
        pieces.append(_piece(name, raw, words))
        place += size
    quantities: Sequence[Quantity] = ()
    if frame.control == codes.WRITE:
        quantities, more = value_pieces(di_text(data), data[place:], profile)
        pieces += more
    elif frame.control == codes.READ and data[3] == 0x06:
        pieces += _load_request(data[place:], profile)
    text = ", ".join(f"{name} {word}" for name, word in words.items())
    return Meaning(pieces=tuple(pieces), fields=fields, quantities=tuple(quantities), text=text)


def _piece(name: str, raw: bytes, words: dict[str, str]) -> Piece:
    if "password" in name:
        return Piece(size=len(raw), name=name, reason=HIDDEN)
    if name == "identifier":
        return identifier(di_text(raw), 4)
    plain = str(raw[0]) if name == "sequence number" else raw[::-1].hex().upper()
    return Piece(size=len(raw), name=name, value=words.get(name, plain))


def _asked(frame: Frame, profile: Dlt645Profile) -> tuple[dict[str, object], dict[str, str]]:
    """Fields for programs, and the texts of pieces that are more than digits."""
    data = frame.data
    fields: dict[str, object] = {}
    if frame.control in (codes.READ, codes.READ_FOLLOW_UP, codes.WRITE, codes.CHANGE_PASSWORD):
        fields["di"] = di_text(data)
    if frame.control == codes.READ_FOLLOW_UP:
        fields["seq"] = data[4]
    try:
        asked = parse_request(frame)
    except BadReply:
        return fields, {}
    zone = profile.zone_minutes
    words: dict[str, str] = {}
    if isinstance(asked, TimeAsked):
        words = {"time": instant(asked.civil, zone)}
    elif isinstance(asked, FreezeAsked):
        pattern = asked.pattern
        words = {"freeze time": f"{pattern[:2]}-{pattern[2:4]} {pattern[4:6]}:{pattern[6:]}"}
    elif isinstance(asked, RelayAsked):
        words = {"command": asked.command, "valid until": instant(asked.valid_until, zone)}
    elif isinstance(asked, NewAddressAsked):
        words = {"new address": asked.address}
    elif isinstance(asked, BaudAsked):
        words = {"baud rate": str(asked.baud)}
    elif isinstance(asked, OutputAsked):
        words = {"output": asked.output}
    elif isinstance(asked, ClearAsked) and asked.di:
        words = {"events": asked.di}
    return fields | {name.replace(" ", "_"): text for name, text in words.items()}, words


def _load_request(extra: bytes, profile: Dlt645Profile) -> list[Piece]:
    """Behind the DI of a load profile: a count, and for a given time (DI0 = 01) mm hh DD MM YY."""
    if len(extra) not in (1, 6):
        return []
    pieces = [Piece(size=1, name="records wanted", value=str(load_record_count(extra)))]
    if len(extra) == 6:
        civil = decode_stamp(extra[1:])
        pieces.append(
            Piece(
                size=5,
                name="from",
                value="" if isinstance(civil, BadValue) else instant(civil, profile.zone_minutes),
                reason=civil.reason if isinstance(civil, BadValue) else "",
            )
        )
    return pieces
