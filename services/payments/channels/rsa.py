"""RSA PKCS#1 v1.5 with SHA-256, the one signature of WeChat Pay v3 and Alipay RSA2.

The digest is ours to choose, never the signature's: a SHA-1 signature labelled RSA2 fails here
(payments.md 4 names an SDK that takes it).

Example: `signed_by(key, b"message", signature_b64)` is True only for a valid signature.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from libs.events.errors import BadInput
from services.payments.channels.strict import decode_base64

_PADDING = PKCS1v15()
_SHA256 = SHA256()
_BITS_MIN = 2048


def signed_by(key: RSAPublicKey, message: bytes, signature_b64: str) -> bool:
    """Whether the base64 signature of the message was made with the key's private half.

    The key is used even when the base64 is wrong, so a broken signature costs what a forged one
    costs.
    """
    signature = decode_base64(signature_b64) or b""  # which no key verifies
    try:
        key.verify(signature, message, _PADDING, _SHA256)
    except InvalidSignature:
        return False
    return True


def load_public_key(pem: str, field: str, serial: str = "") -> RSAPublicKey:
    """The RSA key in a PEM public key or certificate; BadInput names the field.

    Where a `serial` is given and the PEM is a certificate, its serial number (hex) must be equal.
    """
    try:
        if "BEGIN CERTIFICATE" in pem:
            certificate = x509.load_pem_x509_certificate(pem.encode())
            key: object = certificate.public_key()
            found = f"{certificate.serial_number:X}"
            if serial and found.zfill(len(serial)) != serial.upper():
                raise BadInput(field, f"the certificate's serial is {found}", f"not {serial}")
        else:
            key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise BadInput(field, "is no PEM public key or certificate") from None
    if not isinstance(key, RSAPublicKey) or key.key_size < _BITS_MIN:
        raise BadInput(field, "is no RSA key of 2048 bits or more")
    return key
