"""Requests of DL/T 698.45 from what a person types, for `gridledger encode`."""

from __future__ import annotations

from collections.abc import Mapping

from services.ingest.protocols.building import Builder, Field, RequestKind, whole_value
from services.ingest.protocols.dlt698 import get_request, package


def _get(given: Mapping[str, str]) -> bytes:
    oads = given["oad"].replace(",", " ").split()
    client, piid = (whole_value(name, given[name]) for name in ("client", "piid"))
    return get_request(given["address"].zfill(12), oads, client, piid)


def builder_698() -> Builder:
    """The `Builder` of DL/T 698.45; BadInput without the package."""
    package()
    return {
        "get": RequestKind(
            summary="GET of one attribute, or of several",
            fields=(
                Field(name="address", meaning="12 digits, leading zeros may be left out"),
                Field(
                    name="oad",
                    meaning="OI, attribute, index: 8 hex digits; several by commas",
                ),
                Field(name="client", meaning="address of the client, 0 to 255", default="0"),
                Field(name="piid", meaning="number of the request, 0 to 63", default="0"),
            ),
            make=_get,
        )
    }
