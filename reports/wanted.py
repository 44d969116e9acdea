"""Where a report goes that was asked for by name: a file of the user's, whole or not at all, or standard output."""

from pathlib import Path

from xencbt.harness.errors import UsageError
from xencbt.reports.write import replace_file

STANDARD_OUTPUT = "-"


def write(name: str, content: bytes) -> None:
    """Write `content` (UTF-8) to the file `name`; raises UsageError where that cannot be."""
    if name == STANDARD_OUTPUT:
        print(content.decode("utf-8"), end="")
        return
    try:
        replace_file(Path(name), content)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write {name}: {error}") from error
