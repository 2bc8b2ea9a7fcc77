"""What the simulators have in common as programs: CONFIG.json, run until told to stop.

main = partial(program, "simulators.meters", run)
sys.exit(main(sys.argv[1:]))
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from libs.events.errors import BadInput, Refused


def program(name: str, run: Callable[[Path], None], arguments: Sequence[str]) -> int:
    """Exit status 0 after a stop, 2 with one line for wrong input or a taken port."""
    if list(arguments) in (["-h"], ["--help"]):
        print(f"usage: python -m {name} CONFIG.json")
        return 0
    try:
        if len(arguments) != 1:
            raise BadInput("CONFIG", "is missing", f"python -m {name} CONFIG.json")
        run(Path(arguments[0]))
    except (BadInput, Refused) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    return 0


def stop_on_signals(stopped: asyncio.Event) -> None:
    """SIGTERM and SIGINT are told as an event, and no longer end the program."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)


async def listening(
    opening: Coroutine[Any, Any, asyncio.Server], host: str, port: int
) -> tuple[asyncio.Server, dict[str, object]]:
    """A server and where it is; Refused when the port is taken."""
    try:
        server = await opening
    except OSError as error:
        raise Refused(f"cannot listen on {host}:{port} ({error}); use port 0") from None
    return server, {"host": host, "port": server.sockets[0].getsockname()[1]}


def write_ready(file: str | Path | None, told: dict[str, object]) -> None:
    """Tell that all is open: whole or not at all, for somebody waits for this file."""
    if not file:
        return
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(path.suffix + ".part")
    half.write_text(json.dumps(told), encoding="utf-8")
    half.replace(path)
