"""The settlement files of the three gateways, each as its channel writes it.

WeChat: the trade bill with 27 columns, backticks, a byte order mark and a summary. Alipay: a zip
with names and text in GBK, the business detail and its summary. The acquirer: a CSV with a footer.
Refunds of WeChat give their part of the fee back; nobody else's do (UNCONFIRMED, payments.md 2).

Example: `bill_of("wechat", facts, date(2026, 2, 12))` is the bill of that day; None: no trade.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from simulators.gateways.callbacks import CHINA, Payment, Refund
from simulators.gateways.keys import APPID, MCHID, POS_MERCHANT, POS_TERMINAL, SELLER_ID

FEE_RATES_E6 = {"wechat": 6000, "alipay": 6000, "pos": 3800}
Fact = Payment | Refund

WECHAT_HEADER = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,"
    "货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,"
    "商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
)
WECHAT_SUMMARY = (
    "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
)
ALIPAY_HEADER = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,"
    "订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,"
    "券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"
)
POS_HEADER = "商户号,终端号,交易时间,类型,批次号,凭证号,参考号,交易金额,手续费,交易日期,订单号"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """A file of a day. sha1: over the unpacked bytes, as WeChat declares it; owed_fen: what the
    channel pays out for the day."""

    name: str
    content: bytes
    sha1: str
    rows: int
    owed_fen: int


def bill_of(channel: str, facts: Iterable[Fact], day: date) -> Bill | None:
    """The bill of a channel's day out of all that happened; None for a day without trade."""
    found = sorted(
        (fact for fact in facts if _channel(fact) == channel and _day(fact) == day),
        key=lambda fact: (fact.at, _payment(fact).txn_id),
    )
    if not found:
        return None
    owed_fen = sum(_signed_fen(fact) - fee_fen(fact) for fact in found)
    if channel == "wechat":
        text = wechat_text(found)
        plain = text.encode()
        return _bill(f"{MCHID}All{day}.csv", plain, plain, len(found), owed_fen)
    if channel == "alipay":
        plain = alipay_text(found, day).encode("gbk")
        packed = _zipped(day, plain)
        return _bill(f"{SELLER_ID}_{day:%Y%m%d}.zip", packed, plain, len(found), owed_fen)
    plain = pos_text(found).encode()
    return _bill(f"{POS_MERCHANT}_{day:%Y%m%d}.csv", plain, plain, len(found), owed_fen)


def fee_fen(fact: Fact) -> int:
    """What the channel keeps of a line, half up; below zero what it gives back."""
    channel = _channel(fact)
    if isinstance(fact, Refund) and channel != "wechat":
        return 0
    amount_fen = fact.refund_fen if isinstance(fact, Refund) else fact.amount_fen
    kept_fen = (amount_fen * FEE_RATES_E6[channel] + 500_000) // 1_000_000
    return -kept_fen if isinstance(fact, Refund) else kept_fen


def wechat_text(facts: Sequence[Fact]) -> str:
    """A trade bill (交易账单) with its summary."""
    lines = [_backticked(_wechat_cells(fact)) for fact in facts]
    paid, back = _sums(facts)
    fees = sum(fee_fen(fact) for fact in facts)
    coupons = "0.00"
    count = f"{len(facts)}.0"
    summary = [count, *map(_yuan, (paid, back)), coupons, *map(_yuan, (fees, paid, back))]
    mark = "\N{ZERO WIDTH NO-BREAK SPACE}"
    return "\r\n".join([mark + WECHAT_HEADER, *lines, WECHAT_SUMMARY, _backticked(summary), ""])


def _wechat_cells(fact: Fact) -> list[str]:
    payment = _payment(fact)
    is_refund = isinstance(fact, Refund)
    paid = "0.00" if is_refund else _yuan(payment.amount_fen)
    back = _yuan(fact.refund_fen) if isinstance(fact, Refund) else "0.00"
    number = fact.refund_no if isinstance(fact, Refund) else "0"
    refund_id = f"5030{payment.txn_id[-20:]}{number[-4:]}" if is_refund else "0"
    return [
        *(_local(fact), APPID, MCHID, "0", "", payment.txn_id, payment.order, payment.payer),
        *("NATIVE", "REFUND" if is_refund else "SUCCESS", "OTHERS", "CNY", paid),
        *(_yuan(payment.coupon_fen), refund_id, number, back, "0.00"),
        *("ORIGINAL" if is_refund else "", "SUCCESS" if is_refund else "", "电费, 预存", ""),
        *(f"{_yuan(fee_fen(fact))}000", "0.60%", paid, back, ""),
    ]


def _backticked(cells: Iterable[str]) -> str:
    return ",".join(f"`{cell}" for cell in cells)


