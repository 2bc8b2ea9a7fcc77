"""Response codes of card networks (ISO 8583 field 39) and what they mean for a payment: data.

A terminal and an acquirer use the same words, so both channels of card payments read this table:
why a payment failed is one of `causes.Cause`, with the code kept beside it. A code that is not in
it is a decline like any other.

Source: ISO 8583:1987 table of response codes, and the words that Chinese networks print for them.

Example: `cause_of_response("51")` is `Cause.INSUFFICIENT_FUNDS`.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.payments.channels.causes import Cause

APPROVED = "00"


@dataclass(frozen=True, slots=True)
class ResponseCode:
    """One code: what it says, and the cause that it is; None when nothing failed."""

    text: str
    text_zh: str
    cause: Cause | None = Cause.CHANNEL_DECLINED


RESPONSE_CODES: dict[str, ResponseCode] = {
    "00": ResponseCode("approved", "交易成功", None),
    "01": ResponseCode("call the issuer", "请持卡人与发卡银行联系"),
    "03": ResponseCode("merchant unknown", "无效商户", Cause.MERCHANT_MISMATCH),
    "04": ResponseCode("keep the card", "没收卡"),
    "05": ResponseCode("not honoured", "不予承兑"),
    "06": ResponseCode("error", "错误"),
    "12": ResponseCode("transaction invalid", "无效交易"),
    "13": ResponseCode("amount invalid", "无效金额", Cause.AMOUNT_MISMATCH),
    "14": ResponseCode("card number invalid", "无效卡号"),
    "17": ResponseCode("cancelled by the customer", "客户取消", Cause.USER_CANCELLED),
    "22": ResponseCode("suspected malfunction", "故障怀疑"),
    "25": ResponseCode("original not found", "未能找到文件上记录", Cause.ORDER_UNKNOWN),
    "30": ResponseCode("format error", "格式错误", Cause.MALFORMED),
    "33": ResponseCode("card expired, keep it", "过期的卡"),
    "40": ResponseCode("function not supported", "请求的功能尚不支持"),
    "41": ResponseCode("lost card", "挂失卡"),
    "43": ResponseCode("stolen card", "被窃卡"),
    "51": ResponseCode("not enough money", "资金不足", Cause.INSUFFICIENT_FUNDS),
    "54": ResponseCode("card expired", "过期的卡"),
    "55": ResponseCode("wrong PIN", "不正确的PIN"),
    "57": ResponseCode("not allowed for the card", "不允许持卡人进行的交易"),
    "58": ResponseCode("not allowed at the terminal", "不允许终端进行的交易"),
    "61": ResponseCode("over the limit of the card", "超出取款金额限制"),
    "62": ResponseCode("card restricted", "受限制的卡"),
    "65": ResponseCode("too many payments", "超出取款次数限制"),
    "68": ResponseCode("answer came too late", "交易超时", Cause.TIMEOUT_UNKNOWN),
    "75": ResponseCode("too many wrong PINs", "允许的输入PIN次数超限"),
    "90": ResponseCode("day is being closed", "正在日终处理", Cause.TIMEOUT_UNKNOWN),
    "91": ResponseCode("issuer does not answer", "发卡方不能操作", Cause.TIMEOUT_UNKNOWN),
    "94": ResponseCode("sent twice", "重复交易", Cause.DUPLICATE),
    "96": ResponseCode("system malfunction", "系统异常、失效", Cause.TIMEOUT_UNKNOWN),
    "97": ResponseCode("terminal unknown", "终端号未找到", Cause.MERCHANT_MISMATCH),
    "98": ResponseCode("no answer in time", "收不到应答", Cause.TIMEOUT_UNKNOWN),
    "99": ResponseCode("PIN format wrong", "PIN格式错误"),
    "A0": ResponseCode("MAC wrong", "MAC校验错", Cause.SIGNATURE_INVALID),
}


def cause_of_response(code: str) -> Cause | None:
    """Why a payment with this code failed; None when it did not."""
    known = RESPONSE_CODES.get(code)
    return known.cause if known is not None else Cause.CHANNEL_DECLINED
