"""The configuration of the concentrator simulator: one JSON file, checked before anything starts.

    {"clock": {"mode": "simulated", "start_at": "2026-02-01T02:00:00Z"},
     "address": "0200-1234", "master_host": "127.0.0.1", "master_port": 5100,
     "ready_file": "ready.json", "journal": "journal.jsonl",
     "meters": [{"address": "000000000161", "base_at": "2025-12-31T16:00:00Z"}],
     "bad_radio": ["000000000161"],
     "archive": {"missing": [3], "foreign": {"7": "000000009999"}, "moved": {"4": 12}}}

Meters are those of simulators/meters/config.py; the first is behind p1, the second behind p2. With
`listen_port` instead of a master it waits for one to dial out (0: a free port, see the ready file).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from libs.events.documents import read_json
from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.frame import is_meter_address
from services.ingest.protocols.qgdw376.frame import parse_address
from services.ingest.protocols.qgdw376.points import MAX_PN
from simulators.meters.config import (
    ClockConfig,
    DayTable,
    LineConfig,
    MeterConfig,
    SimulatorConfig,
    parse_config,
)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ArchiveConfig(_Model):
    """How the archive differs from the meters: points it lacks, entries of meters nobody has (Pn to
    address), meters it has at another point (their Pn to the other)."""

    missing: list[int] = Field(default_factory=list)
    foreign: dict[str, str] = Field(default_factory=dict)
    moved: dict[str, int] = Field(default_factory=dict)


class ConcentratorConfig(_Model):
    """One concentrator.

    heartbeat_s, reconnect_s: how often; freezes_kept: days. max_body_bytes: a longer answer comes
    in several frames. bad_radio: addresses of meters it could not reach to freeze, and that answer
    every second forwarding only. omit_absent: points without a freeze are left out of an answer
    instead of filled with EEH.
    """

    address: str
    clock: ClockConfig = ClockConfig()
    zone_minutes: int = 480
    holidays_on: list[str] = Field(default_factory=list)
    day_tables: dict[str, DayTable] = Field(default_factory=dict)
    meters: Annotated[list[MeterConfig], Field(min_length=1, max_length=MAX_PN)]
    master_host: str = "127.0.0.1"
    master_port: Annotated[int, Field(ge=0, le=65535)] = 0
    listen_host: str = "127.0.0.1"
    listen_port: Annotated[int, Field(ge=-1, le=65535)] = -1
    heartbeat_s: Annotated[float, Field(gt=0)] = 60.0
    reconnect_s: Annotated[float, Field(gt=0)] = 1.0
    freezes_kept: Annotated[int, Field(ge=1, le=366)] = 31
    max_body_bytes: Annotated[int, Field(ge=64, le=16_000)] = 1000
    omit_absent: bool = False
    bad_radio: list[str] = Field(default_factory=list)
    archive: ArchiveConfig = ArchiveConfig()
    journal: str = ""
    ready_file: str = ""
    control_host: str = "127.0.0.1"
    control_port: Annotated[int, Field(ge=0, le=65535)] = 0

    def as_meters(self) -> SimulatorConfig:
        """Its meters as a configuration of the meter simulator, checked there."""
        line = LineConfig(name=self.address, kind="tcp", meters=self.meters)
        whole = SimulatorConfig(
            clock=self.clock,
            zone_minutes=self.zone_minutes,
            holidays_on=self.holidays_on,
            day_tables=self.day_tables,
            lines=[line],
        )
        return parse_config(whole.model_dump(mode="json"))


def parse_concentrator(document: object) -> ConcentratorConfig:
    """The checked configuration; BadInput names the first wrong field and what is right."""
    try:
        config = ConcentratorConfig.model_validate_json(json.dumps(document))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "configuration"
        fix = f"got {first['input']!r}"[:80] + "; see simulators/concentrator/config.py"
        raise BadInput(field, first["msg"], fix) from None
    if not parse_address(config.address).names_one:
        raise BadInput("address", f"{config.address} names no one terminal", "give 0001 to FFFE")
    if (config.listen_port >= 0) == bool(config.master_port):
        raise BadInput("master_port", "dials in or listens", "give master_port or listen_port")
    config.as_meters()
    known = {meter.address for meter in config.meters}
    for address in config.bad_radio:
        if address not in known:
            raise BadInput("bad_radio", f"{address!r} is no meter here", "give addresses of meters")
    _check_archive(config)
    return config


def _check_archive(config: ConcentratorConfig) -> None:
    last = len(config.meters)
    for pn in (*config.archive.missing, *_numbers("moved", config.archive.moved)):
        if not 1 <= pn <= last:
            raise BadInput("archive", f"p{pn} has no meter", f"use 1 to {last}")
    for pn in (*config.archive.moved.values(), *_numbers("foreign", config.archive.foreign)):
        if not 1 <= pn <= MAX_PN:
            raise BadInput("archive", f"p{pn} is no point", f"use 1 to {MAX_PN}")
    for address in config.archive.foreign.values():
        if not is_meter_address(address):
            raise BadInput("archive.foreign", f"{address!r} is no address", "give 12 digits")


def _numbers(name: str, keyed: dict[str, str] | dict[str, int]) -> list[int]:
    try:
        return [int(key) for key in keyed]
    except ValueError:
        raise BadInput(f"archive.{name}", f"{list(keyed)}", "use point numbers as keys") from None


def load_concentrator(path: Path) -> ConcentratorConfig:
    """The configuration in a JSON file; BadInput names the file, the field and the fix."""
    document = read_json(path)
    try:
        return parse_concentrator(document)
    except BadInput as wrong:
        fix = wrong.fix or "see simulators/concentrator/config.py"
        raise BadInput(f"{path}: {wrong.field}", wrong.problem, fix) from None
