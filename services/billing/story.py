"""A bill told to the customer: what was used, what each part costs and why, what would change it.

Every amount of the bill is in it, in the order in which a person asks: how much, for which energy,
which tier, which basic charge, what the power factor did, what may still be wrong. `explanation.py`
has the clerk's sentence of each line, with rules and readings.

    story(bill, parts)[0]     Sentence(zh="户号 A1，2026-01 …", en="Account A1, 2026-01: …")
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from libs.events.quantities import (
    PRICE_SCALE,
    WH_PER_KWH,
    format_scaled,
    format_yuan,
    half_up_div,
)
from services.billing.bill import Bill, BillLine, RatingPart
from services.billing.calendar import days_between
from services.billing.energy_charge import PERIOD_NAMES
from services.billing.price_book import TierRule, book_key, price_e6
from services.billing.tiers import boundaries_wh

FUND = "fund."
"""Components whose code begins so are collected for the state (government funds 基金及附加)."""

LARGE_PERCENT = 50


class Sentence(NamedTuple):
    """One sentence in both languages."""

    zh: str
    en: str


def story(bill: Bill, parts: Sequence[RatingPart]) -> tuple[Sentence, ...]:
    """The bill of these parts as sentences; every line's amount is in one of them."""
    return (
        _opening(bill),
        *_why_none(bill),
        *_energy(bill),
        *_periods(bill),
        *_tiers(bill, parts),
        *_funds(bill),
        *_basic(bill),
        *_power_factor(bill),
        *_others(bill),
        *_largest(bill),
        *_remarks(bill),
    )


def _kwh(wh: int) -> str:
    return format_scaled(wh, WH_PER_KWH)


def _opening(bill: Bill) -> Sentence:
    books = [book_key(book) for book in bill.books]
    days = days_between(bill.from_on, bill.until_on)
    zh = f"户号 {bill.account}，{bill.period}（{bill.from_on} 起 {days} 天，价目表 "
    zh += f"{'、'.join(books)}）："
    en = f"Account {bill.account}, {bill.period} ({days} days from {bill.from_on}, price book "
    en += f"{', '.join(books)}): "
    if bill.withheld:
        return Sentence(f"{zh}本期账单暂不出具。", f"{en}no bill is made of this period yet.")
    total, energy = format_yuan(bill.total_fen), _kwh(bill.energy_wh)
    zh += f"用电 {energy} 千瓦时，电费 {total} 元"
    en += f"{energy} kWh were used and cost {total} CNY"
    if bill.energy_wh and bill.total_fen > 0:
        price = format_yuan(half_up_div(bill.total_fen * WH_PER_KWH, bill.energy_wh))
        zh, en = f"{zh}，平均每千瓦时 {price} 元", f"{en}, {price} CNY per kWh on average"
    return Sentence(f"{zh}。", f"{en}.")


def _why_none(bill: Bill) -> Iterator[Sentence]:
    for each in bill.findings:
        point = f"{each.point} " if each.point else ""
        yield Sentence(f"原因：{point}{each.text}。", f"The reason: {point}{each.text}.")
    for gap in bill.not_yet_rated:
        yield Sentence(f"尚未计价：{gap.reason}。", f"Not priced yet: {gap.reason}.")


# -- energy ---------------------------------------------------------------------------------------


def _is_energy(line: BillLine) -> bool:
    is_base = line.unit == "Wh" and "above_wh" not in line.basis
    return is_base and not line.code.startswith(FUND)


def _energy(bill: Bill) -> Iterator[Sentence]:
    """Each price per kWh on the energy of a point, after what sub-meters take of it."""
    told: set[tuple[str, str]] = set()
    for line in filter(_is_energy, bill.lines):
        key = (line.point, line.from_on)
        if key not in told:
            told.add(key)
            yield from _deducted(bill, line)
        yield _priced(line)


