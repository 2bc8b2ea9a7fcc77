"""Status words 1 to 7 (04000501..07) as named bits, and what word 3 says of the relay.

Confirmed by a field capture (domain.md 1.2): word 3 bit 4 = relay open, bit 6 = the relay's
command is "open". All other names are as four independent pieces of field code have them,
UNCONFIRMED; nothing decides on them.

    >>> status_bits(3, 0x0050)
    ('relay_open', 'relay_command_open')
    >>> relay_state(0x0050)
    'open'
"""

from __future__ import annotations

_PHASE_FAULTS = (
    "voltage_lost",
    "undervoltage",
    "overvoltage",
    "current_lost",
    "overcurrent",
    "overload",
    "reverse_flow",
    "phase_broken",
    "current_broken",
)

STATUS_BITS: dict[int, tuple[str, ...]] = {
    1: (
        "",
        "demand_by_interval",
        "clock_battery_low",
        "reading_battery_low",
        "active_reverse",
        "reactive_reverse",
    ),
    2: (
        "active_reverse_l1",
        "active_reverse_l2",
        "active_reverse_l3",
        "",
        "reactive_reverse_l1",
        "reactive_reverse_l2",
        "reactive_reverse_l3",
    ),
    3: (
        "second_day_tables",
        "supply_auxiliary",
        "supply_battery",
        "programming_allowed",
        "relay_open",
        "second_year_zones",
        "relay_command_open",
        "trip_warning",
        "prepaid_energy",
        "prepaid_money",
        "second_rate_prices",
        "second_tier_prices",
        "keep_supply",
        "identity_authenticated",
        "local_account_missing",
        "remote_account_missing",
    ),
    4: _PHASE_FAULTS,
    5: _PHASE_FAULTS,
    6: _PHASE_FAULTS,
    7: (
        "voltage_sequence_reversed",
        "current_sequence_reversed",
        "voltage_unbalanced",
        "current_unbalanced",
        "auxiliary_supply_lost",
        "power_lost",
        "demand_exceeded",
        "power_factor_low",
        "current_much_unbalanced",
    ),
}

RELAY_OPEN_BIT = 4
RELAY_COMMAND_BIT = 6


def status_bits(number: int, word: int) -> tuple[str, ...]:
    """The names of the bits set in status word `number`; `bit_N` where N has no name."""
    names = STATUS_BITS[number]
    return tuple(
        (names[bit] if bit < len(names) else "") or f"bit_{bit}"
        for bit in range(16)
        if word >> bit & 1
    )


def relay_state(
    word: int, open_bit: int = RELAY_OPEN_BIT, command_bit: int = RELAY_COMMAND_BIT
) -> str:
    """What status word 3 says of the relay.

    closed, open, close_permitted (open still, the command is not "open" any more: the meter waits
    for the button) or trip_pending (told to open, not open).
    """
    is_open, told_open = word >> open_bit & 1, word >> command_bit & 1
    if is_open:
        return "open" if told_open else "close_permitted"
    return "trip_pending" if told_open else "closed"
