from pathlib import Path

import pytest

from xencbt.harness.configuration import known_key, read_configuration
from xencbt.harness.errors import UsageError
from xencbt.harness.settings import load


def test_without_a_file_nothing_is_said(tmp_path: Path) -> None:
    file = read_configuration(tmp_path)
    assert (file.path, dict(file.options), file.targets) == (None, {}, None)


def test_the_targets_of_a_lab_say_nothing_to_a_single_run(tmp_path: Path) -> None:
    (tmp_path / "xencbt.toml").write_text('seed = 4\n[targets.a]\nurl = "https://10.0.0.1"\nnonsense = 1\n')
    settings = load({}, environment={}, folder=tmp_path)
    assert (settings.seed, settings.target) == (4, "emulator")
    assert read_configuration(tmp_path).targets == {"a": {"url": "https://10.0.0.1", "nonsense": 1}}


def test_a_named_file_is_read_instead_and_its_paths_begin_at_its_folder(tmp_path: Path) -> None:
    lab = tmp_path / "labs"
    lab.mkdir()
    (tmp_path / "xencbt.toml").write_text("seed = 1\n")
    (lab / "two.toml").write_text('seed = 2\npassword_file = "secret"\nca = "/etc/ca.pem"\n')
    for given, environment in (({"config": "labs/two.toml"}, {}), ({}, {"XENCBT_CONFIG": str(lab / "two.toml")})):
        settings = load(given, environment=environment, folder=tmp_path)
        assert settings.seed == 2
        assert settings.password_file == lab / "secret"
        assert settings.ca == Path("/etc/ca.pem")


def test_paths_of_a_file_in_the_working_folder_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "xencbt.toml").write_text('password_file = "secret"\n')
    assert load({}, environment={}, folder=tmp_path).password_file == Path("secret")


def test_a_named_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*missing\.toml"):
        load({"config": "missing.toml"}, environment={}, folder=tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("xencbt.toml", 'config = "other.toml"', "config has no place"),
        ("xencbt.toml", 'control-token = "x"', "name a private file: control_token_file"),
        ("pyproject.toml", "[tool]\nxencbt = 3", r"tool\.xencbt is no table"),
        ("pyproject.toml", "[tool.xencbt]\nsed = 3", "unknown key 'sed'"),
    ],
)
def test_what_has_no_place_in_a_file_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=message):
        read_configuration(tmp_path)


def test_a_secret_is_refused_without_repeating_it(tmp_path: Path) -> None:
    (tmp_path / "xencbt.toml").write_text('password = "hunter2"\n')
    with pytest.raises(UsageError) as caught:
        read_configuration(tmp_path)
    assert "password_file" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_keys_may_be_written_with_dashes() -> None:
    assert known_key("password-file") == "password_file"
    assert known_key("url", besides=("url",)) == "url"
    with pytest.raises(UsageError, match="unknown key 'url'"):
        known_key("url")


@pytest.mark.parametrize("text", ['sr = "one"', 'sr = ["one", "two"]'])
def test_one_sr_may_be_a_text(tmp_path: Path, text: str) -> None:
    (tmp_path / "xencbt.toml").write_text(f'target = "http://127.0.0.1:1"\n{text}\n')
    settings = load({}, environment={}, folder=tmp_path)
    assert settings.sr == "one"
    assert settings.srs in {("one",), ("one", "two")}


def test_an_sr_named_twice_is_refused() -> None:
    given = {"target": "http://127.0.0.1:1", "sr": ["A1", "b", "a1"]}
    with pytest.raises(UsageError, match="a1 is named twice"):
        load(given, environment={}, folder=Path("/nonexistent"))
