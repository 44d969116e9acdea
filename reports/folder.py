"""The output folder of a run: a new one each time, because no run may overwrite another's."""

import itertools
from pathlib import Path

from xencbt.harness.errors import UsageError

DEFAULT = Path("xencbt-out")


def new_folder(wanted: Path = DEFAULT) -> Path:
    """Create and return `wanted`, or `wanted-2`, `wanted-3`, … where it exists already.

    Making the folder is what claims it, so that runs started together never share one. Raises UsageError where no
    folder can be made.
    """
    try:
        wanted.parent.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            folder = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return folder
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot create the output folder {wanted}: {error}") from error
    raise AssertionError("counting never ends")
