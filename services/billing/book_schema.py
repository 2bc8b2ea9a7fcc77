"""The JSON Schemas of the files that people write: price books, contracts and usages.

They are made of the models that read the files, so that a schema and its reader never differ.

    schema_of("usage")["properties"]["period"]
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from libs.events.errors import BadInput
from services.billing.contract_file import ContractModel
from services.billing.price_book_models import BookModel
from services.billing.usage_file import UsageModel

DRAFT = "https://json-schema.org/draft/2020-12/schema"
SCHEMAS: dict[str, type[BaseModel]] = {
    "usage": UsageModel,
    "contract": ContractModel,
    "book": BookModel,
}


def schema_of(kind: str) -> dict[str, Any]:
    """The JSON Schema of one kind of file (draft 2020-12)."""
    if kind not in SCHEMAS:
        raise BadInput("--schema", f"{kind!r} is no file", f"one of {', '.join(SCHEMAS)}")
    return {"$schema": DRAFT, **SCHEMAS[kind].model_json_schema()}
