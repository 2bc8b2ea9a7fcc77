"""The published and generated vectors of tests/golden/payments.json, and profiles that fit them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from services.payments.channels.profile import AlipayProfile, WechatProfile
from services.payments.channels.rsa import load_public_key

_DOCUMENT = json.loads((Path(__file__).parents[2] / "golden" / "payments.json").read_text("utf-8"))
VECTORS: dict[str, dict[str, Any]] = {vector["id"]: vector for vector in _DOCUMENT["vectors"]}
PAYER_KEY = b"p" * 32
ALIPAY_NOW = 1767225606  # notify_time 2026-01-01 08:00:06 +08:00


def wechat_profile(vector: dict[str, Any], name: str = "1900000001") -> WechatProfile:
    """A profile with the vector's key; the 16-byte keys of Go's tests are no production keys."""
    pem = vector.get("public_key_pem") or vector["platform_certificate_pem"]
    serial = vector.get("public_key_id") or vector["serial_hex"]
    return WechatProfile(
        name=name,
        appids=("wx0000000000000001",),
        platform_keys={serial: load_public_key(pem, "pem", serial)},
        api_v3_keys=(vector["api_v3_key"].encode(),),
        payer_key=PAYER_KEY,
    )


def alipay_profile(vector: dict[str, Any]) -> AlipayProfile:
    return AlipayProfile(
        name=vector["config"]["seller_id"],
        app_id=vector["config"]["app_id"],
        public_keys=(load_public_key(vector["alipay_public_key_pem"], "pem"),),
        payer_key=PAYER_KEY,
    )


def wechat_headers(vector: dict[str, Any], **changes: str) -> list[tuple[str, str]]:
    """The vector's headers; `Wechatpay_Serial="x"` replaces or adds one."""
    headers = dict(vector["headers"])
    headers.update({name.replace("_", "-"): value for name, value in changes.items()})
    return list(headers.items())
