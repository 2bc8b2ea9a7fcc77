"""What a simulated meter answers, frame for frame: DL/T 645-2007 from the meter's side.

`answer(meter, frame, at_s)` gives the reply frame or None. Faults of the data (no value, non-BCD, a
missing freeze) are made here; faults of the line are made by `lines`.

Refusals (UNCONFIRMED in their exact bit): a wrong password is "not authorised" (04H, as vector
f42); an expired or impossible relay command is "other" (01H); an unknown DI "no such data" (02H).
"""

from __future__ import annotations

from datetime import UTC, datetime
from math import isqrt

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.frame import BROADCAST, RELAY, Frame
from services.ingest.protocols.dlt645.identifiers import (
    BLOCKS,
    FREEZE_PARTS,
    FREEZE_STAMP_PART,
    Item,
    find_item,
    item_size,
)
from services.ingest.protocols.dlt645.load_records import (
    AT_TIME,
    EARLIEST,
    NEWEST,
    encode_load_record,
)
from services.ingest.protocols.dlt645.payloads import encode_quantity
from services.ingest.protocols.dlt645.profile import Dlt645Profile
from services.ingest.protocols.dlt645.replies import (
    ack_reply,
    address_reply,
    data_reply,
    refusal_reply,
)
from services.ingest.protocols.dlt645.requests import (
    AddressAsked,
    Credentials,
    FreezeAsked,
    ReadAsked,
    RelayAsked,
    TimeAsked,
    load_record_count,
    parse_request,
)
from services.ingest.protocols.dlt645.values import (
    BadValue,
    decode_stamp,
    encode_bcd,
    encode_clock,
    encode_date,
    encode_stamp,
    from_epoch_s,
)
from services.ingest.protocols.failures import BadReply
from simulators.load_shapes import SLOT_S
from simulators.meters.energy import TOTAL
from simulators.meters.esam import Esam
from simulators.meters.meter import EXPORT, IMPORT, RECORDS_KEPT_S, Meter

_KINDS = {"0001": 1, "0002": 2, "0005": 5, "0006": 6, "0007": 7, "0008": 8}
_COMBINED = {"0000": (1, 2), "0003": (5, 6), "0004": (7, 8)}
"""Combined registers as this meter's characteristic words set them: sums."""
_DEMANDS = {"0101": IMPORT, "0102": EXPORT}
_POWERS = ("0202", "0203", "0204", "0205", "0206")
_NON_BCD = 0x0E
NOMINAL_FREQUENCY_CHZ = 5000
_STANDARD = Dlt645Profile()
_OWN = Dlt645Profile(load_record_separators="own")


class Conversation:
    """The pieces of a long answer that wait to be fetched with 12H; one per meter."""

    def __init__(self) -> None:
        self.di = ""
        self.pieces: list[bytes] = []

    def begin(self, di: str, payload: bytes, size: int) -> bytes:
        """The first piece; the others are kept."""
        self.di = di
        self.pieces = [payload[n : n + size] for n in range(0, len(payload), size)] or [b""]
        return self.pieces[0]


def answer(meter: Meter, conversation: Conversation, frame: Frame, at_s: int) -> Frame | None:
    """The reply of one meter to one request, or None where the standard wants silence."""
    address = meter.config.address
    if meter.esam is not None and meter.esam.is_for(frame) and frame.address == address:
        return _answer_sealed(meter, meter.esam, frame, at_s)
    try:
        asked = parse_request(frame)
    except BadReply:
        return refusal_reply(frame, address, "other") if frame.address != BROADCAST else None
    if isinstance(asked, TimeAsked):
        meter.set_clock(asked.civil, at_s)
        return None
    if isinstance(asked, FreezeAsked):
        meter.freeze_now(at_s)
        return ack_reply(frame, address) if frame.address != BROADCAST else None
    if isinstance(asked, AddressAsked):
        return address_reply(address)
    if isinstance(asked, RelayAsked):
        return _obey(meter, frame, asked, at_s)
    if isinstance(asked, ReadAsked):
        try:
            return _read(meter, conversation, frame, asked, at_s)
        except BadInput:  # a value its digits cannot show
            return refusal_reply(frame, address, "other")
    if frame.address == BROADCAST:
        return None
    return refusal_reply(frame, address, "not_authorised")  # settings are for the meter room


