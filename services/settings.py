"""Every setting of GridLedger: its name, default, meaning and where its value came from.

A value comes from the first of: an environment variable `GRIDLEDGER_<NAME>`, the file `.env`, the
file `gridledger.yaml` (or the one that `GRIDLEDGER_CONFIG` names), a local installation that runs
in the data directory, the default. An unknown name or a wrong value is refused by name::

    GRIDLEDGER_PARTITIONS=four gridledger config show
    error: GRIDLEDGER_PARTITIONS: Input should be a valid integer, ... (number of partitions ...)

Services get the frozen object of `load_settings()`; nothing else reads the environment.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from dotenv import dotenv_values
from pydantic import DirectoryPath, Field, FilePath, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from libs.events.errors import BadInput

if TYPE_CHECKING:
    from libs.events.kafka import KafkaSettings

PREFIX = "GRIDLEDGER_"
CONFIG_VARIABLE = "GRIDLEDGER_CONFIG"
TEST_PREFIX = "GRIDLEDGER_TEST_"
# Variables with our prefix that are no settings of a service: the test run's own.
OTHER_VARIABLES = frozenset({CONFIG_VARIABLE, "GRIDLEDGER_REQUIRE_REAL", "GRIDLEDGER_SEED"})
_DATABASE_URL = re.compile(r"sqlite:///.|postgresql\+psycopg://.")
_URL_PASSWORD = re.compile(r"(?<=://)([^:/@]*):([^@]*)@")


class Settings(BaseSettings):
    """All settings, frozen. `load_settings()` makes it; do not call it directly in services."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    data_dir: Path = Field(default=Path(".data"), description="directory of a local installation")
    kafka_bootstrap_servers: str = Field(
        default="127.0.0.1:9092",
        pattern=r"^[^\s,:]+:\d+(,[^\s,:]+:\d+)*$",
        description="brokers as host:port, separated by commas",
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"
    )
    kafka_sasl_mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="", description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; needed with SASL_*"
    )
    kafka_sasl_username: str = Field(default="", description="user name for SASL_*")
    kafka_sasl_password: SecretStr = Field(default=SecretStr(""), description="password for SASL_*")
    kafka_ssl_ca_location: FilePath | None = Field(
        default=None, description="file of the certificate authorities that sign the brokers"
    )
    kafka_session_timeout_ms: int = Field(
        default=45_000,
        ge=6_000,
        le=1_800_000,
        description="a silent member keeps its partitions so long",
    )
    kafka_transaction_timeout_ms: int = Field(
        default=30_000,
        ge=1_000,
        le=900_000,
        description="a dead member's transaction ends after this",
    )
    kafka_request_timeout_ms: int = Field(
        default=10_000, ge=1_000, le=300_000, description="how long one request may take"
    )
    kafka_start_timeout_ms: int = Field(
        default=60_000, ge=1_000, le=600_000, description="how long a start waits for the brokers"
    )
    kafka_jars_dir: Path | None = Field(
        default=None, description="Kafka's jars for `local up`; default: what `make` fetched"
    )
    partitions: int = Field(
        default=4,
        ge=1,
        le=1_000,
        description="number of partitions of every keyed topic, fixed for ever",
    )
    replication_factor: int = Field(
        default=1, ge=1, le=15, description="copies of every partition; 3 on a real cluster"
    )
    database_url: str | None = Field(
        default=None,
        description="postgresql+psycopg://USER:PASSWORD@HOST/NAME or sqlite:///FILE for "
        "checkpoints and views; default: one SQLite file per service in the data directory",
    )
    http_host: str = Field(
        default="127.0.0.1", min_length=1, description="address the HTTP edges bind to"
    )
    console_port: int = Field(default=8100, ge=0, le=65_535, description="port of the status page")
    payments_port: int = Field(
        default=8110, ge=0, le=65_535, description="port of the payment callbacks"
    )
    control_port: int = Field(
        default=8120, ge=0, le=65_535, description="port of the switching API"
    )
    metrology_port: int = Field(
        default=8150, ge=0, le=65_535, description="port of the laboratory API"
    )
    pos_port: int = Field(
        default=8180, ge=0, le=65_535, description="TCP port of our card terminals (ISO 8583)"
    )
    clock_port: int = Field(
        default=8170, ge=0, le=65_535, description="port of the simulated clock"
    )
    health_port: int = Field(
        default=0,
        ge=0,
        le=65_535,
        description="port of /metrics and the health checks; 0: a free one, which "
        "`gridledger local status` shows",
    )
    release_id: str = Field(
        default="dev", min_length=1, description="name of this release in the records"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="debug, info, warning or error"
    )
    log_format: Literal["json", "text"] = Field(default="json", description="json or text")
    otlp_endpoint: str = Field(
        default="",
        pattern=r"^(https?://.+)?$",
        description="address of an OTLP/HTTP collector, as http://127.0.0.1:4318; empty: no traces "
        "are sent",
    )
    clock_mode: Literal["live", "simulated"] = Field(
        default="live", description="live: business time is the wall clock; simulated: by barriers"
    )
    evidence_key_file: FilePath | None = Field(
        default=None,
        description="file with the key of the digests of masked frames",
    )
    payment_profiles_file: FilePath | None = Field(
        default=None, description="file with the payment channels: merchants, keys, key rules"
    )
    meter_passwords_file: FilePath | None = Field(
        default=None,
        description="file with the passwords of the meters, and which need an ESAM session",
    )
    modbus_maps_dir: DirectoryPath | None = Field(
        default=None, description="directory with register maps of Modbus meters (*.yaml)"
    )
    lines_file: FilePath | None = Field(
        default=None,
        description="file with what the name of a meter line does not say: bit rates, time-outs, "
        "how many lines of a host at once",
    )
    operators_file: FilePath | None = Field(
        default=None, description="file with the local accounts: names, roles, argon2 hashes"
    )
    policy_file: FilePath | None = Field(
        default=None, description="file with the periods and rules that differ from their defaults"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load_settings` gathered, so that every value's source is known."""
        return (init_settings,)

    def kafka(self) -> KafkaSettings:
        """These settings as the Kafka port takes them."""
        from libs.events.kafka import KafkaSettings

        return KafkaSettings(
            bootstrap_servers=self.kafka_bootstrap_servers,
            security_protocol=self.kafka_security_protocol,
            sasl_mechanism=self.kafka_sasl_mechanism,
            sasl_username=self.kafka_sasl_username,
            sasl_password=self.kafka_sasl_password.get_secret_value(),
            ssl_ca_location=str(self.kafka_ssl_ca_location or ""),
            transaction_timeout_ms=self.kafka_transaction_timeout_ms,
            session_timeout_ms=self.kafka_session_timeout_ms,
            request_timeout_ms=self.kafka_request_timeout_ms,
            start_timeout_ms=self.kafka_start_timeout_ms,
        )

    def database_url_of(self, service: str) -> str:
        """The database of one service; services share none, so SQLite is a file for each."""
        if self.database_url is not None:
            return self.database_url
        directory = self.data_dir.resolve() / "db"
        directory.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{directory / service}.db"

    def port_of(self, service: str, ordinal: int = 0) -> int:
        """The HTTP port of one member of a service with an API, 0 meaning any free one."""
        name = f"{service.removesuffix('-edge')}_port"
        if name not in type(self).model_fields:
            raise BadInput("service", f"{service} has no HTTP port", "an edge or the console")
        first = int(getattr(self, name))
        return first + ordinal if first else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSettings:
    """The settings and, for each name, where its value came from."""

    settings: Settings
    sources: dict[str, str]


def load_settings(directory: Path | None = None, **overrides: object) -> LoadedSettings:
    """Gather, check and freeze the settings; `overrides` (options of a command) win.

    `directory` is where `.env` and `gridledger.yaml` lie (default: the current one).
    Raises BadInput that names the variable or the file and the fix.
    """
    place = directory or Path.cwd()
    layers = {
        "command line": {name: value for name, value in overrides.items() if value is not None},
        "environment": _environment_layer(),
        ".env": _dotenv_layer(place / ".env"),
        "gridledger.yaml": _yaml_layer(place),
    }
    layers["local installation"] = _local_layer(layers)
    values: dict[str, object] = {}
    sources = dict.fromkeys(Settings.model_fields, "default")
    for source, layer in reversed(layers.items()):
        values |= layer
        sources |= dict.fromkeys(layer, source)
    try:
        settings = Settings(**values)  # type: ignore[arg-type]
    except ValidationError as error:
        raise _bad_value(error, sources) from None
    _check_together(settings)
    return LoadedSettings(settings=settings, sources=sources)


def local_file(data_dir: Path) -> Path:
    """Where a running local installation says how it is reached."""
    return data_dir / "run" / "local.json"


def shown_value(settings: Settings, name: str) -> str | int | None:
    """One value fit for the eye: secrets masked, passwords in addresses too."""
    value = getattr(settings, name)
    if isinstance(value, SecretStr):
        return "********" if value.get_secret_value() else ""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, str):
        return _URL_PASSWORD.sub(r"\1:********@", value)
    assert value is None or isinstance(value, int)
    return value


def _environment_layer() -> dict[str, object]:
    _refuse_unknown(os.environ, "environment")
    return dict(EnvSettingsSource(Settings)())


def _dotenv_layer(file: Path) -> dict[str, object]:
    if not file.is_file():
        return {}
    try:
        names = dotenv_values(file)
        _refuse_unknown({name: value or "" for name, value in names.items()}, str(file))
        given = DotEnvSettingsSource(Settings, env_file=file)()
    except UnicodeDecodeError:
        raise BadInput(str(file), "is not UTF-8 text", "save it as UTF-8") from None
    return {name: value for name, value in given.items() if name in Settings.model_fields}


def _yaml_layer(directory: Path) -> dict[str, object]:
    named = os.environ.get(CONFIG_VARIABLE)
    file = Path(named) if named else directory / "gridledger.yaml"
    if not named and not file.is_file():
        return {}
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(CONFIG_VARIABLE, f"{file}: {error.strerror}", "name a file") from None
    except UnicodeDecodeError:
        raise BadInput(str(file), "is not UTF-8 text", "save it as UTF-8") from None
    except RecursionError:
        raise BadInput(str(file), "is nested too deeply", "name: value, one a line") from None
    except ValueError as error:  # a day that does not exist, written without quotes
        raise BadInput(str(file), f"{error}", "correct the value") from None
    except yaml.YAMLError as error:
        where = str(getattr(error, "problem_mark", "")).strip()
        raise BadInput(str(file), f"is not YAML {where}", "name: value, one a line") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise BadInput(str(file), "is not a mapping of settings", "name: value, one a line")
    for name in content:
        if name not in Settings.model_fields:
            raise _unknown(str(name), f"{name} in {file}")
    return dict(content)


def _local_layer(layers: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    default = Settings.model_fields["data_dir"].default
    data_dir = next(
        (layer["data_dir"] for layer in layers.values() if "data_dir" in layer), default
    )
    file = local_file(Path(str(data_dir)))
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except NotADirectoryError:
        raise BadInput("data_dir", f"{data_dir} is no directory", "name one, or none yet") from None
    except (OSError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        fix = "delete it, then `gridledger local down` and up"
        raise BadInput(str(file), "is not readable", fix)
    return {name: value for name, value in content.items() if name in Settings.model_fields}


def _refuse_unknown(variables: Mapping[str, str], where: str) -> None:
    for variable in variables:
        upper = variable.upper()
        if not upper.startswith(PREFIX) or upper.startswith(TEST_PREFIX):
            continue
        if upper in OTHER_VARIABLES:
            continue
        name = upper.removeprefix(PREFIX).lower()
        if name not in Settings.model_fields:
            raise _unknown(name, variable if where == "environment" else f"{variable} in {where}")


def _unknown(name: str, shown: str) -> BadInput:
    near = difflib.get_close_matches(name, Settings.model_fields, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return BadInput(shown, "no such setting", f"{hint}`gridledger config show` lists them")


def _bad_value(error: ValidationError, sources: Mapping[str, str]) -> BadInput:
    first = error.errors()[0]
    name = str(first["loc"][0])
    source = sources.get(name, "default")
    shown = PREFIX + name.upper() if source == "environment" else f"{name} ({source})"
    return BadInput(shown, first["msg"], str(Settings.model_fields[name].description))


def _check_together(settings: Settings) -> None:
    """What no single setting shows."""
    if settings.database_url is not None and not _DATABASE_URL.match(settings.database_url):
        raise BadInput(
            PREFIX + "DATABASE_URL",
            "is neither SQLite nor PostgreSQL by psycopg",
            "sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME",
        )
    if settings.kafka_security_protocol.startswith("SASL"):
        wanted: dict[str, Any] = {
            "KAFKA_SASL_MECHANISM": settings.kafka_sasl_mechanism,
            "KAFKA_SASL_USERNAME": settings.kafka_sasl_username,
            "KAFKA_SASL_PASSWORD": settings.kafka_sasl_password.get_secret_value(),
        }
        missing = [name for name, value in wanted.items() if not value]
        if missing:
            raise BadInput(
                PREFIX + missing[0],
                f"is needed with {settings.kafka_security_protocol}",
                "set it, or another GRIDLEDGER_KAFKA_SECURITY_PROTOCOL",
            )
    if settings.kafka_transaction_timeout_ms >= settings.kafka_session_timeout_ms:
        raise BadInput(
            PREFIX + "KAFKA_TRANSACTION_TIMEOUT_MS",
            f"{settings.kafka_transaction_timeout_ms} is not below "
            f"GRIDLEDGER_KAFKA_SESSION_TIMEOUT_MS {settings.kafka_session_timeout_ms}",
            "a dead member's transaction must end before its partitions move",
        )
