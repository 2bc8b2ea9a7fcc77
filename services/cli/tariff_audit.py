"""`gridledger tariff audit` and `tariff accept`: classes that an agreement contradicts.

audit: the rules of billing's policy (`gridledger config policy`, section billing.audit) over every
bill of the input: usage and contract files as of `gridledger rate`, the files of an export, or the
cluster. Each month that contradicts a rule is rated again under what is expected. `--json`:

    {"rules": id, "bills": count,
     "findings": [{"account_no", "point", "rule", "meaning", "stands", "expected", "months": [],
                   "at_stake_fen" (expected minus as billed), "problem" (why a month has no amount,
                   or ""), "source", "unconfirmed"}],
     "at_stake_fen": of all}

A finding stands when the account's last bill has it. Status 1 with a finding.

accept: the class of a question of billing (its id stands in billing.events) is right as it is.
"""

from __future__ import annotations

import json
from collections import deque
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from libs.events.errors import BadInput
from libs.events.quantities import format_yuan
from services.billing.api import SOURCE, accept_class
from services.billing.audit_rules import AuditRules
from services.billing.events import edge_catalogue
from services.billing.policy import DEFAULT_POLICY
from services.billing.tariff_audit import AtStake, Contradiction, contradictions, month_at_stake
from services.cli.rate import load_each
from services.cli.recorded_bills import RecordedBill, RecordedBills
from services.cli.records import named, open_cluster
from services.cli.row_values import fixed_line, today_on
from services.cli.watched import watched
from services.cli.wrapped_text import wrapped
from services.customers.days import read_day
from services.policy_file import policy_of
from services.settings import load_settings
from services.wiring import open_producer

WIDTHS = (14, 14, 28, -6, -13)
COLUMNS = 80


@dataclass(slots=True)
class Finding:
    """What contradicts a rule about a point, and the months that were billed so."""

    account_no: str
    found: Contradiction
    months: deque[AtStake]
    last_month: str = ""

    @property
    def at_stake_fen(self) -> int:
        return sum(each.amount_fen for each in self.months)


@dataclass(slots=True)
class Audit:
    """The findings over the bills that were taken, each account's in the order of its months."""

    rules: AuditRules
    findings: dict[tuple[str, str], Finding] = field(default_factory=dict)
    bills: int = 0

    def take(self, recorded: RecordedBill, source: RecordedBills) -> None:
        """One bill. What it does not have any more stands no longer."""
        self.bills += 1
        bill, last = recorded.bill, recorded.parts[-1]
        days = (last.usage.from_on, last.usage.until_on)
        standing = {e.key: e for e in contradictions(last.terms, last.book, days, self.rules)}
        for key, each in standing.items():
            place = (bill.account, key)
            if place not in self.findings:
                months = deque[AtStake](maxlen=self.rules.months)
                self.findings[place] = Finding(bill.account, each, months)
            finding = self.findings[place]
            finding.found = each
            books = source.books.values()
            month = month_at_stake(recorded.parts, bill, key, self.rules, books)
            if month is not None:
                finding.months.append(self._of_bill(recorded, month))
        for key in self.rules.rules:
            for point in last.terms.points:
                if f"{key}/{point.point}" not in standing:
                    self.findings.pop((bill.account, f"{key}/{point.point}"), None)

    def _of_bill(self, recorded: RecordedBill, month: AtStake) -> AtStake:
        """A bill that was withheld has no amount to compare with."""
        if recorded.bill.withheld and not month.problem:
            return AtStake(month.month, 0, "the bill is withheld as it is")
        return month


