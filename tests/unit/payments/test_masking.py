"""Personal data of the input occurs in nothing that is normalised."""

from __future__ import annotations

from dataclasses import replace

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from services.payments.channels import verify_and_parse
from services.payments.channels.causes import Accepted
from services.payments.channels.profile import Profile, Profiles
from services.payments.masking import luhn_valid, masked_card, masked_text, payer_hash
from services.payments.notices import PaymentNotice
from simulators.gateways.keys import ACQUIRER, MCHID, SELLER_ID, KeySet
from tests.unit.payments.signing import (
    NOW,
    alipay_fields,
    alipay_request,
    pos_document,
    pos_request,
    wechat_content,
    wechat_refund,
    wechat_request,
)

CARD = "6228480402564890018"

_letters = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"
openids = st.text(_letters + "_-", min_size=20, max_size=24).map(lambda tail: "o5" + tail)


def _with_check_digit(digits: str) -> str:
    return next(digits + last for last in "0123456789" if luhn_valid(digits + last))


cards = st.text("0123456789", min_size=13, max_size=16).map(
    lambda digits: _with_check_digit("62" + digits)
)


def test_luhn() -> None:
    assert luhn_valid("79927398713")  # ISO/IEC 7812-1 annex B, the common example
    assert not luhn_valid("79927398710")
    assert luhn_valid(CARD)


def test_masks() -> None:
    assert masked_card(CARD) == "622848*********0018"
    assert masked_card("6228480402560018"[:12]) == "*" * 12
    assert masked_text(f"card {CARD} declined") == "card 622848*********0018 declined"
    assert masked_text("601010000042 and 4200000000202601010000000001 stay") == (
        "601010000042 and 4200000000202601010000000001 stay"
    )
    assert masked_text("1234567890123") == "1234567890123"  # no card: the check digit is wrong


@given(cards, st.text("abc -:", max_size=5))
def test_no_card_number_stays_in_a_text(card: str, around: str) -> None:
    masked = masked_text(f"{around}{card}{around}")
    assert card not in masked
    assert masked == f"{around}{masked_card(card)}{around}"


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_payer_hash_tells_payers_apart(first: str, second: str) -> None:
    key = b"k" * 32
    assert (payer_hash(key, first) == payer_hash(key, second)) is (first == second)
    assert payer_hash(key, first) != payer_hash(b"l" * 32, first)
    assert payer_hash(key, "") == ""


Signed = tuple[list[tuple[str, str]], bytes]


def _notice(profile: Profile, request: Signed) -> PaymentNotice:
    verdict = verify_and_parse(profile, *request, NOW)
    assert isinstance(verdict, Accepted), verdict
    return verdict.notice


def _check(profile: Profile, request: Signed, other: Signed, *personal: str) -> None:
    """Nothing personal is written, and nothing but the hash depends on it."""
    notice, twin = _notice(profile, request), _notice(profile, other)
    written = msgspec.json.encode(notice).decode() + repr(notice)
    for value in personal:
        assert value not in written
    assert replace(notice, payer_hash="") == replace(twin, payer_hash="")


@settings(max_examples=40)
@given(openids, cards)
def test_wechat_notices_name_nobody(
    keys: KeySet, profiles: Profiles, openid: str, card: str
) -> None:
    def payment(who: str, number: str) -> Signed:
        changes = {"payer": {"openid": who}, "attach": f"card {number}", "device_id": who}
        return wechat_request(keys, wechat_content(**changes))

    def refund(who: str, number: str) -> Signed:
        account = {"user_received_account": f"工商银行{number}", "payer": {"openid": who}}
        return wechat_request(keys, wechat_refund(**account), "REFUND.SUCCESS")

    profile = profiles.wechat[MCHID]
    for made in (payment, refund):
        _check(profile, made(openid, card), made("oOTHER", CARD), openid, card)
    bank = _notice(profile, wechat_request(keys, wechat_content(bank_type=card)))
    assert bank.references["bank_type"] == masked_card(card)


@settings(max_examples=40)
@given(openids, cards)
def test_alipay_notices_name_nobody(
    keys: KeySet, profiles: Profiles, openid: str, card: str
) -> None:
    def made(who: str, number: str) -> Signed:
        personal = {"buyer_logon_id": who, "buyer_open_id": who, "subject": number, "body": who}
        return alipay_request(keys, alipay_fields(buyer_id=number, **personal))

    profile = profiles.alipay[SELLER_ID]
    _check(profile, made(openid, card), made("other@example", CARD), openid, card)


@settings(max_examples=40)
@given(cards)
def test_pos_notices_name_nobody(keys: KeySet, profiles: Profiles, card: str) -> None:
    request = pos_request(keys, pos_document(card=card))
    other = pos_request(keys, pos_document(card=CARD))
    _check(profiles.pos[ACQUIRER], request, other, card)
