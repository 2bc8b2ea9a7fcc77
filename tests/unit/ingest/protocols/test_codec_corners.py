"""Corners of the codecs that the laws reach only by chance, each by an example."""

from __future__ import annotations

from services.ingest.protocols.catalogue import open_explainer
from services.ingest.protocols.dlms_frames import PacketReader, crc16_x25, wrapped
from services.ingest.protocols.explanation import Explained, Unexplained
from services.ingest.protocols.framing import Skipped
from services.ingest.protocols.modbus_registers import encode_float32


def hdlc(inside: bytes) -> bytes:
    """A frame around address, control and what follows, with the last check."""
    begin = bytes((0xA0, len(inside) + 4)) + inside
    return b"\x7e" + begin + crc16_x25(begin).to_bytes(2, "little") + b"\x7e"


def reasons(data: bytes) -> list[str]:
    reader = PacketReader()
    found = [*reader.feed(data), *reader.finish()]
    return [each.reason if isinstance(each, Skipped) else "packet" for each in found]


def explained(protocol: str, data: bytes) -> Explained:
    explainer = open_explainer(protocol)
    (found,) = [*explainer.feed(data), *explainer.end()]
    assert isinstance(found, Explained)
    return found


def test_a_wrapper_without_its_end_or_without_content_is_no_packet() -> None:
    assert reasons(b"\x00\x01\x00\x10") == ["incomplete"]
    assert reasons(wrapped(b"", 16, 1) + b"\xc0") == ["noise", "incomplete"]
    assert reasons(wrapped(b"\xc0\x09\xc1\x00", 16, 1)) == ["noise", "incomplete"]


def test_hdlc_addresses_must_end() -> None:
    assert reasons(hdlc(b"\x02\x02\x02\x02\x02\x02\x02\x02\x93")) == ["address", "incomplete"]


def test_hdlc_with_a_header_check_and_nothing_behind_it() -> None:
    begin = b"\xa0\x09\x03\x21\x93"
    head = begin[2:] + crc16_x25(begin).to_bytes(2, "little")
    found = explained("dlms", hdlc(head))
    assert [part.name for part in found.parts][4:] == [
        "control",
        "HCS, right",
        "FCS, right",
        "flag",
    ]


def test_a_request_that_ends_too_early_is_cut_off() -> None:
    found = explained("dlms", wrapped(b"\xc0\x01\xc1\x00\x03", 16, 1))
    assert found.fields["problem"] == "cut_off"
    found = explained("dlms", wrapped(b"\xc4\x01\xc1\x00\x09\x20\x01\x02", 1, 16))
    assert found.fields["problem"] == "cut_off"


def test_two_bytes_of_698_are_a_frame_that_did_not_come() -> None:
    explainer = open_explainer("dlt698")
    (found,) = [*explainer.feed(b"\x68\x17"), *explainer.end()]
    assert isinstance(found, Unexplained)
    assert found.reason == "incomplete"


def test_a_float_of_zero_is_two_words_of_zero() -> None:
    assert encode_float32(0, 7) == (0, 0)