def _deducted(bill: Bill, first: BillLine) -> Iterator[Sentence]:
    """What sub-meters take of a point, over all periods of its first price."""
    lines = [
        line
        for line in filter(_is_energy, bill.lines)
        if (line.point, line.from_on) == (first.point, first.from_on)
        and line.rule == first.rule
        and "deducted_wh" in line.basis
    ]
    if lines:
        metered, taken = (
            sum(int(line.basis[name]) for line in lines) for name in ("metered_wh", "deducted_wh")
        )
        yield Sentence(
            f"计量点 {first.point} 电表走了 {_kwh(metered)} 千瓦时，其中 {_kwh(taken)} "
            f"千瓦时由分表另行计费，剩 {_kwh(metered - taken)} 千瓦时。",
            f"The meter of {first.point} counted {_kwh(metered)} kWh, of which sub-meters are "
            f"billed {_kwh(taken)} kWh; {_kwh(metered - taken)} kWh are left.",
        )


def _priced(line: BillLine) -> Sentence:
    amount = format_yuan(line.amount_fen)
    return Sentence(
        f"{line.name_zh}{_of(line, '（计量点 {}）')}：{_kwh(line.quantity)} 千瓦时，"
        f"每千瓦时 {line.price} 元，计 {amount} 元。",
        f"{line.name_en}{_of(line, ' of point {}')}: {_kwh(line.quantity)} kWh at {line.price} "
        f"{line.price_unit} are {amount} CNY.",
    )


def _of(line: BillLine, text: str) -> str:
    return text.format(line.point) if line.point else ""


def _periods(bill: Bill) -> Iterator[Sentence]:
    """What a kWh saves that is used in the cheapest period of a component, not in the dearest."""
    floating: dict[tuple[str, str], dict[str, BillLine]] = {}
    for line in filter(_is_energy, bill.lines):
        component, _, period = line.code.rpartition(".")
        if period in PERIOD_NAMES:
            floating.setdefault((line.point, component), {})[period] = line
    for (point, _), lines in floating.items():
        by_price = sorted(lines, key=lambda period: price_e6(lines[period].price))
        saved_e6 = price_e6(lines[by_price[-1]].price) - price_e6(lines[by_price[0]].price)
        if saved_e6 > 0:
            saved = format_scaled(saved_e6, PRICE_SCALE)
            (dear_zh, dear_en), (cheap_zh, cheap_en) = (
                PERIOD_NAMES[by_price[-1]],
                PERIOD_NAMES[by_price[0]],
            )
            yield Sentence(
                f"计量点 {point}：每把 1 千瓦时从{dear_zh}时段移到{cheap_zh}时段，"
                f"可少付 {saved} 元。",
                f"Point {point}: each kWh used in a {cheap_en} period and not in a {dear_en} one "
                f"costs {saved} CNY less.",
            )


def _tiers(bill: Bill, parts: Sequence[RatingPart]) -> Iterator[Sentence]:
    """Where the points stand in their tiers, the adders, and what is left until the next one."""
    for point, after in sorted(bill.tiers_after.items()):
        before = bill.tiers_before[point]
        span_zh, span_en = ("本年", "this year") if len(after.key) == 4 else ("本月", "this month")
        yield Sentence(
            f"阶梯（计量点 {point}）：{span_zh}此前已用 {_kwh(before.used_wh)} 千瓦时，"
            f"到本期末共 {_kwh(after.used_wh)} 千瓦时。",
            f"Tiers of point {point}: {_kwh(before.used_wh)} kWh were used {span_en} before, "
            f"{_kwh(after.used_wh)} kWh by the end of this bill.",
        )
        for line in bill.lines:
            if line.point == point and "above_wh" in line.basis:
                bound, amount = _kwh(int(line.basis["above_wh"])), format_yuan(line.amount_fen)
                yield Sentence(
                    f"{line.name_zh}：超过 {bound} 千瓦时的 {_kwh(line.quantity)} 千瓦时，"
                    f"每千瓦时加价 {line.price} 元，计 {amount} 元。",
                    f"{line.name_en}: {_kwh(line.quantity)} kWh above {bound} kWh cost "
                    f"{line.price} {line.price_unit} more, {amount} CNY.",
                )
        yield from _next_tier(point, after.used_wh, bill.period, parts, span_zh, span_en)


