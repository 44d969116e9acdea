"""What a configuration file leads a run to: the host that gets the password, how it is trusted, what is started.

A file in the working directory is read without anybody having named it, and a repository or a shared folder may have
brought it along: whoever can write it could have the password sent to himself. So such a file must be the user's own,
what it leads to is said before anything is sent, and no file takes the verification off a target that it does not name.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xencbt.harness.errors import HarnessError, UsageError
from xencbt.harness.private import NotBelieved, refuse_not_private

LEADING = ("target", "user", "ca", "fingerprint", "insecure", "password_file", "control_token_file", "xe")
"""The keys by which a file decides where secrets go, or which command is started."""


def refuse_led_by_others(path: Path, said: Mapping[str, Any]) -> None:
    """Go on only where nobody else can have written what the file at `path` `said` of LEADING keys.

    Raises UsageError.
    """
    try:
        if said:
            refuse_not_private(path.resolve())
    except (NotBelieved, HarnessError) as error:
        raise UsageError(f"{path} says {', '.join(said)}, and is not believed: {error}") from error


def refuse_unverified(path: Path, said: Mapping[str, Any]) -> None:
    """Go on only where a file that says `insecure` also names the target that it is about, else raise UsageError."""
    if said.get("insecure") and "target" not in said:
        raise UsageError(f"{path} says insecure, and the target of this run is named elsewhere: say --insecure there")


def in_words(path: Path, said: Mapping[str, Any]) -> str:
    """Return what the file at `path` leads this run to, for the user to see before anything is sent; or nothing."""
    loud = {"insecure": "INSECURE: any certificate is accepted, whoever sits in between can read the password"}
    parts = [loud.get(key, f"{key.replace('_', '-')} {value!r}") for key, value in said.items()]
    return f"{path} says: {', '.join(parts)}" if parts else ""
