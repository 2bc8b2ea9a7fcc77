"""DL/T 698.45 through the optional package `dlt698`: pip install gridledger[dlt698].

The package finds frames, checks HCS and FCS and knows the objects; this module names what it finds
as the other protocols do: parts of frames for people, exact quantities by OBIS for programs.

    get_request("000000000161", ["00100200"])             # a frame to send
    read_tcp("192.0.2.7", 6001, ["00100200", "20000200"]) # total and rates in Wh, voltages in V

An OAD is written as eight hex digits: object, attribute, index. Which OBIS code an object has is
`OBIS` below (domain.md 1.5); what is not in it keeps its name and gets no code.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from datetime import MAXYEAR, MINYEAR, date, datetime, time
from typing import Any

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.frame import is_meter_address
from services.ingest.protocols.dlt645.values import Quantity
from services.ingest.protocols.failures import BadReply, LineDown

REQUEST_CONTROL = 0x43
"""From the client, started by it, user data, not scrambled."""
ENERGY = {0x00: 128, 0x10: 1, 0x20: 2, 0x30: 129, 0x40: 130, 0x50: 5, 0x60: 6, 0x70: 7, 0x80: 8}
PHASES = {0x2000: ("32", "52", "72"), 0x2001: ("31", "51", "71")}
UNITS = {"kWh": ("Wh", 3), "kvarh": ("varh", 3), "kVAh": ("VAh", 3), "kW": ("W", 3)}
UNITS |= {"kvar": ("var", 3), "kVA": ("VA", 3)}
_OAD = re.compile(r"[0-9A-Fa-f]{8}")


def package() -> Any:
    """The package's typed core; BadInput when it is not installed."""
    try:
        return importlib.import_module("dlt698._native")
    except ImportError:
        fix = "pip install gridledger[dlt698]"
        raise BadInput("dlt698", "the package dlt698 is not installed", fix) from None


def obis_of(oi: int, index: int) -> str:
    """The OBIS code of an element (0 the first) of an object's value, "" when it has none here."""
    if oi in ENERGY:
        return f"1-0:{ENERGY[oi]}.8.{index}"
    codes = PHASES.get(oi, ())
    return f"1-0:{codes[index]}.7.0" if index < len(codes) else ""


def parse_oad(text: str) -> Any:
    """An OAD of the package from eight hex digits."""
    if not _OAD.fullmatch(text):
        raise BadInput("oad", f"{text!r} is no OAD", "give eight hex digits, such as 00100200")
    raw = bytes.fromhex(text)
    return package().Oad(oi=int.from_bytes(raw[:2], "big"), attribute=raw[2], index=raw[3])


def get_request(address: str, oads: Sequence[str], client: int = 0, piid: int = 0) -> bytes:
    """A GET of one attribute, or of several in one frame, to one meter."""
    native = package()
    if not oads or not 0 <= client <= 0xFF or not 0 <= piid <= 0x3F:
        fix = "give an OAD, a client of 0 to 255 and a piid of 0 to 63"
        raise BadInput("oad", f"{len(oads)} OADs, client {client}, piid {piid}", fix)
    asked = native.GetRequest(
        attributes=[parse_oad(each) for each in oads], list=len(oads) > 1, piid=piid
    )
    return request_frame(address, native.encode_apdu(asked), client)


def request_frame(address: str, apdu: bytes, client: int = 0) -> bytes:
    """An APDU in a frame to one meter; BadInput when the address names none."""
    native = package()
    if not is_meter_address(address):
        raise BadInput("address", f"{address!r} is no meter address", "give 12 digits")
    wire = bytes.fromhex(address)[::-1]  # low byte first
    server = native.ServerAddress(bytes=wire, type=native.AddressType.single)
    frame = native.Frame(client=client, control=REQUEST_CONTROL, payload=apdu, server=server)
    return bytes(native.encode_frame(frame))


def quantities(oad: Any, data: Any) -> tuple[Quantity, ...]:
    """A numeric value of the package as exact quantities; empty for what is no measured value.

    Energies are taken one by one, since the package knows meters of four rates only."""
    native = package()
    if oad.oi in ENERGY and oad.index == 0 and data.type.name == "array":
        found: list[Quantity] = []
        for place, element in enumerate(data.value, start=1):
            one = native.Oad(oi=oad.oi, attribute=oad.attribute, index=place)
            found += quantities(one, element)
        return tuple(found)
    definition = native.find_object(oad.oi)
    name = definition.name if definition is not None else f"{oad.oi:04X}H"
    try:
        numbers = native.engineering_values(oad, data)
    except Exception as error:
        reraise_unknown(error)
        return ()
    measured: list[Quantity] = []
    for place, number in enumerate(numbers):
        symbol = native.unit_symbol(number.scaling.unit)
        unit, thousands = UNITS.get(symbol, (symbol, 0))
        power = number.scaling.scaler + thousands
        raw = int(number.raw)
        element = place if oad.index == 0 else oad.index - 1
        measured.append(
            Quantity(
                obis=obis_of(oad.oi, element),
                name=name,
                unit=unit,
                scale=1 if power >= 0 else 10**-power,
                value=raw * 10**power if power >= 0 else raw,
            )
        )
    return tuple(measured)


def civil_time_of(data: Any) -> datetime | None:
    """The meter's wall clock in a date_time_s; None when it is none, or in the first or the last
    year of all, whose ends are no instants in every zone."""
    if data.type.name != "date_time_s":
        return None
    high, low, month, day, *clock = data.value
    try:
        civil = datetime.combine(date(high << 8 | low, month, day), time(*clock))
    except ValueError:
        return None
    return civil if MINYEAR < civil.year < MAXYEAR else None


def read_tcp(host: str, port: int, oads: Sequence[str]) -> dict[str, tuple[Quantity, ...] | int]:
    """Ask a meter over TCP (LINK, CONNECT, GET of a list). By OAD: its quantities, or its refusal
    (DAR). Raises LineDown when there is no association, BadReply when the answer is none."""
    package()
    wanted = [parse_oad(each) for each in oads]
    client = importlib.import_module("dlt698").Client()
    connected = False
    try:
        client.connect_tcp(host, port)
        connected = True
        answer = client.get_list(wanted)
        results = [each.result for each in answer.attributes]
    except Exception as error:
        reraise_unknown(error)
        kind = BadReply if connected else LineDown
        raise kind(f"dlt698:{host}:{port}: {error}") from None
    finally:
        client.close()
    if len(results) != len(wanted):
        raise BadReply(f"dlt698:{host}:{port}: {len(results)} answers to {len(wanted)} OADs")
    return {
        text: result if isinstance(result, int) else quantities(oad, result)
        for text, oad, result in zip(oads, wanted, results, strict=True)
    }


def reraise_unknown(error: Exception) -> None:
    """Raise again what is not an error that the package declares."""
    if not isinstance(error, importlib.import_module("dlt698.errors").Dlt698Error):
        raise error
