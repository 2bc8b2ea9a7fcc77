"""`gridledger customers` against a real broker and a real core: what it says was decided."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from services.cli.main import main
from services.customers import import_files
from tests.integration.town import PARTITIONS, opened_town, own_kafka
from tests.unit.customers.test_import_files import edit

__all__ = ["own_kafka"]
pytestmark = pytest.mark.kafka

EXAMPLE = Path(import_files.__file__).parent / "example"


def test_rows_and_positions_are_followed_to_their_answers(
    own_kafka: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GRIDLEDGER_KAFKA_BOOTSTRAP_SERVERS", own_kafka)
    monkeypatch.setenv("GRIDLEDGER_PARTITIONS", str(PARTITIONS))
    monkeypatch.chdir(tmp_path)
    files = str(shutil.copytree(EXAMPLE, tmp_path / "files"))

    def said(status: int, *arguments: str) -> str:
        assert main(["customers", *arguments]) == status
        return capsys.readouterr().out

    with opened_town(own_kafka, tmp_path, ["000000000042"]) as town:
        waiting = said(1, "import", files, "--timeout", "1")
        assert "45 rows without an answer after 1 s: they are recorded" in waiting
        core = town.start("customers")
        assert "45 known already: nothing changed" in said(0, "import", files)
        assert len(town.facts("customers.events", "customers.row_taken")) >= 45

        taken = "6 accounts taken, 0 rejected; the control totals match\n"
        assert said(0, "open", files).endswith(taken)
        assert len(town.facts("customers.agreements", "customers.account_opened")) == 6
        assert said(0, "open", files).endswith("nothing changed\n")

        old, new = (f"1000000001,2026-01-01,{name}" for name in ("residential", "non_residential"))
        edit(Path(files), "agreements", old, new)
        lines = said(1, "import", files).splitlines()
        assert lines[0].startswith("agreements.csv  2  kind  1000000001 has other values from")
        assert lines[-1] == "0 rows taken, 1 rejected, 44 known already: nothing changed"
        core.kill()
