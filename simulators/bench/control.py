"""The control port of a simulated bench: JSON lines over TCP, one answer per request.

    {"op": "place_meter", "placement": {...}}  -> {"ok": true, "run": "B1-M1-20260301T020000Z"}
    {"op": "status"}  -> {"ok": true, "idle": true, "unfinished": 0, "outcomes": {"accepted": 1}}
    {"op": "stop"}    -> {"ok": true}
    anything else     -> {"ok": false, "error": "op: 'x' is unknown (use ...)", "field": "op"}

`idle` says that every run placed so far was accepted or given up: the clock of a simulation waits
for it.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from pydantic import ValidationError

from libs.events.errors import BadInput
from simulators.bench.config import BenchConfig, bad_input
from simulators.bench.journal import Journal
from simulators.bench.line import Job, Line
from simulators.bench.placement import Placement, measure

REQUEST_BYTES_MAX = 1 << 20
CLOSE_TIMEOUT_S = 1.0


class Control:
    """Answers the requests of the control port."""

    def __init__(self, config: BenchConfig, line: Line, journal: Journal) -> None:
        self.config = config
        self.line = line
        self.journal = journal
        self.stopped = asyncio.Event()
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until its peer, or `close`, ends it."""
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        try:
            while request := await reader.readline():
                answer = self.answer(request)
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError) as error:  # ValueError: a request longer than the limit
            self.journal.write("control_broken", problem=str(error))
        finally:
            writer.close()
            del self._connections[task]

    async def close(self) -> None:
        """End all connections: a task cancelled in its read would be told as an error."""
        open_now = dict(self._connections)
        for writer in open_now.values():
            writer.close()
        if open_now:
            await asyncio.wait(open_now, timeout=CLOSE_TIMEOUT_S)

    def answer(self, request: bytes) -> dict[str, Any]:
        """The answer to one request; never an exception."""
        try:
            return {"ok": True, **self._answer(request)}
        except ValidationError as error:
            found = bad_input(error)
        except BadInput as error:
            found = error
        self.journal.write("request_refused", field=found.field, problem=found.problem)
        return {"ok": False, "error": str(found), "field": found.field}

    def _answer(self, request: bytes) -> dict[str, Any]:
        try:
            document = json.loads(request)
        except ValueError:
            raise BadInput("request", "is no JSON", "send one JSON object per line") from None
        op = document.get("op") if isinstance(document, dict) else None
        match op:
            case "place_meter":
                placement = Placement.model_validate(document.get("placement"))
                return {"run": self._place(placement)}
            case "status":
                unfinished = self.line.unfinished
                outcomes = dict(sorted(self.line.outcomes.items()))
                return {"idle": unfinished == 0, "unfinished": unfinished, "outcomes": outcomes}
            case "stop":
                self.stopped.set()
                return {}
            case _:
                fix = "use place_meter, status or stop"
                raise BadInput("op", f"{op!r} is unknown", fix)

    def _place(self, placement: Placement) -> str:
        run = measure(self.config, placement)
        facts = placement.model_dump(mode="json")
        self.journal.write("placed", run=run.run_id, placement=facts)
        self.line.put(Job(run=run, misbehaviours=placement.misbehaviours))
        return run.run_id
