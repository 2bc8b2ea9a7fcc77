"""A bill that explains itself: every line as a sentence, in Chinese and in English.

Each sentence has the quantity, the price, what else entered the calculation, the amount, the rule's
place in the book and the ids of the readings behind it.

    电度电费（计量点 P1）：523 千瓦时 × 0.52 元/千瓦时 = 271.96 元；规则 …；读数 r1、r2
    Energy (point P1): 523 kWh x 0.52 CNY/kWh = 271.96 CNY; rule …; readings r1, r2
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from libs.events.quantities import format_scaled, format_yuan
from services.billing.bill import Bill, BillLine, Finding, NotYetRated
from services.billing.events import LateFeeCharged
from services.billing.price_book import book_key

LANGUAGES = ("zh", "en")


class Phrase(NamedTuple):
    """How a number of a line's basis is said."""

    zh: str
    en: str
    say: Callable[[str], str]


def _kilo(text: str) -> str:
    return format_scaled(int(text), 1000)


def _yuan(text: str) -> str:
    return format_yuan(int(text))


BASIS_PHRASES = {
    "metered_wh": Phrase("表计 {} 千瓦时", "metered {} kWh", _kilo),
    "deducted_wh": Phrase("扣减分表 {} 千瓦时", "deducted sub-meters {} kWh", _kilo),
    "fixed_wh": Phrase("定比、定量点 {} 千瓦时", "points with a fixed part {} kWh", _kilo),
    "transformer_loss_wh": Phrase("变损 {} 千瓦时", "transformer loss {} kWh", _kilo),
    "line_loss_wh": Phrase("线损 {} 千瓦时", "line loss {} kWh", _kilo),
    "fixed_ratio": Phrase("定比 {}", "fixed ratio {}", str),
    "shared_wh": Phrase("按 {} 千瓦时计", "of {} kWh", _kilo),
    "fixed_quantity_wh": Phrase("定量每月 {} 千瓦时", "fixed {} kWh a month", _kilo),
    "prorated": Phrase("按天数分摊电量", "energy shared by days", str),
    "above_wh": Phrase("超过 {} 千瓦时的部分", "the part above {} kWh", _kilo),
    "used_before_wh": Phrase("此前已用 {} 千瓦时", "{} kWh used before", _kilo),
    "measured_w": Phrase("实测最大需量 {} 千瓦", "measured maximum demand {} kW", _kilo),
    "transferred_w": Phrase("已扣转供需量 {} 千瓦", "less transferred demand {} kW", _kilo),
    "price_percent": Phrase("需量电价的 {}%", "at {} % of the demand price", str),
    "month_wh": Phrase("当月用电 {} 千瓦时", "{} kWh used in the month", _kilo),
    "capacity_va": Phrase("容量 {} 千伏安", "capacity {} kVA", _kilo),
    "contract_w": Phrase("合同需量 {} 千瓦", "contract demand {} kW", _kilo),
    "demand_rule": Phrase("需量规则 {}", "demand rule {}", str),
    "days": Phrase("计费天数 {}", "days charged {}", str),
    "power_factor": Phrase("功率因数 {}", "power factor {}", str),
    "standard": Phrase("标准 {}", "standard {}", str),
    "active_wh": Phrase("有功 {} 千瓦时", "active {} kWh", _kilo),
    "reactive_varh": Phrase("无功 {} 千乏时", "reactive {} kvarh", _kilo),
    "base": Phrase("基数取 {}", "base of {}", str),
    "free_wh": Phrase("每月免费 {} 千瓦时", "{} kWh a month are free", _kilo),
    "settled_by": Phrase("依据 {}", "settled by {}", str),
    "minimum_fen": Phrase("最低 {} 元", "at least {} CNY", _yuan),
    "minimum_per": Phrase("标准 {}", "minimum of {}", str),
    "charged_fen": Phrase("已计 {} 元", "charged {} CNY", _yuan),
    "price_month": Phrase("按 {} 的价格", "at the prices of {}", str),
}

CAUSE_NAMES = {
    "late_actual": ("实抄读数迟到", "an actual reading came late"),
    "usage_edited": ("电量经人工修正", "a person corrected the usage"),
    "metrology": ("电表检定不合格", "the meter failed its verification"),
    "book_superseded": ("价目表有新版本", "a newer version of the price book"),
    "rebinding": ("款项改认领", "a payment was bound anew"),
    "wrong_agreement": ("合同资料有误", "the agreement was wrong"),
}

UNIT_NAMES = {
    "Wh": ("千瓦时", "kWh"),
    "VA": ("千伏安", "kVA"),
    "W": ("千瓦", "kW"),
    "fen": ("元", "CNY"),
    "month": ("个月", "month"),
}
PRICE_WORDS = {
    "CNY": "元",
    "kWh": "千瓦时",
    "kVA": "千伏安",
    "kW": "千瓦",
    "month": "月",
}


