"""Channel profiles: what is wrong is named, secrets are never printed."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from libs.events.errors import BadInput
from services.payments.channels.profile import (
    POS_FIELDS,
    Pos8583Terminal,
    Profiles,
    parse_profiles,
)
from services.payments.channels.rsa import load_public_key
from services.payments.webhooks import load_profiles
from simulators.gateways.keys import (
    ACQUIRER,
    FRONT,
    FRONT_MERCHANT,
    MAC_KEY_FILE,
    MCHID,
    POS_TERMINAL,
    PUBLIC_KEY_ID,
    SELLER_ID,
    KeySet,
)


@pytest.fixture
def document(key_folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((key_folder / "keys.json").read_text())
    return loaded


@pytest.fixture
def secrets(key_folder: Path) -> dict[str, bytes]:
    names = ("evidence.key", "payer.key", "wechat.apiv3", "pos.secret", MAC_KEY_FILE)
    return {f"file:{name}": (key_folder / name).read_bytes() for name in names}


def test_what_the_simulator_writes_is_read(profiles: Profiles, keys: KeySet) -> None:
    wechat = profiles.wechat[MCHID]
    assert set(wechat.platform_keys) == {PUBLIC_KEY_ID, keys.certificate_serial}
    assert wechat.api_v3_keys == (keys.api_v3_key,)
    assert profiles.alipay[SELLER_ID].app_id == "2021000000000001"
    assert profiles.pos[ACQUIRER].secrets == (keys.pos_secret,)
    assert profiles.pos[ACQUIRER].fields == POS_FIELDS
    assert profiles.evidence_key.key_id == "simulated-evidence"
    windows = (wechat.window_s, profiles.alipay[SELLER_ID].past_s, profiles.pos[ACQUIRER].window_s)
    assert windows == (300, 90000, 300)
    assert [p.channel for p in (wechat, profiles.alipay[SELLER_ID], profiles.pos[ACQUIRER])] == [
        "wechat",
        "alipay",
        "pos_http",
    ]


def test_card_terminals_are_read(document: dict[str, Any], secrets: dict[str, bytes]) -> None:
    profile = parse_profiles(document, secrets.__getitem__).pos_8583[FRONT]
    assert (profile.channel, profile.order_field, profile.settlement_result) == (
        "pos_8583",
        62,
        "1",
    )
    mac_key = bytes.fromhex(secrets[f"file:{MAC_KEY_FILE}"].decode())
    assert profile.terminals == {
        POS_TERMINAL: Pos8583Terminal(merchant=FRONT_MERCHANT, mac_key=mac_key)
    }
    assert "mac_key" not in repr(profile)
    told = _set(document, f"pos_8583/{FRONT}/order_field", "59")
    told = _set(told, f"pos_8583/{FRONT}/settlement_result", "3")
    other = parse_profiles(told, secrets.__getitem__).pos_8583[FRONT]
    assert (other.order_field, other.settlement_result) == (59, "3")
    del document["pos_8583"]
    assert parse_profiles(document, secrets.__getitem__).pos_8583 == {}


def test_no_secret_is_printed(profiles: Profiles, keys: KeySet) -> None:
    printed = repr(profiles)
    for secret in (
        keys.api_v3_key,
        keys.pos_secret,
        profiles.evidence_key.secret,
        profiles.wechat[MCHID].payer_key,
    ):
        assert repr(secret) not in printed
        assert secret.hex() not in printed


_TERMINAL = f"pos_8583/{FRONT}/terminals/{POS_TERMINAL}"


def _set(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    *parents, last = path.split("/")
    node = changed
    for name in parents:
        node = node[name]
    node[last] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("evidence", None, "evidence: is no object"),
        ("evidence/key_id", "", "evidence.key_id: is missing"),
        ("evidence/extra", 1, "evidence.extra: is no setting"),
        ("payer_key_ref", 7, "payer_key_ref: is missing"),
        ("payer_key_ref", "file:wechat.apiv3", "payer_key_ref: is no key"),
        ("payer_key_ref", "file:pos.secret", "payer_key_ref: is no key"),
        ("wechta", {}, "wechta: is no setting"),
        ("wechat", [], "wechat: is no object"),
        (f"wechat/{MCHID}", 1, f"wechat.{MCHID}: is no object"),
        ("wechat/a b", {}, "wechat: 'a b' is no name"),
        (f"wechat/{MCHID}/platform_keys", {}, f"wechat.{MCHID}.platform_keys: is empty"),
        (f"wechat/{MCHID}/platform_keys", {"X": "pem"}, "platform_keys.X: is no PEM"),
        (f"wechat/{MCHID}/appids", "wx", f"wechat.{MCHID}.appids: is missing"),
        (f"wechat/{MCHID}/appids", [], f"wechat.{MCHID}.appids: is missing"),
        (f"wechat/{MCHID}/appids", [7], f"wechat.{MCHID}.appids: is missing"),
        (f"wechat/{MCHID}/api_v3_key_refs", ["file:pos.secret"], "an APIv3 key has 32 bytes"),
        (f"wechat/{MCHID}/window_s", "300", f"wechat.{MCHID}.window_s: is no number"),
        (f"wechat/{MCHID}/window_s", 0, f"wechat.{MCHID}.window_s: is no number"),
        (f"wechat/{MCHID}/windows", 1, f"wechat.{MCHID}.windows: is no setting"),
        (f"alipay/{SELLER_ID}/app_id", None, f"alipay.{SELLER_ID}.app_id: is missing"),
        (f"alipay/{SELLER_ID}/public_keys", ["x"], f"alipay.{SELLER_ID}.public_keys: is no PEM"),
        (f"pos/{ACQUIRER}/fields", {"stam": "x"}, "fields: maps unknown names ['stam']"),
        (f"pos/{ACQUIRER}/fields", {"stan": 7}, "fields: maps to something"),
        (f"pos/{ACQUIRER}/secret_refs", ["file:wechat.apiv3"], "secret_refs: is no webhook"),
        (f"pos/{ACQUIRER}/secret_refs", None, f"pos.{ACQUIRER}.secret_refs: is missing"),
        (f"pos_8583/{FRONT}/terminals", {}, f"pos_8583.{FRONT}.terminals: is empty"),
        (f"pos_8583/{FRONT}/terminals", {"1": {}}, "terminals.1: '1' is no terminal"),
        (f"{_TERMINAL}/mac_key_ref", "file:pos.secret", "mac_key_ref: is no MAC key"),
        (f"{_TERMINAL}/merchant", None, f"{POS_TERMINAL}.merchant: is missing"),
        (f"{_TERMINAL}/tpdu", "60", f"{POS_TERMINAL}.tpdu: is no setting"),
        (f"pos_8583/{FRONT}/order_field", "48", "order_field: is not known (one of 62, 59, 63)"),
        (f"pos_8583/{FRONT}/settlement_result", 4, "settlement_result: is not known"),
        (f"pos_8583/{FRONT}/port", 4, f"pos_8583.{FRONT}.port: is no setting"),
    ],
)
def test_what_is_wrong_is_named(
    document: dict[str, Any], secrets: dict[str, bytes], path: str, value: Any, field: str
) -> None:
    wrong = _set(document, path, value)
    with pytest.raises(BadInput) as error:
        parse_profiles(wrong, lambda name: b"short" if name.endswith("x") else secrets[name])
    assert field in str(error.value)
    assert "\n" not in str(error.value)


def test_the_document_must_be_an_object() -> None:
    with pytest.raises(BadInput, match="profiles: is no object"):
        parse_profiles([], lambda name: b"")  # type: ignore[arg-type]


def test_optional_settings(document: dict[str, Any], secrets: dict[str, bytes]) -> None:
    changed = _set(document, f"pos/{ACQUIRER}/fields", {"amount_fen": "transAmt"})
    changed = _set(changed, f"pos/{ACQUIRER}/terminals", None)
    changed = _set(changed, f"wechat/{MCHID}/window_s", 120)
    changed = _set(changed, "alipay", None)
    profiles = parse_profiles(changed, secrets.__getitem__)
    assert profiles.pos[ACQUIRER].fields["amount_fen"] == "transAmt"
    assert profiles.pos[ACQUIRER].terminals == ()
    assert profiles.wechat[MCHID].window_s == 120
    assert profiles.alipay == {}


def test_a_certificate_must_have_the_serial_it_is_given(
    document: dict[str, Any], keys: KeySet
) -> None:
    pem = document["wechat"][MCHID]["platform_keys"][keys.certificate_serial]
    assert load_public_key(pem, "key", keys.certificate_serial.lower()).key_size == 2048
    with pytest.raises(BadInput, match="the certificate's serial is"):
        load_public_key(pem, "platform_keys.AB12", "AB12")


def test_weak_and_other_keys_are_refused() -> None:
    form = PublicFormat.SubjectPublicKeyInfo
    curve = ec.generate_private_key(ec.SECP256R1()).public_key()
    weak = rsa.generate_private_key(65537, 1024).public_key()
    for key in (curve, weak):
        pem = key.public_bytes(Encoding.PEM, form).decode()
        with pytest.raises(BadInput, match="key: is no RSA key of 2048 bits"):
            load_public_key(pem, "key")


def test_files_and_environment(
    key_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, document: dict[str, Any]
) -> None:
    with pytest.raises(BadInput, match=r"none.json: No such file"):
        load_profiles(tmp_path / "none.json")
    wrong = tmp_path / "wrong.json"
    wrong.write_bytes(b"\xff")
    with pytest.raises(BadInput, match="is not UTF-8 text"):
        load_profiles(wrong)
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(document))
    with pytest.raises(BadInput, match=r"file:evidence\.key: No such file"):
        load_profiles(path)
    for name in ("evidence.key", "payer.key", "wechat.apiv3", MAC_KEY_FILE):
        (tmp_path / name).write_bytes((key_folder / name).read_bytes() + b"\n")
    environment = _set(document, f"pos/{ACQUIRER}/secret_refs", ["env:POS_SECRET"])
    path.write_text(json.dumps(environment))
    with pytest.raises(BadInput, match="env:POS_SECRET: is no secret we can read"):
        load_profiles(path)
    monkeypatch.setenv("POS_SECRET", (key_folder / "pos.secret").read_text())
    assert ACQUIRER in load_profiles(path).pos
