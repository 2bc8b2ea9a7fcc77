"""The callback edge against its own OpenAPI document: every answer is a documented one."""

from __future__ import annotations

import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from services.payments.channels.profile import Profiles
from services.payments.notices import NoticeReceived
from services.payments.webhooks import make_app

OPERATIONS = (
    ("/notify/wechat/{merchant}", "POST"),
    ("/notify/alipay/{merchant}", "POST"),
    ("/notify/pos/{acquirer}", "POST"),
    ("/healthz", "GET"),
)


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_answer_is_as_documented(profiles: Profiles, path: str, method: str) -> None:
    records: list[NoticeReceived] = []

    async def append(key: str, record: NoticeReceived) -> None:
        records.append(record)

    app = make_app(profiles, append, now=lambda: 1767225600, nonce=lambda: os.urandom(12))
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    assert {(p, m.upper()) for p in schema for m in schema[p]} == set(OPERATIONS)

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(schema[path][method].as_strategy())
    def ask(case: Any) -> None:
        case.call_and_validate()

    ask()
    # Nothing that was made up here is truly signed: it may be evidence, never money.
    assert all(record.verdict == "refused" for record in records)


def test_a_true_name_with_any_body_is_refused_evidence(profiles: Profiles) -> None:
    records: list[NoticeReceived] = []

    async def append(key: str, record: NoticeReceived) -> None:
        records.append(record)

    app = make_app(profiles, append, now=lambda: 1767225600, nonce=lambda: os.urandom(12))
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    name = next(iter(profiles.wechat))

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(schema["/notify/wechat/{merchant}"]["POST"].as_strategy())
    def ask(case: Any) -> None:
        case.path_parameters = {"merchant": name}
        # A signature is no matter of a schema: what fits it is refused all the same.
        assert case.call().status_code in (400, 401)

    ask()
    assert records
    assert {record.verdict for record in records} == {"refused"}
