"""The lab's file: what is read, what goes before what, and what is refused before anything is touched."""

import re
from pathlib import Path
from typing import Any

import pytest

from xencbt.harness.errors import UsageError
from xencbt.harness.lab_file import Entry, child_environment, load_lab
from xencbt.harness.settings import load

A, B, C, D = (f"{letter * 8}-0000-4000-8000-000000000000" for letter in "abcd")
URL = 'url = "http://127.0.0.1:1"\n'
PASSWORD = {"XENCBT_PASSWORD": "x"}


def lab(
    folder: Path, text: str, environment: dict[str, str] | None = None, only: tuple[str, ...] = (), **given: Any
) -> tuple[Entry, ...]:
    (folder / "xencbt.toml").write_text(text)
    return load_lab(given, only=only, environment=PASSWORD | (environment or {}), folder=folder)


def test_targets_come_in_the_order_of_the_file_with_what_their_tables_say(tmp_path: Path) -> None:
    text = (
        f'speed = "nightly"\n[targets.z]\n{URL}sr = "{A}"\nuser = "lab"\nstrict = true\n'
        f'[targets.a]\nurl = "emulator"\nspeed = "quick"\n'
    )
    first, second = lab(tmp_path, text)
    assert (first.name, second.name) == ("z", "a")
    assert (first.settings.speed, first.settings.user, first.settings.srs) == ("nightly", "lab", (A,))
    assert (second.settings.target, second.settings.speed) == ("emulator", "quick")
    assert {"--target=http://127.0.0.1:1", f"--sr={A}", "--user=lab", "--strict"} <= set(first.words)
    assert first.workers == second.workers == 0


def test_the_words_of_a_target_mean_its_settings(tmp_path: Path) -> None:
    """A process of its own reads them: it must come to the same, whatever options there are."""
    text = f'max_size = "1GiB"\n[targets.a]\n{URL}sr = ["{A}", "{B}"]\nsuite = ["status"]\nseed = 5\ninsecure = true\n'
    (entry,) = lab(tmp_path, text)
    given: dict[str, Any] = {}
    for word in entry.words:
        name, equals, value = word.removeprefix("--").partition("=")
        key = name.replace("-", "_")
        given[key] = True if not equals else [*given.get(key, []), value] if key in {"sr", "suite"} else value
    assert load(given, environment=PASSWORD, folder=Path("/nonexistent")) == entry.settings
    assert entry.workers == 2


def test_the_command_line_goes_before_a_table_that_before_the_environment_that_before_the_top(tmp_path: Path) -> None:
    text = 'seed = 1\nspeed = "nightly"\n[targets.a]\nurl = "emulator"\n[targets.b]\nurl = "emulator"\nseed = 3\n'

    def seeds(environment: dict[str, str] | None = None, **given: Any) -> list[int]:
        return [entry.settings.seed for entry in lab(tmp_path, text, environment, **given)]

    assert seeds() == [1, 3]
    assert seeds({"XENCBT_SEED": "2"}) == [2, 3]
    assert seeds({"XENCBT_SEED": "2"}, seed="4") == [4, 4]
    assert [entry.settings.speed for entry in lab(tmp_path, text, speed="quick")] == ["quick", "quick"]


def test_without_a_seed_all_targets_see_the_same_choices(tmp_path: Path) -> None:
    text = '[targets.a]\nurl = "emulator"\n[targets.b]\nurl = "emulator"\n'
    first, second = lab(tmp_path, text)
    assert first.settings.seed == second.settings.seed
    assert f"--seed={first.settings.seed}" in first.words


def test_what_is_one_target_s_is_not_taken_from_the_top_or_the_environment(tmp_path: Path) -> None:
    text = f'target = "http://127.0.0.1:9"\nsr = "{A}"\n[targets.a]\n{URL}'
    with pytest.raises(UsageError, match=r"targets\.a: --sr is needed"):
        lab(tmp_path, text, {"XENCBT_SR": B})


def test_a_run_that_is_made_again_in_the_environment_is_no_matter_of_a_lab(tmp_path: Path) -> None:
    (entry,) = lab(tmp_path, '[targets.a]\nurl = "emulator"\n', {"XENCBT_RERUN": "x", "XENCBT_SINCE": "y"})
    assert (entry.settings.rerun, entry.settings.since) == (None, None)


def test_only_the_named_targets_are_judged(tmp_path: Path) -> None:
    text = "".join(f'[targets.{name}]\nurl = "emulator"\n' for name in "abc")
    assert [entry.name for entry in lab(tmp_path, text, only=("c", "a"))] == ["a", "c"]
    with pytest.raises(UsageError, match="unknown target of the lab 'd'"):
        lab(tmp_path, text, only=("d",))


