"""The city on paper: import files for customers, the meter simulator's configuration."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from simulators.city import prepaid
from simulators.city.people import DAY_TABLES, FIRST_ON, START_AT, Account, City, Point
from simulators.city.population import LOSS_PCT

CONCENTRATOR = "0200-0001"
"""Its address: the area code and the terminal."""
LINE_KINDS = {"bus-1": "pty", "modbus-1": "modbus_tcp"}


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """One CSV file with the columns of all its rows."""
    found = list(rows)
    if not found:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        columns = list(dict.fromkeys(name for row in found for name in row))
        writer = csv.DictWriter(file, fieldnames=columns, restval="")
        writer.writeheader()
        writer.writerows(found)


def write_import(city: City, directory: Path, lines: Mapping[str, str]) -> None:
    """The import directory of the whole city; `lines`: line name -> tcp:HOST:PORT, serial:PATH."""
    accounts = [found.account_no for found in city.accounts]
    accounts += sorted({gate.account_no for gate in city.gates})
    sizes = {found.account_no: found for found in city.accounts}
    write_rows(directory / "accounts.csv", (_account(no, sizes.get(no)) for no in accounts))
    write_rows(directory / "agreements.csv", (_agreement(found) for found in city.accounts))
    for name, rows in city.rows.items():
        write_rows(directory / f"{name}.csv", rows)
    points = [*city.points, *city.gates]
    write_rows(directory / "points.csv", (_point(found) for found in points))
    write_rows(
        directory / "point_relations.csv",
        (
            {
                "account_no": point.account_no,
                "usage_point": point.usage_point,
                "valid_from": FIRST_ON,
                "relation": point.relation,
                "parent_point": point.parent,
                "share": point.share,
                "quantity_kwh": "",
            }
            for point in city.points
            if point.relation
        ),
    )
    metered = [point for point in points if point.meter_no]
    write_rows(directory / "meters.csv", (_meter(found) for found in metered))
    write_rows(directory / "installations.csv", (_installation(found, lines) for found in metered))


def write_account(
    city: City, account_no: str, directory: Path, rows: Mapping[str, Iterable[Mapping[str, Any]]]
) -> None:
    """An import directory with further rows of one account, by the file's name."""
    account = next(each for each in city.accounts if each.account_no == account_no)
    write_rows(directory / "accounts.csv", [_account(account_no, account)])
    for name, found in rows.items():
        write_rows(directory / f"{name}.csv", found)


def _account(account_no: str, account: Account | None) -> dict[str, Any]:
    """A customer, or the supplier itself."""
    return {
        "account_no": account_no,
        "valid_from": FIRST_ON,
        "language": account.language if account else "",
        "household_size": account.household_size if account else "",
        "protected": "",
        "moved_out_on": "",
    }


def _agreement(account: Account) -> dict[str, Any]:
    return {
        "account_no": account.account_no,
        "valid_from": FIRST_ON,
        "category": account.category,
        "region": account.region,
        "price_list": account.price_list,
        "voltage_class": account.voltage_class,
        "metering_side": account.metering_side,
        "demand_mode": account.demand_mode,
        "contract_demand_kw": account.contract_demand_kw or "",
        "pf_standard": account.pf_standard,
        "payment_mode": account.payment_mode,
        "feed_in_price_list": account.feed_in_price_list,
        **(prepaid.TERMS if account.payment_mode == "prepaid_remote" else {}),
    }


def _point(point: Point) -> dict[str, Any]:
    return {
        "account_no": point.account_no,
        "usage_point": point.usage_point,
        "valid_from": FIRST_ON,
        "price_list": point.price_list,
        "category": point.category,
        "voltage_class": point.voltage_class,
        "rate_periods": point.rate_periods,
        "area": point.area,
        "switching_method": point.switching_method,
        "registers": ";".join(point.registers),
        "intervals": "yes" if point.intervals else "",
        "loss_role": point.loss_role,
    }


def _meter(point: Point) -> dict[str, Any]:
    return {
        "meter_no": point.meter_no,
        "valid_from": FIRST_ON,
        "model": "DDZY102" if point.phases == 1 else "DTZY341",
        "accuracy_class": point.accuracy_class,
        "connection": "direct" if point.ratio == 1 else "ct",
        "verified_on": "2025-02-01",
        "digits": point.digits,
    }


