"""Whether only the user can have written a file that leads the password, or what is destroyed."""

import os
import stat
from pathlib import Path

from xencbt.harness.errors import HarnessError, XencbtError

OTHERS = stat.S_IWGRP | stat.S_IWOTH
ROOT = 0


class NotBelieved(XencbtError):
    """What a journal says is not done on its word alone."""


def refuse_not_private(path: Path) -> None:
    """Go on only where nobody else can have written the file `path`, or put it in its folder.

    Raises NotBelieved, saying why somebody else can, and HarnessError where it cannot be seen.
    """
    try:
        why = _why(path.parent, path.parent.stat()) or _why(path, path.lstat())
    except OSError as error:
        raise HarnessError(f"cannot look at {path}: {error}") from error
    if why:
        raise NotBelieved(why)


def _why(path: Path, known: os.stat_result) -> str:
    if stat.S_ISLNK(known.st_mode):
        return f"{path} is a link to somewhere else"
    if known.st_uid not in {os.geteuid(), ROOT}:
        return f"{path} belongs to another user (uid {known.st_uid})"
    sticky = stat.S_ISDIR(known.st_mode) and known.st_mode & stat.S_ISVTX  # where others touch only what is theirs
    if known.st_mode & OTHERS and not sticky:
        return f"others can write to {path}: look at what it says, then chmod go-w"
    return ""
