"""`gridledger metrology certificate`: signed, verified offline, and found when changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.unit.cli.metrology.calling import (
    ON,
    Capsys,
    as_json,
    call,
    document,
    lines,
    refused,
)


@pytest.fixture
def keys(put: Callable[..., str]) -> tuple[str, str]:
    secret = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    private = secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = secret.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return put(private, "lab.pem"), put(public, "lab.pub.pem")


def signing(file: str, key: str, out: str = "C-1.json", *more: str) -> list[str]:
    command = ["certificate", "sign", file, "--number", "C-1", "--by", "张三", "--key", key]
    return [*command, "--out", out, "--on", "2026-03-02", *more]


def test_a_certificate_is_signed_and_verified_offline(
    put: Callable[..., str], keys: tuple[str, str], capsys: Capsys, tmp_path: Path
) -> None:
    file = put(lines(document(), document(run_id="B1-0002", meter_no="M2")), "runs")
    status, (told,) = as_json(capsys, *signing(file, keys[0], "C-1.json", "--run", "B1-0001"))
    assert (status, told["valid"], told["certificate"]["device_no"]) == (0, True, "M1")
    assert told["key_id"] == "56475aa75463474c0285df5dbf2bcab7"
    verify = ["certificate", "verify", "C-1.json", "--key", keys[1]]
    status, out = call(capsys, *verify, "--on", ON)
    assert status == 0
    assert out.splitlines() == [
        "C-1.json: signature is good",
        "certificate C-1 of meter M1, class 1: pass",
        "run B1-0001, measured on 2026-03-01, valid until 2034-03-01",
        "issued on 2026-03-02 by 张三, key 56475aa75463474c0285df5dbf2bcab7",
    ]
    for day, said in (("2034-03-02", "it was valid until"), ("2026-03-01", "it was issued on")):
        status, (told,) = as_json(capsys, *verify, "--on", day)
        assert (status, told["valid"]) == (1, False)
        assert told["problem"].startswith(said)
    whole = (tmp_path / "C-1.json").read_bytes()
    put(whole.replace(b'"M1"', b'"M9"'), "C-1.json")
    status, out = call(capsys, *verify)
    assert status == 1
    assert out == (
        "C-1.json: NOT VALID: the signature does not match: the certificate was changed\n"
    )
    status, (told,) = as_json(capsys, *verify)
    assert (status, told["certificate"]) == (1, None)
    put(whole + b"\n", "C-1.json")
    assert "is not in its canonical form" in refused(capsys, *verify)
    put(b"", "C-1.json")
    assert refused(capsys, *verify).startswith("C-1.json: is empty")
    put(b"x" * 100_001, "C-1.json")
    assert "is too long" in refused(capsys, *verify)
    assert refused(capsys, "certificate", "verify", "none", "--key", keys[1]).startswith("none: ")


def test_what_failed_gets_a_notice_and_what_was_not_judged_nothing(
    put: Callable[..., str], keys: tuple[str, str], capsys: Capsys, tmp_path: Path
) -> None:
    failed = document(tests={"start": "fail"})
    _, out = call(capsys, *signing(put(lines(failed), "runs"), keys[0]))
    assert "notice_of_result C-1 of meter M1, class 1: fail" in out
    assert "valid until" not in out
    file = put(lines(document(tests={})), "runs")
    assert "run B1-0001: was not judged: start: not done" in refused(
        capsys, *signing(file, keys[0], "C-2.json")
    )
    assert not (tmp_path / "C-2.json").exists()


def test_wrong_signing_is_named(
    put: Callable[..., str], keys: tuple[str, str], capsys: Capsys
) -> None:
    file = put(lines(document(), document()), "runs")
    assert "has 2 runs of it" in refused(capsys, *signing(file, keys[0]))
    other = signing(file, keys[0], "C-1.json", "--run", "B9")
    assert "--run: there is no run 'B9' in runs" in refused(capsys, *other)
    assert "is no private key" in refused(capsys, *signing(file, keys[1]))
    put(b"", "C-1.json")
    assert "C-1.json is there already" in refused(capsys, *signing(file, keys[0]))
    early = signing(put(lines(document()), "one"), keys[0], "C-3.json")
    early[early.index("--on") + 1] = "2026-02-28"
    assert "one line 1 measured_at: " in refused(capsys, *early)
