"""The one event of the clock: business time, written to every partition of `calendar`.

Names here are the storage format.
"""

from __future__ import annotations

from libs.events.core import Tick
from libs.events.registry import Catalogue

catalogue = Catalogue("clock")
catalogue.event("clock.ticked")(Tick)
