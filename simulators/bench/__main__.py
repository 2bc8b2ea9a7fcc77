"""Runs a simulated bench: `python -m simulators.bench CONFIG.json`.

When it is ready it tells its control port as one JSON line on standard output and in `ready_file`:

    {"ready": "bench", "pid": 4711, "control_port": 40001}

It ends with 0 on SIGTERM, SIGINT or the request `stop`, with 2 when it was given something wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from libs.events.errors import BadInput
from simulators.bench.config import BenchConfig, load_config
from simulators.bench.control import REQUEST_BYTES_MAX, Control
from simulators.bench.journal import Journal
from simulators.bench.line import Line


async def serve(config: BenchConfig) -> None:
    """Serve the control port and send runs until told to stop."""
    try:
        journal = Journal(config.journal)
    except OSError as error:
        problem = f"{config.journal} cannot be written: {error.strerror}"
        raise BadInput("journal", problem, "give a writable path") from None
    line = Line(config, journal)
    control = Control(config, line, journal)
    try:
        server = await asyncio.start_server(
            control.serve, config.control_host, config.control_port, limit=REQUEST_BYTES_MAX
        )
    except OSError as error:
        journal.close()
        raise BadInput(
            "control_port", str(error), "use another port, or 0 for a free one"
        ) from None
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, control.stopped.set)
    port = server.sockets[0].getsockname()[1]
    journal.write("started", bench_no=config.bench_no, control_port=port)
    _tell_ready(config, port)
    sending = asyncio.create_task(line.run())
    stopping = asyncio.create_task(control.stopped.wait())
    done, _ = await asyncio.wait((sending, stopping), return_when=asyncio.FIRST_COMPLETED)
    server.close()
    await control.close()
    if sending in done:
        sending.result()  # it never returns, so this raises what ended it
    sending.cancel()
    journal.write("stopped", unfinished=line.unfinished)
    journal.close()


def _tell_ready(config: BenchConfig, port: int) -> None:
    line = json.dumps({"ready": "bench", "pid": os.getpid(), "control_port": port})
    if config.ready_file is not None:
        config.ready_file.write_text(line + "\n", encoding="utf-8")
    print(line, flush=True)


def run(config: Path) -> None:
    """Serve with the settings in a file until told to stop; BadInput names what is wrong."""
    asyncio.run(serve(load_config(config)))


def main(arguments: list[str] | None = None) -> int:
    """Read the settings and serve; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m simulators.bench",
        description="A simulated meter verification bench.",
        epilog="Example: python -m simulators.bench bench.json",
    )
    parser.add_argument(
        "config", type=Path, help="settings as JSON, see simulators/bench/config.py"
    )
    try:
        run(parser.parse_args(arguments).config)
    except BadInput as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
