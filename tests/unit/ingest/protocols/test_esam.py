"""Relay commands through an ESAM session, against a simulated module that refuses all but the next
genuine command; and that none of its secrets is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from libs.events.errors import BadInput
from services.ingest.effect.decide import SendCommand
from services.ingest.effect.policy import DEFAULT_POLICY
from services.ingest.lines import Lines
from services.ingest.meter_security import load_security
from services.ingest.protocols.dlt645.address import MeterAddress
from services.ingest.protocols.dlt645.frame import Frame, encode_frame
from services.ingest.protocols.dlt645.masking import has_secret, mask_frame
from services.ingest.protocols.dlt645.profile import STANDARD
from services.ingest.protocols.dlt645.replies import Reply, parse_reply
from services.ingest.protocols.dlt645.requests import Credentials, RelayOrder
from services.ingest.protocols.dlt645.values import epoch_s
from services.ingest.protocols.esam import (
    EsamProfile,
    EsamSecurity,
    Sealed,
    SecurityByMeter,
    Session,
)
from services.ingest.protocols.esam_simulated import SimulatedMachine, cmac, unseal
from services.ingest.protocols.failures import BadReply, NotSealed
from services.ingest.protocols.session import PasswordSecurity, RelaySecurity
from services.ingest.switching import switch
from simulators.meters.answers import Conversation, answer
from simulators.meters.config import parse_config
from simulators.meters.server import make_meters
from tests.unit.simulators.running import START_AT, document, meter, running_simulator

ROOT = bytes(range(16))
OTHER_ROOT = bytes(16)
ADDRESS = "000000000161"
NOW_S = epoch_s(START_AT)
UNTIL_AT = "2026-01-15T02:10:00Z"
ORDER = RelayOrder(address=MeterAddress(ADDRESS), command="trip", valid_until_at=UNTIL_AT)
PASSWORD = PasswordSecurity(credentials=Credentials(password="123456"))


def security(root: bytes = ROOT, profile: EsamProfile | None = None) -> EsamSecurity:
    machine = SimulatedMachine(root)
    return EsamSecurity(machine=machine, operator="00000001", profile=profile or EsamProfile())


class Site:
    """A simulated meter with a module, asked frame by frame."""

    def __init__(self, tmp_path: Path) -> None:
        config = {**meter(ADDRESS), "esam_root_hex": ROOT.hex(), "passwords": {"02": "123456"}}
        lines = [{"name": "a", "kind": "tcp", "meters": [config]}]
        whole = parse_config(document(tmp_path, lines))
        (self.meter,) = make_meters(whole, whole.lines[0])
        self.at_s = NOW_S
        self.asked: list[Frame] = []

    def ask(self, frame: Frame) -> Reply:
        self.asked.append(frame)
        found = answer(self.meter, Conversation(), frame, self.at_s)
        assert found is not None
        return parse_reply(frame, found)

    def command(self, sealing: RelaySecurity | None = None, order: RelayOrder = ORDER) -> Frame:
        return (sealing or security()).seal(order, STANDARD, self.ask)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_the_published_cmac() -> None:
    # RFC 4493, 4: example 2
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    text = bytes.fromhex("6bc1bee22e409f96e93d7e117393172a")
    assert cmac(key, text[:5], text[5:]).hex() == "070a16b46b4d4144f79bdd9dd04a287c"
    direct = CMAC(AES(key))
    direct.update(text)
    assert direct.finalize() == cmac(key, text)


def test_a_session_trips_and_closes(site: Site) -> None:
    frame = site.command()
    assert [asked.control for asked in site.asked] == [0x03]
    assert site.asked[0].data[:8].hex() == "ff000007" + "01000000"
    assert len(site.asked[0].data) == 4 + 4 + 8 + 8 + 8
    assert frame.data[:8].hex() == "98000000" + "01000000"
    assert len(frame.data) == 8 + 16 + 4
    assert site.ask(frame) == Reply(ADDRESS)
    assert (site.meter.relay, site.meter.esam.counter) == ("open", 1)  # type: ignore[union-attr]
    close = replace(ORDER, command="close")
    assert site.ask(site.command(order=close)) == Reply(ADDRESS)
    assert (site.meter.relay, site.meter.esam.counter) == ("closed", 2)  # type: ignore[union-attr]


def refused(site: Site, frame: Frame) -> bool:
    """Whether the meter does not believe a frame, and its relay stays closed."""
    told = site.ask(frame).refused
    return told == ("not_authorised",) and site.meter.relay == "closed"


def test_an_old_command_is_refused_twice_over(site: Site) -> None:
    frame = site.command()
    assert site.ask(frame).refused == ()
    assert site.ask(site.command(order=replace(ORDER, command="close"))).refused == ()
    assert refused(site, frame)  # no session any more
    site.command()  # a new session is open
    assert refused(site, frame)  # and the old frame is not of it


@pytest.mark.parametrize("place", [8, 23, 24, 27, 4])
def test_one_wrong_bit_is_refused_and_ends_the_session(site: Site, place: int) -> None:
    frame = site.command()
    data = bytearray(frame.data)
    data[place] ^= 1
    assert refused(site, replace(frame, data=bytes(data)))
    assert refused(site, frame)


def test_a_wrong_counter_is_refused(site: Site) -> None:
    def ask(frame: Frame) -> Reply:
        reply = site.ask(frame)
        raised = (int.from_bytes(reply.payload[-4:], "little") + 1).to_bytes(4, "little")
        return replace(reply, payload=reply.payload[:-4] + raised)

    assert refused(site, security().seal(ORDER, STANDARD, ask))


def test_an_expired_session_and_no_session_are_refused(site: Site) -> None:
    frame = site.command()
    site.at_s += EsamProfile().session_s
    assert refused(site, frame)
    other = site.command()
    site.meter.esam._session = None  # type: ignore[union-attr]
    assert refused(site, other)


def test_a_command_after_its_time_is_refused(site: Site) -> None:
    frame = site.command(order=replace(ORDER, valid_until_at="2026-01-15T01:59:00Z"))
    assert site.ask(frame).refused == ("other",)
    assert site.meter.relay == "closed"


def test_another_level_another_length_and_a_password_are_refused(site: Site) -> None:
    frame = site.command()
    assert refused(site, replace(frame, data=b"\x99" + frame.data[1:]))
    frame = site.command()
    assert refused(site, replace(frame, data=frame.data + b"\0"))
    assert refused(site, site.command(PASSWORD))


def test_an_unknown_command_in_a_genuine_frame_is_refused(site: Site) -> None:
    class Odd(SimulatedMachine):
        def seal(self, session, header, plain, profile):  # type: ignore[no-untyped-def]
            return super().seal(session, header, b"\x77" + plain[1:], profile)

    odd = EsamSecurity(machine=Odd(ROOT), operator="00000001")
    assert refused(site, site.command(odd))


def test_another_root_or_meter_gets_no_session(site: Site) -> None:
    with pytest.raises(NotSealed, match=r"000000000161 refused the authentication: not_authorised"):
        site.command(security(OTHER_ROOT))
    good = security().machine.challenge("000000000162", EsamProfile())

    class Other(SimulatedMachine):
        def challenge(self, address, profile):  # type: ignore[no-untyped-def]
            return good

    with pytest.raises(NotSealed):
        site.command(EsamSecurity(machine=Other(ROOT), operator="00000001"))
    with pytest.raises(NotSealed):  # another identifier
        site.command(security(profile=EsamProfile(di="070001FF")))


def test_two_meters_have_two_keys() -> None:
    machine = SimulatedMachine(ROOT, random=bytes)
    first = machine.challenge("000000000001", EsamProfile())
    second = machine.challenge("000000000002", EsamProfile())
    assert first.random_1 == second.random_1
    assert first.proof != second.proof


def test_what_does_not_fit_the_profile_is_not_sent(site: Site) -> None:
    with pytest.raises(NotSealed, match="does not fit the profile's ciphertext"):
        site.command(security(profile=EsamProfile(cipher_bytes=8)))

    class Short(SimulatedMachine):
        def seal(self, session, header, plain, profile):  # type: ignore[no-untyped-def]
            return Sealed(ciphertext=b"", mac=b"")

    with pytest.raises(NotSealed, match="has not the profile's length"):
        site.command(EsamSecurity(machine=Short(ROOT), operator="00000001"))
    with pytest.raises(NotSealed, match="answered 16 bytes"):
        site.command(security(profile=EsamProfile(counter_bytes=2)))
    with pytest.raises(BadInput, match=r"profile\.mac_bytes"):
        EsamProfile(mac_bytes=0)


def test_a_reply_to_another_identifier_is_no_session(site: Site) -> None:
    def ask(frame: Frame) -> Reply:
        found = answer(site.meter, Conversation(), frame, site.at_s)
        assert found is not None
        return parse_reply(frame, replace(found, data=b"\0" + found.data[1:]))

    with pytest.raises(BadReply, match="another identifier"):
        security().seal(ORDER, STANDARD, ask)


def test_secrets_are_masked_and_have_no_text(site: Site) -> None:
    frame = site.command()
    shown = mask_frame(encode_frame(frame))
    assert shown == "68610100000000681c1ccb" + "xx" * 3 + "34333333" + "xx" * 20 + "xx16"
    asked = site.asked[0]
    assert has_secret(asked)
    assert mask_frame(encode_frame(asked)) == (
        "68610100000000680320" + "3233333a" + "xx" * 28 + "xx16"
    )
    found = answer(site.meter, Conversation(), asked, site.at_s)
    assert found is not None
    assert mask_frame(encode_frame(found)) == (
        "68610100000000688314" + "3233333a" + "xx" * 16 + "xx16"
    )
    machine = SimulatedMachine(ROOT)
    texts = [
        repr(machine.challenge(ADDRESS, EsamProfile())),
        repr(Sealed(ciphertext=b"a", mac=b"b")),
    ]
    assert all("object at" in text for text in texts)
    assert ROOT.hex() not in repr(security())


def test_the_meter_reads_what_was_sealed_and_nothing_else() -> None:
    machine = SimulatedMachine(ROOT)
    profile = EsamProfile()
    challenge = machine.challenge(ADDRESS, profile)
    session = Session(address=ADDRESS, challenge=challenge, random_2=b"1234", serial=b"", counter=0)
    sealed = machine.seal(session, b"header", b"\x1a\0\0\0", profile)
    assert unseal(ROOT, session, b"header", sealed) == b"\x1a\0\0\0"
    assert unseal(ROOT, session, b"headeR", sealed) is None


def written(tmp_path: Path, **esam: object) -> Path:
    (tmp_path / "esam.key").write_text(ROOT.hex() + "\n", encoding="utf-8")
    content: dict[str, object] = {"level": "02", "password": "123456", "operator": "00000001"}
    content["esam"] = {
        "meters": ["000000000161", "0000009*"],
        "operator": "00000001",
        "machine": "services.ingest.protocols.esam_simulated:make_machine",
        "options": {"root_key_file": str(tmp_path / "esam.key")},
        "profile": {"session_s": 120},
        **esam,
    }
    file = tmp_path / "security.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def test_the_file_says_which_meters_have_a_module(tmp_path: Path, site: Site) -> None:
    chosen = load_security(written(tmp_path))
    assert isinstance(chosen, SecurityByMeter)
    assert chosen.esam.profile.session_s == 120
    assert site.command(chosen).data[:1] == b"\x98"
    begins = RelayOrder(
        address=MeterAddress("000000900001"), command="trip", valid_until_at=UNTIL_AT
    )
    with pytest.raises(AssertionError):  # a session is asked of it: nobody is there
        chosen.seal(begins, STANDARD, nobody)
    plain = replace(begins, address=MeterAddress("000000000162"))
    assert chosen.seal(plain, STANDARD, nobody).data[:4].hex() == "02563412"


def nobody(_frame: Frame) -> Reply:
    raise AssertionError


@pytest.mark.parametrize(
    ("esam", "says"),
    [
        ({"meters": "all"}, "esam.meters names no meters"),
        ({"meters": ["00000000016"]}, "esam.meters names no meters"),
        ({"meters": ["000000000161*"]}, "esam.meters names no meters"),
        ({"meters": [161]}, "esam.meters names no meters"),
        ({"profile": {"mac": 4}}, "esam.profile has other fields"),
        ({"profile": {"mac_bytes": "4"}}, "profile.mac_bytes"),
        ({"operator": "1"}, "operator"),
        ({"machine": "nowhere:make"}, "esam.machine 'nowhere:make' is not there"),
        ({"machine": ""}, "esam.machine '' is not there"),
        ({"options": {"root_key_file": "nowhere.key"}}, "nowhere.key: No such file"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, esam: dict[str, object], says: str) -> None:
    with pytest.raises(BadInput) as caught:
        load_security(written(tmp_path, **esam))
    assert says in str(caught.value)
    assert "123456" not in str(caught.value)


@pytest.mark.parametrize(("key", "says"), [("xyz", "has no hex digits"), ("00", "1 bytes")])
def test_a_wrong_root_key_is_told_without_its_text(tmp_path: Path, key: str, says: str) -> None:
    file = written(tmp_path)
    (tmp_path / "esam.key").write_text(key, encoding="utf-8")
    with pytest.raises(BadInput, match=says) as caught:
        load_security(file)
    assert key not in str(caught.value).removesuffix("32 hex digits)").replace("00 ", "")


def test_esam_must_be_an_object(tmp_path: Path) -> None:
    file = tmp_path / "security.json"
    file.write_text('{"level": "02", "password": "123456", "operator": "00000001", "esam": []}')
    with pytest.raises(BadInput, match="esam is no object"):
        load_security(file)


def test_over_a_real_line_with_nothing_secret_in_the_evidence(tmp_path: Path) -> None:
    lines = [
        {"name": "a", "kind": "tcp", "meters": [{**meter(ADDRESS), "esam_root_hex": ROOT.hex()}]}
    ]
    with running_simulator(tmp_path, document(tmp_path, lines)) as running:
        host, port = running.address_of("a")
        request = SendCommand(
            command_id="C1",
            action="open",
            usage_point="P1",
            meter_no="M1",
            protocol="dlt645_2007",
            line=f"tcp:{host}:{port}",
            address=ADDRESS,
            valid_until_at=UNTIL_AT,
            now_at=START_AT,
            policy=DEFAULT_POLICY,
        )
        owned = Lines(b"key")

        def send(sealing: RelaySecurity) -> tuple[object, ...]:
            told = switch(request, owned, sealing, lambda: ("", ""))
            return told.sent, told.refusal, told.accepted, told.state, told.detail, told.frames

        unknown = send(security(OTHER_ROOT))
        assert unknown[:2] == (False, "credentials")
        assert "refused the authentication" in str(unknown[4])
        by_password = send(PASSWORD)
        assert by_password[:4] == (True, "", False, "closed")
        done = send(security())
        owned.close()
        assert done[:4] == (True, "", True, "open")
        kept = json.dumps([done[5], running.journal()])
        assert "xxxx" in kept
        sent = [frame for frame in done[5] if frame.startswith(">")]  # type: ignore[attr-defined]
        sealed = [frame for frame in sent if "681c1c" in frame]
        assert len(sealed) == 1
        assert sealed[0].partition("#")[0].endswith("xx" * 21 + "16")
