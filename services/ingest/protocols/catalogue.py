"""Which protocols `gridledger decode` and `gridledger encode` know; imported only when asked for.

To add one: write a module with a factory without arguments that returns an `Explainer`
(`explanation.py`) and, where requests can be built, one that returns a `Builder` (`building.py`);
then add a line with "module:factory" to EXPLAINERS and to BUILDERS. Nothing else changes: the
commands, their help and their tests read these tables. A protocol whose package is an optional
extra raises BadInput with the name of the extra from its factory.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from libs.events.errors import BadInput
from services.ingest.protocols.building import Builder
from services.ingest.protocols.explanation import Explainer

MODBUS_MAP = "modbus_"
EXPLAINERS: dict[str, str] = {
    "dlt645-2007": "services.ingest.protocols.dlt645.edition_2007:explainer_2007",
    "dlt645-1997": "services.ingest.protocols.dlt645.edition_1997:explainer_1997",
    "modbus": "services.ingest.protocols.modbus_explanation:make_explainer",
    "dlt698": "services.ingest.protocols.dlt698_explanation:make_explainer",
    "dlms": "services.ingest.protocols.dlms_explanation:DlmsExplainer",
    "qgdw376": "services.ingest.protocols.qgdw376.explaining:explainer",
}
BUILDERS: dict[str, str] = {
    "dlt645-2007": "services.ingest.protocols.dlt645.building_2007:builder_2007",
    "dlt645-1997": "services.ingest.protocols.dlt645.building_1997:builder_1997",
    "dlt698": "services.ingest.protocols.dlt698_building:builder_698",
    "qgdw376": "services.ingest.protocols.qgdw376.building:builder_376",
}


def open_explainer(protocol: str, maps_dir: Path | None = None) -> Explainer:
    """A fresh explainer; BadInput when no protocol has that name. A name such as `modbus_sdm630`
    is that of a register map, shipped or in `maps_dir`: registers have names and values then."""
    if protocol.startswith(MODBUS_MAP):
        from services.ingest.protocols.modbus_explanation import make_explainer

        return make_explainer(protocol, maps_dir)
    found: Explainer = _factory(EXPLAINERS, protocol)()
    return found


def open_builder(protocol: str) -> Builder:
    """The requests of a protocol; BadInput when none has that name."""
    found: Builder = _factory(BUILDERS, protocol)()
    return found


def _factory(table: Mapping[str, str], protocol: str) -> Callable[[], Any]:
    # An installation says dlt645_2007: the same word, as an identifier.
    target = table.get(protocol.replace("_", "-"))
    if target is None:
        raise BadInput("protocol", f"{protocol!r} is not known", f"one of {', '.join(table)}")
    module, _, name = target.partition(":")
    found: Callable[[], Any] = getattr(importlib.import_module(module), name)
    return found
