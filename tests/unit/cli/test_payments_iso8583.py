"""`gridledger payments iso8583`: every field explained, judged with keys, no card data shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.cli import main as cli
from services.cli import payments_iso8583
from simulators.gateways.keys import generate_keys, load_keys
from simulators.gateways.terminal import Terminal
from tests.unit.payments.vectors import VECTORS

CARD = "6228480402564890018"
AT = "2026-02-14T01:30:06Z"
SIGN_ON, SALE = VECTORS["pos-8583-signon-1"]["hex"], VECTORS["syn-pos-8583-sale-1"]["hex"]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_keys(tmp_path_factory.mktemp("keys")).parent


@pytest.fixture(scope="module")
def terminal(keys: Path) -> Terminal:
    return Terminal("127.0.0.1", 1, mac_key=load_keys(keys).pos_mac_key)


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[dict[str, Any]]]:
    status = cli.main(["payments", "iso8583", *words, "--json"])
    return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(("vector", "expected"), [(SIGN_ON, "0800"), (SALE, "0200")])
def test_published_vectors(capsys: pytest.CaptureFixture[str], vector: str, expected: str) -> None:
    status, (found,) = told(capsys, vector)
    assert (status, found["mti"], found["verdict"], found["problem"]) == (0, expected, None, "")
    name = "pos-8583-signon-1" if vector == SIGN_ON else "syn-pos-8583-sale-1"
    facts = VECTORS[name]["expect"]
    for field in found["fields"]:
        assert facts[str(field["field"])].startswith(field["value"])
        at = 2 * field["offset"]
        assert vector.lower()[at : at + len(field["raw_hex"])] == field["raw_hex"]
    (batch,) = [field for field in found["fields"] if field["field"] == 60]
    assert "batch 000001" in batch["meaning"]


def test_frames_of_a_file(
    capsys: pytest.CaptureFixture[str], keys: Path, terminal: Terminal, tmp_path: Path
) -> None:
    sale = terminal.sale_of(100, card=CARD)
    frames = (sale, terminal.reversal_of(sale), terminal.spoiled(sale))
    path = tmp_path / "line.bin"
    path.write_bytes(b"".join(frame.frame for frame in frames))
    status, found = told(capsys, str(path), "--keys", str(keys), "--at", AT)
    verdicts = [each["verdict"] for each in found]
    assert status == 1
    assert [each["mti"] for each in found] == ["0200", "0400", "0200"]
    assert [verdict["verdict"] for verdict in verdicts] == ["accepted", "accepted", "refused"]
    assert [verdict["response_code"] for verdict in verdicts] == ["00", "00", "A0"]
    assert verdicts[0]["key"] == verdicts[1]["key"] == f"pos_8583:{verdicts[0]['channel_txn_id']}"
    assert verdicts[1]["original_txn_id"] == verdicts[0]["channel_txn_id"]
    assert verdicts[2]["cause"] == "signature_invalid"
    assert cli.main(["payments", "iso8583", str(path), "--keys", str(keys), "--at", AT]) == 1
    shown = capsys.readouterr().out
    assert "refused: signature_invalid" in shown
    assert "takes back" in shown
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_card_data_is_not_shown(capsys: pytest.CaptureFixture[str], terminal: Terminal) -> None:
    fields = terminal.sale_of(100).fields | {
        2: CARD,
        35: f"{CARD}D4912",
        14: "4912",
        62: f"card {CARD}",
        63: CARD,
    }
    request = terminal.request("0200", fields)
    assert cli.main(["payments", "iso8583", request.frame.hex()]) == 1
    text = capsys.readouterr().out
    status, (found,) = told(capsys, request.frame.hex())
    assert status == 1
    assert found["problem"] == "field 35 must not be sent"
    for shown in (text, json.dumps(found)):
        assert "622848*********0018" in shown
        assert "4912" not in shown
        assert CARD not in shown
        assert CARD.encode().hex() not in shown


def test_what_is_no_message(
    capsys: pytest.CaptureFixture[str], keys: Path, terminal: Terminal
) -> None:
    status, found = told(capsys, SIGN_ON + "0015" + "60" * 21 + "0001")
    assert status == 1
    assert [each["mti"] for each in found] == ["0800", "", ""]
    assert "is none of the fields known here" in found[1]["problem"]
    assert found[2]["problem"] == "frame, byte 0: 0 bytes are too few for TPDU, header and message"
    words = ["payments", "iso8583", "0015" + "60" * 21, "--keys", str(keys), "--at", AT]
    assert cli.main(words) == 1
    assert capsys.readouterr().out.splitlines()[0] == "no message, from byte 2"
    status, (answer,) = told(
        capsys, terminal.request("0210", {39: "51", 15: "0214", 12: "093006"}).frame.hex()
    )
    assert (status, answer["name"]) == (0, "answer to a sale")
    meanings = {field["field"]: field["meaning"] for field in answer["fields"]}
    assert meanings[39] == "not enough money 资金不足 (insufficient_funds)"
    assert (meanings[12], meanings[15]) == ("09:30:06", "02-14")
    status, (odd,) = told(capsys, terminal.request("0999", {39: "zz", 60: "22"}).frame.hex())
    assert (status, odd["name"]) == (0, "of a type not known here")
    assert [field["meaning"] for field in odd["fields"]] == ["not known here", "", ""]


def test_wrong_input(
    capsys: pytest.CaptureFixture[str],
    keys: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = tmp_path / "keys"
    other.mkdir()
    for path in keys.iterdir():
        if path.is_file():
            (other / path.name).write_bytes(path.read_bytes())
    document = json.loads((keys / "keys.json").read_text())
    (other / "keys.json").write_text(json.dumps({**document, "pos_8583": {}}))
    cases = [
        ([SALE, "--keys", str(keys)], "--at: goes with --keys"),
        ([SALE, "--at", AT], "--at: goes with --keys"),
        ([SALE, "--keys", str(other), "--at", AT], 'has 0 profiles under "pos_8583"'),
        ([" "], "holds no bytes"),
        (["sale.hex"], "is neither a file nor hex digits"),
    ]
    for words, problem in cases:
        assert cli.main(["payments", "iso8583", *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert problem in line
    monkeypatch.setattr(payments_iso8583, "CAPTURE_BYTES_MAX", 20)
    assert cli.main(["payments", "iso8583", SALE]) == 2
    assert "has over 20 bytes" in capsys.readouterr().err
