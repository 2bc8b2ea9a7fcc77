"""Settlement in the demo: every day's files of the channels, and what the bank got.

The morning after a day with trade a clerk imports the channels' files of it, as the gateways write
them; the morning after a payout the statement of the bank. Channels pay on the next working day,
over the Spring Festival on 24 February; what WeChat owes for its days comes a day late. The
first bill of WeChat was cut off on its way: nothing of it is taken, and it is fetched again.
"""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from libs.events.errors import BadInput
from libs.events.quantities import format_yuan
from simulators.city.facts import Check, Expectation, Facts, expect
from simulators.gateways.keys import MCHID

if TYPE_CHECKING:
    from simulators.city.plan import Plan

FESTIVAL = tuple(date(2026, 2, 15) + timedelta(days=number) for number in range(9))
WORKED = (date(2026, 2, 14), date(2026, 2, 28))
"""Of the Spring Festival of 2026: days off, and Saturdays that are worked instead."""
LATE_ON, LATE_DUE_ON, LATE_PAID_ON = "2026-02-19", "2026-02-24", "2026-02-25"
CUT_OFF_LINES = 2
CLOSED_LEAST = 4
"""Days with trade whose payout comes within the short form of the demo."""
OPEN_FOR = timedelta(days=8)
"""So long a day may stay open: over a weekend, and one that is late."""
CHANNELS = {
    "wechat": "财付通支付科技有限公司",
    "alipay": "支付宝（中国）网络技术有限公司",
    "pos": "银联商务股份有限公司",
}
"""The channels of the gateways, and who pays out for them."""
ACQUIRER = """\
name: The acquirer's day file
channel: pos_http
sign: refunds_negative
date_format: "%Y%m%d"
columns: {merchant: 商户号, terminal: 终端号, batch: 批次号, stan: 凭证号, rrn: 参考号,
  at: 交易时间, day_on: 交易日期, kind: 类型, amount: 交易金额, fee: 手续费, order_no: 订单号}
kinds: {消费: capture, 退货: refund}
footer: 合计
"""
BANK = """\
name: The statement of our bank
channel: bank
columns: {day_on: 交易日期, transaction: 流水号, credit: 贷方金额, debit: 借方金额,
  payer: 对方户名, purpose: 摘要}
payers:
  - {contains: 财付通, channel: wechat, merchant: "1900000001"}
  - {contains: 支付宝, channel: alipay, merchant: "2088000000000099"}
  - {contains: 银联商务, channel: pos_http, merchant: "887580481655550"}
"""
BANK_HEADER = "交易日期,流水号,贷方金额,借方金额,对方户名,摘要"
MAPPINGS = {"pos": "acquirer.yaml", "bank": "bank.yaml"}


@dataclass(slots=True)
class Bank:
    """What the bank gets: fen by day, channel and the day it was due; files: how many were given
    to payments."""

    payouts: dict[date, dict[tuple[str, date], int]] = field(default_factory=dict)
    files: int = 0
    refused: list[str] = field(default_factory=list)


def write_policy(files: Path) -> str:
    """The rules of this installation: fees as agreed, and when banks work. Its path."""
    days = {"holidays": FESTIVAL, "workdays": WORKED}
    lines = ["payments.settlement:", "  fee_rates_e6: {wechat: 6000, alipay: 6000, pos_http: 3800}"]
    lines += [f"  {name}: [{', '.join(map(str, found))}]" for name, found in days.items()]
    path = files / "policy.yaml"
    path.write_text("\n".join((*lines, "")), encoding="utf-8")
    return str(path.resolve())


def working_day_after(day: date) -> date:
    """When a channel pays a day."""
    following = day + timedelta(days=1)
    while following in FESTIVAL or (following.weekday() >= 5 and following not in WORKED):
        following += timedelta(days=1)
    return following


def on_day(plan: Plan, day: date) -> None:
    """Yesterday's files, and yesterday's statement."""
    eve = day - timedelta(days=1)
    directory = plan.files / "settlement"
    directory.mkdir(exist_ok=True)
    for name, text in (("acquirer.yaml", ACQUIRER), ("bank.yaml", BANK)):
        (directory / name).write_text(text, encoding="utf-8")
    given = [_import_bill(plan, directory, channel, eve) for channel in CHANNELS]
    paid = plan.bank.payouts.get(eve, {})
    if paid:
        _import(plan, _statement(directory, eve, paid), "bank")
    if any(given) or paid:
        plan.rest()


def _import_bill(plan: Plan, directory: Path, channel: str, day: date) -> bool:
    """A channel's file of a day; nothing on a day without trade."""
    bill = plan.acts.gateways.ask("bill", channel=channel, day=day.isoformat())
    if not bill["rows"]:
        return False
    path = directory / bill["name"]
    content = base64.b64decode(bill["content"])
    if channel == "wechat" and not plan.bank.refused:
        cut = b"\n".join(content.split(b"\n")[:CUT_OFF_LINES])
        path.write_bytes(cut)
        try:
            _import(plan, path, channel, merchant=MCHID)
        except BadInput as refused:
            plan.bank.refused.append(str(refused))
    path.write_bytes(content)
    _import(plan, path, channel, sha1=bill["sha1"] if channel == "wechat" else "")
    due = working_day_after(day)
    is_late = (channel, due.isoformat()) == ("wechat", LATE_DUE_ON)
    paid_on = date.fromisoformat(LATE_PAID_ON) if is_late else due
    payouts = plan.bank.payouts.setdefault(paid_on, {})
    payouts[channel, due] = payouts.get((channel, due), 0) + bill["owed_fen"]
    return True


