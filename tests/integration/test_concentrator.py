"""A concentrator with 300 meters, read over real TCP: frozen days first, gaps forwarded.

Goal: one day's registers of every meter, exactly those the meters had at 24:00, with few exchanges.
Method: ten meters have a bad radio, so the concentrator froze nothing of them; those ten are asked
themselves. The truth comes from the simulator's control port. The archive lacks one meter, has
one nobody registered, and has one at another point: none of the three may give a value.
"""

from __future__ import annotations

from pathlib import Path

from services.ingest.protocols.qgdw376.archive import Moved, compare_archive
from services.ingest.protocols.qgdw376.concentrator import LinkSettings
from services.ingest.protocols.qgdw376.forward_line import ForwardLine
from services.ingest.protocols.qgdw376.plan import Need, plan_freezes
from services.ingest.protocols.session import MeterSession
from tests.unit.simulators_concentrator.running import (
    YESTERDAY,
    Site,
    address_of,
    read_archive,
    read_day_freezes,
    running_site,
)

METERS = 300
BAD_RADIO = tuple(range(30, 301, 30))
MIDNIGHT = "2026-01-31T16:00:00Z"
IMPORT = 161
MISSING, MOVED, MOVED_TO, FOREIGN = 5, 41, 305, 306


def test_300_meters_are_read_by_freezes_and_only_gaps_are_forwarded(tmp_path: Path) -> None:
    archive = {
        "missing": [MISSING],
        "moved": {str(MOVED): MOVED_TO},
        "foreign": {str(FOREIGN): "999000000001"},
    }
    bad = [address_of(pn) for pn in BAD_RADIO]
    settings = LinkSettings(answer_s=10)
    with running_site(tmp_path, METERS, settings=settings, bad_radio=bad, archive=archive) as site:
        concentrator = site.concentrator()
        entries = read_archive(concentrator, range(1, METERS + 3))
        difference = compare_archive(entries, {address_of(pn): pn for pn in range(1, METERS + 1)})
        assert difference.missing == ((address_of(MISSING), MISSING),)
        assert difference.moved == (Moved(address_of(MOVED), MOVED_TO, MOVED),)
        assert [entry.address for entry in difference.foreign] == ["999000000001"]

        needs = [Need(YESTERDAY, IMPORT, pn) for pn in range(1, METERS + 1) if pn != MOVED]
        orders = plan_freezes(needs, 24)
        absent: set[int] = set()
        frozen: dict[int, dict[str, int]] = {}
        requests = 0
        for order in orders:
            got = read_day_freezes(concentrator, order.pns, order.fns, order.day_on)
            assert got.problems == () == got.not_asked
            requests += len(got.exchanges)
            absent |= {pn for pn, _ in got.absent}
            for unit in got.units:
                frozen[unit.pn] = {
                    q.obis: q.value // q.scale for q in unit.quantities if q.value is not None
                }
        assert requests == len(orders) == 13
        assert set(frozen) == set(range(1, METERS + 1)) - {MISSING, MOVED, *BAD_RADIO}

        assert absent == {MISSING, *BAD_RADIO}
        for pn in (MOVED, *absent):
            frozen[pn] = forwarded_freeze(site, pn)
        assert set(frozen) == set(range(1, METERS + 1))
        for pn in (1, MISSING, 8, 9, MOVED, 150, *BAD_RADIO):
            truth = site.truth(pn, MIDNIGHT)
            registers = {name: truth.get(name, 0) // 10 * 10 for name in frozen[pn]}
            assert frozen[pn] == registers, f"p{pn}"
        asked = {entry["meter"] for entry in site.journal() if entry["line"] != "concentrator"}
        assert asked == {address_of(pn) for pn in (MISSING, MOVED, *BAD_RADIO)}


def forwarded_freeze(site: Site, pn: int) -> dict[str, int]:
    """Import registers of the newest daily freeze, from the meter itself."""
    session = MeterSession(ForwardLine(site.concentrator()), address_of(pn))
    result = session.read_daily_freeze()
    assert result.day_on == YESTERDAY
    return {
        q.obis: q.value
        for q in result.quantities
        if q.value is not None and q.obis.startswith("1-0:1.8.")
    }
