"""All cores and all writers of an installation, by name: for auditors and the catalogue.

Imported lazily: a tool that looks at one service does not load the others.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from libs.events.core import Core
from libs.events.host import decider_hash
from libs.events.policy import Term
from libs.events.registry import Catalogue
from services.policy_file import SECTIONS, policy_of
from services.wiring import on_table

CORES: dict[str, str] = {
    "customers": "services.customers.core",
    "ingest": "services.ingest.core",
    "ingest.effect": "services.ingest.effect.core",
    "validation": "services.validation.core",
    "validation.areas": "services.validation.areas.core",
    "billing": "services.billing.core",
    "payments": "services.payments.core",
    "payments.settlement": "services.payments.settlement.core",
    "payments.effect": "services.payments.effect.core",
    "control": "services.control.core",
    "control.limits": "services.control.limits.core",
    "metrology": "services.metrology.core",
}

EDGES: dict[str, str] = {
    "clock": "services.clock.events:catalogue",
    "customers.edge": "services.customers.events:catalogue",
    "ingest.edge": "services.ingest.events:edge_catalogue",
    "validation.edge": "services.validation.edit_events:edge_catalogue",
    "billing.edge": "services.billing.events:edge_catalogue",
    "payments.edge": "services.payments.events:edge_catalogue",
    "payments.files": "services.payments.settlement.requests:files_catalogue",
    "control.edge": "services.control.events:edge_catalogue",
    "metrology.edge": "services.metrology.events:edge_catalogue",
}

EFFECTS = frozenset({"ingest.effect", "payments.effect"})
"""Cores whose events are what the world answered: balanced, but not decided again."""


@dataclass(frozen=True, slots=True)
class KnownCore:
    """A core as auditors need it: its functions and the topics it writes besides its own."""

    core: Core
    written: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KnownPolicy:
    """The policy of a core, with its default and what each value means."""

    policy: Any
    default: Any
    terms: dict[str, Term]


def load_policy(name: str, file: Path | None) -> KnownPolicy:
    """The policy of a core by the policy file, None for the default."""
    module = importlib.import_module(f"services.{name}.policy")
    policy = policy_of(file, name, module.DEFAULT_POLICY)
    terms_of = getattr(module, "terms_of", lambda _: module.TERMS)
    return KnownPolicy(policy, module.DEFAULT_POLICY, terms_of(policy))


def check_policies(file: Path | None) -> None:
    """BadInput for the first thing that is wrong in the policy file, whatever core it concerns."""
    for section in SECTIONS:
        load_policy(section, file)


def load_core(name: str, partitions: int, policy_file: Path | None = None) -> KnownCore:
    """The core of a service as this release has it, deciding by the policy file."""
    module = importlib.import_module(CORES[name])
    given = {"policy": load_policy(name, policy_file).policy} if name in SECTIONS else {}
    core = on_table(module.make_core(decider_hash(module.PURE_MODULES), **given), partitions)
    return KnownCore(core, module.WRITTEN)


def load_catalogue(writer: str) -> Catalogue:
    """The catalogue of a core or an edge."""
    if writer in CORES:
        catalogue: Catalogue = importlib.import_module(CORES[writer]).make_core().catalogue
        return catalogue
    module, _, name = EDGES[writer].partition(":")
    found: Catalogue = getattr(importlib.import_module(module), name)
    return found
