"""`gridledger payments verify|parse` on files: the vectors, the examples, all wrong input."""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
import threading
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from services.cli import main as cli
from services.payments.channels.standard_webhooks import sign
from services.payments.settlement.source import opened
from tests.unit.cli.payments_desk import Capture, printed, refused, sit_down
from tests.unit.payments.settlement.bills import alipay, alipay_bill, trade, trade_bill
from tests.unit.payments.vectors import VECTORS

SUMMARY = ("1", "100.00", "0.00", "0.00", "0.60", "100.00", "0.00")
AT = "2026-01-01T00:00:00Z"


@pytest.fixture(autouse=True)
def _examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sit_down(tmp_path, monkeypatch)


# -- verify ---------------------------------------------------------------------------------------


def keys_of(vector: dict[str, Any], **wechat: Any) -> None:
    """keys/keys.json with the keys of a vector; a WeChat key of 16 bytes is doubled."""
    document = json.loads(Path("keys/keys.json").read_text())
    if "alipay_public_key_pem" in vector:
        document["alipay"]["2088000000000099"]["public_keys"] = [vector["alipay_public_key_pem"]]
    else:
        serial = vector.get("public_key_id") or vector["serial_hex"]
        pem = vector.get("public_key_pem") or vector["platform_certificate_pem"]
        document["wechat"]["1900000001"]["platform_keys"] = {serial: pem}
        key = vector["api_v3_key"]
        Path("keys/wechat.apiv3").write_text(key * (32 // len(key)))
    Path("keys/keys.json").write_text(json.dumps(document))


def verify(channel: str, at: str, *more: str) -> list[str]:
    return ["verify", "--channel", channel, "--body", "body", "--keys", "keys", "--at", at, *more]


def judged(
    vector: dict[str, Any], at: int, capsys: Capture, **headers: str
) -> tuple[str, str, dict[str, Any] | None]:
    """Verdict, cause and notice of a vector, through the command."""
    keys_of(vector)
    channel = "alipay" if "form_body" in vector else "wechat"
    Path("body").write_bytes((vector.get("form_body") or vector["body"]).encode())
    more = []
    if channel == "wechat":
        Path("headers.json").write_text(json.dumps(vector["headers"] | headers))
        more = ["--headers", "headers.json"]
    status = cli.main(["payments", *verify(channel, str(at), *more), "--json"])
    found = capsys.readouterr()
    document = json.loads(found.out)
    assert found.err == ""
    assert status == (0 if document["verdict"] == "accepted" else 1)
    if "api_v3_key" in vector:
        assert vector["api_v3_key"] not in found.out
    return document["verdict"], document["cause"], document["notice"]


@pytest.mark.parametrize(
    ("name", "verdict", "cause"),
    [
        ("syn-wx-success", "accepted", ""),
        ("syn-wx-success-amount-mismatch", "accepted", ""),
        ("syn-wx-success-other-mchid", "refused", "merchant_mismatch"),
        ("syn-wx-refund-success", "accepted", ""),
        ("syn-ali-success", "accepted", ""),
        ("syn-ali-wait", "accepted", ""),
        ("syn-ali-finished", "accepted", ""),
        ("syn-ali-partial-refund", "accepted", ""),
        ("syn-ali-other-app", "refused", "merchant_mismatch"),
        ("syn-ali-sha1-under-rsa2", "refused", "signature_invalid"),
        ("syn-ali-signtype-rsa", "refused", "suite_unsupported"),
        ("syn-ali-tampered-amount", "refused", "signature_invalid"),
        # Its key has 16 bytes, which no profile may have: the signature holds, the rest is closed.
        ("wx-notify-rsa-1", "refused", "decrypt_failed"),
    ],
)
def test_vectors(name: str, verdict: str, cause: str, capsys: Capture) -> None:
    vector = VECTORS[name]
    at = vector.get("now_unix", 1767225606)
    found = judged(vector, at, capsys)
    assert found[:2] == (verdict, cause)


@pytest.mark.parametrize(
    ("headers", "later_s", "cause"),
    [
        ({}, 300, "timestamp_outside_window"),
        ({"Wechatpay-Serial": "PUB_KEY_ID_X"}, 0, "serial_unknown"),
        ({"Wechatpay-Signature": "WECHATPAY/SIGNTEST/x"}, 0, "probe"),
        ({"Wechatpay-Nonce": "other"}, 0, "signature_invalid"),
        ({"Wechatpay-Signature-Type": "WECHATPAY2-SM2-WITH-SM3"}, 0, "suite_unsupported"),
        ({"wechatpay-nonce": "twice"}, 0, "malformed"),
    ],
)
def test_changed_vectors(
    headers: dict[str, str], later_s: int, cause: str, capsys: Capture
) -> None:
    vector = VECTORS["wx-notify-rsa-1"]
    assert judged(vector, vector["now_unix"] + later_s, capsys, **headers)[1] == cause


def test_the_standard_webhook_is_signed_right_and_is_no_sale(capsys: Capture) -> None:
    vector = VECTORS["stdwh-1"]
    Path("keys/pos.secret").write_text("whsec_" + vector["secret_b64"])
    Path("body").write_text(vector["payload"])
    Path("h").write_text(
        f"webhook-id: {vector['msg_id']}\nwebhook-timestamp: {vector['timestamp']}\n"
        f"webhook-signature: {vector['expected']}\n\n"
    )
    said = printed(verify("pos", str(vector["timestamp"]), "--headers", "h"), capsys, status=1)
    assert said.startswith("refused: malformed\n  why       merchant is missing")


def test_a_refund_and_the_self_test_are_told(capsys: Capture) -> None:
    vector = VECTORS["syn-wx-refund-success"]
    keys_of(vector)
    Path("body").write_bytes(vector["body"].encode())
    Path("h").write_text("".join(f"{name}: {text}\n" for name, text in vector["headers"].items()))
    said = printed(verify("wechat", AT, "--headers", "h"), capsys)
    assert "refund    23.45 yuan this time, REF20260102000001" in said


def test_a_secret_is_never_shown(capsys: Capture) -> None:
    Path("keys/evidence.key").write_text("TOP-SECRET-NO-BASE64")
    Path("body").write_text("x")
    said = refused(verify("alipay", AT), capsys)
    assert said.startswith("keys/keys.json evidence.key_ref: is no key")
    assert "TOP-SECRET" not in said


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (("evidence", "key_ref"), "evidence.key_ref"),
        (("pos", "acquirer-1", "secret_refs", 0), "pos.acquirer-1.secret_refs"),
        (("wechat", "1900000001", "api_v3_key_refs", 0), "wechat.1900000001.api_v3_key_refs"),
    ],
)
def test_a_secret_where_its_reference_belongs_is_not_told(
    place: tuple[Any, ...], name: str, capsys: Capture
) -> None:
    Path("body").write_text("x")
    document = json.loads(Path("keys/keys.json").read_text())
    where = document
    for each in place[:-1]:
        where = where[each]
    for pasted in ("TOP-SECRET", "whsec_TOP-SECRET", "TOP:SECRET"):
        where[place[-1]] = pasted
        Path("keys/keys.json").write_text(json.dumps(document))
        said = refused(GOOD, capsys)
        assert said.startswith(f"keys/keys.json {name}: is no secret we can read (")
        assert "SECRET" not in said
    for reference in ("file:\0", "file:nowhere", "env:NOT_SET_ANYWHERE"):
        where[place[-1]] = reference
        Path("keys/keys.json").write_text(json.dumps(document))
        assert refused(GOOD, capsys).startswith(
            f"keys/keys.json {name} {reference.split(chr(0))[0]}"
        )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[" * 100_000, "keys/keys.json: is nested too deeply"),
        (b'{"a":' * 100_000, "keys/keys.json: is nested too deeply"),
        (b'{"pos": {}, "pos": {}}', "keys/keys.json: pos: is there twice"),
        (b"[]", "keys/keys.json profiles: is no object"),
        (b"", "keys/keys.json: is empty"),
        ('{"密": 1}'.encode("gbk"), "keys/keys.json: is not UTF-8 text"),
        ("{}".encode("utf-16"), "keys/keys.json: is not UTF-8 text"),
    ],
)
def test_keys_of_the_wrong_kind(content: bytes, said: str, capsys: Capture) -> None:
    Path("body").write_text("x")
    Path("keys/keys.json").write_bytes(content)
    assert refused(GOOD, capsys).startswith(said)


