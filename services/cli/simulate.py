"""`gridledger simulate`: simulated meters, concentrators, gateways and a bench, each a process."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Run a simulator that speaks the real protocol and misbehaves on demand.")
Config = Annotated[Path, typer.Argument(help="Its configuration (JSON).", metavar="CONFIG")]


def _run(name: str, config: Path) -> None:
    module = importlib.import_module(f"simulators.{name}.__main__")
    module.run(config)


@app.command(epilog="Example: gridledger simulate meters meters.json")
def meters(config: Config) -> None:
    """Meters behind TCP lines, pseudo-terminals and Modbus TCP; see simulators/meters/config.py."""
    _run("meters", config)


@app.command(epilog="Example: gridledger simulate gateways gateways.json")
def gateways(config: Config) -> None:
    """WeChat Pay, Alipay and a POS acquirer; see simulators/gateways/__main__.py."""
    _run("gateways", config)


@app.command(epilog="Example: gridledger simulate bench bench.json")
def bench(config: Config) -> None:
    """A verification bench; see simulators/bench/config.py."""
    _run("bench", config)


@app.command(epilog="Example: gridledger simulate concentrator concentrator.json")
def concentrator(config: Config) -> None:
    """A Q/GDW 376.1 concentrator with its meters; see simulators/concentrator/config.py."""
    _run("concentrator", config)
