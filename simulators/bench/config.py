"""The settings of a simulated bench, read from a JSON file.

{"bench_no": "B1", "reference_meter_no": "R-77", "reference_class": "0.05",
 "reference_due_on": "2027-03-01", "operator": "lab-3",
 "edge_port": 7810, "control_port": 0, "journal": "bench.jsonl", "seed": 7}
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from libs.events.documents import read_json
from libs.events.errors import BadInput


class BenchConfig(BaseModel):
    """All settings. A control port of 0 takes a free one; it is told on standard output and, when
    one is named, in `ready_file`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bench_no: str = Field(min_length=1)
    reference_meter_no: str = Field(min_length=1)
    reference_class: str = Field(default="0.05", pattern=r"^\d(\.\d{1,4})?S?$")
    reference_due_on: date
    operator: str = Field(min_length=1)
    edge_host: str = "127.0.0.1"
    edge_port: int = Field(ge=1, le=65535)
    control_host: str = "127.0.0.1"
    control_port: int = Field(default=0, ge=0, le=65535)
    journal: Path
    ready_file: Path | None = None
    seed: int = 0
    reply_timeout_s: float = Field(default=5.0, gt=0)
    retry_delay_s: float = Field(default=0.2, gt=0)
    retry_delay_s_max: float = Field(default=2.0, gt=0)
    attempts_max: int = Field(default=200, ge=1)


def bad_input(error: ValidationError) -> BadInput:
    """The first finding of pydantic as our own error: field, problem and fix in one line."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or "document"
    fix = f"{error.error_count()} wrong in all, see simulators/bench/config.py"
    return BadInput(field, first["msg"], fix)


def load_config(path: Path) -> BenchConfig:
    """The settings in a file; BadInput names the file or the field, and the fix."""
    document = read_json(path)
    try:
        return BenchConfig.model_validate_json(json.dumps(document))
    except ValidationError as error:
        found = bad_input(error)
        raise BadInput(f"{path}: {found.field}", found.problem, found.fix) from None
