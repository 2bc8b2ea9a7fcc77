"""Channel profiles: whom we believe, with which keys, as which merchant. Data, read once at start.

Secrets come by reference: `parse_profiles` asks the given `secret` function for each, so the
document itself can lie in a ConfigMap, and no secret is ever printed. The APIv3 key is stored as
WeChat shows it (32 characters), webhook secrets as `whsec_` + base64, other keys as base64. All
are loaded here, in memory: verifying a callback touches neither network nor disk.

Example (JSON), with references `file:NAME` or `env:NAME` as the edge reads them:
    {"evidence": {"key_id": "evidence-2026", "key_ref": "file:evidence.key"},
     "payer_key_ref": "file:payer.key",
     "wechat": {"1900000001": {"appids": ["wx0000000000000001"],
                               "platform_keys": {"PUB_KEY_ID_01": "-----BEGIN PUBLIC KEY..."},
                               "api_v3_key_refs": ["file:wechat.apiv3"],
                               "access": {"base_url": "https://api.mch.weixin.qq.com",
                                          "serial": "5157F09EFDC096DE15EBE81A47057A72",
                                          "key_ref": "file:apiclient_key.pem"}}},
     "alipay": {"2088000000000099": {"app_id": "2021000000000001", "public_keys": ["-----..."]}},
     "pos": {"acquirer-1": {"merchants": ["887580481655550"], "secret_refs": ["file:pos.key"]}},
     "pos_8583": {"front-1": {"terminals": {"58D01115": {"merchant": "88758D048165555",
                                                         "mac_key_ref": "file:58D01115.mak"}}}}}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from libs.events.errors import BadInput
from services.payments.channels.access import Access, private_key
from services.payments.channels.rsa import load_public_key
from services.payments.channels.standard_webhooks import SECRET_BYTES_MAX, SECRET_BYTES_MIN
from services.payments.channels.strict import decode_base64
from services.payments.evidence import EvidenceKey

Secret = Callable[[str], bytes]

_NAME = re.compile(r"[0-9A-Za-z_-]{1,64}", re.ASCII)
_MAC_KEY = re.compile(r"[0-9A-Fa-f]{16}(?:[0-9A-Fa-f]{16})?", re.ASCII)
POS_FIELDS: dict[str, str] = {
    name: name
    for name in (
        "type",
        "merchant",
        "terminal",
        "stan",
        "batch",
        "rrn",
        "original_rrn",
        "original_terminal",
        "original_batch",
        "original_stan",
        "original_settlement_on",
        "amount_fen",
        "currency",
        "settlement_on",
        "occurred_at",
        "order_no",
        "response_code",
        "card",
    )
}
"""Our names of the fields of a POS callback, and the acquirer's (the same by default).

`original_...` are those of the sale that a refund, void, reversal or chargeback takes back. Where
an acquirer repeats the batch, STAN and day of the sale in these, as a reversal of ISO 8583 does,
both names are mapped to one field of its own: `{"original_stan": "stan"}`.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class WechatProfile:
    """A WeChat Pay v3 merchant. `name` is its mchid.

    `platform_keys` holds platform certificates by serial and public keys by `PUB_KEY_ID_...`:
    during WeChat's move from one to the other both must be there (payments.md 1.1). More than one
    APIv3 key is for the days of its rotation.
    """

    name: str
    appids: tuple[str, ...]
    platform_keys: Mapping[str, RSAPublicKey] = field(repr=False)
    api_v3_keys: tuple[bytes, ...] = field(repr=False)
    payer_key: bytes = field(repr=False)
    window_s: int = 300
    access: Access | None = None

    @property
    def channel(self) -> str:
        """The channel's name in events."""
        return "wechat"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlipayProfile:
    """An Alipay application of ours. `name` is the seller id (2088...).

    A notice has no time header, only `notify_time` in the signed text; it may be `past_s` old
    because retries go on for 25 hours (payments.md 2), and `future_s` ahead for clocks that differ.
    """

    name: str
    app_id: str
    public_keys: tuple[RSAPublicKey, ...] = field(repr=False)
    payer_key: bytes = field(repr=False)
    past_s: int = 25 * 3600
    future_s: int = 300
    access: Access | None = None

    @property
    def channel(self) -> str:
        """The channel's name in events."""
        return "alipay"


@dataclass(frozen=True, slots=True, kw_only=True)
class PosProfile:
    """An acquirer that calls back for card terminals. `name` is ours for it.

    `terminals` empty means all terminals of the merchants. `fields` maps our field names to the
    acquirer's.
    """

    name: str
    merchants: tuple[str, ...]
    secrets: tuple[bytes, ...] = field(repr=False)
    payer_key: bytes = field(repr=False)
    terminals: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=lambda: POS_FIELDS)
    window_s: int = 300

    @property
    def channel(self) -> str:
        """The channel's name in events."""
        return "pos_http"


