"""DL/T 645-1997: the same link layer as 2007 with 2-byte identifiers and control codes of its own.

    read 01H -> 81H (A1H: more follows), follow-up 02H -> 82H, write 04H -> 84H, time 08H, no reply

`identifiers_1997.csv` says what a DI is: the 2007 identifier of the same quantity (for most rows as
`coyool/XXOO_000` plc/dd645_2007.c converts them, domain.md 1.4) and, where the editions differ, the
format. Results are the same `Quantity` as in 2007, under the same OBIS codes. Confirmed by a value
of a vendor's manual is B611 alone (domain.md 1.4); everything else is UNCONFIRMED data.

In a pattern R is the rate (0 total, 1..E; F the block of all), M and N are the settlement period (0
4 8, and 1 5 9: this month, the last, the one before) and E the entry of a table (1..E, F all).

Whether a write carries a password (4 bytes PA P0 P1 P2 behind the DI) is UNCONFIRMED: domain.md 1.4
has none, so none is sent unless it is given. In a capture the length decides: 4 bytes more than the
value has are a password, and what cannot be told apart is masked as if it were one.

    >>> decode_payload_1997("B611", bytes.fromhex("2002"))[0].value
    220
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.address import MeterAddress
from services.ingest.protocols.dlt645.edition_2007 import identifier, item_pieces, refusal
from services.ingest.protocols.dlt645.explaining import (
    Edition,
    FrameExplainer,
    Meaning,
    Piece,
)
from services.ingest.protocols.dlt645.frame import (
    ABNORMAL,
    BROADCAST,
    FROM_METER,
    MORE,
    Frame,
    address_matches,
)
from services.ingest.protocols.dlt645.identifiers import Item, find_item, item_size, read_table
from services.ingest.protocols.dlt645.payloads import decode_items
from services.ingest.protocols.dlt645.profile import STANDARD, Dlt645Profile
from services.ingest.protocols.dlt645.replies import Reply
from services.ingest.protocols.dlt645.requests import Credentials
from services.ingest.protocols.dlt645.values import (
    BadValue,
    Quantity,
    civil_time,
    decode_stamp,
    encode_stamp,
    instant,
)
from services.ingest.protocols.failures import BadReply

PROTOCOL = "dlt645-1997"
READ = 0x01
READ_FOLLOW_UP = 0x02
REPEAT = 0x03
WRITE = 0x04
TIME_SYNC = 0x08
WRITE_ADDRESS = 0x0A
CHANGE_BAUD = 0x0C
CHANGE_PASSWORD = 0x0F
CLEAR_DEMAND = 0x10
FUNCTIONS = {
    READ: "read",
    READ_FOLLOW_UP: "read follow-up",
    REPEAT: "repeat",
    WRITE: "write",
    TIME_SYNC: "time sync",
    WRITE_ADDRESS: "write address",
    CHANGE_BAUD: "change baud rate",
    CHANGE_PASSWORD: "change password",
    CLEAR_DEMAND: "clear maximum demand",
}
"""03H and 0AH to 10H are UNCONFIRMED; they are named in captures, never sent."""
ERROR_BITS = (
    "illegal_data",
    "no_such_data",
    "not_authorised",
    "bit_3",
    "year_zones_exceeded",
    "day_slots_exceeded",
    "rates_exceeded",
    "bit_7",
)
"""The error word, bit 0 first (UNCONFIRMED)."""
DI_BYTES = 2
PASSWORD_BYTES = 4
_PERIODS = {"M": "048", "N": "159"}
_NUMBERS = {"R": "0123456789ABCDE", "E": "123456789ABCDE"}
_DIGITS = frozenset("0123456789ABCDEF")
ALL = "F"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the map; `di_2007` is the pattern of the 2007 edition, "" for none."""

    pattern: str
    di_2007: str
    obis: str
    name: str
    format: str
    unit: str


ROWS = tuple(Row(*row.values()) for row in read_table("identifiers_1997.csv"))


def check_di(di: str) -> str:
    """The DI as 4 hexadecimal digits in capitals; BadInput otherwise."""
    text = di.upper()
    if len(text) == 4 and _DIGITS.issuperset(text):
        return text
    raise BadInput("di", f"{di!r} is no identifier of 1997", "write DI1 DI0 as 4 hex digits")


def di_2007_of(di: str) -> str:
    """The 2007 identifier of the same quantity, "" where 2007 has none.

    >>> di_2007_of("9412")
    '00010201'
    """
    for row in ROWS:
        numbers = _match(row.pattern, di)
        if numbers is not None and row.di_2007:
            return _filled_di(row.di_2007, numbers)
    return ""


