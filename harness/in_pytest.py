"""Pytest as the engine of a run: started on the suites, or on what the user names, with nothing else around it."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import pytest

import xencbt.suites
from xencbt.harness.run import Front

IGNORE_REWRITING = "-Wignore::pytest.PytestAssertRewriteWarning"
"""The process has imported already what pytest would like to rewrite; suites do without."""


def judged_by_pytest(
    front: Front, arguments: Sequence[str], for_pytest: Sequence[str] = (), plugins: Sequence[object] = ()
) -> int | pytest.ExitCode:
    """Judge with options of this plugin and of pytest (`arguments`), and what the user had to say to pytest.

    `plugins` are further plugins of pytest. Returns pytest's exit code; ours is in `front`.
    """
    words = ["-c", os.devnull, "--rootdir", xencbt.suites.__path__[0], "-p", "no:cacheprovider"]
    words += ["-qq", "--no-header", "--no-summary", "--tb=no", "--strict-markers", *arguments]
    if not any(_names_a_place(word) for word in for_pytest):
        # a conftest.py where the command happens to be started has no say in how the suites judge
        words += ["--noconftest", "--pyargs", xencbt.suites.__name__]
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return pytest.main([*words, *for_pytest, IGNORE_REWRITING], plugins=[front, *plugins])
    except SystemExit:  # from a conftest.py or a plugin: whatever it says, nothing was judged
        print("xencbt: something ended the run before it began", file=sys.stderr)
        return pytest.ExitCode.INTERNAL_ERROR


def _names_a_place(word: str) -> bool:
    """Tell whether a pytest argument names tests: a path, a node id, or a package after --pyargs."""
    if word.startswith("-"):
        return word == "--pyargs"
    try:
        return Path(word.partition("::")[0]).exists()
    except OSError:  # longer than any name of a file: an expression
        return False


def _interrupt(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001  the signature of a signal handler
    """Make SIGTERM end a run as Ctrl-C does: what was created is removed, and run.json says it is not complete."""
    raise KeyboardInterrupt
