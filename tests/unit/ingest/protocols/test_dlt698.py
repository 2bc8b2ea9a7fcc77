"""DL/T 698.45 through its package: the golden frames, requests, and a meter read over TCP."""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.ingest.protocols.dlt698 import (
    get_request,
    obis_of,
    parse_oad,
    quantities,
    read_tcp,
    reraise_unknown,
)
from services.ingest.protocols.dlt698_explanation import make_explainer
from services.ingest.protocols.explanation import Explained, Unexplained
from services.ingest.protocols.failures import BadReply, LineDown

dlt698 = pytest.importorskip("dlt698")
GOLDEN = Path(__file__).parents[3] / "golden" / "dlt698_frames.json"
FRAMES: dict[str, dict[str, Any]] = {
    row["id"]: row for row in json.loads(GOLDEN.read_text(encoding="utf-8"))["frames"]
}


def raw(name: str) -> bytes:
    return bytes.fromhex(FRAMES[name]["hex"])


def explain(data: bytes, cut: int = 0) -> list[Explained | Unexplained]:
    explainer = make_explainer()
    pieces = [data[n : n + cut] for n in range(0, len(data), cut)] if cut else [data]
    found = [each for piece in pieces for each in explainer.feed(piece)] + list(explainer.end())
    assert "".join(each.raw_hex for each in found) == data.hex()
    for each in found:
        if isinstance(each, Explained):
            assert "".join(part.raw_hex for part in each.parts) == each.raw_hex
            places = [(part.offset, len(part.raw_hex) // 2) for part in each.parts]
            assert all(a + size == b for (a, size), (b, _) in pairwise(places))
    return found


def one(data: bytes) -> Explained:
    (found,) = explain(data)
    assert isinstance(found, Explained)
    return found


@pytest.mark.parametrize(
    ("name", "address", "client", "oads"),
    [
        ("o01", "000000000000", 0, ["40000200"]),
        ("o03", "003708191239", 11, ["00100200"]),
        ("o04", "003708191239", 11, ["00100200", "00200200"]),
        ("o05", "003708191239", 11, ["00000200", "00100200", "00200200"]),
        ("o06", "111111111111", 16, ["40030200"]),
        ("o07", "201605190907", 0, ["40010200"]),
        ("o08", "aaaaaaaaaaaa", 16, ["40010200"]),
    ],
)
def test_the_golden_requests(name: str, address: str, client: int, oads: list[str]) -> None:
    found = one(raw(name))
    assert found.fields["service"] == "GET request"
    assert (found.fields["address"], found.fields["client"]) == (address, client)
    assert found.fields["oads"] == oads
    assert [p.value[:8] for p in found.parts if p.name == "OAD"] == oads
    # the package refuses the PIID of o08 (a reserved bit); the frame is explained all the same
    assert found.fields["problem"] == ("PIID reserved bit" if name == "o08" else "")


def test_the_golden_response() -> None:
    found = one(raw("o02"))
    assert found.fields["service"] == "GET response"
    (data,) = [part for part in found.parts if part.name == "data"]
    assert data.value == FRAMES["o02"]["value"] == "2026-10-07T14:16:26"
    assert data.raw_hex == "1c07ea0a070e101a"
    assert [p.name for p in found.parts[:7]] == [
        "start",
        "length",
        "control",
        "address type",
        "address",
        "client",
        "HCS, right",
    ]


def test_a_request_is_built_byte_for_byte() -> None:
    assert get_request("000000000000", ["40000200"]) == raw("o01")
    assert get_request("003708191239", ["00100200"], client=11, piid=16) == raw("o03")
    assert get_request("003708191239", ["00100200", "00200200"], client=11, piid=5) == raw("o04")


@pytest.mark.parametrize(
    ("address", "oads", "client", "field"),
    [
        ("12", ["40000200"], 0, "address"),
        ("999999999999", ["40000200"], 0, "address"),
        ("000000000001", [], 0, "oad"),
        ("000000000001", ["4000"], 0, "oad"),
        ("000000000001", ["40000200"], 256, "oad"),
    ],
)
def test_what_cannot_be_asked(address: str, oads: list[str], client: int, field: str) -> None:
    with pytest.raises(BadInput) as caught:
        get_request(address, oads, client=client)
    assert caught.value.field == field


def response(*results: Any) -> bytes:
    """A frame of a meter with results as they are."""
    native = dlt698._native
    attributes = [
        native.AttributeResult(attribute=parse_oad(oad), result=result) for oad, result in results
    ]
    answer = native.GetResponse(attributes=attributes, list=len(results) > 1, piid_acd=1)
    server = native.ServerAddress(bytes=bytes(6), type=native.AddressType.single)
    frame = native.Frame(client=0, control=0xC3, payload=native.encode_apdu(answer), server=server)
    return bytes(native.encode_frame(frame))


def test_energies_and_voltages_are_exact() -> None:
    data = dlt698.Data
    total = data.array([data.uint32(v) for v in (123456, 1, 2, 3, 4)])
    volts = data.array([data.uint16(v) for v in (2301, 2302, 2303)])
    found = one(response(("00100200", total), ("20000200", volts), ("40030200", 4)))
    values: Any = found.fields["values"]
    assert [(v["obis"], v["value"], v["unit"]) for v in values[:5]] == [
        ("1-0:1.8.0", "1234560", "Wh"),
        ("1-0:1.8.1", "10", "Wh"),
        ("1-0:1.8.2", "20", "Wh"),
        ("1-0:1.8.3", "30", "Wh"),
        ("1-0:1.8.4", "40", "Wh"),
    ]
    assert [(v["obis"], v["value"]) for v in values[5:8]] == [
        ("1-0:32.7.0", "230.1"),
        ("1-0:52.7.0", "230.2"),
        ("1-0:72.7.0", "230.3"),
    ]
    assert values[8] == {"oad": "40030200", "value": "DAR 4"}
    assert found.summary.endswith(", 8 values")


def test_one_rate_and_fine_energy() -> None:
    (rate,) = quantities(parse_oad("00100203"), dlt698.Data.uint32(7))
    assert (rate.obis, rate.value, rate.scale, rate.unit) == ("1-0:1.8.2", 70, 1, "Wh")
    fine = dlt698.Data.array([dlt698.Data.uint64(v) for v in (12345, 0, 0, 0, 0)])
    first = quantities(parse_oad("00100400"), fine)[0]
    assert (first.value, first.scale, first.unit) == (12345, 10, "Wh")  # 1.2345 kWh
    assert quantities(parse_oad("40000200"), dlt698.Data.null()) == ()
    assert obis_of(0x2000, 3) == obis_of(0x4000, 0) == ""


def test_a_meter_is_read_over_tcp() -> None:
    data = dlt698.Data
    with dlt698.Server() as server:
        total = data.array([data.uint32(v) for v in (123456, 1, 2, 3, 4)])
        server.set(parse_oad("00100200"), total)
        server.start_tcp("127.0.0.1", 0)
        port = server.local_port
        found = read_tcp("127.0.0.1", port, ["00100200", "00300200"])
    energies = found["00100200"]
    assert isinstance(energies, tuple)
    assert [(q.obis, q.value) for q in energies][:2] == [
        ("1-0:1.8.0", 1_234_560),
        ("1-0:1.8.1", 10),
    ]
    assert found["00300200"] == 4  # DAR: object undefined
    with pytest.raises(LineDown, match=f"dlt698:127.0.0.1:{port}"):
        read_tcp("127.0.0.1", port, ["00100200"])


def test_a_time_that_is_none_and_a_flag() -> None:
    never = dlt698.Data.date_time_s([0x07, 0xEA, 13, 40, 25, 61, 61])
    (data,) = [p for p in one(response(("40000200", never))).parts if p.name == "data"]
    assert data.value == "[7, 234, 13, 40, 25, 61, 61]"
    text = dlt698.Data.octet_string(b"\xab")
    (data,) = [p for p in one(response(("40010200", text))).parts if p.name == "data"]
    assert data.value == "ab"


def test_fewer_answers_than_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    class Short:
        attributes = ()

        def connect_tcp(self, host: str, port: int) -> None:
            pass

        def get_list(self, oads: list[Any]) -> Short:
            return self

        def close(self) -> None:
            pass

    monkeypatch.setattr(dlt698, "Client", Short)
    with pytest.raises(BadReply, match="0 answers to 1 OADs"):
        read_tcp("127.0.0.1", 1, ["00100200"])


def test_noise_checksums_and_halves() -> None:
    good = raw("o01")
    wrong = good[:-3] + b"\0" + good[-2:]
    found = explain(b"\xfe\xfe" + good + wrong + b"\x68\xff\xff" + good + good[:9])
    assert [each.reason for each in found if isinstance(each, Unexplained)] == [
        "lead",
        "checksum",
        "incomplete",
    ]
    assert sum(isinstance(each, Explained) for each in found) == 2
    assert [
        each.reason for each in explain(good[:-1] + b"\0") if isinstance(each, Unexplained)
    ] == ["end"]


@settings(deadline=None)
@given(st.integers(1, 40))
def test_cutting_the_stream_changes_no_frame(cut: int) -> None:
    stream = b"\x00" + raw("o02") + raw("o05") + b"\x68"
    whole = [each for each in explain(stream) if isinstance(each, Explained)]
    assert len(whole) == 2
    assert [each for each in explain(stream, cut) if isinstance(each, Explained)] == whole


def framed(apdu: bytes) -> bytes:
    """Any APDU in a good frame."""
    native = dlt698._native
    server = native.ServerAddress(bytes=bytes(6), type=native.AddressType.single)
    frame = native.Frame(client=0, control=0xC3, payload=apdu, server=server)
    return bytes(native.encode_frame(frame))


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_apdu_in_a_good_frame_is_accounted_for(body: bytes) -> None:
    for service in (b"", b"\x05\x02\x01", b"\x85\x01\x01", b"\x85\x02\x01"):
        explain(framed(service + body))


def test_an_apdu_that_nobody_can_decode_is_told_whole() -> None:
    assert one(framed(b"\x85\x01")).summary.endswith("not decoded: PIID")


def test_a_request_without_a_time_tag_has_no_rest() -> None:
    found = one(framed(bytes.fromhex("05010040000200")))
    assert [part.name for part in found.parts][-3:] == ["OAD", "FCS, right", "end"]


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dlt698._native", None)
    with pytest.raises(BadInput, match=r"pip install gridledger\[dlt698\]"):
        make_explainer()


def test_a_bug_is_not_taken_for_bad_input() -> None:
    with pytest.raises(KeyError):
        reraise_unknown(KeyError("x"))
