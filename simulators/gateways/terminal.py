"""A card terminal of ours: ISO 8583 over TCP, packed by hand, and able to misbehave.

It shares no code with the listener, so that an error of one is not hidden by the other.

Example:
    with Terminal("127.0.0.1", 8180, mac_key=bytes.fromhex("0123456789ABCDEF")) as terminal:
        terminal.sign_on()
        sale = terminal.sale(12345, order_no="1000000042126010001")
        terminal.reverse(sale)                  # 0400, with what the sale was named by
        terminal.ask(terminal.spoiled(sale))    # wrong MAC: answered A0
        terminal.send(sale.frame)               # sent, and the answer never read
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field, replace
from types import TracebackType

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

TPDU = bytes.fromhex("6000060000")
HEADER = bytes.fromhex("602200000000")
_BCD, _TEXT, _BCD_LONG, _TEXT_LONG, _BCD_SHORT = "bcd", "text", "bcd_long", "text_long", "bcd_short"
_FORMS = {
    2: _BCD_SHORT,
    35: _BCD_SHORT,
    41: _TEXT,
    42: _TEXT,
    37: _TEXT,
    39: _TEXT,
    48: _BCD_LONG,
    49: _TEXT,
    60: _BCD_LONG,
    62: _TEXT_LONG,
    63: _TEXT_LONG,
}
_NUMBERS = {3: 3, 4: 6, 11: 3, 12: 3, 13: 2, 15: 2, 22: 2, 25: 1}
_TEXTS = {37: 12, 39: 2, 41: 8, 42: 15, 49: 3}
"""Lengths in bytes of what has no length in front."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A message that was, or will be, sent: its type, its fields and the frame on the line."""

    mti: str
    fields: dict[int, str]
    frame: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: type, fields, and whether its MAC was right (None without one)."""

    mti: str
    fields: dict[int, str]
    mac_ok: bool | None


@dataclass(kw_only=True)
class Drawer:
    """What a terminal counts: its next trace number, its batch and what it sold."""

    stan: int = 1
    batch: str = "000001"
    sold_fen: list[int] = field(default_factory=list)


class Terminal:
    """One terminal on one connection; a context manager."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        mac_key: bytes,
        terminal: str = "58D01115",
        merchant: str = "88758D048165555",
        timeout_s: float = 10.0,
    ) -> None:
        self.address, self.timeout_s = (host, port), timeout_s
        self.mac_key, self.terminal, self.merchant = mac_key, terminal, merchant
        self.drawer = Drawer()
        self._line: socket.socket | None = None

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.hang_up()

    # -- messages ---------------------------------------------------------------------------

    def sign_on(self) -> Answer:
        """0800; takes the batch number of the answer, as terminals do."""
        fields = self._named("00", network="003") | {63: "01"}
        answer = self.ask(self.request("0800", fields, with_mac=False))
        if answer.fields.get(39) == "00":
            self.drawer.batch = answer.fields[60][2:8]
        return answer

    def sale_of(self, amount_fen: int, *, order_no: str = "", card: str = "") -> Request:
        """0200, not sent yet: each has a trace number of its own."""
        fields = self._named("22") | {
            3: "000000",
            4: f"{amount_fen:012d}",
            22: "0210",
            25: "00",
            49: "156",
        }
        fields |= {62: order_no} if order_no else {}
        fields |= {2: card} if card else {}
        return self.request("0200", fields)

    def sale(self, amount_fen: int, *, order_no: str = "", card: str = "") -> Request:
        """0200, sent and approved; ConnectionError when the line ends before an answer."""
        sale = self.sale_of(amount_fen, order_no=order_no, card=card)
        answer = self.ask(sale)
        assert answer.fields[39] == "00", answer
        self.drawer.sold_fen.append(amount_fen)
        return sale

    def reversal_of(self, sale: Request, reason: str = "98") -> Request:
        """0400 with the fields of its sale (98: no answer came)."""
        return self.request("0400", sale.fields | {39: reason})

    def reverse(self, sale: Request, reason: str = "98") -> Answer:
        """0400, sent and answered."""
        return self.ask(self.reversal_of(sale, reason))

    def settle(self) -> Answer:
        """0500 with the totals of what was sold."""
        sold = self.drawer.sold_fen
        totals = f"{sum(sold):012d}{len(sold):03d}{0:012d}{0:03d}0"
        fields = self._named("00", network="201") | {48: totals + "0" * 31, 49: "156"}
        return self.ask(self.request("0500", fields, with_mac=False))

    def request(self, mti: str, fields: dict[int, str], *, with_mac: bool = True) -> Request:
        """Any message, packed; tests put in what does not belong there."""
        body = pack(mti, fields, has_mac=with_mac)
        body += self.mac(body) if with_mac else b""
        return Request(mti=mti, fields=fields, frame=framed(body))

    @staticmethod
    def spoiled(request: Request) -> Request:
        """The same with its last byte, of the MAC, changed."""
        return replace(request, frame=request.frame[:-1] + bytes([request.frame[-1] ^ 1]))

    # -- the line ---------------------------------------------------------------------------

    def ask(self, request: Request) -> Answer:
        """Send a message and read the answer to it."""
        self.send(request.frame)
        return self._answer()

    def send(self, data: bytes) -> None:
        """Send bytes, whatever they are, and wait for nothing."""
        self._open().sendall(data)

    def hang_up(self) -> None:
        """End the connection; the next message dials again."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def is_hung_up(self) -> bool:
        """Whether the other side ended the connection, without a byte."""
        try:
            return self._open().recv(1) == b""
        except ConnectionResetError:
            return True

    def _open(self) -> socket.socket:
        if self._line is None:
            self._line = socket.create_connection(self.address, self.timeout_s)
        return self._line

    def _answer(self) -> Answer:
        body = self._read(int.from_bytes(self._read(2), "big"))
        mti, fields, mac_at = unpack(body[11:])
        assert body[:1] + body[3:5] + body[1:3] == TPDU, "the addresses are swapped"
        message = body[11:]
        has_mac = mac_at is not None
        mac_ok = self.mac(message[:mac_at]) == message[mac_at:] if has_mac else None
        return Answer(mti=mti, fields=fields, mac_ok=mac_ok)

    def _read(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            data = self._open().recv(size - len(found))
            if not data:
                self.hang_up()
                raise ConnectionError("the line ended before an answer")
            found += data
        return found

    def _named(self, kind: str, network: str = "000") -> dict[int, str]:
        stan = f"{self.drawer.stan:06d}"
        self.drawer.stan += 1
        batch = f"{kind}{self.drawer.batch}{network}"
        return {11: stan, 41: self.terminal, 42: self.merchant, 60: batch}

    def mac(self, covered: bytes) -> bytes:
        """The terminal's own MAC of a message."""
        total = 0
        for start in range(0, len(covered), 8):
            total ^= int.from_bytes(covered[start : start + 8].ljust(8, b"\0"), "big")
        digits = f"{total:016X}".encode()
        first = int.from_bytes(self._des(digits[:8]), "big") ^ int.from_bytes(digits[8:], "big")
        return self._des(first.to_bytes(8, "big")).hex().upper().encode()[:8]

    def _des(self, block: bytes) -> bytes:
        whole = (self.mac_key * 3)[:24]
        return Cipher(TripleDES(whole), modes.ECB()).encryptor().update(block)


