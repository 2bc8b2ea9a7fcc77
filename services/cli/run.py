"""`gridledger run SERVICE`: the one entry point of every service.

`gridledger local up` starts it, a container starts it, the tests start it. The table says which
function is a service: `function(settings, ordinal) -> exit status`, called in the main thread of a
fresh process. It returns when SIGTERM asked it to end (0) or when it must not go on (not 0).
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from typing import Annotated, Protocol

import typer

from libs.events.errors import BadInput
from services.settings import Settings, load_settings

# name -> module:function. `local up` starts one member of each, in this order.
SERVICES: dict[str, str] = {
    "clock": "services.clock.main:run",
    "customers": "services.customers.main:run",
    "ingest": "services.ingest.main:run",
    "ingest-field": "services.ingest.field:run",
    "validation": "services.validation.main:run",
    "validation-areas": "services.validation.areas.main:run",
    "billing": "services.billing.main:run",
    "payments": "services.payments.main:run",
    "payments-edge": "services.payments.edge_main:run",
    "control": "services.control.main:run",
    "control-edge": "services.control.edge_main:run",
    "metrology": "services.metrology.main:run",
    "metrology-edge": "services.metrology.edge_main:run",
    "console": "services.console.main:run",
}

# Started by name only: not every installation has what they serve.
OPTIONAL: dict[str, str] = {
    "pos-edge": "services.payments.pos_main:run",
}

app = typer.Typer(help="Run one member of one service in the foreground.")


class Runner(Protocol):
    """What the table's functions look like."""

    def __call__(self, settings: Settings, ordinal: int) -> int: ...


@app.command(epilog="Example: gridledger run billing --ordinal 1")
def run(
    service: Annotated[
        str,
        typer.Argument(help="Name of the service, or module:function.", metavar="SERVICE"),
    ],
    ordinal: Annotated[
        int, typer.Option(help="Which member of the service, from 0.", min=0, max=999)
    ] = 0,
) -> None:
    """Run one member of one service until SIGTERM; settings come from the environment."""
    raise typer.Exit(run_service(service, ordinal))


def run_service(service: str, ordinal: int) -> int:
    """Run a member of a service here and now; returns its exit status.

    Raises BadInput for a name that is not in the table.
    """
    return runner_of(service)(load_settings().settings, ordinal)


def runner_of(service: str) -> Runner:
    """The function of a service of the table, or of any `module:function`, imported now."""
    target = (SERVICES | OPTIONAL).get(service, service)
    if ":" not in target:
        known = ", ".join(SERVICES | OPTIONAL) or "none in this release"
        raise BadInput("service", f"there is no {service}", f"one of {known}")
    module, _, function = target.partition(":")
    if service not in SERVICES | OPTIONAL and not _is_there(module):
        raise BadInput("service", f"there is no module {module}", "module:function, or a name")
    found: Runner | None = getattr(importlib.import_module(module), function, None)
    if found is None or not _takes_two(found):
        problem = f"{target} is no function of settings and ordinal"
        raise BadInput("service", problem, f"one of {', '.join(SERVICES)}")
    return found


def _is_there(module: str) -> bool:
    """Whether a module can be found; a package above it that is missing is no error here."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _takes_two(found: Runner) -> bool:
    try:
        inspect.signature(found).bind(object(), 0)
    except (TypeError, ValueError):  # no function, or one of other arguments
        return False
    return True
