"""Runs a simulated bench: `python -m simulators.bench CONFIG.json`.

When it is ready it tells its control port as one JSON line on standard output and in `ready_file`:

    {"ready": "bench", "pid": 4711, "control_port": 40001}

It ends with 0 on SIGTERM, SIGINT or the request `stop`, with 2 when it was given something wrong.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from functools import partial
from pathlib import Path

from libs.events.errors import BadInput
from simulators.bench.config import BenchConfig, load_config
from simulators.bench.control import REQUEST_BYTES_MAX, Control
from simulators.bench.journal import Journal
from simulators.bench.line import Line
from simulators.program import program, stop_on_signals, write_ready


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
    stop_on_signals(control.stopped)
    port = server.sockets[0].getsockname()[1]
    journal.write("started", bench_no=config.bench_no, control_port=port)
    told: dict[str, object] = {"ready": "bench", "pid": os.getpid(), "control_port": port}
    write_ready(config.ready_file, told)
    print(json.dumps(told), flush=True)
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


def run(config: Path) -> None:
    """Serve with the settings in a file until told to stop; BadInput names what is wrong."""
    asyncio.run(serve(load_config(config)))


main = partial(program, "simulators.bench", run)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
