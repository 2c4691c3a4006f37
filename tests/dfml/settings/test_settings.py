import re
from pathlib import Path

import pytest

from dfml.errors import SettingsError
from dfml.settings import Settings, given_settings, load_settings, setting_names, variable_name

DOCS = Path(__file__).resolve().parents[3] / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str) -> Path:
    file = Path("dfml.yaml")
    file.write_text(text)
    return file


def test_nothing_given_gives_the_defaults() -> None:
    assert load_settings(None, {}, {}) == Settings()


def test_the_file_of_the_current_folder_wins_over_defaults() -> None:
    write("rest_port: 1111\ntap: false\npython_paths: [a, b]\n")
    settings = load_settings(None, {}, {})
    assert (settings.rest_port, settings.tap, settings.python_paths) == (1111, False, (Path("a"), Path("b")))


def test_the_environment_wins_over_the_file() -> None:
    write("rest_port: 1111\n")
    assert load_settings(None, {"DFML_REST_PORT": "2222"}, {}).rest_port == 2222


def test_options_win_over_the_environment() -> None:
    assert load_settings(None, {"DFML_REST_PORT": "2222"}, {"rest_port": 3333}).rest_port == 3333


def test_an_option_not_given_changes_nothing() -> None:
    assert load_settings(None, {"DFML_REST_PORT": "2222"}, {"rest_port": None}).rest_port == 2222


def test_a_named_file_is_read_instead_of_the_default_one() -> None:
    write("rest_port: 1111\n")
    Path("other.yaml").write_text("rest_port: 4444\n")
    assert load_settings(Path("other.yaml"), {}, {}).rest_port == 4444


def test_every_setting_can_come_from_the_environment() -> None:
    texts = {"log": "sqlite:///x.db", "tap": "no", "artefact_paths": "/a:/b", "lineage": "/l.db", "rest_host": "::1"}
    texts |= {"prefix": "p.q", "namespace": "n", "log_durability": "full", "delivery": "transactional"}
    texts |= {"metrics_host": "::1", "log_format": "json"}
    texts |= {"kafka": "{client.id: c}", "max_record_bytes": "7000"}
    env = {variable_name(name): texts.get(name, "7") for name in setting_names()}
    settings = load_settings(None, env, {})
    assert all(getattr(settings, name) != getattr(Settings(), name) for name in setting_names())
    assert settings.artefact_paths == (Path("/a"), Path("/b"))


def test_all_findings_are_reported_at_once_each_with_its_place() -> None:
    write("rest_prt: 1\npartitions: '4'\n")
    with pytest.raises(SettingsError) as error:
        load_settings(None, {"DFML_TAP": "maybe"}, {"rest_port": 99_999})
    assert str(error.value).splitlines() == [
        "dfml.yaml:1: no such setting 'rest_prt'; did you mean 'rest_port'?",
        "dfml.yaml:2: got '4', expected a whole number from 1 to 10000",
        "environment variable DFML_TAP: got 'maybe', expected true or false",
        "option --rest-port: got 99999, expected a whole number from 0 to 65535",
    ]


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("log", "postgres://x"),
        ("log", "sqlite:///"),
        ("log", "kafka://"),
        ("log", "kafka://h"),
        ("log", "kafka://h:9092,"),
        ("log", "kafka://user:secret@h:9092"),
        ("delivery", "exactly-once"),
        ("retention_ms", "0"),
        ("prefix", "a b"),
        ("namespace", "a.b"),
        ("partitions", "0"),
        ("partitions", "1.5"),
        ("partitions", "true"),
        ("max_request_bytes", "-1"),
        ("log_durability", "maximum"),
        ("rest_host", ""),
        ("tap", "2"),
        ("lineage", ""),
    ],
)
def test_a_wrong_value_is_refused_with_the_variable_that_held_it(setting: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"environment variable {variable_name(setting)}: got .*, expected"):
        load_settings(None, {variable_name(setting): text}, {})


@pytest.mark.parametrize("text", ["- a\n", "rest_port", "a: [", "\x00", "tap: !!python/none x", "tap: 2026-99-99"])
def test_a_file_that_holds_no_settings_is_refused_with_its_name(text: str) -> None:
    with pytest.raises(SettingsError, match=r"dfml\.yaml"):
        load_settings(write(text), {}, {})


def test_an_empty_file_sets_nothing() -> None:
    assert load_settings(write("# nothing\n"), {}, {}) == Settings()


def test_a_named_file_must_exist() -> None:
    with pytest.raises(SettingsError, match=r"gone\.yaml: cannot be read"):
        load_settings(Path("gone.yaml"), {}, {})


def test_a_setting_given_twice_is_refused_with_both_lines() -> None:
    with pytest.raises(SettingsError, match=r"dfml\.yaml:3: rest_port is set twice, first in line 1"):
        load_settings(write("rest_port: 1\ntap: true\nrest_port: 2\n"), {}, {})


def test_a_misspelled_variable_is_refused_and_a_foreign_one_is_left_alone() -> None:
    assert load_settings(None, {"DFML_SHARED_DATA": "/x"}, {}) == Settings()
    with pytest.raises(SettingsError, match="DFML_REST_PORTS: no such setting 'rest_ports'; did you mean 'rest_port'"):
        load_settings(None, {"DFML_REST_PORTS": "1"}, {})


def test_the_lineage_store_lies_beside_the_log() -> None:
    assert Settings(log="sqlite:////var/x.db").lineage_path == Path("/var/x.lineage.db")
    assert Settings(lineage=Path("/l.db")).lineage_path == Path("/l.db")


def test_a_log_that_is_no_file_needs_the_lineage_setting() -> None:
    with pytest.raises(SettingsError, match="set lineage to a path"):
        _ = Settings(log="kafka://h:9092").lineage_path


def test_the_documentation_lists_every_setting_with_its_variable_and_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| `([^`]*)` \|", DOCS.read_text(), re.MULTILINE)
    assert [row[:2] for row in rows] == [(name, variable_name(name)) for name in setting_names()]
    documented = load_settings(None, {variable: text for _, variable, text in rows if text}, {})
    assert documented == Settings()


def test_what_was_given_is_told_from_what_was_left_to_its_default() -> None:
    write("rest_port: 8080\n")
    assert given_settings(None, {"DFML_TAP": "1"}, {"log": None}) == {"rest_port": 8080, "tap": True}
