"""Runs the console command of an older release that lies unpacked in a directory.

    python -P older_release.py DIRECTORY audit replay --json

The packages come from that directory and from nowhere else: a module that it lacks is an error,
never the one of the installed release (which an editable installation would offer). Everything
else, the libraries, is that of the environment. This file imports nothing of ours.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

PACKAGES = frozenset({"libs", "services", "simulators"})


class OlderFinder:
    """Finds our packages in one directory, before any other finder is asked."""

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where a module of ours is; None for all others."""
        if name.partition(".")[0] not in PACKAGES:
            return None
        found = PathFinder.find_spec(name, [self.directory] if path is None else path, target)
        if found is None:
            raise ModuleNotFoundError(f"the release has no module {name}", name=name)
        return found


def run(directory: str, arguments: list[str]) -> int:
    """The status of the older release's command."""
    for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
        del sys.modules[name]  # imported by a hook of the environment
    sys.meta_path.insert(0, OlderFinder(directory))
    sys.path.insert(0, directory)
    status: int = importlib.import_module("services.cli.main").main(arguments)
    return status


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2:]))
