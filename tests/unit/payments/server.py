"""The payments edge on a real socket, in a thread, with an in-memory log."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from services.payments.channels.profile import Profiles
from services.payments.notices import NoticeReceived
from services.payments.webhooks import make_app


class MemoryLog:
    """Appends with a small delay, as a broker's ack would take; fails the first `failures`."""

    def __init__(self) -> None:
        self.records: list[tuple[str, NoticeReceived]] = []
        self.failures = 0

    def empty(self, failures: int = 0) -> None:
        """Forget the records; the next `failures` appends get no ack."""
        self.records = []
        self.failures = failures

    async def append(self, key: str, record: NoticeReceived) -> None:
        await asyncio.sleep(0.002)
        if self.failures:
            self.failures -= 1
            raise TimeoutError
        self.records.append((key, record))

    def captures(self) -> set[tuple[str, str]]:
        """The distinct payments among the accepted notices, as the core will see them."""
        return {
            (record.notice.channel, record.notice.channel_txn_id)
            for _, record in self.records
            if record.notice and record.notice.kind == "captured"
        }


@contextmanager
def running_edge(profiles: Profiles, log: MemoryLog) -> Iterator[str]:
    """Serve the edge on a free loopback port; yields its base URL."""
    app = make_app(profiles, log.append, now=lambda: int(time.time()), nonce=lambda: os.urandom(12))
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, lifespan="off", ws="none", log_config=None
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)
