"""The configuration of the meter simulator: one JSON file, checked before anything starts.

    {"clock": {"mode": "simulated", "start_at": "2026-01-01T00:00:00Z"},
     "ready_file": "ready.json", "journal": "journal.jsonl",
     "day_tables": {"peak": [["00:00", 4], ["08:00", 3], ["10:00", 2], ["15:00", 3]]},
     "lines": [{"name": "area-7", "kind": "tcp", "meters": [
         {"address": "000000000161", "shape": "H25", "annual_kwh": 2400, "day_table": "peak"}]}]}

Two meters may have the same address on a line when one's `removed_at` is not after the other's
`installed_at`: that is a meter exchange.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from libs.events.documents import read_json
from libs.events.errors import BadInput
from libs.events.quantities import parse_scaled
from services.ingest.protocols.dlt645.frame import MAX_DATA_BYTES, is_meter_address
from services.ingest.protocols.dlt645.values import epoch_s
from simulators.load_shapes import SHAPES
from simulators.meters.gate import LOSS_SCALE

RATIO_SCALE = 10_000
MAX_SHOWN_KWH = 150_000
"""A year's energy whose highest power fits XX.XXXX kW with a sign (79.9999) in every shape."""
DayTable = list[tuple[str, int]]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ClockConfig(_Model):
    """wall: registers follow the real time; simulated: only what the control port sets."""

    mode: Literal["wall", "simulated"] = "wall"
    start_at: str = "2026-01-01T00:00:00Z"


class RatioConfig(_Model):
    """Exact decimals: export and q1, q4 per imported energy, q2 and q3 per exported energy."""

    export: str = "0"
    q1: str = "0.2"
    q2: str = "0"
    q3: str = "0"
    q4: str = "0.02"

    def scaled(self, name: str) -> int:
        """One ratio in 1e-4."""
        return parse_scaled(getattr(self, name), RATIO_SCALE, f"ratios.{name}")


class MeterConfig(_Model):
    """One simulated meter.

    id: names it in the journal and on the control port; address or unit when not given.
    annual_kwh: what the customer takes; behind transformers of `ratio` (CT x VT) the registers show
    annual_kwh / ratio. base_at: from when it counts (the installation or the clock's start by
    default); initial_wh: registers then, by OBIS code (1-0:1.8.1, 2.8.1, 5.8.1 ...; a 1.8.0 alone
    is spread over the rates). rates: how many its blocks have, used or not. digits: whole kWh
    digits before a register rolls over. drift_s: its clock is ahead by so many seconds. passwords:
    by level. esam_root_hex: with a root key, it obeys its security module only (`esam`).
    close_mode: permit-close closes at once (as in the field capture) or waits for the button.
    sum_of: a gate meter 台区总表 that measures what these meters (ids) truly take, and loss_pct
    of it that gets lost.
    Demand and settlement begin anew on the 1st at 00:00. For odd meters:
    `record_separators`, `frame_data_bytes`.
    """

    id: str = ""
    address: str = ""
    unit: int = 0
    meter_class: Literal["0.2S", "0.5S", "1", "2"] = "2"
    phases: Literal[1, 3] = 1
    shape: str = "H25"
    annual_kwh: Annotated[int, Field(ge=0, le=1_000_000_000)] = 2400
    ratio: Annotated[int, Field(ge=1)] = 1
    day_table: str = ""
    rates: Annotated[int, Field(ge=1, le=8)] = 4
    ratios: RatioConfig = RatioConfig()
    installed_at: str = ""
    removed_at: str = ""
    base_at: str = ""
    initial_wh: dict[str, int] = Field(default_factory=dict)
    digits: Annotated[int, Field(ge=1, le=6)] = 6
    voltage_v: str = "220.0"
    drift_s: int = 0
    relay: Literal["closed", "open"] = "closed"
    close_mode: Literal["closes", "button"] = "closes"
    passwords: dict[str, str] = Field(default_factory=lambda: {"02": "000000"})
    esam_root_hex: Annotated[str, Field(pattern="^([0-9a-fA-F]{32})?$")] = ""
    sum_of: list[str] = Field(default_factory=list)
    loss_pct: str = "0"
    record_separators: Literal["all", "own"] = "all"
    frame_data_bytes: Annotated[int, Field(ge=20, le=MAX_DATA_BYTES)] = MAX_DATA_BYTES

    def loss_e2_pct(self) -> int:
        """The technical loss behind a gate, in 1/100 per cent."""
        return parse_scaled(self.loss_pct, 100, f"{self.name}.loss_pct")

    @property
    def name(self) -> str:
        """What the control port calls it."""
        return self.id or self.address or f"unit-{self.unit}"


