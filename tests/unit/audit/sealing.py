"""Seals of exports for the audit's tests: what an adversary who alters files can write as well."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from libs.events.testing.simbroker import SimBroker
from services.audit.manifest import MANIFEST, Committed, files_in


def committed_in(broker: SimBroker, groups: Iterable[str]) -> Committed:
    """What groups have committed on a simulated broker."""
    return {name: dict(broker.group(name).offsets) for name in groups}


def reseal(directory: Path) -> None:
    """Make the manifest fit to the files as they are now; the committed offsets stay."""
    path = directory / MANIFEST
    document = json.loads(path.read_text("utf-8"))
    document["files"] = {}
    for name in sorted(files_in(directory)):
        content = (directory / name).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        document["files"][name] = {"records": content.count(b"\n"), "sha256": digest}
    path.write_text(json.dumps(document), "utf-8")
