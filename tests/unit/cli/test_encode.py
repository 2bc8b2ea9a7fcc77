"""`gridledger encode`: every request by hand, byte for byte as the vectors, secrets from a file."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from services.cli import main as cli
from services.ingest.protocols.catalogue import BUILDERS, open_builder
from tests.unit.ingest.protocols.vectors import DOCUMENT, raw

Shown = Callable[..., tuple[int, str, str]]
READS = [row for row in DOCUMENT["frames"] if row["control"] in ("11", "01")]
UNTIL = "2099-12-29T16:00:00Z"


@pytest.fixture
def encode(capsys: pytest.CaptureFixture[str]) -> Shown:
    """Status, output and error line of the command for DL/T 645-2007."""

    def run(*words: str, protocol: str = "dlt645-2007") -> tuple[int, str, str]:
        status = cli.main(["encode", "--protocol", protocol, *words])
        printed = capsys.readouterr()
        return status, printed.out.strip(), printed.err

    return run


@pytest.fixture
def secrets(tmp_path: Path) -> Callable[[str], str]:
    """A file of secrets."""

    def write(text: str) -> str:
        file = tmp_path / "secrets"
        file.write_text(text, encoding="utf-8")
        return str(file)

    return write


@pytest.mark.parametrize("row", READS, ids=lambda row: row["id"])
def test_golden_reads_are_rebuilt(encode: Shown, row: dict[str, str]) -> None:
    protocol = "dlt645-2007" if row["protocol"].endswith("2007") else "dlt645-1997"
    sent = bytes.fromhex(row["hex"])
    lead = len(sent) - len(sent.lstrip(b"\xfe"))
    words = ["--address", row["address"], f"--di={row['di']}", "--lead", str(lead)]
    assert encode("read", *words, protocol=protocol) == (0, sent.hex(), "")


def test_the_golden_address_read_is_rebuilt(encode: Shown) -> None:
    assert encode("read-address") == (0, raw("f56").hex(), "")


@pytest.mark.parametrize(("name", "order"), [("f48", "trip"), ("f52", "permit_close")])
def test_golden_relay_commands_are_rebuilt(
    encode: Shown, secrets: Callable[[str], str], name: str, order: str
) -> None:
    words = ["relay", "--address", "151230011061", "--command", order, "--valid-until", UNTIL]
    words += ["--operator", "00000001", "--secrets", secrets("password=000000\n")]
    assert encode(*words) == (0, raw(name).hex(), "")


@pytest.mark.parametrize(
    ("words", "data_hex"),
    [
        (["follow-up", "--di", "03300D01", "--seq", "1"], "12" + "010d3003" + "01"),
        (["read", "--di", "06040001", "--count", "2"], "11" + "01000406" + "02"),
        (
            ["read", "--di", "06040001", "--count", "2", "--from", "2026-01-31T02:00:00Z"],
            "11" + "01000406" + "02" + "0010310126",
        ),
        (
            ["write", "--di", "04000103", "--data", "15"],
            "14" + "03010004" + "02563412" + "00" * 4 + "15",
        ),
        (["write-address", "--new-address", "162"], "15" + "620100000000"),
        (["freeze", "--hour", "00", "--minute", "00"], "16" + "00009999"),
        (["baud", "--baud", "9600"], "17" + "20"),
        (["password", "--new-level", "04"], "18" + "050c0004" + "02563412" + "04214365"),
        (["password"], "18" + "030c0004" + "02563412" + "02214365"),
        (["clear", "--what", "demand"], "19" + "02563412" + "00" * 4),
        (["clear", "--what", "meter"], "1a" + "02563412" + "00" * 4),
        (["clear", "--what", "events"], "1b" + "02563412" + "00" * 4 + "ff" * 4),
        (["output", "--output", "demand_period"], "1d" + "01"),
        (["time", "--at", "2026-01-31T02:09:08Z"], "08" + "080910310126"),
    ],
)
def test_every_request_is_built(
    encode: Shown, secrets: Callable[[str], str], words: list[str], data_hex: str
) -> None:
    hidden = []
    if words[0] in ("write", "clear"):
        hidden = ["--secrets", secrets("123456")]
    elif words[0] == "password":
        hidden = ["--secrets", secrets("password = 123456\n\nnew-password=654321\n")]
    status, out, _ = encode(*words, "--address", "161", *hidden)
    assert status == 0
    sent = bytes.fromhex(out)
    assert sent[1:7].hex() == "610100000000"
    data = bytes((byte - 0x33) % 256 for byte in sent[10:-2])
    assert sent[8:9].hex() + data.hex() == data_hex


@pytest.mark.parametrize(
    ("words", "data_hex"),
    [
        (["follow-up", "--di", "901F"], "02" + "1f90"),
        (["write", "--di", "C111", "--data", "15"], "04" + "11c115"),
        (["time", "--at", "2026-01-31T02:09:08Z"], "08" + "080910310126"),
    ],
)
def test_requests_of_1997(encode: Shown, words: list[str], data_hex: str) -> None:
    _, out, _ = encode(*words, "--address", "3", protocol="dlt645-1997")
    sent = bytes.fromhex(out)
    data = bytes((byte - 0x33) % 256 for byte in sent[10:-2])
    assert sent[8:9].hex() + data.hex() == data_hex


def test_a_write_of_1997_with_a_password(encode: Shown, secrets: Callable[[str], str]) -> None:
    words = ["write", "--di", "C111", "--data", "15", "--address", "3", "--level", "00"]
    _, out, _ = encode(*words, "--secrets", secrets("123456"), protocol="dlt645-1997")
    data = bytes((byte - 0x33) % 256 for byte in bytes.fromhex(out)[10:-2])
    assert data.hex() == "11c1" + "00563412" + "15"


def test_json_shows_fields_without_secrets(encode: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbf918273\n")))
    words = ["--address", "161", "--di", "04000103", "--data", "15", "--secrets", "-", "--json"]
    status, out, _ = encode("write", *words)
    assert status == 0
    row = json.loads(out)
    assert list(row) == ["protocol", "request", "hex", "bytes", "fields", "summary"]
    assert row["fields"] == {"address": "161", "di": "04000103", "data": "15", "password": ""}
    assert row["summary"] == "to 000000000161: write 04000103: demand period 15 min"
    assert row["bytes"] == len(row["hex"]) // 2
    assert "918273" not in out


def test_what_can_be_asked_is_listed(encode: Shown) -> None:
    for protocol in BUILDERS:
        status, out, _ = encode(protocol=protocol)
        assert status == 0
        for name in open_builder(protocol):
            assert name in out
    _, out, _ = encode()
    assert "new-password (secret)" in out
    assert "[999999999999]" in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["call"], "request: 'call' is not known (one of read, follow-up"),
        (["--address", "161"], "request: '--address' is not known"),
        (["read", "--address", "161"], "di: is missing (DI3..DI0, 8 hex digits) (give --di)"),
        (["read", "--address", "161", "--di"], "--di: has no value"),
        (["read", "--address", "161", "--di", "00010000", "--di", "0"], "--di: is given twice"),
        (["read", "--addres", "161"], "--addres: is not known here (one of address"),
        (["read", "161"], "161: is no field"),
        (["read", "--address", "16x", "--di", "00010000"], "address: '00000000016x' is no meter"),
        (["read", "--address", "161", "--di", "9010"], "di: '9010' is no data identifier"),
        (["read", "--address", "161", "--di", "00010000", "--lead", "99"], "lead: 99 bytes"),
        (
            ["read", "--address", "161", "--di", "00010000", "--lead", "-1"],
            "lead: '-1' is no whole",
        ),
        (["baud", "--address", "161", "--baud", "fast"], "baud: 'fast' is no whole number"),
        (["baud", "--address", "AAAAAAAAAAAA", "--baud", "9600"], "names more than one meter"),
        (["time", "--at", "2026-02-30T00:00:00Z"], "at: '2026-02-30T00:00:00Z' is no instant"),
        (["clear", "--address", "161", "--what", "demand"], "password: is missing (6 digits)"),
        (["clear", "--password", "123456"], "password: must not be an argument"),
        (["clear", "--password=123456"], "password: must not be an argument"),
    ],
)
def test_wrong_input_is_one_line(encode: Shown, words: list[str], said: str) -> None:
    status, out, err = encode(*words)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert "123456" not in err


@pytest.mark.parametrize("address", ["999999999999", "AAAAAAAAAAAA"])
@pytest.mark.parametrize("request_name", ["write", "write-address", "baud", "password", "clear"])
def test_nothing_that_changes_a_meter_goes_to_many(
    encode: Shown, secrets: Callable[[str], str], address: str, request_name: str
) -> None:
    kind = open_builder("dlt645-2007")[request_name]
    example = {
        "di": "04000103",
        "data": "15",
        "new-address": "162",
        "baud": "9600",
        "what": "meter",
    }
    words = [
        f"--{field.name}={example[field.name]}" for field in kind.fields if field.name in example
    ]
    hidden = [field.name for field in kind.fields if field.secret]
    if hidden:
        words += ["--secrets", secrets("\n".join(f"{name}=123456" for name in hidden))]
    status, out, err = encode(request_name, "--address", address, *words)
    assert (status, out) == (2, "")
    assert "names more than one meter" in err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "secrets: is empty"),
        (b"password=\n", "secrets line 1: is empty or given twice"),
        (b"123456\npassword=123456\n", "secrets line 2: is empty or given twice"),
        ("密码".encode("gbk"), "secrets: is not UTF-8 text"),
        (b"1" * 10_001, "secrets: more than 10000 bytes"),
        (b"pin=1", "pin: is no field of this request"),
    ],
)
def test_wrong_secrets_are_named_without_their_value(
    encode: Shown, tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "secrets"
    file.write_bytes(content)
    words = ["--address", "161", "--what", "meter", "--secrets", str(file)]
    status, out, err = encode("clear", *words)
    assert (status, out) == (2, "")
    assert said in err
    assert "123456" not in err


def test_a_value_that_is_no_hex(encode: Shown) -> None:
    words = ["--address", "3", "--di", "C111", "--data", "1x"]
    status, out, err = encode("write", *words, protocol="dlt645-1997")
    assert (status, out) == (2, "")
    assert "data: '1x' is not hexadecimal (write two digits a byte)" in err


def test_missing_secrets_file(encode: Shown) -> None:
    status, _, err = encode("clear", "--address", "161", "--what", "meter", "--secrets", "no-file")
    assert status == 2
    assert "no-file: No such file" in err
