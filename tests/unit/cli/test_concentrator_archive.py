"""`gridledger protocols archive`: what it finds, as a table and as JSON, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.cli import main as cli
from services.ingest.protocols.qgdw376.archive import ArchiveEntry, encode_entries
from services.ingest.protocols.qgdw376.frame import (
    QUERY,
    Frame,
    Sequence,
    encode_frame,
    parse_address,
)
from services.ingest.protocols.qgdw376.points import encode_identifier

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples" / "frames"
CAPTURE, REGISTER = EXAMPLES / "archive.txt", EXAMPLES / "installations.csv"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = cli.main(["protocols", "archive", *map(str, arguments)])
    said = capsys.readouterr()
    return status, said.out, said.err


def answer(*entries: ArchiveEntry, terminal: str = "0200-1234") -> bytes:
    """An answer to 0AH F10."""
    frame = Frame(
        address=parse_address(terminal),
        afn=QUERY,
        sequence=Sequence(1),
        body=encode_identifier((0,), (10,)) + encode_entries(entries),
        function=8,
        from_terminal=True,
        starter=False,
    )
    return encode_frame(frame)


def test_what_differs(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, CAPTURE, "--installed", REGISTER, "--json")
    assert status == 1
    assert json.loads(out) == [
        {
            "concentrator": "0200-1234",
            "entries": 4,
            "missing": [{"address": "000000000164", "pn": 6}],
            "foreign": [{"number": 4, "pn": 5, "address": "000000009999"}],
            "moved": [{"address": "000000000163", "pn": 4, "registered_pn": 3}],
            "twice": [],
        }
    ]


def test_an_archive_as_registered_and_one_with_a_point_taken_twice(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    register = tmp_path / "installations.csv"
    rows = [f"P{n},qgdw376,0200-1234/{n}/00000000000{n}" for n in (1, 2)]
    register.write_text("usage_point,protocol,address\n" + "\n".join(rows) + "\n", "utf-8")
    entries = [ArchiveEntry(number=n, pn=n, address=f"00000000000{n}") for n in (1, 2)]
    capture = tmp_path / "answer.bin"
    unused = ArchiveEntry(number=3, pn=0, address="000000000009")
    capture.write_bytes(answer(entries[0]) + answer(entries[1], unused))
    status, out, _ = run(capsys, capture, "--installed", register)
    assert (status, out) == (0, "0200-1234: 2 entries, as registered\n")
    again = ArchiveEntry(number=3, pn=2, address="000000000001")
    capture.write_bytes(answer(*entries, again) + answer(entries[0], terminal="0200-0001"))
    status, out, _ = run(capsys, capture, "--installed", register)
    assert status == 1
    assert "0200-0001: 1 entries" in out
    assert [line.split() for line in out.splitlines() if "twice" in line] == [
        ["twice", "p2"],
        ["twice", "000000000001"],
    ]
    assert max(len(line) for line in out.splitlines()) <= 80


GOOD = answer(ArchiveEntry(number=1, pn=1, address="000000000001"))


@pytest.mark.parametrize(
    ("capture", "register", "problem"),
    [
        (b"", "usage_point,protocol,address\n", "is empty"),
        (b"no hex at all", "usage_point,protocol,address\n", "line 1"),
        (GOOD[:-5], "usage_point,protocol,address\n", "broken frame (incomplete)"),
        (GOOD[:-2] + b"\0\x16", "usage_point,protocol,address\n", "broken frame (checksum)"),
        (b"\0\0\0", "usage_point,protocol,address\n", "has no archive"),
        (GOOD, "", "is empty"),
        (GOOD, "usage_point,protocol\n", "address"),
        (GOOD, "usage_point,protocol,address\nP1,qgdw376,161\n", "line 2 address: '161' names"),
    ],
)
def test_bad_input_is_one_line(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    capture: bytes,
    register: str,
    problem: str,
) -> None:
    file, installed = tmp_path / "capture", tmp_path / "installed.csv"
    file.write_bytes(capture)
    installed.write_text(register, encoding="utf-8")
    status, out, err = run(capsys, file, "--installed", installed)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert problem in err


def test_a_damaged_entry_and_a_missing_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    whole = answer(ArchiveEntry(number=1, pn=1, address="000000000001"))
    body = bytearray(whole[6:-2])
    place = body.index(bytes.fromhex("010000000000"))
    body[place] = 0xAB  # no digits
    user = bytes(body)
    damaged = whole[:6] + user + bytes((sum(user) % 256, 0x16))
    capture = tmp_path / "capture"
    capture.write_bytes(damaged)
    status, _, err = run(capsys, capture, "--installed", REGISTER)
    assert (status, "archive entry 1 has the address" in err) == (2, True)
    status, _, err = run(capsys, CAPTURE, "--installed", tmp_path / "none.csv")
    assert (status, "none.csv" in err) == (2, True)