def framed(body: bytes) -> bytes:
    """A message with length, TPDU and header in front."""
    content = TPDU + HEADER + body
    return len(content).to_bytes(2, "big") + content


def pack(mti: str, fields: dict[int, str], *, has_mac: bool) -> bytes:
    """A message up to its MAC."""
    bits = sum(1 << (64 - number) for number in fields) | int(has_mac)
    body = bytes.fromhex(mti) + bits.to_bytes(8, "big")
    for number in sorted(fields):
        body += _packed(number, fields[number])
    return body


def _packed(number: int, value: str) -> bytes:
    form = _FORMS.get(number, _BCD)
    digits = bytes.fromhex(value + "0" * (len(value) % 2)) if form.startswith(_BCD) else b""
    if form == _BCD_SHORT:
        return bytes.fromhex(f"{len(value):02d}") + digits
    if form == _BCD_LONG:
        return bytes.fromhex(f"{len(value):04d}") + digits
    if form == _TEXT_LONG:
        return bytes.fromhex(f"{len(value):04d}") + value.encode()
    return digits if form == _BCD else value.encode()


def unpack(body: bytes) -> tuple[str, dict[int, str], int | None]:
    """Type and fields of a message, and where its MAC begins."""
    bits = int.from_bytes(body[2:10], "big")
    at, fields = 10, {}
    for number in range(2, 64):
        if not bits >> (64 - number) & 1:
            continue
        form = _FORMS.get(number, _BCD)
        if form in (_BCD_LONG, _TEXT_LONG, _BCD_SHORT):
            width = 1 if form == _BCD_SHORT else 2
            length = int(body[at : at + width].hex())
            at += width
        else:
            length = _NUMBERS[number] * 2 if form == _BCD else _TEXTS[number]
        size = (length + 1) // 2 if form.startswith(_BCD) else length
        raw = body[at : at + size]
        fields[number] = raw.hex()[:length] if form.startswith(_BCD) else raw.decode()
        at += size
    return body[:2].hex(), fields, at if bits & 1 else None
