"""The demo: three billing months of a small city on real Kafka, with everything that goes wrong.

run_demo(DemoOptions(seed=1)) -> DemoResult      status 0 only if every expectation holds
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any, Protocol

from libs.events.audit import balance
from libs.events.replay import replay
from libs.events.topics import load_topics
from services.audit.files import export_topics
from services.audit.mirror import open_reader
from services.cli.audit import balance_document, replay_document
from services.cores import CORES, EFFECTS, load_core
from services.local.ports import free_ports
from simulators.city import feed_in, mass_cut, settlement
from simulators.city.acts import Acts, write_operators
from simulators.city.facts import Expectation, Facts
from simulators.city.files import concentrator_config, meters_config, write_import
from simulators.city.memory import Memory
from simulators.city.openings import write_openings
from simulators.city.people import START_AT, City
from simulators.city.plan import DEBTORS, Plan, instant
from simulators.city.population import make_city
from simulators.city.report import expectations
from simulators.city.stage import ControlPort, Stage, insist, on_stage, post
from simulators.gateways.keys import generate_keys

PARTITIONS = 2
EVIDENCE_KEY_FILE = "evidence.key"
FIRST = date(2026, 2, 2)
LAST = date(2026, 5, 4)
MEMBERS = (
    "clock",
    "customers",
    "ingest",
    "ingest-field",
    "validation",
    "validation-areas",
    "billing",
    "payments",
    "payments-settlement",
    "payments-edge",
    "control",
    "control-edge",
    "metrology",
    "metrology-edge",
    "console",
)
BUSINESS = (
    "validation.usage_established",
    "billing.invoice_issued",
    "billing.correction_issued",
    "payments.payment_captured",
    "payments.receivable_opened",
    "control.case_closed",
    "metrology.meter_judged",
)
"""What the digest of the business result is made of."""


class Teller(Protocol):
    """Shows progress: bars on a terminal, lines elsewhere."""

    def say(self, text: str) -> None:
        """One thing that happened."""
        ...

    def day(self, done: int, total: int, text: str) -> None:
        """Another day passed."""
        ...


Nemesis = Callable[[Stage, date], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """data_dir: where everything is written; last: the last day that is played. For tests:
    nemesis: what else goes wrong on a day; afterwards: what to look at before it all ends."""

    data_dir: Path = Path(".data/demo")
    seed: int = 1
    keep: bool = False
    kills: bool = True
    database: str = "sqlite"
    last: date = LAST
    nemesis: Nemesis | None = None
    afterwards: Callable[[Stage], None] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class DemoResult:
    """Everything the last screen shows."""

    expectations: list[Expectation] = field(default_factory=list)
    balance: dict[str, Any] = field(default_factory=dict)
    replay: dict[str, Any] = field(default_factory=dict)
    business: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    console_url: str = ""
    an_invoice: str = ""

    @property
    def digest(self) -> str:
        """A hash of the business result: the same for the same seed, whatever was killed."""
        return sha256("\n".join(self.business).encode()).hexdigest()

    @property
    def holds(self) -> bool:
        """Whether every expectation holds."""
        return (
            all(found.holds for found in self.expectations)
            and not self.balance["lost"]
            and not self.balance["doubled"]
            and not any(core["problems"] for core in self.balance["cores"])
            and bool(self.replay["identical"])
        )

    def document(self) -> dict[str, Any]:
        """The result as stable data."""
        return {
            "holds": self.holds,
            "expectations": [asdict(found) for found in self.expectations],
            "balance": self.balance,
            "replay": self.replay,
            "business_digest": self.digest,
            "seconds": self.seconds,
        }


def run_demo(options: DemoOptions, teller: Teller) -> DemoResult:
    """Play the whole demo; raises Unavailable when a part of it does not answer."""
    files = options.data_dir / "files"
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir(parents=True)
    stage = Stage(options.data_dir / "installation", files, options.database)
    city = make_city(options.seed)
    began = time.monotonic()
    with on_stage(stage, keep=options.keep):
        teller.say("starting Kafka, 14 services and the simulators")
        (api_port,) = free_ports(1)
        _start_simulators(stage, city, files, api_port)
        stage.set_up({**_environment(files, options), **options.environment})
        _start_gateways(stage, files, api_port)
        stage.wait_ready({f"{name}-0" for name in MEMBERS})
        up_s = time.monotonic() - began
        result = _play(stage, city, files, options, teller)
        result.seconds = {"up": round(up_s, 1), **result.seconds}
        if options.afterwards is not None:
            options.afterwards(stage)
    return result


def _start_simulators(stage: Stage, city: City, files: Path, api_port: int) -> None:
    exchanged = city.point_of("exchange")
    new_meter = {
        "line": exchanged.line,
        "id": f"{exchanged.meter_no}-N",
        "address": exchanged.address,
        "annual_kwh": exchanged.annual_kwh,
        "installed_at": "2026-03-10T02:30:00Z",
        "initial_wh": {"1-0:1.8.0": 0},
    }
    config = meters_config(city, files, [new_meter])
    for line in config["lines"]:
        for meter in line["meters"]:
            if meter["id"] == exchanged.meter_no:
                meter["removed_at"] = "2026-03-10T02:30:00Z"
    (files / "meters.json").write_text(json.dumps(config), encoding="utf-8")
    stage.start("meters", "simulators.meters", str(files / "meters.json"))
    behind = concentrator_config(city, files, free_ports(1)[0])
    (files / "concentrator.json").write_text(json.dumps(behind), encoding="utf-8")
    stage.start("concentrator", "simulators.concentrator", str(files / "concentrator.json"))
    generate_keys(files / "keys", f"http://127.0.0.1:{api_port}")
    write_operators(files / "operators.json")
    (files / "meter_passwords.json").write_text(
        json.dumps({"level": "02", "password": "000000", "operator": "00000001"}), encoding="utf-8"
    )
    (files / EVIDENCE_KEY_FILE).write_text(f"{token_hex(32)}\n", encoding="ascii")


def _environment(files: Path, options: DemoOptions) -> dict[str, str]:
    return {
        "GRIDLEDGER_CLOCK_MODE": "simulated",
        "GRIDLEDGER_PARTITIONS": str(PARTITIONS),
        "GRIDLEDGER_LOG_LEVEL": "warning",
        "GRIDLEDGER_PAYMENT_PROFILES_FILE": str((files / "keys" / "keys.json").resolve()),
        "GRIDLEDGER_OPERATORS_FILE": str((files / "operators.json").resolve()),
        "GRIDLEDGER_METER_PASSWORDS_FILE": str((files / "meter_passwords.json").resolve()),
        "GRIDLEDGER_EVIDENCE_KEY_FILE": str((files / EVIDENCE_KEY_FILE).resolve()),
        "GRIDLEDGER_POLICY_FILE": settlement.write_policy(files),
        "GRIDLEDGER_RELEASE_ID": f"demo-{options.seed}",
    }


def _start_gateways(stage: Stage, files: Path, api_port: int) -> None:
    config = {
        "keys": str(files / "keys"),
        "target": stage.url("payments", ""),
        "journal": str(files / "gateways.jsonl"),
        "api_port": api_port,
        "retry_delays_s": [0.2, 0.5, 1, 2, 4, 8, 8, 8],
        "seed": 1,
    }
    (files / "gateways.json").write_text(json.dumps(config), encoding="utf-8")
    stage.start("gateways", "simulators.gateways", str(files / "gateways.json"))
    bench = {
        "bench_no": "B1",
        "reference_meter_no": "R-77",
        "reference_class": "0.05",
        "reference_due_on": "2027-03-01",
        "operator": "lab-3",
        "edge_port": stage.ports["metrology"],
        "journal": str(files / "bench.jsonl"),
        "ready_file": str(files / "bench.ready.json"),
        "seed": 1,
    }
    (files / "bench.json").write_text(json.dumps(bench), encoding="utf-8")
    stage.start("bench", "simulators.bench", str(files / "bench.json"))


def _lines(ready: Mapping[str, Any], files: Path) -> dict[str, str]:
    """Where each simulated line is reached; the concentrator reaches us."""
    behind = json.loads((files / "concentrator.json").read_text(encoding="utf-8"))
    return {"concentrator": f"listen:127.0.0.1:{behind['master_port']}"} | {
        line["name"]: f"serial:{line['path']}:115200"
        if line["kind"] == "pty"
        else f"tcp:{line['host']}:{line['port']}"
        for line in ready["lines"]
    }


def _play(
    stage: Stage, city: City, files: Path, options: DemoOptions, teller: Teller
) -> DemoResult:
    ready = stage.wait_file(files / "meters.ready.json")
    meters = ControlPort(ready["control"]["host"], int(ready["control"]["port"]))
    behind = stage.wait_file(files / "concentrator.ready.json")["control"]
    concentrator = ControlPort(behind["host"], int(behind["port"]))
    gateways = ControlPort("127.0.0.1", int(stage.ready_line("gateways")["control_port"]))
    bench_ready = stage.wait_file(files / "bench.ready.json")
    bench = ControlPort("127.0.0.1", int(bench_ready["control_port"]))
    settings = stage.settings
    assert settings is not None
    acts = Acts(stage, settings, gateways, bench, meters, concentrator)
    memory = Memory(settings, load_topics(PARTITIONS))

    def tick(at: str) -> None:
        meters.ask("time", at=at)
        concentrator.ask("time", at=at)
        _at_rest(stage, "/advance", at=at)

    def rest() -> None:
        _at_rest(stage, "/rest")

    plan = Plan(
        city=city,
        acts=acts,
        memory=memory,
        files=files,
        tick=tick,
        rest=rest,
        kill=lambda name: _kill(stage, name, teller),
        seed=options.seed,
        kills=options.kills,
    )
    try:
        return _live_and_audit(plan, stage, _lines(ready, files), options, teller)
    finally:
        acts.close()
        memory.close()


def _live_and_audit(
    plan: Plan, stage: Stage, lines: Mapping[str, str], options: DemoOptions, teller: Teller
) -> DemoResult:
    """The months, then what came of them."""
    city, memory = plan.city, plan.memory
    began = time.monotonic()
    _move_in(plan, lines, teller)
    _live(plan, options, stage, teller)
    lived_s = time.monotonic() - began
    memory.follow()
    result = DemoResult(expectations=expectations(Facts(city, memory, plan)))
    teller.say("auditing: balance and replay")
    result.business = business_result(memory)
    _audit(stage, options.data_dir / "export", result)
    result.seconds = {
        "months": round(lived_s, 1),
        "audit": round(time.monotonic() - began - lived_s, 1),
    }
    result.console_url = stage.url("console", "/")
    result.an_invoice = f"{city.cast['late_actual']}-2026-02"
    return result


def _at_rest(stage: Stage, path: str, **fields: Any) -> None:
    """Ask the clock; what was just killed may take a while to come back."""
    url = stage.url("clock", path)
    insist(lambda: post(url, {"timeout_s": 90, **fields}, timeout_s=300), 240.0)


def _kill(stage: Stage, name: str, teller: Teller) -> None:
    stage.kill(name)
    teller.say(f"SIGKILL {name}")


def _move_in(plan: Plan, lines: Mapping[str, str], teller: Teller) -> None:
    """Customers, openings, all books but the late ones; business time begins."""
    write_import(plan.city, plan.files / "import", lines)
    good, bad = plan.acts.import_customers(plan.files / "import", "demo")
    write_openings(plan.city, plan.files / "openings", (*DEBTORS, *mass_cut.ROLES))
    defects = plan.acts.open_positions(plan.files / "openings", "demo")
    assert not bad, f"{bad} rows of the city's own files were refused"
    assert not defects, defects
    for name in ("cq_residential", "cq_commercial", "cq_industry_10kv", feed_in.BOOK):
        plan.acts.publish(name)
    teller.say(f"{good} rows imported: {len(plan.city.points)} usage points")
    plan.tick(START_AT)


def _live(plan: Plan, options: DemoOptions, stage: Stage, teller: Teller) -> None:
    """Day by day: the morning's tick, then what people do."""
    total = (options.last - FIRST).days + 1
    for number in range(total):
        day = FIRST + timedelta(days=number)
        plan.tick(instant(day, "00:30"))
        plan.on_day(day)
        if options.nemesis is not None:
            options.nemesis(stage, day)
        teller.day(number + 1, total, day.isoformat())


