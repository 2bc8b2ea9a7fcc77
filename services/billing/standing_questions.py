"""The questions of the tariff audit that stand about an account, folded from its events.

There is at most one for each rule and point, and only few accounts have any: about 0.5 KB with a
year of months. An accepted one stays as long as the class does, so that nobody is asked twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.billing.events import TariffClassQuestioned, TariffClassSettled

ACCEPTED, AGREEMENT_CHANGED, NOT_FOUND = "accepted", "agreement_changed", "not_found"


@dataclass(frozen=True, slots=True, kw_only=True)
class TariffQuestion:
    """A question as it was asked last, and whether a person accepted the class that stands."""

    asked: TariffClassQuestioned
    is_accepted: bool = False


Questions = dict[str, TariffQuestion]
"""By rule and point: `two_part_from_315/P1`."""


def question_key(event: TariffClassQuestioned | TariffClassSettled) -> str:
    """What a question is about."""
    return f"{event.rule}/{event.point}"


def with_question(questions: Questions, event: TariffClassQuestioned) -> Questions:
    """A question asked, or asked again with other figures."""
    return {**questions, question_key(event): TariffQuestion(asked=event)}


def with_settled(questions: Questions, event: TariffClassSettled) -> Questions:
    """The questions after one was accepted, or is none any more."""
    key = question_key(event)
    if event.reason == ACCEPTED:
        return {**questions, key: replace(questions[key], is_accepted=True)}
    return {name: each for name, each in questions.items() if name != key}
