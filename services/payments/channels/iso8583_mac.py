"""The MAC of a terminal's message, field 64: the "ECB" rule of Chinese card terminals.

All bytes from the message type up to the last field before the MAC, in blocks of 8 (the last
filled with zeros), are added by XOR; the sum is written as 16 hex digits; the first 8 of them are
encrypted with DES, the other 8 added, the result encrypted again; the first 8 of its 16 hex digits
are the MAC. The key has 8 bytes (DES) or 16 (3DES). Old, but it is what terminals speak; it proves
who sent a message, and no card data depends on it.

Source: descriptions of the rule by implementers; the standard itself (Q/CUP 009) is not public, so
a profile that needs another one needs code (UNCONFIRMED).

Example: `mac(key, message[:-8]) == message[-8:]`.
"""

from __future__ import annotations

import hmac

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

BLOCK_BYTES = 8
KEY_BYTES = (8, 16)


def mac(key: bytes, covered: bytes) -> bytes:
    """The MAC, 8 ASCII hex digits, of the bytes that it covers."""
    assert len(key) in KEY_BYTES, "a MAC key has 8 or 16 bytes"
    filled = covered + bytes(-len(covered) % BLOCK_BYTES)
    total = 0
    for start in range(0, len(filled), BLOCK_BYTES):
        total ^= int.from_bytes(filled[start : start + BLOCK_BYTES], "big")
    digits = f"{total:016X}".encode()
    first = _encrypted(key, digits[:BLOCK_BYTES])
    mixed = bytes(a ^ b for a, b in zip(first, digits[BLOCK_BYTES:], strict=True))
    return _encrypted(key, mixed).hex().upper()[:BLOCK_BYTES].encode()


def is_mac(key: bytes, covered: bytes, claimed: bytes) -> bool:
    """Whether a MAC is right, in constant time."""
    return hmac.compare_digest(mac(key, covered), claimed)


def _encrypted(key: bytes, block: bytes) -> bytes:
    whole = key * 3 if len(key) == BLOCK_BYTES else key + key[:BLOCK_BYTES]
    # Of one block, CBC under zeros is the plain encryption that the rule asks for.
    encryptor = Cipher(TripleDES(whole), modes.CBC(bytes(BLOCK_BYTES))).encryptor()
    return encryptor.update(block) + encryptor.finalize()
