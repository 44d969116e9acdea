"""The line that runs a test again leaves nothing out that decides what the test does."""

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from xencbt.harness.again import CHOSEN_ANEW, run_again
from xencbt.harness.options import OPTIONS, Option
from xencbt.harness.settings import FIELD_OF, Settings, load

SR, OTHER = (f"{number}" * 8 + "-0000-0000-0000-000000000000" for number in (1, 2))
VALUES: Mapping[str, Any] = {
    "target": "https://host.example",
    "emulator_hosts": "2",
    "user": "judge",
    "sr": [SR],
    "sr_kind": [f"second={OTHER}"],
    "fingerprint": "ab" * 32,
    "allow": ["vm-power,faults", "migrate"],
    "faults": ["answer-lost"],
    "defect": ["F1"],
    "xe": "ssh 'a host' xe",
    "speed": "nightly",
    "max_size": "2GiB",
    "max_total": "3 GiB",
    "budget": "90m",
}
"""What a user would write; for any other option its name will do."""


def value_of(option: Option, folder: Path) -> Any:
    if option.key == "known_issues":  # read as soon as it is named
        (folder / "issues.toml").write_text('schema = "xencbt.issues/1"')
        return str(folder / "issues.toml")
    plain: dict[str, Any] = {"switch": True, "list": [option.name], "number": "7"}
    return VALUES.get(option.key, plain.get(option.kind, option.name))


def parsed(line: str) -> Settings:
    """Read the line as the command reads it."""
    words = iter(shlex.split(line)[2:])
    given: dict[str, Any] = {}
    by_flag = {option.flag: option for option in OPTIONS}
    for word in words:
        if word == "--":
            break
        flag, equals, value = word.partition("=")
        option = by_flag[flag]
        if option.kind == "switch":
            given[option.key] = True
        else:
            text = value if equals else next(words)
            given[option.key] = [*given.get(option.key, []), text] if option.kind == "list" else text
    return load(given, environment={}, folder=Path("/nowhere"))


def again(given: Mapping[str, Any]) -> tuple[Settings, Settings]:
    before = load({"seed": "5", **given}, environment={}, folder=Path("/nowhere"))
    line = run_again(before, profile="xapi", requirement="SET-01", test="test_it")
    assert line.startswith("xencbt run --seed 5 --requirement SET-01 --profile xapi")
    assert line.endswith(" -- -k test_it")
    after = parsed(line)
    return replace(before, profile="xapi", requirements=("SET-01",)), after


@pytest.mark.parametrize("option", [one for one in OPTIONS if one.name not in CHOSEN_ANEW], ids=lambda one: one.name)
def test_whatever_was_said_is_said_again(option: Option, tmp_path: Path) -> None:
    here = {"target", "emulator_hosts", "defect"}
    given: dict[str, Any] = {option.key: value_of(option, tmp_path)}
    if option.key not in here - {"target"}:
        given |= {"target": VALUES["target"], "sr": VALUES["sr"]}
    before, after = again(given)
    assert after == before
    field = FIELD_OF.get(option.key, option.key)
    assert getattr(after, field) != getattr(Settings(seed=5), field), "the value tried is the default"


def test_what_was_not_said_is_not_said_again() -> None:
    before = load({"seed": "5"}, environment={}, folder=Path("/nowhere"))
    line = run_again(before, profile="xapi", requirement="SET-01", test="test_it")
    assert line == "xencbt run --seed 5 --requirement SET-01 --profile xapi -- -k test_it"


def test_of_several_srs_the_one_that_the_worker_leased_is_named() -> None:
    settings = Settings(seed=5, target="https://host.example", srs=(OTHER, SR))
    line = run_again(settings, profile="xapi", requirement="SET-01", test="test_it")
    assert parsed(line).srs == (OTHER,)