def _next_tier(
    point: str, used_wh: int, period: str, parts: Sequence[RatingPart], zh: str, en: str
) -> Iterator[Sentence]:
    part = parts[-1]
    rule = _tiers_of(part, point)
    if rule is None:  # another list came into force meanwhile, or the point is gone
        return
    bounds_wh = boundaries_wh(rule, period, part.terms.allowances)
    above = [each for each in zip(bounds_wh, rule.steps, strict=True) if each[0] > used_wh]
    if above:
        bound_wh, step = above[0]
        left = _kwh(bound_wh - used_wh)
        yield Sentence(
            f"{zh}再用 {left} 千瓦时即到 {_kwh(bound_wh)} 千瓦时，以上每千瓦时在基准价上加价 "
            f"{step.adder} 元。",
            f"After another {left} kWh {en}, at {_kwh(bound_wh)} kWh, each kWh costs "
            f"{step.adder} CNY more than the base price.",
        )


def _tiers_of(part: RatingPart, point: str) -> TierRule | None:
    codes = [each.price_list for each in part.terms.points if each.point == point]
    return part.book.price_lists[codes[0]].tiers if codes else None


def _funds(bill: Bill) -> Iterator[Sentence]:
    lines = [line for line in bill.lines if line.code.startswith(FUND)]
    if lines:
        total = format_yuan(sum(line.amount_fen for line in lines))
        names_zh = "、".join(f"{each.name_zh} {format_yuan(each.amount_fen)}" for each in lines)
        names_en = ", ".join(f"{each.name_en} {format_yuan(each.amount_fen)}" for each in lines)
        yield Sentence(
            f"代收的基金及附加共 {total} 元：{names_zh}。",
            f"Funds collected for the state are {total} CNY: {names_en}.",
        )


# -- basic charge and power factor ----------------------------------------------------------------


def _basic(bill: Bill) -> Iterator[Sentence]:
    for line in bill.lines:
        if _is_capacity(line):
            yield _capacity(line)
        elif _is_demand(line):
            yield _demand(line)


def _is_capacity(line: BillLine) -> bool:
    return line.unit == "VA" and "days" in line.basis


def _is_demand(line: BillLine) -> bool:
    return line.unit == "W" and {"days", "measured_w"} <= line.basis.keys()


def _is_power_factor(line: BillLine) -> bool:
    return {"power_factor", "standard"} <= line.basis.keys()


def _capacity(line: BillLine) -> Sentence:
    amount, kva, days = format_yuan(line.amount_fen), _kwh(line.quantity), line.basis["days"]
    return Sentence(
        f"{line.name_zh}：变压器容量 {kva} 千伏安，每千伏安每月 {line.price} 元，"
        f"按 {days} 个月计，{amount} 元；与用电多少无关。",
        f"{line.name_en}: {kva} kVA of transformers at {line.price} {line.price_unit} for {days} "
        f"of a month are {amount} CNY, whatever was used.",
    )


def _demand(line: BillLine) -> Sentence:
    """What the demand was billed as, and why it is not the measured one."""
    amount, kw = format_yuan(line.amount_fen), _kwh(line.quantity)
    measured_w = int(line.basis["measured_w"])
    zh = f"{line.name_zh}：本期最大需量 {_kwh(measured_w)} 千瓦"
    en = f"{line.name_en}: the highest demand was {_kwh(measured_w)} kW"
    if "contract_w" in line.basis:
        contract = _kwh(int(line.basis["contract_w"]))
        zh += f"，合同需量 {contract} 千瓦"
        en += f", the contract says {contract} kW"
    zh += f"；按 {kw} 千瓦、每千瓦每月 {line.price} 元（{line.basis['days']} 个月）计 {amount} 元。"
    en += f"; {kw} kW at {line.price} {line.price_unit} for {line.basis['days']} of a month "
    return Sentence(zh, f"{en}are {amount} CNY.")


