"""Bills as the channels write them, made up line by line."""

from __future__ import annotations

from collections.abc import Sequence

HEADER = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,"
    "货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,"
    "商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
)
SUMMARY = (
    "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
)
FUNDS_HEADER = (
    "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),"
    "资金变更提交申请人,备注,业务凭证号"
)
FUNDS_SUMMARY = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"
ALIPAY_HEADER = (
    "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,"
    "订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,"
    "券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注"
)
PREFACE = (
    "#支付宝业务明细查询",
    "#账号：[20880000000000990156]",
    "#起始日期：[2026年02月14日 00:00:00]   终止日期：[2026年02月15日 00:00:00]",
    "#-----------------------------------------业务明细列表------------------------------------",
)
END = "#-----------------------------------------业务明细列表结束--------------------------------"


def cells(values: Sequence[str]) -> str:
    """A line of data of WeChat: a backtick before each cell."""
    return ",".join(f"`{value}" for value in values)


def trade(
    amount: str = "100.00",
    fee: str = "0.60000",
    *,
    number: int = 1,
    refund: bool = False,
    **changed: str,
) -> str:
    """A line of a trade bill; a change names its column in Chinese."""
    found = dict.fromkeys(HEADER.split(","), "")
    zero = "0.00"
    found |= {
        "交易时间": "2026-02-12 08:01:12",
        "商户号": "1900000001",
        "微信订单号": f"42000000{number}",
        "商户订单号": "1000000042126020001",
        "交易状态": "REFUND" if refund else "SUCCESS",
        "货币种类": "CNY",
        "应结订单金额": zero if refund else amount,
        "微信退款单号": f"5030{number}" if refund else "0",
        "商户退款单号": f"REF{number}" if refund else "0",
        "退款金额": amount if refund else zero,
        "充值券退款金额": zero,
        "退款状态": "SUCCESS" if refund else "",
        "商品名称": "电费, 2026-01",
        "手续费": fee,
        "订单金额": zero if refund else amount,
        "申请退款金额": amount if refund else zero,
    }
    return cells(list((found | changed).values()))


def trade_bill(rows: Sequence[str], summary: Sequence[str], header: str = HEADER) -> list[str]:
    """A whole bill: byte order mark, rows, summary."""
    return ["\N{ZERO WIDTH NO-BREAK SPACE}" + header, *rows, SUMMARY, cells(summary)]


def funds(kind: str, way: str, amount: str, business: str = "4200", flow: str = "4200") -> str:
    """A line of a fund-flow bill."""
    values = ["2026-02-12 08:01:12", business, flow, kind, kind, way, amount, "9.99", "x", "", "V1"]
    return cells(values)


def alipay(
    amount: str = "100.00", fee: str = "-0.60", *, refund: bool = False, **changed: str
) -> str:
    """A line of a business detail, padded with tabs as Alipay does."""
    found = dict.fromkeys(ALIPAY_HEADER.split(","), "")
    found |= {
        "支付宝交易号": "2026021422001400000000000001\t",
        "商户订单号": "1000000042126020001\t",
        "业务类型": "退款" if refund else "交易",
        "完成时间": "2026-02-14 11:00:00",
        "订单金额（元）": amount,
        "商家实收（元）": amount,
        "商家优惠（元）": "0.00",
        "退款批次号/请求号": "REF1\t" if refund else "\t",
        "服务费（元）": fee,
    }
    return ",".join((found | changed).values())


def alipay_bill(
    rows: Sequence[str],
    captures: tuple[int, str] = (0, "0.00"),
    refunds: tuple[int, str] = (0, "0.00"),
    header: str = ALIPAY_HEADER,
) -> list[str]:
    """A whole business detail with its footer."""
    return [
        *PREFACE,
        header,
        *rows,
        END,
        f"#交易合计：{captures[0]}笔，商家实收共{captures[1]}元，商家优惠共0.00元",
        f"#退款合计：{refunds[0]}笔，商家实收退款共{refunds[1]}元，商家优惠退款共0.00元",
        "#导出时间：[2026年02月15日 06:27:10]",
    ]
