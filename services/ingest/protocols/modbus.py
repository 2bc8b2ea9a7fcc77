"""Modbus meters: the maps that come with GridLedger and those an installation adds.

    SDM630.registers                        # the shipped map of `modbus_sdm630`
    load_maps(Path("/etc/gridledger/modbus"))["modbus_ours"]

What registers are is in `modbus_registers`, how a file is written in `modbus_map_file`, the driver
in `modbus_tcp`. The names below are the ones that drivers, simulators and tests use.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from services.ingest.protocols.modbus_map_file import load_map, load_maps
from services.ingest.protocols.modbus_registers import (
    READ_INPUT_REGISTERS,
    Register,
    RegisterMap,
    RegisterRead,
    decode_float32,
    decode_registers,
    encode_float32,
    float32_step,
    plan_reads,
)

__all__ = [
    "READ_INPUT_REGISTERS",
    "SDM630",
    "Register",
    "RegisterMap",
    "RegisterRead",
    "decode_float32",
    "decode_registers",
    "encode_float32",
    "float32_step",
    "load_maps",
    "plan_reads",
    "shipped_maps",
]

SDM630 = load_map(Path(__file__).parent / "modbus_maps" / "eastron_sdm630.yaml")
"""Reactive energy is by direction here, not by quadrant: the meter does not keep the quadrants."""


@cache
def shipped_maps() -> dict[str, RegisterMap]:
    """The maps that come with GridLedger, by protocol; read once."""
    return load_maps()
