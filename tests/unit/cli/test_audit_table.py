"""What people see of a balance: whole names and numbers on a terminal of 80 columns."""

from __future__ import annotations

import io

from rich.console import Console

from libs.events.topics import load_topics
from services.cli.audit import balance_table
from services.cores import CORES


def test_whole_topic_names_and_numbers_fit_80_columns() -> None:
    core = max(CORES, key=len)
    numbers = {"inputs": 1234567, "decided": 1234567, "lag": 0, "lost": 0, "doubled": 0}
    hops = [{"topic": topic, **numbers} for topic in load_topics(1).topics]
    out = io.StringIO()
    Console(file=out, width=80).print(balance_table({"cores": [{"core": core, "hops": hops}]}))
    lines = [line.split() for line in out.getvalue().splitlines()]
    assert ["core", "input", "records", "decided", "lag", "lost", "doubled"] in lines
    for hop in hops:
        assert [core, hop["topic"], "1,234,567", "1,234,567", "0", "0", "0"] in lines
