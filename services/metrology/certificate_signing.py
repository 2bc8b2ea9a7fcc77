"""Signs certificates with an Ed25519 key and checks them offline with the public key alone.

    openssl genpkey -algorithm ed25519 -out lab.pem
    openssl pkey -in lab.pem -pubout -out lab.pub.pem

    signed = sign(certificate, read_private_key(Path("lab.pem")))
    check_signature(signed, read_public_key(Path("lab.pub.pem")))     # or BadSignature

The one module of metrology that touches a key. Ed25519 (RFC 8032) is deterministic: the same
certificate and key give the same bytes.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
    load_pem_public_key,
)

from libs.events.errors import BadInput, GridLedgerError
from services.metrology.certificate import (
    ALGORITHM,
    Certificate,
    Signature,
    SignedCertificate,
    signed_bytes,
)


class BadSignature(GridLedgerError):
    """The certificate is not what the holder of the key signed."""


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """The signing key in a PEM file (PKCS #8, not encrypted)."""
    try:
        key = load_pem_private_key(_read(path), password=None)
    except TypeError:
        fix = "openssl pkey -in KEY -out PLAIN, in a place that only you may read"
        raise BadInput(str(path), "is an encrypted key", fix) from None
    except (ValueError, UnsupportedAlgorithm):
        raise BadInput(str(path), "is no private key", "give an Ed25519 key in PEM") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadInput(str(path), "is a key of another kind", "give an Ed25519 key in PEM")
    return key


def read_public_key(path: Path) -> Ed25519PublicKey:
    """The public key in a PEM file."""
    try:
        key = load_pem_public_key(_read(path))
    except (ValueError, UnsupportedAlgorithm):
        raise BadInput(str(path), "is no public key", "give an Ed25519 public key") from None
    if not isinstance(key, Ed25519PublicKey):
        raise BadInput(str(path), "is a key of another kind", "give an Ed25519 public key")
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        problem = error.strerror or "cannot be read"
        raise BadInput(str(path), problem, "name a file that you may read") from None


def key_id(key: Ed25519PublicKey) -> str:
    """The id of a key: 32 hex digits of the SHA-256 of its 32 raw bytes."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:32]


def sign(certificate: Certificate, key: Ed25519PrivateKey) -> SignedCertificate:
    """The certificate with its signature."""
    return SignedCertificate(
        certificate=certificate,
        signature=Signature(
            algorithm=ALGORITHM,
            key_id=key_id(key.public_key()),
            value=key.sign(signed_bytes(certificate)).hex(),
        ),
    )


def check_signature(signed: SignedCertificate, key: Ed25519PublicKey) -> None:
    """Nothing when the holder of the key signed exactly this; BadSignature otherwise."""
    signature = signed.signature
    if signature.algorithm != ALGORITHM:
        raise BadSignature(f"signed with {signature.algorithm!r}, not with {ALGORITHM}")
    if signature.key_id != key_id(key):
        raise BadSignature(f"signed with the key {signature.key_id}, not with {key_id(key)}")
    try:
        value = bytes.fromhex(signature.value)
        key.verify(value, signed_bytes(signed.certificate))
    except (ValueError, InvalidSignature):
        raise BadSignature("the signature does not match: the certificate was changed") from None
    if value.hex() != signature.value:  # capitals or spaces would be the same number
        raise BadSignature("the signature is not in its canonical form")