def business_result(memory: Memory) -> tuple[str, ...]:
    """What came of it for the customers, whatever the offsets, crashes and wall times were."""
    lines = (
        json.dumps([name, body["_key"], _lasting(body)], sort_keys=True)
        for name in BUSINESS
        for body in memory.of(name)
    )
    return tuple(sorted(lines))


def _lasting(value: Any) -> Any:
    """A body without what a repeated attempt may change, at any depth."""
    if isinstance(value, dict):
        return {
            name: _lasting(found)
            for name, found in value.items()
            if not name.startswith("_") and name not in VOLATILE
        }
    return [_lasting(found) for found in value] if isinstance(value, list) else value


VOLATILE = frozenset({"evidence_id", "payment_id", "readings", "reading_ids"})
"""Fields that name frames, random transaction numbers or attempts."""


def _audit(stage: Stage, export_dir: Path, result: DemoResult) -> None:
    """Balance and replay, and the topics as files that anybody can look into afterwards."""
    settings = stage.settings
    assert settings is not None
    table = load_topics(PARTITIONS)
    reader, committed = open_reader(settings.kafka(), table, CORES)
    shutil.rmtree(export_dir, ignore_errors=True)
    export_topics(reader, table.partitions, table.topics, export_dir, committed)
    known = {name: load_core(name, PARTITIONS, settings.policy_file) for name in CORES}
    result.balance = balance_document(
        [
            balance(reader, k.core, table.partitions, k.written, committed[name])
            for name, k in known.items()
        ]
    )
    result.replay = replay_document(
        [
            replay(reader, k.core, table.partitions, k.written, table.writers, committed[name])
            for name, k in known.items()
            if name not in EFFECTS
        ]
    )