GOOD = verify("alipay", AT)


def changed(base: list[str], option: str, value: str) -> list[str]:
    at = base.index(option) + 1
    return [*base[:at], value, *base[at + 1 :]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (changed(GOOD, "--channel", "paypal"), "--channel: 'paypal' is not known"),
        (changed(GOOD, "--keys", "nowhere"), "--keys: nowhere is no directory"),
        (changed(GOOD, "--keys", "empty"), "empty/keys.json: No such file"),
        (changed(GOOD, "--body", "nowhere"), "nowhere: No such file"),
        (changed(GOOD, "--body", "empty"), "empty: Is a directory"),
        (changed(GOOD, "--at", "soon"), "--at: 'soon' is no instant"),
        (changed(GOOD, "--at", "2026-01-01 00:00:00"), "--at: '2026-01-01 00:00:00' is no"),
        (changed(GOOD, "--at", "1999-01-01T00:00:00Z"), "--at: 1999-01-01T00:00:00Z is before"),
        (changed(GOOD, "--at", "2199-01-01T00:00:00Z"), "--at: 2199-01-01T00:00:00Z is in the fu"),
        ([*GOOD, "--merchant", "2088"], "--merchant: '2088' is not in keys.json"),
        (verify("wechat", AT), "--headers: is missing"),
        ([*GOOD, "--headers", "none"], "none: No such file"),
        ([*GOOD, "--headers", "blank"], "blank: is empty"),
        ([*GOOD, "--headers", "words"], "words line 1: is no header"),
        ([*GOOD, "--headers", "numbers"], "numbers a: is no text"),
        ([*GOOD, "--headers", "broken"], "broken: is no JSON"),
        ([*GOOD, "--headers", "huge"], "huge: has over 8192 bytes"),
        ([*GOOD, "--headers", "gbk"], "gbk: is not UTF-8 text"),
    ],
)
def test_wrong_input_of_verify(arguments: list[str], said: str, capsys: Capture) -> None:
    Path("empty").mkdir()
    Path("body").write_text("x")
    for name, text in {
        "blank": b"\n", "words": b"no header here", "numbers": b'{"a": 1}', "broken": b"{",
        "huge": b"a: " + b"x" * 9000, "gbk": "名: 称".encode("gbk"),
    }.items():  # fmt: skip
        Path(name).write_bytes(text)
    assert refused(arguments, capsys).startswith(said)


