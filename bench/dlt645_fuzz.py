"""A million damaged DL/T 645 frames: `python -m bench.dlt645_fuzz [COUNT] [SEED]`.

Every mutant goes through the reader, both editions' decoders and both explainers. Only typed errors
may be raised, nothing may be accepted under a wrong checksum, and no byte may be lost or told twice
(tests/unit/ingest/protocols/mutants.py, which the suite runs 20,000 times). Ends with a line, or
with the assertion that failed and the seed to repeat it; an endless loop ends with SIGALRM.
"""

from __future__ import annotations

import random
import signal
import sys
import time

from tests.unit.ingest.protocols.mutants import check_mutant

COUNT = 1_000_000
SEED = 645
SLICE = 10_000
SLICE_S_MAX = 300
"""An endless loop shows as a slice that does not end."""


def main() -> None:
    """Try them in slices, each with a seed of its own."""
    given = [int(text) for text in sys.argv[1:]]
    count = given[0] if given else COUNT
    seed = given[1] if len(given) > 1 else SEED
    began, accepted = time.perf_counter(), 0
    for done in range(0, count, SLICE):
        signal.alarm(SLICE_S_MAX)
        own = seed + done
        rng = random.Random(own)
        try:
            accepted += sum(check_mutant(rng) for _ in range(min(SLICE, count - done)))
        except BaseException:
            print(f"failed in the slice with seed {own}", file=sys.stderr)
            raise
    signal.alarm(0)
    took = time.perf_counter() - began
    print(f"{count} mutants, {accepted} frames accepted, 0 against the rule, {took:.0f} s")


if __name__ == "__main__":
    main()
