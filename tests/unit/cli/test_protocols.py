"""`gridledger protocols`: what is listed, and a user's register map checked without code."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from services.cli import main as cli
from services.ingest.protocols.modbus_map_file import SHIPPED

SDM120 = str(SHIPPED / "eastron_sdm120.yaml")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = cli.main(["protocols", *arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "list")
    assert status == 0
    rows = [line.split() for line in out.splitlines()]
    assert [
        "modbus_dtsu666",
        "register_map",
        "CHINT",
        "DTSU666",
        "15,",
        "15",
        "unconfirmed",
    ] in rows
    assert max(len(line) for line in out.splitlines()) <= 80


def test_the_list_as_json_with_own_maps(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, shown, _ = run(capsys, "show", "modbus_sdm120")
    assert status == 0
    ours = shown.replace("modbus_sdm120", "modbus_ours")
    (tmp_path / "ours.yaml").write_text(ours, encoding="utf-8")
    status, out, _ = run(capsys, "list", "--json", "--maps", str(tmp_path))
    rows = {row["protocol"]: row for row in json.loads(out)}
    assert status == 0
    assert rows["modbus_ours"] == {
        "protocol": "modbus_ours",
        "kind": "register_map",
        "name": "Eastron SDM120",
        "registers": 7,
        "unconfirmed": 2,
        "requests": 1,
        "needs": "",
    }
    assert rows["dlt645_2007"]["kind"] == "built_in"
    assert rows["dlms"]["kind"] == "optional"


def test_a_map_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "check", SDM120)
    assert status == 0
    assert "asks 76 words from 0000H, function 04H" in out
    assert "1-0:151.7.0" in out
    assert "? unconfirmed" in out


def test_a_map_as_json_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(Path(SDM120).read_bytes()))
    monkeypatch.setattr(sys, "stdin", stdin)
    status, out, _ = run(capsys, "check", "-", "--json")
    (found,) = json.loads(out)
    assert (status, found["file"], found["rounding"]) == (0, "-", "half_up")
    assert found["requests"] == [{"function": 4, "address": 0, "count": 76}]
    assert found["registers"][0] == {
        "address": 0,
        "function": 4,
        "type": "float32",
        "word_order": "high_first",
        "obis": "1-0:32.7.0",
        "name": "voltage L1",
        "unit": "V",
        "scale": "1",
        "decimals": 3,
        "least": "0",
        "most": "500",
        "source": "OpenEMS MeterEastronSdm120Impl",
        "confirmed": True,
    }


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "m.yaml: is empty (write it like docs/modbus-maps.md)"),
        ("name: 电表".encode("gbk"), "m.yaml: is not UTF-8 text (save it as UTF-8)"),
        (Path(SDM120).read_bytes()[:700], "m.yaml line "),
        (
            Path(SDM120).read_bytes().replace(b"unit: Wh", b"unit: kWh"),
            "unit: 'kWh' is not known (use one of Wh, varh",
        ),
    ],
)
def test_wrong_maps(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes, says: str
) -> None:
    file = tmp_path / "m.yaml"
    file.write_bytes(content)
    status, out, err = run(capsys, "check", str(file))
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert says in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check", "nowhere.yaml"], "nowhere.yaml: No such file"),
        (["list", "--maps", "nowhere"], "nowhere: is no directory"),
        (["show", "modbus_x"], "PROTOCOL: 'modbus_x' is not shipped (use modbus_dtsd1352"),
    ],
)
def test_wrong_arguments(
    capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    status, _, err = run(capsys, *arguments)
    assert status == 2
    assert says in err
    assert err.count("\n") == 1


def test_standard_input_in_another_encoding(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("电表".encode("gbk"))))
    status, _, err = run(capsys, "check", "-")
    assert (status, err) == (2, "error: standard input: is not UTF-8 text (save it as UTF-8)\n")
