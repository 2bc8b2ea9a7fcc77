"""The keys of the simulated gateways: made once in a directory, public halves for the edge.

`keys.json` is what the payments edge loads (public keys, references to shared secrets, no private
key); the private halves lie beside it for the simulator alone.

Example: `generate_keys(Path("run/keys"))` writes keys.json, private/*.pem and the secrets.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from libs.events.errors import BadInput

MCHID = "1900000001"
APPID = "wx0000000000000001"
PUBLIC_KEY_ID = "PUB_KEY_ID_0119000000012026010100000000000001"
SELLER_ID = "2088000000000099"
APP_ID = "2021000000000001"
ACQUIRER = "acquirer-1"
POS_MERCHANT = "887580481655550"
POS_TERMINAL = "58D01115"
FRONT = "front-1"
FRONT_MERCHANT = "88758D048165555"
MAC_KEY_FILE = f"{POS_TERMINAL}.mak"

MERCHANT_SERIAL = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"
_PRIVATE_NAMES = ("wechat_key", "wechat_certificate", "alipay", "stranger", "merchant")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySet:
    """Everything the gateways sign and encrypt with. `stranger` is a key nobody trusts; `merchant`
    is ours, whose public half they know."""

    wechat_key: rsa.RSAPrivateKey = field(repr=False)
    wechat_certificate: rsa.RSAPrivateKey = field(repr=False)
    certificate_serial: str
    alipay: rsa.RSAPrivateKey = field(repr=False)
    stranger: rsa.RSAPrivateKey = field(repr=False)
    merchant: rsa.RSAPrivateKey = field(repr=False)
    api_v3_key: bytes = field(repr=False)
    pos_secret: bytes = field(repr=False)
    pos_mac_key: bytes = field(repr=False)


def generate_keys(directory: Path, api_url: str = "") -> Path:
    """Make a key set in the directory, unless it has one; the path of its keys.json.

    With the address of the gateways' interface the profiles have access to it.
    """
    document_path = directory / "keys.json"
    if document_path.exists():
        return document_path
    private = directory / "private"
    private.mkdir(parents=True, exist_ok=True)
    made = {name: rsa.generate_private_key(65537, 2048) for name in _PRIVATE_NAMES}
    for name, key in made.items():
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write_secret(private / f"{name}.pem", pem)
    certificate = _certificate(made["wechat_certificate"])
    serial = f"{certificate.serial_number:X}"
    _write_secret(directory / "evidence.key", base64.b64encode(secrets.token_bytes(32)))
    _write_secret(directory / "payer.key", base64.b64encode(secrets.token_bytes(32)))
    _write_secret(directory / "wechat.apiv3", secrets.token_hex(16).encode())
    pos_secret = b"whsec_" + base64.b64encode(secrets.token_bytes(32))
    _write_secret(directory / "pos.secret", pos_secret)
    _write_secret(directory / MAC_KEY_FILE, secrets.token_hex(16).encode())
    platform_keys = {
        PUBLIC_KEY_ID: _public_pem(made["wechat_key"]),
        serial: certificate.public_bytes(Encoding.PEM).decode(),
    }
    document = _edge_document(platform_keys, _public_pem(made["alipay"]))
    if api_url:
        access = {
            "base_url": api_url,
            "serial": MERCHANT_SERIAL,
            "key_ref": "file:private/merchant.pem",
        }
        document["wechat"][MCHID]["access"] = document["alipay"][SELLER_ID]["access"] = access
    temporary = directory / "keys.json.new"
    temporary.write_text(json.dumps(document, indent=1) + "\n")
    temporary.rename(document_path)
    return document_path


def _edge_document(platform_keys: dict[str, str], alipay_pem: str) -> dict[str, Any]:
    return {
        "evidence": {"key_id": "simulated-evidence", "key_ref": "file:evidence.key"},
        "payer_key_ref": "file:payer.key",
        "wechat": {
            MCHID: {
                "appids": [APPID],
                "platform_keys": platform_keys,
                "api_v3_key_refs": ["file:wechat.apiv3"],
            }
        },
        "alipay": {SELLER_ID: {"app_id": APP_ID, "public_keys": [alipay_pem]}},
        "pos": {
            ACQUIRER: {
                "merchants": [POS_MERCHANT],
                "terminals": [POS_TERMINAL],
                "secret_refs": ["file:pos.secret"],
            }
        },
        "pos_8583": {
            FRONT: {
                "terminals": {
                    POS_TERMINAL: {
                        "merchant": FRONT_MERCHANT,
                        "mac_key_ref": f"file:{MAC_KEY_FILE}",
                    }
                }
            }
        },
    }


def load_keys(directory: Path) -> KeySet:
    """The key set that `generate_keys` made; BadInput when there is none."""
    try:
        document = json.loads((directory / "keys.json").read_text())
        private = {
            name: load_pem_private_key((directory / "private" / f"{name}.pem").read_bytes(), None)
            for name in _PRIVATE_NAMES
        }
        api_v3_key = (directory / "wechat.apiv3").read_bytes()
        stored = (directory / "pos.secret").read_bytes()
        mac_key = bytes.fromhex((directory / MAC_KEY_FILE).read_text("ascii"))
    except (OSError, ValueError) as error:
        raise BadInput("keys", f"{directory} holds no key set: {error}", "generate one") from None
    serials = [name for name in document["wechat"][MCHID]["platform_keys"] if "_" not in name]
    return KeySet(
        certificate_serial=serials[0],
        api_v3_key=api_v3_key,
        pos_mac_key=mac_key,
        pos_secret=base64.b64decode(stored.removeprefix(b"whsec_")),
        **{name: _rsa(key) for name, key in private.items()},
    )


def _rsa(key: object) -> rsa.RSAPrivateKey:
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def _public_pem(key: rsa.RSAPrivateKey) -> str:
    form = PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(Encoding.PEM, form).decode()


def _certificate(key: rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Simulated WeChat Pay platform")])
    made_at = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(made_at - timedelta(days=1))
        .not_valid_after(made_at + timedelta(days=5 * 365))
        .sign(key, SHA256())
    )


def _write_secret(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
