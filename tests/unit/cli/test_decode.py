"""`gridledger decode`: hex, files and standard input; what is found, skipped and refused."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from libs.events.errors import BadInput
from services.cli import decode as command
from services.cli import main as cli
from services.cli.capture_file import PIECE_BYTES, read_capture
from services.ingest.protocols.catalogue import BUILDERS, EXPLAINERS, open_builder, open_explainer
from services.ingest.protocols.explanation import Explained, Part
from tests.unit.ingest.protocols.vectors import raw

F02 = raw("f02")
Shown = Callable[..., tuple[int, str, str]]


@pytest.fixture
def decode(capsys: pytest.CaptureFixture[str]) -> Shown:
    """Status, output and error line of the command."""

    def run(*words: str) -> tuple[int, str, str]:
        status = cli.main(["decode", *words, "--protocol", "dlt645-2007"])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def rows(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_hex_is_explained_for_a_person(decode: Shown) -> None:
    status, out, _ = decode(F02.hex(" "))
    assert status == 0
    assert out == (
        "frame at 0, 20 bytes: meter 000000000161 answers: read 00010000: import active\n"
        "    energy 260 Wh\n"
        "  offset  bytes                 name                        value and unit\n"
        "       0  68                    start\n"
        "       1  610100000000          address                     000000000161\n"
        "       7  68                    start\n"
        "       8  91                    control                     read, answer\n"
        "       9  08                    length of data              8 bytes\n"
        "      10  33333433              identifier                  00010000\n"
        "      14  59333333              import active energy        260 Wh (1-0:1.8.0)\n"
        "      18  8a                    checksum\n"
        "      19  16                    end\n"
        "frames: 1, broken: 0\n"
    )


def test_every_line_fits_a_terminal(decode: Shown) -> None:
    block = "00" * 200
    for text in (raw("f48").hex(), raw("f25").hex(), block):
        _, out, _ = decode(text)
        assert max(map(len, out.splitlines())) <= 80


def test_the_documented_objects(decode: Shown) -> None:
    status, out, _ = decode("00", "FE", F02.hex().upper(), "--json")
    assert status == 0
    noise, lead, frame = rows(out)
    assert noise == {"kind": "skipped", "offset": 0, "bytes": 1, "raw_hex": "00", "reason": "noise"}
    assert (lead["reason"], lead["offset"], lead["bytes"]) == ("lead", 1, 1)
    assert list(frame) == [
        "kind",
        "protocol",
        "offset",
        "raw_hex",
        "summary",
        "parts",
        "fields",
        "inner",
    ]
    assert (frame["kind"], frame["offset"], frame["raw_hex"]) == ("frame", 2, F02.hex())
    assert list(frame["parts"][0]) == [
        "offset",
        "raw_hex",
        "name",
        "value",
        "unit",
        "obis",
        "reason",
    ]
    assert frame["fields"]["values"][0]["value"] == "260"


@pytest.mark.parametrize(
    ("sent", "status", "reasons"),
    [
        (F02, 0, []),
        (b"\x01" + F02 + b"\x02", 0, ["noise", "noise"]),
        (F02[:-2] + b"\x00\x16", 1, ["checksum"]),
        (F02 + F02[:-2] + b"\x00\x16", 1, ["checksum"]),
        (F02[:-1] + b"\x17", 1, ["end"]),
        (F02[:-3], 1, ["incomplete"]),
        (F02[:9] + b"\xff" + F02[10:], 1, ["length"]),
        (b"\x01\x02", 1, ["noise"]),
    ],
)
def test_the_status_tells_what_was_broken(
    decode: Shown, sent: bytes, status: int, reasons: list[str]
) -> None:
    answered, out, _ = decode(sent.hex(), "--json")
    assert answered == status
    assert [row["reason"] for row in rows(out) if row["kind"] == "skipped"] == reasons
    assert decode(sent.hex())[0] == status


def test_long_skipped_runs_are_cut_for_a_person(decode: Shown) -> None:
    _, out, _ = decode("00" * 40)
    assert out.splitlines()[0] == f"skipped at 0: 40 bytes, noise: {'00' * 16}..."


@pytest.mark.parametrize("protocol", list(EXPLAINERS))
@pytest.mark.parametrize("cut", [slice(None), slice(0, -6), slice(2, None)])
@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_no_password_of_a_broken_frame_is_printed(
    decode: Shown, protocol: str, cut: slice, flags: tuple[str, ...]
) -> None:
    trip = "68610100000000681c1035547698333333334d333333333435599c16"  # password 654321
    _, out, error = decode(trip[cut], "--protocol", protocol, *flags)
    assert out
    assert "547698" not in out + error
    assert "x" * 6 in out


def test_no_password_is_printed(decode: Shown) -> None:
    for flags in ([], ["--json"]):
        status, out, _ = decode(raw("f48").hex(), *flags)
        assert status == 0
        assert "xxxxxx" in out
        assert raw("f48").hex() not in out


# -- files ----------------------------------------------------------------------------------------

CAPTURE = b"\xfe\xfe" + F02 + raw("f01") + b"\x00"


@pytest.mark.parametrize(
    "content",
    [
        CAPTURE,
        CAPTURE.hex().encode(),
        CAPTURE.hex(" ").upper().encode(),
        b"\xef\xbb\xbf" + CAPTURE.hex(":").encode(),
        "\r\n".join(f"0x{byte:02X}," for byte in CAPTURE).encode(),
        CAPTURE.hex("-", 4).encode() + b"\n",
    ],
    ids=["bytes", "hex", "spaced", "mark and colons", "0x and commas", "groups"],
)
def test_bytes_and_every_way_to_write_hex(decode: Shown, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "capture"
    file.write_bytes(content)
    _, expected, _ = decode(CAPTURE.hex(), "--json")
    assert decode(str(file), "--json") == (0, expected, "")


@pytest.mark.wide
@pytest.mark.parametrize("as_text", [False, True])
def test_standard_input_in_many_pieces(
    decode: Shown, monkeypatch: pytest.MonkeyPatch, as_text: bool
) -> None:
    count = 3 * PIECE_BYTES // len(F02)
    content = (F02.hex().encode() if as_text else F02) * count
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    status, out, _ = decode("-", "--json")
    assert status == 0
    found = rows(out)
    assert len(found) == count
    assert [row["offset"] for row in found] == [n * len(F02) for n in range(count)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "capture: is empty"),
        (b"68 61\n01 0g", "capture line 2 column 5: a byte with one hex digit only"),
        (b"68 61\n01 TX", "capture line 2 column 4: 'T' is no hex digit"),
        (b"68 6", "capture line 1 column 4: a byte with one hex digit only"),
        (F02.hex().encode("utf-16"), "capture: is text in UTF-16 (save it as UTF-8)"),
    ],
)
def test_a_wrong_file_is_named_with_its_place(
    decode: Shown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("capture").write_bytes(content)
    status, out, err = decode("capture", "--json")
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_what_is_neither_hex_nor_a_file(decode: Shown, tmp_path: Path) -> None:
    for words, said in (
        (["nothing.bin"], "nothing.bin: is neither a file nor hex digits"),
        (["中文"], "中文: is neither a file nor hex digits"),
        (["686"], "hex line 1 column 3: a byte with one hex digit only"),
        ([str(tmp_path)], "(name a file)"),
        (["68" * 5000 + "g"], "is neither a file nor hex digits"),
    ):
        status, out, err = decode(*words)
        assert (status, out) == (2, "")
        assert said in err


def test_long_hex_is_no_file_name() -> None:
    assert b"".join(read_capture([F02.hex() * 500])) == F02 * 500


# -- protocols ------------------------------------------------------------------------------------


def test_every_protocol_of_the_catalogue_can_be_opened() -> None:
    for name in EXPLAINERS:
        assert open_explainer(name).protocol == name
    for name in BUILDERS:
        assert {"read", "get"} & set(open_builder(name))
    assert set(BUILDERS) <= set(EXPLAINERS)


def test_a_request_of_698_is_built_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--protocol", "dlt698", "get", "--address", "161", "--oad", "00100200,40000200"]
    assert cli.main(["encode", *words]) == 0
    built = capsys.readouterr().out.strip()
    assert cli.main(["decode", built, "--protocol", "dlt698", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "meter 000000000161: GET request 00100200" in found["summary"]
    assert cli.main(["encode", *words[:-1], "001002"]) == 2
    assert capsys.readouterr().err.startswith("error: oad: ")


def test_a_register_map_names_what_a_meter_answered(capsys: pytest.CaptureFixture[str]) -> None:
    asked, answered = "010400000002 71cb", "010404 4366 8000 6fdf"  # 230.5 V
    status = cli.main(["decode", asked, answered, "--protocol", "modbus_sdm630"])
    assert "230.5" in capsys.readouterr().out
    assert status == 0
    assert cli.main(["decode", asked, "--protocol", "modbus_none"]) == 2
    assert "there is no register map 'modbus_none'" in capsys.readouterr().err


def test_the_word_of_an_installation_is_understood(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["decode", F02.hex(), "--protocol", "dlt645_2007", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["protocol"] == "dlt645-2007"


def test_an_unknown_protocol_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["decode", "68", "--protocol", "m-bus"]) == 2
    assert "'m-bus' is not known (one of dlt645-2007" in capsys.readouterr().err
    with pytest.raises(BadInput, match="m-bus"):
        open_builder("m-bus")


def test_inner_frames_are_shown_inside() -> None:
    part = Part(offset=0, raw_hex="68", name="start")
    inner = Explained(protocol="a", offset=0, raw_hex="68", summary="inner", parts=(part,))
    outer = Explained(
        protocol="b", offset=7, raw_hex="6868", summary="outer", parts=(part,), inner=(inner,)
    )
    assert list(command.lines_of(outer))[3] == "    frame at 0, 1 bytes: inner"


def test_progress_goes_to_the_terminal_only(
    decode: Shown, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    file = tmp_path / "capture"
    file.write_bytes(F02)
    status, out, _ = decode(str(file), "--json")
    assert status == 0
    assert len(rows(out)) == 1
    assert shown.getvalue() != ""
