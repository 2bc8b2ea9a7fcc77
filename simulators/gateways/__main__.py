"""`python -m simulators.gateways CONFIG.json`: the gateways as a process of their own.

Prints one JSON line with the control port when it is ready; ends with 0 on SIGTERM or SIGINT.

Configuration: `keys` (directory, made when missing), `target` (base URL of the payments edge), and
optionally `journal` (file), `control_port` (0: a free one), `api_port` (the same, of the interface
for queries and refunds), `retry_delays_s`, `seed`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from libs.events.documents import read_json
from libs.events.errors import BadInput
from simulators.gateways.api import Api
from simulators.gateways.control import Control
from simulators.gateways.delivery import ANSWER_TIMEOUT_S, Delivery, Journal
from simulators.gateways.gateway import Gateways
from simulators.gateways.keys import generate_keys, load_keys
from simulators.program import program, stop_on_signals

PORT_MAX = 65_535
RETRY_DELAYS_S = (1, 1, 2, 5, 10, 30, 60)
"""Shorter than the real ones (15 s to 6 h, payments.md 1.1): wall time is what the demo spends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the configuration file says."""

    keys: Path
    target: str
    journal: Path | None
    control_port: int
    api_port: int
    retry_delays_s: tuple[float, ...]
    seed: int


def load_settings(path: Path) -> Settings:
    """Read the configuration file; BadInput names the wrong setting."""
    document = read_json(path)
    try:
        return parse_settings(document)
    except BadInput as wrong:
        raise BadInput(f"{path}: {wrong.field}", wrong.problem, wrong.fix) from None


def parse_settings(document: Any) -> Settings:
    """Check a configuration document; paths are as given."""
    if not isinstance(document, dict):
        raise BadInput("CONFIG", "is no JSON object", 'write {"keys": DIR, "target": URL}')
    known = {"keys", "target", "journal", "control_port", "api_port", "retry_delays_s", "seed"}
    unknown = set(document) - known
    if unknown:
        raise BadInput(min(unknown), "is no setting here", f"use {', '.join(sorted(known))}")
    for name in ("keys", "target"):
        if not isinstance(document.get(name), str):
            raise BadInput(name, "is missing or no text", f'write {{"{name}": TEXT}}')
    delays_s = document.get("retry_delays_s", list(RETRY_DELAYS_S))
    if not isinstance(delays_s, list) or not all(
        type(item) in (int, float) and item >= 0 for item in delays_s
    ):
        raise BadInput("retry_delays_s", "is no list of seconds", "write it like [1, 2, 5]")
    for name in ("control_port", "api_port", "seed"):
        if type(document.get(name, 0)) is not int:
            raise BadInput(name, "is no whole number", "write it like 0")
    for name in ("control_port", "api_port"):
        if not 0 <= document.get(name, 0) <= PORT_MAX:
            raise BadInput(name, "is no port", f"give 0 (a free one) to {PORT_MAX}")
    journal = document.get("journal")
    if not isinstance(journal, str | None):
        raise BadInput("journal", "is no text", "give the path of a file")
    return Settings(
        keys=Path(document["keys"]),
        target=document["target"],
        journal=Path(journal) if isinstance(journal, str) else None,
        control_port=document.get("control_port", 0),
        api_port=document.get("api_port", 0),
        retry_delays_s=tuple(delays_s),
        seed=document.get("seed", 0),
    )


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT."""
    generate_keys(settings.keys)
    journal = Journal(settings.journal)
    stop = asyncio.Event()
    stop_on_signals(stop)
    async with httpx.AsyncClient(
        base_url=settings.target, timeout=ANSWER_TIMEOUT_S, trust_env=False
    ) as client:
        delivery = Delivery(client, journal, settings.retry_delays_s)
        gateways = Gateways(load_keys(settings.keys), delivery, settings.seed)
        api = Api(gateways)
        interface = await api.start(settings.api_port)
        server = await Control(gateways, api).start(settings.control_port)
        port = server.sockets[0].getsockname()[1]
        print(json.dumps({"ready": "gateways", "control_port": port}), flush=True)
        await stop.wait()
        server.close()
        interface.close()
        gateways.close()
    journal.close()


def run(config: Path) -> None:
    """Serve with the settings in a file until told to stop; BadInput names what is wrong."""
    settings = load_settings(config)
    if not settings.target.startswith(("http://", "https://")):
        problem = f"{settings.target!r} is no URL"
        raise BadInput(f"{config}: target", problem, "write it like http://127.0.0.1:8110")
    asyncio.run(serve(settings))


main = partial(program, "simulators.gateways", run)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
