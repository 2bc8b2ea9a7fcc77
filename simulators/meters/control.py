"""The control port: time, faults and state of the simulator, as JSON lines over TCP.

    {"op":"time","at":"2026-01-02T00:00:00Z"}            -> {"ok":true,"at":...}
    {"op":"fault","meter":"000000000161","kind":"silent","count":3}
    {"op":"clear","meter":"000000000161"}                 (with "kind" only that one)
    {"op":"state","meter":"000000000161"}                 (with "at": registers then)
    {"op":"press_button","meter":"000000000161"}
    {"op":"meters"}, {"op":"stop"}

A wrong request is answered {"ok":false,"error":...}; the connection stays.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.values import epoch_s, from_epoch_s
from simulators.meters.bus import Clock
from simulators.meters.meter import Meter

Request = Mapping[str, Any]
Answer = dict[str, Any]


class Control:
    """What the control port can do; `on_stop` ends the simulator."""

    def __init__(
        self, meters: Mapping[str, Meter], clock: Clock, on_stop: Callable[[], None]
    ) -> None:
        self._meters = meters
        self._clock = clock
        self._on_stop = on_stop
        self._operations: dict[str, Callable[[Request], Answer]] = {
            "time": self._time,
            "fault": self._fault,
            "clear": self._clear,
            "state": self._state,
            "press_button": self._press_button,
            "meters": self._names,
            "stop": self._stop,
        }

    def answer(self, line: bytes) -> bytes:
        """One request line, one answer line."""
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise BadInput("request", "is no JSON object", 'write {"op":"time"}')
            operation = self._operations.get(str(request.get("op")))
            if operation is None:
                known = ", ".join(self._operations)
                raise BadInput("op", f"{request.get('op')!r} is none", f"use one of {known}")
            answer = {"ok": True, **operation(request)}
        except (BadInput, ValueError) as error:
            answer = {"ok": False, "error": str(error)}
        return json.dumps(answer, separators=(",", ":")).encode() + b"\n"

    def _meter(self, request: Request) -> Meter:
        name = request.get("meter")
        meter = self._meters.get(name) if isinstance(name, str) else None
        if meter is None:
            raise BadInput("meter", f"{name!r} is not here", "ask {'op':'meters'} for the names")
        return meter

    def _time(self, request: Request) -> Answer:
        if "at" in request:
            self._clock.set(epoch_s(str(request["at"])))
        return {"at": from_epoch_s(self._clock.now_s())}

    def _fault(self, request: Request) -> Answer:
        meter = self._meter(request)
        options = {
            name: value
            for name, value in request.items()
            if name not in ("op", "meter", "kind", "count")
        }
        for name, value in options.items():
            numeric = name != "day_on"
            if isinstance(value, bool) or isinstance(value, str) == numeric:
                raise BadInput(name, f"{value!r}", "give a number" if numeric else "give a date")
        kind = str(request.get("kind"))
        fault = meter.faults.add(kind, request.get("count"), options)
        now_s = self._clock.now_s()
        if fault.kind == "clock_drift":
            meter.set_drift(int(options.get("seconds", 600)), now_s)
        if fault.kind == "rollover":
            meter.roll_over_soon(int(options.get("margin_wh", 1000)), now_s)
        if fault.kind == "bypass":
            meter.bypass(now_s)
        return {"faults": meter.faults.names()}

    def _clear(self, request: Request) -> Answer:
        meter = self._meter(request)
        meter.faults.clear(str(request.get("kind", "")))
        if meter.faults.peek("bypass") is None:
            meter.end_bypass(self._clock.now_s())
        return {"faults": meter.faults.names()}

    def _state(self, request: Request) -> Answer:
        meter = self._meter(request)
        at_s = epoch_s(str(request["at"])) if "at" in request else self._clock.now_s()
        return meter.summary(at_s)

    def _press_button(self, request: Request) -> Answer:
        meter = self._meter(request)
        closed = meter.press_button(self._clock.now_s())
        return {"closed": closed, "relay": meter.relay}

    def _names(self, request: Request) -> Answer:
        return {"meters": sorted(self._meters)}

    def _stop(self, request: Request) -> Answer:
        self._on_stop()
        return {}