def test_several_profiles_and_none(capsys: Capture) -> None:
    Path("body").write_text("x")
    document = json.loads(Path("keys/keys.json").read_text())
    document["alipay"]["2088000000000098"] = document["alipay"]["2088000000000099"]
    Path("keys/keys.json").write_text(json.dumps(document))
    assert "has several of alipay" in refused(GOOD, capsys)
    said = printed([*GOOD, "--merchant", "2088000000000098"], capsys, status=1)
    assert said.startswith("refused: malformed")
    del document["alipay"]
    Path("keys/keys.json").write_text(json.dumps(document))
    assert "has no profile of alipay" in refused(GOOD, capsys)


def test_a_body_that_is_too_large_is_refused_without_reading_it_all(capsys: Capture) -> None:
    Path("body").write_bytes(b"a=b&" * 100_000)
    said = printed(GOOD, capsys, status=1)
    assert "refused: malformed\n  why       the body has over 65536 bytes" in said


def test_a_body_from_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    vector = VECTORS["syn-ali-success"]
    keys_of(vector)
    body = io.BytesIO(vector["form_body"].encode())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(body))
    said = printed(changed(GOOD, "--body", "-"), capsys)
    assert said.startswith("accepted: captured (TRADE_SUCCESS)\n  amount    123.45 yuan")


