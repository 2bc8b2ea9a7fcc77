"""The profiles file that the README shows is one: who copies it gets an edge that starts."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from services.payments.webhooks import load_profiles

README = Path(__file__).parents[3] / "README.md"


def test_the_sample_of_the_readme_is_read(tmp_path: Path) -> None:
    (sample,) = re.findall(r"```json\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    (tmp_path / "profiles.json").write_text(sample, "utf-8")
    key = base64.b64encode(bytes(32)).decode()
    for name, text in (("evidence", key), ("payer", key), ("pos", f"whsec_{key}")):
        (tmp_path / f"{name}.key").write_text(f"{text}\n", "utf-8")
    profiles = load_profiles(tmp_path / "profiles.json")
    assert profiles.pos["acquirer-1"].merchants == ("887580481655550",)
