"""What was taken already, packed: how a copy is told from something new (DESIGN 4).

An id (of a payment, an invoice, a transfer, ...) is one entry of 29 bytes:

    digest of kind and id (10) | amount in fen (8) | holder (6) | currency (3) | day (2)

so that a copy is recognised by its exact key, and a copy with other content by its content. Entries
are kept for RETENTION_DAYS after their day, which is longer than the horizon up to which evidence
may still be captured (policy.py): whatever is young enough to be captured is still known here.

Two ids with one digest of 80 bits would be a false copy; among a million ids that is one chance in
10**18 for each new one, and as their contents differ it would show as a conflict, never as silence.

Example:
    packed = keep(b"", "payment", "wechat:42", Seen(amount_fen=500), day=20454, today=20454)
    find(packed, "payment", "wechat:42")    Seen(amount_fen=500, holder=NOBODY, currency="")
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

RETENTION_DAYS = 431
"""The default horizon of 400 days and a month for channels that state a day late or early."""

HOLDER_BYTES = 6
NOBODY = bytes(HOLDER_BYTES)
_DIGEST_BYTES = 10
_ENTRY = struct.Struct(f">{_DIGEST_BYTES}sq{HOLDER_BYTES}s3sH")
_DAY_MAX = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The content kept of an id. holder: whose it is, in 6 bytes, or a digest of the order."""

    amount_fen: int = 0
    holder: bytes = NOBODY
    currency: str = ""


def find(packed: bytes, kind: str, name: str) -> Seen | None:
    """The content kept of an id, None when it is new (or was forgotten)."""
    at = _place(packed, _digest(kind, name))
    if at < 0:
        return None
    _, amount_fen, holder, currency, _ = _ENTRY.unpack_from(packed, at)
    return Seen(
        amount_fen=amount_fen,
        holder=holder,
        currency=currency.rstrip(b"\0").decode(),
    )


def day_kept(packed: bytes, kind: str, name: str) -> int:
    """The day from which an id that is known counts, in days since 1970."""
    at = _place(packed, _digest(kind, name))
    assert at >= 0, f"{kind} {name} is not known"
    day: int = _ENTRY.unpack_from(packed, at)[4]
    return day


def keep(packed: bytes, kind: str, name: str, seen: Seen, *, day: int, today: int) -> bytes:
    """The entries with this id added or replaced, and without those whose time is over.

    `day` and `today` are days since 1970; an entry counts from the later of the two. Day 0 is
    "before business time began" and never over.
    """
    digest = _digest(kind, name)
    entry = _ENTRY.pack(
        digest,
        seen.amount_fen,
        seen.holder,
        seen.currency.encode(),
        min(max(day, today), _DAY_MAX),
    )
    others = (packed[at : at + _ENTRY.size] for at in range(0, len(packed), _ENTRY.size))
    return (
        b"".join(
            other for other in others if not other.startswith(digest) and not _is_over(other, today)
        )
        + entry
    )


def digest_of(text: str) -> bytes:
    """A text as a holder: the same bytes for equal texts."""
    return hashlib.blake2b(text.encode(), digest_size=HOLDER_BYTES).digest()


def account_holder(account_no: str) -> bytes:
    """An account as a holder; never NOBODY."""
    return (int(account_no) + 1).to_bytes(HOLDER_BYTES, "big")


def account_held(holder: bytes) -> str:
    """The account number that `account_holder` wrote."""
    return f"{int.from_bytes(holder, 'big') - 1:010d}"


def _is_over(entry: bytes, today: int) -> bool:
    day = int.from_bytes(entry[-2:], "big")
    return 0 < day < today - RETENTION_DAYS


def _digest(kind: str, name: str) -> bytes:
    return hashlib.blake2b(f"{kind}\n{name}".encode(), digest_size=_DIGEST_BYTES).digest()


def _place(packed: bytes, digest: bytes) -> int:
    """Where the entry of a digest begins, -1 for nowhere; other bytes may look like a digest."""
    at = packed.find(digest)
    while at % _ENTRY.size and at >= 0:
        at = packed.find(digest, at + 1)
    return at