# -- parse ----------------------------------------------------------------------------------------


def wechat_file(name: str, rows: list[str], summary: tuple[str, ...] = SUMMARY) -> str:
    Path(name).write_bytes("\r\n".join(trade_bill(rows, summary)).encode())
    return name


def test_gzip_is_the_same_bill(capsys: Capture) -> None:
    plain = wechat_file("bill.csv", [trade()])
    with gzip.open("bill.gz", "wb") as packed:
        packed.write(Path(plain).read_bytes())
    with opened(plain) as file:
        sha256, sha1 = file.hashes()
    parse = ["parse", "--channel", "wechat", "bill.gz", "--sha1", sha1.upper()]
    assert "as declared" in printed(parse, capsys)
    out = printed([*parse, "--previous", plain, "--json"], capsys)
    facts = json.loads(out)  # one line: an identical file has no rows to take
    assert facts["previous"] == {"file": "bill.csv", "identical": True, "changes": []}
    assert (facts["sha256"], facts["sha1_checked"]) == (sha256, True)


def test_rows_are_json_after_the_facts(capsys: Capture) -> None:
    lines = printed(["parse", "--channel", "alipay", "alipay.zip", "--json"], capsys).splitlines()
    facts, first, _ = (json.loads(line) for line in lines)
    assert facts["totals"] == [
        {"day_on": "2026-02-14", "channel": "alipay", "merchant": "2088000000000099",
         "kind": "capture", "rows": 2, "amount_fen": 24500, "settled_fen": 24500, "fee_fen": 147}
    ]  # fmt: skip
    assert (first["amount_fen"], first["fee_fen"], first["line"]) == (20000, 120, 6)


def test_the_files_of_match_are_the_outputs_of_parse(capsys: Capture) -> None:
    pos = ["--mapping", "acquirer.yaml"]
    found = "".join(
        printed(["parse", "--channel", *arguments, "--json"], capsys)
        for arguments in (["wechat", "wechat.csv"], ["alipay", "alipay.zip"],
                          ["pos", "acquirer.csv", *pos])
    )  # fmt: skip
    assert found == Path("channel.jsonl").read_text()
    bank = ["parse", "--channel", "bank", "bank.csv", "--mapping", "bank.yaml", "--json"]
    assert printed(bank, capsys) == Path("bank.jsonl").read_text()


def zipped(name: str, files: dict[str, bytes]) -> str:
    with zipfile.ZipFile(name, "w") as archive:
        for inner, content in files.items():
            archive.writestr(inner, content)
    return name


def test_a_zip_with_a_name_in_utf_8_and_a_plain_detail(capsys: Capture) -> None:
    detail = "\n".join(alipay_bill([alipay()], (1, "100.00"))).encode("gbk")
    Path("detail.csv").write_bytes(detail)
    zipped("a.zip", {"业务明细.csv": detail, "业务明细(汇总).csv": b"#"})
    for file in ("a.zip", "detail.csv"):
        assert "1 rows, whole" in printed(["parse", "--channel", "alipay", file], capsys)


WECHAT = ["parse", "--channel", "wechat"]
ALIPAY = ["parse", "--channel", "alipay"]
POS = ["parse", "--channel", "pos", "acquirer.csv", "--mapping"]


