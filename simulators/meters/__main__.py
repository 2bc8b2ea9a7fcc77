"""`python -m simulators.meters CONFIG.json`: run simulated meters until told to stop."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path

from simulators.meters.config import load_config
from simulators.meters.server import Simulator
from simulators.program import program


def run(config: Path) -> None:
    """Serve with the settings in a file until told to stop; BadInput names what is wrong, Refused
    a port that is taken."""
    asyncio.run(Simulator(load_config(config)).run())


main = partial(program, "simulators.meters", run)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
