"""How a figure is measured: medians of whole runs, against a baseline measured in between.

A benchmark is a module of this folder with `figures()`, which yields what it measures. Subject and
baseline take turns, so that a slow minute of the machine slows both; the ratio is that of the
medians. Nothing here is a test: a figure never fails, it is only told.

Seconds are those of the processor in this process, so other load does not count. What is no rate
(how busy a line is kept) has `told_lines()` instead, which yields lines.

    Figure("frames to exact values", "frames/s", 20_000, decode_all, "another library", other)
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

RUNS = 7


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing measured. count: how many units one call of `subject`, and of `baseline`, does;
    aim: what was hoped for, in units a second, 0 for nothing."""

    name: str
    unit: str
    count: int
    subject: Callable[[], object]
    baseline_name: str
    baseline: Callable[[], object]
    aim: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """The medians in units a second, with the fastest and slowest run of the subject."""

    figure: Figure
    median: float
    lowest: float
    highest: float
    baseline_median: float


def measure(figure: Figure, runs: int = RUNS) -> Measured:
    """Run subject and baseline in turns, after one turn that does not count."""
    figure.subject()
    figure.baseline()
    subject, baseline = [], []
    for _ in range(runs):
        subject.append(figure.count / _seconds(figure.subject))
        baseline.append(figure.count / _seconds(figure.baseline))
    return Measured(
        figure, statistics.median(subject), min(subject), max(subject), statistics.median(baseline)
    )


def _seconds(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def told(measured: Measured) -> Sequence[str]:
    """The lines that tell one figure."""
    figure = measured.figure
    aim = f", aim {figure.aim:,}" if figure.aim else ""
    return (
        f"{figure.name}: {measured.median:,.0f} {figure.unit} "
        f"({measured.lowest:,.0f} to {measured.highest:,.0f}{aim})",
        f"  {figure.baseline_name}: {measured.baseline_median:,.0f} {figure.unit}; "
        f"ratio {measured.median / measured.baseline_median:.2f}",
    )


def machine() -> str:
    """What it was measured on."""
    return (
        f"{_cpu()}, {os.cpu_count()} cores, {_memory_gib()} GiB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def _cpu() -> str:
    for line in _lines("cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gib() -> str:
    for line in _lines("meminfo"):
        if line.startswith("MemTotal"):
            return f"{int(line.split()[1]) / 1024**2:.0f}"
    return "?"


def _lines(name: str) -> list[str]:
    file = Path("/proc") / name
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []
