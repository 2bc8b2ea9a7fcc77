"""The tables of README.md as the columns in the code say them; run as a module to print them."""

from __future__ import annotations

from collections.abc import Iterable

from services.customers.column_kinds import REQUIRED, Column
from services.customers.columns import FILES
from services.customers.opening_files import OPENING_FILES

HEADER = "| column | needed | meaning | unit | example |\n|---|---|---|---|---|"


def column_table(columns: Iterable[Column]) -> str:
    """One line for each column."""
    lines = [HEADER]
    for each in columns:
        needed = "yes" if each.empty is REQUIRED else ""
        cells = (f"`{each.name}`", needed, each.meaning, each.unit, f"`{each.example}`")
        lines.append(f"| {' | '.join(cells)} |".replace("  ", " "))
    return "\n".join(lines)


def all_tables() -> dict[str, str]:
    """Every file's table, by the name of the file."""
    tables = {name: column_table(spec.columns) for name, spec in FILES.items()}
    return tables | {name: column_table(columns) for name, columns in OPENING_FILES.items()}


if __name__ == "__main__":
    for name, table in all_tables().items():
        print(f"### {name}.csv\n\n{table}\n")
