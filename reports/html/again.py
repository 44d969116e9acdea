"""The command that replays a failure's bundle on the target that failed."""

import shlex
from collections.abc import Iterator

WITH_VALUE = ("--seed", "--requirement", "--speed", "--faults")
"""Options of `xencbt run` that say what is tried, and not on which target: a bundle says that itself."""


def replay_command(rerun: str, bundle: str) -> str:
    """Return the command line that replays `bundle` on the target, and with the defects, of the command `rerun`.

    >>> replay_command("xencbt run --seed 1 --requirement LIST-02 --defect=x -- -k test", "bundles/a.json")
    'xencbt replay bundles/a.json --defect=x'
    """
    try:
        words = shlex.split(rerun)
    except ValueError:
        words = []
    options = _of_target(iter(words[2:])) if words[:2] == ["xencbt", "run"] else ()
    return shlex.join(["xencbt", "replay", bundle, *options])


def _of_target(words: Iterator[str]) -> Iterator[str]:
    for word in words:
        if word == "--":
            return
        if word in WITH_VALUE:
            next(words, None)
        elif word.partition("=")[0] not in WITH_VALUE:
            yield word