def _match(pattern: str, di: str) -> dict[str, int] | None:
    """What the letters of a pattern stand for in a DI: rate, period, entry; None: another DI."""
    numbers = {}
    for wanted, found in zip(pattern, di, strict=True):
        choices = _NUMBERS.get(wanted) or _PERIODS.get(wanted)
        if choices is None or (wanted == "E" and pattern[0] != "C"):
            if wanted != found:
                return None
        elif found not in choices:
            return None
        elif wanted in _PERIODS:
            numbers["period"] = choices.index(found)
        else:
            numbers["rate" if wanted == "R" else "entry"] = int(found, 16)
    return numbers


def _filled_di(pattern: str, numbers: dict[str, int]) -> str:
    filled = pattern.replace("RR", f"{numbers.get('rate', 0):02X}")
    return filled.replace("SS", f"{numbers.get('period', 0):02X}")


def _item(row: Row, di: str, numbers: dict[str, int]) -> Item:
    """The row as an item like those of 2007: what it does not say itself, the 2007 row says."""
    base = find_item(_filled_di(row.di_2007, numbers)) if row.di_2007 else None
    past = numbers.get("period", 0) or (numbers["entry"] if numbers.get("entry", 1) > 1 else 0)
    if row.obis:
        suffix = f"*{past:02d}" if past else ""
        return Item(di, row.obis.format(**numbers) + suffix, row.name, row.format, row.unit)
    assert base is not None, f"{row.pattern}: {row.di_2007} is not in the table of 2007"
    kind, unit = row.format or base.format, row.unit or base.unit
    return Item(base.pattern, base.obis, base.name, kind, unit)


@lru_cache(maxsize=4096)
def layout_of_1997(di: str, size: int) -> tuple[Item, ...]:
    """The items in `size` bytes that answer a read of `di`; empty when it never has that size.

    BadInput when nobody knows the DI.
    """
    found = _items(di)
    if not found and di.endswith(ALL):
        return _block(di, size)
    if not found:
        raise BadInput("di", f"{di} is not in the table of 1997", "see identifiers_1997.csv")
    return next(((item,) for item in found if item_size(item) == size), ())


def _block(di: str, size: int) -> tuple[Item, ...]:
    """Everything whose last digit the F stands for: as many as there is room for.

    Where one DI has two rows (C020: a word of 1997, or the 2007 word that concentrators ask for),
    the first rows are tried together, then the last.
    """
    choices = [found for digit in "0123456789ABCDE" if (found := _items(di[:3] + digit))]
    if not choices:
        raise BadInput("di", f"{di} is not in the table of 1997", "see identifiers_1997.csv")
    for place in (0, -1):
        items: list[Item] = []
        room = size
        for found in choices:
            room -= item_size(found[place])
            items.append(found[place])
            if not room:
                return tuple(items)
    return ()


def _items(di: str) -> list[Item]:
    """All rows of one DI."""
    found = []
    for row in ROWS:
        numbers = _match(row.pattern, di)
        if numbers is not None:
            found.append(_item(row, di, numbers))
    return found


def decode_payload_1997(
    di: str, payload: bytes, profile: Dlt645Profile = STANDARD
) -> tuple[Quantity, ...]:
    """The quantities behind a DI; BadReply for a wrong length, BadInput for an unknown DI."""
    items = layout_of_1997(di, len(payload))
    if not items:
        raise BadReply(f"{di} answered with {len(payload)} bytes, which it never has")
    return decode_items(items, payload, profile)


# -- requests and replies -------------------------------------------------------------------------


def di_bytes_1997(di: str) -> bytes:
    """The DI as it travels: low byte first, without the 33H."""
    return bytes.fromhex(check_di(di))[::-1]


def di_text_1997(raw: bytes) -> str:
    """The DI in the first two bytes of DATA."""
    return raw[1::-1].hex().upper()


def read_request_1997(address: str, di: str) -> Frame:
    """01H."""
    return Frame(address, READ, di_bytes_1997(di))


def follow_up_request_1997(address: str, di: str) -> Frame:
    """02H: the next frame of an answer that did not fit one; 1997 has no sequence number."""
    return Frame(address, READ_FOLLOW_UP, di_bytes_1997(di))


def write_request_1997(
    address: MeterAddress, di: str, data: bytes, credentials: Credentials | None = None
) -> Frame:
    """04H: DI, the password where the meter wants one, data."""
    password = b"" if credentials is None else credentials.encode()[:PASSWORD_BYTES]
    return Frame(str(address), WRITE, di_bytes_1997(di) + password + data)


def time_sync_request_1997(at: str, zone_minutes: int, address: str = BROADCAST) -> Frame:
    """08H: the time, as the meter's civil time; no meter answers."""
    return Frame(address, TIME_SYNC, encode_stamp(civil_time(at, zone_minutes), 6))


