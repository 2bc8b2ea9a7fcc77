"""One simulated meter: its registers, clock and relay. No bytes here; see `answers`.

Its registers are `initial + energy(base .. now)`, less what would have flowed while the relay was
open. Its clock is the true time plus a drift; what it stores (freezes, profile records) it stores
by its own clock, and it judges the "valid until" of a relay command by it too.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zlib import crc32

from libs.events.errors import BadInput
from libs.events.quantities import WH_PER_KWH, parse_scaled
from services.ingest.protocols.dlt645.values import epoch_s, from_epoch_s
from simulators.load_shapes import SLOT_S
from simulators.meters.config import RATIO_SCALE, MeterConfig
from simulators.meters.energy import DAY_S, TOTAL, Load
from simulators.meters.esam import Esam
from simulators.meters.faults import FaultSet

IMPORT, EXPORT = 1, 2
QUADRANTS = (5, 6, 7, 8)
"""Kinds of energy are the C group of their OBIS code."""
FREEZES_KEPT = 62
RECORDS_KEPT_S = 62 * DAY_S


class Meter:
    """One device at one address. Times are seconds since 1970 (`at_s`), true time unless said."""

    def __init__(self, config: MeterConfig, load: Load, start_s: int, zone_minutes: int) -> None:
        self.config = config
        self.load = load
        self.faults = FaultSet()
        self.zone_s = zone_minutes * 60
        self.installed_s = epoch_s(config.installed_at) if config.installed_at else None
        self.removed_s = epoch_s(config.removed_at) if config.removed_at else None
        self.base_s = epoch_s(config.base_at) if config.base_at else self.installed_s or start_s
        self.capacity_wh: int = 10**config.digits * WH_PER_KWH
        self.initial_wh = _initial(config, load.rates)
        root = config.esam_root_hex
        self.esam = Esam(config.address, bytes.fromhex(root)) if root else None
        self.relay_open = config.relay == "open"
        self.told_open = self.relay_open
        self.waits_for_button = False
        self.keeps_supply = False
        self.alarm = False
        self.last_trip_s = self.last_close_s = 0
        self.times_set = 0
        self._dark: list[list[int]] = [[self.base_s, 0]] if self.relay_open else []
        self._bypassed: list[list[int]] = []
        self._drifts: list[tuple[int, int]] = [(0, config.drift_s)]
        self._instant_freeze_s = 0
        self._ratios = {
            name: config.ratios.scaled(name) for name in ("export", "q1", "q2", "q3", "q4")
        }
        self._voltage_dv = parse_scaled(config.voltage_v, 10, "voltage_v")

    # Presence and clock

    def is_installed(self, at_s: int) -> bool:
        """Whether it hangs on the line at that time."""
        if self.installed_s is not None and at_s < self.installed_s:
            return False
        return self.removed_s is None or at_s < self.removed_s

    def drift_s(self, at_s: int) -> int:
        """How far its clock is ahead."""
        return next(drift for since, drift in reversed(self._drifts) if at_s >= since)

    def set_drift(self, drift_s: int, at_s: int) -> None:
        """Its clock goes wrong (or right) from now on."""
        self._drifts.append((at_s, drift_s))

    def civil(self, at_s: int) -> datetime:
        """What its clock shows: civil time of its zone."""
        shown = at_s + self.drift_s(at_s) + self.zone_s
        return datetime.fromtimestamp(shown, UTC).replace(tzinfo=None)

    def true_s(self, civil: datetime) -> int:
        """When its clock showed `civil`, as true time; by the newest drift that fits."""
        shown_s = int(civil.replace(tzinfo=UTC).timestamp()) - self.zone_s
        for since, drift in reversed(self._drifts):
            if shown_s - drift >= since:
                return shown_s - drift
        return shown_s - self._drifts[0][1]

    def slot_table(self) -> tuple[tuple[int, int], ...]:
        """From which minute of a day on it counts in which rate: what its registers do."""
        rates = self.load.rate_of_slot
        return tuple(
            (slot * SLOT_S // 60, rate)
            for slot, rate in enumerate(rates)
            if slot == 0 or rates[slot - 1] != rate
        )

    # Registers

    def energy_wh(self, kind: int, rate: int, at_s: int) -> int:
        """The register of one kind (OBIS C) and rate at a time, before it rolls over."""
        if rate == TOTAL:
            return sum(self._rate_wh(kind, each, at_s) for each in self.load.rates)
        return self._rate_wh(kind, rate, at_s)

    def _rate_wh(self, kind: int, rate: int, at_s: int) -> int:
        flowed = self._flowed_wh(rate, at_s)
        return self.initial_wh.get((kind, rate), 0) + self._share(kind, flowed)

    def _share(self, kind: int, imported: int) -> int:
        """What an imported amount (or power) means for another kind of energy."""
        if kind == IMPORT:
            return imported
        exported = imported * self._ratios["export"] // RATIO_SCALE
        if kind == EXPORT:
            return exported
        basis = imported if kind in (5, 8) else exported
        return basis * self._ratios[f"q{kind - 4}"] // RATIO_SCALE

    def _flowed_wh(self, rate: int, at_s: int) -> int:
        energy = self.load.energy_wh
        flowed = energy(rate, self.base_s, at_s)
        for since, until in self._unseen(at_s):
            flowed -= energy(rate, self.base_s, until) - energy(rate, self.base_s, since)
        return flowed

    def _unseen(self, at_s: int) -> list[list[int]]:
        """When nothing was counted up to a time: the relay was open, or the meter bypassed."""
        found: list[list[int]] = []
        for since, until in sorted([*self._dark, *self._bypassed]):
            end = min(until or at_s, at_s)
            if found and since <= found[-1][1]:
                found[-1][1] = max(found[-1][1], end)
            elif end > since:
                found.append([since, end])
        return found

    def bypass(self, at_s: int) -> None:
        """From now on the customer takes energy past the meter."""
        if not self._bypassed or self._bypassed[-1][1]:
            self._bypassed.append([at_s, 0])

    def end_bypass(self, at_s: int) -> None:
        """The bypass was found and taken away."""
        if self._bypassed and not self._bypassed[-1][1]:
            self._bypassed[-1][1] = at_s

    def true_wh(self, at_s: int) -> int:
        """What was taken through the connection less what was fed in, up to a time and after the
        ratio: whatever the meter shows, but nothing while the relay was open."""
        end_s = at_s if self.removed_s is None else min(at_s, self.removed_s)
        energy = self.load.energy_wh
        taken = energy(TOTAL, self.base_s, end_s)
        for since, until in self._dark:
            taken -= energy(TOTAL, since, min(until or end_s, end_s))
        return (taken - self._share(EXPORT, taken)) * self.config.ratio

    def shown_wh(self, kind: int, rate: int, at_s: int) -> int:
        """The register as it stands in the display: rolled over, spike included."""
        found = self.energy_wh(kind, rate, at_s)
        if kind == IMPORT and rate == TOTAL and (spike := self.faults.take("spike")):
            found += int(spike.options.get("wh", 1_000_000))
        return found % self.capacity_wh

    def peak(self, kind: int, rate: int, at_s: int) -> tuple[int, int]:
        """The month's maximum demand up to a time (0.1 W) and when its quarter of an hour ended."""
        if rate != TOTAL and rate not in self.load.rates:
            return 0, 0
        demand, when_s = self.load.peak(rate, at_s)
        month_s = self._month_start_s(at_s)
        broken = any((until or at_s) > month_s and since < at_s for since, until in self._dark)
        if broken or self.base_s > month_s:
            demand, when_s = self._measured_peak(rate, max(month_s, self.base_s), at_s)
        return self._share(kind, demand), when_s

    def _measured_peak(self, rate: int, from_s: int, at_s: int) -> tuple[int, int]:
        """Quarter by quarter, for a month in which the supply was interrupted."""
        best, when_s = 0, 0
        first = -(-from_s // SLOT_S) * SLOT_S
        for end in range(first + SLOT_S, at_s + 1, SLOT_S):
            demand = self.load.power_dw(end - SLOT_S, rate)
            dark_s = sum(
                max(0, min(until or end, end) - max(since, end - SLOT_S))
                for since, until in self._dark
            )
            demand = demand * (SLOT_S - dark_s) // SLOT_S
            if demand > best:
                best, when_s = demand, end
        return best, when_s

    def _month_start_s(self, at_s: int) -> int:
        local = datetime.fromtimestamp(at_s - 1 + self.zone_s, UTC)
        return int(local.replace(day=1, hour=0, minute=0, second=0).timestamp()) - self.zone_s

    def power_dw(self, at_s: int) -> int:
        """Imported power now, in 0.1 W; none while the relay is open."""
        return 0 if self.relay_open else self.load.power_dw(at_s)

    def reactive_dvar(self, at_s: int) -> int:
        """Reactive power now, in 0.1 var: quadrant 1 less quadrant 4."""
        power = self.power_dw(at_s)
        return self._share(5, power) - self._share(8, power)

    def voltage_dv(self, phase: int, at_s: int) -> int:
        """Voltage of a phase in 0.1 V: the configured one, up to 2 V off, the same every time."""
        more = self.faults.peek("voltage")
        more_dv = int(10 * float(more.options.get("volts", 20))) if more else 0
        wobble = crc32(f"{self.config.name}/{phase}/{at_s // SLOT_S}".encode()) % 41 - 20
        return self._voltage_dv + wobble + more_dv

    # Stored by its own clock

    def settlement_s(self, nth: int, at_s: int) -> int | None:
        """When the nth last settlement (the 1st at 00:00; nth 1 = newest) was, if it was there."""
        civil = self.civil(at_s)
        year, month = divmod(civil.year * 12 + civil.month - nth, 12)
        when_s = self.true_s(datetime.combine(date(year, month + 1, 1), time()))
        return when_s if when_s >= self.base_s else None

    def freeze_stamp(self, nth: int, at_s: int) -> datetime | None:
        """The civil time (00:00) of the nth last daily freeze; None when it has none."""
        midnight = self.civil(at_s).replace(hour=0, minute=0, second=0)
        stamp = datetime.fromtimestamp(
            midnight.replace(tzinfo=UTC).timestamp() - (nth - 1) * DAY_S, UTC
        ).replace(tzinfo=None)
        if nth > FREEZES_KEPT or self.true_s(stamp) < self.base_s:
            return None
        return stamp

    def freeze_now(self, at_s: int) -> None:
        """Take the instant freeze."""
        self._instant_freeze_s = at_s

    @property
    def instant_freeze_s(self) -> int:
        """When the instant freeze was taken; 0 for never."""
        return self._instant_freeze_s

    # Clock setting and relay

    def set_clock(self, civil: datetime, at_s: int) -> None:
        """Obey a time sync."""
        shown_s = int(civil.replace(tzinfo=UTC).timestamp()) - self.zone_s
        self.set_drift(shown_s - at_s, at_s)
        self.times_set += 1

    def obey(self, command: str, at_s: int) -> bool:
        """Do what an authenticated relay command says; False when it must not (keep-supply).

        A stuck relay notes the command and does not move.
        """
        if command == "trip" and self.keeps_supply:
            return False
        if command == "trip":
            self.told_open, self.waits_for_button = True, False
            self._move(True, at_s)
        elif command == "close":
            self.told_open = False
            self._move(False, at_s)
        elif command == "permit_close":
            self.told_open = False
            if self.config.close_mode == "button":
                self.waits_for_button = self.relay_open
            else:
                self._move(False, at_s)
        elif command in ("alarm", "alarm_off"):
            self.alarm = command == "alarm"
        else:
            self.keeps_supply = command == "keep_supply"
        return True

    def press_button(self, at_s: int) -> bool:
        """The customer presses the button; True when that closed the relay."""
        if not self.waits_for_button:
            return False
        self._move(False, at_s)
        return not self.relay_open

    def _move(self, to_open: bool, at_s: int) -> None:
        if self.faults.take("relay_stuck") or to_open == self.relay_open:
            return
        self.relay_open = to_open
        self.waits_for_button = False
        if to_open:
            self.last_trip_s = at_s
            self._dark.append([at_s, 0])
        else:
            self.last_close_s = at_s
            self._dark[-1][1] = at_s

    @property
    def relay(self) -> str:
        """What an eye on the relay sees."""
        if self.relay_open:
            return "close_permitted" if self.waits_for_button else "open"
        return "closed"

    def status_3(self) -> int:
        """Status word 3: bit 4 relay open, bit 6 told to open, bit 7 alarm, bit 12 keep-supply."""
        return (
            self.relay_open << 4 | self.told_open << 6 | self.alarm << 7 | self.keeps_supply << 12
        )

    def roll_over_soon(self, margin_wh: int, at_s: int) -> None:
        """Set the import registers so that the total rolls over after `margin_wh` more."""
        first = self.load.rates[0]
        lacking = self.capacity_wh - margin_wh - self.energy_wh(IMPORT, TOTAL, at_s)
        self.initial_wh[IMPORT, first] = self.initial_wh.get((IMPORT, first), 0) + lacking

    def snapshot(self, at_s: int) -> dict[str, int]:
        """All energy registers by OBIS code, rolled over: the truth to compare readings with."""
        found = {}
        for kind in (IMPORT, EXPORT, *QUADRANTS):
            for rate in (TOTAL, *self.load.rates):
                found[f"1-0:{kind}.8.{rate}"] = self.energy_wh(kind, rate, at_s) % self.capacity_wh
        return found

    def summary(self, at_s: int) -> dict[str, object]:
        """What the control port tells about it."""
        return {
            "meter": self.config.name,
            "address": self.config.address,
            "class": self.config.meter_class,
            "installed": self.is_installed(at_s),
            "relay": self.relay,
            "told_open": self.told_open,
            "clock_at": from_epoch_s(at_s + self.drift_s(at_s)),
            "drift_s": self.drift_s(at_s),
            "faults": self.faults.names(),
            "registers_wh": self.snapshot(at_s),
        }


def _initial(config: MeterConfig, rates: tuple[int, ...]) -> dict[tuple[int, int], int]:
    """Initial registers by kind and rate; a total alone is spread evenly over the rates."""
    found: dict[tuple[int, int], int] = {}
    for obis, value in config.initial_wh.items():
        kind, _, rate = obis.removeprefix("1-0:").partition(".8.")
        if not (obis.startswith("1-0:") and kind.isdecimal() and rate.isdecimal()):
            raise BadInput("initial_wh", f"{obis!r} is no energy register", "write 1-0:1.8.1")
        if int(kind) not in (IMPORT, EXPORT, *QUADRANTS) or value < 0:
            raise BadInput("initial_wh", f"{obis} = {value}", "use 1, 2 or 5 to 8, from 0 Wh")
        if int(rate) != TOTAL:
            if int(rate) not in rates:
                raise BadInput("initial_wh", f"{obis}: its day table has no such rate", "add it")
            found[int(kind), int(rate)] = value
            continue
        if any(name.startswith(f"1-0:{kind}.8.") and name != obis for name in config.initial_wh):
            raise BadInput("initial_wh", f"{obis} and its rates", "give the total or the rates")
        share, rest = divmod(value, len(rates))
        for place, each in enumerate(rates):
            found[int(kind), each] = share + (rest if place == 0 else 0)
    return found
