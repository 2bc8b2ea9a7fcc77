"""The committed catalogue says what the code says, and nothing in it breaks a reader.

Goal: `docs/asyncapi.yaml` and `docs/schemas/` can be trusted without reading the code, and a change
that breaks a consumer is seen before it is released. Method: the check that `gridledger catalogue
check` runs, on this checkout; then every kind of incompatible change and of contradiction once, on
small catalogues, so that the check is known to fail.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from libs.events.asyncapi import (
    Party,
    asyncapi_document,
    event_schemas,
    generated_files,
    render_yaml,
)
from libs.events.compatibility import (
    SHARED_TOPICS,
    common_upcasters,
    contradictions,
    incompatibilities,
    key_unit,
)
from libs.events.registry import Catalogue
from libs.events.step import StepTaken
from libs.events.topics import Topic, TopicTable, load_topics
from services.cli.catalogue import load_parties, problems_of
from services.cli.main import main

DOCS = Path(__file__).parents[2] / "docs"


# -- this checkout ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found() -> dict[str, list[str]]:
    return problems_of(DOCS)


@pytest.mark.parametrize("kind", ["contradictions", "incompatible", "drift"])
def test_the_committed_catalogue_is_sound(kind: str, found: dict[str, list[str]]) -> None:
    """To mend a drift: `gridledger catalogue generate`, then look at the difference."""
    assert found[kind] == []


def test_generation_is_deterministic_and_complete() -> None:
    table, parties = load_topics(), load_parties()
    files = generated_files(table, parties, {})
    assert files == generated_files(load_topics(8), load_parties(), {})
    document = yaml.safe_load(files["asyncapi.yaml"])
    assert set(document["channels"]) == set(table.topics)
    for channel in document["channels"].values():
        for name in channel["messages"]:
            assert name in document["components"]["messages"]
    for name, text in files.items():
        if name.endswith(".json"):
            schema = json.loads(text)
            Draft7Validator.check_schema(schema)
            assert set(references(schema)) == {
                f"#/definitions/{each}" for each in schema.get("definitions", {})
            }


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for part in value.values() for found in references(part)]
    if isinstance(value, list):
        return [found for part in value for found in references(part)]
    return []


# -- the command --------------------------------------------------------------------------------


def test_check_names_a_drift_and_generate_mends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    docs = tmp_path / "docs"
    shutil.copytree(DOCS, docs)
    (docs / "schemas" / "gone.fact_noted.v1.json").write_text("{}")
    file = docs / "schemas" / "clock.ticked.v1.json"
    file.write_text(file.read_text().replace("Tick", "Tock").replace("business", "b"))
    assert main(["catalogue", "check", "--docs", str(docs), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert f"{file}: differs from what the code says" in report["drift"]
    assert "gone.fact_noted.v1: the type was removed" in report["incompatible"]

    assert main(["catalogue", "generate", "--docs", str(docs)]) == 1
    assert "nothing was written" in capsys.readouterr().out
    reason = "never released"
    accept = ["--accept-incompatible", reason]
    assert main(["catalogue", "generate", "--docs", str(docs), *accept]) == 0
    assert problems_of(docs)["drift"] == problems_of(docs)["incompatible"] == []
    kept = (docs / "incompatible-changes.md").read_text()
    assert f"## {reason}" in kept
    assert "- gone.fact_noted.v1: the type was removed" in kept


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalogue", "check", "--docs", str(tmp_path / "no")]) == 2
    assert "error: --docs: there is no directory" in capsys.readouterr().err
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "a.b.v1.json").write_text("{")
    assert main(["catalogue", "check", "--docs", str(tmp_path)]) == 2
    assert "(restore the committed file)" in capsys.readouterr().err


# -- compatibility: each rule once ----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    energy_wh: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    id: str
    parts: tuple[Part, ...]
    sums: dict[str, int]
    count: int | None = None
    note: str = ""


def made(name: str, **fields: tuple[Any, ...]) -> type:
    return dataclasses.make_dataclass(
        name, [(key, *given) for key, given in fields.items()], frozen=True, kw_only=True
    )


BASE: dict[str, tuple[Any, ...]] = {
    "id": (str,),
    "parts": (tuple[Part, ...],),
    "sums": (dict[str, int],),
    "count": (int | None, None),
    "note": (str, ""),
}
TextParts: Any = tuple.__class_getitem__((made("Part", energy_wh=(str,)), ...))
LongParts: Any = tuple.__class_getitem__((made("Part", energy_wh=(int,), demand_w=(int,)), ...))


def schemas_of(body: type, version: int = 1) -> dict[str, Any]:
    catalogue = Catalogue("x")
    catalogue.event("x.whole_noted", version)(body)
    found = event_schemas([Party("x", catalogue)])
    return {name: schema for name, schema in found.items() if name.startswith("x.")}


def without(name: str) -> dict[str, tuple[Any, ...]]:
    return {key: given for key, given in BASE.items() if key != name}


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        (BASE, None),
        ({**BASE, "more": (int, 0)}, None),
        ({**BASE, "more": (int,)}, ".more: a new field without a default"),
        (without("note"), ".note: the field was removed"),
        ({**BASE, "id": (int,)}, ".id: was string, is integer"),
        ({**BASE, "note": (str,)}, ".note: had a default, is required"),
        ({**BASE, "id": (str, "")}, None),
        ({**BASE, "count": (int, 0)}, ".count: was integer or null, is integer"),
        ({**BASE, "id": (str | None,)}, ".id: was string, is null or string"),
        ({**BASE, "sums": (dict[str, str],)}, ".sums{}: was integer, is string"),
        ({**BASE, "parts": (tuple[str, ...],)}, ".parts[]: was object, is string"),
        ({**BASE, "parts": (TextParts,)}, ".parts[].energy_wh: was integer, is string"),
        (
            {**BASE, "parts": (LongParts,)},
            ".parts[].demand_w: a new field without a default",
        ),
    ],
)
def test_a_change_within_a_version(fields: dict[str, Any], problem: str | None) -> None:
    found = incompatibilities(schemas_of(Whole), schemas_of(made("Whole", **fields)), frozenset())
    assert found == ([] if problem is None else [f"x.whole_noted.v1{problem}"])


def test_a_raised_version_needs_an_upcaster() -> None:
    changed = made("Whole", **{**BASE, "id": (int,)})
    old, new = schemas_of(Whole), schemas_of(changed, 2)
    assert incompatibilities(old, new, frozenset()) == ["x.whole_noted.v2: no upcaster from v1"]
    assert incompatibilities(old, new, frozenset({("x.whole_noted", 1)})) == []
    assert incompatibilities(new, old, frozenset()) == [
        "x.whole_noted.v2: the version was lowered to 1"
    ]
    assert incompatibilities(old, {}, frozenset()) == ["x.whole_noted.v1: the type was removed"]


def test_an_upcaster_counts_when_every_reader_has_it() -> None:
    owner, reader, edge = Catalogue("x"), Catalogue("y"), Catalogue("x.edge")
    owner.event("x.whole_noted", 2)(Whole)
    edge.event("x.whole_noted", 2)(made("Whole", **BASE))
    reader.reads("x.whole_noted", 2)(made("Mine", id=(str,)))
    parties = [
        Party("x", owner, own_topic="x.events"),
        Party("x.edge", edge),
        Party("y", reader, own_topic="y.events"),
    ]
    owner.upcast("x.whole_noted", 1)(lambda document: document)
    assert common_upcasters(parties) == frozenset()
    reader.upcast("x.whole_noted", 1)(lambda document: document)
    assert common_upcasters(parties) == {("x.whole_noted", 1)}


def test_older_versions_stay_in_the_document() -> None:
    table, parties = small()
    changed = Catalogue("x")
    changed.event("x.whole_noted", 2)(Whole)
    changed.event("x.step_taken")(StepTaken)
    newer = [replace(parties[0], catalogue=changed), *parties[1:]]
    older = schemas_of(Whole)
    files = generated_files(table, newer, older)
    assert json.loads(files["schemas/x.whole_noted.v1.json"]) == older["x.whole_noted.v1"]
    messages = yaml.safe_load(files["asyncapi.yaml"])["channels"]["x.events"]["messages"]
    assert list(messages) == ["x.whole_noted.v1", "x.whole_noted.v2", "x.step_taken.v1"]


# -- contradictions: each kind once ---------------------------------------------------------------


def topic(name: str, key: str, writers: str, readers: str, *carries: str) -> Topic:
    return Topic(name, key, tuple(writers.split()), tuple(readers.split()), carries, "")


def small() -> tuple[TopicTable, list[Party]]:
    """Two cores and an edge that agree about everything."""
    x, y, edge = Catalogue("x"), Catalogue("y"), Catalogue("x.edge")
    edge.event("x.part_seen")(Part)
    x.reads("x.part_seen")(Part)
    x.event("x.whole_noted")(Whole)
    y.reads("x.whole_noted")(made("Mine", id=(str,)))
    for catalogue in (x, y):
        catalogue.event(f"{catalogue.owner}.step_taken")(StepTaken)
    topics = [
        topic("x.seen", "point", "x.edge", "x", "x.part_seen"),
        topic("x.events", "as x.seen", "x", "y", "x.whole_noted", "x.step_taken"),
        topic("y.events", "point", "y", "", "y.step_taken"),
        topic("x.dlq", "as the input", "x", "dlq"),
        topic("y.dlq", "as the input", "y", "dlq"),
    ]
    parties = [
        Party("x", x, "x.events", ("x.seen",)),
        Party("y", y, "y.events", ("x.events",)),
        Party("x.edge", edge),
    ]
    return TopicTable({each.name: each for each in topics}, 2), parties


def changed(name: str, **fields: Any) -> tuple[TopicTable, list[Party]]:
    table, parties = small()
    topics = table.topics | {name: replace(table.topics[name], **fields)}
    return TopicTable(topics, 2), parties


def test_a_sound_installation_has_no_contradictions() -> None:
    assert contradictions(*small()) == []


@pytest.mark.parametrize(
    ("name", "fields", "problem"),
    [
        (
            "y.events",
            {"key": "account"},
            "y: reads topics with different keys (y.events by account, x.events by point)",
        ),
        ("x.seen", {"readers": ()}, "x: reads x.seen according to its code only"),
        ("x.seen", {"readers": ("x", "y")}, "y: reads x.seen according to topics.yaml only"),
        ("x.seen", {"writers": ("x.edge", "y")}, "x.seen: two writers (x.edge, y)"),
        ("x.seen", {"writers": ("z",)}, "x.seen: written by z, which nobody knows"),
        ("x.seen", {"writers": ("y",)}, "y: writes x.seen according to topics.yaml only"),
        (
            "x.seen",
            {"carries": ()},
            "x.edge: registers x.part_seen, which no topic it writes carries",
        ),
        ("x.seen", {"carries": ()}, "x: reads x.part_seen, which none of its inputs carries"),
        (
            "y.events",
            {"carries": ("y.step_taken", "x.whole_noted")},
            "y.events: carries x.whole_noted, which none of its writers registers",
        ),
    ],
)
def test_a_contradiction_is_named(name: str, fields: dict[str, Any], problem: str) -> None:
    assert problem in contradictions(*changed(name, **fields))


def test_a_reader_of_another_version_is_named() -> None:
    table, parties = small()
    newer = Catalogue("x")
    newer.reads("x.part_seen")(Part)
    newer.event("x.whole_noted", 2)(Whole)
    newer.event("x.step_taken")(StepTaken)
    parties[0] = replace(parties[0], catalogue=newer)
    (problem,) = contradictions(table, parties)
    assert problem.startswith("y: reads x.whole_noted.v1, its writer has v2")
    lone = [parties[1]]
    assert "y: reads x.whole_noted, which nobody registers" in contradictions(table, lone)


def test_a_core_of_an_unknown_topic_is_named() -> None:
    table, parties = small()
    parties[1] = replace(parties[1], inputs=("x.nothing",))
    assert "y: x.nothing is not in topics.yaml" in contradictions(table, parties)


def test_cores_that_wake_each_other_for_ever_are_named() -> None:
    table, parties = small()
    parties[0] = replace(parties[0], inputs=(*parties[0].inputs, parties[1].own_topic))
    (problem,) = [text for text in contradictions(table, parties) if "never rest" in text]
    assert problem.startswith(("x <- y <- x: ", "y <- x <- y: "))


def test_the_unit_of_a_key() -> None:
    table = load_topics()
    assert key_unit(table, "payments.notices") == key_unit(table, "payments.events") == "account"
    assert key_unit(table, "customers.supply") == "usage point"
    assert key_unit(table, "calendar") == "every"
    assert set(SHARED_TOPICS) == {"payments.notices", "payments.postings"}


def test_yaml_has_no_anchors_and_keeps_its_order() -> None:
    table, parties = small()
    document = asyncapi_document(table, parties, event_schemas(parties))
    text = render_yaml(document)
    assert yaml.safe_load(text) == document
    assert "&id" not in text
    assert list(yaml.safe_load(text)["channels"]) == sorted(table.topics)
