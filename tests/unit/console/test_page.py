"""The status page: what it counts is right, and what it serves is the page and its data."""

from __future__ import annotations

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from libs.events.codec import encode
from libs.events.record import Envelope, Record, TopicPartition, envelope_headers
from libs.events.step import Run, StepTaken
from libs.events.topics import load_topics
from services.billing.events import ReleaseRejected
from services.console.ledger import Ledger
from services.console.main import page_requests
from services.console.views import FINDINGS, StatusView
from services.customers.events import OpeningRejected, Row, RowRejected
from services.payments.events import BindingRejected
from tests.unit.asking import WRONG_METHODS, ask, served

PLACE = TopicPartition("ingest.readings", 0)


def record(topic: str, offset: int, name: str, body: bytes = b"{}", subject: str = "P1") -> Record:
    envelope = Envelope(
        f"x/{topic}/{offset}", f"{name}.v1", "x", "2026-03-01T00:00:00Z", subject, cause="a/0/0/0"
    )
    return Record(topic, 0, offset, subject.encode(), body, envelope_headers(envelope), 0)


def step(offset: int, *runs: Run, rejected: int = 0) -> Record:
    decided = sum(run.count for run in runs) - rejected
    taken = StepTaken(
        runs=runs,
        positions={run.topic: run.next for run in runs},
        decided=decided,
        rejected=rejected,
        silent=0,
        dead_lettered=0,
        as_of="2026-03-01T00:00:00Z",
        decider="d",
        pending=None,
    )
    return record("validation.events", offset, "validation.step_taken", encode(taken))


def read(first: int, following: int, count: int) -> Run:
    return Run(topic=PLACE.topic, first=first, next=following, count=count)


def hop_of(view: StatusView) -> dict[str, int]:
    (found,) = [hop for hop in view.document()["hops"] if hop["input"] == PLACE.topic]
    return {name: found[name] for name in ("decided", "lag", "lost", "doubled")}


def seen(*steps: Record, offsets: tuple[int, ...] = (0, 1, 3, 4)) -> StatusView:
    """A view of readings at some offsets (2 is a control record) and of the steps over them."""
    view = StatusView(load_topics(1))
    for offset in offsets:
        view.note(record(PLACE.topic, offset, "ingest.registers_read"))
    for each in steps:
        view.note(each)
    return view


@pytest.mark.parametrize(
    ("runs", "wanted"),
    [
        (((0, 4, 3),), (3, 1, 0, 0)),
        (((0, 2, 2), (3, 5, 2)), (4, 0, 0, 0)),
        (((0, 1, 1), (3, 5, 2)), (3, 0, 1, 0)),
        (((0, 4, 2),), (2, 1, 1, 0)),
        (((0, 4, 3), (1, 5, 3)), (6, 0, 0, 2)),
    ],
    ids=["one waits", "all", "one skipped", "one not counted", "two decided twice"],
)
def test_a_hop_counts_what_was_decided_lost_and_doubled(
    runs: tuple[tuple[int, int, int], ...], wanted: tuple[int, int, int, int]
) -> None:
    view = seen(*(step(number, read(*run)) for number, run in enumerate(runs)))
    assert tuple(hop_of(view).values()) == wanted


def test_a_step_may_be_seen_before_its_inputs() -> None:
    ledger = Ledger()
    ledger.note_run("validation", PLACE, 0, 2, 2)
    ledger.settle()
    assert (ledger.lag("validation", PLACE), ledger.hops["validation", PLACE].decided) == (0, 0)
    ledger.note_input(PLACE, 0)
    ledger.note_input(PLACE, 1)
    ledger.settle()
    hop = ledger.hops["validation", PLACE]
    assert (hop.decided, hop.lost, hop.doubled) == (2, 0, 0)


def test_the_newest_findings_come_first_and_each_once() -> None:
    view = seen()
    body = b'{"day_on": "2026-02-28", "findings": [{"rule": "spike"}]}'
    for number in range(40):
        name = f"P{number}"
        view.note(record("validation.events", number, "validation.reading_rejected", body, name))
    view.note(record("metrology.findings", 0, "metrology.correction_proposed"))
    found = view.document()["findings"]
    assert [row["key"] for row in found] == [f"P{number}" for number in range(39, 9, -1)]
    assert found[0]["detail"] == "day_on 2026-02-28; rules spike"
    assert found[0]["where"] == "validation.events[0]@39"
    assert found[0]["what"]["zh"] == "读数被判不用"