def wrong_files() -> None:
    """Files of every wrong kind in the current directory."""
    Path("directory").mkdir()
    Path("empty").write_bytes(b"")
    Path("gbk").write_bytes("交易时间,商户号".encode("gbk"))
    Path("utf8").write_bytes("\n".join(alipay_bill([])).encode())
    Path("zero").write_bytes(b"a\0b\n")
    Path("long").write_bytes(b"a" * 1_100_000)
    whole = Path("wechat.csv").read_bytes()
    Path("cut").write_bytes(whole[: len(whole) // 2])
    Path("gone").write_bytes(gzip.compress(whole)[:-20])
    Path("bent").write_bytes(gzip.compress(whole)[:60] + b"\0\0\0\0" * 50)
    Path("no.zip").write_bytes(b"PK\x03\x04 and nothing else")
    packed = bytearray(Path("alipay.zip").read_bytes())
    Path("bent.zip").write_bytes(packed[:4] + packed[5:])  # one byte is gone
    packed[60:64] = b"\0\0\0\0"
    Path("inside.zip").write_bytes(packed)
    zipped("two.zip", {"a.csv": b"x", "b.csv": b"y"})
    wechat_file("future", [trade(交易时间="2199-01-01 00:00:00")])
    wechat_file("wrong", [trade(手续费="1e9")])
    for name, text in {
        "list.yaml": "[1]", "tag.yaml": "a: !!python/object:os.x {}\nb: [", "field.yaml": "a: 1",
        "bank.as.pos": Path("bank.yaml").read_text(),
    }.items():  # fmt: skip
        Path(name).write_text(text)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([*WECHAT, "nowhere"], "nowhere: No such file"),
        ([*WECHAT, "directory"], "directory: Is a directory"),
        ([*WECHAT, "empty"], "empty line 1 header: begins with ''"),
        ([*WECHAT, "gbk"], "gbk line 1: is not UTF-8 text"),
        ([*ALIPAY, "utf8"], "utf8 line 1: is not GB18030 text"),
        ([*WECHAT, "zero"], "zero line 1: has a zero byte"),
        ([*WECHAT, "long"], "long line 1: is too long"),
        ([*WECHAT, "cut"], "cut "),
        ([*WECHAT, "gone"], "gone: is damaged (fetch it again)"),
        ([*WECHAT, "bent"], "bent: is damaged (fetch it again)"),
        ([*ALIPAY, "no.zip"], "no.zip: is a damaged zip"),
        ([*ALIPAY, "bent.zip"], "bent.zip: is a damaged zip"),
        ([*ALIPAY, "inside.zip"], "inside.zip: is "),
        ([*ALIPAY, "two.zip"], "two.zip: has 2 files of rows, not 1"),
        ([*WECHAT, "future"], "future line 2: 2198-12-31T16:00:00Z is in the future"),
        ([*WECHAT, "wrong"], "wrong line 2 手续费: '1e9' is no decimal number [malformed]"),
        ([*WECHAT, "wechat-wrong.csv"], "wechat-wrong.csv line 9 应结订单总金额: says 320.00 yuan"),
        ([*WECHAT, "wechat.csv", "--sha1", "0" * 40], "wechat.csv: SHA-1 is 1c0f30bba847c7327a"),
        ([*WECHAT, "wechat.csv", "--sha1", "12"], "--sha1: '12' is no SHA-1"),
        ([*WECHAT, "wechat.csv", "--day", "2026-02-30"], "--day: '2026-02-30' is no day"),
        ([*WECHAT, "wechat.csv", "--merchant", "a b"], "--merchant: 'a b' is no name"),
        ([*WECHAT, "wechat.csv", "--mapping", "bank.yaml"], "--mapping: wechat has columns of"),
        ([*WECHAT, "wechat.csv", "--previous", "nowhere"], "nowhere: No such file"),
        (["parse", "--channel", "cash", "x"], "--channel: 'cash' is not known"),
        (["parse", "--channel", "pos", "acquirer.csv"], "--mapping: is missing, pos needs it"),
        ([*POS, "nowhere.yaml"], "nowhere.yaml: No such file"),
        ([*POS, "list.yaml"], "list.yaml mapping: is no object of names"),
        ([*POS, "tag.yaml"], "tag.yaml: while parsing a flow node expected"),
        ([*POS, "field.yaml"], "field.yaml a: is no field of a mapping"),
        ([*POS, "bank.as.pos"], "bank.as.pos channel: is bank (give one for pos)"),
    ],
)
def test_wrong_input_of_parse(arguments: list[str], said: str, capsys: Capture) -> None:
    wrong_files()
    assert refused(arguments, capsys).startswith(said)


