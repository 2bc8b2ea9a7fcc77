"""Sends runs to the metrology edge, one after the other, each until it is answered.

A run is sent on a connection of its own. Accepted, it is done; refused, unanswered or cut off, it
is sent again under the same id after a growing delay. Misbehaviours of the line strike the first
attempt only: then the repeat must come through.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from libs.events.errors import BadInput
from services.metrology.bench_protocol import Message, encode_run, parse_reply
from services.metrology.judgement import BenchRun
from simulators.bench.config import BenchConfig
from simulators.bench.journal import Journal
from simulators.bench.placement import Misbehaviour

REPLY_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True)
class Job:
    """A run to be sent, with its misbehaviours."""

    run: BenchRun
    misbehaviours: tuple[Misbehaviour, ...]


@dataclass(slots=True)
class Line:
    """The line to the edge: a queue of runs and the outcomes so far."""

    config: BenchConfig
    journal: Journal
    queue: asyncio.Queue[Job] = field(default_factory=asyncio.Queue)
    outcomes: Counter[str] = field(default_factory=Counter)
    unfinished: int = 0

    def put(self, job: Job) -> None:
        """Queue a run; it is sent when those before it are done."""
        self.unfinished += 1
        self.queue.put_nowait(job)

    async def run(self) -> None:
        """Send runs for ever."""
        while True:
            await self._deliver(await self.queue.get())
            self.unfinished -= 1

    async def _deliver(self, job: Job) -> None:
        delay_s = self.config.retry_delay_s
        for attempt in range(1, self.config.attempts_max + 1):
            outcome = await self._attempt(job, attempt)
            self.outcomes[outcome] += 1
            if outcome == "accepted":
                return
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, self.config.retry_delay_s_max)
        self.outcomes["given_up"] += 1
        self.journal.write("given_up", run=job.run.run_id, attempts=self.config.attempts_max)

    async def _attempt(self, job: Job, attempt: int) -> str:
        """One sending: accepted, refused, no_connection, no_reply or cut_off (by ourselves)."""
        misbehaviours = job.misbehaviours if attempt == 1 else ()
        lines = on_the_wire(encode_run(job.run), misbehaviours)
        facts = {"run": job.run.run_id, "attempt": attempt}
        try:
            reader, writer = await asyncio.open_connection(
                self.config.edge_host, self.config.edge_port
            )
        except OSError as error:
            self.journal.write("no_connection", **facts, problem=str(error))
            return "no_connection"
        try:
            writer.write(b"".join(lines))
            await writer.drain()
            sent = [line.decode(errors="replace").rstrip("\n") for line in lines]
            self.journal.write("sent", **facts, lines=sent)
            if "disconnect" in misbehaviours:
                self.journal.write("cut_off", **facts)
                return "cut_off"
            return await self._answer(reader, facts)
        except OSError as error:
            self.journal.write("no_reply", **facts, problem=str(error))
            return "no_reply"
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, facts: dict[str, object]) -> str:
        try:
            line = await asyncio.wait_for(reader.readline(), self.config.reply_timeout_s)
            reply = parse_reply(line.rstrip(b"\n"))
        except (TimeoutError, ValueError, BadInput) as error:
            self.journal.write("no_reply", **facts, problem=str(error) or "timed out")
            return "no_reply"
        outcome = _outcome(reply, str(facts["run"]))
        self.journal.write(outcome, **facts, answer=reply)
        return outcome


def _outcome(reply: Message, run: str) -> str:
    """Accepted only when the answer names this run; a refusal may not know its run."""
    if reply["type"] == "run_refused":
        return "refused"
    return "accepted" if reply["run"] == run else "no_reply"


def on_the_wire(lines: Sequence[bytes], misbehaviours: Sequence[Misbehaviour]) -> tuple[bytes, ...]:
    """The lines as they arrive: one damaged, one lost, or cut off in the middle of a line."""
    sent = list(lines)
    middle = len(sent) // 2
    if "garbled_line" in misbehaviours:
        sent[middle] = sent[middle].replace(b'"', b"'", 1)
    if "lost_line" in misbehaviours:
        del sent[middle]
    if "disconnect" in misbehaviours:
        half = sent[middle]
        sent = [*sent[:middle], half[: len(half) // 2]]
    return tuple(sent)
