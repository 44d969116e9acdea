"""The examples for CI are YAML and shell, and every command in them exists and takes its options."""

import argparse
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from xencbt.harness.cli import COMMANDS
from xencbt.harness.options import OPTIONS

ROOT = Path(__file__).parent.parent
CI = ROOT / "docs" / "ci"
SCRIPT = CI / "nightly.sh"
EXAMPLES = ("gitlab-ci.yml", "github-actions.yml")


def parsed(name: str) -> Any:
    return YAML(typ="safe").load((CI / name).read_text(encoding="utf-8"))


def shell_of(part: Any) -> Iterator[str]:
    """Yield every shell line in an example: the texts under `script`, `before_script` and `run`."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key in {"script", "before_script", "run"}:
                yield from [value] if isinstance(value, str) else value
            else:
                yield from shell_of(value)
    elif isinstance(part, list):
        for value in part:
            yield from shell_of(value)


def commands_in(text: str, program: str) -> list[list[str]]:
    """Return the words of every call of `program` in a shell text."""
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    found = re.findall(rf"(?:^|&&|\|\||;|\bthen\b)\s*({program} [^\n;|&]*)", code, re.MULTILINE)
    return [shlex.split(call, comments=True) for call in found]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="xencbt")
    commands = made.add_subparsers(dest="command", required=True)
    for command in COMMANDS:
        command.add(commands)
    return made


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_yaml_and_runs_the_script_and_the_soak(name: str) -> None:
    lines = list(shell_of(parsed(name)))
    assert "sh docs/ci/nightly.sh" in lines
    assert sum("python -m tests.soak." in line for line in lines) == 2
    (proving,) = [words for line in lines for words in commands_in(line, "xencbt")]
    assert parser().parse_args(proving[1:]).command == "prove"


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_setting_of_an_example_is_an_option_or_a_secret(name: str) -> None:
    known = {option.variable for option in OPTIONS} | {"XENCBT_PASSWORD", "XENCBT_CONTROL_TOKEN"}
    own = {"XENCBT_PROJECT", "XENCBT_PROJECT_URL"}
    named = set(re.findall(r"XENCBT_[A-Z_]+", (CI / name).read_text() + SCRIPT.read_text()))
    assert named - known == own & named
    assert named >= {"XENCBT_TARGET", "XENCBT_SR", "XENCBT_PASSWORD", "XENCBT_JOURNAL_DIR"}


def test_the_script_calls_what_exists_with_options_that_exist() -> None:
    calls = commands_in(SCRIPT.read_text(), "xencbt")
    assert [words[1] for words in calls] == ["clean", "run", "run", "compare", "report", "trend"]
    for words in calls:
        parser().parse_args(words[1:])


def test_the_check_of_commands_sees_an_option_that_does_not_exist() -> None:
    (words,) = commands_in("[ -d x ] && xencbt run --such-an-option || true", "xencbt")
    with pytest.raises(SystemExit):
        parser().parse_args(words[1:])


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_soak_jobs_exist_and_take_their_options(name: str) -> None:
    for line in shell_of(parsed(name)):
        for words in commands_in(line, "python -m"):
            told = subprocess.run(
                [sys.executable, "-m", words[2], "--help"],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert told.returncode == 0, told.stderr
            assert all(word in told.stdout for word in words[3:] if word.startswith("--"))


def test_the_script_is_shell() -> None:
    subprocess.run(["sh", "-n", SCRIPT], check=True, timeout=60)
