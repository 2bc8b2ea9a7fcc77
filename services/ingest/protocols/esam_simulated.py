"""The simulated crypto machine: AES-CMAC and AES-CBC, keys of a meter derived from one root.

It stands where the utility's machine stands in production, so that a simulated meter
(`simulators/meters/esam.py`) can be switched through the real session. The algorithms are standard
ones (AES-CMAC: RFC 4493; AES-CBC: NIST SP 800-38A), the way they are put together is ours, and says
nothing of what a real ESAM does (UNCONFIRMED, domain.md 6):

    meter key   = CMAC(root, "meter" | dispersion factor)
    proof       = CMAC(meter key, "proof" | random 1), cut to the profile's length
    session key = CMAC(meter key, "cipher" or "mac" | random 1 | random 2)
    ciphertext  = CBC(cipher key, zeros, command | counter | 80 00 ..)
    MAC         = CMAC(mac key, address | header | ciphertext), cut to the profile's length

A session key is used for one command, so the fixed start of CBC repeats nothing.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.cmac import CMAC

from libs.events.documents import read_text
from libs.events.errors import BadInput
from services.ingest.protocols.esam import Challenge, EsamProfile, Sealed, Session
from services.ingest.protocols.failures import NotSealed

KEY_BYTES = BLOCK_BYTES = 16
_PADDING = b"\x80"


def cmac(key: bytes, *parts: bytes) -> bytes:
    """AES-CMAC (RFC 4493) over the parts, joined."""
    code = CMAC(AES(key))
    code.update(b"".join(parts))
    return code.finalize()


def dispersion_of(address: str, profile: EsamProfile) -> bytes:
    """The factor that makes a meter's keys its own: its address, zeros before it."""
    return bytes.fromhex(address).rjust(profile.dispersion_bytes, b"\0")


def proof_of(root: bytes, challenge: Challenge, profile: EsamProfile) -> bytes:
    """What only a holder of the root can answer to a random number."""
    key = cmac(root, b"meter", challenge.dispersion)
    return cmac(key, b"proof", challenge.random_1)[: profile.proof_bytes]


def session_keys(root: bytes, session: Session) -> tuple[bytes, bytes]:
    """The keys of one session: to encrypt with, and of the MAC."""
    key = cmac(root, b"meter", session.challenge.dispersion)
    randoms = session.challenge.random_1 + session.random_2
    return cmac(key, b"cipher", randoms), cmac(key, b"mac", randoms)


def seal(
    root: bytes, session: Session, header: bytes, plain: bytes, profile: EsamProfile
) -> Sealed:
    """A command for one session."""
    if len(plain) >= profile.cipher_bytes or profile.cipher_bytes % BLOCK_BYTES:
        raise NotSealed("the command does not fit the profile's ciphertext")
    cipher_key, mac_key = session_keys(root, session)
    encryptor = Cipher(AES(cipher_key), CBC(bytes(BLOCK_BYTES))).encryptor()
    padded = (plain + _PADDING).ljust(profile.cipher_bytes, b"\0")
    ciphertext = encryptor.update(padded) + encryptor.finalize()
    mac = cmac(mac_key, bytes.fromhex(session.address), header, ciphertext)
    return Sealed(ciphertext=ciphertext, mac=mac[: profile.mac_bytes])


def unseal(root: bytes, session: Session, header: bytes, sealed: Sealed) -> bytes | None:
    """The meter's side: command and counter, None when the MAC is wrong."""
    cipher_key, mac_key = session_keys(root, session)
    mac = cmac(mac_key, bytes.fromhex(session.address), header, sealed.ciphertext)
    if not hmac.compare_digest(mac[: len(sealed.mac)], sealed.mac):
        return None
    decryptor = Cipher(AES(cipher_key), CBC(bytes(BLOCK_BYTES))).decryptor()
    padded = decryptor.update(sealed.ciphertext) + decryptor.finalize()
    return padded.rstrip(b"\0").removesuffix(_PADDING)


class SimulatedMachine:
    """A crypto machine for simulated meters; its root key is in nobody's text."""

    def __init__(self, root: bytes, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        if len(root) != KEY_BYTES:
            raise BadInput("root key", f"{len(root)} bytes", f"give {2 * KEY_BYTES} hex digits")
        self._root = root
        self._random = random

    def challenge(self, address: str, profile: EsamProfile) -> Challenge:
        """A fresh challenge."""
        dispersion = dispersion_of(address, profile)
        random_1 = self._random(profile.random_1_bytes)
        asked = Challenge(random_1=random_1, proof=b"", dispersion=dispersion)
        proof = proof_of(self._root, asked, profile)
        return Challenge(random_1=random_1, proof=proof, dispersion=dispersion)

    def seal(self, session: Session, header: bytes, plain: bytes, profile: EsamProfile) -> Sealed:
        """The command for the session."""
        return seal(self._root, session, header, plain, profile)


def make_machine(options: dict[str, object]) -> SimulatedMachine:
    """The machine of the security file: {"root_key_file": PATH}, a file of 32 hex digits."""
    text = read_text(Path(str(options.get("root_key_file", "")))).strip()
    try:
        return SimulatedMachine(bytes.fromhex(text))
    except ValueError:
        raise BadInput("root_key_file", "has no hex digits", "write 32 hex digits") from None
