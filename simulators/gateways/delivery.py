"""Sending callbacks as gateways do: at once, again until taken, and every try in a journal.

What counts as taken is the gateway's rule, not ours (payments.md 1.1, 2, 6): 200 or 204 for
WeChat, the body `success` for Alipay, any 2xx for the acquirer.

Example: `await delivery.send("wechat", build)` tries until taken or the delays run out.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import httpx

from simulators.gateways.callbacks import Callback

ANSWER_TIMEOUT_S = 5.0  # WeChat counts a later answer as failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the edge answered; status 0 when it did not answer at all."""

    status: int
    body: str
    taken: bool


class Journal:
    """JSON lines of what was sent and answered; each line is on disk when `write` returns."""

    def __init__(self, path: Path | None) -> None:
        self._file: TextIO | None = path.open("a", encoding="utf-8") if path else None
        self.entries: list[dict[str, Any]] = []

    def write(self, entry: dict[str, Any]) -> None:
        """Add one entry."""
        self.entries.append(entry)
        if self._file:
            self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()


def taken(channel: str, status: int, body: bytes) -> bool:
    """Whether the gateway regards its callback as delivered."""
    if channel == "wechat":
        return status in (200, 204)
    if channel == "alipay":
        return status == 200 and body == b"success"
    return 200 <= status < 300


class Delivery:
    """Sends callbacks to one edge."""

    def __init__(
        self, client: httpx.AsyncClient, journal: Journal, retry_delays_s: Sequence[float]
    ) -> None:
        self.client = client
        self.journal = journal
        self.retry_delays_s = tuple(retry_delays_s)

    async def send(
        self,
        channel: str,
        build: Callable[[], Callback],
        notes: dict[str, Any],
        *,
        copies: int = 1,
        retry: bool = True,
    ) -> list[Answer]:
        """Send `copies` of one callback in parallel; each copy again (signed anew) until taken.

        Returns the last answer to each copy.
        """
        first = build()

        async def one(copy: int) -> Answer:
            answer = await self._try(channel, first, {**notes, "copy": copy, "attempt": 1})
            delays_s = self.retry_delays_s if retry else ()
            for attempt, delay_s in enumerate(delays_s, start=2):
                if answer.taken:
                    break
                await asyncio.sleep(delay_s)
                numbers = {"copy": copy, "attempt": attempt}
                answer = await self._try(channel, build(), {**notes, **numbers})
            return answer

        return list(await asyncio.gather(*(one(copy) for copy in range(1, copies + 1))))

    async def _try(self, channel: str, callback: Callback, notes: dict[str, Any]) -> Answer:
        sent_ms = time.time_ns() // 1_000_000
        try:
            response = await self.client.post(
                callback.path, content=callback.body, headers=callback.headers
            )
            answer = Answer(
                status=response.status_code,
                body=response.text,
                taken=taken(channel, response.status_code, response.content),
            )
        except httpx.HTTPError as error:
            answer = Answer(status=0, body=type(error).__name__, taken=False)
        self.journal.write(
            {
                **notes,
                "sent_ms": sent_ms,
                "took_ms": time.time_ns() // 1_000_000 - sent_ms,
                "status": answer.status,
                "answer": answer.body,
                "taken": answer.taken,
            }
        )
        return answer
