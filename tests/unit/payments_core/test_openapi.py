"""The callback edge against its own OpenAPI document: every answer is a documented one."""

from __future__ import annotations

import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from services.payments.channels.profile import Profiles
from services.payments.notices import NoticeReceived
from services.payments.webhooks import make_app

OPERATIONS = (
    ("/notify/wechat/{merchant}", "POST"),
    ("/notify/alipay/{merchant}", "POST"),
    ("/notify/pos/{acquirer}", "POST"),
    ("/healthz", "GET"),
)
EXAMPLES = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,  # the same requests in every run
    database=None,
    suppress_health_check=list(HealthCheck),
)


# Any text fits Alipay's form, and /healthz takes nothing: no request is wrong for them.
@pytest.mark.parametrize(
    ("path", "method", "mode"),
    [(*each, GenerationMode.POSITIVE) for each in OPERATIONS]
    + [(*OPERATIONS[number], GenerationMode.NEGATIVE) for number in (0, 2)],
)
def test_every_answer_is_as_documented(
    profiles: Profiles, path: str, method: str, mode: GenerationMode
) -> None:
    records: list[NoticeReceived] = []

    async def append(key: str, record: NoticeReceived) -> None:
        records.append(record)

    app = make_app(profiles, append, now=lambda: 1767225600, nonce=lambda: os.urandom(12))
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    assert {(p, m.upper()) for p in schema for m in schema[p]} == set(OPERATIONS)

    @EXAMPLES
    @given(schema[path][method].as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        case.call_and_validate()

    ask()
    # Nothing that was made up here is truly signed: it may be evidence, never money.
    assert all(record.verdict == "refused" for record in records)


@pytest.mark.parametrize("path", [path for path, method in OPERATIONS if method == "POST"])
def test_a_true_name_with_any_body_is_refused_evidence(profiles: Profiles, path: str) -> None:
    records: list[NoticeReceived] = []

    async def append(key: str, record: NoticeReceived) -> None:
        records.append(record)

    app = make_app(profiles, append, now=lambda: 1767225600, nonce=lambda: os.urandom(12))
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    _, channel, parameter = path.removeprefix("/").split("/")
    name = next(iter(getattr(profiles, channel)))

    @EXAMPLES
    @given(schema[path]["POST"].as_strategy())
    def ask(case: Any) -> None:
        case.path_parameters = {parameter.strip("{}"): name}
        answer = case.call()
        case.validate_response(answer, excluded_checks=[positive_data_acceptance])
        # A signature is no matter of a schema: what fits it is refused all the same.
        assert answer.status_code in (400, 401)

    ask()
    assert records
    assert {record.verdict for record in records} == {"refused"}