def test_paths_begin_at_the_folder_of_a_named_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    secret.chmod(0o600)
    (tmp_path / "lab.toml").write_text(f'[targets.a]\n{URL}sr = "{A}"\npassword_file = "secret"\n')
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (entry,) = load_lab({"config": "../lab.toml"}, environment={}, folder=elsewhere)
    assert entry.settings.password == "hunter2"
    assert f"--password-file={elsewhere / '..' / 'secret'}" in entry.words
    assert not any("hunter2" in word for word in entry.words)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed = 1\n", "names no target"),
        ("targets = 3\n", "names no target"),
        ("[targets]\n", "names no target"),
        ("[targets]\na = 3\n", r"targets\.a is no table"),
        ('[targets."../a"]\nurl = "emulator"\n', "cannot name a target"),
        ("[targets.a]\nseed = 1\n", r"targets\.a: url is missing"),
        ('[targets.a]\nurl = "emulator"\nsed = 1\n', r"targets\.a: unknown key 'sed'"),
        ('[targets.a]\nurl = "emulator"\nseed = "many"\n', r"targets\.a: --seed takes a whole number"),
        (f'[targets.a]\n{URL}sr = "{A}"\npassword = "hunter2"\n', r"targets\.a: a secret does not belong"),
        (f'[targets.a]\n{URL}sr = "{A}"\npassword_file = "missing"\n', r"targets\.a: cannot read the password file"),
        ('[targets.a]\nurl = "emulator"\nout = "x"\n', "out has no place here"),
        ('[targets.a]\nurl = "emulator"\nrerun = "x"\n', "rerun has no place here: a lab makes runs of its own"),
        ('[targets.a]\nurl = "emulator"\nsince = "x"\n', "since has no place here"),
        ('[targets.a]\ntarget = "emulator"\n', "target has no place here: say url"),
        (f'[targets.a]\nurl = "emulator"\nsr = "{A}"\n', "sr has no place beside url = 'emulator'"),
        (f'[targets.a]\n{URL}sr = "{A}"\ninsecure = true\nca = "x.pem"\n', r"targets\.a: .*exclude each other"),
        (f'[targets.a]\n{URL}sr = ["{A}", "{A.upper()}"]\n', "is named twice"),
        (f'[targets.a]\nurl = "ftp://127.0.0.1"\nsr = "{A}"\n', "http"),
    ],
)
def test_an_unusable_lab_is_a_usage_error_that_names_the_target(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        lab(tmp_path, text)
    assert "hunter2" not in str(caught.value)


def test_a_target_without_a_password_is_refused_before_anything(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"targets\.a: no password"):
        lab(tmp_path, f'[targets.a]\n{URL}sr = "{A}"\n', {"XENCBT_PASSWORD": ""})


def test_no_file_is_no_lab(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no lab here"):
        load_lab({}, environment={}, folder=tmp_path)


@pytest.mark.parametrize("other", ["http://127.0.0.1:1", "https://localhost:2"])
def test_two_targets_never_name_the_same_sr_whatever_their_addresses(tmp_path: Path, other: str) -> None:
    text = f'[targets.a]\n{URL}sr = ["{C}", "{A}"]\n[targets.b]\nurl = "{other}"\nsr = "{A.upper()}"\n'
    with pytest.raises(UsageError, match=f"a and b name the same SR {A}"):
        lab(tmp_path, text)
    assert len(lab(tmp_path, text, only=("b",))) == 1


def test_the_special_sr_of_one_target_is_not_the_sr_of_another(tmp_path: Path) -> None:
    text = f'[targets.a]\n{URL}sr = "{A}"\n[targets.b]\n{URL}sr = "{B}"\nsr_kind = ["second={A}"]\n'
    with pytest.raises(UsageError, match=f"b names the SR {A} as second, and a is judged on it"):
        lab(tmp_path, text)
    assert len(lab(tmp_path, text.replace(f"second={A}", f"second={C}"))) == 2


@pytest.mark.parametrize("key", ["target", "sr"])
def test_one_target_s_options_are_refused_on_the_command_line(tmp_path: Path, key: str) -> None:
    with pytest.raises(UsageError, match=f"--{key} is one target's"):
        lab(tmp_path, '[targets.a]\nurl = "emulator"\n', None, (), **{key: "x"})


def test_the_files_of_the_handbook_are_what_this_version_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "lab.md").read_text(encoding="utf-8")
    emulated, racks = re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)
    assert [entry.settings.profile for entry in lab(tmp_path, emulated)] == ["auto", "documented"]
    for name in ("rack1", "rack2"):
        (tmp_path / "secrets").mkdir(exist_ok=True)
        (tmp_path / "secrets" / name).write_text("hunter2")
        (tmp_path / "secrets" / name).chmod(0o600)
    filled = (
        racks.replace("rack1.example", "127.0.0.1")
        .replace("rack2.example", "127.0.0.1")
        .replace('"…"', f'"{"ab" * 32}"')
    )
    for placeholder, uuid in (
        ("UUID of the SR to work on", A),
        ("another UUID", C),
        ('"UUID"', f'"{B}"'),
        ("=UUID", f"={D}"),
    ):
        filled = filled.replace(placeholder, uuid)
    first, second = lab(tmp_path, filled)
    assert (first.settings.allow, first.settings.budget_s) == (("vm-power", "sr-unplug"), 2700)
    assert (second.workers, second.settings.repositories[0].kind) == (2, "no-cbt")


def test_processes_get_secrets_but_no_options_by_the_environment() -> None:
    environment = {"XENCBT_PASSWORD": "x", "XENCBT_CONTROL_TOKEN": "y", "XENCBT_SEED": "1", "XENCBT_SR": A, "HOME": "/"}
    assert child_environment(environment) == {"XENCBT_PASSWORD": "x", "XENCBT_CONTROL_TOKEN": "y", "HOME": "/"}
