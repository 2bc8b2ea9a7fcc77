"""Measure: `make bench`, or `python -m bench dlt645 vee` for some of it."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import bench
from bench.figures import machine, measure, told


def main(names: list[str]) -> int:
    """Measure the named benchmarks, all without a name; 2 for a name that is none."""
    modules = {
        each.name: importlib.import_module(f"bench.{each.name}")
        for each in pkgutil.iter_modules(bench.__path__)
        if not each.name.startswith("_")
    }
    known = {name: module for name, module in modules.items() if hasattr(module, "figures")}
    for name in names:
        if name not in known:
            print(f"error: {name}: no such benchmark (one of {', '.join(known)})", file=sys.stderr)
            return 2
    print(machine())
    for name in names or known:
        print(f"\n{name}: {(known[name].__doc__ or '').partition(chr(10))[0]}")
        for figure in known[name].figures():
            print("\n".join(told(measure(figure))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
