"""04H and 0AH F10: which meter is behind which Pn, and how that differs from our register.

An entry has 27 bytes: number (2), Pn (2), baud and port, protocol, address (6), password (6),
rates, digits, collector's address (6), class. Layout as `guyingzhi/learngit` (decode_afn0A_F10) and
the C structure METER_DOCUMENT (code index id 16911244376) have it. Pn 0 means that the number is
not in use (code index id 36485827631). The password is never kept when an entry is read.

    difference = compare_archive(entries, installed)      # missing, foreign, moved
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.frame import is_meter_address
from services.ingest.protocols.failures import BadReply
from services.ingest.protocols.qgdw376.points import MAX_PN

ENTRY_BYTES = 27
PASSWORD_OFFSET, PASSWORD_BYTES = 12, 6
METER_PROTOCOLS = {0: "none", 1: "dlt645_1997", 2: "terminal", 30: "dlt645_2007", 31: "power_line"}
"""Kinds of protocol of an entry (code index ids 16434175793 and 36485827631)."""
BAUD_CODES = (0, 600, 1200, 2400, 4800, 7200, 9600, 19200)
"""By the three high bits of the fifth byte; 0 is the port's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveEntry:
    """One meter as the concentrator knows it. number: place in the archive, from 1. integer_digits
    4..7 and decimals 1..4: of its active energy registers. password is only ever sent."""

    number: int
    pn: int
    address: str
    port: int = 31
    baud: int = 2400
    protocol: int = 30
    rates: int = 4
    integer_digits: int = 6
    decimals: int = 2
    collector: str = "000000000000"
    user_class: int = 0
    meter_class: int = 0
    password: bytes = field(default=bytes(PASSWORD_BYTES), repr=False, compare=False)


def encode_entries(entries: Iterable[ArchiveEntry]) -> bytes:
    """Count and entries; BadInput names the first value that does not fit."""
    found = [_encode_entry(entry) for entry in entries]
    return len(found).to_bytes(2, "little") + b"".join(found)


def _encode_entry(entry: ArchiveEntry) -> bytes:
    ranges = {
        "number": (1, MAX_PN),
        "pn": (0, MAX_PN),
        "port": (1, 31),
        "protocol": (0, 255),
        "rates": (1, 14),
        "integer_digits": (4, 7),
        "decimals": (1, 4),
        "user_class": (0, 15),
        "meter_class": (0, 15),
    }
    for name, (least, most) in ranges.items():
        if not least <= getattr(entry, name) <= most:
            raise BadInput(name, f"{getattr(entry, name)}", f"use {least} to {most}")
    if entry.baud not in BAUD_CODES:
        raise BadInput("baud", f"{entry.baud}", f"use one of {BAUD_CODES}")
    for name in ("address", "collector"):
        text = getattr(entry, name)
        if not is_meter_address(text):
            raise BadInput(name, f"{text!r} is no address", "give 12 digits")
    if len(entry.password) != PASSWORD_BYTES:
        raise BadInput("password", f"{len(entry.password)} bytes", f"give {PASSWORD_BYTES}")
    return b"".join(
        (
            entry.number.to_bytes(2, "little"),
            entry.pn.to_bytes(2, "little"),
            bytes((BAUD_CODES.index(entry.baud) << 5 | entry.port, entry.protocol)),
            bytes.fromhex(entry.address)[::-1],
            entry.password,
            bytes((entry.rates, entry.integer_digits - 4 << 2 | entry.decimals - 1)),
            bytes.fromhex(entry.collector)[::-1],
            bytes((entry.user_class << 4 | entry.meter_class,)),
        )
    )


def decode_entries(raw: bytes) -> tuple[ArchiveEntry, ...]:
    """The entries of an answer or a setting, without passwords; those with Pn 0 included.

    BadReply when the length does not fit the count, or an address has other than decimal digits.
    """
    count = int.from_bytes(raw[:2], "little")
    if len(raw) < 2 or len(raw) != 2 + count * ENTRY_BYTES:
        raise BadReply(f"an archive of {len(raw)} bytes, another length than {count} entries have")
    return tuple(
        _decode_entry(raw[place : place + ENTRY_BYTES]) for place in range(2, len(raw), ENTRY_BYTES)
    )


def _decode_entry(raw: bytes) -> ArchiveEntry:
    number, pn = int.from_bytes(raw[:2], "little"), int.from_bytes(raw[2:4], "little")
    address, collector = raw[11:5:-1].hex(), raw[25:19:-1].hex()
    if pn and not address.isdecimal():
        raise BadReply(f"archive entry {number} has the address {address}")
    return ArchiveEntry(
        number=number,
        pn=pn,
        address=address,
        port=raw[4] & 0x1F,
        baud=BAUD_CODES[raw[4] >> 5],
        protocol=raw[5],
        rates=raw[18] & 0x3F,
        integer_digits=(raw[19] >> 2 & 3) + 4,
        decimals=(raw[19] & 3) + 1,
        collector=collector,
        user_class=raw[26] >> 4,
        meter_class=raw[26] & 0x0F,
    )


def encode_numbers(numbers: Iterable[int]) -> bytes:
    """Which entries a query asks: count and numbers."""
    wanted = list(numbers)
    if not wanted or not all(1 <= number <= MAX_PN for number in wanted):
        raise BadInput("numbers", f"{wanted}", f"use 1 to {MAX_PN}")
    return b"".join(each.to_bytes(2, "little") for each in (len(wanted), *wanted))


@dataclass(frozen=True, slots=True)
class Moved:
    """A meter that the concentrator has at another Pn than our register."""

    address: str
    pn: int
    registered_pn: int


@dataclass(frozen=True, slots=True)
class ArchiveDifference:
    """missing: addresses with their Pn that the concentrator does not know. foreign: entries that
    nobody registered. moved: at another Pn. twice: Pn, or addresses, that several entries claim:
    whose values these are cannot be told."""

    missing: tuple[tuple[str, int], ...] = ()
    foreign: tuple[ArchiveEntry, ...] = ()
    moved: tuple[Moved, ...] = ()
    twice: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether archive and register agree."""
        return not (self.missing or self.foreign or self.moved or self.twice)


def compare_archive(
    entries: Iterable[ArchiveEntry], installed: Mapping[str, int]
) -> ArchiveDifference:
    """How the archive read from a concentrator differs from our installations.

    installed: registered Pn by meter address (12 digits). Entries with Pn 0 count as absent.
    """
    known = [entry for entry in entries if entry.pn]
    by_address: dict[str, list[ArchiveEntry]] = {}
    by_pn: dict[int, set[str]] = {}
    for entry in known:
        by_address.setdefault(entry.address, []).append(entry)
        by_pn.setdefault(entry.pn, set()).add(entry.address)
    places = {address: {entry.pn for entry in found} for address, found in by_address.items()}
    doubled_pns = {pn for pn, addresses in by_pn.items() if len(addresses) > 1}
    doubled = {address: pns for address, pns in sorted(places.items()) if len(pns) > 1}
    return ArchiveDifference(
        missing=tuple(sorted((each, pn) for each, pn in installed.items() if each not in places)),
        foreign=tuple(entry for entry in known if entry.address not in installed),
        moved=tuple(
            Moved(address, min(pns), installed[address])
            for address, pns in sorted(places.items())
            if address in installed and installed[address] not in pns
        ),
        twice=(*(f"p{pn}" for pn in sorted(doubled_pns)), *doubled),
    )
