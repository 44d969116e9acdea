"""The command line that runs one test again as it ran."""

import shlex
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from xencbt.harness.options import OPTIONS, Option
from xencbt.harness.settings import FIELD_OF, Settings

CHOSEN_ANEW = frozenset(
    {"seed", "profile", "suite", "requirement", "rerun", "out", "keep-on-failure", "quiet", "config", "strict"}
)
"""Options that the line gives itself, or that change nothing of what a test does; what a file said it spells out."""

_DEFAULTS = {field.name: field.default for field in fields(Settings)}


def run_again(settings: Settings, *, profile: str, requirement: str, test: str) -> str:
    """Return the command that runs the function `test` again with the same draws; it holds no secret.

    `profile` is the one that was judged by. A password or token that the environment held must be there again.
    """
    words = ["xencbt", "run", "--seed", str(settings.seed), "--requirement", requirement, "--profile", profile]
    for option in OPTIONS:
        if option.name not in CHOSEN_ANEW:
            words += _words(option, settings)
    return shlex.join([*words, "--", "-k", test])


def _words(option: Option, settings: Settings) -> Iterator[str]:
    name = FIELD_OF.get(option.key, option.key)
    value: Any = getattr(settings, name)
    if value == _DEFAULTS[name]:
        return
    if option.kind == "switch":
        yield option.flag
    elif option.key == "sr":  # of several, a worker leased the first
        yield from (option.flag, value[0])
    elif option.key == "xe":
        yield from (option.flag, shlex.join(value))
    elif option.kind == "list":
        yield from (f"{option.flag}={each}" for each in value)
    else:
        yield from (option.flag, str(value))