def explain(bill: Bill, languages: Sequence[str] = LANGUAGES) -> list[str]:
    """The bill as sentences: a heading, every line, the total, then what is odd or missing.

    Each sentence comes once per language, in the given order of `zh` and `en`.
    """
    sentences = [_heading(bill), *(_sentence(line) for line in bill.lines), _closing(bill)]
    sentences += [_remark("不能出账", "withheld", each) for each in bill.findings]
    sentences += [_remark("请核查", "please check", each) for each in bill.warnings]
    sentences += [
        (
            f"尚未计价：{_place(each)}（{each.reason}）",
            f"Not yet rated: {_place(each)} ({each.reason})",
        )
        for each in bill.not_yet_rated
    ]
    places = [LANGUAGES.index(language) for language in languages]
    return [sentence[place] for sentence in sentences for place in places]


def explain_correction(correction_no: str, cause: str, difference_fen: int, language: str) -> str:
    """What a round did to one bill: its number, its cause and the difference in yuan."""
    yuan = format_yuan(difference_fen)
    zh, en = CAUSE_NAMES[cause]
    if language == "zh":
        return f"更正 {correction_no}（{zh}）：{yuan} 元"
    return f"Correction {correction_no} ({en}): {yuan} CNY"


def explain_late_fee(fee: LateFeeCharged, language: str) -> str:
    """A late fee, or one given back, with the days and rates that it comes of."""
    yuan = format_yuan(fee.amount_fen)
    days = [(share.days, share.permille) for share in fee.shares]
    if language == "zh":
        shares = "、".join(f"{each} 天按 {permille}‰" for each, permille in days)
        why = f"{fee.paid_on} 付款 {format_yuan(fee.debt_fen)} 元，{shares}" if days else "付款冲回"
        return f"违约金 {fee.fee_no}（应付 {fee.debt_due_on}；{why}；{fee.rule}）：{yuan} 元"
    shares = ", ".join(f"{each} days at {permille} permille" for each, permille in days)
    paid = f"{format_yuan(fee.debt_fen)} CNY paid on {fee.paid_on}, {shares}"
    why = paid if days else "the payment was taken back"
    return f"Late fee {fee.fee_no} (due on {fee.debt_due_on}; {why}; {fee.rule}): {yuan} CNY"


def explain_line(line: BillLine, language: str) -> str:
    """One line as a sentence."""
    return _sentence(line)[LANGUAGES.index(language)]


def _heading(bill: Bill) -> tuple[str, str]:
    books = "、".join(book_key(book) for book in bill.books)
    return (
        f"户号 {bill.account}，{bill.period} 电费（{bill.from_on} 至 {bill.until_on} 前），"
        f"价目表 {books}",
        f"Account {bill.account}, bill of {bill.period} ({bill.from_on} to before "
        f"{bill.until_on}), price book {books.replace('、', ', ')}",
    )


def _closing(bill: Bill) -> tuple[str, str]:
    if bill.withheld:
        return "本期账单暂不出具", "No bill is made of this period yet"
    total = format_yuan(bill.total_fen)
    estimated = ("，含估算电量", ", with estimated energy") if bill.estimated else ("", "")
    return f"合计 {total} 元{estimated[0]}", f"Total {total} CNY{estimated[1]}"


def _remark(zh: str, en: str, finding: Finding) -> tuple[str, str]:
    numbers = ", ".join(f"{key}={value}" for key, value in finding.numbers.items())
    detail = f"{finding.point} {finding.rule}: {finding.text}".strip()
    if numbers:
        detail = f"{detail} [{numbers}]"
    return f"{zh}：{detail}", f"{en.capitalize()}: {detail}"


def _place(gap: NotYetRated) -> str:
    return f"{gap.what} {gap.point}".strip()


def _sentence(line: BillLine) -> tuple[str, str]:
    unit_zh, unit_en = UNIT_NAMES[line.unit]
    if line.unit == "fen":
        quantity = format_yuan(line.quantity)
    elif line.unit == "month":
        quantity = str(line.quantity)
    else:
        quantity = format_scaled(line.quantity, 1000)
    price_zh = "/".join(PRICE_WORDS.get(word, word) for word in line.price_unit.split("/"))
    amount = format_yuan(line.amount_fen)
    place_zh = f"（计量点 {line.point}）" if line.point else ""
    place_en = f" (point {line.point})" if line.point else ""
    zh = [
        f"{line.name_zh}{place_zh}：{quantity} {unit_zh} × {line.price} {price_zh} = {amount} 元",
    ]
    en = [
        f"{line.name_en}{place_en}: {quantity} {unit_en} x {line.price} {line.price_unit} "
        f"= {amount} CNY",
    ]
    for key, text in line.basis.items():
        phrase = BASIS_PHRASES[key]
        zh.append(phrase.zh.format(phrase.say(text)))
        en.append(phrase.en.format(phrase.say(text)))
    zh.append(f"规则 {line.rule}")
    en.append(f"rule {line.rule}")
    if line.reading_ids:
        zh.append("读数 " + "、".join(line.reading_ids))
        en.append("readings " + ", ".join(line.reading_ids))
    if line.unconfirmed:
        zh.append("价格或规则未经核实")
        en.append("price or rule unconfirmed")
    return "；".join(zh), "; ".join(en)
