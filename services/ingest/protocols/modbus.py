"""Modbus meters: register maps as data, which registers to ask, and exact values from float32.

The map of the Eastron SDM630 (and SDM120) is domain.md 1.5: FC4 input registers, float32, the more
significant word first. Rows not marked confirmed are UNCONFIRMED: a meter that differs gets a map
of its own.

    >>> decode_float32(0x4366, 0x1999, 1000)     # 230.09999... V in mV
    230100

Rounding: a float32 is an exact binary fraction; it is multiplied by the scale and rounded once,
halves away from zero. No float arithmetic happens. A float32 has 24 binary digits, so an energy
register above 16,777 kWh moves in steps of more than 1 Wh (`float32_step`); the error is that of
one register reading and does not add up over time, because registers are cumulative.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from libs.events.quantities import ceil_div, half_up_div
from services.ingest.protocols.dlt645.values import BadValue, Quantity
from services.ingest.protocols.failures import BadReply

READ_INPUT_REGISTERS = 4
WORDS_PER_FLOAT = 2
NO_NUMBER = "no_number"
_MANTISSA_BITS = 23
_EXPONENT_BIAS = 127


@dataclass(frozen=True, slots=True)
class Register:
    """One float32 of a map.

    address: of the first word, counted from 0 (the manual's 30001 is 0). factor: the number times
    this is the integer value, of 1/`scale` `unit`.
    """

    address: int
    obis: str
    name: str
    unit: str
    factor: int
    scale: int
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class RegisterMap:
    """What one type of meter has; `max_words` per request is the meter's limit."""

    name: str
    function: int
    max_words: int
    registers: tuple[Register, ...]


@dataclass(frozen=True, slots=True)
class RegisterRead:
    """One request: `count` words from `address` on."""

    function: int
    address: int
    count: int


SDM630 = RegisterMap(
    name="Eastron SDM630",
    function=READ_INPUT_REGISTERS,
    max_words=80,
    registers=(
        Register(0, "1-0:32.7.0", "voltage L1", "V", 1000, 1000, True),
        Register(2, "1-0:52.7.0", "voltage L2", "V", 1000, 1000, True),
        Register(4, "1-0:72.7.0", "voltage L3", "V", 1000, 1000, True),
        Register(6, "1-0:31.7.0", "current L1", "A", 1000, 1000, True),
        Register(8, "1-0:51.7.0", "current L2", "A", 1000, 1000, True),
        Register(10, "1-0:71.7.0", "current L3", "A", 1000, 1000, True),
        Register(12, "1-0:36.7.0", "active power L1", "W", 10, 10, True),
        Register(14, "1-0:56.7.0", "active power L2", "W", 10, 10, True),
        Register(16, "1-0:76.7.0", "active power L3", "W", 10, 10, True),
        Register(24, "1-0:151.7.0", "reactive power L1", "var", 10, 10, True),
        Register(26, "1-0:171.7.0", "reactive power L2", "var", 10, 10, True),
        Register(28, "1-0:191.7.0", "reactive power L3", "var", 10, 10, True),
        Register(52, "1-0:16.7.0", "active power", "W", 10, 10, True),
        Register(70, "1-0:14.7.0", "frequency", "Hz", 100, 100, True),
        Register(72, "1-0:1.8.0", "import active energy", "Wh", 1000, 1),
        Register(74, "1-0:2.8.0", "export active energy", "Wh", 1000, 1),
        Register(76, "1-0:3.8.0", "import reactive energy", "varh", 1000, 1),
        Register(78, "1-0:4.8.0", "export reactive energy", "varh", 1000, 1),
    ),
)
"""Reactive energy is by direction here, not by quadrant: the meter does not keep the quadrants."""


def plan_reads(wanted: RegisterMap) -> tuple[RegisterRead, ...]:
    """The fewest requests that cover all registers of the map, in order of address."""
    reads: list[RegisterRead] = []
    for register in sorted(wanted.registers, key=lambda row: row.address):
        end = register.address + WORDS_PER_FLOAT
        if reads and end - reads[-1].address <= wanted.max_words:
            first = reads[-1].address
            reads[-1] = RegisterRead(wanted.function, first, end - first)
        else:
            reads.append(RegisterRead(wanted.function, register.address, WORDS_PER_FLOAT))
    return tuple(reads)


def decode_float32(high: int, low: int, factor: int) -> int | BadValue:
    """The float32 in two words, times `factor`, as the nearest integer; halves away from zero.

    NaN and infinity are `BadValue("no_number")`: meters send them for "not measured".
    """
    bits = high << 16 | low
    exponent = bits >> _MANTISSA_BITS & 0xFF
    mantissa = bits & (1 << _MANTISSA_BITS) - 1
    if exponent == 0xFF:
        return BadValue(NO_NUMBER, f"{bits:08x}")
    if exponent:
        mantissa |= 1 << _MANTISSA_BITS
    else:
        exponent = 1
    power = exponent - _EXPONENT_BIAS - _MANTISSA_BITS
    number = -mantissa * factor if bits >> 31 else mantissa * factor
    return number << power if power >= 0 else half_up_div(number, 1 << -power)


def float32_step(value: int, factor: int) -> int:
    """How far the next float32 above `value`/`factor` lies, in 1/`factor`, rounded up; at least 1.

    An energy of 100,000 kWh (value in Wh, factor 1000) comes in steps of 8 Wh.
    """
    power = (abs(value) // factor).bit_length() - 1 - _MANTISSA_BITS
    return factor << power if power >= 0 else ceil_div(factor, 1 << -power)


def encode_float32(numerator: int, denominator: int) -> tuple[int, int]:
    """The two words of the float32 nearest to a fraction (ties to even): a meter's side."""
    sign = 0x8000 if numerator < 0 else 0
    top = abs(numerator)
    if not top:
        return sign, 0
    power = top.bit_length() - denominator.bit_length() - _MANTISSA_BITS - 1
    while True:
        below = denominator << max(power, 0)
        mantissa, rest = divmod(top << max(-power, 0), below)
        if mantissa >> _MANTISSA_BITS + 1 == 0:
            break
        power += 1
    twice = 2 * rest
    mantissa += twice > below or (twice == below and mantissa & 1)
    bits = (power + _EXPONENT_BIAS + _MANTISSA_BITS << _MANTISSA_BITS) + (
        mantissa - (1 << _MANTISSA_BITS)
    )
    assert 0 < bits < 0x7F800000, f"{numerator}/{denominator} is out of the range of float32"
    return sign | bits >> 16, bits & 0xFFFF


def decode_registers(wanted: RegisterMap, words: Mapping[int, int]) -> tuple[Quantity, ...]:
    """The quantities of a map from the words by address; BadReply when a word is missing."""
    quantities = []
    for register in wanted.registers:
        high, low = words.get(register.address), words.get(register.address + 1)
        if high is None or low is None:
            raise BadReply(f"register {register.address} ({register.name}) did not come")
        number = decode_float32(high, low, register.factor)
        bad = number.reason if isinstance(number, BadValue) else ""
        quantities.append(
            Quantity(
                obis=register.obis,
                name=register.name,
                unit=register.unit,
                scale=register.scale,
                value=None if isinstance(number, BadValue) else number,
                bad=bad,
            )
        )
    return tuple(quantities)
