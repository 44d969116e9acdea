"""A pytest plugin for tests: keeps which calls each test made, in order. Loaded with `-p tests.run.called`."""

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from xencbt.harness.exchange import Recorder

FOLDER = "CALLED_FOLDER"
"""The environment variable that names the folder; each test gets a file of its name there, a method on each line."""

WAITING = "event.from"
"""How often it is asked whether something has ended is the machine's load, and no choice."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Write down what is called from now on, until the test is over."""
    record, methods = Recorder.record, list[str]()

    def noting(self: Recorder, *, method: str, **told: Any) -> int:
        methods.append(method)
        return record(self, method=method, **told)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recorder, "record", noting)
        try:
            return (yield)
        finally:
            lines = "".join(f"{method}\n" for method in methods if method != WAITING)
            (Path(os.environ[FOLDER]) / item.name).write_text(lines, encoding="utf-8")
