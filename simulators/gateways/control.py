"""The control port: JSON lines over TCP, so that the demo and the tests say what happens.

One request per line, one answer per line; an answer comes when the callbacks were answered (or at
once with `"wait": false`). Requests: pay, refund, hold, release, idle; misbehave (`"faults"`: what
goes wrong with the next questions asked of the gateways, api.FAULTS); bill, the settlement file of
a channel's day in base64 (`"rows": 0`: nothing was traded).

Example:
    {"op": "pay", "channel": "alipay", "order": "", "amount_fen": 500,
     "at": "2026-01-31T08:00:00+08:00", "faults": {"alter": true}}
    -> {"ok": true, "txn_id": "...", "answers": [{"status": 401, ...}]}
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, fields
from datetime import date, datetime
from typing import Any

from libs.events.errors import BadInput
from simulators.gateways.api import FAULTS, Api
from simulators.gateways.callbacks import Twist
from simulators.gateways.gateway import Faults, Gateways, Result

LINE_BYTES_MAX = 64 * 1024
Request = dict[str, Any]
_TWISTS = {item.name: item.type for item in fields(Twist)}


class Control:
    """Answers control requests about one `Gateways`."""

    def __init__(self, gateways: Gateways, api: Api | None = None) -> None:
        self.gateways = gateways
        self.api = api or Api(gateways)
        self.tasks: set[asyncio.Task[Result]] = set()
        self.operations: dict[str, Callable[[Request], Awaitable[dict[str, Any]]]] = {
            "pay": self._pay,
            "refund": self._refund,
            "hold": self._hold,
            "release": self._release,
            "idle": self._idle,
            "misbehave": self._misbehave,
            "bill": self._bill,
        }

    async def start(self, port: int) -> asyncio.Server:
        """Listen on the loopback; port 0 takes a free one."""
        return await asyncio.start_server(self._serve, "127.0.0.1", port, limit=LINE_BYTES_MAX)

    async def answer(self, line: bytes) -> dict[str, Any]:
        """The answer to one request line; what is wrong with it is an answer, too."""
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise BadInput("request", "is no JSON object")
            operation = self.operations.get(str(request.get("op")))
            if operation is None:
                raise BadInput("op", f"is none of {', '.join(self.operations)}")
            return {"ok": True, **await operation(request)}
        except BadInput as error:
            return {"ok": False, "error": str(error)}
        except ValueError:
            return {"ok": False, "error": "request: is no JSON text"}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                answer = await self.answer(line)
                writer.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):  # gone, or a line over the limit
            pass
        finally:
            writer.close()

    async def _pay(self, request: Request) -> dict[str, Any]:
        return await self._run(
            request,
            self.gateways.pay(
                _text(request, "order"),
                _whole(request, "amount_fen"),
                _text(request, "channel"),
                _instant(request),
                _faults(request),
                payer=str(request.get("payer", "")),
                coupon_fen=_whole(request, "coupon_fen", 0),
            ),
        )

    async def _refund(self, request: Request) -> dict[str, Any]:
        return await self._run(
            request,
            self.gateways.refund(
                _text(request, "txn_id"),
                _whole(request, "refund_fen"),
                _instant(request),
                _faults(request),
                outcome=str(request.get("outcome", "SUCCESS")),
            ),
        )

    async def _run(self, request: Request, work: Any) -> dict[str, Any]:
        task: asyncio.Task[Result] = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        if request.get("wait", True):
            return asdict(await task)
        await asyncio.sleep(0)  # what is wrong with the request shows before its first await
        if task.done():
            return asdict(task.result())
        return {}

    async def _hold(self, request: Request) -> dict[str, Any]:
        self.gateways.hold()
        return {}

    async def _release(self, request: Request) -> dict[str, Any]:
        results = await self.gateways.release(str(request.get("order", "sent")))
        return {"results": [asdict(result) for result in results]}

    async def _misbehave(self, request: Request) -> dict[str, Any]:
        self.api.faults += _listed(request, "faults", FAULTS)
        return {}

    async def _idle(self, request: Request) -> dict[str, Any]:
        return {"idle": self.gateways.idle, "held": len(self.gateways.held)}

    async def _bill(self, request: Request) -> dict[str, Any]:
        try:
            day = date.fromisoformat(_text(request, "day"))
        except ValueError:
            raise BadInput("day", "is no day", "write it like 2026-01-31") from None
        bill = self.gateways.bill(_text(request, "channel"), day)
        if bill is None:
            return {"rows": 0}
        return {**asdict(bill), "content": base64.b64encode(bill.content).decode()}


def _listed(request: Request, name: str, allowed: tuple[str, ...]) -> list[str]:
    values = request.get(name)
    if not isinstance(values, list) or not all(value in allowed for value in values):
        raise BadInput(name, f"is no list of {', '.join(allowed)}")
    return values


def _text(request: Request, name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str):
        raise BadInput(name, "is missing or no text")
    return value


def _whole(request: Request, name: str, default: int | None = None) -> int:
    value = request.get(name, default)
    if type(value) is not int:
        raise BadInput(name, "is missing or no whole number")
    return value


def _instant(request: Request) -> datetime:
    try:
        at = datetime.fromisoformat(_text(request, "at"))
    except ValueError:
        raise BadInput("at", "is no time", "write it like 2026-01-31T08:00:00+08:00") from None
    if at.tzinfo is None:
        raise BadInput("at", "has no offset", "write it like 2026-01-31T08:00:00+08:00")
    return at


def _faults(request: Request) -> Faults:
    given = request.get("faults", {})
    if not isinstance(given, dict):
        raise BadInput("faults", "is no JSON object")
    unknown = set(given) - set(_TWISTS) - {"copies", "delay_s", "silent"}
    if unknown:
        raise BadInput(f"faults.{min(unknown)}", "is no fault we know")
    delay_s = given.get("delay_s", 0)
    if not isinstance(delay_s, int | float) or delay_s < 0:
        raise BadInput("faults.delay_s", "is no number of seconds")
    twist = {}
    for name in set(given) & set(_TWISTS):
        wanted = int if _TWISTS[name] == "int" else bool
        if type(given[name]) is not wanted:
            raise BadInput(f"faults.{name}", f"is no {wanted.__name__}")
        twist[name] = given[name]
    silent = given.get("silent", False)
    if type(silent) is not bool:
        raise BadInput("faults.silent", "is no bool")
    return Faults(
        copies=_whole(given, "copies", 1), delay_s=delay_s, silent=silent, twist=Twist(**twist)
    )
