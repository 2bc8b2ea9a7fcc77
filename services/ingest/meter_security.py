"""How relay commands are sealed: the security file that GRIDLEDGER_METER_PASSWORDS_FILE names.

JSON: {"level": "02", "password": "123456", "operator": "00000001"} is the password of all meters.
With an "esam" object, the meters that it names take commands through their security module:

    {"level": "02", "password": "123456", "operator": "00000001",
     "esam": {"meters": ["000000000161", "0000009*"], "operator": "00000001",
              "machine": "services.ingest.protocols.esam_simulated:make_machine",
              "options": {"root_key_file": "esam.key"}, "profile": {"session_s": 120}}}

machine: MODULE:FACTORY of a `CryptoMachine`, called with `options`; production names the driver of
the utility's crypto machine. profile: fields of `EsamProfile` that differ from the defaults.
"""

from __future__ import annotations

import importlib
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.requests import Credentials
from services.ingest.protocols.esam import EsamProfile, EsamSecurity, SecurityByMeter
from services.ingest.protocols.session import PasswordSecurity, RelaySecurity

PASSWORDS = "GRIDLEDGER_METER_PASSWORDS_FILE"


def load_security(file: Path | None) -> RelaySecurity | None:
    """What seals relay commands, from a security file.

    Without a file there is none, and relay commands are refused: a password that nobody chose is
    never tried on a meter.
    """
    if file is None:
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        level, password, operator = content["level"], content["password"], content["operator"]
        by_password = PasswordSecurity(
            credentials=Credentials(level=level, password=password, operator=operator)
        )
    except (ValueError, TypeError, KeyError):
        raise BadInput(
            PASSWORDS,
            f"{file.name} is not as expected",
            'a JSON object with "level", "password" and "operator"',
        ) from None
    if "esam" not in content:
        return by_password
    return _by_meter(by_password, content["esam"], file.name)


def _by_meter(password: PasswordSecurity, given: Any, name: str) -> SecurityByMeter:
    if not isinstance(given, dict):
        raise BadInput(
            PASSWORDS, f"{name}: esam is no object", "write it like the example in its docs"
        )
    meters = given.get("meters")
    if not isinstance(meters, list) or not all(_is_pattern(each) for each in meters):
        fix = 'a list like ["000000000161", "0000009*"]'
        raise BadInput(PASSWORDS, f"{name}: esam.meters names no meters", fix)
    known = {each.name for each in fields(EsamProfile)}
    profile = given.get("profile", {})
    if not isinstance(profile, dict) or not set(profile) <= known:
        fix = f"fields are {', '.join(sorted(known))}"
        raise BadInput(PASSWORDS, f"{name}: esam.profile has other fields", fix)
    operator = str(given.get("operator", ""))
    Credentials(operator=operator)  # says what is wrong with it
    return SecurityByMeter(
        password=password,
        esam=EsamSecurity(
            machine=_machine(str(given.get("machine", "")), given.get("options", {}), name),
            operator=operator,
            profile=EsamProfile(**profile),
        ),
        esam_meters=tuple(meters),
    )


def _is_pattern(text: Any) -> bool:
    if not isinstance(text, str):
        return False
    digits = text.removesuffix("*")
    return digits.isascii() and digits.isdecimal() and (len(digits) == 12) != text.endswith("*")


def _machine(target: str, options: Any, name: str) -> Any:
    module, _, factory = target.partition(":")
    try:
        make = getattr(importlib.import_module(module), factory)
    except (ImportError, AttributeError, ValueError):
        fix = "MODULE:FACTORY of a crypto machine that is installed"
        raise BadInput(PASSWORDS, f"{name}: esam.machine {target!r} is not there", fix) from None
    return make(options)
