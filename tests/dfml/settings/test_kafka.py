"""Properties of the Kafka client are taken as they are written, and their secrets are never printed."""

import pickle
from pathlib import Path

import pytest

from dfml.errors import SettingsError
from dfml.settings import ClientProperties, KafkaOptions, Settings, load_settings
from dfml.settings.kafka import OWNED

LOG = "kafka://a:9092,b:9092"
SECRET = "hunter2"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def options(**settings: object) -> KafkaOptions:
    return load_settings(None, {}, {"log": LOG, **settings}).kafka_options()


def refused(text: str, **env: str) -> str:
    """Return what is said of a dfml.yaml and variables."""
    Path("dfml.yaml").write_text(text)
    with pytest.raises(SettingsError) as error:
        load_settings(None, env, {"log": LOG}).kafka_options()
    assert error.value.__cause__ is None or SECRET not in str(error.value.__cause__)
    return str(error.value)


def test_a_kafka_log_is_told_its_brokers_and_how_records_are_kept() -> None:
    told = options(replication=3, max_record_bytes=5000)
    assert told == KafkaOptions("a:9092,b:9092", ClientProperties({}), 3, 5000)


def test_properties_of_the_file_are_the_text_that_stands_there() -> None:
    Path("dfml.yaml").write_text("kafka:\n  sasl.password: 0123\n  socket.keepalive.enable: true\n  client.id: '#1'\n")
    assert dict(options().properties) == {
        "sasl.password": "0123",
        "socket.keepalive.enable": "true",
        "client.id": "#1",
    }


@pytest.mark.parametrize("text", ["{client.id: c, linger.ms: 5}", '{"client.id": "c", "linger.ms": "5"}'])
def test_properties_of_the_environment_are_yaml_or_json_and_replace_the_files(text: str) -> None:
    Path("dfml.yaml").write_text("kafka: {debug: all}\n")
    settings = load_settings(None, {"DFML_KAFKA": text, "DFML_LOG": LOG}, {})
    assert dict(settings.kafka_options().properties) == {"client.id": "c", "linger.ms": "5"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("secrets", "# of the claims service\n\nsasl.username = claims\nsasl.password=a=b #1\n"),
        ("secrets.yaml", "sasl.username: claims\nsasl.password: 'a=b #1'\n"),
    ],
)
def test_a_secrets_file_wins_over_the_other_properties(name: str, text: str) -> None:
    Path(name).write_text(text)
    told = options(kafka={"sasl.username": "nobody", "client.id": "c"}, kafka_secrets=name)
    assert dict(told.properties) == {"sasl.username": "claims", "sasl.password": "a=b #1", "client.id": "c"}


@pytest.mark.parametrize(
    "name",
    [
        "sasl.password",
        "ssl.key.password",
        "ssl.key.pem",
        "ssl.keystore.password",
        "sasl.oauthbearer.config",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.assertion.private.key.passphrase",
    ],
)
def test_a_secret_is_masked_wherever_settings_are_printed(name: str) -> None:
    settings = Settings(log=LOG, kafka=ClientProperties({name: SECRET, "client.id": "shown"}))
    for printed in (repr(settings), str(settings.kafka), repr(settings.kafka_options()), f"{settings.kafka}"):
        assert SECRET not in printed
        assert "'***'" in printed
        assert "shown" in printed


def test_all_of_a_secrets_file_is_masked() -> None:
    Path("secrets").write_text(f"sasl.username={SECRET}\n")
    told = options(kafka_secrets="secrets")
    assert told.properties["sasl.username"] == SECRET
    assert SECRET not in repr(told)


@pytest.mark.parametrize(
    "text",
    [
        f"kafka: sasl.password={SECRET}\n",
        f"kafka: {{sasl.password: [{SECRET}]}}\n",
        f"kafka:\n  sasl.password: *{SECRET}\n",
        f"kafka:\n  sasl.password: '{SECRET}\n",
        f"kafka:\n  sasl.password: !{SECRET} x\n  group.id: {SECRET}\n",
        f"kafka: {{sasl.password: {SECRET}, sasl.password: {SECRET}}}\n",
        f"sasl.password={SECRET}\n",
        f"sasl.password: {SECRET}\n",
    ],
)
def test_what_is_said_of_a_wrong_file_quotes_no_secret(text: str) -> None:
    assert SECRET not in refused(text)


@pytest.mark.parametrize("text", [f"sasl.password={SECRET}", f"{{sasl.password: *{SECRET}}}", f"{{a: '{SECRET}"])
def test_what_is_said_of_a_wrong_variable_quotes_no_secret(text: str) -> None:
    told = refused("", DFML_KAFKA=text)
    assert told.startswith("environment variable DFML_KAFKA: expected properties as {name: value}")
    assert SECRET not in told


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("secrets", f"sasl.password {SECRET}\n"),
        ("secrets.yml", f"sasl.password: *{SECRET}\n"),
        ("secrets", f"group.id={SECRET}\n"),
        ("gone", None),
        ("latin", b"sasl.password=\xff\n"),
    ],
)
def test_what_is_said_of_a_wrong_secrets_file_names_it_and_quotes_no_secret(
    name: str, text: str | bytes | None
) -> None:
    if text is not None:
        Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    told = refused(f"kafka_secrets: {name}\n")
    assert told.startswith(f"kafka_secrets: {name}")
    assert SECRET not in told


@pytest.mark.parametrize(
    "text",
    [
        f"sasl.password={SECRET}",
        f"sasl.password: {SECRET}",
        f"{{sasl.password: {SECRET}}}",
        f'{{"sasl.password": "{SECRET}"}}',
    ],
)
def test_secrets_in_the_place_of_their_file_are_refused_and_not_quoted(text: str) -> None:
    told = refused("", DFML_KAFKA_SECRETS=text)
    assert told.startswith("kafka_secrets: expected the name of a file, got what looks like properties")
    assert SECRET not in told


@pytest.mark.parametrize("name", OWNED)
def test_a_property_that_dfml_sets_itself_is_refused_with_the_reason(name: str) -> None:
    told = refused(f"kafka: {{{name}: x}}\n")
    assert told == f"dfml.yaml:1: expected properties without {name}, because {OWNED[name]}"


def test_a_log_on_this_machine_has_no_brokers() -> None:
    with pytest.raises(SettingsError, match=r"got 'sqlite:///dfml\.db', expected kafka://"):
        Settings().kafka_options()


def test_properties_are_the_same_in_another_process() -> None:
    told = ClientProperties({"sasl.password": SECRET}).with_secrets({"client.id": "c"})
    assert repr(pickle.loads(pickle.dumps(told))) == repr(told)
    assert hash(told) == hash(ClientProperties(dict(told)))


def test_the_documentation_lists_every_refused_property_with_its_reason() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "settings.md").read_text()
    assert [row for row in page.splitlines() if row.startswith("| `") and row.count("|") == 3] == [
        f"| `{name}` | {reason} |" for name, reason in OWNED.items()
    ]