def _answer_sealed(meter: Meter, esam: Esam, frame: Frame, at_s: int) -> Frame:
    """A session or a relay command of a meter that obeys its security module only."""
    if frame.control != RELAY:
        return esam.authenticate(frame, at_s)
    asked = esam.open(frame, at_s)
    if asked is None:
        return refusal_reply(frame, meter.config.address, "not_authorised")
    if asked.valid_until < meter.civil(at_s) or not meter.obey(asked.command, at_s):
        return refusal_reply(frame, meter.config.address, "other")
    return ack_reply(frame, meter.config.address)


def _obey(meter: Meter, frame: Frame, asked: RelayAsked, at_s: int) -> Frame:
    address = meter.config.address
    if not _authorised(meter, asked.credentials):
        return refusal_reply(frame, address, "not_authorised")
    if asked.valid_until < meter.civil(at_s) or not meter.obey(asked.command, at_s):
        return refusal_reply(frame, address, "other")
    return ack_reply(frame, address)


def _authorised(meter: Meter, credentials: Credentials) -> bool:
    return meter.config.passwords.get(credentials.level) == credentials.password


def _read(
    meter: Meter, conversation: Conversation, frame: Frame, asked: ReadAsked, at_s: int
) -> Frame:
    address = meter.config.address
    room = meter.config.frame_data_bytes - 5  # DI and SEQ
    if asked.seq:
        pieces = conversation.pieces if conversation.di == asked.di else []
        if asked.seq >= len(pieces):
            return refusal_reply(frame, address, "no_such_data")
        more = asked.seq < len(pieces) - 1
        return data_reply(address, asked.di, pieces[asked.seq], seq=asked.seq, more=more)
    payload = payload_of(meter, asked.di, asked.extra, at_s)
    if payload is None:
        return refusal_reply(frame, address, "no_such_data")
    if not asked.di.startswith("06"):
        payload = _spoil(meter, payload)
    first = conversation.begin(asked.di, payload, room)
    return data_reply(address, asked.di, first, more=len(conversation.pieces) > 1)


def _spoil(meter: Meter, payload: bytes) -> bytes:
    if meter.faults.take("no_value"):
        return b"\xff" * len(payload)
    if meter.faults.take("non_bcd"):
        place = min(2, len(payload) - 1)  # vector f63: 00 00 0E 00
        return payload[:place] + bytes((_NON_BCD,)) + payload[place + 1 :]
    return payload


def payload_of(meter: Meter, di: str, extra: bytes, at_s: int) -> bytes | None:
    """The bytes behind a DI at a time; None when the meter has no such data."""
    if di[:2] == "05":
        return _freeze(meter, di, at_s)
    if di[:2] == "06":
        return _load_profile(meter, di, extra, at_s)
    if di in BLOCKS:
        return b"".join(_part(meter, single, at_s) for single in BLOCKS[di])
    if di[4:6] == "FF":
        return _block(meter, di, at_s)
    if di[:2] in ("00", "01"):
        if di[6:] != "00":
            settled = meter.settlement_s(int(di[6:], 16), at_s)
            return None if settled is None else _register(meter, di, settled)
        return _register(meter, di, at_s)
    if di[:2] == "02":
        return _instant(meter, di, at_s)
    return _parameter(meter, di, at_s)


def _part(meter: Meter, di: str, at_s: int) -> bytes:
    """One item of a block; FFH where this meter has none (a phase it lacks)."""
    found = payload_of(meter, di, b"", at_s)
    if found is not None:
        return found
    item = find_item(di)
    assert item is not None, f"{di} is in a block but not in the table"
    return b"\xff" * item_size(item)


def _block(meter: Meter, di: str, at_s: int) -> bytes | None:
    """Total and all rates of one register; `di` has FF for the rate."""
    parts = [
        payload_of(meter, f"{di[:4]}{rate:02X}{di[6:]}", b"", at_s)
        for rate in range(meter.config.rates + 1)
    ]
    return None if None in parts else b"".join(part for part in parts if part is not None)


