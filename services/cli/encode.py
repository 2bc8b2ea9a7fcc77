"""`gridledger encode`: any request of a protocol, as the bytes that go on the wire.

    gridledger encode --protocol dlt645-2007 read --address 161 --di 00010000
    gridledger encode --protocol dlt645-2007 relay --address 161 --command trip \\
        --valid-until 2026-01-31T16:00:00Z --secrets passwords.txt

Without a request the requests of the protocol and their fields are listed. Passwords are never
arguments, which everybody on the machine can see: `--secrets FILE` (or `-`, standard input) holds
lines `name=value`; one line without `=` is the `password`. The hex that is printed carries them.

With --json one object is printed:

    {"protocol": "...", "request": "read", "hex": "68...", "bytes": 16, "fields": {"di": "..."},
     "summary": "..."}

`fields` are the values given, secret ones as ""; `summary` is what `gridledger decode` says of it.
Exit 0, or 2 for bad input; nothing else can go wrong.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from libs.events.errors import BadInput
from services.ingest.protocols.building import Builder, RequestKind
from services.ingest.protocols.catalogue import BUILDERS, open_builder, open_explainer
from services.ingest.protocols.explanation import Explained

STANDARD_INPUT = "-"
SECRETS_BYTES_MAX = 10_000

app = typer.Typer(help="Build any request to a meter and print it as hex.")


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="Example: gridledger encode --protocol dlt645-2007 read --address 161 --di 00010000",
)
def encode(
    context: typer.Context,
    protocol: Annotated[str, typer.Option(help=f"One of {', '.join(BUILDERS)}.")],
    request: Annotated[
        str, typer.Argument(help="The request; leave it out for a list.", metavar="REQUEST")
    ] = "",
    secrets: Annotated[
        str, typer.Option(help="File (or -) with lines name=value.", metavar="FILE")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Build any request to a meter and print it as hex. Its fields follow as --name VALUE.

    Requests that change one meter refuse wildcard and broadcast addresses.
    Exit 0, or 2 for bad input.
    """
    builder = open_builder(protocol)
    if not request and not context.args:
        _print_requests(builder)
        return
    kind = builder.get(request)
    if kind is None:
        raise BadInput("request", f"{request!r} is not known", f"one of {', '.join(builder)}")
    given = parse_fields(kind, context.args)
    hidden = read_secrets(secrets) if secrets else {}
    built = kind.build(given | hidden)
    if not as_json:
        print(built.hex())
        return
    row = {
        "protocol": protocol,
        "request": request,
        "hex": built.hex(),
        "bytes": len(built),
        "fields": given | dict.fromkeys(hidden, ""),
        "summary": _summary(protocol, built),
    }
    print(json.dumps(row, ensure_ascii=False))


def parse_fields(kind: RequestKind, arguments: Sequence[str]) -> dict[str, str]:
    """`--name VALUE` and `--name=VALUE` as a mapping; BadInput for anything else."""
    names = [field.name for field in kind.fields if not field.secret]
    found: dict[str, str] = {}
    words = list(arguments)
    while words:
        name, equals, value = words.pop(0).partition("=")
        if not name.startswith("--"):
            raise BadInput(name, "is no field", f"write --name VALUE; one of {', '.join(names)}")
        name = name.removeprefix("--")
        if any(field.name == name and field.secret for field in kind.fields):
            raise BadInput(name, "must not be an argument", "put it in a file for --secrets")
        if name not in names:
            raise BadInput(f"--{name}", "is not known here", f"one of {', '.join(names)}")
        if name in found:
            raise BadInput(f"--{name}", "is given twice", "give it once")
        if not equals:
            if not words:
                raise BadInput(f"--{name}", "has no value", "give one behind it")
            value = words.pop(0)
        found[name] = value
    return found


def read_secrets(name: str) -> dict[str, str]:
    """Lines `name=value` of a file or standard input; one line without `=` is the password.

    BadInput names the line, never what it holds.
    """
    if name == STANDARD_INPUT:
        raw = sys.stdin.buffer.read(SECRETS_BYTES_MAX + 1)
    else:
        with Path(name).open("rb") as file:
            raw = file.read(SECRETS_BYTES_MAX + 1)
    if len(raw) > SECRETS_BYTES_MAX:
        raise BadInput("secrets", f"more than {SECRETS_BYTES_MAX} bytes", "give the right file")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput("secrets", "is not UTF-8 text", "save it as UTF-8") from None
    found: dict[str, str] = {}
    lines = [line.strip() for line in text.splitlines()]
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        key, equals, value = line.partition("=")
        key, value = (key.strip(), value.strip()) if equals else ("password", line)
        if key in found or not value:
            raise BadInput(f"secrets line {number}", "is empty or given twice", "write name=value")
        found[key] = value
    if not found:
        raise BadInput("secrets", "is empty", "write lines name=value")
    return found


def _summary(protocol: str, built: bytes) -> str:
    explainer = open_explainer(protocol)
    found = [*explainer.feed(built), *explainer.end()]
    return "; ".join(item.summary for item in found if isinstance(item, Explained))


def _print_requests(builder: Builder) -> None:
    table = Table("request", "field", "meaning", box=None)
    for name, kind in builder.items():
        table.add_row(name, "", kind.summary)
        for field in kind.fields:
            label = f"{field.name} (secret)" if field.secret else f"--{field.name}"
            needed = "" if field.default is None else f" [{field.default or 'none'}]"
            table.add_row("", label, field.meaning + needed.replace("[", "\\["))
    Console().print(table)
