"""Runs the command as a user does, in a process and a folder of its own, and reads what it wrote."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # ships no types

DEADLINE_S = 300.0

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "docs" / "run.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Ran:
    """What a run left: exit code, output, and the folder it wrote, if any."""

    exit: int
    stdout: str
    stderr: str
    folder: Path

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
        VALIDATOR.validate(document)  # whatever a run leaves is as docs/run.schema.json says
        return document

    @property
    def verdicts(self) -> dict[str, str]:
        return {row["id"]: row["verdict"] for row in self.document["requirements"]}

    @property
    def tests(self) -> dict[str, dict[str, Any]]:
        return {test["id"].partition("::")[2]: test for test in self.document["tests"]}


def environment(folder: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """Return a user's environment, in which nothing is left over from the developer's or from the outer pytest."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("XENCBT_", "PYTEST_"))}
    return own | {"XDG_STATE_HOME": str(folder / "state"), "NO_COLOR": "1"} | dict(extra)


def finding_tests() -> dict[str, str]:
    """Return what to add to the environment of a command that loads plugins of `tests`."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}


def start(folder: Path, *words: str, extra: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start `xencbt WORDS` in `folder`."""
    return subprocess.Popen(
        [sys.executable, "-m", "xencbt.harness.cli", *words],
        cwd=folder,
        env=environment(folder, extra or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], folder: Path) -> Ran:
    """Wait for the end of a started command."""
    try:
        stdout, stderr = process.communicate(timeout=DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Ran(process.returncode, stdout, stderr, folder / "xencbt-out")


def xencbt(folder: Path, *words: str, extra: Mapping[str, str] | None = None) -> Ran:
    """Run `xencbt WORDS` in `folder` to its end."""
    return finish(start(folder, *words, extra=extra), folder)
