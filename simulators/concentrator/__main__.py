"""`python -m simulators.concentrator CONFIG.json`: a simulated concentrator, until told to stop."""

from __future__ import annotations

import sys
from pathlib import Path

from libs.events.errors import BadInput, Refused
from simulators.concentrator.config import load_concentrator
from simulators.concentrator.server import serve

USAGE = "usage: python -m simulators.concentrator CONFIG.json"


def run(config: Path) -> None:
    """Serve with the settings in a file until told to stop; BadInput names what is wrong."""
    serve(load_concentrator(config))


def main(argv: list[str]) -> int:
    """Exit status 0 after a stop, 2 with one line for wrong input or a taken port."""
    if len(argv) != 1:
        print(USAGE, file=sys.stderr)
        return 2
    try:
        run(Path(argv[0]))
    except (BadInput, Refused) as error:
        print(f"simulators.concentrator: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
