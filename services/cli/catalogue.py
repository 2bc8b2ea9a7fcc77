"""`gridledger catalogue`: the published catalogue of events, generated and guarded.

`generate` writes docs/asyncapi.yaml and docs/schemas/ from topics.yaml and the registered types;
it refuses a change that would break a reader. `check` changes nothing and names every drift,
incompatible change and contradiction.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from libs.events.asyncapi import SCHEMAS_DIR, Party, event_schemas, generated_files
from libs.events.compatibility import common_upcasters, contradictions, incompatibilities
from libs.events.documents import read_json
from libs.events.errors import BadInput
from libs.events.registry import Document, split_full_name
from libs.events.topics import TopicTable, load_topics
from services.cores import CORES, EDGES, load_catalogue, load_core

app = typer.Typer(help="The published catalogue: AsyncAPI, JSON Schemas, compatibility.")
Docs = Annotated[
    Path, typer.Option("--docs", help="Where the catalogue is committed.", metavar="DIR")
]
BREAKS_FILE = "incompatible-changes.md"
"""Every incompatible change that somebody accepted, with the reason given."""


def load_parties() -> list[Party]:
    """All cores and edges of this release, and the tool that redrives dead letters."""
    parties = []
    for name in CORES:
        known = load_core(name, partitions=1)
        core = known.core
        parties.append(Party(name, core.catalogue, core.own_topic, core.inputs, known.written))
    parties += [Party(name, load_catalogue(name)) for name in EDGES]
    return parties


def committed_schemas(docs: Path) -> dict[str, Document]:
    """The schemas in a directory, by full name; BadInput for a file that is no JSON."""
    found: dict[str, Document] = {}
    for path in sorted((docs / SCHEMAS_DIR).glob("*.json")):
        try:
            found[path.stem] = read_json(path)
        except BadInput as wrong:
            raise BadInput(wrong.field, wrong.problem, "restore the committed file") from None
    return found


def expected_files(table: TopicTable, parties: list[Party], docs: Path) -> dict[str, str]:
    """What generation writes: the current types, and the older versions that were committed."""
    current = event_schemas(parties)
    names = {split_full_name(full_name)[0] for full_name in current}
    older = {
        full_name: schema
        for full_name, schema in committed_schemas(docs).items()
        if full_name not in current and full_name.rpartition(".v")[0] in names
    }
    return generated_files(table, parties, older)


def drifts(docs: Path, expected: dict[str, str]) -> list[str]:
    """Every file that is missing, differs, or should not be there."""
    problems = []
    for name, text in expected.items():
        path = docs / name
        if not path.is_file():
            problems.append(f"{path}: is missing")
        elif path.read_text(encoding="utf-8") != text:
            problems.append(f"{path}: differs from what the code says")
    return problems + [
        f"{path}: belongs to no type"
        for path in sorted((docs / SCHEMAS_DIR).glob("*.json"))
        if f"{SCHEMAS_DIR}/{path.name}" not in expected
    ]


def breaks(parties: list[Party], docs: Path) -> list[str]:
    """What would break a reader of the committed catalogue."""
    return incompatibilities(
        committed_schemas(docs), event_schemas(parties), common_upcasters(parties)
    )


def problems_of(docs: Path) -> dict[str, list[str]]:
    """All that `check` finds, by kind."""
    table, parties = load_topics(), load_parties()
    return {
        "contradictions": contradictions(table, parties),
        "incompatible": breaks(parties, docs),
        "drift": drifts(docs, expected_files(table, parties, docs)),
    }


@app.command(epilog="Example: gridledger catalogue check --json")
def check(
    docs: Docs = Path("docs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare the committed catalogue with the code; status 1 when anything is found."""
    _require(docs)
    found = problems_of(docs)
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        for kind, problems in found.items():
            for problem in problems:
                print(f"{kind}: {problem}")
        count = sum(len(problems) for problems in found.values())
        fix = " (`gridledger catalogue generate` writes the files)" if found["drift"] else ""
        print(f"{count} problems{fix}" if count else f"{docs}: as the code says")
    raise typer.Exit(1 if any(found.values()) else 0)


@app.command(epilog="Example: gridledger catalogue generate")
def generate(
    docs: Docs = Path("docs"),
    accept: Annotated[
        str,
        typer.Option(
            "--accept-incompatible",
            help="Write even what breaks readers; the reason is kept beside the catalogue.",
            metavar="REASON",
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write docs/asyncapi.yaml and docs/schemas/; refuses what would break a reader."""
    _require(docs)
    table, parties = load_topics(), load_parties()
    broken = breaks(parties, docs)
    if broken and not accept.strip() and as_json:
        print(json.dumps({"written": False, "files": 0, "changed": [], "incompatible": broken}))
        raise typer.Exit(1)
    if broken and not accept.strip():
        for problem in broken:
            print(f"incompatible: {problem}")
        print(
            f"{len(broken)} incompatible changes, nothing was written: raise the version and "
            "register an upcaster, or give a reason with --accept-incompatible"
        )
        raise typer.Exit(1)
    expected = expected_files(table, parties, docs)
    changed = drifts(docs, expected)
    write_files(docs, expected)
    if broken:
        _keep_reason(docs, accept.strip(), broken)
    if as_json:
        document = {"written": True, "files": len(expected), "changed": changed}
        print(json.dumps(document | {"incompatible": broken}))
        return
    print(f"{docs}: {len(expected)} files, {len(changed)} changed")


def write_files(docs: Path, expected: dict[str, str]) -> None:
    """Write every generated file and delete the schemas that belong to no type."""
    (docs / SCHEMAS_DIR).mkdir(parents=True, exist_ok=True)
    for path in (docs / SCHEMAS_DIR).glob("*.json"):
        if f"{SCHEMAS_DIR}/{path.name}" not in expected:
            path.unlink()
    for name, text in expected.items():
        (docs / name).write_text(text, encoding="utf-8")


def _keep_reason(docs: Path, reason: str, broken: list[str]) -> None:
    path = docs / BREAKS_FILE
    lines = [] if path.exists() else ["# Incompatible changes of the catalogue", ""]
    lines += [f"## {reason}", "", *(f"- {problem}" for problem in broken), ""]
    with path.open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def _require(docs: Path) -> None:
    if not docs.is_dir():
        raise BadInput("--docs", f"there is no directory {docs}", "run it in a checkout")