def _power_factor(bill: Bill) -> Iterator[Sentence]:
    for line in bill.lines:
        if not _is_power_factor(line):
            continue
        factor, standard = line.basis["power_factor"], line.basis["standard"]
        base, amount = format_yuan(line.quantity), format_yuan(abs(line.amount_fen))
        zh = f"功率因数 {factor}，标准 {standard}"
        en = f"The power factor was {factor}, the standard is {standard}"
        if line.amount_fen > 0:
            yield Sentence(
                f"{zh}：低于标准，按 {base} 元加收 {line.price}%，计 {amount} 元；"
                f"补偿无功达到标准即可免付。",
                f"{en}: it is lower, so {line.price} % of {base} CNY are added, {amount} CNY; "
                f"compensating reactive energy up to the standard saves them.",
            )
        elif line.amount_fen < 0:
            percent = line.price.removeprefix("-")
            yield Sentence(
                f"{zh}：高于标准，按 {base} 元减收 {percent}%，计 {amount} 元。",
                f"{en}: it is higher, so {percent} % of {base} CNY are taken off, {amount} CNY.",
            )
        else:
            yield Sentence(
                f"{zh}：不加收也不减收（{amount} 元）。",
                f"{en}: nothing is added or taken off ({amount} CNY).",
            )


# -- the rest -------------------------------------------------------------------------------------


def _others(bill: Bill) -> Iterator[Sentence]:
    """Lines that no sentence before is about, such as a fee by the month."""
    for line in bill.lines:
        told = _is_capacity(line) or _is_demand(line) or _is_power_factor(line)
        if not told and line.unit != "Wh":
            amount = format_yuan(line.amount_fen)
            yield Sentence(
                f"{line.name_zh}{_of(line, '（计量点 {}）')}：{amount} 元。",
                f"{line.name_en}{_of(line, ' of point {}')}: {amount} CNY.",
            )


def _largest(bill: Bill) -> Iterator[Sentence]:
    largest = max(bill.lines, key=lambda line: line.amount_fen, default=None)
    if largest is None or len(bill.lines) == 1 or bill.total_fen <= 0:
        return
    percent = half_up_div(100 * largest.amount_fen, bill.total_fen)
    if percent >= LARGE_PERCENT:
        yield Sentence(
            f"占比最大的是{largest.name_zh}，为合计的 {percent}%。",
            f"The largest part is {largest.name_en}, {percent} % of the total.",
        )


def _remarks(bill: Bill) -> Iterator[Sentence]:
    if bill.estimated:
        yield Sentence(
            "本期含估算电量；实抄读数到达后多退少补。",
            "Some of the energy is estimated; when the meter is read, the difference is settled.",
        )
    if bill.exchanged:
        yield Sentence(
            "本期更换过电表，两只表的电量已相加。",
            "The meter was exchanged in these days; the energies of both are added.",
        )
    if any("prorated" in line.basis for line in bill.lines):
        yield Sentence(
            "价格或合同在期内变更，电量按天数分摊。",
            "A price or the contract changed within these days; the energy is shared by days.",
        )
    for each in bill.warnings:
        yield Sentence(f"请核查：{each.text}。", f"Please check: {each.text}.")
    unconfirmed = _names(line for line in bill.lines if line.unconfirmed)
    if unconfirmed:
        yield Sentence(
            f"价目表中未经核实的项目：{'、'.join(zh for zh, _ in unconfirmed)}。",
            f"Unconfirmed in the price book: {', '.join(en for _, en in unconfirmed)}.",
        )


def _names(lines: Iterable[BillLine]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((line.name_zh, line.name_en) for line in lines))
