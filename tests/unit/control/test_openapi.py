"""The control edge against its own OpenAPI document: what fits it is taken, what does not is named.

Goal: whoever reads the document knows every answer. Method: schemathesis makes requests that fit it
(each is taken and reaches the log) and requests that do not (each is refused, names the field, and
leaves no trace), the same ones in every run.
"""

from __future__ import annotations

import calendar
import re
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from services.control.api_parts import INSTANT_PATTERN
from services.control.instant import parse_instant
from tests.unit.control.samples import ACCOUNT
from tests.unit.control.test_accounts import PASSWORD
from tests.unit.control.test_api import ROUTES, Office, in_document

pytestmark = pytest.mark.wide

MAY = {in_document(path): min(people) for path, (_, people) in ROUTES.items()}
"""Each operation, and a person who may ask for it."""

EXAMPLES = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def authorization(person: str) -> dict[str, str]:
    basic = httpx.BasicAuth(person, PASSWORD)
    request = next(basic.auth_flow(httpx.Request("POST", "http://control")))
    return {"Authorization": request.headers["Authorization"]}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return Office(tmp_path_factory.mktemp("control"))


@pytest.fixture(scope="module")
def schema(office: Office) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", office.app)


def test_every_operation_is_asked(schema: Any) -> None:
    found = {(path, method.upper()) for path in schema for method in schema[path]}
    assert found == {(path, "POST") for path in MAY} | {("/healthz", "GET")}


@pytest.mark.parametrize("path", MAY)
def test_what_fits_the_document_is_taken(office: Office, schema: Any, path: str) -> None:
    headers = authorization(MAY[path])

    @EXAMPLES
    @given(schema[path]["POST"].as_strategy(generation_mode=GenerationMode.POSITIVE))
    def ask(case: Any) -> None:
        office.log.taken.clear()
        answer = case.call(headers=headers)
        case.validate_response(answer, headers=headers)
        assert answer.status_code == 202
        ((key, request),) = office.log.taken
        if path == "/weather":
            assert answer.json()["request_id"] == request.statement_id
            assert (key, request.person) == ("", MAY[path])
            return
        assert answer.json()["request_id"] == request.request_id
        assert (key, request.person) == (request.account_no, MAY[path])

    ask()


@pytest.mark.parametrize("path", MAY)
def test_what_does_not_fit_is_refused_and_named(office: Office, schema: Any, path: str) -> None:
    headers = authorization(MAY[path])
    office.log.taken.clear()

    @EXAMPLES
    @given(schema[path]["POST"].as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def ask(case: Any) -> None:
        # What does not fit may be the credentials themselves: then ours must not hide it.
        sent = {} if "Authorization" in (case.headers or {}) else headers
        answer = case.call(headers=sent)
        case.validate_response(answer, headers=sent)
        assert 400 <= answer.status_code < 500, case.as_curl_command()
        if answer.status_code == 422:
            (first, *_) = answer.json()["errors"]
            assert re.match(
                r"(body|path\.(case|dispute)_id|header\.idempotency-key)", first["field"]
            )
            assert answer.json()["detail"] == f"{first['field']}: {first['problem']}"

    ask()
    assert office.log.taken == []


def test_nobody_is_told_that_they_are_unknown(office: Office, schema: Any) -> None:
    @EXAMPLES
    @given(schema["/cases"]["POST"].as_strategy())
    def ask(case: Any) -> None:
        headers = {"Authorization": "Basic bm9ib2R5Og=="}
        answer = case.call(headers=headers)
        case.validate_response(answer, headers=headers)
        assert answer.status_code == 401

    ask()


def test_alive_is_as_documented(schema: Any) -> None:
    @EXAMPLES
    @given(schema["/healthz"]["GET"].as_strategy())
    def ask(case: Any) -> None:
        case.call_and_validate()

    ask()


@pytest.mark.parametrize("year", [1000, 1900, 1999, 2000, 2024, 2026, 2100, 2400, 2999])
def test_the_document_knows_the_calendar(year: int) -> None:
    """Every month from 27 to 32: a day fits exactly when the calendar has it."""
    for month in range(1, 13):
        for day in range(27, 33):
            text = f"{year}-{month:02}-{day:02}T23:59:59Z"
            there = day <= calendar.monthrange(year, month)[1]
            assert bool(re.fullmatch(INSTANT_PATTERN, text)) == there, text
            if there:
                parse_instant(text, "at")


def test_a_leap_day_is_there_in_leap_years_only() -> None:
    fits = [year for year in range(1000, 3000)
            if re.fullmatch(INSTANT_PATTERN, f"{year}-02-29T00:00:00Z")]  # fmt: skip
    assert fits == [year for year in range(1000, 3000) if calendar.isleap(year)]


def test_a_leap_day_at_the_edge(office: Office) -> None:
    wanted = {"account_no": ACCOUNT, "usage_point": "P1"}
    for at, status in (("2028-02-29T00:00:00Z", 202), ("2026-02-29T00:00:00Z", 422)):
        answer = office.post("wang", "/cases", {**wanted, "window_from_at": at})
        assert answer.status_code == status, answer.text


def test_a_slash_more_is_no_redirect(office: Office) -> None:
    assert office.post("wang", "/cases/", {}).status_code == 404


def test_bytes_that_are_no_text_are_a_wrong_body(office: Office) -> None:
    answer = office.client.post(
        "/cases",
        content=b'{"account_no": "\xff"}',
        headers={**authorization("wang"), "Content-Type": "application/json"},
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "body"
    assert answer.json()["detail"].startswith("body: ")
