from pathlib import Path

import pytest

from xencbt.harness.errors import UsageError
from xencbt.harness.settings import Settings, load
from xencbt.harness.trust import Trust

NOWHERE = Path("/nonexistent")


def settings(folder: Path = NOWHERE, environment: dict[str, str] | None = None, **given: object) -> Settings:
    return load(given, environment=environment or {}, folder=folder)


def test_defaults_judge_an_emulator_of_our_own() -> None:
    chosen = settings()
    assert chosen.emulated_here
    assert (chosen.profile, chosen.speed, chosen.strict, chosen.suites) == ("auto", "quick", False, ())
    assert settings().seed != chosen.seed


def test_command_line_beats_environment_beats_file(tmp_path: Path) -> None:
    (tmp_path / "xencbt.toml").write_text('seed = 1\nspeed = "nightly"\nsuite = ["enable"]\n')
    environment = {"XENCBT_SEED": "2", "XENCBT_SUITE": "disable, status"}
    assert settings(tmp_path).seed == 1
    assert settings(tmp_path, environment).seed == 2
    assert settings(tmp_path, environment, seed=3).seed == 3
    assert settings(tmp_path).suites == ("enable",)
    assert settings(tmp_path, environment).suites == ("disable", "status")
    assert settings(tmp_path).speed == "nightly"


def test_pyproject_is_read_where_there_is_no_file_of_our_own(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.xencbt]\nseed = 5\n")
    assert settings(tmp_path).seed == 5
    (tmp_path / "xencbt.toml").write_text("seed = 6\n")
    assert settings(tmp_path).seed == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sed = 1", "unknown key 'sed'"),
        ('password = "x"', "secret"),
        ("seed = -1", "whole number"),
        ("seed = true", "whole number"),
        ('speed = "slow"', "one of quick, nightly"),
        ('suite = "enable"', "list of names"),
        ("strict = 1", "switch"),
        ("target = 7", "takes a text"),
        ("= broken", "cannot read"),
    ],
)
def test_an_unusable_file_is_a_usage_error_that_names_the_key(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "xencbt.toml").write_text(text)
    with pytest.raises(UsageError, match=message):
        settings(tmp_path)


@pytest.mark.parametrize("target", ["https://10.0.0.1", "https://xen.example.com", "https://192.168.1.2/"])
def test_a_target_off_loopback_is_taken_over_tls(target: str) -> None:
    assert settings(target=target, sr="x").target == target


@pytest.mark.parametrize("target", ["http://10.0.0.1", "http://xen.example.com", "http://localhost.evil.org"])
def test_a_target_off_loopback_is_refused_over_plain_http_unless_that_is_said(target: str) -> None:
    with pytest.raises(UsageError, match="plain http is for loopback only"):
        settings(target=target, sr="x")
    assert settings(target=target, sr="x", insecure=True).target == target


@pytest.mark.parametrize("target", ["ftp://127.0.0.1", "127.0.0.1", "https://", "nonsense"])
def test_a_target_that_is_no_url_is_refused(target: str) -> None:
    with pytest.raises(UsageError, match="emulator"):
        settings(target=target, sr="x")


def test_a_password_in_the_url_is_refused_without_repeating_it() -> None:
    with pytest.raises(UsageError) as caught:
        settings(target="https://root:hunter2@127.0.0.1", sr="x")
    assert "hunter2" not in str(caught.value)


def test_a_dialled_target_needs_its_sr() -> None:
    with pytest.raises(UsageError, match="--sr is needed"):
        settings(target="http://127.0.0.1:8080")
    assert settings(target="http://127.0.0.1:8080", sr="abc").sr == "abc"


def test_a_password_comes_from_a_private_file_or_the_environment(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter2\n")
    secret.chmod(0o600)
    assert settings(password_file=str(secret)).password == "hunter2"
    assert settings(environment={"XENCBT_PASSWORD": "other"}).password == "other"
    assert settings().password is None
    secret.chmod(0o644)
    with pytest.raises(UsageError, match="can be read by others"):
        _ = settings(password_file=str(secret)).password


def test_an_unreadable_or_empty_secret_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the password file"):
        _ = settings(password_file=str(tmp_path / "none")).password
    empty = tmp_path / "empty"
    empty.touch(mode=0o600)
    with pytest.raises(UsageError, match="empty"):
        _ = settings(control_token_file=str(empty)).control_token


def test_secrets_do_not_show_in_the_settings() -> None:
    assert "hunter2" not in repr(settings(environment={"XENCBT_PASSWORD": "hunter2"}))


def test_the_command_for_xe_is_split_without_a_shell(tmp_path: Path) -> None:
    assert settings().xe is None
    assert settings(xe="ssh -i 'my key' host xe").xe == ("ssh", "-i", "my key", "host", "xe")
    assert settings(environment={"XENCBT_XE": "xe -pwf file"}).xe == ("xe", "-pwf", "file")
    (tmp_path / "xencbt.toml").write_text('xe = "xe"\n')
    assert settings(tmp_path).xe == ("xe",)


@pytest.mark.parametrize(
    ("command", "why"),
    [("ssh 'host", "is no command"), ("  ", "is empty"), ("xe -pw x", "password"), ("xe password=x", "password")],
)
def test_a_command_for_xe_that_cannot_be_used_is_a_usage_error(command: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        settings(xe=command)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ca": "x.pem", "insecure": True}, "exclude each other"),
        ({"ca": "x.pem", "fingerprint": "ab" * 32}, "exclude each other"),
        ({"fingerprint": "ab" * 32, "insecure": True}, "exclude each other"),
        ({"fingerprint": "ab"}, "64 hexadecimal digits"),
        ({"fingerprint": "ab" * 32, "target": "http://127.0.0.1"}, "needs an https target"),
    ],
)
def test_ways_to_trust_are_checked_before_anything_is_dialled(given: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load({"target": "https://127.0.0.1", "sr": "x"} | given, environment={}, folder=NOWHERE)


def test_a_way_to_trust_comes_from_anywhere(tmp_path: Path) -> None:
    (tmp_path / "xencbt.toml").write_text("insecure = true\n")
    assert settings(tmp_path).trust.insecure
    coloned = ":".join(["AB"] * 32)
    assert settings(environment={"XENCBT_FINGERPRINT": coloned}).trust.fingerprint == "ab" * 32
    assert str(settings(ca="x.pem").trust.ca_file) == "x.pem"
    assert settings().trust == Trust()


@pytest.mark.parametrize(("given", "read"), [("1", 1), ("512MiB", 2**29), ("2 GiB", 2**31), ("1TiB", 2**40)])
def test_sizes_are_read_in_bytes_or_with_a_unit(given: str, read: int, tmp_path: Path) -> None:
    assert load({"max_size": given}, environment={}, folder=tmp_path).max_size == read


@pytest.mark.parametrize("given", ["0", "-1", "1GB", "much", "1.5GiB", "GiB"])
def test_anything_else_is_no_size(given: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--max-total takes a size"):
        load({"max_total": given}, environment={}, folder=tmp_path)


def test_nothing_can_be_kept_on_a_host_that_ends_with_the_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--keep-on-failure needs --target"):
        load({"keep_on_failure": True}, environment={}, folder=tmp_path)