Profile = WechatProfile | AlipayProfile | PosProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Pos8583Terminal:
    """A card terminal of ours: the merchant it belongs to and its MAC key (8 or 16 bytes)."""

    merchant: str
    mac_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pos8583Profile:
    """Our own front of card terminals, ISO 8583 over TCP. `name` is ours for it.

    `order_field` is where a terminal puts our order number, so that its money finds the account:
    59, 62 or 63 (UNCONFIRMED, installations differ). `settlement_result` is what a terminal hears
    of its batch totals: 1 agreed, 2 not agreed, 3 error. The listener keeps nothing to compare them
    with; with 1 terminals close their batch, with the others most send it again line by line
    (0320), which is answered and noted (UNCONFIRMED).
    """

    name: str
    terminals: Mapping[str, Pos8583Terminal]
    payer_key: bytes = field(repr=False)
    order_field: int = 62
    settlement_result: str = "1"

    @property
    def channel(self) -> str:
        """The channel's name in events."""
        return "pos_8583"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiles:
    """All profiles of one edge by name, and the key that seals evidence."""

    evidence_key: EvidenceKey
    wechat: Mapping[str, WechatProfile]
    alipay: Mapping[str, AlipayProfile]
    pos: Mapping[str, PosProfile]
    pos_8583: Mapping[str, Pos8583Profile] = field(default_factory=dict)


def parse_profiles(document: Mapping[str, Any], secret: Secret) -> Profiles:
    """The profiles in a configuration document; BadInput names the wrong setting and the fix."""
    top = _Settings(document, "")
    evidence = top.section("evidence")
    key = EvidenceKey(
        key_id=evidence.text("key_id"),
        secret=_key_bytes(evidence.secret("key_ref", secret), "evidence.key_ref"),
    )
    evidence.done()
    payer_key = _key_bytes(top.secret("payer_key_ref", secret), "payer_key_ref")
    profiles = Profiles(
        evidence_key=key,
        wechat={
            name: _wechat(name, settings, secret, payer_key)
            for name, settings in top.sections("wechat")
        },
        alipay={
            name: _alipay(name, settings, secret, payer_key)
            for name, settings in top.sections("alipay")
        },
        pos={
            name: _pos(name, settings, secret, payer_key) for name, settings in top.sections("pos")
        },
        pos_8583={
            name: _pos_8583(name, settings, secret, payer_key)
            for name, settings in top.sections("pos_8583")
        },
    )
    top.done()
    return profiles


def _wechat(name: str, settings: _Settings, secret: Secret, payer_key: bytes) -> WechatProfile:
    keys = {
        serial: load_public_key(str(pem), f"{settings.path}.platform_keys.{serial}", serial)
        for serial, pem in settings.mapping("platform_keys").items()
    }
    if not keys:
        raise BadInput(f"{settings.path}.platform_keys", "is empty", "give at least one key")
    api_v3_keys = settings.secrets("api_v3_key_refs", secret)
    if any(len(key) != 32 for key in api_v3_keys):
        raise BadInput(
            f"{settings.path}.api_v3_key_refs", "an APIv3 key has 32 bytes", "copy it whole"
        )
    profile = WechatProfile(
        name=name,
        appids=settings.texts("appids"),
        platform_keys=keys,
        api_v3_keys=api_v3_keys,
        payer_key=payer_key,
        window_s=settings.seconds("window_s", 300),
        access=_access(settings, secret),
    )
    settings.done()
    return profile


def _alipay(name: str, settings: _Settings, secret: Secret, payer_key: bytes) -> AlipayProfile:
    profile = AlipayProfile(
        name=name,
        app_id=settings.text("app_id"),
        public_keys=tuple(
            load_public_key(pem, f"{settings.path}.public_keys")
            for pem in settings.texts("public_keys")
        ),
        payer_key=payer_key,
        past_s=settings.seconds("past_s", 25 * 3600),
        future_s=settings.seconds("future_s", 300),
        access=_access(settings, secret),
    )
    settings.done()
    return profile


def _pos(name: str, settings: _Settings, secret: Secret, payer_key: bytes) -> PosProfile:
    fields = settings.mapping("fields")
    wrong = sorted(set(fields) - set(POS_FIELDS))
    if wrong or not all(isinstance(theirs, str) for theirs in fields.values()):
        raise BadInput(
            f"{settings.path}.fields",
            f"maps unknown names {wrong}" if wrong else "maps to something that is no text",
            f"map names among {', '.join(POS_FIELDS)}",
        )
    profile = PosProfile(
        name=name,
        merchants=settings.texts("merchants"),
        secrets=tuple(
            webhook_secret(stored, f"{settings.path}.secret_refs")
            for stored in settings.secrets("secret_refs", secret)
        ),
        payer_key=payer_key,
        terminals=settings.texts("terminals", optional=True),
        fields={**POS_FIELDS, **fields},
        window_s=settings.seconds("window_s", 300),
    )
    settings.done()
    return profile


def _pos_8583(name: str, settings: _Settings, secret: Secret, payer_key: bytes) -> Pos8583Profile:
    profile = Pos8583Profile(
        name=name,
        terminals={
            number: _terminal(number, terminal, secret)
            for number, terminal in settings.sections("terminals")
        },
        payer_key=payer_key,
        order_field=int(settings.choice("order_field", ("62", "59", "63"))),
        settlement_result=settings.choice("settlement_result", ("1", "2", "3")),
    )
    if not profile.terminals:
        raise BadInput(f"{settings.path}.terminals", "is empty", "give at least one terminal")
    settings.done()
    return profile