def alipay_text(facts: Sequence[Fact], day: date) -> str:
    """A business detail (业务明细) with its preface and footer."""
    paid, back = _sums(facts)
    refunds = sum(isinstance(fact, Refund) for fact in facts)
    end = day + timedelta(days=1)
    zero = "00:00:00]"
    dashes = "-" * 30
    return "\r\n".join(
        [
            "#支付宝业务明细查询",
            f"#账号：[{SELLER_ID}0156]",
            f"#起始日期：[{_chinese(day)} {zero}   终止日期：[{_chinese(end)} {zero}",
            f"#{dashes}业务明细列表{dashes}",
            ALIPAY_HEADER,
            *(",".join(_alipay_cells(fact)) for fact in facts),
            f"#{dashes}业务明细列表结束{dashes}",
            f"#交易合计：{len(facts) - refunds}笔，商家实收共{_yuan(paid)}元，商家优惠共0.00元",
            f"#退款合计：{refunds}笔，商家实收退款共{_yuan(-back)}元，商家优惠退款共0.00元",
            f"#导出时间：[{_chinese(end)} 06:27:10]",
            "",
        ]
    )


def _alipay_cells(fact: Fact) -> list[str]:
    """Padded with tabs, as Alipay does; fees are below zero, and so is what went back."""
    payment = _payment(fact)
    amount = _yuan(_signed_fen(fact))
    number = fact.refund_no if isinstance(fact, Refund) else ""
    kind = "退款" if number else "交易"
    at = _local(fact)
    return [
        *(f"{payment.txn_id}\t", f"{payment.order}\t", kind, "电费 预存", at, at, "", "", "", ""),
        *("138****1234", amount, amount, "0.00", "0.00", "0.00", "0.00", "0.00", "", "0.00"),
        *("0.00", f"{number}\t", _yuan(-fee_fen(fact)), "0.00", ""),
    ]


def pos_text(facts: Sequence[Fact]) -> str:
    """An acquirer's day file, refunds below zero; docs/examples/payments/acquirer.yaml reads it."""
    lines = [POS_HEADER]
    for fact in facts:
        payment = _payment(fact)
        batch, stan, rrn = payment.batch, payment.stan, payment.rrn
        if isinstance(fact, Refund):
            batch, stan, rrn = fact.pos_numbers
        kind = "退货" if isinstance(fact, Refund) else "消费"
        cells = (POS_MERCHANT, POS_TERMINAL, _local(fact), kind, batch, stan, rrn)
        amounts = (_yuan(_signed_fen(fact)), _yuan(fee_fen(fact)))
        lines.append(",".join((*cells, *amounts, f"{_day(fact):%Y%m%d}", payment.order)))
    total = sum(_signed_fen(fact) for fact in facts)
    fees = sum(fee_fen(fact) for fact in facts)
    lines.append(f"合计,{len(facts)},,,,,,{_yuan(total)},{_yuan(fees)},,")
    return "\n".join((*lines, ""))


class _GbkName(zipfile.ZipInfo):
    """A member whose name is written as GBK bytes without the mark of UTF-8, as Alipay does."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802 (zipfile's own hook)
        return self.filename.encode("gbk"), self.flag_bits & ~0x800


def _zipped(day: date, plain: bytes) -> bytes:
    begin = f"{SELLER_ID}0156_{day:%Y%m%d}_业务明细"
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w") as archive:
        for name, content in ((f"{begin}.csv", plain), (f"{begin}(汇总).csv", b"#\r\n")):
            archive.writestr(_GbkName(name, (day.year, day.month, day.day, 0, 0, 0)), content)
    return kept.getvalue()


def _bill(name: str, content: bytes, plain: bytes, rows: int, owed_fen: int) -> Bill:
    sha1 = hashlib.sha1(plain, usedforsecurity=False).hexdigest()
    return Bill(name=name, content=content, sha1=sha1, rows=rows, owed_fen=owed_fen)


def _payment(fact: Fact) -> Payment:
    return fact if isinstance(fact, Payment) else fact.payment


def _channel(fact: Fact) -> str:
    return _payment(fact).channel


def _day(fact: Fact) -> date:
    return fact.at.astimezone(CHINA).date()


def _signed_fen(fact: Fact) -> int:
    return -fact.refund_fen if isinstance(fact, Refund) else fact.amount_fen


def _sums(facts: Iterable[Fact]) -> tuple[int, int]:
    """What was paid, and what went back."""
    signed = [_signed_fen(fact) for fact in facts]
    return sum(fen for fen in signed if fen > 0), -sum(fen for fen in signed if fen < 0)


def _local(fact: Fact) -> str:
    return fact.at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")


def _chinese(day: date) -> str:
    return f"{day:%Y}年{day:%m}月{day:%d}日"


def _yuan(amount_fen: int) -> str:
    sign = "-" if amount_fen < 0 else ""
    return f"{sign}{abs(amount_fen) // 100}.{abs(amount_fen) % 100:02d}"
