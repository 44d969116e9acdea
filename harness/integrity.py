"""Whether the files of this package are those that were installed, and a hash that names them.

The check is made by the very files it is about, so it shows edits that nobody hid: a patched suite, a file put beside
the others, a working tree. It proves nothing against somebody who means to forge it; who must know compares
`files_hash` with that of the published wheel, which anybody can compute.
"""

import base64
import csv
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

PACKAGE = "xencbt"
NAMED = 20
"""How many changed files are named; the rest are counted."""

_CACHES = "__pycache__"


@dataclass(frozen=True, slots=True)
class Integrity:
    """The hash of the package's files as they are, and in words what of them is not as installed; none: unmodified."""

    files_hash: str
    changed: tuple[str, ...] = ()

    @property
    def modified(self) -> bool:
        """Whether anything is not as it was installed."""
        return bool(self.changed)


@cache
def own_integrity() -> Integrity:
    """Return the integrity of this installation, looked at once in a process."""
    folder = Path(__file__).parent.parent
    try:
        installed = distribution(PACKAGE)
    except PackageNotFoundError:
        return Integrity(hash_of(digests(folder)), (f"{PACKAGE} is not installed, so nothing says how it should be",))
    return integrity(_package_folder(), installed)


def integrity(folder: Path, installed: Distribution) -> Integrity:
    """Compare the files of the package in `folder` with what the record of the distribution `installed` says of them.

    An editable installation has no record of its files, and counts as modified.
    """
    found = digests(folder)
    recorded = _recorded(installed)
    if _is_editable(installed) or not recorded:
        why = "the installation is editable: nothing says how its files should be"
        return Integrity(hash_of(found), (why,))
    if not _is_same(folder, Path(str(installed.locate_file(PACKAGE)))):
        return Integrity(hash_of(found), (f"{folder} is imported instead of the files that were installed",))
    return Integrity(hash_of(found), _told(_changes(found, recorded)))


def digests(folder: Path) -> dict[str, str]:
    """Return the sha256 (hex) of every file of the package in `folder`, by its path in the package; no caches."""
    found: dict[str, str] = {}
    for path in _files(folder):
        found[path.relative_to(folder).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def hash_of(found: Mapping[str, str]) -> str:
    """Return the sha256 (hex) of a list of files: lines `sha256  path`, sorted by path, as `sha256sum` writes them."""
    lines = "".join(f"{found[path]}  {path}\n" for path in sorted(found))
    return hashlib.sha256(lines.encode()).hexdigest()


def _package_folder() -> Path:
    import xencbt  # noqa: PLC0415  a module below cannot name its package while that is being imported

    return Path(xencbt.__path__[0])


def _files(folder: Path) -> Iterable[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir():  # links of a working tree included
            if path.name != _CACHES:
                yield from _files(path)
        else:
            yield path


def _recorded(installed: Distribution) -> dict[str, str]:
    """Return what RECORD says; `Distribution.files` will not do, because it leaves out what is missing."""
    recorded: dict[str, str] = {}
    for path, digest, _ in csv.reader((installed.read_text("RECORD") or "").splitlines()):
        inside, _, name = path.partition("/")
        kind, _, value = digest.partition("=")
        if inside == PACKAGE and kind == "sha256" and _CACHES not in name.split("/"):
            recorded[name] = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).hex()
    return recorded


def _is_editable(installed: Distribution) -> bool:
    try:
        said = json.loads(installed.read_text("direct_url.json") or "{}")
    except ValueError:
        return True
    return bool(said.get("dir_info", {}).get("editable", False))


def _is_same(folder: Path, other: Path) -> bool:
    return other.exists() and folder.resolve() == other.resolve()


def _changes(found: Mapping[str, str], recorded: Mapping[str, str]) -> list[str]:
    changes = []
    for path in sorted({*found, *recorded}):
        if path not in found:
            changes.append(f"{path} is missing")
        elif path not in recorded:
            changes.append(f"{path} was not installed")
        elif found[path] != recorded[path]:
            changes.append(f"{path} was changed")
    return changes


def _told(changes: list[str]) -> tuple[str, ...]:
    more = (f"and {len(changes) - NAMED} more",) if len(changes) > NAMED else ()
    return (*changes[:NAMED], *more)
