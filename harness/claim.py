"""One run at a time on one SR: two would see each other's disks and space, and judge neither.

A claim is a lock on a file in the state folder, keyed by pool and SR. The kernel lets it go with the process that holds
it, however that ends; the file stays, and means nothing by itself.
"""

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from xencbt.harness.errors import HarnessError, UsageError
from xencbt.harness.journal import state_folder

KEPT_HOLDER = 200


def claims_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder through which a user's runs keep out of each other's way: `$XDG_STATE_HOME/xencbt/claims`."""
    return state_folder(environment) / "claims"


def pool_folder(folder: Path, pool_uuid: str) -> Path:
    """Return where in the claims `folder` everything about one pool is."""
    return folder / _file_name(pool_uuid)


class Taken(UsageError):
    """Another run, or the cleaning after one, is at work on the SR."""


class Claim:
    """The claim on an SR, held from the making until `close`. Raises Taken where another run holds it.

    `holder` tells a second run who it is that holds it; `folder` is made where it is missing. Raises HarnessError when
    the file cannot be made or locked.
    """

    def __init__(self, folder: Path, pool_uuid: str, sr_uuid: str, holder: str) -> None:
        path = pool_folder(folder, pool_uuid) / f"{_file_name(sr_uuid)}.lock"
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise HarnessError(f"cannot claim the SR {sr_uuid}: {path}: {error.strerror}") from error
        try:
            self._lock(path, sr_uuid, holder)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the SR."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lock(self, path: Path, sr_uuid: str, holder: str) -> None:
        assert self._file is not None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            other = os.pread(self._file, KEPT_HOLDER, 0).decode("utf-8", "replace").strip()
            raise Taken(f"another run is at work on the SR {sr_uuid} ({other or path}): wait for its end") from error
        except OSError as error:
            raise HarnessError(f"cannot claim the SR {sr_uuid}: {path}: {error.strerror}") from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{holder}\n".encode(), 0)


def _file_name(uuid: str) -> str:
    """Return `uuid`, which a host named, as a name that stays in its folder."""
    return "".join(char if char.isalnum() or char == "-" else "_" for char in uuid)[:KEPT_HOLDER] or "_"
