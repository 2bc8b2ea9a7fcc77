"""The register of benches and references: the certificates by which a run may judge.

    bench B1, class 0.05, certificate Z-1, from 2025-01-01, due on 2026-12-31

The register is reference data: it is written to every partition, because a run must be judged in
the stream of its meter, and no bench is known by what its own runs claim. The order of a
certificate against a run is undefined. So each is dated, a run whose bench has no certificate that
had begun is held, and a run that was refused is looked at again when another certificate comes.

A run may rest on any certificate that covers its day. More certificates therefore never take a
judgement away, and the end is the same in whatever order runs and certificates arrive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from libs.events.errors import BadInput
from services.metrology.bench_standing import BENCH, REFERENCE, Standard
from services.metrology.judgement import BenchRun, class_number
from services.metrology.verification_cycle import parse_day

KINDS = (BENCH, REFERENCE)
CERTIFICATES_MOST = 20
"""So many are kept of a standard, the newest: at one a year or two, decades."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertifiedStandard:
    """A bench or reference meter by one certificate: class, first and last day in time."""

    kind: str
    standard_no: str
    certificate_no: str
    accuracy_class: str
    from_on: str
    due_on: str


Register = Mapping[str, tuple[CertifiedStandard, ...]]
"""The certificates of each standard, by `register_key`, the oldest first."""


def register_key(kind: str, standard_no: str) -> str:
    """The key of a standard, as people read it: `bench B1`."""
    return f"{kind} {standard_no}"


def check_standard(standard: CertifiedStandard) -> None:
    """BadInput for what is no certificate of a standard."""
    if standard.kind not in KINDS:
        raise BadInput("kind", f"{standard.kind!r} is unknown", f"use {' or '.join(KINDS)}")
    for name in ("standard_no", "certificate_no"):
        if not getattr(standard, name).strip():
            raise BadInput(name, "is empty", "give the number")
    class_number(standard.accuracy_class)
    if parse_day(standard.due_on, "due_on") < parse_day(standard.from_on, "from_on"):
        problem = f"{standard.due_on} is before {standard.from_on}"
        raise BadInput("due_on", problem, "give the last day in time")


def adopt(register: Register, standard: CertifiedStandard) -> Register | None:
    """The register with a certificate; None when it has it already.

    BadInput as in `check_standard`, or for a certificate that says something else than the one of
    the same number: a certificate is never changed, another has another number.
    """
    check_standard(standard)
    key = register_key(standard.kind, standard.standard_no)
    known = register.get(key, ())
    for each in known:
        if each == standard:
            return None
        if each.certificate_no == standard.certificate_no:
            problem = f"{standard.certificate_no} says something else already"
            raise BadInput("certificate_no", problem, "give the number of the new certificate")
    newest = sorted((*known, standard), key=lambda one: (one.from_on, one.certificate_no))
    return {**register, key: tuple(newest[-CERTIFICATES_MOST:])}


def standards_of(
    register: Register, run: BenchRun, measured_on: str
) -> tuple[Mapping[tuple[str, str], Standard], tuple[str, ...]]:
    """Bench and reference of a run for `bench_standing.standing`, and which of them are missing.

    Missing is what has no certificate that had begun on the day. Of a bench the finest of those
    that are in time is taken, of a reference the one that the run states; else the newest.
    """
    found: dict[tuple[str, str], Standard] = {}
    missing: list[str] = []
    for kind, number in ((BENCH, run.bench_no), (REFERENCE, run.reference_meter_no)):
        key = register_key(kind, number)
        begun = [each for each in register.get(key, ()) if each.from_on <= measured_on]
        if not begun:
            missing.append(key)
            continue
        wanted = [each for each in begun if _is_wanted(each, run, measured_on)]
        best = min(wanted, key=lambda one: class_number(one.accuracy_class), default=begun[-1])
        found[kind, number] = Standard(
            standard_no=number,
            kind=kind,
            accuracy_class=best.accuracy_class,
            due_on=best.due_on,
        )
    return found, tuple(missing)


def _is_wanted(standard: CertifiedStandard, run: BenchRun, measured_on: str) -> bool:
    if standard.kind == BENCH:
        return standard.due_on >= measured_on
    stated = (run.reference_class, run.reference_due_on)
    return (standard.accuracy_class, standard.due_on) == stated
