"""`gridledger book`: check price books and publish them."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import Annotated

import typer

from libs.events.kafka import TransactionalWriter
from services.billing.api import SOURCE, publish_book
from services.billing.price_book import book_key
from services.billing.price_book_file import load_book
from services.cli.records import open_cluster
from services.settings import load_settings

app = typer.Typer(help="Price books: check files and publish them to every partition.")
Files = Annotated[list[Path], typer.Argument(help="Price books (YAML).", metavar="FILE...")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(epilog="Example: gridledger book publish books/cq_residential.yaml --by 'tariff desk'")
def publish(
    files: Files,
    by: Annotated[str, typer.Option(help="Who publishes; default: the user.")] = "",
    as_json: AsJson = False,
) -> None:
    """Publish books, each to every partition of `tariffs` in one transaction."""
    books = [load_book(file) for file in files]
    settings = load_settings().settings
    open_cluster(settings).close()  # says at once what a writer says only after a minute
    writer = TransactionalWriter(settings.kafka(), SOURCE)
    published = {
        book_key(book): publish_book(writer, book, by or getpass.getuser(), settings.partitions)
        for book in books
    }
    if as_json:
        print(json.dumps(published, indent=1))
        return
    for key, digest in published.items():
        print(f"{key} published, content {digest[:16]}")


@app.command(epilog="Example: gridledger book check books/cq_residential.yaml")
def check(files: Files, as_json: AsJson = False) -> None:
    """Read books and say what is wrong with them; needs no broker."""
    books = [load_book(file) for file in files]
    if as_json:
        print(json.dumps([book_key(book) for book in books]))
        return
    for book in books:
        lists = ", ".join(book.price_lists)
        print(f"{book_key(book)}: {book.region}, from {book.from_on}, lists {lists}")