def _installation(point: Point, lines: Mapping[str, str]) -> dict[str, Any]:
    return {
        "usage_point": point.usage_point,
        "meter_no": point.meter_no,
        "valid_from": FIRST_ON,
        "ratio": point.ratio,
        "protocol": point.protocol,
        "line": lines[point.line],
        "address": f"{CONCENTRATOR}/{point.pn}/{point.address}" if point.pn else point.address,
        "capacity_kw": point.capacity_kw,
        "initial": ";".join(f"{name}={value}" for name, value in initial_registers(point).items()),
    }


def initial_registers(point: Point) -> dict[str, str]:
    """What the registers show on the first day, in kWh; demand registers have no beginning."""
    cumulative = [name for name in point.registers if ".8." in name]
    rates = used_rates(point)
    shown: dict[str, str] = {}
    for name in cumulative:
        if name == "1-0:1.8.0":
            shown[name] = str(point.initial_kwh)
        elif name in rates:
            shown[name] = str(spread(point.initial_kwh, len(rates))[rates.index(name)])
        else:
            shown[name] = "0"
    return shown


def used_rates(point: Point) -> list[str]:
    """The rate registers that the point's day table ever counts in."""
    used = {rate for _, rate in DAY_TABLES.get(point.day_table, [])}
    return [
        name for name in point.registers if name.startswith("1-0:1.8.") and int(name[-1]) in used
    ]


def spread(total: int, parts: int) -> list[int]:
    """A total over rates, the rest to the last one."""
    each = total // parts
    return [each] * (parts - 1) + [total - each * (parts - 1)]


def meters_config(
    city: City, directory: Path, extra: Iterable[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """The configuration of the meter simulator; `extra`: meters that come later, with `line`."""
    lines: dict[str, list[dict[str, Any]]] = {}
    for point in (*city.points, *city.gates):
        if not point.meter_no or point.pn:
            continue
        lines.setdefault(point.line, []).append(simulated_meter(point))
    for meter in extra:
        fields = dict(meter)
        lines.setdefault(fields.pop("line"), []).append(fields)
    return {
        "clock": {"mode": "simulated", "start_at": START_AT},
        "journal": str(directory / "meters.jsonl"),
        "ready_file": str(directory / "meters.ready.json"),
        "day_tables": {name: [list(slot) for slot in table] for name, table in DAY_TABLES.items()},
        "lines": [
            {"name": name, "kind": LINE_KINDS.get(name, "tcp"), "meters": meters}
            for name, meters in lines.items()
        ],
    }


def concentrator_config(city: City, directory: Path, master_port: int) -> dict[str, Any]:
    """The configuration of the simulated concentrator, which dials in to a port of ours."""
    behind = sorted((point for point in city.points if point.pn), key=lambda point: point.pn)
    return {
        "clock": {"mode": "simulated", "start_at": START_AT},
        "address": CONCENTRATOR,
        "meters": [simulated_meter(point) for point in behind],
        "master_port": master_port,
        "reconnect_s": 0.2,
        "journal": str(directory / "concentrator.jsonl"),
        "ready_file": str(directory / "concentrator.ready.json"),
    }


def simulated_meter(point: Point) -> dict[str, Any]:
    """One meter of the simulator."""
    meter: dict[str, Any] = {
        "id": point.meter_no,
        "meter_class": point.accuracy_class,
        "phases": point.phases,
        "shape": point.shape,
        "annual_kwh": point.annual_kwh,
        "ratio": point.ratio,
        "day_table": point.day_table,
        "digits": point.digits,
        "voltage_v": point.voltage_v,
        "close_mode": point.close_mode,
        "initial_wh": simulated_registers(point),
        "ratios": {"export": point.export_ratio, "q1": "0.35", "q4": "0.01"},
    }
    if point.sum_of:
        meter |= {"sum_of": list(point.sum_of), "loss_pct": LOSS_PCT}
    if point.protocol == "modbus_sdm630":
        meter["unit"] = int(point.address)
    else:
        meter["address"] = point.address
    return meter


def simulated_registers(point: Point) -> dict[str, int]:
    """The same registers for the simulator, in Wh: of the import the rates or the total."""
    shown = initial_registers(point)
    rates = used_rates(point)
    counted = [name for name in shown if not name.startswith("1-0:1.8.")]
    counted += rates or ["1-0:1.8.0"]
    return {name: int(shown[name]) * 1000 for name in counted}
