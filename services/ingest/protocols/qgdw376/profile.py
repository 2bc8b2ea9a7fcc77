"""What differs between terminals of the same standard, as data with documented defaults.

Every field is something that no source settles or that makers do differently.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from services.ingest.protocols.qgdw376.forwarding import Forwarding


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcentratorProfile:
    """How one type of concentrator is spoken to.

    zone_minutes: its clock runs in this zone, minutes east of Greenwich.
    master: our station address MSA; 2 is what captures c04 and c05 have.
    function: the function code of requests; 11 is what capture c05 has. UNCONFIRMED for others.
    time_tag: whether requests carry Tp (captures have it), with `delay_minutes`.
    points_per_request: how many Pn one request asks; three groups of 8, so that an answer of 38
        bytes a point stays below 1,024 (UNCONFIRMED what a given terminal can build).
    single_points: an identifier of class 2 names one Pn and one Fn, which leaves no doubt whose
        time tag follows; False puts a group of 8 into one identifier with one tag.
    first_point_offset: how many intervals after its tag a curve begins (see `layouts`).
    forwarding: port, control byte and time-outs of 10H F1.
    """

    zone_minutes: int = 480
    master: int = 2
    function: int = 11
    time_tag: bool = False
    delay_minutes: int = 5
    points_per_request: int = 24
    single_points: bool = True
    first_point_offset: int = 0
    forwarding: Forwarding = field(default_factory=Forwarding)


STANDARD = ConcentratorProfile()
