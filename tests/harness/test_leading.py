"""What a file in the working directory may lead a run to, and who must not be able to write it."""

import os
from pathlib import Path

import pytest

from xencbt.harness.errors import UsageError
from xencbt.harness.lab_file import load_lab
from xencbt.harness.leading import LEADING
from xencbt.harness.settings import Settings, load

HOST = 'target = "https://host.example"\nsr = ["a"]\n'


def written(folder: Path, text: str, mode: int = 0o644) -> Path:
    path = folder / "xencbt.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def loaded(folder: Path, **given: object) -> Settings:
    return load(given, environment={}, folder=folder)


def test_what_a_file_leads_to_is_said(tmp_path: Path) -> None:
    path = written(tmp_path, HOST + "insecure = true\nseed = 3\n")
    said = loaded(tmp_path).led
    assert said.startswith(f"{path} says: target 'https://host.example', INSECURE: any certificate is accepted")
    assert "seed" not in said
    assert loaded(tmp_path, target="emulator").led == f"{path} says: INSECURE{said.partition('INSECURE')[2]}"
    assert loaded(tmp_path, target="emulator", insecure=True).led == ""


def test_what_leads_nowhere_is_not_said(tmp_path: Path) -> None:
    written(tmp_path, "seed = 3\ninsecure = false\n", mode=0o666)
    assert loaded(tmp_path).led == ""


def test_the_words_of_a_file_cannot_hide_on_a_terminal(tmp_path: Path) -> None:
    written(tmp_path, 'user = "a\\u001b[2Kb"\n')
    assert "\x1b" not in loaded(tmp_path).led


@pytest.mark.parametrize("mode", [0o646, 0o664, 0o666])
@pytest.mark.parametrize("key", LEADING)
def test_a_file_that_others_can_write_leads_nowhere(tmp_path: Path, key: str, mode: int) -> None:
    path = written(tmp_path, f"{key} = true\n" if key == "insecure" else f'{key} = "emulator"\n', mode)
    if key in {"ca", "insecure", "fingerprint"}:
        path.write_text(path.read_text().replace('"emulator"', f'"{"ab" * 32}"'))
    with pytest.raises(UsageError, match=f"xencbt.toml says {key}, and is not believed: others can write to"):
        loaded(tmp_path)


def test_nor_does_one_in_a_folder_that_others_can_write(tmp_path: Path) -> None:
    written(tmp_path, HOST)
    tmp_path.chmod(0o777)
    with pytest.raises(UsageError, match="others can write to"):
        loaded(tmp_path)
    tmp_path.chmod(0o1777)  # as /tmp: what is ours stays ours
    assert loaded(tmp_path).target == "https://host.example"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_nor_does_one_that_belongs_to_somebody_else(tmp_path: Path) -> None:
    os.chown(written(tmp_path, HOST), 12345, 12345)
    with pytest.raises(UsageError, match=r"belongs to another user \(uid 12345\)"):
        loaded(tmp_path)


def test_nor_does_a_link_hide_whose_file_it_is(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    theirs = written(tmp_path / "theirs", HOST, mode=0o666)
    (tmp_path / "xencbt.toml").symlink_to(theirs)
    with pytest.raises(UsageError, match=f"others can write to {theirs}"):
        loaded(tmp_path)


def test_a_file_takes_the_verification_off_no_target_but_its_own(tmp_path: Path) -> None:
    written(tmp_path, "insecure = true\n")
    with pytest.raises(UsageError, match="says insecure, and the target of this run is named elsewhere"):
        loaded(tmp_path, target="https://host.example", sr=["a"])
    assert loaded(tmp_path, target="https://host.example", sr=["a"], insecure=True).insecure
    assert loaded(tmp_path).emulated_here


def test_a_lab_that_others_can_write_is_not_judged(tmp_path: Path) -> None:
    written(tmp_path, '[targets.a]\nurl = "https://host.example"\nsr = "a"\n', mode=0o666)
    with pytest.raises(UsageError, match="says targets, and is not believed: others can write to"):
        load_lab({}, environment={}, folder=tmp_path)
