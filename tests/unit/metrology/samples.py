"""Small builders for the tests: a meter, a point, a whole run that passes."""

from __future__ import annotations

from services.metrology.error_limits import MeasuredPoint, MeterRating
from services.metrology.error_limits_file import load_error_limits
from services.metrology.judgement import BenchRun

LIMITS = load_error_limits()
METER = MeterRating(accuracy_class="1", connection="direct", imax_multiple="12")
TESTS = {"start": "pass", "creep": "pass", "constant": "pass"}


def measured(
    current: str, error_e4_pct: int, power_factor: str = "1.0", load: str = "balanced"
) -> MeasuredPoint:
    return MeasuredPoint(
        current=current, power_factor=power_factor, load=load, error_e4_pct=error_e4_pct
    )


PLAN = (
    measured("0.05Ib", 4_000),
    measured("0.2Ib", 3_000),
    measured("1.0Ib", 2_000),
    measured("Imax", -1_000),
    measured("0.2Ib", 5_000, "0.5L"),
    measured("1Ib", 5_000, "0.5L"),
)


def bench_run(**changes: object) -> BenchRun:
    """A run on a class 1 meter that passes, unless changed."""
    values: dict[str, object] = {
        "run_id": "B1-0001",
        "meter_no": "M1",
        "accuracy_class": "1",
        "bench_no": "B1",
        "reference_meter_no": "R1",
        "reference_class": "0.05",
        "reference_due_on": "2026-12-31",
        "measured_at": "2026-03-01T02:00:00Z",
        "operator": "lab-3",
        "points": PLAN,
        "tests": dict(TESTS),
        **changes,
    }
    return BenchRun(**values)  # type: ignore[arg-type]
