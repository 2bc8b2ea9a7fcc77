"""The bench protocol: whole runs come through in any pieces; anything else is one typed error."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.metrology.bench_protocol import (
    LINE_BYTES_MAX,
    LINES_MAX,
    BenchError,
    BenchParser,
    BrokenRun,
    GarbledLine,
    Outcome,
    ReceivedRun,
    WrongMessage,
    encode_accepted,
    encode_message,
    encode_refused,
    encode_run,
    parse_reply,
)
from tests.unit.metrology.samples import PLAN, TESTS, bench_run, measured

RUN = bench_run()
LINES = encode_run(RUN)
WIRE = b"".join(LINES)


def with_crc(**message: object) -> bytes:
    """A line made here by hand, not by the encoder under test."""
    body = json.dumps(message, sort_keys=True, separators=(",", ":"))
    message["crc32"] = f"{crc32(body.encode()):08x}"
    return json.dumps(message).encode() + b"\n"


def changed(index: int, **members: object) -> bytes:
    """The wire with members of one message changed (None removes one) and a right checksum."""
    message = json.loads(LINES[index]) | members
    kept = {name: value for name, value in message.items() if value is not None}
    kept.pop("crc32")
    return b"".join((*LINES[:index], with_crc(**kept), *LINES[index + 1 :]))


def error_of(wire: bytes) -> BenchError:
    outcomes = BenchParser().feed(wire)
    assert len(outcomes) == 1
    assert isinstance(outcomes[0], BenchError)
    return outcomes[0]


def test_a_line_is_json_with_sorted_keys_and_a_checksum() -> None:
    assert LINES[1] == (
        b'{"crc32":"9b4e3a9b","current":"0.05Ib","error_e4_pct":4000,"load":"balanced",'
        b'"power_factor":"1.0","run":"B1-0001","seq":2,"type":"point_measured"}\n'
    )


def test_a_run_written_by_hand_is_read() -> None:
    wire = (
        with_crc(
            type="run_started",
            run="B1-7",
            seq=1,
            protocol="gridledger-bench/1",
            bench_no="B1",
            reference_meter_no="R1",
            reference_class="0.05S",
            reference_due_on="2026-12-31",
            meter_no="M1",
            accuracy_class="0.5S",
            measured_at="2026-03-01T02:00:00Z",
            operator="王",
        )
        + with_crc(
            type="point_measured",
            run="B1-7",
            seq=2,
            current="1In",
            power_factor="0.5L",
            load="single_phase_a",
            error_e4_pct=-350,
        )
        + with_crc(type="test_done", run="B1-7", seq=3, test="start", result="fail")
        + with_crc(type="run_ended", run="B1-7", seq=4, points=1, tests=1)
    )
    (received,) = BenchParser().feed(wire)
    assert isinstance(received, ReceivedRun)
    assert received.run == bench_run(
        run_id="B1-7",
        accuracy_class="0.5S",
        reference_class="0.05S",
        operator="王",
        points=(measured("1In", -350, "0.5L", "single_phase_a"),),
        tests={"start": "fail"},
    )
    assert received.lines == tuple(wire.decode().splitlines())


def test_two_runs_on_one_connection() -> None:
    second = replace(RUN, run_id="B1-0002", points=PLAN[:1], tests={})
    parser = BenchParser()
    outcomes = parser.feed(WIRE + b"".join(encode_run(second)))
    assert [each.run for each in outcomes if isinstance(each, ReceivedRun)] == [RUN, second]
    assert parser.close() == ()
    assert not parser.failed


@given(st.lists(st.integers(0, len(WIRE)), max_size=30))
def test_the_pieces_do_not_matter(cuts: list[int]) -> None:
    parser = BenchParser()
    outcomes: list[Outcome] = []
    bounds = [0, *sorted(cuts), len(WIRE)]
    for start, end in pairwise(bounds):
        outcomes += parser.feed(WIRE[start:end])
    assert [each.run for each in outcomes if isinstance(each, ReceivedRun)] == [RUN]


def test_lines_may_end_with_cr_lf() -> None:
    (received,) = BenchParser().feed(WIRE.replace(b"\n", b"\r\n"))
    assert isinstance(received, ReceivedRun)


@given(
    st.integers(0, len(WIRE) - 1),
    st.integers(1, 255),
)
def test_one_changed_byte_never_gives_another_run(position: int, mask: int) -> None:
    damaged = bytearray(WIRE)
    damaged[position] ^= mask
    parser = BenchParser()
    outcomes = (*parser.feed(bytes(damaged)), *parser.close())
    for outcome in outcomes:
        assert isinstance(outcome, BenchError) or outcome.run == RUN


@given(st.binary(max_size=300))
def test_any_bytes_give_a_typed_error_or_nothing(received: bytes) -> None:
    parser = BenchParser()
    outcomes = (*parser.feed(received), *parser.close())
    assert all(isinstance(each, BenchError) for each in outcomes)
    assert len(outcomes) <= 1


@pytest.mark.parametrize(
    ("line", "field", "problem"),
    [
        (b"\n", "line", "is no JSON"),
        (b"hello\n", "line", "is no JSON"),
        (b"\xff\xfe\n", "line", "is no JSON"),
        (b"[" * 3000 + b"\n", "line", "is no JSON"),
        (b"[1]\n", "line", "is no JSON object"),
        ('{"type":"run_started"}'.encode("utf-16") + b"\n", "line", "is no JSON"),
        (b'{"type":"run_started"}\n', "crc32", "does not match the line"),
        (LINES[0].replace(b"B1-0001", b"B1-0002"), "crc32", "does not match the line"),
        (b"x" * (LINE_BYTES_MAX + 1), "line", f"is longer than {LINE_BYTES_MAX} bytes"),
        (b"x" * (LINE_BYTES_MAX + 1) + b"\n", "line", f"is longer than {LINE_BYTES_MAX} bytes"),
    ],
)
def test_a_damaged_line_is_garbled(line: bytes, field: str, problem: str) -> None:
    error = error_of(line)
    assert isinstance(error, GarbledLine)
    assert (error.field, error.problem) == (field, problem)
    assert (error.run, error.meter_no) == ("", "")
    assert error.line == line.rstrip(b"\n").decode(errors="replace")


def test_a_line_of_the_greatest_length_is_read() -> None:
    parser = BenchParser()
    assert parser.feed(b"x" * LINE_BYTES_MAX) == ()
    assert not parser.failed


def test_damage_in_a_run_names_the_run_and_its_meter() -> None:
    parser = BenchParser()
    (error,) = parser.feed(b"".join(LINES[:3]) + b"{}\n" + b"".join(LINES[3:]))
    assert isinstance(error, GarbledLine)
    assert (error.run, error.meter_no) == ("B1-0001", "M1")
    assert parser.failed
    assert parser.feed(WIRE) == ()
    assert parser.close() == ()


@pytest.mark.parametrize(
    ("wire", "field", "problem"),
    [
        (changed(1, type="point"), "type", "is 'point'"),
        (changed(1, load=None), "load", "is missing"),
        (changed(1, colour="red"), "colour", "is unknown"),
        (changed(1, error_e4_pct="5"), "error_e4_pct", "is '5'"),
        (changed(1, error_e4_pct=1.5), "error_e4_pct", "is 1.5"),
        (changed(1, error_e4_pct=True), "error_e4_pct", "is True"),
        (changed(1, error_e4_pct=1_000_001), "error_e4_pct", "is 1000001, more than 100 %"),
        (changed(1, current=""), "current", "is empty"),
        (changed(1, current="1\x00"), "current", "is '1\\x00'"),
        (changed(0, operator="\ud800"), "operator", "is '\\ud800'"),
        (changed(0, protocol="gridledger-bench/2"), "protocol", "is 'gridledger-bench/2'"),
        (changed(0, reference_class="fine"), "reference_class", "is 'fine'"),
        (changed(0, reference_due_on="soon"), "reference_due_on", "'soon' is no date"),
        (changed(0, measured_at="2026-03-01"), "measured_at", "'2026-03-01' is no instant"),
        (changed(7, result="good"), "result", "is 'good'"),
        (changed(8, test="start"), "test", "'start' came before"),
    ],
)
def test_a_wrong_content_is_named(wire: bytes, field: str, problem: str) -> None:
    error = error_of(wire)
    assert isinstance(error, WrongMessage)
    assert (error.field, error.problem) == (field, problem)
    assert error.fix
    assert error.run == "B1-0001"


@pytest.mark.parametrize(
    ("members", "field", "problem"),
    [
        ({"run": "B\ud800"}, "run", "is 'B\\ud800'"),
        ({"run": "B\n1"}, "run", "is 'B\\n1'"),
        ({"run": "B\ud800", "type": "begin"}, "type", "is 'begin'"),
    ],
)
def test_a_run_that_cannot_be_written_down_stays_unknown(
    members: dict[str, object], field: str, problem: str
) -> None:
    error = error_of(changed(0, **members))
    assert (error.field, error.problem, error.run) == (field, problem, "")


@pytest.mark.parametrize(("name", "shown"), [("a\ud800", "'a\\ud800'"), ("", "''")])
def test_a_member_that_cannot_be_written_down_is_shown_escaped(name: str, shown: str) -> None:
    error = error_of(changed(0, **{name: "x"}))
    assert (error.field, error.problem, error.run) == (shown, "is unknown", "B1-0001")


@pytest.mark.parametrize(
    ("wire", "field", "problem"),
    [
        (LINES[1], "run_started", "did not come before"),
        (LINES[0] + LINES[0], "run_ended", "another run began before it"),
        (b"".join((*LINES[:2], *LINES[3:])), "seq", "is 4, not 3"),
        (changed(0, seq=2), "seq", "is 2, not 1"),
        (changed(2, run="B1-0009"), "run", "is B1-0009, open is B1-0001"),
        (changed(10, points=5), "points", "is 5, came 6"),
        (changed(10, tests=4), "tests", "is 4, came 3"),
    ],
)
def test_messages_that_are_no_run_are_named(wire: bytes, field: str, problem: str) -> None:
    error = error_of(wire)
    assert isinstance(error, BrokenRun)
    assert (error.field, error.problem, error.run) == (field, problem, "B1-0001")


@pytest.mark.parametrize("error_e4_pct", [1_000_000, -1_000_000])
def test_an_error_of_100_percent_is_read(error_e4_pct: int) -> None:
    (received,) = BenchParser().feed(changed(1, error_e4_pct=error_e4_pct))
    assert isinstance(received, ReceivedRun)
    assert received.run.points[0].error_e4_pct == error_e4_pct


def test_an_endless_run_is_refused() -> None:
    endless = replace(RUN, points=(measured("1Ib", 1),) * LINES_MAX)
    error = error_of(b"".join(encode_run(endless)))
    assert (error.field, error.problem) == ("run", f"has more than {LINES_MAX} lines")


@pytest.mark.parametrize("cut", [len(LINES[0]), len(WIRE) // 2, len(WIRE) - 1])
def test_a_connection_closed_in_the_middle_is_an_error(cut: int) -> None:
    parser = BenchParser()
    assert parser.feed(WIRE[:cut]) == ()
    (error,) = parser.close()
    assert isinstance(error, BrokenRun)
    assert (error.field, error.run, error.meter_no) == ("run_ended", "B1-0001", "M1")
    assert parser.close() == ()


def test_half_a_first_line_is_evidence_too() -> None:
    parser = BenchParser()
    parser.feed(LINES[0][:20])
    (error,) = parser.close()
    assert isinstance(error, BrokenRun)
    assert (error.run, error.line) == ("", LINES[0][:20].decode())


def test_answers_are_read_by_the_bench() -> None:
    accepted = parse_reply(encode_accepted("B1-0001").rstrip(b"\n"))
    assert (accepted["type"], accepted["run"]) == ("run_accepted", "B1-0001")
    refused = parse_reply(encode_refused(error_of(b"hello\n")).rstrip(b"\n"))
    assert (refused["type"], refused["run"], refused["problem"]) == (
        "run_refused",
        "",
        "is no JSON",
    )
    with pytest.raises(GarbledLine):
        parse_reply(b"")
    with pytest.raises(WrongMessage):
        parse_reply(encode_message({"type": "run_ended", "run": "x"}).rstrip(b"\n"))


def test_the_sample_has_the_lines_that_the_tests_count_on() -> None:
    assert len(LINES) == 1 + len(PLAN) + len(TESTS) + 1 == 11