def test_a_zip_that_is_locked(capsys: Capture) -> None:
    content = bytearray(Path(zipped("locked.zip", {"a.csv": b"x" * 20})).read_bytes())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(header) + flags] |= 1
    Path("locked.zip").write_bytes(content)
    assert "has a password" in refused([*ALIPAY, "locked.zip"], capsys)


def test_a_pipe_is_read_as_a_file_is(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    whole = io.BytesIO(Path("wechat.csv").read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(whole))
    assert printed([*WECHAT, "-"], capsys).startswith("standard input: wechat, 6 rows, whole")
    os.mkfifo("pipe")
    content = Path("wechat.csv").read_bytes()
    writer = threading.Thread(target=Path("pipe").write_bytes, args=(content,))
    writer.start()  # as a shell's <(zcat bill.gz)
    assert printed([*WECHAT, "pipe"], capsys).startswith("pipe: wechat, 6 rows, whole")
    writer.join()


def peak_bytes(count: int, capsys: Capture) -> int:
    """The most memory that a bill of so many rows takes at once."""
    total = f"{count}.00"
    fees = f"{count // 100}.00"
    rows = [trade("1.00", "0.01000", number=number) for number in range(count)]
    wechat_file("big", rows, (str(count), total, "0.00", "0.00", fees, total, "0.00"))
    del rows
    tracemalloc.start()
    assert f"{count} rows, whole" in printed([*WECHAT, "big"], capsys)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_is_flat(capsys: Capture) -> None:
    """Six times the rows: held, they would take half a megabyte more."""
    peak_bytes(100, capsys)  # what is loaded once
    assert peak_bytes(600, capsys) - peak_bytes(100, capsys) < 100_000


def test_the_signature_of_the_example_is_made_with_its_secret() -> None:
    headers = json.loads(Path("pos.headers.json").read_text())
    stamp = headers["Webhook-Timestamp"]
    signature = sign(
        b"made up for the example of a POS", "msg_1", stamp, Path("pos.body").read_bytes()
    )
    assert headers["Webhook-Signature"] == signature


# -- free text within a bill ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "goods", ["电费, 2026-01, 1 户", "a `quoted` word", "`", ",", "x, `y`", '"']
)
def test_commas_and_backticks_in_a_name_of_goods(goods: str, capsys: Capture) -> None:
    lines = trade_bill([trade(商品名称=goods)], SUMMARY)
    Path("named.csv").write_bytes("\r\n".join(lines).encode())
    said = printed(["parse", "--channel", "wechat", "named.csv", "--json"], capsys)
    (row,) = (each for each in map(json.loads, said.splitlines()) if "transaction" in each)
    assert (row["transaction"], row["amount_fen"], row["fee_fen"]) == ("420000001", 10_000, 60)


def test_what_looks_like_one_more_cell_refuses_the_whole_bill(capsys: Capture) -> None:
    """27 cells, or nobody knows which of them is the fee."""
    lines = trade_bill([trade(), trade(number=2, 商品名称="电费,`2026")], SUMMARY)
    Path("named.csv").write_bytes("\r\n".join(lines).encode())
    said = refused(["parse", "--channel", "wechat", "named.csv", "--json"], capsys)
    assert said.startswith("named.csv line 3 cells: has 28")
