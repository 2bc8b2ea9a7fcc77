"""Modbus registers: what a map says of a meter, which requests read it, and exact values.

A map is data, one file per model (`modbus_map_file`). A register's words become an integer of
1/`scale` `unit`:

    >>> decode_float32(0x4366, 0x1999, 1000)     # 230.09999... V in mV
    230100

Rounding: a float32 is an exact binary fraction; it is multiplied by the factor and rounded once, by
the rule that the map names (half_up: halves away from zero). Whole types are never rounded. No
float arithmetic happens. A float32 has 24 binary digits, so an energy register above 16,777 kWh
moves in steps of more than 1 Wh (`float32_step`); the error is that of one register reading and
does not add up over time, because registers are cumulative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from libs.events.quantities import ROUNDING, SCALED_MAX, Rounding, ceil_div, half_up_div
from services.ingest.protocols.dlt645.values import BadValue, Quantity
from services.ingest.protocols.failures import BadReply

READ_HOLDING_REGISTERS, READ_INPUT_REGISTERS = 3, 4
FUNCTIONS = (READ_HOLDING_REGISTERS, READ_INPUT_REGISTERS)
NO_NUMBER, IMPLAUSIBLE = "no_number", "implausible"
FLOAT32 = "float32"
WORDS = {FLOAT32: 2, "uint16": 1, "int16": 1, "uint32": 2, "int32": 2, "uint64": 4, "int64": 4}
"""How many words each type has."""
WORD_ORDERS = ("high_first", "low_first")
_MANTISSA_BITS = 23
_EXPONENT_BIAS = 127


@dataclass(frozen=True, slots=True)
class Register:
    """One value of a map.

    address: of the first word, counted from 0 (the manual's 30001 is 0). factor: the number on the
    wire times this is the integer value, of 1/`scale` `unit`. function: 3 or 4, 0 for the map's.
    type: a name of `WORDS`; word_order: which word comes first, the more or the less significant
    one. least, most: what is plausible, in 1/`scale` `unit`, None for no limit. source: where the
    row is from; not `confirmed`: nobody compared it with a manual or a meter.
    """

    address: int
    obis: str
    name: str
    unit: str
    factor: int
    scale: int
    confirmed: bool = False
    function: int = 0
    type: str = FLOAT32
    word_order: str = "high_first"
    least: int | None = None
    most: int | None = None
    source: str = ""

    @property
    def words(self) -> int:
        """How many words it takes."""
        return WORDS[self.type]


@dataclass(frozen=True, slots=True)
class RegisterMap:
    """What one type of meter has.

    function: of registers that name none. max_words: the most that one request may ask. max_gap:
    the most words between two registers that a request may read over; None: any number, since most
    meters answer zeros there. rounding: of float32, a name of `quantities.ROUNDING`. protocol: the
    name that installations call it by.
    """

    name: str
    function: int
    max_words: int
    registers: tuple[Register, ...]
    max_gap: int | None = None
    rounding: str = "half_up"
    protocol: str = ""

    def function_of(self, register: Register) -> int:
        """The function code that reads a register."""
        return register.function or self.function


@dataclass(frozen=True, slots=True)
class RegisterRead:
    """One request: `count` words from `address` on."""

    function: int
    address: int
    count: int


Words = Mapping[tuple[int, int], int]
"""Words read, by function and address."""


def plan_reads(wanted: RegisterMap) -> tuple[RegisterRead, ...]:
    """The fewest requests that cover all registers of the map, by function and address."""
    reads: list[RegisterRead] = []
    for register in sorted(
        wanted.registers, key=lambda row: (wanted.function_of(row), row.address)
    ):
        function, end = wanted.function_of(register), register.address + register.words
        last = reads[-1] if reads else None
        if last is None or not _joins(wanted, last, function, register.address, end):
            reads.append(RegisterRead(function, register.address, register.words))
            continue
        count = max(end - last.address, last.count)
        reads[-1] = RegisterRead(function, last.address, count)
    return tuple(reads)


def _joins(wanted: RegisterMap, last: RegisterRead, function: int, start: int, end: int) -> bool:
    """Whether a register fits the request before it."""
    if function != last.function or end - last.address > wanted.max_words:
        return False
    return wanted.max_gap is None or start - last.address - last.count <= wanted.max_gap


def decode_float32(
    high: int, low: int, factor: int, rounding: Rounding = half_up_div
) -> int | BadValue:
    """The float32 in two words, times `factor`, rounded once; by default halves away from zero.

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
    return number << power if power >= 0 else rounding(number, 1 << -power)


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


def decode_words(wanted: RegisterMap, register: Register, words: Sequence[int]) -> Quantity:
    """One register's quantity from its words in the order of the wire.

    Its value is None with a reason when it is no number, not plausible, or more than a database
    holds.
    """
    ordered = list(words) if register.word_order == "high_first" else list(words)[::-1]
    number: int | BadValue
    if register.type == FLOAT32:
        rounding = ROUNDING[wanted.rounding]
        number = decode_float32(ordered[0], ordered[1], register.factor, rounding)
    else:
        raw = b"".join(word.to_bytes(2, "big") for word in ordered)
        signed = not register.type.startswith("u")
        number = int.from_bytes(raw, "big", signed=signed) * register.factor
    bad = number.reason if isinstance(number, BadValue) else _implausible(register, number)
    return Quantity(
        obis=register.obis,
        name=register.name,
        unit=register.unit,
        scale=register.scale,
        value=None if bad or isinstance(number, BadValue) else number,
        bad=bad,
    )


def _implausible(register: Register, value: int) -> str:
    below = register.least is not None and value < register.least
    above = register.most is not None and value > register.most
    return IMPLAUSIBLE if below or above or abs(value) > SCALED_MAX else ""


def decode_registers(wanted: RegisterMap, words: Words) -> tuple[Quantity, ...]:
    """The quantities of a map from the words that were read; BadReply when one is missing."""
    quantities = []
    for register in wanted.registers:
        function = wanted.function_of(register)
        places = range(register.address, register.address + register.words)
        found = [words[function, place] for place in places if (function, place) in words]
        if len(found) < register.words:
            raise BadReply(f"register {register.address} ({register.name}) did not come")
        quantities.append(decode_words(wanted, register, found))
    return tuple(quantities)
