"""A concentrator simulator as its own operating-system process, and a master it dials in to."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.ingest.protocols.failures import Exchange
from services.ingest.protocols.qgdw376.archive import ArchiveEntry
from services.ingest.protocols.qgdw376.concentrator import (
    Concentrator,
    LinkSettings,
    MasterServer,
)
from services.ingest.protocols.qgdw376.layout_file import load_layouts
from services.ingest.protocols.qgdw376.layouts import Unit
from services.ingest.protocols.qgdw376.plan import cut_points
from services.ingest.protocols.qgdw376.profile import STANDARD, ConcentratorProfile
from services.ingest.protocols.qgdw376.replies import (
    decode_acknowledgement,
    decode_archive,
    decode_data,
    sort_out,
)
from services.ingest.protocols.qgdw376.requests import Request, archive_query, day_freeze_request
from simulators.meters.remote import Remote

NAME = "0200-1234"
START_AT = "2026-02-01T02:00:00Z"  # 10:00 in Shanghai: the freeze of 31 January is ten hours old
YESTERDAY = "2026-01-31"
QUICK = LinkSettings(answer_s=1.0, tries=2)


def address_of(pn: int) -> str:
    """The meter that belongs behind a point."""
    return f"{700_000_000_000 + pn}"


def document(folder: Path, count: int, **more: Any) -> dict[str, Any]:
    """A concentrator with so many household meters that count since the first of January."""
    return {
        "address": NAME,
        "clock": {"mode": "simulated", "start_at": START_AT},
        "day_tables": {"peak": [["00:00", 4], ["08:00", 3], ["10:00", 2], ["15:00", 3]]},
        "meters": [
            {
                "address": address_of(pn),
                "annual_kwh": 2000 + pn,
                "day_table": "peak",
                "base_at": "2025-12-31T16:00:00Z",
                "initial_wh": {"1-0:1.8.0": 1_000_000 * pn},
            }
            for pn in range(1, count + 1)
        ],
        "ready_file": str(folder / "ready.json"),
        "journal": str(folder / "journal.jsonl"),
        "reconnect_s": 0.1,
        **more,
    }


@dataclass
class Site:
    """A running concentrator and its master."""

    server: MasterServer
    remote: Remote
    folder: Path
    ready: dict[str, Any]

    def concentrator(self) -> Concentrator:
        """It, once it has logged in."""
        return self.server.wait_for(NAME, 20)

    def journal(self) -> list[dict[str, Any]]:
        """Every entry so far, of the concentrator and of its meters."""
        text = (self.folder / "journal.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def truth(self, pn: int, at: str) -> dict[str, int]:
        """The registers of the meter behind a point, as they were."""
        told = self.remote.ask("state", meter=address_of(pn), at=at)
        registers: dict[str, int] = told["registers_wh"]
        return registers


@contextmanager
def running_site(
    folder: Path,
    count: int,
    profile: ConcentratorProfile = STANDARD,
    settings: LinkSettings = QUICK,
    **more: Any,
) -> Iterator[Site]:
    """Start both, wait until the control port is there, stop both."""
    with MasterServer("127.0.0.1", 0, profile, settings) as server:
        has_place = "listen_port" in more or "master_port" in more
        place = {} if has_place else {"master_port": server.address[1]}
        configuration = document(folder, count, **place, **more)
        path = folder / "config.json"
        path.write_text(json.dumps(configuration), encoding="utf-8")
        command = [sys.executable, "-m", "simulators.concentrator", str(path)]
        child = subprocess.Popen(command)
        try:
            ready = folder / "ready.json"
            patience = time.monotonic() + 30
            while not ready.exists():
                assert child.poll() is None, "the simulator ended before it was ready"
                assert time.monotonic() < patience, "the simulator did not become ready"
                time.sleep(0.02)
            told = json.loads(ready.read_text(encoding="utf-8"))
            with Remote(told["control"]["host"], told["control"]["port"]) as remote:
                yield Site(server, remote, folder, told)
                remote.ask("stop")
            assert child.wait(10) == 0
        finally:
            if child.poll() is None:
                child.kill()
                child.wait(10)


def command(concentrator: Concentrator, request: Request) -> None:
    """Send what changes something; it must not be denied."""
    assert decode_acknowledgement(concentrator.request(request).frames[0]).accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class DayFreezes:
    """What a concentrator had frozen of a day, and the frames that say so."""

    units: tuple[Unit, ...]
    absent: tuple[tuple[int, int], ...]
    not_asked: tuple[Unit, ...]
    problems: tuple[str, ...]
    exchanges: tuple[Exchange, ...]


def read_day_freezes(
    concentrator: Concentrator, pns: Iterable[int], fns: Iterable[int], day_on: str
) -> DayFreezes:
    """The frozen registers of many points, as many a request as the profile says."""
    concentrator.take_exchanges()
    profile, kinds = concentrator.link.profile, tuple(fns)
    wanted = tuple(pns)
    units: list[Unit] = []
    problems: list[str] = []
    for part in cut_points(wanted, max(1, profile.points_per_request // len(kinds))):
        request = day_freeze_request(part, kinds, day_on, single_points=profile.single_points)
        answer = concentrator.request(request)
        for frame in () if answer.is_acknowledgement else answer.frames:
            body = decode_data(frame, load_layouts(), profile)
            problems += [body.problem] if body.problem else []
            units += body.units
    found = sort_out(units, {(pn, fn) for pn in wanted for fn in kinds}, day_on)
    return DayFreezes(
        units=found.units,
        absent=found.absent,
        not_asked=found.not_asked,
        problems=(*problems, *found.problems),
        exchanges=concentrator.take_exchanges(),
    )


def read_archive(concentrator: Concentrator, numbers: Iterable[int]) -> tuple[ArchiveEntry, ...]:
    """Which meter is behind which Pn; numbers that are not in use are left out."""
    wanted = sorted(numbers)
    entries: list[ArchiveEntry] = []
    for place in range(0, len(wanted), 32):
        answer = concentrator.request(archive_query(wanted[place : place + 32]))
        for frame in () if answer.is_acknowledgement else answer.frames:
            entries += [entry for entry in decode_archive(frame) if entry.pn]
    return tuple(entries)