def parse_reply_1997(request: Frame, frame: Frame) -> Reply:
    """What the meter answered; BadReply when it is no answer to this request."""
    control, data = frame.control, frame.data
    fits = control & ~(ABNORMAL | MORE) == request.control | FROM_METER
    if not fits or not address_matches(request.address, frame.address):
        raise BadReply(f"{control:02X}H of {frame.address} answers another request")
    if frame.abnormal:
        names = error_names_1997(data[0]) if data else ()
        if not names or len(data) > 1:
            raise BadReply(f"a refusal with the error word {data.hex() or 'missing'}")
        return Reply(frame.address, refused=names)
    if request.control in (READ, READ_FOLLOW_UP):
        if data[:DI_BYTES] != request.data[:DI_BYTES]:
            raise BadReply(f"{di_text_1997(data)} instead of {di_text_1997(request.data)}")
        return Reply(frame.address, data[DI_BYTES:], frame.more)
    if data or frame.more:
        raise BadReply(f"{len(data)} bytes in an acknowledgement that has none")
    return Reply(frame.address)


def error_names_1997(word: int) -> tuple[str, ...]:
    """The names of the bits set in an error word."""
    return tuple(name for bit, name in enumerate(ERROR_BITS) if word >> bit & 1)


# -- explanation ----------------------------------------------------------------------------------


def explainer_1997(profile: Dlt645Profile = STANDARD) -> FrameExplainer:
    """The `Explainer` of DL/T 645-1997 for meters of one profile."""
    return FrameExplainer(
        Edition(
            protocol=PROTOCOL,
            functions=FUNCTIONS,
            meaning=lambda frame: meaning_1997(frame, profile),
            secret=secret_data_1997,
        )
    )


def secret_data_1997(frame: Frame) -> frozenset[int]:
    """Offsets in DATA that tell, or may tell, something of a password."""
    size = len(frame.data)
    if frame.function in (CHANGE_PASSWORD, CLEAR_DEMAND) and not frame.abnormal:
        return frozenset(range(size))
    if frame.control != WRITE or size <= DI_BYTES:
        return frozenset()
    password, items = _written(frame.data)
    if items:
        return frozenset(range(DI_BYTES, DI_BYTES + password))
    return frozenset(range(DI_BYTES, min(size, DI_BYTES + PASSWORD_BYTES)))


def _written(data: bytes) -> tuple[int, tuple[Item, ...]]:
    """How many bytes of a write are a password, and the layout of the value; empty: unknown."""
    room = len(data) - DI_BYTES
    for password in (0, PASSWORD_BYTES):
        try:
            items = layout_of_1997(di_text_1997(data), room - password) if room > password else ()
        except BadInput:
            break
        if items:
            return password, items
    return 0, ()


def meaning_1997(frame: Frame, profile: Dlt645Profile = STANDARD) -> Meaning:
    """What DATA says; bytes that no rule knows are left to the caller as `unknown`."""
    data = frame.data
    if frame.abnormal and frame.from_meter:
        return refusal(data, error_names_1997(data[0]) if data else ())
    if frame.function == TIME_SYNC and len(data) == 6:
        civil = decode_stamp(data)
        bad = isinstance(civil, BadValue)
        text = "" if isinstance(civil, BadValue) else instant(civil, profile.zone_minutes)
        piece = Piece(size=6, name="time", value=text, reason="bad_time" if bad else "")
        return Meaning(pieces=(piece,), fields={"time": text}, text=text)
    if frame.function not in (READ, READ_FOLLOW_UP, WRITE) or len(data) < DI_BYTES:
        return Meaning()
    di = di_text_1997(data)
    pieces = [identifier(di, DI_BYTES)]
    quantities: Sequence[Quantity] = ()
    password = 0
    items: tuple[Item, ...] = ()
    if frame.control == WRITE:
        password, items = _written(data)
        if password:
            pieces.append(Piece(size=PASSWORD_BYTES, name="password"))
    elif frame.function == READ and frame.from_meter:
        items = _layout_or_nothing(di, len(data) - DI_BYTES)
    if items:
        quantities = decode_items(items, data[DI_BYTES + password :], profile)
        pieces += item_pieces(items, quantities)
    fields: dict[str, object] = {"di": di}
    if same := di_2007_of(di):
        fields["di_2007"] = same
    return Meaning(pieces=tuple(pieces), fields=fields, quantities=tuple(quantities))


def _layout_or_nothing(di: str, size: int) -> tuple[Item, ...]:
    try:
        return layout_of_1997(di, size)
    except BadInput:
        return ()
