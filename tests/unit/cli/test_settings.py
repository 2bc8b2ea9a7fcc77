"""Settings: where a value comes from, and what is refused by name."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from libs.events.errors import BadInput
from services.cli.run import OPTIONAL, SERVICES
from services.settings import Settings, load_settings, local_file, shown_value


@pytest.fixture(autouse=True)
def _bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("GRIDLEDGER_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_without_anything_every_value_is_the_default() -> None:
    loaded = load_settings()
    assert set(loaded.sources.values()) == {"default"}
    assert loaded.settings.partitions == 4
    assert loaded.settings.kafka_bootstrap_servers == "127.0.0.1:9092"
    assert loaded.settings.clock_mode == "live"


def test_every_setting_is_read_by_somebody() -> None:
    """A port that is shown and that nobody listens on is a lie."""
    root = Path(__file__).parents[3]
    sources = [file for part in ("libs", "services") for file in (root / part).rglob("*.py")]
    text = "\n".join(file.read_text(encoding="utf-8") for file in sources)
    listening = {
        f"{service.removesuffix('-edge')}_port"
        for service, target in (SERVICES | OPTIONAL).items()
        if "port_of(" in (root / f"{target.split(':')[0].replace('.', '/')}.py").read_text("utf-8")
    }
    by_variable = {"kafka_jars_dir"}  # services/local/paths.py: also before there are settings
    unread = {
        name
        for name in Settings.model_fields
        if not re.search(rf"\b(settings|self)\.{name}\b", text)
    }
    assert unread - listening - by_variable == set()
    ports = {name for name in Settings.model_fields if name.endswith("_port")}
    assert ports == listening | {"clock_port", "health_port"}


def test_the_nearer_source_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gridledger.yaml").write_text("partitions: 5\nlog_level: debug\nhttp_host: y\n")
    (tmp_path / ".env").write_text("GRIDLEDGER_PARTITIONS=6\nGRIDLEDGER_HTTP_HOST=e\nOTHER=1\n")
    monkeypatch.setenv("GRIDLEDGER_PARTITIONS", "7")
    monkeypatch.setenv("GRIDLEDGER_TEST_ANYTHING", "is the tests' own")
    loaded = load_settings(release_id="r1", data_dir=None)
    names = ("partitions", "http_host", "log_level", "release_id", "data_dir")
    assert {name: loaded.sources[name] for name in names} == {
        "partitions": "environment",
        "http_host": ".env",
        "log_level": "gridledger.yaml",
        "release_id": "command line",
        "data_dir": "default",
    }
    found = loaded.settings
    assert (found.partitions, found.http_host, found.log_level) == (7, "e", "debug")
    assert found.release_id == "r1"


def test_a_running_local_installation_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = local_file(tmp_path / "there")
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"kafka_bootstrap_servers": "127.0.0.1:20001"}))
    assert load_settings().settings.kafka_bootstrap_servers == "127.0.0.1:9092"
    (tmp_path / "gridledger.yaml").write_text("data_dir: there\n")
    loaded = load_settings()
    assert loaded.settings.kafka_bootstrap_servers == "127.0.0.1:20001"
    assert loaded.sources["kafka_bootstrap_servers"] == "local installation"
    monkeypatch.setenv("GRIDLEDGER_KAFKA_BOOTSTRAP_SERVERS", "broker:9092")
    assert load_settings().settings.kafka_bootstrap_servers == "broker:9092"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PARTITIONS", "four", r"GRIDLEDGER_PARTITIONS: .*integer.*\(number of partitions"),
        ("PARTITIONS", "0", r"GRIDLEDGER_PARTITIONS: .*greater than or equal to 1"),
        ("PARTITION", "4", r"GRIDLEDGER_PARTITION: no such setting \(did you mean partitions\?"),
        ("COLOUR", "red", r"GRIDLEDGER_COLOUR: no such setting \(`gridledger config show` lists"),
        ("KAFKA_BOOTSTRAP_SERVERS", "broker", r"SERVERS: .*\(brokers as host:port, separated"),
        ("KAFKA_BOOTSTRAP_SERVERS", "", r"SERVERS: .*\(brokers as host:port"),
        ("KAFKA_SECURITY_PROTOCOL", "TLS", r"PROTOCOL: .*'PLAINTEXT', 'SSL'"),
        ("DATABASE_URL", "mysql://a/b", r"DATABASE_URL: is neither .*postgresql\+psycopg://USER"),
        ("DATABASE_URL", "sqlite://", r"DATABASE_URL: is neither"),
        ("EVIDENCE_KEY_FILE", "/nowhere/key", r"GRIDLEDGER_EVIDENCE_KEY_FILE: .*not point to a f"),
        ("CONSOLE_PORT", "70000", r"GRIDLEDGER_CONSOLE_PORT: .*less than or equal to 65535"),
        ("LOG_LEVEL", "loud", r"GRIDLEDGER_LOG_LEVEL: .*'debug'"),
        ("CONFIG", "/nowhere.yaml", r"GRIDLEDGER_CONFIG: /nowhere\.yaml: No such file"),
        ("KAFKA_TRANSACTION_TIMEOUT_MS", "45000", r"TRANSACTION_TIMEOUT_MS: 45000 is not below"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDLEDGER_" + name, value)
    with pytest.raises(BadInput, match=said):
        load_settings()


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("gridledger.yaml", "partitons: 4", r"partitons in .*yaml: .*did you mean partitions\?"),
        ("gridledger.yaml", "partitions: many", r"partitions \(gridledger\.yaml\): .*integer"),
        ("gridledger.yaml", "- a\n- b", r"gridledger\.yaml: is not a mapping"),
        ("gridledger.yaml", "a: [", r"gridledger\.yaml: is not YAML .*line 1"),
        ("gridledger.yaml", b"a: \xff\xfe", r"gridledger\.yaml: is not UTF-8"),
        (".env", "GRIDLEDGER_PARTITON=4", r"GRIDLEDGER_PARTITON in .*\.env: no such setting"),
        (".env", "GRIDLEDGER_PARTITIONS=x", r"partitions \(\.env\): .*integer"),
        (".env", b"GRIDLEDGER_HTTP_HOST=\xff", r"\.env: is not UTF-8"),
        (".data/run/local.json", "{", r"local\.json: is not readable"),
    ],
)
def test_a_wrong_file_is_refused_by_name(
    file: str, content: str | bytes, said: str, tmp_path: Path
) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadInput, match=said):
        load_settings()


def test_an_empty_file_is_no_settings(tmp_path: Path) -> None:
    (tmp_path / "gridledger.yaml").write_text("")
    (tmp_path / ".env").write_text("")
    assert set(load_settings().sources.values()) == {"default"}


def test_sasl_needs_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDLEDGER_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    for name, value in (
        ("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512"),
        ("KAFKA_SASL_USERNAME", "billing"),
        ("KAFKA_SASL_PASSWORD", "s3cret"),
    ):
        with pytest.raises(BadInput, match=f"GRIDLEDGER_{name}: is needed with SASL_SSL"):
            load_settings()
        monkeypatch.setenv("GRIDLEDGER_" + name, value)
    kafka = load_settings().settings.kafka()
    assert (kafka.security_protocol, kafka.sasl_mechanism) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (kafka.sasl_username, kafka.sasl_password) == ("billing", "s3cret")
    assert (kafka.transaction_timeout_ms, kafka.session_timeout_ms) == (30_000, 45_000)


def test_secrets_are_never_shown() -> None:
    url = "postgresql+psycopg://grid:p%40ss@db:5432/gridledger"
    settings = Settings(kafka_sasl_password=SecretStr("s3cret"), database_url=url)
    assert shown_value(settings, "kafka_sasl_password") == "********"
    assert shown_value(Settings(), "kafka_sasl_password") == ""
    shown = shown_value(settings, "database_url")
    assert shown == "postgresql+psycopg://grid:********@db:5432/gridledger"
    assert "s3cret" not in repr(settings)


def test_services_share_no_sqlite_file(tmp_path: Path) -> None:
    settings = Settings()
    billing = settings.database_url_of("billing")
    assert billing == f"sqlite:///{tmp_path.resolve()}/.data/db/billing.db"
    assert settings.database_url_of("payments") != billing
    given = Settings(database_url="sqlite:///one.db")
    assert given.database_url_of("billing") == "sqlite:///one.db"


def test_members_of_an_edge_have_ports_of_their_own() -> None:
    settings = Settings(control_port=0)
    assert settings.port_of("payments-edge") == 8110
    assert settings.port_of("payments-edge", 2) == 8112
    assert settings.port_of("console") == 8100
    assert settings.port_of("control-edge", 3) == 0
    with pytest.raises(BadInput, match="validation has no HTTP port"):
        settings.port_of("validation")


def test_every_setting_says_what_it_means() -> None:
    fields = Settings.model_fields
    assert [name for name, field in fields.items() if not field.description] == []
