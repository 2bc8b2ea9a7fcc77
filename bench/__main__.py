"""Measure: `make bench`, or `python -m bench dlt645 vee` for some of it."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from typing import Any

import bench
from bench.figures import machine, measure, told

KINDS = {"figures", "told_lines"}


def main(names: list[str]) -> int:
    """Measure the named benchmarks, all without a name; 2 for a name that is none."""
    modules = {
        each.name: importlib.import_module(f"bench.{each.name}")
        for each in pkgutil.iter_modules(bench.__path__)
        if not each.name.startswith("_")
    }
    known = {
        name: module
        for name, module in modules.items()
        if hasattr(module, "figures") or hasattr(module, "told_lines")
    }
    for name in names:
        if name not in known:
            print(f"error: {name}: no such benchmark (one of {', '.join(known)})", file=sys.stderr)
            return 2
    print(machine())
    for name in names or known:
        print(f"\n{name}: {(known[name].__doc__ or '').partition(chr(10))[0]}")
        for line in _lines_of(known[name]):
            print(line, flush=True)
    return 0


def _lines_of(module: Any) -> Iterator[str]:
    if hasattr(module, "told_lines"):
        yield from module.told_lines()
        return
    for figure in module.figures():
        yield from told(measure(figure))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
