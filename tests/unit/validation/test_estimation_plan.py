"""The estimation plan: what it must say, and that a document of it reads back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from libs.events.errors import BadInput
from services.validation.estimation_methods import METHODS
from services.validation.estimation_plan import (
    DEFAULT_PLAN,
    PARAMETERS,
    check_plan,
    plan_document,
    plan_of,
    unconfirmed,
)


def document(**changes: Any) -> dict[str, Any]:
    return {**plan_document(DEFAULT_PLAN), **changes}


def test_the_default_plan_is_whole_and_names_what_nobody_confirmed() -> None:
    assert check_plan(DEFAULT_PLAN) is DEFAULT_PLAN
    assert DEFAULT_PLAN.name == "default.v1"
    assert set(PARAMETERS) == set(METHODS)
    assert [step.method for step in DEFAULT_PLAN.steps] == list(PARAMETERS)
    assert all(step.source for step in DEFAULT_PLAN.steps)
    assert "linear.gap_max_min" in unconfirmed(DEFAULT_PLAN)
    assert "same_weekday.samples" not in unconfirmed(DEFAULT_PLAN)


def test_a_plan_reads_back_from_its_document_and_from_texts() -> None:
    profiles = {"home": {"workday": (1,) * 24, "restday": (2,) * 24}}
    plan = replace(DEFAULT_PLAN, id="city", version=3, class_profiles=profiles, residual="last")
    assert plan_of(plan_document(plan)) == plan
    texts = {"id": "a", "version": "2", "steps": [{"method": "linear", "gap_max_min": "120"}]}
    read = plan_of(texts)
    assert (read.name, read.steps[0].gap_max_min) == ("a.v2", 120)
    assert read.like_days == DEFAULT_PLAN.like_days


STEP = {"method": "linear"}
DAYS = dict(DEFAULT_PLAN.like_days)


@pytest.mark.parametrize(
    ("wrong", "field", "problem"),
    [
        ([1], "plan", "is no table"),
        ({1: 2}, "plan", "is no table"),
        ({}, "id", "is missing"),
        (document(colour="red"), "colour", "is unknown"),
        (document(id=""), "id", "is empty"),
        (document(version="x"), "version", "'x' is no whole number"),
        (document(version=0), "version", "is 0"),
        (document(valid_from_on="2026"), "valid_from_on", "'2026' is no date"),
        (document(residual="first"), "residual", "'first' is unknown"),
        (document(steps={}), "steps", "is no list"),
        (document(steps=[]), "steps", "are none"),
        (document(steps=["linear"]), "steps[1]", "is no table"),
        (document(steps=[{}]), "steps[1].method", "'' is unknown"),
        (document(steps=[STEP, {"method": "guess"}]), "steps[2].method", "'guess' is unknown"),
        (document(steps=[{**STEP, "unit": 1}]), "steps[1].unit", "is unknown"),
        (document(steps=[{**STEP, "gap_max_min": 10**9}]), "steps[1].gap_max_min", "is 1000000000"),
        (document(steps=[{**STEP, "gap_max_min": -1}]), "steps[1].gap_max_min", "no whole number"),
        (document(steps=[{**STEP, "gap_max_min": 1.5}]), "steps[1].gap_max_min", "no whole number"),
        (
            document(steps=[{**STEP, "parameters": {"x": 1}}]),
            "steps[1].parameters.x",
            "is unknown",
        ),
        (
            document(steps=[{"method": "like_day"}]),
            "steps[1].parameters.window_days",
            "is missing",
        ),
        (
            document(steps=[{"method": "like_day", "parameters": {"window_days": 0}}]),
            "steps[1].parameters.window_days",
            "is 0",
        ),
        (document(like_days={"monday": ["monday"]}), "like_days.tuesday", "is missing"),
        (document(like_days={**DAYS, "monday": ["mon"]}), "like_days.monday", "'mon' is unknown"),
        (document(like_days={**DAYS, "payday": []}), "like_days.payday", "'payday' is unknown"),
        (document(class_profiles={"a": {}}), "class_profiles.a", "has nothing"),
        (
            document(class_profiles={"a": {"workday": [1], "restday": [1]}}),
            "class_profiles.a.workday",
            "is no day",
        ),
        (
            document(class_profiles={"a": {"workday": [-1] * 24}}),
            "class_profiles.a.workday",
            "no whole number",
        ),
    ],
)
def test_a_wrong_plan_names_the_field(wrong: Any, field: str, problem: str) -> None:
    with pytest.raises(BadInput) as refused:
        plan_of(wrong)
    assert refused.value.field == field
    assert problem in refused.value.problem


def test_a_profile_of_negative_hours_is_refused() -> None:
    profiles = {"home": {"workday": (-1,) * 24, "restday": (2,) * 24}}
    with pytest.raises(BadInput, match=r"class_profiles\.home\.workday: is no day"):
        check_plan(replace(DEFAULT_PLAN, class_profiles=profiles))
