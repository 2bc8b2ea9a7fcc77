"""The policy file: what may be set, what is refused, and that it reaches what decides."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import pytest

from libs.events.errors import BadInput
from libs.events.policy import values_of
from services.cli import main as cli
from services.cli.policy_table import example_text
from services.control.policy import DEFAULT_POLICY as CONTROL
from services.control.policy import NoticeRule
from services.cores import CORES, load_core, load_policy
from services.ingest.policy import DEFAULT_POLICY as INGEST
from services.policy_file import SECTIONS, policy_of
from services.validation.policy import DEFAULT_POLICY as VALIDATION
from services.validation.rule_book import rule_set_for
from tests.simulation.path import EVEN, PARTITIONS, PointStory, daily_story, new_world
from tests.unit.audit.older import export_of

ROOT = Path(__file__).parents[3]

OTHER = {
    "control": "overdue_days: 45",
    "payments": "clearance_min: 1",
    "billing": "pay_within_days: 20",
    "ingest": "retry_min: [30, 60]",
    "ingest.effect": "clock_margin_min: 1",
    "validation": "grace_min: 600",
    "metrology": "notice_days: 45",
    "control.limits": "opens_per_hour: 5",
    "validation.areas": "rules: {area_most_e2_pct: 900}",
    "payments.settlement": "holidays: [2026-02-16]",
}
"""A policy for each core that is not its default."""


@pytest.fixture
def policy_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that the setting names; empty, which is every default."""
    file = tmp_path / "policy.yaml"
    file.write_text("", "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRIDLEDGER_POLICY_FILE", str(file))
    return file


def test_the_example_is_generated_and_says_exactly_the_defaults() -> None:
    file = ROOT / "docs" / "policy.example.yaml"
    assert file.read_text("utf-8") == example_text(), "gridledger config policy --example"
    for section in SECTIONS:
        known = load_policy(section, file)
        assert known.policy == known.default


@pytest.mark.parametrize("section", SECTIONS)
def test_every_value_has_its_term_and_a_comment_of_one_line(section: str) -> None:
    known = load_policy(section, None)
    paths = [path for path, _ in values_of(known.default) if ".sources." not in path]
    assert sorted(known.terms) == sorted(paths)
    comments = example_text().count("    #") + example_text().count("\n  #")
    assert comments >= len(paths)
    for term in known.terms.values():
        assert f"# {term.meaning}. {term.source}\n" in example_text()


def test_what_is_not_said_stays_and_what_is_said_is_laid_over_it(policy_file: Path) -> None:
    policy_file.write_text(
        "control:\n"
        "  residential: {least_s: 864000}\n"
        "  no_cut_on: [2026-10-01, 2026-10-02]\n"
        "  weekdays: []\n"
        "  categories: {residential: true}\n"
        "  remote_methods: {lt1kv: [meter_relay, terminal_output], 10kv: []}\n"
        "  close_action: close\n"
        "ingest:\n",
        "utf-8",
    )
    assert policy_of(policy_file, "control", CONTROL) == replace(
        CONTROL,
        residential=NoticeRule(
            least_s=864_000, most_s=1_296_000, final_least_s=1_800, final_most_s=86_400
        ),
        no_cut_on=("2026-10-01", "2026-10-02"),
        weekdays=(),
        categories=(("residential", True),),
        remote_methods=(("lt1kv", ("meter_relay", "terminal_output")), ("10kv", ())),
        close_action="close",
    )
    assert policy_of(policy_file, "ingest", INGEST) == INGEST


def test_a_rule_is_changed_under_another_name_with_its_source(policy_file: Path) -> None:
    policy_file.write_text(
        "validation:\n"
        "  rule_book:\n"
        "    id: east\n"
        "    rules:\n"
        "      spike:\n"
        "        severity: warn\n"
        "        parameters: {tolerance_pct: 150}\n"
        "        sources: {tolerance_pct: board of 2026-02-01}\n",
        "utf-8",
    )
    policy = policy_of(policy_file, "validation", VALIDATION)
    spike = policy.rule_book.rules["spike"]
    assert policy.rule_book.id == "east"
    assert (spike.severity, spike.parameters["tolerance_pct"]) == ("warn", 150)
    assert spike.parameters["floor_wh"] == 1000
    assert spike.sources["tolerance_pct"] == "board of 2026-02-01"
    assert policy.rule_book.rules["missing"] == VALIDATION.rule_book.rules["missing"]


@pytest.mark.parametrize("name", sorted(CORES))
def test_the_decider_changes_with_the_policy_and_not_without(name: str, policy_file: Path) -> None:
    before = load_core(name, 4).core.decider
    assert load_core(name, 4, policy_file).core.decider == before
    policy_file.write_text("\n".join(f"{s}: {{{text}}}" for s, text in OTHER.items()), "utf-8")
    after = load_core(name, 4, policy_file).core.decider
    if name not in SECTIONS:
        assert after == before
        return
    stem, _, digest = after.rpartition("+")
    assert stem == before
    assert len(digest) == 8


RULES = "validation: {rule_book: {id: east, rules: {"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("controll: {}", r"controll: no such section (did you mean control? "),
        ("control: {overdue: 3}", "control.overdue: no such field (did you mean overdue_days? "),
        ("control: {residential: {days: 3}}", "control.residential.days: no such field ("),
        ("control: {overdue_days: thirty}", "control.overdue_days: 'thirty' is no whole number"),
        ("control: {overdue_days: 1.5}", "control.overdue_days: '1.5' is no whole number"),
        ("control: {overdue_days: }", "control.overdue_days: nothing is no whole number"),
        ("control: {overdue_days: [3]}", "control.overdue_days: a list is no whole number"),
        ("control: {overdue_days: -1}", "control.overdue_days: -1 is out of range (give 0 to 36"),
        ("control: {residential: 7}", "control.residential: '7' has no fields (write"),
        ("control: {residential: {least_s: -1}}", "control.residential.least_s: -1 is out of"),
        ("control: {residential: {least_s: 2000000}}", "control.residential: a minimum is great"),
        ("control: {weekdays: 5}", "control.weekdays: '5' is no list (write [a, b]"),
        ("control: {weekdays: [1, 8]}", "control.weekdays: 8 is out of range (give 1 to 7)"),
        ("control: {no_cut_on: [2026-02-30]}", "control.no_cut_on: '2026-02-30' is no day"),
        ("control: {no_cut_on: [20260201]}", "control.no_cut_on: '20260201' is no day"),
        ("control: {no_cut_on: [{}]}", "control.no_cut_on[0]: a table is no text"),
        ("control: {categories: {a: maybe}}", "control.categories.a: 'maybe' is neither true"),
        ("control: {categories: }", "control.categories: nothing is no table"),
        ("control: {close_action: open}", "control.close_action: 'open' does not close a relay"),
        ("control: {hours_from: 1020}", "control.hours_from: 1020 is not before hours_to 1020"),
        ("control: {window_s_default: 30000}", "control.window_s_default: 30000 is more than"),
        ("payments: {horizon_days: 431}", "payments.horizon_days: 431 is out of range"),
        ("billing: {checks: {jump_low_percent: 101}}", "billing.checks.jump_low_percent: 101 is"),
        ("ingest: {retry_min: []}", "ingest.retry_min: is empty (give the minutes"),
        ("ingest: {retry_min: [0]}", "ingest.retry_min: 0 is out of range"),
        ("validation: {grace_min: 0}", "validation.grace_min: 0 is out of range"),
        (RULES + "spikes: {}}}}", "validation.rule_book.rules.spikes: no such field (did you me"),
        ("validation.areas: {usual_days: 32}", "validation.areas.usual_days: 32 is out of range"),
        (
            "validation.areas: {rules: {area_least_e2_pct: 800}}",
            "validation.areas.rules.area_least_e2_pct: is 800 (give at most area_most_e2_pct, 700)",
        ),
        (
            RULES + "spike: {parameters: {floor: 1}}}}}",
            "validation.rule_book.rules.spike.parameters.floor: no such field (did you mean floor_",
        ),
        (
            RULES + "spike: {severity: bad}}}}",
            "validation.rule_book.rules.spike.severity: is 'bad' (use off, warn, fail)",
        ),
        (RULES + "duplicate: {severity: off}}}}", "rules.duplicate.severity: this rule cannot be"),
        (
            RULES + "clock_drift: {parameters: {warn_s: 301}}}}}",
            "clock_drift.parameters.warn_s: 301 is more than fail_s 300",
        ),
        (
            "validation: {rule_book: {rules: {spike: {severity: warn}}}}",
            "validation.rule_book.id: these are other rules than default.v1 (give your rule set",
        ),
        ("- control", "it has no sections (begin with a section: one of control, control.limits"),
        ("control: {overdue_days: 3, overdue_days: 4}", "'overdue_days' is given twice"),
        ("a: &a {}\ncontrol: *a", "aliases are not used here"),
        ("? [a]\n: 1", "a name must be a word"),
        ("control: {", "expected the node content"),
        ("control: \x07", "special characters are not allowed"),
        ('control: "\\UFFFFFFFF"', "(correct the YAML there)"),
        ("[" * 3000, "it is nested too deeply (write it like docs/policy.example.yaml)"),
    ],
)
def test_a_wrong_file_is_refused_by_its_name_the_field_and_the_fix(
    text: str, problem: str, policy_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy_file.write_text(text, "utf-8")
    assert cli.main(["config", "policy"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {policy_file}: ")
    assert said.count("\n") == 1
    assert problem in said
    assert said.rstrip().endswith(")")


@pytest.mark.parametrize("section", sorted(SECTIONS))
def test_a_section_nobody_knows_stops_every_core(section: str, policy_file: Path) -> None:
    policy_file.write_text("metering: {}", "utf-8")
    with pytest.raises(BadInput, match="metering: no such section"):
        load_policy(section, policy_file)


def test_an_installation_does_not_start_with_a_wrong_file(
    policy_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy_file.write_text("validation: {grace_min: soon}", "utf-8")
    assert cli.main(["local", "up", "--data", "new"]) == 2
    assert "validation.grace_min: 'soon' is no whole number" in capsys.readouterr().err
    assert not Path("new").exists()


def test_the_command_shows_what_is_in_force_and_what_was_the_default(
    policy_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy_file.write_text("control: {overdue_days: 45}", "utf-8")
    assert cli.main(["config", "policy", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["control.overdue_days"] == {
        "name": "control.overdue_days",
        "value": 45,
        "default": 30,
        "meaning": "a debt must be overdue for more days than this",
        "source": "domain.md 5 (1): older than 30 days after the overdue date, and dunned",
        "unconfirmed": False,
    }
    assert rows["payments.clearance_min"]["unconfirmed"] is True
    assert rows["control.categories"]["value"]["residential"] is True
    assert cli.main(["config", "policy"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if line.startswith("control.overdue_days ")]
    assert "45 (default 30)  a debt must be overdue" in line
    assert cli.main(["config", "policy", "--example"]) == 0
    assert capsys.readouterr().out == example_text()


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    share: Decimal = Decimal("0.5")


def test_a_decimal_is_taken_as_it_is_written(policy_file: Path) -> None:
    policy_file.write_text("control: {share: 0.10}", "utf-8")
    assert str(policy_of(policy_file, "control", Priced()).share) == "0.10"
    policy_file.write_text("control: {share: 1e3}", "utf-8")
    with pytest.raises(BadInput, match="share: '1e3' is no decimal number"):
        policy_of(policy_file, "control", Priced())


def test_replay_proves_only_what_the_same_policy_decided(
    policy_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Validation decided by a policy: IDENTICAL with its file, NOT PROVEN without, never
    DIFFERENT."""
    policy_file.write_text("validation: {grace_min: 600}", "utf-8")
    known = load_core("validation", PARTITIONS, policy_file)
    cores = (*(load_core(name, PARTITIONS).core for name in ("ingest", "billing")), known.core)
    world = new_world(11, cores=cores)
    world.live(daily_story(PointStory("1000000001", "P1", EVEN), days=3))
    export = export_of(world, tmp_path / "export")
    command = ["audit", "replay", "--core", "validation", "--from-files", str(export), "--json"]

    def verdict() -> str:
        cli.main(command)
        return str(json.loads(capsys.readouterr().out)["verdict"])

    assert verdict() == "IDENTICAL"
    policy_file.write_text("", "utf-8")
    assert verdict() == "NOT PROVEN"


def test_a_variant_of_the_rules_is_changed_and_another_added(
    policy_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy_file.write_text(
        "validation:\n"
        "  rule_book:\n"
        "    id: east\n"
        "    variants:\n"
        "      manual: {rules: {negative: {severity: warn}, high_low: {severity: warn}}}\n"
        "      homes:\n"
        "        usage_classes: [residential]\n"
        "        rules:\n"
        "          spike: {parameters: {floor_wh: 5000}, sources: {floor_wh: board of May}}\n",
        "utf-8",
    )
    book = policy_of(policy_file, "validation", VALIDATION).rule_book
    homes = rule_set_for(book, "residential", "manual")
    assert homes.name == "east+manual+homes.v1"
    assert homes.rules["negative"].severity == homes.rules["high_low"].severity == "warn"
    assert homes.rules["clock_drift"].severity == "off", "as delivered"
    assert homes.rules["spike"].parameters["floor_wh"] == 5_000
    assert homes.rules["spike"].parameters["tolerance_pct"] == 180
    assert cli.main(["config", "policy", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    added = rows["validation.rule_book.variants.homes.rules.spike.parameters.floor_wh"]
    assert (added["value"], added["default"], added["source"]) == (5_000, "", "board of May")
