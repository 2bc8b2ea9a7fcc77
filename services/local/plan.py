"""What a local installation runs: its directories, its servers and how many of each service.

DATA/run/plan.json          this plan; `scale` rewrites it, the next `up` takes it up again
DATA/run/supervisor.json    pid, birth and socket of the supervisor
DATA/run/members.json       pid and birth of every service
DATA/run/local.json         how the installation is reached (services.settings reads it)
DATA/run/SERVICE-N.json     what a service says about itself, once a second
DATA/logs/SERVICE-N.log
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from libs.events.errors import BadInput, Refused
from services.local import files

MEMBERS_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedService:
    """A service: what `gridledger run` is given, and how many members it has."""

    name: str
    target: str
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the supervisor keeps running in `data_dir`."""

    data_dir: Path
    services: tuple[PlannedService, ...] = ()
    nodes: int = 1
    database: str = "sqlite"
    start_by: str = "auto"
    environment: dict[str, str] = field(default_factory=dict)
    watches_servers: bool = True
    preloads_libraries: bool = True
    stop_grace_s: float = 10.0

    @property
    def run_dir(self) -> Path:
        return self.data_dir / "run"

    @property
    def logs_dir(self) -> Path:
        return self.data_dir / "logs"

    def scaled(self, service: str, count: int) -> Plan:
        """The plan with another number of members of one service.

        Raises BadInput for a service that is not in the plan or an impossible count.
        """
        if service not in {planned.name for planned in self.services}:
            known = ", ".join(planned.name for planned in self.services) or "none"
            raise BadInput("service", f"there is no {service}", f"one of {known}")
        if not 0 <= count <= MEMBERS_MAX:
            raise BadInput("count", f"{count} members", f"0 to {MEMBERS_MAX}")
        services = tuple(
            replace(planned, count=count) if planned.name == service else planned
            for planned in self.services
        )
        return replace(self, services=services)

    def save(self) -> None:
        files.make_dir(self.run_dir, mode=0o700)
        files.make_dir(self.logs_dir)
        content = {**asdict(self), "data_dir": str(self.data_dir)}
        files.write_json(plan_file(self.data_dir), content, mode=0o600)


def plan_file(data_dir: Path) -> Path:
    return data_dir / "run" / "plan.json"


def read_plan(data_dir: Path) -> Plan | None:
    """The plan of a data directory, None when it never had one."""
    file = plan_file(data_dir)
    if not file.exists():
        return None
    content: dict[str, Any] = files.read_json(file)
    try:
        services = tuple(PlannedService(**entry) for entry in content.pop("services"))
        return Plan(**{**content, "data_dir": data_dir, "services": services})
    except (KeyError, TypeError) as error:
        raise Refused(f"{file} was written by another release: delete it") from error