def audit(
    usage: Annotated[str, typer.Option(help="What was used; -: stdin.", metavar="FILE")] = "",
    book: Annotated[
        list[Path] | None, typer.Option(help="A price book, repeatable.", metavar="FILE")
    ] = None,
    contract: Annotated[str, typer.Option(help="The contracts.", metavar="FILE")] = "",
    from_files: Annotated[
        Path | None, typer.Option("--from-files", help="Read an export.", metavar="DIR")
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="A policy file.", metavar="FILE")] = None,
    on: Annotated[str, typer.Option(help="What counts as today.", metavar="DAY")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Find accounts whose agreement contradicts their class, and the money at stake.

    From --usage, --contract and --book as `gridledger rate` takes them, from an
    export, or else from the cluster. Status 1 with a finding.
    """
    today = read_day(on, "--on") if on else today_on()
    rules = policy_of(
        policy or load_settings().settings.policy_file, "billing", DEFAULT_POLICY
    ).audit
    source = RecordedBills(usage, contract, load_each(book or []), from_files, today)
    found = Audit(rules)
    for recorded in watched(source, "bills"):
        found.take(recorded, source)
    if as_json:
        print(json.dumps(document(found), ensure_ascii=False, indent=1))
    else:
        show(found)
    return int(bool(found.findings))


def ordered(found: Audit) -> list[Finding]:
    """By account, in the order of the rules."""
    return [found.findings[place] for place in sorted(found.findings, key=lambda each: each[0])]


def document(found: Audit) -> dict[str, Any]:
    """What `--json` prints."""
    rows = []
    for each in ordered(found):
        rule = found.rules.rules[each.found.rule]
        rows.append(
            {
                "account_no": each.account_no,
                "point": each.found.point,
                "rule": each.found.rule,
                "meaning": rule.meaning,
                "stands": each.found.stands,
                "expected": each.found.expected,
                "months": [month.month for month in each.months if not month.problem],
                "at_stake_fen": each.at_stake_fen,
                "problem": _problem(each),
                "source": rule.source,
                "unconfirmed": rule.is_unconfirmed,
            }
        )
    total_fen = sum(each.at_stake_fen for each in found.findings.values())
    head = {"rules": found.rules.id, "bills": found.bills}
    return {**head, "findings": rows, "at_stake_fen": total_fen}


def _problem(finding: Finding) -> str:
    return next((each.problem for each in finding.months if each.problem), "")


def show(found: Audit) -> None:
    """The findings for people: a line each, and what the rule says below it."""
    if found.findings:
        print(fixed_line(("account", "point", "rule", "months", "yuan"), WIDTHS))
    for each in ordered(found):
        rule = found.rules.rules[each.found.rule]
        months = [month for month in each.months if not month.problem]
        yuan = format_yuan(each.at_stake_fen) if months else "?"
        cells = (each.account_no, each.found.point, each.found.rule, str(len(months)), yuan)
        print(fixed_line(cells, WIDTHS))
        _say(f"{rule.meaning}: {each.found.stands}, expected {each.found.expected}")
        if _problem(each):
            _say(f"not reckoned: {_problem(each)}")
        if rule.is_unconfirmed:
            _say(f"source: {rule.source}")
    total = format_yuan(sum(each.at_stake_fen for each in found.findings.values()))
    count = len(found.findings)
    print(f"{found.bills} bills by rules {found.rules.id}: {count} findings, {total} yuan at stake")


def _say(text: str) -> None:
    for line in wrapped(text, COLUMNS - 2):
        print(f"  {line}")


def accept(
    audit_id: Annotated[str, typer.Argument(help="The question, ACCOUNT-T001.", metavar="ID")],
    by: Annotated[str, typer.Option(help="Who accepts.")],
    reason: Annotated[str, typer.Option(help="Why the class is right.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Accept the class that billing asks about; it asks again when another one stands."""
    account_no, mark, number = audit_id.partition("-T")
    if not (account_no.isdecimal() and mark and number.isdecimal()):
        fix = "give ACCOUNT-T001, as billing.tariff_class_questioned has it"
        raise BadInput("ID", f"{audit_id!r} is no question", fix)
    by = named("--by", by, "say who accepts")
    reason = named("--reason", reason, "say why")
    settings = load_settings().settings
    open_cluster(settings).close()
    with closing(open_producer(settings, SOURCE, edge_catalogue)) as producer:
        request_id = accept_class(producer, account_no, audit_id, by, reason)
    if as_json:
        print(json.dumps({"audit_id": audit_id, "request_id": request_id, "by": by}))
        return
    print(f"{audit_id}: accepted by {by}, recorded as {request_id}; billing decides")