def _register(meter: Meter, di: str, at_s: int) -> bytes | None:
    """One energy or demand register at an instant."""
    item = find_item(di)
    family, rate = di[:4], int(di[4:6], 16)
    if item is None or rate > meter.config.rates:
        return None
    if family in _DEMANDS:
        demand, when_s = meter.peak(_DEMANDS[family], rate, at_s)
        shown_at = from_epoch_s(when_s + meter.drift_s(when_s)) if demand else ""
        return encode_quantity(item, demand, shown_at, meter.zone_s // 60)
    if family in _KINDS:
        return encode_quantity(item, meter.shown_wh(_KINDS[family], rate, at_s))
    if family in _COMBINED:
        total = sum(meter.energy_wh(kind, rate, at_s) for kind in _COMBINED[family])
        return encode_quantity(item, total % meter.capacity_wh)
    return None


def _instant(meter: Meter, di: str, at_s: int) -> bytes | None:
    """Instantaneous values; phases share the power evenly."""
    item = find_item(di)
    family, phase = di[:4], int(di[4:6], 16)
    phases = meter.config.phases
    if item is None or (family != "0280" and phase > phases):
        return None
    if family == "0201":
        return encode_quantity(item, meter.voltage_dv(phase, at_s))
    if di == "02800002":
        return encode_quantity(item, NOMINAL_FREQUENCY_CHZ)
    if family not in _POWERS:
        return None
    active, reactive = meter.power_dw(at_s), meter.reactive_dvar(at_s)
    if phase:
        active, reactive = active // phases, reactive // phases
    apparent = isqrt(active * active + reactive * reactive)
    if family == "0202":
        return encode_quantity(item, apparent * 1000 // meter.voltage_dv(phase, at_s))
    values = {"0203": active, "0204": reactive, "0205": apparent}
    if family in values:
        return encode_quantity(item, values[family])
    return encode_quantity(item, active * 1000 // apparent if apparent else 1000)


def _parameter(meter: Meter, di: str, at_s: int) -> bytes | None:
    civil = meter.civil(at_s)
    if di == "04000101":
        return encode_date(civil.date())
    if di == "04000102":
        return encode_clock(civil)
    if di == "04000503":
        return meter.status_3().to_bytes(2, "little")
    if di in BLOCKS["040005FF"]:
        return bytes(2)
    if di == "04010000":
        return _entry(1, 1, 1)
    if di == "04010001":
        return b"".join(_entry(*divmod(minute, 60), rate) for minute, rate in meter.slot_table())
    if di == "04000801":
        return bytes([0x7F])  # every weekday works
    numbers = {
        "04000103": 15,
        "04000201": 1,
        "04000202": 1,
        "04000203": len(meter.slot_table()),
        "04000205": 0,
        "04000802": 1,
        "04000204": meter.config.rates,
        "03300000": 0,
        "03300400": meter.times_set,
    }
    item = find_item(di)
    if di in numbers and item is not None:
        return encode_quantity(item, numbers[di])
    if di in ("04000401", "04000402"):
        return bytes.fromhex(meter.config.address)[::-1]
    if di == "04000B01":
        return encode_bcd(100, 2)  # DDhh: the 1st at 00:00
    if di in ("1D000101", "1E000101"):
        return _last_switching(meter, meter.last_trip_s if di[1] == "D" else meter.last_close_s)
    if di == "03300D01":
        return _cover_record(meter, at_s)
    return None


def _entry(*parts: int) -> bytes:
    """Three BCD numbers of a table, low byte first: MMDDNN of a zone, hhmmNN of a slot."""
    return bytes.fromhex("".join(f"{part:02d}" for part in parts))[::-1]


def _last_switching(meter: Meter, when_s: int) -> bytes:
    """YYMMDDhhmmss and the operator's code; zeros for never."""
    return encode_stamp(meter.civil(when_s), 6) + bytes(4) if when_s else bytes(10)


def _cover_record(meter: Meter, at_s: int) -> bytes:
    """60 bytes: begin, end, six registers before and after. The cover was opened at base time."""
    stamp = encode_stamp(meter.civil(meter.base_s), 6)
    families = ("0001", "0002", "0005", "0006", "0007", "0008")
    registers = b"".join(_register(meter, f"{name}0000", meter.base_s) or b"" for name in families)
    return stamp + stamp + registers + registers


def _freeze(meter: Meter, di: str, at_s: int) -> bytes | None:
    trigger, part, nth = di[2:4], di[4:6], int(di[6:], 16)
    if trigger == "06":
        stamp = meter.freeze_stamp(nth, at_s) if nth else None
        if stamp is None or _is_missing(meter, stamp):
            return None
        frozen_s = meter.true_s(stamp)
    elif trigger == "01" and nth == 1 and meter.instant_freeze_s:
        frozen_s = meter.instant_freeze_s
        stamp = meter.civil(frozen_s)
    else:
        return None
    if part == FREEZE_STAMP_PART:
        return encode_stamp(stamp, 5)
    if part not in FREEZE_PARTS:
        return None
    return _block(meter, FREEZE_PARTS[part], frozen_s)


def _is_missing(meter: Meter, stamp: datetime) -> bool:
    """Whether the fault takes this freeze away: of one day (the day that ended), or any."""
    fault = meter.faults.peek("missing_freeze")
    if fault is None:
        return False
    day_on = fault.options.get("day_on")
    ended = datetime.fromtimestamp(stamp.replace(tzinfo=UTC).timestamp() - 1, UTC)
    if day_on and ended.date().isoformat() != day_on:
        return False
    return meter.faults.take("missing_freeze") is not None


def _load_profile(meter: Meter, di: str, extra: bytes, at_s: int) -> bytes | None:
    wanted, what = int(di[2:4], 16), di[4:]
    if wanted > 6 or what not in (EARLIEST, AT_TIME, NEWEST):
        return None
    shown_s = at_s + meter.drift_s(at_s)
    newest = shown_s // SLOT_S * SLOT_S
    oldest = max(-(-meter.base_s // SLOT_S) * SLOT_S, newest - RECORDS_KEPT_S)
    count = load_record_count(extra)
    first = newest if what == NEWEST else oldest
    if what == AT_TIME:
        civil = decode_stamp(extra[1:])
        if isinstance(civil, BadValue):
            return None
        first = int(civil.replace(tzinfo=UTC).timestamp()) - meter.zone_s
        first = -(-first // SLOT_S) * SLOT_S
    stamps = [first + n * SLOT_S for n in range(count) if oldest <= first + n * SLOT_S <= newest]
    if not stamps:
        return None
    return b"".join(_record(meter, wanted, stamp) for stamp in stamps)


def _record(meter: Meter, wanted: int, shown_s: int) -> bytes:
    """The record whose stamp, by the meter's clock, is `shown_s`."""
    civil = datetime.fromtimestamp(shown_s + meter.zone_s, UTC).replace(tzinfo=None)
    at_s = meter.true_s(civil)
    classes = {}
    for number in (wanted,) if wanted else range(1, 7):
        classes[number] = _record_class(meter, number, at_s)
    profile = _OWN if meter.config.record_separators == "own" else _STANDARD
    return encode_load_record(civil, classes, wanted, profile)


def _record_class(meter: Meter, number: int, at_s: int) -> bytes:
    names = {
        1: ("0201FF00", "0202FF00", "02800002"),
        2: ("0203FF00", "0204FF00"),
        3: ("0206FF00",),
        4: ("00010000", "00020000", "00030000", "00040000"),
        5: ("00050000", "00060000", "00070000", "00080000"),
    }
    if number == 6:
        power = Item("", "", "", "power", "W")
        active, reactive = meter.power_dw(at_s), meter.reactive_dvar(at_s)
        return encode_quantity(power, active) + encode_quantity(power, reactive)
    return b"".join(payload_of(meter, di, b"", at_s) or b"" for di in names[number])


assert TOTAL == 0, "rate 0 is the total both in a DI and in a register"