class LineConfig(_Model):
    """tcp: one listening port, meters by address. pty: a pseudo-terminal. modbus_tcp: units;
    modbus_rtu: units on a pseudo-terminal."""

    name: str
    kind: Literal["tcp", "pty", "modbus_tcp", "modbus_rtu"]
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    meters: list[MeterConfig]


class SimulatorConfig(_Model):
    """Everything one simulator does. Ports of 0 are chosen free and told in the ready file."""

    clock: ClockConfig = ClockConfig()
    zone_minutes: int = 480
    holidays_on: list[str] = Field(default_factory=list)
    journal: str = ""
    ready_file: str = ""
    control_host: str = "127.0.0.1"
    control_port: Annotated[int, Field(ge=0, le=65535)] = 0
    day_tables: dict[str, DayTable] = Field(default_factory=dict)
    lines: list[LineConfig]


def parse_config(document: object) -> SimulatorConfig:
    """The checked configuration; BadInput names the first wrong field and what is right."""
    try:
        config = SimulatorConfig.model_validate_json(json.dumps(document))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "configuration"
        fix = f"got {first['input']!r}"[:80] + "; see simulators/meters/config.py"
        raise BadInput(field, first["msg"], fix) from None
    names: set[str] = set()
    for line in config.lines:
        for meter in line.meters:
            _check_meter(config, line, meter)
            if meter.name in names:
                raise BadInput("id", f"two meters are called {meter.name}", "give each its own id")
            names.add(meter.name)
        _check_addresses(line)
    _check_gates(config, names)
    return config


def load_config(path: Path) -> SimulatorConfig:
    """The configuration in a JSON file; BadInput names the file, the field and the fix."""
    document = read_json(path)
    try:
        return parse_config(document)
    except BadInput as wrong:
        fix = wrong.fix or "see simulators/meters/config.py"
        raise BadInput(f"{path}: {wrong.field}", wrong.problem, fix) from None


def _check_meter(config: SimulatorConfig, line: LineConfig, meter: MeterConfig) -> None:
    where = f"lines.{line.name}.{meter.name}"
    if line.kind.startswith("modbus_"):
        if not 1 <= meter.unit <= 247:
            raise BadInput(f"{where}.unit", f"{meter.unit} is no Modbus unit", "use 1 to 247")
    elif not is_meter_address(meter.address):
        raise BadInput(f"{where}.address", f"{meter.address!r} is no address", "give 12 digits")
    if meter.shape not in SHAPES:
        known = ", ".join(SHAPES)
        raise BadInput(f"{where}.shape", f"{meter.shape!r} is no load shape", f"use one of {known}")
    if meter.annual_kwh > MAX_SHOWN_KWH * meter.ratio:
        least = -(-meter.annual_kwh // MAX_SHOWN_KWH)
        raise BadInput(
            f"{where}.ratio", f"{meter.ratio}: demand XX.XXXX kW", f"give {least} or more"
        )
    if meter.day_table and meter.day_table not in config.day_tables:
        raise BadInput(f"{where}.day_table", f"{meter.day_table!r} is not in day_tables", "add it")
    for _, rate in config.day_tables.get(meter.day_table, []):
        if rate > meter.rates:
            raise BadInput(f"{where}.rates", f"{meter.rates}", f"the day table uses rate {rate}")
    for name in ("export", "q1", "q2", "q3", "q4"):
        meter.ratios.scaled(name)
    for at in (meter.installed_at, meter.removed_at, meter.base_at):
        if at:
            epoch_s(at)
    parse_scaled(meter.voltage_v, 10, f"{where}.voltage_v")


def _check_gates(config: SimulatorConfig, names: set[str]) -> None:
    """A gate sums meters that are there and are no gates; its loss is below everything."""
    gates = [meter for line in config.lines for meter in line.meters if meter.sum_of]
    usual = names - {gate.name for gate in gates}
    for gate in gates:
        for name in gate.sum_of:
            if name not in usual:
                raise BadInput(f"{gate.name}.sum_of", f"{name!r} is no usual meter", "give ids")
        if not 0 <= gate.loss_e2_pct() < LOSS_SCALE:
            raise BadInput(f"{gate.name}.loss_pct", gate.loss_pct, "give 0 up to 99.99")


def _check_addresses(line: LineConfig) -> None:
    """Two meters at one address must follow one another."""
    by_address: dict[str, list[MeterConfig]] = {}
    for meter in line.meters:
        by_address.setdefault(meter.address or str(meter.unit), []).append(meter)
    for address, meters in by_address.items():
        ordered = sorted(meters, key=lambda meter: meter.installed_at)
        for old, new in pairwise(ordered):
            if not old.removed_at or old.removed_at > new.installed_at:
                raise BadInput(
                    f"lines.{line.name}",
                    f"{old.name} and {new.name} both have address {address}",
                    "give the first a removed_at not after the other's installed_at",
                )