def _statement(directory: Path, day: date, paid: dict[tuple[str, date], int]) -> Path:
    """The bank's statement of a day, with somebody's transfer that is no payout."""
    lines = [BANK_HEADER]
    amounts = [(CHANNELS[channel], fen, "结算") for (channel, _), fen in sorted(paid.items())]
    for number, (payer, fen, purpose) in enumerate((*amounts, ("某某机械厂", 50000, "电费")), 1):
        lines.append(f"{day},B{day:%m%d}{number:02d},{format_yuan(fen)},,{payer},{purpose}")
    path = directory / f"bank-{day}.csv"
    path.write_text("\n".join((*lines, "")), encoding="utf-8")
    return path


def _import(plan: Plan, path: Path, channel: str, **options: Any) -> None:
    mapping = path.parent / MAPPINGS[channel] if channel in MAPPINGS else None
    plan.acts.import_settlement(path, channel, mapping, **options)
    plan.bank.files += 1


def clearing(facts: Facts) -> Expectation:
    """Every clearing account is at zero, or what is left of it is explained to the fen; days whose
    payout came are closed."""
    memory, left = facts.memory, _left(facts, "channel_clearing")
    fees_fen = sum(_left(facts, "channel_fee").values())
    stated = {_place(body): body["clearing_fen"] for body in memory.of("payments.day_stated")}
    closed = {_place(body) for body in memory.of("payments.day_closed")}
    judged_on = max(body["_time"] for body in memory.of("payments.settlement_judged"))[:10]
    old_on = (date.fromisoformat(judged_on) - OPEN_FOR).isoformat()
    stuck = [
        name
        for name, fen in sorted(left.items())
        if (name[-10:] < old_on and name not in closed)
        or (name[-10:] < judged_on and stated.get(name) != fen)
    ]
    open_fen = sum(fen for name, fen in left.items() if name not in closed)
    closed_fen = sum(left[name] for name in closed)
    found = (
        f"{facts.plan.bank.files} files, {len(closed)} days closed at {format_yuan(closed_fen)}, "
        f"{format_yuan(open_fen)} open, fees {format_yuan(fees_fen)}"
    )
    if stuck:
        found += f"; not explained or closed: {', '.join(stuck[:3])}"
    holds = len(closed) >= CLOSED_LEAST and not closed_fen and fees_fen > 0 and not stuck
    return expect("settlement", "clearing zero or explained", found, holds)


def _left(facts: Facts, role: str) -> Counter[str]:
    """What stands on an account of the chart, by sub-account."""
    left: Counter[str] = Counter()
    entries = (
        body["journal"]
        for bodies in facts.memory.own.values()
        for body in bodies
        if body.get("journal")
    )
    for line in (line for entry in entries for line in entry["lines"]):
        if line["ledger_account"] == role:
            left[line["sub_account"]] += line["debit_fen"] - line["credit_fen"]
    return left


def _place(body: dict[str, Any]) -> str:
    return f"{body['_key']}:{body['day_on']}"


def late_payout(facts: Facts) -> Expectation:
    """A payout due after the holiday that came a day later: found, and no day stays open."""
    booked = facts.memory.of("payments.payout_booked", day_on=LATE_ON, outcome="payout_late")
    closed = facts.memory.of("payments.day_closed", day_on=LATE_ON)
    missing = facts.memory.of("payments.discrepancy_found", outcome="payout_missing")
    paid_on = booked[0]["paid_on"] if booked else "-"
    found = f"due {LATE_DUE_ON}, paid {paid_on}, {len(closed)} day closed, {len(missing)} missing"
    holds = len(booked) == len(closed) == 1 and paid_on == LATE_PAID_ON and not missing
    return expect("late payout", "late over the holiday, closed", found, holds)


def cut_off_file(facts: Facts) -> Expectation:
    """A file that was cut off is refused whole, with its reason; fetched again it is taken."""
    refused = facts.memory.of("payments.settlement_file_quarantined")
    causes = ", ".join(body["cause"] for body in refused)
    names = {body["name"] for body in facts.memory.of("payments.settlement_file_taken")}
    found = f"{len(refused)} quarantined: {causes or '-'}; {len(names)} taken"
    holds = len(refused) == 1 and refused[0]["cause"] == "file_summary_mismatch"
    return expect("cut-off bill", "quarantined, then taken", found,
                   holds and refused[0]["name"] in names)  # fmt: skip


CHECKS: tuple[Check, ...] = (clearing, late_payout, cut_off_file)