ROW = Row(file="meters", line=8, natural_key="M-1", kind="", valid_from_on="2026-01-01", values={})


@pytest.mark.parametrize(
    ("name", "body", "detail"),
    [
        (
            "customers.row_rejected",
            RowRejected(row=ROW, import_id="import-1", field="kind", problem="state change"),
            "meters.csv line 8; field kind; problem state change",
        ),
        (
            "customers.opening_rejected",
            OpeningRejected(opening_id="opening-1", account_no="1", problem="is not known"),
            "problem is not known",
        ),
        (
            "payments.binding_rejected",
            BindingRejected(request_id="b", suspense_key="a:1", problem="is bound"),
            "problem is bound",
        ),
        (
            "billing.release_rejected",
            ReleaseRejected(request_id="r", account_no="1", bill_id="b", problem="is not held"),
            "problem is not held",
        ),
    ],
)
def test_what_was_asked_for_and_refused_reaches_a_person(
    name: str, body: object, detail: str
) -> None:
    view = StatusView(load_topics(1))
    view.note(record(f"{name.partition('.')[0]}.events", 0, name, encode(body)))
    (found,) = view.document()["findings"]
    assert (found["type"], found["detail"]) == (name, detail)
    assert found["what"]["zh"]
    assert found["what"]["en"]


def test_every_finding_exists_and_has_both_names() -> None:
    table = load_topics(1)
    own = [
        name
        for topic in table.topics
        if topic.endswith(".events")
        for name in table.topics[topic].carries
    ]
    assert FINDINGS.keys() - set(own) == set()
    assert all(names.keys() == {"zh", "en"} for names in FINDINGS.values())


def test_dead_letters_and_what_cannot_be_read_are_counted_and_harm_nothing() -> None:
    view = seen(step(0, read(0, 5, 4), rejected=1))
    view.note(Record("validation.dlq", 0, 0, b"P1", b"\xff", (("dlq.reason", b"body"),), 0))
    view.note(Record("ingest.readings", 0, 9, b"P1", b"\xff", (), 0))
    found = view.document()
    assert (found["dead_letters"], found["lost"], found["doubled"]) == (1, 0, 0)
    assert found["cores"]["validation"]["rejected"] == 1
    assert found["events"]["ingest.registers_read"] == 4


@pytest.fixture
def port() -> Iterator[int]:
    with served(page_requests(seen(step(0, read(0, 5, 4))), threading.Lock())) as port:
        yield port


@pytest.fixture
def url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def get(url: str) -> tuple[str, bytes]:
    with urllib.request.urlopen(url, timeout=5) as answer:
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        return answer.headers["Content-Type"], answer.read()


@pytest.mark.parametrize("path", ["/", "/index.html", "/?lang=zh"])
def test_the_page_needs_nothing_from_elsewhere(url: str, path: str) -> None:
    kind, body = get(url + path)
    assert kind == "text/html; charset=utf-8"
    assert b"//" not in body.replace(b"<!doctype html>", b""), "no address but its own"


def test_the_data_is_json_and_the_rest_is_not_found(url: str) -> None:
    kind, body = get(f"{url}/status.json")
    assert kind == "application/json"
    assert json.loads(body)["lost"] == 0
    assert get(f"{url}/healthz")[1] == b"ok\n"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(f"{url}/elsewhere")


@pytest.mark.parametrize("path", ["/elsewhere", "/status.json/", "/%00", "/../status.json"])
def test_what_is_not_there_is_named_in_a_line(port: int, path: str) -> None:
    wanted = (404, "text/plain; charset=utf-8", b"GET /, /status.json, /field.json or /healthz\n")
    assert ask(port, "GET", path) == wanted


@WRONG_METHODS
def test_the_page_is_only_read(port: int, method: str) -> None:
    status, kind, body = ask(port, method, "/status.json", b"{}")
    assert (status, kind) == (405, "text/plain; charset=utf-8")
    wanted = f"{method} is not answered here: use GET\n".encode()
    assert body == (b"" if method == "HEAD" else wanted)


def test_a_line_that_is_no_request_is_400(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 5) as line:
        line.sendall(b"GET / HTTP/x\r\n\r\n")
        assert line.makefile("rb").read() == b"Bad request version ('HTTP/x')\n"