def _terminal(number: str, settings: _Settings, secret: Secret) -> Pos8583Terminal:
    if len(number) != 8:
        raise BadInput(settings.path, f"{number!r} is no terminal", "give its 8 characters")
    text = settings.secret("mac_key_ref", secret).decode("ascii", "replace").strip()
    if not _MAC_KEY.fullmatch(text):
        raise BadInput(f"{settings.path}.mac_key_ref", "is no MAC key", "store 16 or 32 hex digits")
    terminal = Pos8583Terminal(merchant=settings.text("merchant"), mac_key=bytes.fromhex(text))
    settings.done()
    return terminal


def _access(settings: _Settings, secret: Secret) -> Access | None:
    """How we call a channel ourselves; without the section it is never asked."""
    if settings.get("access") is None:
        return None
    given = settings.section("access")
    base_url = given.text("base_url").rstrip("/")
    if not base_url.startswith(("https://", "http://127.0.0.1:")):
        problem = f"{base_url!r} is no address of a channel"
        raise BadInput(f"{given.path}.base_url", problem, "write it like https://HOST")
    key = private_key(secret(given.text("key_ref")), f"{given.path}.key_ref")
    access = Access(base_url=base_url, serial=given.text("serial"), key=key)
    given.done()
    return access


def _key_bytes(stored: bytes, where: str) -> bytes:
    """A key of 32 random bytes, stored as base64 text."""
    raw = decode_base64(stored.decode("ascii", "replace").strip())
    if raw is None or len(raw) != 32:
        raise BadInput(where, "is no key", "store 32 random bytes as base64")
    return raw


def webhook_secret(stored: bytes, where: str) -> bytes:
    """The secret bytes of a stored `whsec_` + base64 text; 24 to 64 bytes (spec)."""
    text = stored.decode("ascii", "replace").strip()
    raw = decode_base64(text.removeprefix("whsec_")) if text.startswith("whsec_") else None
    if raw is None or not SECRET_BYTES_MIN <= len(raw) <= SECRET_BYTES_MAX:
        raise BadInput(where, "is no webhook secret", "store whsec_ + base64 of 24 to 64 bytes")
    return raw


class _Settings:
    """One object of the document; every read names the field, and what was not read is refused."""

    def __init__(self, document: Any, path: str) -> None:
        if not isinstance(document, Mapping):
            raise BadInput(path or "profiles", "is no object", "write a JSON object")
        self.document = document
        self.path = path
        self.seen: set[str] = set()

    def name(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def get(self, key: str) -> Any:
        self.seen.add(key)
        return self.document.get(key)

    def text(self, key: str) -> str:
        value = self.get(key)
        if not isinstance(value, str) or not value:
            raise BadInput(self.name(key), "is missing or no text", "give a text")
        return value

    def texts(self, key: str, *, optional: bool = False) -> tuple[str, ...]:
        value = self.get(key)
        if value is None and optional:
            return ()
        listed = isinstance(value, list) and all(isinstance(item, str) and item for item in value)
        if not listed or not (value or optional):
            raise BadInput(self.name(key), "is missing or no list of texts", "give a list")
        return tuple(value)

    def secret(self, key: str, secret: Secret) -> bytes:
        return self._stored(key, self.text(key), secret)

    def secrets(self, key: str, secret: Secret) -> tuple[bytes, ...]:
        return tuple(self._stored(key, each, secret) for each in self.texts(key))

    def _stored(self, key: str, reference: str, secret: Secret) -> bytes:
        try:
            return secret(reference)
        except BadInput as wrong:
            place = " ".join(filter(None, (self.name(key), wrong.field)))
            raise BadInput(place, wrong.problem, wrong.fix) from None

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        """One of some texts; the first is the default."""
        value = allowed[0] if self.get(key) is None else self.get(key)
        if value not in allowed:
            raise BadInput(self.name(key), "is not known", f"one of {', '.join(allowed)}")
        return str(value)

    def seconds(self, key: str, default: int) -> int:
        value = self.get(key)
        if value is None:
            return default
        if type(value) is not int or not 1 <= value <= 7 * 86400:
            raise BadInput(self.name(key), "is no number of seconds", "give 1 to 604800")
        return value

    def mapping(self, key: str) -> Mapping[str, Any]:
        value = self.get(key)
        return _Settings({} if value is None else value, self.name(key)).document

    def section(self, key: str) -> _Settings:
        return _Settings(self.get(key), self.name(key))

    def sections(self, key: str) -> list[tuple[str, _Settings]]:
        found = self.mapping(key)
        for name in found:
            if not _NAME.fullmatch(name):
                raise BadInput(self.name(key), f"{name!r} is no name", "use 0-9 A-Z a-z _ -")
        return [(name, _Settings(found[name], f"{self.name(key)}.{name}")) for name in found]

    def done(self) -> None:
        unknown = sorted(set(self.document) - self.seen)
        if unknown:
            raise BadInput(self.name(unknown[0]), "is no setting here", "check the spelling")
